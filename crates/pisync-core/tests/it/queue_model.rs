//! The queue's scripts against a model of a few lines, on a real Redis.
//!
//! For any actions of workers, in any order: every message is in exactly one of ready, batch, dead or acknowledged;
//! epochs only rise; a lost lease changes nothing, and one that a person removed blocks nothing.

use std::{collections::VecDeque, time::Duration};

use pisync_core::{
    models::{DeadLetter, Reason},
    queue::{BatchId, Claim, Lease, LeaseState, Partition, Queue},
};
use proptest::{prelude::*, test_runner::TestRunner};
use testkit::TestEnv;

/// Long enough to last through a case, and short enough to expire after [`OVER`].
const LEASES: [Duration; 2] = [Duration::from_mins(10), Duration::from_millis(1)];
const OVER: Duration = Duration::from_millis(4);
const LIMIT: u64 = 12;

#[derive(Debug, Clone)]
enum Step {
    Push(usize),
    Claim { worker: usize, max: usize, short: bool, again: bool },
    Extend { worker: usize },
    Ack { worker: usize, dead: usize },
    Release { worker: usize },
    Note { worker: usize, cursor: usize },
    Pause,
    Resume,
    RemoveLease,
}

fn step() -> impl Strategy<Value = Step> {
    let worker = 0..3_usize;
    prop_oneof![
        4 => (1..6_usize).prop_map(Step::Push),
        6 => (worker.clone(), 1..5_usize, any::<bool>(), any::<bool>())
            .prop_map(|(worker, max, short, again)| Step::Claim { worker, max, short, again }),
        2 => worker.clone().prop_map(|worker| Step::Extend { worker }),
        4 => (worker.clone(), 0..2_usize).prop_map(|(worker, dead)| Step::Ack { worker, dead }),
        2 => worker.clone().prop_map(|worker| Step::Release { worker }),
        1 => (worker, 0..5_usize).prop_map(|(worker, cursor)| Step::Note { worker, cursor }),
        1 => Just(Step::Pause),
        2 => Just(Step::Resume),
        1 => Just(Step::RemoveLease),
    ]
}

/// The batch in flight.
#[derive(Debug, Clone)]
struct InFlight {
    lease: Lease,
    attempt: u32,
    cursor: Option<usize>,
    messages: Vec<Vec<u8>>,
    live: bool,
}

#[derive(Debug, Default)]
struct Model {
    next: u32,
    ready: VecDeque<Vec<u8>>,
    batch: Option<InFlight>,
    dead: usize,
    acked: usize,
    paused: bool,
    /// Each worker's believed lease, and the batch id of its claim.
    held: [Option<(Lease, BatchId)>; 3],
}

struct Case {
    env: TestEnv,
    queue: Queue,
    partition: Partition,
    model: Model,
}

impl Case {
    async fn play(&mut self, step: &Step) {
        match *step {
            Step::Push(count) => self.push(count).await,
            Step::Claim { worker, max, short, again } => self.claim(worker, max, short, again).await,
            Step::Extend { worker } => self.extend(worker).await,
            Step::Ack { worker, dead } => self.ack(worker, dead).await,
            Step::Release { worker } => self.release(worker).await,
            Step::Note { worker, cursor } => self.note(worker, cursor).await,
            Step::Pause => {
                self.queue.pause().await.unwrap();
                self.model.paused = true;
            }
            Step::Resume => {
                self.queue.resume().await.unwrap();
                self.model.paused = false;
            }
            Step::RemoveLease => self.remove_lease().await,
        }
        self.compare().await;
    }

    async fn push(&mut self, count: usize) {
        let model = &mut self.model;
        let messages: Vec<_> = (0..count).map(|i| format!("m{}", model.next as usize + i).into_bytes()).collect();
        model.next += u32::try_from(count).unwrap();
        let fits = count.min(usize::try_from(LIMIT).unwrap().saturating_sub(model.ready.len()));
        let pushed = self.queue.push(self.partition, &messages, LIMIT).await.unwrap();
        assert_eq!(pushed.accepted, fits);
        model.ready.extend(messages.into_iter().take(fits));
        assert_eq!(pushed.depth, model.ready.len() as u64);
    }

