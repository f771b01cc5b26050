//! Who looks at a page: a handler that takes a [`Viewer`] is for those alone who may read.

use actix_web::{
    FromRequest, HttpRequest,
    dev::Payload,
    http::{Method, header},
    web::Data,
};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::{
    page::PageError,
    session::{self, Session},
};
use crate::{
    auth::{Auth, Caller, Gate, Refusal, Scope},
    error::ApiError,
    server::State,
};

/// Somebody who may read.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    /// The session, if one was begun.
    pub(super) session: Option<Session>,
    /// Whether dead letters may be seen and treated.
    pub(super) may_operate: bool,
    /// What a form of the session bears.
    pub(super) form_token: String,
}

impl FromRequest for Viewer {
    type Error = PageError;
    type Future = LocalBoxFuture<'static, Result<Self, PageError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move { Self::of(&request).await })
    }
}

/// Who has signed in to the dashboard may follow its links into the API, and read there.
pub(crate) fn caller_by_session(request: &HttpRequest, gate: &Gate) -> Option<Caller> {
    let reads = request.method() == Method::GET && !request.headers().contains_key(header::AUTHORIZATION);
    let key = request.app_data::<Data<State>>()?.cursor_keys.known().filter(|_| reads)?;
    let session = Session::of(key, request, Timestamp::now())?;
    let scope = gate.scope_of(&session.key_id).filter(|scope| scope.reaches(Scope::Read))?;
    Some(Caller::key(session.key_id.into(), scope))
}

impl Viewer {
    async fn of(request: &HttpRequest) -> Result<Self, PageError> {
        let unset = || PageError::from(ApiError::from(Refusal::NoKey));
        let gate = request.app_data::<Data<Gate>>().ok_or_else(unset)?;
        let state = request.app_data::<Data<State>>().ok_or_else(unset)?;
        let mut viewer = Self { session: None, may_operate: gate.mode() == Auth::Off, form_token: String::new() };
        if session::is_begun(request) {
            match state.cursor_keys.key().await {
                Ok(key) => {
                    viewer.session = Session::of(key, request, Timestamp::now());
                    viewer.form_token = viewer.session.iter().map(|session| session.form_token(key)).collect();
                }
                // Without a gate the pages are shown all the same, and say that Redis is away.
                Err(_) if gate.mode() == Auth::Off => {}
                Err(error) => return Err(ApiError::from(error).into()),
            }
        }
        if gate.mode() == Auth::Off {
            return Ok(viewer);
        }
        if let Some(scope) = viewer.session.as_ref().and_then(|session| gate.scope_of(&session.key_id)) {
            viewer.may_operate = scope.reaches(Scope::Operate);
            return if scope.reaches(Scope::Read) { Ok(viewer) } else { Err(PageError::sign_in(request)) };
        }
        match gate.admit(request, Scope::Read) {
            Ok(_) => {
                viewer.may_operate = gate.admit(request, Scope::Operate).is_ok();
                Ok(viewer)
            }
            Err(_) if !request.headers().contains_key(header::AUTHORIZATION) => Err(PageError::sign_in(request)),
            Err(refusal) => Err(ApiError::from(refusal).into()),
        }
    }

    /// Whether what a form asks for may be done: by an operator, out of a page of ours.
    pub(super) async fn may_do(&self, state: &State, token: &str) -> Result<(), PageError> {
        if !self.may_operate {
            return Err(PageError::Forbidden("This needs a key with the scope operate or admin."));
        }
        let key = state.cursor_keys.key().await.map_err(ApiError::from)?;
        match &self.session {
            Some(session) if session.is_form_of(key, token) => Ok(()),
            _ => Err(PageError::Forbidden("The page was too old. Go back, load it again, and try once more.")),
        }
    }
}
