//! The dashboard: HTML pages rendered on the server, without external resources and with very little script.
//!
//! In reading order: `viewer` (authenticates by a session of `sign_in`, or by a `shared_link` made in `share`),
//! `page` (the frame of all pages) and `form` (what they send), `fleet` (with its `verdict`, also of the
//! `whole_fleet`, the `setup` for new users, `status_counts`, `pipeline`, `chart`, `day_over_day` and
//! `what_changed`), `devices`, `device` (with its `heatmap` and its `timeline`), `alerts` (`incidents` with the
//! `delivery` of their messages, and the `inhibited` ones), `silences`, `dead_letters`, `badge`; `assets` are
//! the static files, `relative_time` formats times.

mod alerts;
mod assets;
mod badge;
mod chart;
mod day_over_day;
mod dead_letters;
mod delivery;
mod device;
mod devices;
mod fleet;
mod form;
mod heatmap;
mod incidents;
mod inhibited;
mod page;
mod pipeline;
mod relative_time;
mod setup;
mod share;
mod shared_link;
mod sign_in;
mod silences;
mod status_counts;
mod timeline;
mod verdict;
mod viewer;
mod what_changed;
mod whole_fleet;

pub use self::{assets::Assets, pipeline::Pace, sign_in::Attempts};

use actix_web::web::post;

use crate::http::{
    Costly,
    route::{Access, Endpoint, Resource, get},
};

/// Every page, in the order of the navigation. A handler with a [`viewer::Viewer`] admits readers only; the
/// others show nothing of the fleet.
pub(crate) const ROUTES: &[Resource] = &[
    Resource::new("/", &[Endpoint::get(Access::Page, || get().to(fleet::get))]).in_navigation("Fleet"),
    Resource::new("/chart/hours.json", &[Endpoint::get(Access::Page, || get().to(chart::get))]),
    Resource::new("/devices", &[Endpoint::get(Access::Page, || get().to(devices::get))]).in_navigation("Devices"),
    Resource::new("/device", &[Endpoint::get(Access::Page, || get().to(device::get))]),
    Resource::new(
        "/alerts",
        &[
            Endpoint::get(Access::Page, || get().to(alerts::get)),
            Endpoint::post(Access::OperatorForm, || post().to(alerts::post)),
        ],
    )
    .in_navigation("Alerts"),
    Resource::new(
        "/silences",
        &[
            Endpoint::get(Access::Page, || get().to(silences::get)).costly(Costly::Computed),
            Endpoint::post(Access::OperatorForm, || post().to(silences::post)),
        ],
    ),
    Resource::new(
        "/dead-letters",
        &[
            Endpoint::get(Access::OperatorPage, || get().to(dead_letters::get)),
            Endpoint::post(Access::OperatorForm, || post().to(dead_letters::post)),
        ],
    )
    .in_navigation("Dead letters"),
    Resource::new(
        "/share",
        &[
            Endpoint::get(Access::OperatorForm, || get().to(share::get)),
            Endpoint::post(Access::OperatorForm, || post().to(share::post)),
        ],
    ),
    Resource::new("/shared", &[Endpoint::get(Access::Everyone, || get().to(share::follow))]),
    Resource::new("/badge/fleet.svg", &[Endpoint::get(Access::Page, || get().to(badge::get))]),
    Resource::new(
        "/sign-in",
        &[
            Endpoint::get(Access::Everyone, || get().to(sign_in::get)),
            Endpoint::post(Access::Everyone, || post().to(sign_in::post)),
        ],
    ),
    Resource::new("/sign-out", &[Endpoint::post(Access::Everyone, || post().to(sign_in::sign_out))]),
    Resource::new("/assets/{file}", &[Endpoint::get(Access::Everyone, || get().to(assets::get))]),
];
