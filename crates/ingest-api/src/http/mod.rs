//! The layers before every route: the server and its limits, authentication, headers, errors and rate limits.
//!
//! In reading order: `server` (connections), [`request_id`] and `perimeter` (layers of each request), `site`
//! (public address and allowed hosts), [`headers`], [`cors`], [`tls`]; `route` (a row of the route table),
//! [`auth`], `session` (with [`cursor`] and [`signing`], which seal), `body` (reads one), [`limits`], `budget`
//! and `costly` (limits over all callers), `reads` (threads for reads that compute); [`error`], `schema` and
//! [`metrics`].

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
