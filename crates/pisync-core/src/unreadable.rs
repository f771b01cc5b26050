//! Unreadable documents: counted each time, and logged once an hour.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{LazyLock, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::metrics;

/// The interval between log lines about the same document and reason.
const NAMED_AGAIN: Duration = Duration::from_hours(1);

/// The most documents remembered as logged. Of more at the same time only some are logged.
const NAMED: usize = 1_000;

/// The most characters of a text that the log shows.
const SHOWN: usize = 200;

/// The logged documents, and when.
static NAMES: LazyLock<Mutex<Names>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct Names {
    hasher: RandomState,
    named_at: HashMap<u64, Instant>,
}

/// Counts an unreadable document of a collection, or a member of a Redis key, and logs it unless it was logged
/// recently.
pub(crate) fn leave_out(collection: &'static str, id: &str, field: &str, problem: &str) {
    metrics::UNREADABLE_DOCUMENTS.get_or_create(&[("collection", collection)]).inc();
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if names.is_news(&(collection, id, field), Instant::now()) {
        let (id, field, problem) = (cut(id), cut(field), cut(problem));
        log::warn!(
            collection = collection, document = id.as_str(), field = field.as_str(), problem = problem.as_str();
            "a document cannot be read and is left out"
        );
    }
}

impl Names {
    /// Returns whether this was not logged recently.
    fn is_news(&mut self, what: &impl Hash, now: Instant) -> bool {
        let is_old = |at: &Instant| now.duration_since(*at) >= NAMED_AGAIN;
        let hash = self.hasher.hash_one(what);
        if let Some(at) = self.named_at.get_mut(&hash) {
            let is_news = is_old(at);
            if is_news {
                *at = now;
            }
            return is_news;
        }
        if self.named_at.len() >= NAMED {
            self.named_at.retain(|_, at| !is_old(at));
        }
        let has_room = self.named_at.len() < NAMED;
        if has_room {
            self.named_at.insert(hash, now);
        }
        has_room
    }
}

/// Returns a text for the log: on one line, and of bounded length.
fn cut(text: &str) -> String {
    text.chars().take(SHOWN).flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_is_named_once_an_hour() {
        let (mut names, now) = (Names::default(), Instant::now());
        assert!(names.is_news(&("Alert", "1"), now));
        assert!(!names.is_news(&("Alert", "1"), now + NAMED_AGAIN / 2));
        assert!(names.is_news(&("Alert", "2"), now));
        assert!(names.is_news(&("Alert", "1"), now + NAMED_AGAIN));
    }

    #[test]
    fn however_many_there_are_what_is_remembered_is_bounded() {
        let (mut names, now) = (Names::default(), Instant::now());
        let news = (0..3 * NAMED).filter(|number| names.is_news(number, now)).count();
        assert_eq!((news, names.named_at.len()), (NAMED, NAMED));
        assert!(names.is_news(&"later", now + NAMED_AGAIN));
    }

    #[test]
    fn the_log_shows_one_line() {
        assert_eq!(cut("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(cut(&"a".repeat(1_000)).len(), SHOWN);
    }
}
