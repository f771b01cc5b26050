//! The first lines of the first page: whether to act, in plain words.
//!
//! The verdict is a list of conditions, the most urgent first: [`CONDITIONS`] has a function for each
//! kind of trouble, in the order of urgency. None knows of another, so none hides another.

use jiff::{SignedDuration, Timestamp};
use pisync_core::{
    models::{Alert, AlertName, Cause, Gap},
    presence::Contact,
};

use super::{
    relative_time::{Span, grouped},
    whole_fleet,
};

/// Age of the oldest event from which the numbers are out of date, in seconds.
const STALLED_SECONDS: i64 = 300;

/// Minimum duration of a downtime that is mentioned, and for how long afterwards.
const AWAY: SignedDuration = SignedDuration::from_mins(5);
const SPOKEN_OF: SignedDuration = SignedDuration::from_hours(24);

/// The known state of the system.
#[derive(Debug, Clone, Default)]
pub(super) struct Situation {
    /// The queue; `None` if Redis does not answer.
    pub(super) queue: Option<QueueState>,
    /// Liveness of the processes; `None` if Redis does not answer.
    pub(super) alive: Option<Alive>,
    /// Open incidents; `None` if `MongoDB` does not answer.
    pub(super) incidents: Option<Incidents>,
    /// Device counts; `None` if they were not available in time.
    pub(super) devices: Option<DeviceTotals>,
    /// The last downtime, if it is recent.
    pub(super) away: Option<Away>,
}

/// The values of the queue that a verdict needs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct QueueState {
    /// Age of the oldest event, in seconds.
    pub(super) oldest_seconds: i64,
    /// Whether an operator has paused the workers.
    pub(super) is_paused: bool,
    pub(super) dead_letters: u64,
}

/// Liveness of the processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Alive {
    pub(super) worker: Contact,
    pub(super) alerter: Contact,
}

/// The number of known, failing and silent devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct DeviceTotals {
    pub(super) known: u64,
    pub(super) failing: u64,
    pub(super) silent: u64,
}

/// A downtime: no report was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Away {
    /// Duration, and time since its end, in seconds.
    lasted: i64,
    ended: i64,
}

/// Open incidents by their cause.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Incidents {
    /// Incidents that are not about a single device.
    pub(super) fleet: Vec<Alert>,
    pub(super) connectivity: u64,
    pub(super) content: u64,
    pub(super) unknown: u64,
    /// Flapping devices, and silent ones.
    pub(super) flapping: u64,
    pub(super) silent: u64,
    /// Whether there are more than were counted.
    pub(super) and_more: bool,
}

/// A problem, with its advice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    /// CSS class: `blind`, `act`, `watch` or `quiet`.
    pub(super) level: &'static str,
    /// A sign that tells the levels apart without colour.
    pub(super) sign: &'static str,
    pub(super) headline: String,
    pub(super) advice: String,
}

/// The most urgent condition, and all others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) first: Condition,
    pub(super) others: Vec<Condition>,
    /// Whether there are open incidents.
    pub(super) has_incidents: bool,
}

/// Each kind of problem, the most urgent first. A new kind is one more function here.
const CONDITIONS: [fn(&Situation) -> Vec<Condition>; 15] = [
    redis_away,
    nobody_is_alerted,
    alerter_unknown,
    mongodb_away,
    fleet_incidents,
    queue_paused,
    no_worker,
    reports_wait,
    device_incidents,
    failing_without_incident,
    devices_unknown,
    pisync_was_away,
    silent_without_incident,
    dead_letters,
    no_device,
];

impl Away {
    /// Returns the last downtime, if it is to be mentioned.
    pub(super) fn last(gaps: &[Gap], now: Timestamp) -> Option<Self> {
        let last = gaps.last().filter(|gap| now.duration_since(gap.to) < SPOKEN_OF)?;
        let lasted = last.to.duration_since(last.from);
        let ended = now.duration_since(last.to).as_secs().max(0);
        (lasted >= AWAY).then_some(Self { lasted: lasted.as_secs(), ended })
    }

