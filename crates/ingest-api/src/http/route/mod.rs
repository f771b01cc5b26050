//! The rows of the route table, and the matching of paths.
//!
//! In reading order: [`Resource`] (a path), [`Endpoint`] (one of its methods, with its access), `known_query`
//! (refuses unknown parameters), `require_scope` (authenticates), `head` (answers `HEAD`), `tidy` (normalises
//! paths).

mod endpoint;
mod head;
mod known_query;
mod require_scope;
mod resource;
pub(crate) mod tidy;

pub use self::{
    endpoint::{Access, Endpoint},
    resource::Resource,
};
pub(crate) use self::{
    head::{get, leave_out},
    tidy::{is_ingest, tidy},
};
