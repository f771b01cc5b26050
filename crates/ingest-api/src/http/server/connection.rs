//! The state of one connection, shared by its stream, its requests and the table.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::head::Fault;
use crate::http::{
    budget::{Budget, Taken},
    metrics::CloseReason,
};

/// Timeout of a request's head, from its first byte. Also the timeout of a connection's first byte.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Timeout of a stalled write. The kernel reports room again once a third of its buffer is free, so this
/// requires about 1.5 kB/s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time for a client to hang up after a refusal.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(3);

/// Maximum size of a head, in bytes.
pub(super) const HEAD_LIMIT: usize = 20 * 1024;

/// Heads up to this size are counted with the connection, longer ones against the budget.
const HEAD_FREE: usize = 4 * 1024;

/// Maximum number of body bytes that are read ahead of the handler.
const AHEAD: usize = 32 * 1024;

/// Maximum number of body bytes in one read.
const STEP: usize = 8 * 1024;

/// A connection. All its parts stay on one thread.
#[derive(Debug)]
pub(crate) struct Connection {
    opened: Instant,
    budget: Budget,
    bounds: bool,
    /// Whether a request is in flight: its head was handed over, its answer was not.
    handling: Cell<bool>,
    /// Whether the handler has the request.
    is_dispatched: Cell<bool>,
    /// Whether the connection had an answer before.
    was_answered: Cell<bool>,
    /// Whether the body of that request has not ended.
    body_open: Cell<bool>,
    /// Start of the present state: the last request or the last answer.
    since: Cell<Instant>,
    /// Start of the head that is being read.
    head_since: Cell<Option<Instant>>,
    head_bytes: Cell<usize>,
    head_budget: RefCell<Option<Taken>>,
    /// Number of body bytes that were read and not taken.
    ahead: Cell<usize>,
    /// Start of the write that is stalled.
    stalled: Cell<Option<Instant>>,
    refused: Cell<Option<Instant>>,
    /// Whether the head timed out: the stream answers so and hangs up.
    expired: Cell<bool>,
    killed: Cell<bool>,
    why: Cell<Option<CloseReason>>,
    is_blocked: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    killer: RefCell<Option<Waker>>,
}

/// The kind of bytes that the stream may read next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// A head.
    Head,
    /// At most this many bytes of a body.
    Body(usize),
    /// The rest of a body without a reader.
    Left,
    /// Nothing, before the answer is sent or a part of the body is taken.
    Later,
}

/// A client that timed out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Overdue {
    /// It is sending a head, and gets an answer.
    Head,
    /// It sent nothing to answer.
    All,
}

