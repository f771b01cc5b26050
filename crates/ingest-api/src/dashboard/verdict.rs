//! The first line of the first page: whether to act, in plain words.

use super::moment::{Span, grouped};

/// For how long events may wait before the picture is no picture of now.
const STALLED_SECONDS: i64 = 300;

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
}

/// Open incidents by their cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Incidents {
    pub(super) connectivity: u64,
    pub(super) content: u64,
    pub(super) unknown: u64,
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

impl Incidents {
    fn all(self) -> u64 {
        self.connectivity + self.content + self.unknown
    }

    fn causes(self) -> String {
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
        let Some(incidents) = situation.incidents else {
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

    fn seeing(situation: &Situation, incidents: Incidents) -> Self {
        let count = incidents.all();
        if count > 0 {
            let (more, s) = (if incidents.and_more { " and more" } else { "" }, if count == 1 { "" } else { "s" });
            let headline = format!("{}{more} open incident{s}", grouped(count));
            return Self::new("act", "!", headline, format!("Devices that keep failing: {}.", incidents.causes()));
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
    use super::*;

    fn well() -> Situation {
        Situation { oldest_seconds: Some(0), incidents: Some(Incidents::default()), ..Situation::default() }
    }

    fn said(situation: &Situation) -> (&'static str, String) {
        let verdict = Verdict::of(situation);
        (verdict.level, format!("{}. {}", verdict.headline, verdict.advice))
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
