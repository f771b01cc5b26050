//! A session in a cookie: sealed, so that no process has to keep it, and no longer than its key.

mod by_session;
pub(crate) mod cookie;
pub(crate) mod seal;

use actix_web::HttpRequest;
use jiff::{SignedDuration, Timestamp};
use pisync_core::queue::{Queue, QueueError};

use self::seal::{Purpose, open, seal};
use super::signing::SigningKey;

pub(crate) use self::by_session::{Sessions, caller_by_session, may_be_by_session};

/// The name of the cookie.
const NAME: &str = "pisync_session";

/// What the token of a form is signed for.
const FORM: &str = "form of a session";

/// A session that is not over.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The key that it was begun with; empty where none is needed.
    pub(crate) key_id: Box<str>,
    id: Box<str>,
    end: Timestamp,
    text: Box<str>,
}

impl Session {
    /// A new session of the holder of a key, or of anyone where the id is empty.
    pub(crate) fn begin(key: &SigningKey, key_id: &str, now: Timestamp) -> Self {
        let end = now.saturating_add(Purpose::Session.longest()).unwrap_or(now);
        let text = seal(key, Purpose::Session, key_id, end);
        let id = text.split('.').nth(2).unwrap_or_default().into();
        Self { key_id: key_id.into(), id, end, text: text.into() }
    }

    /// The session of a request, if it has one of ours that is not over.
    pub(crate) fn of(key: &SigningKey, request: &HttpRequest, now: Timestamp) -> Option<Self> {
        let text = cookie::of(request, NAME)?;
        let opened = open(key, Purpose::Session, text, now)?;
        Some(Self { key_id: opened.key_id.into(), id: opened.id.into(), end: opened.end, text: text.into() })
    }

    /// Ends it in every process, before its time.
    pub(crate) async fn end(&self, queue: &Queue, now: Timestamp) -> Result<(), QueueError> {
        let lasts = self.end.duration_since(now).unsigned_abs();
        queue.end_session(&self.id, lasts).await
    }

    /// Whether it was ended; nothing while Redis does not tell.
    pub(crate) async fn is_ended(&self, queue: &Queue) -> Option<bool> {
        let asked = queue.is_session_ended(&self.id).await;
        asked.inspect_err(|error| log::debug!(error:% = error; "it is not known whether a session was ended")).ok()
    }

    /// What a form of this session bears, and a page of anyone else cannot know.
    pub(crate) fn form_token(&self, key: &SigningKey) -> String {
        key.sign(FORM, &self.text)
    }

    /// Whether a form was one of this session.
    pub(crate) fn is_form_of(&self, key: &SigningKey, token: &str) -> bool {
        key.is_signed(FORM, &self.text, token)
    }

    /// The header that begins it: no other site's page sends the cookie.
    pub(crate) fn cookie(&self, request: &HttpRequest) -> String {
        cookie::set(request, NAME, &self.text, Purpose::Session.longest(), "Strict")
    }
}

/// Whether a request bears a cookie by the name of a session at all.
pub(crate) fn is_begun(request: &HttpRequest) -> bool {
    cookie::of(request, NAME).is_some()
}

/// The header that ends a session.
pub(crate) fn end(request: &HttpRequest) -> String {
    cookie::set(request, NAME, "", SignedDuration::ZERO, "Strict")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn found(key: &SigningKey, cookie: &str, now: Timestamp) -> Option<String> {
        let request = TestRequest::get().insert_header(("cookie", format!("a=b; {NAME}={cookie}; c=d")));
        Session::of(key, &request.to_http_request(), now).map(|session| session.key_id.into())
    }

    #[test]
    fn a_session_is_good_until_its_end() {
        let (key, now) = (SigningKey::new(&[7; 32]), Timestamp::now());
        let session = Session::begin(&key, "0123", now);
        assert_eq!(found(&key, &session.text, now), Some("0123".into()));
        assert_eq!(found(&key, &session.text, now + Purpose::Session.longest()), None);
        assert_eq!(found(&key, "", now), None);
    }

    #[test]
    fn a_form_belongs_to_its_session_and_a_cookie_is_no_form() {
        let key = SigningKey::new(&[7; 32]);
        let [one, other] = [0, 1].map(|_| Session::begin(&key, "0123", Timestamp::now()));
        assert!(one.is_form_of(&key, &one.form_token(&key)));
        assert!(!other.is_form_of(&key, &one.form_token(&key)));
        assert!(!one.is_form_of(&key, one.text.rsplit('.').next().unwrap()));
    }
}
