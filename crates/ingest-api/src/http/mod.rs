//! What stands between the socket and the routes: bounds on heads, bodies, writes and connections.
//!
//! In reading order: [`Budget`] (bytes in flight over all connections), `connection` (one
//! connection's state), `table` (all connections of a thread, and what ends them), `head` (what a head
//! must be), `framing` (where a body ends), `io` (the stream that obeys), `body` (an answer in small pieces),
//! `service` (requests in, answers out), `serve` (the server around it); then [`Site`] (under
//! which addresses the server is reached, and by whom), `perimeter` (what each request passes) and
//! [`Costly`] (a bound on reads that cost much).

mod body;
mod budget;
mod connection;
mod costly;
mod framing;
mod head;
mod io;
mod perimeter;
mod proxies;
mod serve;
mod service;
mod site;
mod table;

pub(crate) use self::{
    budget::{Budget, Overrun, Taken, share},
    connection::{Connection, Why},
    costly::{Costly, Permits},
    perimeter::perimeter,
    serve::{Bounds, serve},
    site::{Site, SiteSettings, root},
};
