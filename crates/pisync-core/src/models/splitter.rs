//! A batch taken apart before its reports are read, so that one that is no JSON fails alone.
//!
//! The splitter knows strings, escapes and nesting, and nothing else of JSON: whatever stands
//! between two commas of the list is a report. Of valid JSON it gives the very items.

use std::ops::Range;

use memchr::memchr_iter;

use super::json::without_mark;

/// A batch in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Split<'a> {
    /// The reports, in their order; not yet looked at.
    pub items: Vec<&'a [u8]>,
    /// The value of `sentAt`, if there is one.
    pub sent_at: Option<SentAt<'a>>,
    /// JSON pointer to what holds the reports: empty, or `/events`.
    pub pointer: &'static str,
}

/// The value of `sentAt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SentAt<'a> {
    /// As it stands in the body.
    Once(&'a [u8]),
    /// It is there more than once, so that neither can be believed.
    Twice,
}

/// Why a body cannot be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{why}, at byte {place}")]
pub struct Broken {
    /// What is wrong.
    pub why: &'static str,
    /// Where, from 0.
    pub place: usize,
}

/// Takes apart a JSON array of reports, or an object with `events` and maybe `sentAt`. It stops
/// after `most` reports and one more. A comma after the last item is accepted. A report whose quotes
/// or brackets are not balanced is an item of its own, which fails alone when it is read.
///
/// Fails if there is no list, or the object around it is broken before the list.
pub fn split_batch(body: &[u8], most: usize) -> Result<Split<'_>, Broken> {
    let start = body.len() - without_mark(body).len();
    let mut scan = Scan { body, at: start, most };
    let mut split = match scan.next_byte() {
        Some(b'[') => Split { items: scan.items()?, sent_at: None, pointer: "" },
        Some(b'{') => scan.envelope()?,
        _ => return Err(scan.broken("expected an array of events, or an object with events")),
    };
    if split.items.len() <= most && scan.next_byte().is_some() {
        // What follows the batch is no report of it, and fails alone.
        split.items.push(body[scan.at..].trim_ascii_end());
    }
    Ok(split)
}

struct Scan<'a> {
    body: &'a [u8],
    at: usize,
    most: usize,
}

impl<'a> Scan<'a> {
    fn broken(&self, why: &'static str) -> Broken {
        Broken { why, place: self.at }
    }

    /// The next byte that is no white space; the scan stands on it.
    fn next_byte(&mut self) -> Option<u8> {
        while let Some(byte) = self.body.get(self.at) {
            if !matches!(byte, b' ' | b'\t' | b'\r' | b'\n') {
                return Some(*byte);
            }
            self.at += 1;
        }
        None
    }

    /// The items of the array on whose bracket the scan stands; afterwards it stands behind it.
    fn items(&mut self) -> Result<Vec<&'a [u8]>, Broken> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            let start = self.at;
            let (item, end) = match self.value() {
                Ok((item, end @ (b',' | b']'))) => (item, end),
                Err(broken) if items.is_empty() && self.body[start..].trim_ascii().is_empty() => return Err(broken),
                Ok(_) | Err(_) => self.broken_item(start),
            };
            let is_last = end == b']';
            self.at += 1;
            if !(is_last && item.is_empty()) {
                items.push(item);
            }
            if is_last || items.len() > self.most {
                return Ok(items);
            }
        }
    }

    /// An item whose quotes or brackets are not balanced: it ends where the next object of the list
    /// seems to begin, or with the body. The scan stands on the comma then, or at the end.
    fn broken_item(&mut self, start: usize) -> (&'a [u8], u8) {
        let rest = &self.body[start..];
        let blank = |from: usize| rest[from..].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let next = memchr_iter(b'}', rest).find_map(|at| {
            let comma = at + 1 + blank(at + 1);
            let is_next = rest.get(comma) == Some(&b',') && rest.get(comma + 1 + blank(comma + 1)) == Some(&b'{');
            is_next.then_some((at, comma))
        });
        if let Some((end, comma)) = next {
            self.at = start + comma;
            return (rest[..=end].trim_ascii(), b',');
        }
        self.at = self.body.len();
        (rest.trim_ascii(), b']')
    }

    /// The object on whose bracket the scan stands; afterwards it stands behind it.
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
                // A body that was cut still holds the reports before the cut.
                None if items.is_some() => break,
                _ => return Err(self.broken("not JSON: expected a comma or }")),
            }
        }
        self.at = (self.at + 1).min(self.body.len());
        let items = items.ok_or_else(|| self.broken("expected an array of events, or an object with events"))?;
        Ok(Split { items, sent_at, pointer: "/events" })
    }

    /// What stands before the next comma or closing bracket of this level, without white space
    /// around it, and that byte, on which the scan stands afterwards.
    fn value(&mut self) -> Result<(&'a [u8], u8), Broken> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => {
                    self.string()?;
                    continue;
                }
                b'[' | b'{' => depth += 1,
                b',' | b']' | b'}' if depth == 0 => return Ok((self.body[start..self.at].trim_ascii(), *byte)),
                b']' | b'}' => depth -= 1,
                _ => {}
            }
            self.at += 1;
        }
        Err(self.broken("not JSON: it ends before its brackets are closed"))
    }

    /// The string on whose quote the scan stands, with its quotes; afterwards it stands behind it.
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
                _ => self.at += 1,
            }
        }
        Err(Broken { why: "not JSON: a text that begins here does not end", place: start })
    }
}

/// What a member of the envelope is.
enum Member {
    Events,
    SentAt,
    Other,
}

impl Member {
    /// Of a name with its quotes.
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

        /// Of valid JSON the items are those that a real reader finds.
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

        /// Whatever the bytes are, it answers; and whatever the items are, so long as each is
        /// balanced by itself, there are as many as there were.
        #[test]
        fn any_bytes_are_answered(body in prop::collection::vec(prop::sample::select(b"[]{},:\"\\ a1\n\xff".to_vec()), 0..60)) {
            let _ = split_batch(&body, 5);
        }
    }
}