impl Connection {
    pub(super) fn new(budget: Budget, bounds: bool) -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            budget,
            bounds,
            handling: Cell::new(false),
            is_dispatched: Cell::new(false),
            was_answered: Cell::new(false),
            body_open: Cell::new(false),
            since: Cell::new(now),
            head_since: Cell::default(),
            head_bytes: Cell::default(),
            head_budget: RefCell::default(),
            ahead: Cell::default(),
            stalled: Cell::default(),
            refused: Cell::default(),
            expired: Cell::default(),
            killed: Cell::default(),
            why: Cell::default(),
            is_blocked: Cell::default(),
            reader: RefCell::default(),
            killer: RefCell::default(),
        }
    }

    /// Begins a request: its head was read completely.
    pub(super) fn begin(&self, has_body: bool, now: Instant) {
        self.handling.set(true);
        self.is_dispatched.set(false);
        self.body_open.set(has_body);
        self.since.set(now);
        self.head_since.set(None);
        self.head_bytes.set(0);
        self.ahead.set(0);
        self.head_budget.take();
    }

    /// Marks the request as passed to its handler.
    pub(super) fn dispatched(&self) {
        self.is_dispatched.set(true);
    }

    /// Marks the request as answered completely; waits for the next head.
    pub(super) fn answered(&self) {
        self.handling.set(false);
        self.was_answered.set(true);
        self.since.set(Instant::now());
        self.resume();
    }

    /// Records that the handler took some bytes of the body.
    pub(crate) fn took(&self, bytes: usize) {
        self.ahead.set(self.ahead.get().saturating_sub(bytes));
        self.resume();
    }

    /// Marks the body as ended.
    pub(crate) fn body_ended(&self) {
        self.body_open.set(false);
    }

    /// Returns whether the body of the request has not ended.
    pub(super) fn has_open_body(&self) -> bool {
        self.body_open.get()
    }

    /// Returns whether the connection has limits.
    pub(super) fn has_bounds(&self) -> bool {
        self.bounds
    }

    /// Returns the bytes that may be read next.
    pub(super) fn phase(&self) -> Phase {
        match (self.handling.get(), self.body_open.get()) {
            (true, true) => match AHEAD.saturating_sub(self.ahead.get()) {
                0 => Phase::Later,
                room => Phase::Body(room.min(STEP)),
            },
            (true, false) => Phase::Later,
            (false, true) => Phase::Left,
            (false, false) => Phase::Head,
        }
    }

    /// Records a read of the body.
    pub(super) fn read(&self, bytes: usize) {
        self.ahead.set(self.ahead.get() + bytes);
    }

    /// Records the length of a head that is being read. Fails if it is too long, or if the budget is exhausted.
    pub(super) fn read_head(&self, length: usize, now: Instant) -> Result<(), Fault> {
        if self.head_since.get().is_none() {
            self.head_since.set(Some(now));
        }
        self.head_bytes.set(length);
        if length > HEAD_LIMIT {
            return Err(Fault::TOO_LONG);
        }
        if length > HEAD_FREE && self.head_budget.borrow().is_none() {
            let mut taken = self.budget.of_nobody();
            taken.take(2 * HEAD_LIMIT).map_err(|_| Fault::NO_ROOM)?;
            self.head_budget.replace(Some(taken));
        }
        Ok(())
    }

    /// Lets the stream answer that the head timed out.
    pub(super) fn expire(&self) {
        self.expired.set(true);
        self.refuse(CloseReason::Slow);
        if let Some(waker) = self.killer.take() {
            waker.wake();
        }
    }

    pub(super) fn is_expired(&self) -> bool {
        self.expired.get()
    }

    /// Returns whether an earlier write is still blocked.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled.get().is_some()
    }

    /// Lets the stream answer by itself and hang up.
    pub(super) fn refuse(&self, why: CloseReason) {
        self.note(why);
        if self.refused.get().is_none() {
            self.refused.set(Some(Instant::now()));
        }
    }

    /// Wakes the task of `context` once it may read again.
    pub(super) fn block(&self, context: &Context<'_>) {
        self.is_blocked.set(true);
        self.reader.replace(Some(context.waker().clone()));
    }

    fn resume(&self) {
        if self.is_blocked.replace(false)
            && let Some(waker) = self.reader.take()
        {
            waker.wake();
        }
    }

    /// Records whether the last write was accepted.
    pub(super) fn wrote(&self, was_taken: bool) {
        if was_taken {
            self.stalled.set(None);
        } else if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now()));
        }
    }

    /// Returns whether the client timed out, and how.
    pub(super) fn overdue(&self, now: Instant, keep_alive: Duration) -> Option<Overdue> {
        let is_longer = |since: Instant, than| now.saturating_duration_since(since) > than;
        let is_over = |since: Option<Instant>, than| since.is_some_and(|since| is_longer(since, than));
        if is_over(self.stalled.get(), WRITE_TIMEOUT) || is_over(self.refused.get(), REFUSED_TIMEOUT) {
            return Some(Overdue::All);
        }
        if self.refused.get().is_some() || (self.handling.get() && self.is_dispatched.get()) {
            return None;
        }
        if let Some(since) = self.head_since.get() {
            return is_longer(since, HEAD_TIMEOUT).then_some(Overdue::Head);
        }
        let rest = if self.was_answered.get() && !self.handling.get() { keep_alive } else { HEAD_TIMEOUT };
        is_longer(self.since.get(), rest).then_some(Overdue::All)
    }

    /// Returns the time since which it waits for its client, if it does.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        if self.killed.get() {
            return None;
        }
        let waits = !self.handling.get() || !self.is_dispatched.get() || self.body_open.get();
        self.stalled.get().or_else(|| waits.then(|| self.since.get()))
    }

    /// Returns whether it is idle between requests.
    pub(super) fn is_at_rest(&self) -> bool {
        self.was_answered.get() && !self.handling.get() && self.head_since.get().is_none()
    }

    /// Returns the time at which it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Closes it and cancels its request.
    pub(super) fn kill(&self, why: CloseReason) {
        self.note(why);
        self.killed.set(true);
        if let Some(waker) = self.killer.take() {
            waker.wake();
        }
    }

    /// Returns the reason why the server closed it.
    pub(super) fn why(&self) -> Option<CloseReason> {
        self.why.get()
    }

    /// The first reason counts.
    fn note(&self, why: CloseReason) {
        self.why.set(self.why.get().or(Some(why)));
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Ready once the connection is to be closed.
    pub(super) fn poll_killed(&self, context: &Context<'_>) -> Poll<()> {
        if self.killed.get() {
            return Poll::Ready(());
        }
        let mut killer = self.killer.borrow_mut();
        if !killer.as_ref().is_some_and(|waker| waker.will_wake(context.waker())) {
            *killer = Some(context.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP_ALIVE: Duration = Duration::from_secs(75);

    fn connection() -> Connection {
        Connection::new(Budget::new(3 * HEAD_LIMIT), true)
    }

    #[test]
    fn each_head_has_its_time_and_a_connection_at_rest_another() {
        let connection = connection();
        let overdue = |seconds| connection.overdue(Instant::now() + Duration::from_secs(seconds), KEEP_ALIVE);
        assert_eq!([overdue(19), overdue(21)], [None, Some(Overdue::All)], "nothing was ever sent");
        for _ in 0..3 {
            connection.read_head(5, Instant::now()).unwrap();
            assert_eq!([overdue(19), overdue(21)], [None, Some(Overdue::Head)]);
            connection.begin(false, Instant::now());
            assert_eq!(overdue(21), Some(Overdue::All), "nobody has it");
            connection.dispatched();
            assert_eq!(overdue(3_600), None, "a handler has its own deadlines");
            connection.answered();
            assert_eq!([overdue(74), overdue(76)], [None, Some(Overdue::All)]);
        }
        connection.expire();
        assert_eq!([overdue(2), overdue(4)], [None, Some(Overdue::All)], "time to see why");
    }

    #[test]
    fn who_takes_nothing_is_overdue_whatever_the_connection_does() {
        let connection = connection();
        let overdue = || connection.overdue(Instant::now() + Duration::from_secs(31), KEEP_ALIVE);
        connection.begin(false, Instant::now());
        connection.dispatched();
        connection.wrote(false);
        assert_eq!(overdue(), Some(Overdue::All));
        connection.wrote(true);
        assert_eq!(overdue(), None);
    }

    #[test]
    fn a_head_is_read_up_to_its_limit_and_within_the_budget() {
        let one = connection();
        let others: Vec<_> = (0..2).map(|_| Connection::new(one.budget.clone(), true)).collect();
        assert_eq!(one.phase(), Phase::Head);
        assert_eq!(one.read_head(HEAD_LIMIT, Instant::now()), Ok(()));
        assert_eq!(one.read_head(HEAD_LIMIT + 1, Instant::now()), Err(Fault::TOO_LONG));
        assert_eq!(others[0].read_head(HEAD_FREE, Instant::now()), Ok(()), "short ones need no room");
        assert_eq!(
            others[0].read_head(HEAD_FREE + 1, Instant::now()),
            Err(Fault::NO_ROOM),
            "the first one holds the budget"
        );
        one.begin(false, Instant::now());
        assert_eq!(others[1].read_head(HEAD_FREE + 1, Instant::now()), Ok(()));
    }

    #[test]
    fn a_body_is_read_as_far_as_it_is_taken_and_nothing_behind_it() {
        let connection = connection();
        connection.begin(true, Instant::now());
        while let Phase::Body(room) = connection.phase() {
            connection.read(room);
        }
        assert_eq!((connection.ahead.get(), connection.phase()), (AHEAD, Phase::Later));
        connection.took(10);
        assert_eq!(connection.phase(), Phase::Body(10));
        connection.answered();
        assert_eq!(connection.phase(), Phase::Left);
        connection.begin(true, Instant::now());
        connection.body_ended();
        assert_eq!(connection.phase(), Phase::Later);
        connection.answered();
        assert_eq!(connection.phase(), Phase::Head);
    }
}
