//! What stands before every route: the server and its bounds, who may call, headers, errors and limits.
//!
//! In reading order: `server` (connections), [`request_id`] and `perimeter` (what each request passes),
//! `site` (under which addresses the server is reached), [`headers`], [`cors`], [`tls`]; `route` (a row of the
//! route table), [`auth`], `session` (with [`cursor`] and [`signing`], which seal), `body` (reading one),
//! [`limits`], `budget` and `costly` (bounds over all callers), `reads` (threads for what computes);
//! [`error`], `schema` and [`metrics`].

pub mod auth;
pub(crate) mod body;
mod budget;
pub mod cors;
mod costly;
pub mod cursor;
pub mod error;
pub mod headers;
pub mod limits;
pub mod metrics;
mod perimeter;
mod proxies;
pub(crate) mod reads;
pub mod request_id;
pub mod route;
pub(crate) mod schema;
pub(crate) mod server;
pub(crate) mod session;
pub mod signing;
mod site;
pub mod tls;

pub(crate) use self::{
    budget::{Budget, Overrun, Taken, share},
    costly::{Costly, Permits},
    perimeter::perimeter,
    site::{Site, SiteSettings, root},
};
