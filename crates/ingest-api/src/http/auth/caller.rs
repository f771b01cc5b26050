//! Who has called: what a handler may ask about it.

use std::{convert::Infallible, future::Ready, sync::Arc};

use actix_web::{FromRequest, HttpMessage, HttpRequest, dev::Payload};
use pisync_core::models::DeviceId;

use super::{Refusal, Scope, observe_log::ObserveLog};

/// Who has called. A handler takes it as an argument.
#[derive(Debug, Clone)]
pub struct Caller {
    who: Who,
    /// In observe: where to say what would be refused, in place of refusing it.
    observe_log: Option<Arc<ObserveLog>>,
}

#[derive(Debug, Clone)]
enum Who {
    /// No authenticator was passed: the route has no `RequireScope`.
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

    /// The id of the key; nothing where none was needed, and for a device, which is itself.
    pub fn key_id(&self) -> Option<&str> {
        match &self.who {
            Who::Nobody | Who::Anyone | Who::Device(_) => None,
            Who::Key { id, .. } => Some(id),
        }
    }

    /// The device that calls with its own token.
    pub(crate) fn device_id(&self) -> Option<&DeviceId> {
        match &self.who {
            Who::Device(device_id) => Some(device_id),
            Who::Nobody | Who::Anyone | Who::Key { .. } => None,
        }
    }

    /// Whether the caller may report for this device: a device may for itself alone. 401 and 403
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

    /// Where no authenticator was passed, nobody has called, and nobody may do anything.
    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let caller = request.extensions().get::<Self>().cloned();
        std::future::ready(Ok(caller.unwrap_or_else(|| Who::Nobody.into())))
    }
}
