//! `/share` and `/shared`: a link by which anyone can see the pages until its end, without actions.
//!
//! The link is signed and not stored: it ends at its time, and with the key of its maker.

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
    page::{Frame, PageError, go_to, render},
    relative_time::RelativeTime,
    shared_link::Shared,
    viewer::Viewer,
};
use crate::{
    api::query,
    http::{
        Site,
        auth::{Auth, Authenticator},
        session::seal::{Purpose, seal},
    },
    state::State,
};

/// Maximum lifetime of a link, in hours: the longest one on the page.
const LONGEST: u32 = 30 * 24;

/// The requested lifetime.
#[derive(Deserialize)]
pub(super) struct Wanted {
    token: String,
    hours: String,
}

/// The credential in a link.
#[derive(Deserialize)]
pub(super) struct Pass {
    pass: Option<String>,
}

#[derive(Template)]
#[template(path = "share.html")]
struct SharePage {
    frame: Frame,
    link: Option<ShareLink>,
}

struct ShareLink {
    url: String,
    end: RelativeTime,
}

/// Returns the form, for operators.
pub(super) async fn get(viewer: Viewer, authenticator: Data<Authenticator>) -> Result<HttpResponse, PageError> {
    may_share(&viewer, &authenticator)?;
    Ok(render(&SharePage { frame: viewer.frame("Share", "/share"), link: None }))
}

/// Makes a link and shows it once.
pub(super) async fn post(
    request: HttpRequest,
    viewer: Viewer,
    wanted: PageForm<Wanted>,
    authenticator: Data<Authenticator>,
    site: Data<Site>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    may_share(&viewer, &authenticator)?;
    viewer.may_do(&state, &wanted.token)?;
    let hours = query::number("/hours", Some(&wanted.hours), 1..=LONGEST)?.unwrap_or(1);
    let now = Timestamp::now();
    let end = now.saturating_add(SignedDuration::from_hours(hours.into())).unwrap_or(now);
    let key_id = viewer.key_id().unwrap_or_default();
    let pass = seal(&state.signing_keys.key(), Purpose::Share, key_id, end);
    log::info!(key_id:% = key_id, hours; "share link made");
    let url = site.link(&request, &format!("/shared?pass={pass}"));
    let link = Some(ShareLink { url, end: RelativeTime::new(end, now) });
    Ok(render(&SharePage { frame: viewer.frame("Share", "/share"), link }))
}

/// Follows a link: sets its cookie and redirects to the pages.
pub(super) async fn follow(
    request: HttpRequest,
    query: Query<Pass>,
    authenticator: Data<Authenticator>,
    state: Data<State>,
) -> Result<HttpResponse, PageError> {
    if authenticator.mode() == Auth::Off {
        return Ok(go_to("/").finish());
    }
    let (key, now) = (state.signing_keys.key(), Timestamp::now());
    let pass = query.pass.as_deref().unwrap_or_default();
    let Some(shared) = Shared::by(&key, &authenticator, pass, now) else {
        return Err(PageError::Forbidden("This link has expired or is invalid. Ask for another."));
    };
    Ok(go_to("/").insert_header((SET_COOKIE, shared.cookie(&request, pass, now))).finish())
}

fn may_share(viewer: &Viewer, authenticator: &Authenticator) -> Result<(), PageError> {
    if authenticator.mode() == Auth::Off {
        return Err(PageError::Forbidden(
            "The pages are open to everyone who reaches them: there is nothing to share.",
        ));
    }
    if viewer.may_operate && viewer.key_id().is_some() {
        return Ok(());
    }
    Err(PageError::Forbidden("Sign in with a key with the scope operate or admin to share the pages."))
}
