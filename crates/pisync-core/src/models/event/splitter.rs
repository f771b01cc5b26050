//! Splits a batch before its reports are parsed, so that one that is no JSON fails alone.
//!
//! The splitter knows strings, escapes and nesting, and nothing else of JSON: any bytes between two commas of the list
//! are a report. Valid JSON is split exactly into its items.
//!
//! If quotes are not balanced, they do not separate texts from structure. Then brackets are counted without regard to
//! quotes: a report ends with its brackets, and the next one begins. So nothing quoted in a text becomes a report.

use std::{borrow::Cow, ops::Range};

use super::{
    json::{Raw, broken_members, without_mark},
    loose,
};

/// The most passes over the bytes of a body during a split.
const LOOKS: usize = 16;

/// A split batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'a> {
    /// The reports, in their order; not parsed yet.
    pub items: Vec<&'a [u8]>,
    /// The value of `sentAt`, if there is one.
    pub sent_at: Option<SentAt<'a>>,
    /// JSON pointer to the list of reports: empty, or `/events`.
    pub pointer: &'static str,
    /// The last item, if its end was not found.
    pub open: Option<Open>,
}

/// An item without an end, which may hold further reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Open {
    /// Its start, in bytes from the start of the body.
    pub place: usize,
    /// The number of reports it may hold after the first.
    pub further: usize,
}

/// The value of `sentAt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAt<'a> {
    /// The value as written in the body.
    Once(&'a [u8]),
    /// More than one value, so that none can be trusted.
    Twice,
}

/// The reason that a body cannot be split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}, at byte {place}")]
pub struct Broken {
    /// The fault.
    pub why: &'static str,
    /// Its place in bytes, from 0.
    pub place: usize,
}

/// Splits a JSON array of reports, or an object with `events` and maybe `sentAt`. It stops after `most` reports and one
/// more. A comma after the last item is accepted, and so is none between two objects. A report with unbalanced quotes
/// or brackets is an item of its own, which fails alone when it is parsed.
///
/// Fails if there is no list, or the object around it is broken before the list.
pub fn split_batch(body: &[u8], most: usize) -> Result<Split<'_>, Broken> {
    let start = body.len() - without_mark(body).len();
    let mut scan = Scan { at: start, most, ..Scan::of(body) };
    let mut split = match scan.next_byte() {
        Some(b'[') => Split { items: scan.items()?, sent_at: None, pointer: "", open: None },
        Some(b'{') => scan.envelope()?,
        _ => return Err(scan.broken("expected an array of events, or an object with events")),
    };
    split.open = scan.open;
    if split.items.len() <= most && scan.next_byte().is_some() {
        // Bytes after the batch are no report of it, and fail alone.
        split.items.push(body[scan.at..].trim_ascii_end());
    }
    Ok(split)
}

/// Returns the names of the members of a body that is one object and nothing else. Its texts may hold anything, also a
/// raw line end.
pub fn names_of_object(body: &[u8]) -> Option<Vec<Cow<'_, str>>> {
    Some(broken_members(body)?.into_iter().map(|(name, _)| name).collect())
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    most: usize,
    /// Whether a text of the last value holds a brace: the text may have swallowed the next reports.
    has_brace_in_text: bool,
    /// The number of bytes that were scanned for items.
    looked: usize,
    open: Option<Open>,
}

impl<'a> Scan<'a> {
    fn of(body: &'a [u8]) -> Self {
        Self { body, at: 0, most: 0, has_brace_in_text: false, looked: 0, open: None }
    }

    fn broken(&self, why: &'static str) -> Broken {
        Broken { why, place: self.at }
    }

