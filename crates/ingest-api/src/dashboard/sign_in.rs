//! `/sign-in` and `/sign-out`: a key for a session.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::{HOST, ORIGIN, SET_COOKIE},
    web::{Data, Form, Query},
};
use askama::Template;
use jiff::Timestamp;
use serde::Deserialize;

use super::{
    page::{Frame, PageError, go_to, render},
    session::{self, Session},
    viewer::Viewer,
};
use crate::{
    auth::{Auth, Gate, Scope},
    error::ApiError,
    limits::Cells,
    server::State,
};

/// How often who fails may try: ten times at once, then every ten seconds.
const AT_ONCE: NonZeroU32 = NonZeroU32::new(10).expect("not zero");
const PAUSE: Duration = Duration::from_secs(10);

/// How many addresses are told apart.
const ADDRESSES: usize = 1 << 12;

/// Attempts to sign in that failed, by address: what is guessed at is a key and no device.
#[derive(Debug)]
pub struct Attempts(Cells);

impl Attempts {
    /// Nobody has tried yet.
    pub fn new() -> Self {
        Self(Cells::new(ADDRESSES, PAUSE, AT_ONCE))
    }
}

impl Default for Attempts {
    fn default() -> Self {
        Self::new()
    }
}

/// Where to go then.
#[derive(Deserialize)]
pub(super) struct Next {
    next: Option<String>,
}

/// What was put into the form.
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

/// The form.
pub(super) async fn get(query: Query<Next>, gate: Data<Gate>) -> Result<HttpResponse, PageError> {
    let next = within(query.into_inner().next);
    if gate.mode() == Auth::Off {
        return Ok(go_to(&next).finish());
    }
    Ok(form(next, ""))
}

/// A session for a key that may read.
pub(super) async fn post(
    request: HttpRequest,
    form: Form<Filled>,
    gate: Data<Gate>,
    attempts: Data<Attempts>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    is_of_this_site(&request)?;
    let Filled { key, next } = form.into_inner();
    let next = within(next);
    let address = request.peer_addr().map_or(IpAddr::from([0; 4]), |peer| peer.ip());
    attempts.0.take(&address).map_err(ApiError::from)?;
    let Some((id, scope)) = gate.key_of(key.trim()) else {
        return Ok(self::form(next, "This is no key that is known here, or it is revoked."));
    };
    attempts.0.give_back(&address);
    if !scope.reaches(Scope::Read) {
        let said = "This key may send reports, and not see them: take one with the scope read or operate.";
        return Ok(self::form(next, said));
    }
    let session = Session::begin(state.cursor_keys.key().await.map_err(ApiError::from)?, &id, Timestamp::now());
    log::info!(key_id:% = id; "signed in");
    Ok(go_to(&next).insert_header((SET_COOKIE, session.cookie(&request))).finish())
}

/// The end of a session.
pub(super) async fn sign_out(request: HttpRequest) -> Result<HttpResponse, PageError> {
    is_of_this_site(&request)?;
    Ok(go_to("/sign-in").insert_header((SET_COOKIE, session::end(&request))).finish())
}

/// Begins a session where none is needed, for the sake of its forms.
pub(super) async fn begin_for_forms(
    request: &HttpRequest,
    viewer: &mut Viewer,
    state: &State,
) -> Result<Option<String>, PageError> {
    if viewer.session.is_some() {
        return Ok(None);
    }
    let key = state.cursor_keys.key().await.map_err(ApiError::from)?;
    let session = Session::begin(key, "", Timestamp::now());
    let cookie = session.cookie(request);
    viewer.form_token = session.form_token(key);
    viewer.session = Some(session);
    Ok(Some(cookie))
}

/// Whether a form was sent from a page of this server, as far as the browser says.
pub(super) fn is_of_this_site(request: &HttpRequest) -> Result<(), PageError> {
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_ours = match (header("sec-fetch-site"), header(ORIGIN.as_str())) {
        (Some(site), _) => site == "same-origin" || site == "none",
        (None, Some(origin)) => origin.split_once("://").map(|(_, host)| host) == header(HOST.as_str()),
        (None, None) => true,
    };
    if is_ours { Ok(()) } else { Err(PageError::Forbidden("This form was sent from a page of another site.")) }
}

fn form(next: String, said: &'static str) -> HttpResponse {
    render(&SignInPage { frame: Frame { title: "Sign in".into(), ..Frame::default() }, next, said })
}

/// A path of this server; the first page where it is none.
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
