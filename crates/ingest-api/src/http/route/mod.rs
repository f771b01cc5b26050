//! A row of the route table, and the paths that it is found by.
//!
//! In reading order: [`Resource`] (a path), [`Endpoint`] (one of its methods, with who may use it), `known_query`
//! (parameters that a route does not take), `require_scope` (who is let through), `head` (answers to `HEAD`), `tidy` (paths written in another way).

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
