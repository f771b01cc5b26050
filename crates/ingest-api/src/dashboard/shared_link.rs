//! A link that was shared, as its follower shows it: sealed in a cookie, until its end.

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

/// The name of the cookie that a link leaves.
const NAME: &str = "pisync_shared";

/// A link that a viewer has followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shared {
    /// When it ends.
    pub(super) end: Timestamp,
}

impl Shared {
    /// Whether a request bears the cookie of a link at all.
    pub(super) fn is_followed(request: &HttpRequest) -> bool {
        cookie::of(request, NAME).is_some()
    }

    /// By the cookie of a request, if a link left it that is not over, whose maker may still read.
    pub(super) fn of(
        key: &SigningKey,
        authenticator: &Authenticator,
        request: &HttpRequest,
        now: Timestamp,
    ) -> Option<Self> {
        Self::by(key, authenticator, cookie::of(request, NAME)?, now)
    }

    /// By what a link says, if it is not over and its maker may still read.
    pub(super) fn by(key: &SigningKey, authenticator: &Authenticator, pass: &str, now: Timestamp) -> Option<Self> {
        let opened = open(key, Purpose::Share, pass, now)?;
        authenticator
            .scope_of(opened.key_id)
            .filter(|scope| scope.reaches(Scope::Read))
            .map(|_| Self { end: opened.end })
    }

    /// Returns the header that leaves its cookie. Lax: a link is followed out of a chat or a mail, which is another
    /// site.
    pub(super) fn cookie(self, request: &HttpRequest, pass: &str, now: Timestamp) -> String {
        cookie::set(request, NAME, pass, self.end.duration_since(now), "Lax")
    }
}
