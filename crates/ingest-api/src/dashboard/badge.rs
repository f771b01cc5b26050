//! `GET /badge/fleet.svg`: the state of the fleet, small enough for any page.

use actix_web::{HttpResponse, web::Data};
use jiff::Timestamp;
use pisync_core::models::DeviceStatus;

use super::{page::PageError, relative_time::grouped, viewer::Viewer};
use crate::{http::error::ApiError, state::State};

/// Maximum width of a character in pixels, and the padding of a text.
const CHARACTER: usize = 7;
const AROUND: usize = 12;

/// Returns the picture.
pub(super) async fn get(_: Viewer, state: Data<State>) -> Result<HttpResponse, PageError> {
    let alerter = state.fleet.liveness.liveness().await.map_err(ApiError::from)?.alerter_at(Timestamp::now());
    let counts = state.fleet.device_counts().await?.by_status();
    let of = |status| counts.iter().find(|(found, _)| *found == status).map_or(0, |(_, count)| *count);
    let known: u64 = counts.iter().map(|(_, count)| count).sum();
    let (failing, silent) = (of(DeviceStatus::Failing), of(DeviceStatus::Silent));
    let (said, colour) = match (failing, silent) {
        // No alerter runs, so an incident would not be noticed: the badge must not say quiet.
        (0, 0) if !alerter.is_alive() => ("nobody is alerted".into(), "#5f6368"),
        (0, 0) if known == 0 => ("no device".into(), "#5f6368"),
        (0, 0) => ("all quiet".into(), "#1a6b3c"),
        (0, silent) => (format!("{} silent", grouped(silent)), "#5b5470"),
        (failing, 0) => (format!("{} failing", grouped(failing)), "#b3261e"),
        (failing, silent) => (format!("{} failing, {} silent", grouped(failing), grouped(silent)), "#b3261e"),
    };
    Ok(HttpResponse::Ok().content_type("image/svg+xml").body(picture("fleet", &said, colour)))
}

fn picture(label: &str, said: &str, colour: &str) -> String {
    let width = |text: &str| CHARACTER * text.chars().count() + AROUND;
    let (left, right) = (width(label), width(said));
    let (all, label_at, said_at) = (left + right, left / 2, left + right / 2);
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" width="{all}" height="20" role="img" aria-label="{label}: {said}"><title>{label}: {said}</title><rect width="{all}" height="20" rx="3" fill="#444"/><path d="M{left} 0h{right}v20h-{right}z" fill="{colour}"/><g fill="#fff" text-anchor="middle" font-family="Verdana,DejaVu Sans,sans-serif" font-size="11"><text x="{label_at}" y="14">{label}</text><text x="{said_at}" y="14">{said}</text></g></svg>"##
    )
}
