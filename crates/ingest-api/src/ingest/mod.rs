//! The two routes of devices: one report, and many at once.

pub(crate) mod batch;
mod bodies;
mod ignored;
mod schema;
pub(crate) mod sync_event;

use actix_web::web::post;

use crate::http::{
    auth::Scope,
    route::{
        Access, Endpoint, Resource,
        tidy::{SYNC_EVENT, SYNC_EVENTS},
    },
};

/// The routes of devices.
pub(crate) const ROUTES: &[Resource] = &[
    Resource::new(SYNC_EVENTS, &[Endpoint::post(Access::Key(Scope::Ingest), || post().to(batch::post))]),
    Resource::new(SYNC_EVENT, &[Endpoint::post(Access::Key(Scope::Ingest), || post().to(sync_event::post))]),
];
