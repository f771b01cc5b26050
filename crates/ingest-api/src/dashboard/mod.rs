//! The dashboard: pages for people, made on the server, that need no network and hardly a script.
//!
//! In reading order: `viewer` (who looks, by a `session` that `sign_in` begins, or by a link that
//! was made in `share`; both are texts with a `seal`, kept in a `cookie`), `page` (the frame of all
//! pages), `fleet` (with its `verdict`, also of the `whole_fleet`, `states`, `pipeline`, `chart`,
//! `yesterday` to compare with, and `what_changed`), `devices`, `device` (with its `strip` of hours
//! and its `timeline`), `alerts` (`incidents` with the `delivery` of their messages, and those that
//! are `held`), `silences`, `dead_letters`, `badge`; `assets` are the files beside them.

mod alerts;
mod assets;
mod badge;
mod chart;
mod cookie;
mod dead_letters;
mod delivery;
mod device;
mod devices;
mod fleet;
mod held;
mod incidents;
mod moment;
mod page;
mod pipeline;
mod seal;
mod session;
mod share;
mod sign_in;
mod silences;
mod states;
mod strip;
mod timeline;
mod verdict;
mod viewer;
mod what_changed;
mod whole_fleet;
mod yesterday;

pub(crate) use self::viewer::caller_by_session;
pub use self::{assets::Assets, pipeline::Pace, sign_in::Attempts};

use actix_web::web::{FormConfig, ServiceConfig, get, post, resource};

use self::page::PageError;
use crate::{error::ApiError, routes::only};

/// The most bytes of a form.
const FORM_LIMIT: usize = 16 * 1024;

/// Every page. Who takes a [`viewer::Viewer`] is for people who have signed in alone; the others
/// show nothing of the fleet.
pub(crate) fn table(config: &mut ServiceConfig) {
    let bad_form = |error: actix_web::error::UrlencodedError, _: &_| {
        PageError::from(ApiError::malformed(format!("the form cannot be read: {error}"))).into()
    };
    config
        .app_data(FormConfig::default().limit(FORM_LIMIT).error_handler(bad_form))
        .service(resource("/").route(get().to(fleet::get)).default_service(only("GET")))
        .service(resource("/chart/hours.json").route(get().to(chart::get)).default_service(only("GET")))
        .service(resource("/devices").route(get().to(devices::get)).default_service(only("GET")))
        .service(resource("/device").route(get().to(device::get)).default_service(only("GET")))
        .service(
            resource("/alerts")
                .route(get().to(alerts::get))
                .route(post().to(alerts::post))
                .default_service(only("GET, POST")),
        )
        .service(
            resource("/silences")
                .route(get().to(silences::get))
                .route(post().to(silences::post))
                .default_service(only("GET, POST")),
        )
        .service(
            resource("/dead-letters")
                .route(get().to(dead_letters::get))
                .route(post().to(dead_letters::post))
                .default_service(only("GET, POST")),
        )
        .service(
            resource("/share")
                .route(get().to(share::get))
                .route(post().to(share::post))
                .default_service(only("GET, POST")),
        )
        .service(resource("/shared").route(get().to(share::follow)).default_service(only("GET")))
        .service(resource("/badge/fleet.svg").route(get().to(badge::get)).default_service(only("GET")))
        .service(
            resource("/sign-in")
                .route(get().to(sign_in::get))
                .route(post().to(sign_in::post))
                .default_service(only("GET, POST")),
        )
        .service(resource("/sign-out").route(post().to(sign_in::sign_out)).default_service(only("POST")))
        .service(resource("/assets/{file}").route(get().to(assets::get)).default_service(only("GET")));
}
