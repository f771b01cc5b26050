//! The server between the socket and the routes, with limits on heads, bodies, writes and connections.
//!
//! In reading order: `connection` (one connection's state), `table` (all connections of a thread, and their
//! timeouts), `head` (checks a head), `framing` (finds the end of a body), `io` (the stream with limits),
//! `pieces` (splits an answer), `service` (passes requests and answers), `serve` (the server around it).

mod connection;
mod framing;
mod head;
mod io;
mod pieces;
mod serve;
mod service;
mod table;

pub(crate) use self::{connection::Connection, serve::serve, table::Bounds};