    async fn claim(&mut self, worker: usize, max: usize, short: bool, again: bool) {
        let (owner, time) = (format!("worker-{worker}"), LEASES[usize::from(short)]);
        // A repeated claim, as after a lost reply: with the id of the last claim.
        let name = self.model.held[worker].as_ref().filter(|_| again).map_or_else(BatchId::new, |held| held.1.clone());
        let found = self.queue.claim(self.partition, &name, &owner, max, time).await.unwrap();
        testkit::pass(if short { OVER } else { Duration::ZERO }).await;
        let same = self.model.batch.as_ref().is_some_and(|batch| {
            let ours = self.model.held[worker].as_ref().is_some_and(|(lease, _)| lease == &batch.lease);
            batch.live && batch.lease.batch == name && ours
        });
        let model = &mut self.model;
        if same {
            Self::is(&found, model.batch.as_ref().unwrap());
            return;
        }
        if model.paused {
            assert!(matches!(found, Claim::Paused), "{found:?}");
        } else if let Some(batch) = model.batch.as_mut() {
            if batch.live {
                assert!(matches!(found, Claim::Busy { .. }), "{found:?}");
                return;
            }
            if batch.lease.epoch == 0 {
                batch.lease.batch = name.clone();
            }
            batch.lease.epoch += 1;
            batch.attempt += 1;
            batch.live = !short;
            Self::is(&found, batch);
            model.held[worker] = Some((batch.lease.clone(), name));
        } else if model.ready.is_empty() {
            assert!(matches!(found, Claim::Empty), "{found:?}");
        } else {
            let messages: Vec<_> = model.ready.drain(..max.min(model.ready.len())).collect();
            let lease = Lease { partition: self.partition, batch: name.clone(), epoch: 1 };
            let batch = InFlight { lease, attempt: 1, cursor: None, messages, live: !short };
            Self::is(&found, &batch);
            model.held[worker] = Some((batch.lease.clone(), name));
            model.batch = Some(batch);
        }
    }

    fn is(found: &Claim, batch: &InFlight) {
        let Claim::Batch(found) = found else { panic!("{found:?} is not {batch:?}") };
        assert_eq!(
            (&found.lease, found.attempt, found.cursor, &found.messages),
            (&batch.lease, batch.attempt, batch.cursor, &batch.messages)
        );
    }

    /// Returns a worker's lease, and whether the queue must agree.
    fn holding(&self, worker: usize) -> Option<(Lease, LeaseState)> {
        let (lease, _) = self.model.held[worker].clone()?;
        let held = self.model.batch.as_ref().is_some_and(|batch| batch.lease == lease);
        Some((lease, if held { LeaseState::Held } else { LeaseState::Lost }))
    }

    async fn extend(&mut self, worker: usize) {
        let Some((lease, expected)) = self.holding(worker) else { return };
        assert_eq!(self.queue.extend(&lease, LEASES[0]).await.unwrap(), expected);
        if expected == LeaseState::Held {
            self.model.batch.as_mut().unwrap().live = true;
        }
    }

    async fn ack(&mut self, worker: usize, dead: usize) {
        let Some((lease, expected)) = self.holding(worker) else { return };
        let letter = |i| DeadLetter::new(format!("{i}"), Reason::Malformed, String::new(), 1, b"m".to_vec());
        let size = self.model.batch.as_ref().map_or(0, |batch| batch.messages.len());
        let letters: Vec<_> = (0..dead.min(size)).map(letter).collect();
        assert_eq!(self.queue.ack(&lease, &letters).await.unwrap(), expected);
        if expected == LeaseState::Held {
            self.model.batch = None;
            self.model.dead += letters.len();
            self.model.acked += size - letters.len();
        }
    }

    async fn release(&mut self, worker: usize) {
        let Some((lease, expected)) = self.holding(worker) else { return };
        assert_eq!(self.queue.release(&lease).await.unwrap(), expected);
        if let (LeaseState::Held, Some(batch)) = (expected, self.model.batch.as_mut()) {
            batch.live = false;
            batch.attempt -= 1;
            batch.lease.epoch += 1;
        }
    }

    async fn note(&mut self, worker: usize, cursor: usize) {
        let Some((lease, expected)) = self.holding(worker) else { return };
        assert_eq!(self.queue.note_cursor(&lease, cursor).await.unwrap(), expected);
        if expected == LeaseState::Held {
            self.model.batch.as_mut().unwrap().cursor = Some(cursor);
        }
    }

