//! A session in a cookie: sealed, so that no process has to keep it, and no longer than its key.

use actix_web::HttpRequest;
use jiff::{SignedDuration, Timestamp};

use super::{
    cookie,
    seal::{Purpose, open, seal},
};
use crate::cursor::CursorKey;

/// The name of the cookie.
const NAME: &str = "pisync_session";

/// How long a session lasts: a working day.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// What the token of a form is signed for.
const FORM: &str = "form of a session";

/// A session that is not over.
#[derive(Debug, Clone)]
pub(super) struct Session {
    /// The key that it was begun with; empty where none is needed.
    pub(super) key_id: Box<str>,
    text: Box<str>,
}

impl Session {
    /// A new session of the holder of a key, or of anyone where the id is empty.
    pub(super) fn begin(key: &CursorKey, key_id: &str, now: Timestamp) -> Self {
        let text = seal(key, Purpose::Session, key_id, now.saturating_add(LASTS).unwrap_or(now)).into();
        Self { key_id: key_id.into(), text }
    }

    /// The session of a request, if it has one of ours that is not over.
    pub(super) fn of(key: &CursorKey, request: &HttpRequest, now: Timestamp) -> Option<Self> {
        let text = cookie::of(request, NAME)?;
        let (key_id, _) = open(key, Purpose::Session, text, now)?;
        Some(Self { key_id: key_id.into(), text: text.into() })
    }

    /// What a form of this session bears, and a page of anyone else cannot know.
    pub(super) fn form_token(&self, key: &CursorKey) -> String {
        key.sign(FORM, &self.text)
    }

    /// Whether a form was one of this session.
    pub(super) fn is_form_of(&self, key: &CursorKey, token: &str) -> bool {
        key.is_signed(FORM, &self.text, token)
    }

    /// The header that begins it: no other site's page sends the cookie.
    pub(super) fn cookie(&self, request: &HttpRequest) -> String {
        cookie::set(request, NAME, &self.text, LASTS, "Strict")
    }
}

/// Whether a request bears a cookie by the name of a session at all.
pub(super) fn is_begun(request: &HttpRequest) -> bool {
    cookie::of(request, NAME).is_some()
}

/// The header that ends a session.
pub(super) fn end(request: &HttpRequest) -> String {
    cookie::set(request, NAME, "", SignedDuration::ZERO, "Strict")
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn found(key: &CursorKey, cookie: &str, now: Timestamp) -> Option<String> {
        let request = TestRequest::get().insert_header(("cookie", format!("a=b; {NAME}={cookie}; c=d")));
        Session::of(key, &request.to_http_request(), now).map(|session| session.key_id.into())
    }

    #[test]
    fn a_session_is_good_until_its_end() {
        let (key, now) = (CursorKey::new(&[7; 32]), Timestamp::now());
        let session = Session::begin(&key, "0123", now);
        assert_eq!(found(&key, &session.text, now), Some("0123".into()));
        assert_eq!(found(&key, &session.text, now + LASTS), None);
        assert_eq!(found(&key, "", now), None);
    }

    #[test]
    fn a_form_belongs_to_its_session_and_a_cookie_is_no_form() {
        let key = CursorKey::new(&[7; 32]);
        let [one, other] = [0, 1].map(|_| Session::begin(&key, "0123", Timestamp::now()));
        assert!(one.is_form_of(&key, &one.form_token(&key)));
        assert!(!other.is_form_of(&key, &one.form_token(&key)));
        assert!(!one.is_form_of(&key, one.text.rsplit('.').next().unwrap()));
    }
}
