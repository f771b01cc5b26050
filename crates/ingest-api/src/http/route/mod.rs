//! A row of the route table, and the paths that it is found by.

mod known_query;
mod resource;
pub(crate) mod tidy;

pub use self::resource::{Access, Endpoint, Resource};
pub(crate) use self::{
    resource::{get, leave_out},
    tidy::{is_ingest, tidy},
};
