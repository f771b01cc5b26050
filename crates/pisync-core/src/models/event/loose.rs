//! The structure of a report that is no JSON: an object whose braces, colons, commas and quotes are sound,
//! and whose values may be anything, such as `NaN`.

use std::ops::Range;

/// The deepest nesting of brackets.
const DEEPEST: usize = 32;

/// Returns the names of an object with their quotes, and the values as written. None if its structure is not sound,
/// also within the values.
pub(super) fn members(object: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut reader = Reader { bytes: object, at: 0, depth: 0 };
    let mut members = Vec::new();
    reader.object(&mut |name, value| members.push((&object[name], &object[value])))?;
    (reader.next().is_none()).then_some(members)
}

/// Returns whether bytes are one value of sound structure.
pub(super) fn is_sound(value: &[u8]) -> bool {
    let mut reader = Reader { bytes: value, at: 0, depth: 0 };
    reader.value().is_some() && reader.next().is_none()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Returns the next byte that is no white space, and stays on it.
    fn next(&mut self) -> Option<u8> {
        let blank = self.bytes.get(self.at..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.at += blank;
        self.bytes.get(self.at).copied()
    }

    /// Consumes this byte.
    fn pass(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then(|| self.at += 1)
    }

    fn object(&mut self, found: &mut dyn FnMut(Range<usize>, Range<usize>)) -> Option<()> {
        self.pass(b'{')?;
        if self.pass(b'}').is_some() {
            return Some(());
        }
        loop {
            let name = (self.next()? == b'"').then(|| self.string())??;
            self.pass(b':')?;
            let value = self.value()?;
            found(name, value);
            match self.next()? {
                b',' => self.at += 1,
                _ => return self.pass(b'}'),
            }
        }
    }

    fn array(&mut self) -> Option<()> {
        self.pass(b'[')?;
        if self.pass(b']').is_some() {
            return Some(());
        }
        loop {
            self.value()?;
            match self.next()? {
                b',' => self.at += 1,
                _ => return self.pass(b']'),
            }
        }
    }

    fn value(&mut self) -> Option<Range<usize>> {
        let next = self.next();
        let start = self.at;
        self.depth += 1;
        match next {
            Some(b'"') => {
                self.string()?;
            }
            Some(b'{' | b'[') if self.depth > DEEPEST => return None,
            Some(b'{') => self.object(&mut |_, _| ())?,
            Some(b'[') => self.array()?,
            _ => {
                let is_end = |byte: &u8| b"\"{}[],:".contains(byte);
                let word = self.bytes[start..].iter().position(is_end).map_or(self.bytes.len(), |end| start + end);
                self.at = start + self.bytes[start..word].trim_ascii_end().len();
            }
        }
        self.depth -= 1;
        Some(start..self.at)
    }

    fn string(&mut self) -> Option<Range<usize>> {
        let start = self.at;
        self.at += 1;
        loop {
            match self.bytes.get(self.at)? {
                b'"' => break,
                b'\\' => self.at += 2,
                _ => self.at += 1,
            }
        }
        self.at += 1;
        Some(start..self.at)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(object: &str) -> Option<Vec<(&str, &str)>> {
        let text = |bytes| std::str::from_utf8(bytes).unwrap();
        Some(members(object.as_bytes())?.into_iter().map(|(name, value)| (text(name), text(value))).collect())
    }

    #[test]
    fn values_may_be_anything_that_is_no_structure() {
        let object = "{ \"a\" : NaN , \"b\":\"\t}\\\"{\", \"c\":[1,{\"d\":+5 }],\"e\":}";
        let members = of(object).unwrap();
        assert_eq!(members, [("\"a\"", "NaN"), ("\"b\"", "\"\t}\\\"{\""), ("\"c\"", "[1,{\"d\":+5 }]"), ("\"e\"", "")]);
        assert_eq!(of(" {} ").unwrap(), []);
    }

    #[test]
    fn what_is_not_sound_is_not_read() {
        for object in [
            "",
            "[]",
            "{",
            "{a:1}",
            "{\"a\"}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{\"a\":1}}",
            "{\"a\":{\"b\":1]}",
            "{\"a\":\"x,\"b\":1}",
            "{\"a\":1,{\"b\":2}}",
            // Two reports that each lack a quote: the text between them belongs to neither.
            r#"{"a":1,"x":"y,"z":1},{"a":2,"x":"y,"z":1}"#,
            r#"{"a":1,"x":{"m":"C:\"}},{"a":2,"x":{"m":"C:\"}}"#,
            &format!("{{\"a\":{}{}}}", "[".repeat(50), "]".repeat(50)),
        ] {
            assert_eq!(of(object), None, "{object}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_answered(bytes in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ a1\n\xff".to_vec()), 0..60)) {
            let _ = (members(&bytes), is_sound(&bytes));
        }
    }
}
