//! A session in a cookie: signed, so that no process stores it, and valid only while its key is.

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

/// Purpose of the signature in a form.
const FORM: &str = "form of a session";

/// A session that has not ended.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// The id of the key that began it; empty if no key is required.
    pub(crate) key_id: Box<str>,
    id: Box<str>,
    end: Timestamp,
    text: Box<str>,
}

impl Session {
    /// Begins a session for the holder of a key, or for anyone if the id is empty.
    pub(crate) fn begin(key: &SigningKey, key_id: &str, now: Timestamp) -> Self {
        let end = now.saturating_add(Purpose::Session.longest()).unwrap_or(now);
        let text = seal(key, Purpose::Session, key_id, end);
        let id = text.split('.').nth(2).unwrap_or_default().into();
        Self { key_id: key_id.into(), id, end, text: text.into() }
    }

    /// Returns the session of a request, if its cookie is valid and not expired.
    pub(crate) fn of(key: &SigningKey, request: &HttpRequest, now: Timestamp) -> Option<Self> {
        let text = cookie::of(request, NAME)?;
        let opened = open(key, Purpose::Session, text, now)?;
        Some(Self { key_id: opened.key_id.into(), id: opened.id.into(), end: opened.end, text: text.into() })
    }

    /// Ends the session in every process, before its time.
    pub(crate) async fn end(&self, queue: &Queue, now: Timestamp) -> Result<(), QueueError> {
        let lasts = self.end.duration_since(now).unsigned_abs();
        queue.end_session(&self.id, lasts).await
    }

    /// Returns whether the session was ended; `None` while Redis is not answering.
    pub(crate) async fn is_ended(&self, queue: &Queue) -> Option<bool> {
        let asked = queue.is_session_ended(&self.id).await;
        asked.inspect_err(|error| log::debug!(error:% = error; "checking whether a session was ended failed")).ok()
    }

    /// Returns the token in the forms of this session, which other pages cannot know.
    pub(crate) fn form_token(&self, key: &SigningKey) -> String {
        key.sign(FORM, &self.text)
    }

    /// Returns whether a form's token belongs to this session.
    pub(crate) fn is_form_of(&self, key: &SigningKey, token: &str) -> bool {
        key.is_signed(FORM, &self.text, token)
    }

    /// Returns the header that sets the cookie. Pages of other sites do not send it.
    pub(crate) fn cookie(&self, request: &HttpRequest) -> String {
        cookie::set(request, NAME, &self.text, Purpose::Session.longest(), "Strict")
    }
}

/// Returns whether a request has a session cookie, valid or not.
pub(crate) fn is_begun(request: &HttpRequest) -> bool {
    cookie::of(request, NAME).is_some()
}

/// Returns the header that removes the cookie.
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
