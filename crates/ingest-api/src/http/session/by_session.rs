//! Authenticates a caller by the session of a browser.

use actix_web::{HttpRequest, http::header, web::Data};
use jiff::Timestamp;
use pisync_core::queue::Queue;

use super::{Session, is_begun};
use crate::http::{
    auth::{Auth, Authenticator, Caller, Scope},
    signing::SigningKeys,
};

/// The keys and the queue that sessions are checked with.
#[derive(Debug, Clone)]
pub(crate) struct Sessions {
    keys: SigningKeys,
    queue: Queue,
}

impl Sessions {
    /// Returns sessions that are signed with these keys, and whose ends are in this queue.
    pub(crate) fn new(keys: SigningKeys, queue: Queue) -> Self {
        Self { keys, queue }
    }
}

/// Returns whether a request may be authenticated by a browser's session, which may only read the API.
pub(crate) fn may_be_by_session(request: &HttpRequest, authenticator: &Authenticator) -> bool {
    let reads = request.method().is_safe() && !request.headers().contains_key(header::AUTHORIZATION);
    reads && authenticator.mode() != Auth::Off && is_begun(request)
}

/// Returns the caller of a session. The dashboard's links lead into the API, so a signed-in viewer may read
/// there.
pub(crate) async fn caller_by_session(request: &HttpRequest, authenticator: &Authenticator) -> Option<Caller> {
    let sessions = request.app_data::<Data<Sessions>>()?;
    let session = Session::of(&sessions.keys.key(), request, Timestamp::now())?;
    let scope = authenticator.scope_of(&session.key_id).filter(|scope| scope.reaches(Scope::Read))?;
    // While Redis is not answering, a session may read; here it never does more.
    let is_ended = session.is_ended(&sessions.queue).await.unwrap_or(false);
    (!is_ended).then(|| Caller::key(session.key_id.into(), scope))
}
