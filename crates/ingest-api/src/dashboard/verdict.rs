//! The first line of the first page: whether to act, in plain words.

use jiff::{SignedDuration, Timestamp};
use pisync_core::models::{Alert, AlertName, Cause, Gap};

use super::{
    moment::{Span, grouped},
    whole_fleet,
};

/// For how long events may wait before the picture is no picture of now.
const STALLED_SECONDS: i64 = 300;

/// How long an absence of ours has to be to be spoken of, and for how long it is.
const AWAY: SignedDuration = SignedDuration::from_mins(5);
const SPOKEN_OF: SignedDuration = SignedDuration::from_hours(24);

/// What is known of the system at this moment.
#[derive(Debug, Clone, Default)]
pub(super) struct Situation {
    /// Seconds that the oldest event has waited; nothing where Redis does not answer.
    pub(super) oldest_seconds: Option<i64>,
    /// Whether a person has told the workers to stop.
    pub(super) is_paused: bool,
    /// Open incidents; nothing where `MongoDB` does not answer.
    pub(super) incidents: Option<Incidents>,
    /// Devices that fail, are silent, or have a clock that is not believed.
    pub(super) failing: u64,
    pub(super) silent: u64,
    pub(super) dead_letters: u64,
    /// The last time that nobody listened, if that is not long ago.
    pub(super) away: Option<Away>,
}

/// A time in which nobody listened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away {
    /// For how long, and how long ago it ended, in seconds.
    lasted: i64,
    ended: i64,
}

/// Open incidents by their cause.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Incidents {
    /// Those of no single device.
    pub(super) fleet: Vec<Alert>,
    pub(super) connectivity: u64,
    pub(super) content: u64,
    pub(super) unknown: u64,
    /// Devices that fail and recover in turn, and those that are silent.
    pub(super) flapping: u64,
    pub(super) silent: u64,
    /// Whether there are more than were counted.
    pub(super) and_more: bool,
}

/// How it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The word for its look: `blind`, `act`, `watch` or `quiet`.
    pub(super) level: &'static str,
    /// A sign that tells them apart without colour.
    pub(super) sign: &'static str,
    /// What is the matter.
    pub(super) headline: String,
    /// What to make of it.
    pub(super) advice: String,
}

impl Away {
    /// The last of these times, where it is to be spoken of.
    pub(super) fn last(gaps: &[Gap], now: Timestamp) -> Option<Self> {
        let last = gaps.last().filter(|gap| now.duration_since(gap.to) < SPOKEN_OF)?;
        let lasted = last.to.duration_since(last.from);
        let ended = now.duration_since(last.to).as_secs().max(0);
        (lasted >= AWAY).then_some(Self { lasted: lasted.as_secs(), ended })
    }

    fn said(self) -> String {
        format!(
            "Nobody listened for {}, until {} ago: what devices kept meanwhile comes late, and none is called silent \
             for it.",
            Span(self.lasted),
            Span(self.ended)
        )
    }
}

impl Incidents {
    pub(super) fn add(&mut self, alert: Alert) {
        match (alert.name, alert.cause) {
            (AlertName::DEVICE_FLAPPING, _) => self.flapping += 1,
            (AlertName::DEVICE_SILENT, _) => self.silent += 1,
            _ if alert.device_id().is_none() => self.fleet.push(alert),
            (_, Cause::Connectivity) => self.connectivity += 1,
            (_, Cause::Content) => self.content += 1,
            (_, Cause::Unknown) => self.unknown += 1,
        }
    }

    fn failing(&self) -> u64 {
        self.connectivity + self.content + self.unknown
    }

    fn devices(&self) -> u64 {
        self.failing() + self.flapping + self.silent
    }

    /// What is said of single devices.
    fn said_of_devices(&self) -> Vec<String> {
        let failing = (self.failing() > 0).then(|| format!("Devices that keep failing: {}.", self.causes()));
        let flapping = (self.flapping > 0).then(|| {
            format!(
                "Devices that fail and recover in turn: {} (is a line at its limit, or a disk full?).",
                grouped(self.flapping)
            )
        });
        let silent = (self.silent > 0).then(|| format!("Devices that are silent: {}.", grouped(self.silent)));
        [failing, flapping, silent].into_iter().flatten().collect()
    }

