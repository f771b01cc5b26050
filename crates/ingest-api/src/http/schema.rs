//! Schemas that several routes share in the `OpenAPI` document.

use serde::Serialize;
use utoipa::ToSchema;

/// The name of a device, as stored.
#[derive(Serialize, ToSchema)]
#[schema(min_length = 1, max_length = 2_048, format = "device-id", example = "pibook-1")]
pub(crate) struct DeviceName(String);
