//! The steps to set up the system, and their progress.

use actix_web::{HttpRequest, web::Data};
use jiff::Timestamp;
use pisync_core::presence::{Contact, Liveness};

use super::relative_time::Span;
use crate::http::{
    Site,
    auth::{Auth, Authenticator},
};

/// The part of the first page for new users.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) steps: [Step; 5],
    /// A command that sends a report.
    pub(super) curl: String,
    /// Whether reports need a key.
    pub(super) needs_key: bool,
}

/// A step of the setup.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) is_done: bool,
    /// Its progress, or the instruction.
    pub(super) said: String,
}

impl Setup {
    /// Returns the steps until a device has reported, and a worker and an alerter have run. Returns `None` after
    /// that, or while that is unknown.
    pub(super) fn of(
        request: &HttpRequest,
        liveness: Option<&Liveness>,
        accepted: u64,
        devices: Option<u64>,
    ) -> Option<Self> {
        let (liveness, devices, now) = (liveness?, devices?, Timestamp::now());
        let (worker, alerter) = (liveness.worker_at(now), liveness.alerter_at(now));
        if devices > 0 && worker != Contact::Never && alerter != Contact::Never {
            return None;
        }
        // A new queue has no count of accepted events; a device is proof.
        let is_accepted = accepted > 0 || devices > 0;
        let needs_key = request
            .app_data::<Data<Authenticator>>()
            .is_some_and(|authenticator| authenticator.mode() == Auth::Enforce);
        let link = |path| Site::of(request).map_or_else(|| path_of(path), |site| site.link(request, path));
        let steps = [
            Step::process("A worker stores reports", worker, "Start `queue-worker`."),
            Step::process("An alerter watches", alerter, "Start `alerter`."),
            Step::new(
                "People are notified",
                liveness.receivers > 0,
                if liveness.receivers > 0 {
                    format!("Alerts go to {} receiver{} and the log.", liveness.receivers, s(liveness.receivers))
                } else {
                    "Name receivers in the file of `alerter --config`. Until then alerts go to the alerter's log alone."
                        .into()
                },
            ),
            Step::new(
                "A first report is accepted",
                is_accepted,
                if is_accepted { "It was accepted.".into() } else { "Send one: the command below does.".into() },
            ),
            Step::new(
                "A first device is known",
                devices > 0,
                if devices > 0 {
                    "It is in the list of devices.".into()
                } else {
                    "It appears once a worker has stored its report.".into()
                },
            ),
        ];
        Some(Self { steps, curl: curl(&link("/api/sync-event"), needs_key), needs_key })
    }
}

impl Step {
    fn new(name: &'static str, is_done: bool, said: String) -> Self {
        Self { name, is_done, said }
    }

    fn process(name: &'static str, contact: Contact, what_to_do: &str) -> Self {
        let said = match contact {
            Contact::Alive(age) => format!("Last heartbeat {} ago.", Span(age.as_secs())),
            Contact::Lost(age) => format!("Last heartbeat {} ago. {what_to_do}", Span(age.as_secs())),
            Contact::Never => format!("None has run yet. {what_to_do}"),
        };
        Self::new(name, contact.is_alive(), said)
    }
}

fn s(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

fn path_of(path: &str) -> String {
    format!("http://localhost:8080{path}")
}

/// Returns a shell command that sends a report with the present time.
fn curl(url: &str, needs_key: bool) -> String {
    let key = if needs_key { "  -H \"Authorization: Bearer $PISYNC_KEY\" \\\n" } else { "" };
    format!(
        "curl -sS '{url}' \\\n{key}  -H 'Content-Type: application/json' \\\n  -d '{{\"deviceId\":\"my-first-device\",\
         \"timestamp\":\"'$(date -u +%Y-%m-%dT%H:%M:%SZ)'\",\"totalFilesSynced\":12,\"totalErrors\":0,\"internetSpeed\":8.5}}'"
    )
}
