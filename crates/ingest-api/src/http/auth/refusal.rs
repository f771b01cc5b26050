//! Why a call is not let through.

use std::{fmt, sync::Arc};

use actix_web::http::StatusCode;
use pisync_core::models::DeviceId;

use super::Scope;

/// Why a call is not let through; never with what was presented.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// Nothing was presented. 401
    NoKey,
    /// What was presented is no key and no token, or is revoked. 401
    UnknownKey,
    /// The key may do other things. 403
    Scope {
        /// Id of the key, or the device id of the token.
        id: Arc<str>,
        /// What it may.
        has: Scope,
        /// What the route demands.
        demanded: Scope,
    },
    /// A device speaks for another one. 403
    OtherDevice {
        /// Whose token it is.
        token_of: DeviceId,
        /// What it speaks for.
        device_id: DeviceId,
    },
}

impl Refusal {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NoKey | Self::UnknownKey => StatusCode::UNAUTHORIZED,
            Self::Scope { .. } | Self::OtherDevice { .. } => StatusCode::FORBIDDEN,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoKey => f.write_str("a key is needed: send Authorization: Bearer KEY"),
            Self::UnknownKey => f.write_str("the key is not known or is revoked"),
            Self::Scope { id, has, demanded } => {
                write!(f, "the key {id} has the scope {has}, which does not reach {demanded}")
            }
            Self::OtherDevice { token_of, device_id } => {
                write!(f, "the token is of the device {token_of} and not of {device_id}")
            }
        }
    }
}
