//! Reasons why a call is refused.

use std::{fmt, sync::Arc};

use actix_web::http::StatusCode;
use pisync_core::models::DeviceId;

use super::Scope;

/// The reason why a call is refused; never contains the credential.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// No credential was presented. 401
    NoKey,
    /// The credential is malformed, unknown or revoked. 401
    UnknownKey,
    /// The scope of the key does not cover the route. 403
    Scope {
        /// Id of the key, or the device id of the token.
        id: Arc<str>,
        /// Scope of the credential.
        has: Scope,
        /// Scope that the route demands.
        demanded: Scope,
    },
    /// A device reports for another one. 403
    OtherDevice {
        /// The device of the token.
        token_of: DeviceId,
        /// The device in the report.
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
            Self::UnknownKey => f.write_str("the key is unknown or revoked"),
            Self::Scope { id, has, demanded } => {
                write!(f, "the key {id} has the scope {has}, which does not cover {demanded}")
            }
            Self::OtherDevice { token_of, device_id } => {
                write!(f, "the token is of the device {token_of} and not of {device_id}")
            }
        }
    }
}