    /// Returns the next byte that is no white space, and stays on it.
    fn next_byte(&mut self) -> Option<u8> {
        while let Some(byte) = self.body.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// Returns the items of the array at the scan's position, on its bracket. Stops after the array.
    fn items(&mut self) -> Result<Vec<&'a [u8]>, Broken> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            let start = self.at;
            let found = self.value();
            self.looked += self.at.min(self.body.len()) - start;
            let (item, end) = match found {
                Ok((item, end @ (b',' | b']' | b'{'))) if !(self.has_brace_in_text && is_torn(item)) => (item, end),
                Err(broken) if items.is_empty() && self.body[start..].trim_ascii().is_empty() => return Err(broken),
                Ok(_) | Err(_) => self.broken_item(start),
            };
            let is_last = end == b']';
            if end != b'{' {
                self.at += 1;
            }
            if !(is_last && item.is_empty()) {
                items.push(item);
            }
            if is_last || items.len() > self.most {
                return Ok(items);
            }
        }
    }

    /// Returns an item with unbalanced quotes or brackets. It ends with its brackets, counted without regard to quotes,
    /// if the next object or the end of the list follows; else with the body. The scan stops after it.
    fn broken_item(&mut self, start: usize) -> (&'a [u8], u8) {
        let rest = &self.body[start..];
        let is_bearable = self.looked < LOOKS * self.body.len();
        let mut depth = 0_i64;
        for (at, byte) in rest.iter().enumerate().take_while(|_| is_bearable) {
            match byte {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if *byte == b'}'
                && depth <= 0
                && let Some((behind, end)) = end_of_item(rest, at + 1)
            {
                self.looked += at;
                self.at = start + behind;
                return (rest[..=at].trim_ascii(), end);
            }
        }
        self.looked += rest.len();
        self.open = Some(Open { place: start, further: begins(rest) });
        self.at = self.body.len();
        (rest.trim_ascii(), b']')
    }

    /// Returns the object at the scan's position, on its bracket. Stops after the object.
    fn envelope(&mut self) -> Result<Split<'a>, Broken> {
        self.at += 1;
        let (mut items, mut sent_at) = (None, None);
        loop {
            match self.next_byte() {
                Some(b'"') => {}
                Some(b'}') => break,
                _ => return Err(self.broken("not JSON: expected the name of a member")),
            }
            let name = self.string()?;
            if self.next_byte() != Some(b':') {
                return Err(self.broken("not JSON: expected a colon"));
            }
            self.at += 1;
            match (Member::of(&self.body[name]), self.next_byte()) {
                (Member::Events, Some(b'[')) if items.is_none() => {
                    let found = self.items()?;
                    let is_enough = found.len() > self.most;
                    items = Some(found);
                    if is_enough {
                        break;
                    }
                }
                (Member::Events, Some(b'[')) => return Err(self.broken("expected one list of events")),
                (Member::Events, _) => return Err(self.broken("expected an array of events")),
                (Member::SentAt, _) => {
                    let value = self.value()?.0;
                    sent_at = Some(if sent_at.is_none() { SentAt::Once(value) } else { SentAt::Twice });
                }
                (Member::Other, _) => drop(self.value()?),
            }
            match self.next_byte() {
                Some(b',') => self.at += 1,
                Some(b'}') => {}
                // A truncated body still holds the reports before the cut.
                None if items.is_some() => break,
                _ => return Err(self.broken("not JSON: expected a comma or }")),
            }
        }
        self.at = (self.at + 1).min(self.body.len());
        let items = items.ok_or_else(|| self.broken("expected an array of events, or an object with events"))?;
        Ok(Split { items, sent_at, pointer: "/events", open: None })
    }

    /// Returns the bytes up to the next comma or closing bracket of this level, trimmed, and that byte. The scan stops
    /// on that byte.
    ///
    /// After an object, the byte may also be the brace of the next one. An unclosed object ends at the brace of the
    /// next one: no member begins with a brace.
    fn value(&mut self) -> Result<(&'a [u8], u8), Broken> {
        let start = self.at;
        let mut depth = 0_usize;
        // A bit for each open bracket, as far as there is room: 1 for a brace.
        let mut braces = 0_u64;
        // The last byte that is no white space, and its place.
        let mut before = (0, start);
        self.has_brace_in_text = false;
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    before = (b'"', self.at);
                    continue;
                }
                b'{' if depth == 0 && before.0 == b'}' => return Ok((self.body[start..self.at].trim_ascii(), b'{')),
                b'{' if depth > 0 && before.0 == b',' && braces & 1 == 1 => {
                    self.at = before.1;
                    return Ok((self.body[start..self.at].trim_ascii(), b','));
                }
                b'[' | b'{' => {
                    depth += 1;
                    braces = braces << 1 | u64::from(*byte == b'{');
                }
                b',' | b']' | b'}' if depth == 0 => return Ok((self.body[start..self.at].trim_ascii(), *byte)),
                b']' | b'}' => {
                    depth -= 1;
                    braces >>= 1;
                }
                _ => {}
            }
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                before = (*byte, self.at);
            }
            self.at += 1;
        }
        Err(self.broken("not JSON: it ends before its brackets are closed"))
    }

    /// Returns the string at the scan's position, with its quotes. Stops after it.
    fn string(&mut self) -> Result<Range<usize>, Broken> {
        let start = self.at;
        self.at += 1;
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => {
                    self.at += 1;
                    return Ok(start..self.at);
                }
                b'\\' => self.at += 2,
                b'}' => {
                    self.has_brace_in_text = true;
                    self.at += 1;
                }
                _ => self.at += 1,
            }
        }
        Err(Broken { why: "not JSON: a text that begins here does not end", place: start })
    }
}