    fn said(self) -> String {
        format!(
            "No report was accepted until {} ago. Buffered reports arrive late, and no device is called silent for it.",
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

    /// Returns the sentences about single devices.
    fn said_of_devices(&self) -> Vec<String> {
        let failing = (self.failing() > 0)
            .then(|| format!("Devices that keep failing: {}, at their last notification.", self.causes()));
        let flapping = (self.flapping > 0).then(|| {
            format!("Flapping devices: {} (a connection at its limit, or a full disk?).", grouped(self.flapping))
        });
        let silent = (self.silent > 0).then(|| format!("Silent devices: {}.", grouped(self.silent)));
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

impl Condition {
    fn blind(headline: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: "blind", sign: "?", headline: headline.into(), advice: advice.into() }
    }

    fn act(headline: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: "act", sign: "!", headline: headline.into(), advice: advice.into() }
    }

    fn watch(headline: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { level: "watch", sign: "\u{25d4}", headline: headline.into(), advice: advice.into() }
    }

    fn quiet() -> Self {
        let advice = "Every device that reports syncs, or will soon.";
        Self { level: "quiet", sign: "\u{2713}", headline: "All quiet".into(), advice: advice.into() }
    }
}

impl Situation {
    /// Returns whether no device has ever reported: nobody has to act then.
    fn is_unused(&self) -> bool {
        self.devices.is_some_and(|devices| devices.known == 0)
    }

    fn fleet_incident_of(&self, name: AlertName) -> bool {
        self.incidents.iter().flat_map(|incidents| &incidents.fleet).any(|alert| alert.name == name)
    }
}

impl Verdict {
    /// Returns the verdict on a situation: all conditions that hold, the most urgent first.
    pub(super) fn of(situation: &Situation) -> Self {
        let mut found = CONDITIONS.iter().flat_map(|condition| condition(situation));
        let first = found.next().unwrap_or_else(Condition::quiet);
        let incidents = situation.incidents.as_ref();
        let has_incidents = incidents.is_some_and(|incidents| !incidents.fleet.is_empty() || incidents.devices() > 0);
        Self { first, others: found.collect(), has_incidents }
    }
}

/// Returns the warning that no alerter is running, if so.
pub(super) fn nobody(alerter: Contact) -> Option<String> {
    match alerter {
        Contact::Alive(_) => None,
        Contact::Lost(age) => Some(format!("Nobody is being alerted: no alerter has run for {}", Span(age.as_secs()))),
        Contact::Never => Some("Nobody is being alerted: no alerter has ever run".into()),
    }
}

fn redis_away(situation: &Situation) -> Vec<Condition> {
    let advice = "Devices get a 503 and retry. Check Redis; no accepted report is lost.";
    let is_away = situation.queue.is_none();
    is_away.then(|| Condition::blind("PiSync is blind: Redis is not answering", advice)).into_iter().collect()
}

fn nobody_is_alerted(situation: &Situation) -> Vec<Condition> {
    let headline = situation.alive.and_then(|alive| nobody(alive.alerter));
    let advice = "Start `alerter`, or look at its log: without MongoDB its ticks fail.";
    let say = if situation.is_unused() { Condition::watch } else { Condition::act };
    headline.map(|headline| say(headline, advice)).into_iter().collect()
}

fn alerter_unknown(situation: &Situation) -> Vec<Condition> {
    // If Redis does not answer at all, another condition says so.
    let is_unknown = situation.alive.is_none() && situation.queue.is_some();
    let advice = "Redis did not answer in time. This page retries.";
    is_unknown.then(|| Condition::watch("The state of the alerter is unknown", advice)).into_iter().collect()
}

fn mongodb_away(situation: &Situation) -> Vec<Condition> {
    let advice = "Reports are accepted and wait in the queue. Check MongoDB.";
    let is_away = situation.incidents.is_none();
    is_away.then(|| Condition::blind("PiSync is blind: MongoDB is not answering", advice)).into_iter().collect()
}

fn fleet_incidents(situation: &Situation) -> Vec<Condition> {
    let mut fleet: Vec<_> = situation.incidents.iter().flat_map(|incidents| &incidents.fleet).collect();
    fleet.sort_by_key(|alert| whole_fleet::rank(alert));
    fleet.into_iter().map(|alert| Condition::act(whole_fleet::headline(alert), whole_fleet::advice(alert))).collect()
}

fn queue_paused(situation: &Situation) -> Vec<Condition> {
    let advice = "An operator has paused it, and reports wait. `queue-worker queue resume` resumes it.";
    let is_paused = situation.queue.is_some_and(|queue| queue.is_paused);
    is_paused.then(|| Condition::blind("PiSync is blind: the queue is paused", advice)).into_iter().collect()
}

fn no_worker(situation: &Situation) -> Vec<Condition> {
    let headline = match situation.alive.map(|alive| alive.worker) {
        None | Some(Contact::Alive(_)) => return Vec::new(),
        Some(Contact::Lost(age)) => format!("Nothing is stored: no queue-worker has run for {}", Span(age.as_secs())),
        Some(Contact::Never) => "Nothing is stored: no queue-worker has ever run".into(),
    };
    let say = if situation.is_unused() { Condition::watch } else { Condition::blind };
    vec![say(headline, "Reports are accepted and wait in the queue. Start `queue-worker`, or look at its log.")]
}

fn reports_wait(situation: &Situation) -> Vec<Condition> {
    let oldest = situation.queue.map(|queue| queue.oldest_seconds).filter(|oldest| *oldest > STALLED_SECONDS);
    let say = |oldest| {
        let headline = format!("PiSync is blind: reports have waited for {}", Span(oldest));
        Condition::blind(headline, "The numbers below are as old as that. Check the queue-workers.")
    };
    oldest.map(say).into_iter().collect()
}

fn device_incidents(situation: &Situation) -> Vec<Condition> {
    let Some(incidents) = situation.incidents.as_ref().filter(|incidents| incidents.devices() > 0) else {
        return Vec::new();
    };
    let count = incidents.devices();
    let (more, s) = (if incidents.and_more { " and more" } else { "" }, if count == 1 { "" } else { "s" });
    let headline = format!("{}{more} open incident{s} of single devices", grouped(count));
    vec![Condition::act(headline, incidents.said_of_devices().join(" "))]
}

/// Returns the condition of failing devices without an open incident; none if the fleet has one, which may
/// include them.
fn failing_without_incident(situation: &Situation) -> Vec<Condition> {
    let (Some(devices), Some(incidents)) = (situation.devices, &situation.incidents) else { return Vec::new() };
    if incidents.and_more || situation.fleet_incident_of(AlertName::FLEET_SYNC_FAILING) {
        return Vec::new();
    }
    let count = devices.failing.saturating_sub(incidents.failing() + incidents.flapping);
    if count == 0 {
        return Vec::new();
    }
    let headline = match count {
        1 => "1 device is failing without an open incident".into(),
        count => format!("{} devices are failing without an open incident", grouped(count)),
    };
    let is_watched = situation.alive.is_some_and(|alive| alive.alerter.is_alive());
    vec![if is_watched {
        Condition::watch(
            headline,
            "The next tick of the alerter opens one, unless the newest failed sync is over two hours old or another \
             alert holds it back.",
        )
    } else {
        Condition::act(headline, "No alerter has evaluated them. See the list of failing devices.")
    }]
}

fn devices_unknown(situation: &Situation) -> Vec<Condition> {
    // If a server does not answer at all, another condition says so.
    let is_unknown = situation.devices.is_none() && situation.queue.is_some() && situation.incidents.is_some();
    let advice = "They could not be counted in time. This page retries.";
    is_unknown.then(|| Condition::watch("Device counts are unavailable", advice)).into_iter().collect()
}

fn pisync_was_away(situation: &Situation) -> Vec<Condition> {
    let say = |away: Away| Condition::watch(format!("PiSync was away for {}", Span(away.lasted)), away.said());
    situation.away.map(say).into_iter().collect()
}

/// Returns the condition of silent devices without an open incident.
fn silent_without_incident(situation: &Situation) -> Vec<Condition> {
    let Some(devices) = situation.devices else { return Vec::new() };
    let told = situation.incidents.as_ref().map_or(0, |incidents| incidents.silent);
    let count = devices.silent.saturating_sub(told);
    if count == 0 || situation.fleet_incident_of(AlertName::FLEET_SILENT) {
        return Vec::new();
    }
    let headline = match count {
        1 => "1 device is silent without an open incident".into(),
        count => format!("{} devices are silent without an open incident", grouped(count)),
    };
    vec![Condition::watch(headline, "No report was received from them. See the list of silent devices.")]
}

fn dead_letters(situation: &Situation) -> Vec<Condition> {
    let headline = match situation.queue.map_or(0, |queue| queue.dead_letters) {
        0 => return Vec::new(),
        1 => "1 dead letter".into(),
        count => format!("{} dead letters", grouped(count)),
    };
    vec![Condition::watch(headline, "These reports could not be stored: requeue or purge them.")]
}

fn no_device(situation: &Situation) -> Vec<Condition> {
    let advice = "The steps below show the progress of the setup.";
    situation.is_unused().then(|| Condition::blind("No device has reported yet", advice)).into_iter().collect()
}

#[cfg(test)]
mod tests {
    use pisync_core::models::{FleetStats, Subject};
    use serde_json::Value;

    use super::*;

    fn well() -> Situation {
        let alive = Contact::Alive(SignedDuration::from_secs(5));
        Situation {
            queue: Some(QueueState::default()),
            alive: Some(Alive { worker: alive, alerter: alive }),
            incidents: Some(Incidents::default()),
            devices: Some(DeviceTotals { known: 9, ..DeviceTotals::default() }),
            away: None,
        }
    }

    fn many(name: AlertName, cause: Cause, facts: [(&'static str, Value); 1]) -> Alert {
        let finding = Some(FleetStats::new(200, 1_000).with(facts));
        Alert { cause, finding, ..Alert::new(name, Subject::Fleet, Timestamp::UNIX_EPOCH) }
    }

    fn stalled() -> Alert {
        many(AlertName::PIPELINE_STALLED, Cause::Unknown, [("noWorkerMinutes", 6.into())])
    }

    fn failing() -> Alert {
        many(AlertName::FLEET_SYNC_FAILING, Cause::Content, [("content", 200.into())])
    }

    /// Returns the level and all headlines, in their order.
    fn said(situation: &Situation) -> (&'static str, String) {
        let verdict = Verdict::of(situation);
        let all = [&verdict.first].into_iter().chain(&verdict.others);
        let all = all.map(|condition| format!("{}. {}", condition.headline, condition.advice));
        (verdict.first.level, all.collect::<Vec<_>>().join(" "))
    }

    /// A change of the situation that causes a condition, and the start of its headline.
    type Trouble = (fn(&mut Situation), &'static str);

    fn queue(situation: &mut Situation) -> &mut QueueState {
        situation.queue.get_or_insert_default()
    }

    fn incidents(situation: &mut Situation) -> &mut Incidents {
        situation.incidents.get_or_insert_default()
    }

    fn devices(situation: &mut Situation) -> &mut DeviceTotals {
        situation.devices.get_or_insert_default()
    }

    /// The conditions that can hold at the same time, the most urgent first.
    const TROUBLES: [Trouble; 11] = [
        (
            |of| of.alive.iter_mut().for_each(|alive| alive.alerter = Contact::Lost(SignedDuration::from_secs(240))),
            "Nobody is being alerted: no alerter has run for 4 min.",
        ),
        (|of| incidents(of).fleet.push(stalled()), "Ingestion pipeline stalled"),
        (
            |of| incidents(of).fleet.push(failing()),
            "The fleet is failing: 200 of 1\u{202f}000 devices, most for the content.",
        ),
        (|of| queue(of).is_paused = true, "PiSync is blind: the queue is paused"),
        (
            |of| of.alive.iter_mut().for_each(|alive| alive.worker = Contact::Lost(SignedDuration::from_secs(130))),
            "Nothing is stored: no queue-worker has run for 2 min",
        ),
        (|of| queue(of).oldest_seconds = 301, "PiSync is blind: reports have waited for 5 min"),
        (|of| incidents(of).content = 2, "2 open incidents of single devices"),
        (
            |of| of.away = Some(Away { lasted: 21_600, ended: 60 }),
            "PiSync was away for 6 h. No report was accepted until 60 s ago",
        ),
        (|of| devices(of).silent = 7, "7 devices are silent without an open incident"),
        (|of| queue(of).dead_letters = 1, "1 dead letter"),
        (|of| devices(of).known = 0, "No device has reported yet"),
    ];

    #[test]
    fn no_condition_hides_another() {
        for chosen in 0_u32..1 << TROUBLES.len() {
            let mut situation = well();
            let of_chosen: Vec<_> =
                TROUBLES.iter().enumerate().filter(|(place, _)| chosen & (1 << place) != 0).map(|(_, of)| of).collect();
            for (bring_about, _) in &of_chosen {
                bring_about(&mut situation);
            }
            let (level, said) = said(&situation);
            let mut rest = said.as_str();
            for (_, words) in &of_chosen {
                let place = rest.find(words).unwrap_or_else(|| panic!("{words} is not in its place in: {said}"));
                rest = &rest[place + words.len()..];
            }
            assert_eq!(level == "quiet", of_chosen.is_empty(), "{said}");
        }
    }

    #[test]
    fn every_kind_of_trouble_speaks_up_by_itself() {
        let alone: &[Trouble] = &[
            (|of| of.queue = None, "PiSync is blind: Redis is not answering"),
            (|of| of.alive = None, "The state of the alerter is unknown"),
            (|of| of.incidents = None, "PiSync is blind: MongoDB is not answering"),
            (|of| devices(of).failing = 1, "1 device is failing without an open incident"),
            (|of| of.devices = None, "Device counts are unavailable"),
        ];
        let mut spoken = [false; CONDITIONS.len()];
        for (bring_about, words) in TROUBLES.iter().chain(alone) {
            let mut situation = well();
            bring_about(&mut situation);
            let (_, said) = said(&situation);
            assert!(said.starts_with(words), "{said}");
            for (spoken, condition) in spoken.iter_mut().zip(CONDITIONS) {
                *spoken |= !condition(&situation).is_empty();
            }
        }
        assert_eq!(spoken, [true; CONDITIONS.len()], "a condition has no test");
        assert_eq!(said(&well()).0, "quiet");
    }

    #[test]
    fn failing_devices_never_stand_under_all_quiet() {
        let mut situation = well();
        devices(&mut situation).failing = 100;
        let (level, words) = said(&situation);
        assert!(level == "watch" && words.starts_with("100 devices are failing without an open incident"), "{words}");
        incidents(&mut situation).content = 3;
        let (level, words) = said(&situation);
        assert!(level == "act" && words.contains("97 devices are failing without an open incident"), "{words}");
        situation.alive = Some(Alive { alerter: Contact::Never, worker: Contact::Alive(SignedDuration::ZERO) });
        let (level, words) = said(&situation);
        assert!(level == "act" && words.starts_with("Nobody is being alerted: no alerter has ever run."), "{words}");
        assert!(words.contains("No alerter has evaluated them"), "{words}");
        incidents(&mut situation).fleet.push(failing());
        assert!(!said(&situation).1.contains("failing without"), "the fleet's incident has them");
    }

    #[test]
    fn what_is_wrong_with_many_is_said_before_what_is_with_one_and_where_to_look() {
        let (failing, stalled) = (failing(), stalled());
        let silent = many(AlertName::FLEET_SILENT, Cause::Unknown, [("silentSince", "2026-11-24T10:00:00Z".into())]);
        for (fleet, flapping, words) in [
            (
                vec![failing.clone()],
                0,
                "The fleet is failing: 200 of 1\u{202f}000 devices, most for the content. Their connections are fine",
            ),
            (vec![silent.clone()], 0, "is silent: no report from 200 of 1\u{202f}000 devices. The API accepts"),
            (vec![silent.clone()], 0, "(no report from them since 10:00 UTC)"),
            (vec![silent.clone(), failing.clone()], 3, "most for the content. Their connections"),
            (vec![silent.clone(), failing.clone()], 3, "Flapping devices: 3 ("),
            (vec![silent, failing, stalled], 0, "Ingestion pipeline stalled. Silent devices"),
            (vec![], 3, "3 open incidents of single devices. Flapping devices: 3 ("),
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
        let (level, words) = said(&Situation { away, ..well() });
        assert!(
            level == "watch" && words.starts_with("PiSync was away for 6 h. No report was accepted until 60 min ago"),
            "{words}"
        );
        assert_eq!(Away::last(&[gap], at(21_600 + 24 * hour)), None);
        assert_eq!(Away::last(&[Gap { from: at(0), to: at(299) }], at(300)), None, "a restart");
    }

    #[test]
    fn causes_are_those_that_were_told() {
        let incidents = Some(Incidents { connectivity: 2, content: 1, ..Incidents::default() });
        let (_, said) = said(&Situation { incidents, ..well() });
        let words = "Devices that keep failing: 2 for the connection, 1 for the content, at their last notification.";
        assert!(said.contains(words), "{said}");
    }
}
