//! `/sign-in` and `/sign-out`: exchanges a key for a session.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::SET_COOKIE,
    web::{Data, Query},
};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    form::PageForm,
    page::{Frame, PageError, go_to, render},
    viewer::Viewer,
};
use crate::{
    http::{
        Site,
        auth::{Auth, Authenticator, Scope},
        error::ApiError,
        limits::{Cells, TooFast},
        session::{self, Session},
    },
    state::State,
};

/// Limit of failed attempts: a burst of ten, then one every ten seconds.
const BATCH_SIZE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const PAUSE: Duration = Duration::from_secs(10);

/// Number of keys and clients that are counted apart; beyond it, some share a limit.
const PLACES: usize = 1 << 12;

/// Failed attempts to sign in, by key id and by the client's address if it is known. A valid key is never
/// limited: it is checked first.
#[derive(Debug)]
pub struct Attempts(Cells);

impl Attempts {
    /// Returns the limiter. Without a limit only in the controls of tests.
    pub fn new(has_limit: bool) -> Self {
        Self(Cells::new(PLACES, PAUSE, if has_limit { BATCH_SIZE } else { NonZeroU32::MAX }))
    }
}

impl Attempts {
    /// Counts a failure. Fails if there were too many.
    fn fail(&self, key: &str, client: Option<IpAddr>) -> Result<(), TooFast> {
        let id = key.split('_').nth(2).unwrap_or_default();
        let by_key = self.0.take(&("key", id));
        let by_client = client.map_or(Ok(()), |client| self.0.take(&("client", client)));
        by_key.and(by_client)
    }
}

/// The page after the sign-in.
#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// The content of the form.
#[derive(Deserialize)]
pub(super) struct Filled {
    key: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    frame: Frame,
    next: String,
    said: &'static str,
}

/// Returns the form.
pub(super) async fn get(query: Query<Next>, authenticator: Data<Authenticator>) -> Result<HttpResponse, PageError> {
    let next = within(query.into_inner().next);
    if authenticator.mode() == Auth::Off {
        return Ok(go_to(&next).finish());
    }
    Ok(form(next, ""))
}

/// Begins a session for a key with the scope `read`.
pub(super) async fn post(
    request: HttpRequest,
    filled: PageForm<Filled>,
    authenticator: Data<Authenticator>,
    attempts: Data<Attempts>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    let PageForm(Filled { key, next }) = filled;
    let next = within(next);
    let Some((id, scope)) = authenticator.key_of(key.trim()) else {
        let client = Site::of(&request).and_then(|site| site.client(&request));
        attempts.fail(key.trim(), client).map_err(ApiError::from)?;
        return Ok(form(next, "This key is unknown or revoked."));
    };
    if !scope.reaches(Scope::Read) {
        let said = "This key may only send reports. Use one with the scope read or operate.";
        return Ok(form(next, said));
    }
    let session = Session::begin(&state.signing_keys.key(), &id, Timestamp::now());
    log::info!(key_id:% = id; "signed in");
    Ok(go_to(&next).insert_header((SET_COOKIE, session.cookie(&request))).finish())
}

/// Ends the session in every process. Fails while Redis is down, since the session would stay valid elsewhere;
/// the answer asks for a retry.
pub(super) async fn sign_out(request: HttpRequest, state: Data<State>) -> Result<HttpResponse, PageError> {
    let now = Timestamp::now();
    if let Some(session) = Session::of(&state.signing_keys.key(), &request, now) {
        session.end(&state.queue, now).await.map_err(ApiError::from)?;
        log::info!(key_id:% = session.key_id; "signed out");
    }
    Ok(go_to("/sign-in").insert_header((SET_COOKIE, session::end(&request))).finish())
}

/// Begins a session if no key is required, for the sake of its forms.
pub(super) fn begin_for_forms(request: &HttpRequest, viewer: &mut Viewer, state: &State) -> Option<String> {
    if viewer.session.is_some() {
        return None;
    }
    let key = state.signing_keys.key();
    let session = Session::begin(&key, "", Timestamp::now());
    let cookie = session.cookie(request);
    viewer.form_token = session.form_token(&key);
    viewer.session = Some(session);
    Some(cookie)
}

fn form(next: String, said: &'static str) -> HttpResponse {
    render(&SignInPage { frame: Frame { title: "Sign in".into(), ..Frame::default() }, next, said })
}

/// Returns a path of this server; the first page if `next` is not one.
fn within(next: Option<String>) -> String {
    let is_path = |path: &String| {
        let behind = path.strip_prefix('/');
        let is_plain = path.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
        is_plain && behind.is_some_and(|behind| !behind.starts_with('/'))
    };
    next.filter(is_path).unwrap_or_else(|| "/".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_signed_in_is_led_to_no_other_server() {
        for path in ["/", "/devices?status=failing&q=a%20b", "/device?id=%2F%2Fx"] {
            assert_eq!(within(Some(path.into())), path);
        }
        for other in ["", "https://evil", "//evil", "/\\evil", "\\\\evil", "/a\r\nb", "javascript:1", "/\u{e9}"] {
            assert_eq!(within(Some(other.into())), "/", "{other}");
        }
    }
}