    fn causes(&self) -> String {
        let of = |count: u64, cause: &str| (count > 0).then(|| format!("{} {cause}", grouped(count)));
        let causes = [
            of(self.connectivity, "for the connection"),
            of(self.content, "for the content"),
            of(self.unknown, "for a cause that is not known"),
        ];
        causes.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

impl Verdict {
    /// The verdict on a situation. What cannot be seen comes first: else a stalled pipeline looks
    /// like a quiet fleet.
    pub(super) fn of(situation: &Situation) -> Self {
        let blind =
            |what: &str, advice: &str| Self::new("blind", "?", format!("PiSync is blind: {what}"), advice.into());
        let Some(oldest) = situation.oldest_seconds else {
            return blind(
                "Redis does not answer",
                "Devices are told to come back. Look after Redis; nothing that was accepted is lost.",
            );
        };
        let Some(incidents) = &situation.incidents else {
            return blind("MongoDB does not answer", "Reports are accepted and wait in the queue. Look after MongoDB.");
        };
        if situation.is_paused {
            return blind("the queue is paused", "Somebody has paused it: `queue-worker queue resume` goes on.");
        }
        if oldest > STALLED_SECONDS {
            let what = format!("reports have waited for {}", Span(oldest));
            return blind(&what, "What is below is as old as that. Look after the queue-workers.");
        }
        Self::seeing(situation, incidents)
    }

    fn seeing(situation: &Situation, incidents: &Incidents) -> Self {
        let away = situation.away.map(Away::said);
        let mut fleet: Vec<_> = incidents.fleet.iter().collect();
        fleet.sort_by_key(|alert| whole_fleet::rank(alert));
        if let Some((first, others)) = fleet.split_first() {
            let others = others.iter().map(|other| format!("{}.", whole_fleet::headline(other)));
            let said = [whole_fleet::advice(first)].into_iter().chain(others).chain(incidents.said_of_devices());
            let said: Vec<_> = said.chain(away).collect();
            return Self::new("act", "!", whole_fleet::headline(first), said.join(" "));
        }
        let count = incidents.devices();
        if count > 0 {
            let (more, s) = (if incidents.and_more { " and more" } else { "" }, if count == 1 { "" } else { "s" });
            let headline = format!("{}{more} open incident{s}", grouped(count));
            let said: Vec<_> = incidents.said_of_devices().into_iter().chain(away).collect();
            return Self::new("act", "!", headline, said.join(" "));
        }
        if let Some(said) = away {
            return Self::new("watch", "\u{25d4}", "No open incident, but PiSync was away".into(), said);
        }
        let said = [
            (situation.failing, "fail without an open incident"),
            (situation.silent, "are silent"),
            (situation.dead_letters, "reports lie among the dead letters"),
        ];
        let said: Vec<_> = said
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", grouped(*count)))
            .collect();
        if said.is_empty() {
            return Self::new(
                "quiet",
                "\u{2713}",
                "All quiet".into(),
                "Every device that reports syncs, or will soon.".into(),
            );
        }
        Self::new("watch", "\u{25d4}", "No open incident".into(), format!("{}.", said.join(", ")))
    }

    fn new(level: &'static str, sign: &'static str, headline: String, advice: String) -> Self {
        Self { level, sign, headline, advice }
    }
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{Finding, Subject};
    use serde_json::Value;

    use super::*;

    fn well() -> Situation {
        Situation { oldest_seconds: Some(0), incidents: Some(Incidents::default()), ..Situation::default() }
    }

    fn said(situation: &Situation) -> (&'static str, String) {
        let verdict = Verdict::of(situation);
        (verdict.level, format!("{}. {}", verdict.headline, verdict.advice))
    }

    #[test]
    fn what_is_wrong_with_many_is_said_before_what_is_with_one_and_where_to_look() {
        let many = |name, cause, facts: [(&'static str, Value); 1]| {
            let finding = Some(Finding::new(200, 1_000).with(facts));
            Alert { cause, finding, ..Alert::new(name, Subject::Fleet, Timestamp::UNIX_EPOCH) }
        };
        let failing = many(AlertName::FLEET_SYNC_FAILING, Cause::Content, [("content", 200.into())]);
        let silent = many(AlertName::FLEET_SILENT, Cause::Unknown, [("silentSince", "2026-11-24T10:00:00Z".into())]);
        let stalled = many(AlertName::PIPELINE_STALLED, Cause::Unknown, [("noWorkerMinutes", 6.into())]);
        for (fleet, flapping, words) in [
            (
                vec![failing.clone()],
                0,
                "The fleet is failing: 200 of 1\u{202f}000 devices, most for the content. Their lines are fine",
            ),
            (vec![silent.clone()], 0, "falls silent: nothing is heard of 200 of 1\u{202f}000 devices. We listen"),
            (vec![silent.clone()], 0, "(nothing was received from them since 10:00 UTC)"),
            (vec![silent.clone(), failing.clone()], 3, "most for the content. Their lines"),
            (
                vec![silent.clone(), failing.clone()],
                3,
                "200 of 1\u{202f}000 devices. Devices that fail and recover in turn: 3 (",
            ),
            (vec![silent, failing, stalled], 0, "PiSync itself does not get reports through. Who is silent"),
            (vec![], 3, "3 open incidents. Devices that fail and recover in turn: 3 ("),
        ] {
            let incidents = Some(Incidents { fleet, flapping, ..Incidents::default() });
            let (level, said) = said(&Situation { incidents, ..well() });
            assert!(level == "act" && said.contains(words), "{said}");
        }
    }

    #[test]
    fn an_absence_of_ours_is_spoken_of_for_a_day() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let (gap, hour) = (Gap { from: at(0), to: at(21_600) }, 3_600);
        let away = Away::last(&[gap], at(21_600 + hour));
        let (level, words) = said(&Situation { away, silent: 7, ..well() });
        assert!(
            level == "watch" && words.contains("but PiSync was away. Nobody listened for 6 h, until 60 min ago"),
            "{words}"
        );
        assert_eq!(Away::last(&[gap], at(21_600 + 24 * hour)), None);
        assert_eq!(Away::last(&[Gap { from: at(0), to: at(299) }], at(300)), None, "a restart");
        let incidents = Some(Incidents { content: 1, ..Incidents::default() });
        let (level, words) = said(&Situation { incidents, away, ..well() });
        assert!(level == "act" && words.ends_with("none is called silent for it."), "{words}");
    }

    #[test]
    fn what_cannot_be_seen_comes_before_what_is_wrong_and_that_before_what_may_be() {
        let incidents = Some(Incidents { connectivity: 2, content: 1, ..Incidents::default() });
        let bad = Situation { incidents, silent: 7, ..well() };
        for (situation, level, words) in [
            (well(), "quiet", "All quiet"),
            (Situation { silent: 7, ..well() }, "watch", "7 are silent"),
            (Situation { dead_letters: 1, ..well() }, "watch", "dead letters"),
            (
                bad.clone(),
                "act",
                "3 open incidents. Devices that keep failing: 2 for the connection, 1 for the content.",
            ),
            (Situation { oldest_seconds: Some(300), ..bad.clone() }, "act", "3 open"),
            (Situation { oldest_seconds: Some(301), ..bad.clone() }, "blind", "waited for 5 min"),
            (Situation { oldest_seconds: None, ..bad.clone() }, "blind", "Redis"),
            (Situation { incidents: None, ..bad.clone() }, "blind", "MongoDB"),
            (Situation { is_paused: true, ..bad }, "blind", "paused"),
        ] {
            let (found, said) = said(&situation);
            assert!(found == level && said.contains(words), "{found}: {said}");
        }
    }
}
