//! `FleetSilent`, of the fleet as a whole and of its parts by the labels that the config names.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertId, AlertName, Finding, Subject},
    queue::Signs,
    store::{KeptIncident, StoreError},
};

use super::{
    Fleet, Judged,
    observed::{is_open, note},
    presence::Unseen,
};
use crate::rules::{
    fleet_silent::{Presence, Reach},
    verdict::Verdict,
};

/// From where a look is taken.
#[derive(Debug, Clone, Copy)]
struct View {
    now: Timestamp,
    reach: Reach,
    /// Whether an API is alive.
    listens: bool,
    /// The alert that the pipeline stalls. Nobody knows who is silent meanwhile: it holds back what
    /// is said of that.
    stalled: Option<AlertId>,
}

impl Fleet {
    /// Looks at the whole, and then at the parts, which the alert of the whole holds back.
    pub(super) async fn look_at_silence(&self, signs: &Signs, now: Timestamp) -> Result<(), StoreError> {
        let rules = self.receivers.rules();
        let reach = rules.fleet_silent.reach(&signs.listening, now);
        let listens = rules.pipeline_stalled.listens(signs.ingest, now);
        let view = View { now, reach, listens, stalled: self.stalled().await? };
        let Some(whole) = note("who is absent", self.presence(reach).await) else { return Ok(()) };
        let alert = Alert::new(AlertName::FleetSilent, Subject::Fleet, now);
        let before = self.last(alert.own_fingerprint(), now).await?;
        self.say_silence(&view, Subject::Fleet, before, Some(whole), view.stalled).await?;
        Box::pin(self.look_at_silent_parts(&view, whole.absent)).await
    }

    /// The parts that are too silent, and those that were at the last look; `absent` is how many are
    /// absent of the whole.
    async fn look_at_silent_parts(&self, view: &View, absent: u64) -> Result<(), StoreError> {
        let rules = self.receivers.rules();
        let mut known = self.known_parts(AlertName::FleetSilent, view.now).await?;
        let open: BTreeSet<_> =
            known.iter().filter(|(_, kept)| kept.incident.is_open()).map(|(scope, _)| scope).cloned().collect();
        let is_asked = view.listens && !rules.fleet_by.is_empty();
        let may_begin = is_asked && absent >= rules.fleet_silent.limits().at_least;
        if open.is_empty() && !may_begin {
            return Ok(());
        }
        let mut parts = if is_asked {
            match Box::pin(self.presence_of_parts(view.reach, &open, view.now)).await {
                Ok(parts) => parts,
                Err(Unseen::Store(error)) => return Err(error),
                Err(Unseen::Queue(error)) => {
                    log::warn!(error:% = error; "who is absent of the parts is not known: they are not looked at");
                    return Ok(());
                }
            }
        } else {
            BTreeMap::new()
        };
        let by = view.stalled.or(self.open_of(AlertName::FleetSilent).await?);
        for scope in parts.keys().cloned().chain(open).collect::<BTreeSet<_>>() {
            let (before, presence) = (known.remove(&scope), parts.remove(&scope));
            self.say_silence(view, Subject::Scope(scope), before, presence, by).await?;
        }
        Ok(())
    }

    /// Brings the alert of the whole or of a part into line with how many are absent, where that is
    /// known.
    async fn say_silence(
        &self,
        view: &View,
        subject: Subject,
        before: Option<KeptIncident>,
        presence: Option<Presence>,
        inhibited_by: Option<AlertId>,
    ) -> Result<(), StoreError> {
        let verdict = self.judge_silence(view, &subject, is_open(before.as_ref()), presence);
        // When they fell silent, which was some time ago.
        let mut alert = Alert::new(AlertName::FleetSilent, subject, view.reach.absent_since);
        alert.finding = presence.map(|presence| finding(presence, view.reach));
        let judged = Judged { alert, verdict, clears_after: SignedDuration::ZERO, inhibited_by, follows: None };
        self.settle(before, judged, view.now).await
    }

    fn judge_silence(&self, view: &View, subject: &Subject, is_open: bool, presence: Option<Presence>) -> Verdict {
        let rules = self.receivers.rules();
        match (subject, presence) {
            // The config names it no more.
            (Subject::Scope(scope), _) if !rules.fleet_by.contains(&scope.label) => Verdict::Well,
            _ if !view.listens => Verdict::Unknown,
            // Nobody is expected there any more.
            (Subject::Scope(_), Some(Presence { expected: 0, .. })) => Verdict::Well,
            (_, presence) => presence.map_or(Verdict::Unknown, |presence| rules.fleet_silent.judge(is_open, presence)),
        }
    }
}

fn finding(presence: Presence, reach: Reach) -> Finding {
    let since = reach.absent_since.strftime("%H:%M UTC");
    Finding {
        part: presence.absent,
        whole: presence.expected,
        detail: Some(format!("nothing was received from them since {since}")),
        changed: Vec::new(),
        named: Vec::new(),
    }
}
