//! The way to Redis: what a URL means, one shared connection to it, its keys, and what its errors mean.

mod connection;
mod durability;
mod error;
mod keys;
mod link;
mod speech;
mod unreadable;
pub(crate) mod url;

pub(crate) use self::{connection::Redis, keys::Keys, unreadable::unreadable};
pub use self::{error::QueueError, keys::Partition};