    /// A person removes the wrong key.
    async fn remove_lease(&mut self) {
        self.env.redis(&["DEL", &format!("{{}}:{{q:{:02}}}:lease", self.partition.number())]).await;
        if let Some(batch) = self.model.batch.as_mut() {
            (batch.live, batch.lease.batch) = (false, BatchId::new());
            (batch.lease.epoch, batch.attempt, batch.cursor) = (0, 0, None);
        }
    }

    async fn compare(&self) {
        let (status, model) = (self.queue.status(self.partition).await.unwrap(), &self.model);
        let in_flight = model.batch.as_ref().map_or(0, |batch| batch.messages.len());
        assert_eq!(
            (status.ready, status.in_flight(), status.dead, status.paused),
            (model.ready.len() as u64, in_flight as u64, model.dead as u64, model.paused)
        );
        assert_eq!(status.batch.is_some(), model.batch.is_some());
        let pushed = model.ready.len() + in_flight + model.dead + model.acked;
        assert_eq!((status.total("pushed"), status.total("acked")), (pushed as u64, model.acked as u64));
    }
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let mut runner = TestRunner::new(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() });
    runner
        .run(&prop::collection::vec(step(), 1..40), |steps| {
            runtime.block_on(async {
                let env = TestEnv::new();
                let queue = env.queue();
                let partition = queue.partitions().next().unwrap();
                let mut case = Case { env, queue, partition, model: Model::default() };
                for step in &steps {
                    case.play(step).await;
                }
                case.env.queue().remove().await.unwrap();
            });
            Ok(())
        })
        .unwrap();
}

#[tokio::test]
async fn a_lease_that_no_worker_was_given_holds_nothing_up() {
    let env = TestEnv::new();
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    let key = format!("{{}}:{{q:{:02}}}:lease", partition.number());
    let _ = queue.push(partition, &[b"m".to_vec()], LIMIT).await.unwrap();
    let claim = queue.claim(partition, &BatchId::new(), "a", 10, LEASES[0]).await.unwrap();
    let Claim::Batch(mut held) = claim else { panic!("{claim:?}") };
    // Redis' clock was ahead and is right again, or a person wrote it.
    for (field, value) in [
        ("ends", "9999999999999"),
        ("ends", "soon"),
        ("epoch", "soon"),
        ("epoch", "1e300"),
        ("epoch", "-7"),
        ("attempt", "often"),
        ("attempt", "-7"),
    ] {
        env.redis(&["HSET", &key, "ends", "0", field, value]).await;
        let claim = queue.claim(partition, &BatchId::new(), "b", 10, LEASES[0]).await.unwrap();
        let Claim::Batch(found) = claim else { panic!("{field}: {claim:?}") };
        assert_eq!(found.messages, held.messages, "{field}");
        assert_eq!(queue.extend(&held.lease, LEASES[0]).await.unwrap(), LeaseState::Lost, "{field}");
        held = found;
    }
    assert_eq!(queue.ack(&held.lease, &[]).await.unwrap(), LeaseState::Held);
    env.finish().await;
}

#[tokio::test]
async fn twenty_workers_race_for_one_expired_batch_and_one_gets_it() {
    let env = TestEnv::new();
    let queue = env.queue();
    let partition = queue.partitions().next().unwrap();
    let _ = queue.push(partition, &[b"m".to_vec()], LIMIT).await.unwrap();
    let _ = queue.claim(partition, &BatchId::new(), "dead", 10, LEASES[1]).await.unwrap();
    testkit::pass(OVER).await;
    let racers = (0..20).map(|i| {
        let queue = env.queue();
        tokio::spawn(async move { queue.claim(partition, &BatchId::new(), &format!("w{i}"), 10, LEASES[0]).await })
    });
    let mut got = Vec::new();
    for racer in racers.collect::<Vec<_>>() {
        if let Claim::Batch(batch) = racer.await.unwrap().unwrap() {
            got.push(batch);
        }
    }
    assert_eq!(got.len(), 1);
    assert_eq!((got[0].lease.epoch, got[0].attempt), (2, 2));
    assert_eq!(queue.ack(&got[0].lease, &[]).await.unwrap(), LeaseState::Held);
    env.finish().await;
}