/// Returns whether an item is no JSON as a whole: an extra quote may have exchanged its texts and the structure between
/// them, and those of the next reports.
fn is_torn(item: &[u8]) -> bool {
    !loose::is_sound(item) && Raw::of(item).mended().is_none()
}

/// Returns how many objects of a list begin after the first, as far as can be detected: no member starts in that way.
fn begins(rest: &[u8]) -> usize {
    let mut before = 0;
    let is_begin = |byte: &u8| {
        let is_begin = *byte == b'{' && matches!(before, b',' | b'}');
        before = if byte.is_ascii_whitespace() { before } else { *byte };
        is_begin
    };
    rest.iter().copied().filter(is_begin).count()
}

/// Returns the end of a report whose last brace is before `from`: the next byte and its place. That byte is a comma
/// before the next object, such an object, or the end of the list.
fn end_of_item(rest: &[u8], from: usize) -> Option<(usize, u8)> {
    let next = |from: usize| {
        let blank = rest.get(from..)?.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        Some((from + blank, *rest.get(from + blank)?))
    };
    let (place, byte) = next(from)?;
    let follows = next(place + 1);
    let is_end = match byte {
        b'{' => true,
        b',' => follows.is_some_and(|(_, byte)| byte == b'{'),
        // The end of the body, of the object around the list, or its next member.
        b']' => match follows {
            None => true,
            Some((brace, b'}')) => next(brace + 1).is_none(),
            Some((comma, b',')) => next(comma + 1).is_some_and(|(_, byte)| byte == b'"'),
            Some(_) => false,
        },
        _ => false,
    };
    is_end.then_some((place, byte))
}

/// A member of the envelope.
enum Member {
    Events,
    SentAt,
    Other,
}

