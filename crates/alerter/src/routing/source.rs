//! Reads the routing file, at the start and again on SIGHUP.

use std::path::PathBuf;

use pisync_core::settings;
use tokio::signal::unix::{SignalKind, signal};

use super::{Routing, RoutingFile};

/// Returns the config of the file at `path`, or the default without a path. An invalid file ends the process
/// with status 2.
pub fn open(path: Option<&PathBuf>) -> RoutingFile {
    let Some(path) = path else { return RoutingFile::default() };
    RoutingFile::read(path)
        .unwrap_or_else(|problems| settings::reject(format_args!("--config (PISYNC_ALERT_CONFIG):\n{problems:#}")))
}

/// Reopens the alert log and reloads the file on each SIGHUP. An invalid file leaves the old config in force.
///
/// Fails if the process may not install signal handlers.
pub fn read_again_on_hangup(path: Option<PathBuf>, routing: Routing) -> std::io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match routing.log.reopen() {
                Ok(()) => log::info!(what = "alert log"; "opened again"),
                Err(error) => log::error!(what = "alert log", error:% = error; "not reopened, the old one stays open"),
            }
            let Some(path) = &path else {
                log::info!(what = "alert config"; "no file to reload");
                continue;
            };
            match RoutingFile::read(path) {
                Ok(config) => {
                    routing.replace(config);
                    log::info!(what = "alert config"; "reloaded");
                }
                Err(problems) => {
                    log::error!(what = "alert config", error:% = format!("{problems:#}"); "not reloaded, the old one stays in force");
                }
            }
        }
    });
    Ok(())
}
