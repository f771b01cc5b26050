//! The server between the socket and the routes: bounds on heads, bodies, writes and connections.
//!
//! In reading order: `connection` (one connection's state), `table` (all connections of a thread, and what ends
//! them), `head` (what a head must be), `framing` (where a body ends), `io` (the stream that obeys), `pieces` (an
//! answer in small pieces), `service` (requests in, answers out), `serve` (the server around it).

mod connection;
mod framing;
mod head;
mod io;
mod pieces;
mod serve;
mod service;
mod table;

pub(crate) use self::{connection::Connection, serve::serve, table::Bounds};
