//! The authenticated caller, as a handler receives it.

use std::{convert::Infallible, future::Ready, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use pisync_core::models::DeviceId;

use super::{Refusal, Scope, observe_log::ObserveLog};

/// The authenticated caller. A handler takes it as an argument.
#[derive(Debug, Clone)]
pub struct Caller {
    who: Who,
    /// In observe mode: logs the refusals, which are not enforced.
    observe_log: Option<Arc<ObserveLog>>,
}

#[derive(Debug, Clone)]
enum Who {
    /// No authenticator ran: the route has no `RequireScope`.
    Nobody,
    Anyone,
    Key {
        id: Arc<str>,
        scope: Scope,
    },
    Device(DeviceId),
}

impl Caller {
    pub(super) fn anyone() -> Self {
        Who::Anyone.into()
    }

    pub(crate) fn key(id: Arc<str>, scope: Scope) -> Self {
        Who::Key { id, scope }.into()
    }

    pub(super) fn device(device_id: DeviceId) -> Self {
        Who::Device(device_id).into()
    }

    pub(super) fn observed(self, observe_log: &Arc<ObserveLog>) -> Self {
        Self { observe_log: Some(Arc::clone(observe_log)), ..self }
    }

    /// Returns the id of the key; `None` if no key is required, and for a device, which authenticates as itself.
    pub fn key_id(&self) -> Option<&str> {
        match &self.who {
            Who::Nobody | Who::Anyone | Who::Device(_) => None,
            Who::Key { id, .. } => Some(id),
        }
    }

    /// Returns the device that calls with its own token.
    pub(crate) fn device_id(&self) -> Option<&DeviceId> {
        match &self.who {
            Who::Device(device_id) => Some(device_id),
            Who::Nobody | Who::Anyone | Who::Key { .. } => None,
        }
    }

    /// Checks that the caller may report for this device: a device only for itself. Fails as 401 or 403.
    pub fn may_post_as(&self, device_id: &DeviceId) -> Result<(), Refusal> {
        let refusal = match &self.who {
            Who::Device(own) if own != device_id => {
                Refusal::OtherDevice { token_of: own.clone(), device_id: device_id.clone() }
            }
            Who::Nobody => Refusal::NoKey,
            Who::Anyone | Who::Key { .. } | Who::Device(_) => return Ok(()),
        };
        let Some(observe_log) = &self.observe_log else { return Err(refusal) };
        observe_log.say(&refusal, format_args!("an event"));
        Ok(())
    }

    pub(super) fn reaches(&self, demanded: Scope) -> Result<(), Refusal> {
        let (id, has) = match &self.who {
            Who::Nobody => return Err(Refusal::NoKey),
            Who::Anyone => return Ok(()),
            Who::Key { id, scope } => (&**id, *scope),
            Who::Device(device_id) => (device_id.as_str(), Scope::Ingest),
        };
        if has.reaches(demanded) { Ok(()) } else { Err(Refusal::Scope { id: id.into(), has, demanded }) }
    }
}

impl From<Who> for Caller {
    fn from(who: Who) -> Self {
        Self { who, observe_log: None }
    }
}

impl FromRequest for Caller {
    type Error = Infallible;
    type Future = Ready<Result<Self, Infallible>>;

    /// Returns the caller of the authenticator; without one, `Nobody`, who is refused everything.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        std::future::ready(Ok(caller.unwrap_or_else(|| Who::Nobody.into())))
    }
}
