//! A followed share link: signed in a cookie, until its end.

use actix_web::HttpRequest;
use jiff::Timestamp;

use crate::http::{
    auth::{Authenticator, Scope},
    session::{
        cookie,
        seal::{Purpose, open},
    },
    signing::SigningKey,
};

/// The name of the cookie.
const NAME: &str = "pisync_shared";

/// A link that a viewer followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// Time of its end.
    pub(super) end: Timestamp,
}

impl Shared {
    /// Returns whether a request has the cookie of a link, valid or not.
    pub(super) fn is_followed(request: &HttpRequest) -> bool {
        cookie::of(request, NAME).is_some()
    }

    /// Returns the link in a request's cookie, if it has not expired and its maker may still read.
    pub(super) fn of(
        key: &SigningKey,
        authenticator: &Authenticator,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Option<Self> {
        Self::by(key, authenticator, cookie::of(request, NAME)?, now)
    }

    /// Returns the link of a credential, if it has not expired and its maker may still read.
    pub(super) fn by(key: &SigningKey, authenticator: &Authenticator, pass: &str, now: Timestamp) -> Option<Self> {
        let opened = open(key, Purpose::Share, pass, now)?;
        authenticator
            .scope_of(opened.key_id)
            .filter(|scope| scope.reaches(Scope::Read))
            .map(|_| Self { end: opened.end })
    }

    /// Returns the header that sets the cookie. Lax: a link is followed from a chat or a mail, which is another
    /// site.
    pub(super) fn cookie(self, request: &HttpRequest, pass: &str, now: Timestamp) -> String {
        cookie::set(request, NAME, pass, self.end.duration_since(now), "Lax")
    }
}
