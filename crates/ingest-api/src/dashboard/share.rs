//! `/share` and `/shared`: a link by which anyone sees the pages until its end, and does nothing.
//!
//! The link is sealed and kept nowhere: it ends at its time, and with the key of who made it.

use actix_web::{
    HttpRequest, HttpResponse,
    http::header::SET_COOKIE,
    web::{Data, Query},
};
use askama::Template;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::{
    form::PageForm,
    moment::Moment,
    page::{Frame, PageError, go_to, render},
    viewer::Viewer,
};
use crate::{
    api::query,
    http::{
        Site,
        auth::{Auth, Gate, Scope},
        cursor::SigningKey,
        session::{
            cookie,
            seal::{Purpose, open, seal},
        },
    },
    state::State,
};

/// The name of the cookie that a link leaves.
const NAME: &str = "pisync_shared";

/// How long a link may be good, in hours: as long as the page offers.
const LONGEST: u32 = 30 * 24;

/// A link that a viewer has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// When it ends.
    pub(super) end: Timestamp,
}

/// How long a link is to be good.
#[derive(Deserialize)]
pub(super) struct Wanted {
    token: String,
    hours: String,
}

/// What a link says.
#[derive(Deserialize)]
pub(super) struct Pass {
    pass: Option<String>,
}

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
    frame: Frame,
    link: Option<Link>,
}

struct Link {
    url: String,
    end: Moment,
}

impl Shared {
    /// Whether a request bears the cookie of a link at all.
    pub(super) fn is_followed(request: &HttpRequest) -> bool {
        cookie::of(request, NAME).is_some()
    }

    /// By the cookie of a request, if a link left it that is not over, whose maker may still read.
    pub(super) fn of(key: &SigningKey, gate: &Gate, request: &HttpRequest, now: Timestamp) -> Option<Self> {
        Self::by(key, gate, cookie::of(request, NAME)?, now)
    }

    fn by(key: &SigningKey, gate: &Gate, pass: &str, now: Timestamp) -> Option<Self> {
        let opened = open(key, Purpose::Share, pass, now)?;
        gate.scope_of(opened.key_id).filter(|scope| scope.reaches(Scope::Read)).map(|_| Self { end: opened.end })
    }
}

/// The form, for operators.
pub(super) async fn get(viewer: Viewer, gate: Data<Gate>) -> Result<HttpResponse, PageError> {
    may_share(&viewer, &gate)?;
    Ok(render(&SharePage { frame: Frame::new("Share", "/share", &viewer), link: None }))
}

/// Makes a link. It is shown this once.
pub(super) async fn post(
    request: HttpRequest,
    viewer: Viewer,
    wanted: PageForm<Wanted>,
    gate: Data<Gate>,
    site: Data<Site>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    may_share(&viewer, &gate)?;
    viewer.may_do(&state, &wanted.token)?;
    let hours = query::number("/hours", Some(&wanted.hours), 1..=LONGEST)?.unwrap_or(1);
    let now = Timestamp::now();
    let end = now.saturating_add(SignedDuration::from_hours(hours.into())).unwrap_or(now);
    let key_id = viewer.key_id().unwrap_or_default();
    let pass = seal(&state.signing_keys.key(), Purpose::Share, key_id, end);
    log::info!(key_id:% = key_id, hours; "a link was made by which the pages are seen");
    let url = site.link(&request, &format!("/shared?pass={pass}"));
    let link = Some(Link { url, end: Moment::new(end, now) });
    Ok(render(&SharePage { frame: Frame::new("Share", "/share", &viewer), link }))
}

/// Where a link leads: to the pages, with a cookie that opens them.
pub(super) async fn follow(
    request: HttpRequest,
    query: Query<Pass>,
    gate: Data<Gate>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    if gate.mode() == Auth::Off {
        return Ok(go_to("/").finish());
    }
    let (key, now) = (state.signing_keys.key(), Timestamp::now());
    let pass = query.pass.as_deref().unwrap_or_default();
    let Some(shared) = Shared::by(&key, &gate, pass, now) else {
        return Err(PageError::Forbidden("This link is over, or was never one of ours. Ask for another."));
    };
    // Lax: a link is followed out of a chat or a mail, which is another site.
    let cookie = cookie::set(&request, NAME, pass, shared.end.duration_since(now), "Lax");
    Ok(go_to("/").insert_header((SET_COOKIE, cookie)).finish())
}

fn may_share(viewer: &Viewer, gate: &Gate) -> Result<(), PageError> {
    if gate.mode() == Auth::Off {
        return Err(PageError::Forbidden(
            "The pages are open to everyone who reaches them: there is nothing to share.",
        ));
    }
    if viewer.may_operate && viewer.key_id().is_some() {
        return Ok(());
    }
    Err(PageError::Forbidden("Sign in with a key with the scope operate or admin to share the pages."))
}