impl Member {
    /// Returns the member of a name with its quotes.
    fn of(quoted: &[u8]) -> Self {
        let name = std::str::from_utf8(quoted).ok().and_then(super::json::string);
        match name.as_deref() {
            Some("events") => Self::Events,
            Some("sentAt" | "sent_at") => Self::SentAt,
            _ => Self::Other,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, value::RawValue};

    use super::*;

    fn texts<'a>(split: &Split<'a>) -> Vec<&'a str> {
        split.items.iter().map(|item| std::str::from_utf8(item).unwrap()).collect()
    }

    fn split(body: &str) -> Result<Vec<&str>, String> {
        split_batch(body.as_bytes(), 100).map(|split| texts(&split)).map_err(|broken| broken.to_string())
    }

    #[test]
    fn an_item_that_is_no_json_leaves_its_neighbours() {
        for item in ["NaN", r#"{"a":NaN}"#, "{\"a\":\"\t\"}", "{a:1}", "{\"a\":1,}", r#""\x""#, "{]", "'a'", ""] {
            let body = format!(r#"[ {{"a":"],[\"}}"}} , {item} , {{"b":[1,{{}}]}} ]"#);
            assert_eq!(split(&body).unwrap(), [r#"{"a":"],[\"}"}"#, item, r#"{"b":[1,{}]}"#], "{item}");
            let body = format!("{{\"sentAt\":0,\"events\":{body},\"more\":NaN}}");
            assert_eq!(split(&body).unwrap()[1], item, "{item}");
        }
        let latin = [&b"[{},{\"a\":\"\xe9\"},{}]"[..]].concat();
        assert_eq!(split_batch(&latin, 9).unwrap().items.len(), 3);
    }

    #[test]
    fn a_comma_at_the_end_and_a_byte_order_mark_are_accepted() {
        for body in ["[1,2,]", "\u{feff}[1,2]", "\u{feff} {\"events\":[1,2,],}", r#"{"\u0065vents":[1,2]}"#] {
            assert_eq!(split(body).unwrap(), ["1", "2"], "{body}");
        }
        assert_eq!(split("[,1]").unwrap(), ["", "1"]);
        assert_eq!(split("[]").unwrap(), [""; 0]);
    }

    #[test]
    fn what_is_broken_as_a_whole_is_said_with_its_place() {
        for (body, said) in [
            ("", "expected an array of events, or an object with events, at byte 0"),
            ("7", "expected an array of events, or an object with events, at byte 0"),
            ("{}", "expected an array of events, or an object with events, at byte 2"),
            ("[", "not JSON: it ends before its brackets are closed, at byte 1"),
            (r#"{"events":7}"#, "expected an array of events, at byte 10"),
            (r#"{"events":[1],"events":[2]}"#, "expected one list of events, at byte 23"),
            (r#"{"events" [1]}"#, "not JSON: expected a colon, at byte 10"),
            (r"{events:[1]}", "not JSON: expected the name of a member, at byte 1"),
            (r#"{"events":[1] "a":1}"#, "not JSON: expected a comma or }, at byte 14"),
        ] {
            assert_eq!(split(body).unwrap_err(), said, "{body}");
        }
    }

    #[test]
    fn a_report_whose_quotes_or_brackets_are_not_balanced_is_an_item_of_its_own() {
        let items = |body: &'static str| -> Vec<&str> {
            let split = split_batch(body.as_bytes(), 9).unwrap();
            split.items.into_iter().map(|item| std::str::from_utf8(item).unwrap()).collect()
        };
        for (body, expected) in [
            (r#"[{"a":1},{"b":"C:\"}},{"c":3}]"#, &[r#"{"a":1}"#, r#"{"b":"C:\"}}"#, r#"{"c":3}"#][..]),
            (r#"[{"a":1},{"b":"x,"t":1},{"c":3}]"#, &[r#"{"a":1}"#, r#"{"b":"x,"t":1}"#, r#"{"c":3}"#]),
            (r#"[{"a":1}},{"c":3}]"#, &[r#"{"a":1}}"#, r#"{"c":3}"#]),
            (r#"[{"a":1},{"b":"x"]"#, &[r#"{"a":1}"#, r#"{"b":"x"]"#]),
            (r#"{"events":[{"a":1},{"b":{"#, &[r#"{"a":1}"#, r#"{"b":{"#]),
            (r#"{"events":[{"a":1},{"b":2}"#, &[r#"{"a":1}"#, r#"{"b":2}"#]),
            (r#"[{"a":1}] [{"b":2}]"#, &[r#"{"a":1}"#, r#"[{"b":2}]"#]),
            (r#"{"events":[{"a":1}]"#, &[r#"{"a":1}"#]),
        ] {
            assert_eq!(items(body), expected, "{body}");
        }
    }

    #[test]
    fn reports_are_told_apart_where_a_comma_or_brace_is_missing() {
        for (body, expected) in [
            (r#"[{"a":1} {"b":2}]"#, &[r#"{"a":1}"#, r#"{"b":2}"#][..]),
            ("[{\"a\":{}}\n{\"b\":2}{\"c\":3},{\"d\":4}]", &["{\"a\":{}}", r#"{"b":2}"#, r#"{"c":3}"#, r#"{"d":4}"#]),
            (r#"[{"a":1,{"b":2},{"c":3}]"#, &[r#"{"a":1"#, r#"{"b":2}"#, r#"{"c":3}"#]),
            (r#"[{"a":1,"e":{"x":1 , {"b":2},{"c":3}]"#, &[r#"{"a":1,"e":{"x":1"#, r#"{"b":2}"#, r#"{"c":3}"#]),
            (r#"{"events":[{"a":1} {"b":2}],"sentAt":7}"#, &[r#"{"a":1}"#, r#"{"b":2}"#]),
        ] {
            assert_eq!(split(body).unwrap(), expected, "{body}");
        }
    }

    #[test]
    fn several_unbalanced_reports_leave_those_between_them() {
        let (good, other) = (r#"{"a":1}"#, r#"{"m":"},{"}"#);
        let (open, more) = (r#"{"b":{"m":"C:\"}}"#, r#"{"b":"x,"t":1}"#);
        for items in [
            &[open, good, open, good][..],
            &[good, more, other, good, more, good],
            &[open, more, open, good, other],
            &[more, good, open],
            &[open, open],
        ] {
            for between in [",", " ,\n ", " "] {
                for (start, end) in
                    [("[", "]"), (r#"{"sentAt":7,"events":["#, "]}"), (r#"{"events":["#, r#"],"sentAt":7}"#)]
                {
                    let body = format!("{start}{}{end}", items.join(between));
                    let found = split_batch(body.as_bytes(), 9).unwrap();
                    assert_eq!((texts(&found), found.open), (items.to_vec(), None), "{body}");
                    assert_eq!(found.sent_at.is_some(), start != "[", "{body}");
                }
            }
        }
    }

    #[test]
    fn what_a_text_quotes_is_no_report() {
        let (good, quoted) = (r#"{"a":1}"#, r#"{"m":"said [{"x":1},{"y":2},{"z":3}] to all"}"#);
        for broken in [quoted.to_owned(), quoted.replace("all\"", "all"), quoted.replace("[{", "{").replace("}]", "}")]
        {
            assert_eq!(split(&format!("[{good},{broken},{good}]")).unwrap(), [good, broken.as_str(), good]);
        }
        // Unbalanced brackets too: nothing after them is guessed.
        let open = r#"{"m":"a { b}"#;
        let body = format!("[{good},{open},{good},{good}]");
        let found = split_batch(body.as_bytes(), 9).unwrap();
        assert_eq!((texts(&found)[0], found.items.len(), found.open), (good, 2, Some(Open { place: 9, further: 2 })));
    }

    #[test]
    fn a_body_of_nothing_but_open_quotes_is_looked_at_so_often_and_no_more() {
        let body = format!("[{}", "{\"a\":\"},{".repeat(100_000));
        let mut scan = Scan { most: 1_000_000, ..Scan::of(body.as_bytes()) };
        let items = scan.items().unwrap();
        assert!(scan.looked <= (LOOKS + 3) * body.len(), "{} in {} items", scan.looked, items.len());
    }

    #[test]
    fn it_stops_after_as_many_as_may_be_and_one_more() {
        for body in [format!("[{}", "7,".repeat(1_000)), format!("{{\"events\":[{}", "7,".repeat(1_000))] {
            assert_eq!(split_batch(body.as_bytes(), 10).unwrap().items.len(), 11);
        }
    }

    #[test]
    fn the_clock_of_the_sender_is_found_wherever_it_stands() {
        let sent_at = |body: &'static str| split_batch(body.as_bytes(), 9).unwrap().sent_at;
        let once = |value: &'static str| Some(SentAt::Once(value.as_bytes()));
        assert_eq!(sent_at(r#"{"events":[{}],"sentAt": NaN }"#), once("NaN"));
        assert_eq!(sent_at(r#"{"sent_at":{"a":1},"events":[{}]}"#), once(r#"{"a":1}"#));
        assert_eq!(sent_at(r#"{"sentAt":1,"sent_at":2,"events":[{}]}"#), Some(SentAt::Twice));
        assert_eq!(sent_at(r#"{"events":[{"sentAt":1}]}"#), None);
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            r#"[\[\]{},:"\\\na-z é]{0,8}"#.prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(r#"[\[\]{},"\\a-z]{0,6}"#, inner, 0..5)
                    .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(1_000))]

        /// Valid JSON is split into the items that a real parser finds.
        #[test]
        fn valid_json_is_taken_apart_as_a_reader_does(items in prop::collection::vec(any_json(), 0..8), pretty: bool) {
            let write = |value: &Value| if pretty {
                serde_json::to_string_pretty(value).unwrap()
            } else {
                value.to_string()
            };
            let array = write(&Value::from(items.clone()));
            let expected: Vec<&RawValue> = serde_json::from_str(&array).unwrap();
            let expected: Vec<_> = expected.iter().map(|raw| raw.get()).collect();
            prop_assert_eq!(&split(&array).unwrap(), &expected);
            let envelope = write(&serde_json::json!({ "a": items, "events": items, "sentAt": 7, "z": items }));
            let found = split_batch(envelope.as_bytes(), 100).unwrap();
            prop_assert_eq!(found.sent_at, Some(SentAt::Once(b"7")));
            prop_assert_eq!(found.items.len(), expected.len());
            for (item, value) in found.items.iter().zip(&items) {
                prop_assert_eq!(&serde_json::from_slice::<Value>(item).unwrap(), value);
            }
        }

        /// Any bytes get an answer. Items that are each balanced keep their number.
        #[test]
        fn any_bytes_are_answered(body in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ a1\n\xff".to_vec()), 0..60)) {
            let _ = split_batch(&body, 5);
        }
    }
}
