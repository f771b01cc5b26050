//! Access to Redis: the URL, one shared connection, the keys, and the errors.

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
