//! Every transition of an incident, and whole stories on a simulated clock.

use std::{collections::BTreeMap, time::Duration};

use pisync_core::models::{Ack, Cause, FleetStats, MessageId, NotificationKind, OutboxEntry};

use super::*;
use crate::{
    fixtures::{failing, second as at},
    notification::Delivery,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;

fn alert(since: i64) -> Alert {
    failing("a", at(since))
}

/// An evaluation, and the reasons that suppress the messages.
type Seen = (Evaluation, Suppression);

fn found(health: Health, alert: Alert) -> Seen {
    (Evaluation::new(alert, health, at(0)), Suppression::default())
}

fn healthy() -> Seen {
    found(Health::Healthy, alert(0))
}

fn healthy_since(second: i64) -> Seen {
    let (evaluation, none) = healthy();
    (Evaluation { healthy_since: at(second), ..evaluation }, none)
}

fn unhealthy() -> Seen {
    unhealthy_since(0)
}

fn unhealthy_since(second: i64) -> Seen {
    found(Health::Unhealthy, alert(second))
}

fn late() -> Seen {
    let (evaluation, none) = unhealthy();
    (Evaluation { is_recent: false, ..evaluation }, none)
}

fn step(before: Option<&Incident>, (evaluation, suppression): &Seen, routes: &[Route], time: i64) -> Option<Incident> {
    next(before, evaluation, suppression, routes, at(time))
}

fn route(receiver: &str) -> Route {
    Route {
        receiver: receiver.into(),
        group: BTreeMap::new(),
        group_wait: Duration::ZERO,
        group_interval: Duration::ZERO,
        repeat_interval: Duration::from_hours(24),
        during: None,
    }
}

fn again() -> Delivery {
    Delivery::Again { after: None, why: "away".into() }
}

fn dead() -> Delivery {
    Delivery::Dead { why: "400".into() }
}

/// One device, its alerter and its receiver.
struct World {
    incident: Option<Incident>,
    /// All incidents before the current one.
    earlier: Vec<Incident>,
    routes: Vec<Route>,
    answer: Delivery,
    delivered: Vec<(i64, NotificationKind)>,
    messages: i32,
}

impl World {
    fn new() -> Self {
        let (incident, answer) = (None, Delivery::Sent);
        Self { incident, earlier: Vec::new(), routes: vec![route("r")], answer, delivered: Vec::new(), messages: 0 }
    }

    fn incident(&self) -> &Incident {
        self.incident.as_ref().unwrap()
    }

    /// Evaluates at this time.
    fn evaluate(&mut self, seen: &Seen, second: i64) -> &mut Self {
        if let Some(after) = step(self.incident.as_ref(), seen, &self.routes, second) {
            let before = self.incident.replace(after);
            self.earlier.extend(before.filter(|before| before.alert.id != self.incident().alert.id));
        }
        assert_eq!(
            step(self.incident.as_ref(), seen, &self.routes, second),
            None,
            "a second evaluation changes nothing"
        );
        self
    }

    fn claim(&mut self, second: i64) -> Option<(MessageId, i32)> {
        let incident = self.incident.as_mut()?;
        let entry = incident.outbox.first_mut().filter(|entry| entry.next_at <= at(second))?;
        self.messages += 1;
        let fresh = MessageId::from_stored(self.messages.to_string());
        let message = entry.message.get_or_insert(fresh).clone();
        entry.lease_until = Some(at(second + 30));
        entry.attempts += 1;
        Some((message, entry.attempts))
    }

    fn conclude(&mut self, message: &MessageId, attempts: i32, second: i64) {
        let telling = |entry: &&OutboxEntry| entry.message.as_ref() == Some(message);
        let telling = self.incident().outbox.iter().find(telling).map(|entry| entry.kind);
        let next_at = at(second).saturating_add(wait(attempts, &self.answer, 0.0)).unwrap();
        let trigger = Trigger { message, delivery: &self.answer, now: at(second), next_at };
        let after = delivered(self.incident(), &trigger);
        if self.answer == Delivery::Sent {
            self.delivered.extend(telling.map(|telling| (second, telling)));
        }
        self.incident = Some(after);
    }

    /// Sends the due messages.
    fn send(&mut self, second: i64) -> &mut Self {
        while let Some((message, attempts)) = self.claim(second) {
            self.conclude(&message, attempts, second);
        }
        self
    }

    /// Runs a tick: evaluates and sends.
    fn tick(&mut self, seen: &Seen, second: i64) -> &mut Self {
        self.evaluate(seen, second).send(second)
    }

    fn tellings(&self) -> Vec<NotificationKind> {
        self.delivered.iter().map(|(_, telling)| *telling).collect()
    }

    fn waiting(&self) -> Vec<NotificationKind> {
        self.incident().outbox.iter().map(|entry| entry.kind).collect()
    }
}

use AlertState::{Firing, Resolved};
use NotificationKind::{Firing as Began, Repeat, Resolved as Ended};

/// A step of a story, at a minute.
enum Step<'a> {
    /// An evaluation, then the due messages are sent.
    Tick(i64, &'a Seen),
    /// An evaluation alone.
    Evaluate(i64, &'a Seen),
}

/// Returns the world after these steps.
fn story(steps: &[Step<'_>]) -> World {
    let mut world = World::new();
    for step in steps {
        match step {
            Step::Tick(minute, seen) => world.tick(seen, minute * MINUTE),
            Step::Evaluate(minute, seen) => world.evaluate(seen, minute * MINUTE),
        };
    }
    world
}

/// Returns the sent messages, by the minute.
fn sent(world: &World) -> Vec<(i64, NotificationKind)> {
    world.delivered.iter().map(|(second, telling)| (second / MINUTE, *telling)).collect()
}

#[test]
fn what_is_said_follows_from_what_was_said() {
    use Step::{Evaluate, Tick};
    let (bad, good, late, again, news) =
        (&unhealthy(), &healthy(), &late(), &unhealthy_since(60), &unhealthy_since(HOUR));
    let (one, both, day) = (&[(0, Began)][..], &[(0, Began), (1, Ended)][..], 2 + 24 * 60);
    for (steps, said, state, since) in [
        (&[Tick(0, good), Tick(1, late)][..], &[][..], None, 0),
        (&[Tick(0, bad), Tick(1, bad)], one, Some(Firing), 0),
        (&[Tick(0, bad), Tick(1, good), Tick(2, good)], both, Some(Resolved), 0),
        // Its device falls silent.
        (&[Tick(0, bad), Tick(180, late)], one, Some(Firing), 0),
        // A failure that returns before its end was notified has not ended for anyone.
        (&[Tick(0, bad), Evaluate(1, good), Tick(2, bad), Tick(3, good)], &[(0, Began), (3, Ended)], Some(Resolved), 0),
        // A failure that returns within half an hour is the same incident, and no news.
        (&[Tick(0, bad), Tick(1, good), Tick(31, again)], both, Some(Firing), 0),
        (&[Tick(0, bad), Tick(1, good), Tick(31, again), Tick(60, good)], both, Some(Resolved), 0),
        // Later it is another incident, even with the same start: late rows can take a run below the threshold
        // and back.
        (&[Tick(0, bad), Tick(1, good), Tick(32, news)], &[both[0], both[1], (32, Began)], Some(Firing), 60),
        (&[Tick(0, bad), Tick(1, good), Tick(60, bad)], &[both[0], both[1], (60, Began)], Some(Firing), 0),
        // A returned failure that lasts is repeated, and its end notified.
        (&[Tick(0, bad), Tick(1, good), Tick(2, bad), Tick(day - 1, bad)], both, Some(Firing), 0),
        (
            &[Tick(0, bad), Tick(1, good), Tick(2, bad), Tick(day, bad), Tick(day + 60, good)],
            &[both[0], both[1], (day, Repeat), (day + 60, Ended)],
            Some(Resolved),
            0,
        ),
        (&[Tick(0, bad), Tick(1, good), Tick(2, late)], both, Some(Resolved), 0),
    ] {
        let world = story(steps);
        assert_eq!(sent(&world), said);
        let of =
            |incident: &Incident| (incident.alert.state, incident.alert.starts_at, incident.alert.ends_at.is_some());
        let expected = state.map(|state| (state, at(since * MINUTE), state == Resolved));
        assert_eq!(world.incident.as_ref().map(of), expected);
        assert_eq!(world.earlier.len(), usize::from(since > 0), "another incident");
    }
}

/// The three reasons to hold a message back, and their traces in the incident.
#[test]
fn what_is_held_back_is_told_when_it_is_not_any_more_if_it_is_still_so() {
    use Step::{Evaluate, Tick};
    let (bad, good, id, day) = (&unhealthy(), &healthy(), AlertId::from_bytes([7; 12]), 25 * 60);
    for suppression in [
        Suppression { silenced_by: vec![id], ..Suppression::default() },
        Suppression { inhibited_by: Some(id), ..Suppression::default() },
        Suppression { flapping: true, ..Suppression::default() },
    ] {
        let held = &(bad.0.clone(), suppression);
        let world = story(&[Tick(0, held)]);
        let Incident { silenced_by, inhibited_by, flapping, .. } = world.incident().clone();
        assert_eq!(
            (Suppression { silenced_by, inhibited_by, flapping }, world.incident().alert.state),
            (held.1.clone(), Firing)
        );
        assert_eq!(story(&[Evaluate(0, bad), Evaluate(1, held)]).waiting(), [], "it had not left yet");
        for (steps, said) in [
            (&[Tick(0, held)][..], &[][..]),
            (&[Tick(0, held), Tick(1, bad)], &[(1, Began)]),
            (&[Tick(0, held), Tick(1, good)], &[]),
            // No repeat, and the end for the receivers that were notified.
            (&[Tick(0, bad), Tick(day, held), Tick(day + 1, good)], &[(0, Began), (day + 1, Ended)]),
        ] {
            assert_eq!(sent(&story(steps)), said);
        }
    }
}

#[test]
fn what_was_over_before_anyone_heard_of_it_is_not_told_at_all() {
    let mut world = World::new();
    world.answer = again();
    world.tick(&unhealthy(), 0).evaluate(&healthy(), 60);
    assert_eq!(world.waiting(), []);
    world.answer = Delivery::Sent;
    world.send(3_600);
    assert_eq!(world.delivered, []);
}

#[test]
fn what_is_over_while_it_is_being_told_is_told_afterwards_if_it_was_told() {
    for (answer, tellings) in [(Delivery::Sent, vec![Began, Ended]), (again(), vec![]), (dead(), vec![])] {
        let mut world = World::new();
        let (message, attempts) = world.evaluate(&unhealthy(), 0).claim(0).unwrap();
        world.evaluate(&healthy(), 10);
        assert_eq!(world.waiting(), [Began, Ended]);
        world.answer = answer;
        world.conclude(&message, attempts, 20);
        world.answer = Delivery::Sent;
        world.send(3_600);
        assert_eq!(world.tellings(), tellings);
    }
}

/// A sender that died may have sent it.
#[test]
fn a_message_whose_sender_died_is_sent_again_by_its_name() {
    let mut world = World::new();
    let (first, _) = world.evaluate(&unhealthy(), 0).claim(0).unwrap();
    let (second, attempts) = world.evaluate(&healthy(), 60).claim(90).unwrap();
    assert_eq!((&second, attempts), (&first, 2));
    world.conclude(&second, attempts, 91);
    world.send(92);
    assert_eq!(world.tellings(), [Began, Ended]);
}

#[test]
fn an_incident_that_someone_took_on_is_not_repeated_and_its_end_is_told() {
    let mut world = World::new();
    world.tick(&unhealthy(), 0);
    let ack = Ack { by: "me".into(), comment: "on it".into(), at: at(60) };
    world.incident.as_mut().unwrap().acked = Some(ack.clone());
    for hour in 1..100 {
        world.tick(&unhealthy(), hour * HOUR);
    }
    assert_eq!((world.delivered.len(), &world.incident().acked), (1, &Some(ack)));
    world.tick(&healthy(), 100 * HOUR);
    assert_eq!(world.tellings(), [Began, Ended]);
}

#[test]
fn each_receiver_is_told_by_itself_and_by_its_own_waits() {
    let mut world = World::new();
    let people = Route { group_wait: Duration::from_mins(2), ..route("people") };
    world.routes = vec![route("log"), people];
    world.evaluate(&unhealthy(), 0);
    let due: Vec<_> = world.incident().outbox.iter().map(|entry| (entry.receiver.as_str(), entry.next_at)).collect();
    assert_eq!(due, [("log", at(0)), ("people", at(120))]);
    world.send(0).tick(&healthy(), 60);
    assert_eq!(world.tellings(), [Began, Ended], "the log alone has heard of it");
    // A receiver that was removed from the config is notified of the end nevertheless.
    let mut world = World::new();
    world.tick(&unhealthy(), 0);
    world.routes = vec![];
    world.tick(&healthy(), 60);
    assert_eq!(world.tellings(), [Began, Ended]);
}

#[test]
fn waits_double_from_5_s_to_15_minutes_and_a_receiver_may_ask_for_longer() {
    let seconds = |attempts, delivery: &Delivery, jitter| wait(attempts, delivery, jitter).as_secs();
    let plain: Vec<_> = (1..=10).map(|attempts| seconds(attempts, &again(), 0.0)).collect();
    assert_eq!(plain, [5, 10, 20, 40, 80, 160, 320, 640, 900, 900]);
    assert_eq!(seconds(9, &again(), 1.0), 450);
    let asks = |seconds| Delivery::Again { after: Some(Duration::from_secs(seconds)), why: String::new() };
    assert_eq!((seconds(1, &asks(60), 0.0), seconds(9, &asks(60), 0.0)), (60, 900));
    assert_eq!(seconds(1, &asks(1_000_000), 0.0), 3_600);
}

#[test]
fn a_message_that_will_never_be_taken_is_dead_at_once_and_one_that_is_not_in_a_day_then() {
    let mut world = World::new();
    world.answer = dead();
    world.tick(&unhealthy(), 0);
    assert_eq!((world.waiting(), world.incident().dead.len()), (vec![], 1));
    assert_eq!(world.incident().dead[0].dead.as_ref().unwrap().why, "400");
    world.answer = Delivery::Sent;
    world.tick(&unhealthy(), 24 * HOUR - 1);
    assert_eq!(world.delivered, []);
    world.tick(&unhealthy(), 24 * HOUR).tick(&healthy(), 25 * HOUR);
    assert_eq!(world.tellings(), [Began, Ended], "it is tried again when a repeat would be due");

    let mut world = World::new();
    world.answer = again();
    for minute in 0..=24 * 60 + 15 {
        world.tick(&unhealthy(), minute * MINUTE);
    }
    let attempts = world.incident().dead[0].attempts;
    assert_eq!((world.incident().dead.len(), world.waiting()), (1, vec![]));
    assert!((100..=110).contains(&attempts), "{attempts}");
}

/// A receiver is away for 3 hours. Meanwhile some devices fail and recover, and some keep failing.
#[test]
fn when_a_receiver_is_back_all_that_is_still_true_is_told_and_nothing_that_was_over_unseen() {
    let (good, bad) = (healthy(), unhealthy());
    for (ends, tellings) in [(None, vec![Began]), (Some(2 * HOUR), vec![]), (Some(4 * HOUR), vec![Began, Ended])] {
        let mut world = World::new();
        for minute in 0..6 * 60 {
            let second = minute * MINUTE;
            world.answer = if second < 3 * HOUR { again() } else { Delivery::Sent };
            let is_over = ends.is_some_and(|end| second >= end);
            world.tick(if is_over { &good } else { &bad }, second);
        }
        assert_eq!(world.tellings(), tellings, "{ends:?}");
        let in_time = world.delivered.first().is_none_or(|(second, _)| *second <= 3 * HOUR + 16 * MINUTE);
        assert!(in_time, "{:?}", world.delivered);
    }
}

#[test]
fn a_device_that_fails_for_a_week_is_told_once_a_day() {
    let (mut world, bad) = (World::new(), unhealthy());
    for minute in 0..7 * 24 * 60 {
        world.tick(&bad, minute * MINUTE);
    }
    world.tick(&healthy(), 7 * 24 * HOUR);
    let expected: Vec<_> = [(0, Began)]
        .into_iter()
        .chain((1..7).map(|day| (day * 24 * HOUR, Repeat)))
        .chain([(7 * 24 * HOUR, Ended)])
        .collect();
    assert_eq!(world.delivered, expected);
}

#[test]
fn a_repeat_tells_how_it_is_by_then() {
    let mut worse = alert(0);
    (worse.failure_count, worse.cause) = (30, Cause::Unknown);
    let worse = found(Health::Unhealthy, worse);
    let mut world = World::new();
    world.tick(&unhealthy(), 0).tick(&worse, HOUR);
    assert_ne!(world.incident().alert.failure_count, 30, "nobody is told, and nothing is written");
    world.tick(&worse, 24 * HOUR);
    assert_eq!((world.tellings().len(), world.incident().alert.failure_count), (2, 30));
    assert_eq!(world.incident().alert.cause, Cause::Unknown);
}

/// A failure and a recovery every few minutes or quarters of an hour, for two days.
#[test]
fn a_device_that_alternates_for_two_days_is_two_messages_at_the_most() {
    let good = healthy();
    for period in [1, 5, 15, 29, 30] {
        let mut world = World::new();
        for minute in 0..48 * 60 {
            let back = unhealthy_since(minute / period * period * MINUTE);
            let is_wrong = minute / period % 2 == 0;
            world.tick(if is_wrong { &back } else { &good }, minute * MINUTE);
        }
        assert!(world.delivered.len() <= 2, "{period}: {:?}", world.delivered);
        assert_eq!((world.tellings()[0], world.earlier.len()), (Began, 0));
    }
}

#[test]
fn what_is_healthy_is_resolved_at_once_or_after_a_while_and_since_it_was_healthy() {
    let clears_after = SignedDuration::from_mins(30);
    let clearing = |health, second| {
        let (evaluation, none) = healthy_since(second);
        (Evaluation { health, clears_after, ..evaluation }, none)
    };
    let well = |second| clearing(Health::Healthy, second);
    let mut incident = step(None, &unhealthy(), &[], 0).unwrap();
    let over = step(Some(&incident), &healthy_since(50), &[], 60).unwrap();
    assert_eq!((over.is_open(), over.alert.ends_at), (false, Some(at(50))));
    assert_eq!(step(Some(&over), &healthy(), &[], 120), None, "it stays so");
    assert_eq!(step(Some(&incident), &clearing(Health::Unknown, 30), &[], 30), None, "all stays as it is");
    incident = step(Some(&incident), &well(60), &[], 60).unwrap();
    assert_eq!((incident.is_open(), incident.well_since), (true, Some(at(60))));
    assert_eq!(step(Some(&incident), &well(120), &[], 120), None, "it waits");
    let again = step(Some(&incident), &unhealthy(), &[], 180).unwrap();
    assert_eq!((again.is_open(), again.well_since), (true, None), "from the beginning");
    for health in [Health::Healthy, Health::Unknown] {
        let over = step(Some(&incident), &clearing(health, 60 + 30 * MINUTE), &[], 60 + 30 * MINUTE).unwrap();
        assert_eq!((over.is_open(), over.alert.ends_at, over.well_since), (false, Some(at(60)), None));
    }
}

#[test]
fn what_is_found_of_many_devices_follows_them_and_stays_while_nothing_is_known() {
    let of = |part, health| found(health, Alert { finding: Some(FleetStats::new(part, 100)), ..alert(0) });
    let incident = step(None, &of(5, Health::Unhealthy), &[], 0).unwrap();
    let later = step(Some(&incident), &of(20, Health::Unhealthy), &[], 60).unwrap();
    assert_eq!(later.alert.finding.as_ref().unwrap().part, 20);
    assert_eq!(later.alert.id, incident.alert.id);
    assert_eq!(step(Some(&later), &of(1, Health::Unknown), &[], 120), None);
}
