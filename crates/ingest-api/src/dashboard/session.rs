//! `<id of the key>.<end>.<random>.<signature>`: a session in a cookie, which every process reads
//! and none has to keep. It lasts no longer than its key.

use actix_web::{HttpRequest, http::header};
use jiff::{SignedDuration, Timestamp};

use crate::cursor::CursorKey;

/// The name of the cookie.
const NAME: &str = "pisync_session";

/// How long a session lasts: a working day.
const LASTS: SignedDuration = SignedDuration::from_hours(12);

/// What signatures are for, so that one is good for nothing else.
const COOKIE: &str = "session cookie";
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
        let end = now.saturating_add(LASTS).unwrap_or(now).as_second();
        let said = format!("{key_id}.{end}.{:016x}", fastrand::u64(..));
        let text = format!("{said}.{}", key.sign(COOKIE, &said)).into();
        Self { key_id: key_id.into(), text }
    }

    /// The session of a request, if it has one of ours that is not over.
    pub(super) fn of(key: &CursorKey, request: &HttpRequest, now: Timestamp) -> Option<Self> {
        let text = cookie(request)?;
        let (said, signature) = text.rsplit_once('.')?;
        let mut parts = said.split('.');
        let (key_id, end) = (parts.next()?, parts.next()?.parse::<i64>().ok()?);
        let is_good = key.is_signed(COOKIE, said, signature) && now.as_second() < end;
        is_good.then(|| Self { key_id: key_id.into(), text: text.into() })
    }

    /// What a form of this session bears, and a page of anyone else cannot know.
    pub(super) fn form_token(&self, key: &CursorKey) -> String {
        key.sign(FORM, &self.text)
    }

    /// Whether a form was one of this session.
    pub(super) fn is_form_of(&self, key: &CursorKey, token: &str) -> bool {
        key.is_signed(FORM, &self.text, token)
    }

    /// The header that begins it: no script reads the cookie, and no other site's page sends it.
    pub(super) fn cookie(&self, request: &HttpRequest) -> String {
        format!("{NAME}={}; Max-Age={}; {}", self.text, LASTS.as_secs(), attributes(request))
    }
}

/// Whether a request bears a cookie by the name of a session at all.
pub(super) fn is_begun(request: &HttpRequest) -> bool {
    cookie(request).is_some()
}

/// The header that ends a session.
pub(super) fn end(request: &HttpRequest) -> String {
    format!("{NAME}=; Max-Age=0; {}", attributes(request))
}

fn attributes(request: &HttpRequest) -> &'static str {
    // Also where a gateway before us speaks TLS and says so.
    if request.connection_info().scheme() == "https" {
        "Path=/; HttpOnly; SameSite=Strict; Secure"
    } else {
        "Path=/; HttpOnly; SameSite=Strict"
    }
}

fn cookie(request: &HttpRequest) -> Option<&str> {
    let headers = request.headers().get_all(header::COOKIE);
    let mut cookies = headers.filter_map(|header| header.to_str().ok()).flat_map(|header| header.split(';'));
    cookies.find_map(|cookie| cookie.trim().strip_prefix(NAME)?.strip_prefix('='))
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
    fn a_session_is_good_until_its_end_and_any_change_makes_it_none() {
        let (key, now) = (CursorKey::new(&[7; 32]), Timestamp::now());
        let session = Session::begin(&key, "0123", now);
        assert_eq!(found(&key, &session.text, now), Some("0123".into()));
        assert_eq!(found(&key, &session.text, now + LASTS), None);
        assert_eq!(found(&CursorKey::new(&[8; 32]), &session.text, now), None);
        for at in 0..session.text.len() {
            let other = if &session.text[at..=at] == "1" { "2" } else { "1" };
            let changed = format!("{}{other}{}", &session.text[..at], &session.text[at + 1..]);
            assert_eq!(found(&key, &changed, now), None, "{changed}");
        }
        for none in ["", ".", "...", "0123"] {
            assert_eq!(found(&key, none, now), None, "{none}");
        }
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
