//! The viewer of a page: a handler with a [`Viewer`] admits readers only.

use actix_web::{FromRequest, HttpRequest, dev::Payload, http::header, web::Data};
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use super::{
    page::{Frame, PageError},
    relative_time::RelativeTime,
    shared_link::Shared,
};
use crate::{
    http::{
        auth::{Auth, Authenticator, Refusal, Scope},
        error::ApiError,
        session::{self, Session},
    },
    state::State,
};

/// A person who may read.
#[derive(Debug, Clone)]
pub(super) struct Viewer {
    /// The session, if any.
    pub(super) session: Option<Session>,
    /// The shared link by which they came, if they have no session.
    pub(super) shared: Option<Shared>,
    /// Whether they may act.
    pub(super) may_operate: bool,
    /// The token of the session's forms.
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

impl Viewer {
    async fn of(request: &HttpRequest) -> Result<Self, PageError> {
        let unset = || PageError::from(ApiError::from(Refusal::NoKey));
        let authenticator = request.app_data::<Data<Authenticator>>().ok_or_else(unset)?;
        let state = request.app_data::<Data<State>>().ok_or_else(unset)?;
        let may_operate = authenticator.mode() == Auth::Off;
        let mut viewer = Self { session: None, shared: None, may_operate, form_token: String::new() };
        if session::is_begun(request) {
            let key = state.signing_keys.key();
            viewer.session = Session::of(&key, request, Timestamp::now());
            viewer.form_token = viewer.session.iter().map(|session| session.form_token(&key)).collect();
        }
        if authenticator.mode() == Auth::Off {
            return Ok(viewer);
        }
        let is_ended = match &viewer.session {
            Some(session) => session.is_ended(&state.queue).await,
            None => Some(false),
        };
        if is_ended == Some(true) {
            viewer.session = None;
        }
        if let Some(scope) = viewer.session.as_ref().and_then(|session| authenticator.scope_of(&session.key_id)) {
            // While Redis cannot say whether the session was ended, it may read, but not act.
            viewer.may_operate = scope.reaches(Scope::Operate) && is_ended.is_some();
            return if scope.reaches(Scope::Read) { Ok(viewer) } else { Err(PageError::sign_in(request)) };
        }
        match authenticator.admit(request, Scope::Read) {
            Ok(_) => {
                viewer.may_operate = authenticator.admit(request, Scope::Operate).is_ok();
                Ok(viewer)
            }
            Err(_) if !request.headers().contains_key(header::AUTHORIZATION) => {
                viewer.shared = Self::shared(request, authenticator, state);
                if viewer.shared.is_some() { Ok(viewer) } else { Err(PageError::sign_in(request)) }
            }
            Err(refusal) => Err(ApiError::from(refusal).into()),
        }
    }

    /// Returns the shared link that they followed, which allows reading only.
    fn shared(request: &HttpRequest, authenticator: &Authenticator, state: &State) -> Option<Shared> {
        if !request.method().is_safe() || !Shared::is_followed(request) {
            return None;
        }
        Shared::of(&state.signing_keys.key(), authenticator, request, Timestamp::now())
    }

    /// Returns the frame of a page with this title and this place in the navigation, for this viewer.
    pub(super) fn frame(&self, title: impl Into<String>, here: &'static str) -> Frame {
        Frame {
            title: title.into(),
            here,
            is_open: true,
            may_operate: self.may_operate,
            is_signed_in: self.key_id().is_some(),
            form_token: self.form_token.clone(),
            shared_until: self.shared.map(|shared| RelativeTime::ahead(shared.end, Timestamp::now())),
        }
    }

    /// Returns the id of their key, if they signed in with one.
    pub(super) fn key_id(&self) -> Option<&str> {
        self.session.as_ref().map(|session| &*session.key_id).filter(|key_id| !key_id.is_empty())
    }

    /// Checks that an action of a form is allowed: by an operator, from a page of this server.
    pub(super) fn may_do(&self, state: &State, token: &str) -> Result<(), PageError> {
        if !self.may_operate {
            return Err(PageError::Forbidden("This needs a key with the scope operate or admin."));
        }
        match &self.session {
            Some(session) if session.is_form_of(&state.signing_keys.key(), token) => Ok(()),
            _ => Err(PageError::Forbidden("The page was too old. Go back, load it again, and try once more.")),
        }
    }
}
