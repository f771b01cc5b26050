//! The state of one connection, shared by its stream, its requests and the table of connections.

use std::{
    cell::{Cell, RefCell},
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use super::{
    budget::{Budget, Taken},
    head::LineEnds,
};

/// How long the head of a request may take from its first byte on; the framework answers 408 to
/// the first head of a connection after the same time, so this is a little later.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
const HEAD_SLACK: Duration = Duration::from_secs(1);

/// How long a client may take nothing of what is sent to it. The kernel says that there is room
/// again when a third of its buffer is free, so this asks for about 1.5 kB/s.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a client may take to hang up after it was refused.
const REFUSED_TIMEOUT: Duration = Duration::from_secs(3);

/// The most bytes of a head.
pub(super) const HEAD_LIMIT: usize = 20 * 1024;

/// Heads up to this size are counted with the connection, longer ones against the budget.
const HEAD_FREE: usize = 4 * 1024;

/// How many bytes of a body may be read before its handler has taken them.
const AHEAD: usize = 32 * 1024;

/// How many bytes are read before the framework looks at them: a pipelining client is not to fill
/// the memory with parsed heads.
const QUANTUM: usize = 2 * 1024;

/// A connection. Everything in it belongs to one thread.
#[derive(Debug)]
pub(crate) struct Connection {
    opened: Instant,
    budget: Budget,
    bounds: bool,
    /// Whether a request is with its handler, or its answer under way.
    handling: Cell<bool>,
    /// Whether it has had an answer.
    was_answered: Cell<bool>,
    /// Whether the body of that request has not come to its end.
    body_open: Cell<bool>,
    /// When the present state began: the last request or the last answer.
    since: Cell<Instant>,
    /// When the head that is being read began.
    head_since: Cell<Option<Instant>>,
    head_bytes: Cell<usize>,
    head_budget: RefCell<Option<Taken>>,
    line_ends: RefCell<LineEnds>,
    /// Bytes that were read since the framework last looked.
    quantum: Cell<usize>,
    /// Bytes of the body that were read and not taken.
    ahead: Cell<usize>,
    /// Since when nothing could be written.
    stalled: Cell<Option<Instant>>,
    refused: Cell<Option<Instant>>,
    killed: Cell<bool>,
    is_blocked: Cell<bool>,
    reader: RefCell<Option<Waker>>,
    killer: RefCell<Option<Waker>>,
}

/// What the stream may read now.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Allowed {
    /// So many bytes.
    Bytes(usize),
    /// Nothing before the framework has looked at what it has.
    AfterLook,
    /// Nothing before the answer is under way, or the body was taken.
    Later,
}

/// Why a head is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    TooLong,
    BareLineFeed,
    NoRoom,
}

impl Connection {
    pub(super) fn new(budget: Budget, bounds: bool) -> Self {
        let now = Instant::now();
        Self {
            opened: now,
            budget,
            bounds,
            handling: Cell::new(false),
            was_answered: Cell::new(false),
            body_open: Cell::new(false),
            since: Cell::new(now),
            head_since: Cell::default(),
            head_bytes: Cell::default(),
            head_budget: RefCell::default(),
            line_ends: RefCell::default(),
            quantum: Cell::default(),
            ahead: Cell::default(),
            stalled: Cell::default(),
            refused: Cell::default(),
            killed: Cell::default(),
            is_blocked: Cell::default(),
            reader: RefCell::default(),
            killer: RefCell::default(),
        }
    }

    /// A head has been read to its end, and its request goes to the handler.
    pub(super) fn begin(&self, has_body: bool) {
        self.handling.set(true);
        self.body_open.set(has_body);
        self.since.set(Instant::now());
        self.head_since.set(None);
        self.head_bytes.set(0);
        self.quantum.set(0);
        self.ahead.set(0);
        self.line_ends.replace(LineEnds::default());
        self.head_budget.take();
    }

    /// The whole answer has been handed over: the connection waits for the next head.
    pub(super) fn answered(&self) {
        self.handling.set(false);
        self.was_answered.set(true);
        self.since.set(Instant::now());
        self.resume();
    }

    /// The handler has taken so many bytes of the body.
    pub(crate) fn took(&self, bytes: usize) {
        self.ahead.set(self.ahead.get().saturating_sub(bytes));
        self.resume();
    }

    /// The body has come to its end.
    pub(crate) fn body_ended(&self) {
        self.body_open.set(false);
    }

    /// Whether the body of the request has not come to its end.
    pub(super) fn has_open_body(&self) -> bool {
        self.body_open.get()
    }

    /// What may be read now.
    pub(super) fn allowed(&self) -> Allowed {
        if !self.bounds {
            return Allowed::Bytes(64 * 1024);
        }
        if self.handling.get() {
            return match AHEAD.saturating_sub(self.ahead.get()) {
                room if room > 0 && self.body_open.get() => Allowed::Bytes(room.min(8 * 1024)),
                _ => Allowed::Later,
            };
        }
        match QUANTUM.saturating_sub(self.quantum.get()) {
            0 => {
                self.quantum.set(0);
                Allowed::AfterLook
            }
            room => Allowed::Bytes(room),
        }
    }

    /// Notes what was read; a head that is refused is not to reach the framework.
    pub(super) fn read(&self, bytes: &[u8]) -> Result<(), Fault> {
        if !self.bounds {
            return Ok(());
        }
        if self.handling.get() {
            self.ahead.set(self.ahead.get() + bytes.len());
            return Ok(());
        }
        self.quantum.set(self.quantum.get() + bytes.len());
        if self.head_since.get().is_none() {
            self.head_since.set(Some(Instant::now()));
        }
        // What is left of a body that nobody reads is thrown away by the framework.
        if self.body_open.get() {
            return Ok(());
        }
        self.line_ends.borrow_mut().read(bytes).map_err(|_| Fault::BareLineFeed)?;
        let head = self.head_bytes.get() + bytes.len();
        self.head_bytes.set(head);
        if head > HEAD_LIMIT {
            return Err(Fault::TooLong);
        }
        if head > HEAD_FREE && self.head_budget.borrow().is_none() {
            let mut taken = self.budget.of_nobody();
            taken.take(2 * HEAD_LIMIT).map_err(|_| Fault::NoRoom)?;
            self.head_budget.replace(Some(taken));
        }
        Ok(())
    }

    /// The stream answers by itself and hangs up.
    pub(super) fn refuse(&self) {
        self.refused.set(Some(Instant::now()));
    }

    /// Wakes the connection when it may read again.
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

    /// Notes whether the last write was taken.
    pub(super) fn wrote(&self, was_taken: bool) {
        if was_taken {
            self.stalled.set(None);
        } else if self.stalled.get().is_none() {
            self.stalled.set(Some(Instant::now()));
        }
    }

    /// Whether its client has had its time.
    pub(super) fn is_overdue(&self, now: Instant, keep_alive: Duration) -> bool {
        let for_longer = |since: Instant, than| now.saturating_duration_since(since) > than;
        if self.stalled.get().is_some_and(|since| for_longer(since, WRITE_TIMEOUT))
            || self.refused.get().is_some_and(|since| for_longer(since, REFUSED_TIMEOUT))
        {
            return true;
        }
        if self.handling.get() {
            return false;
        }
        match self.head_since.get() {
            Some(since) => for_longer(since, HEAD_TIMEOUT + HEAD_SLACK),
            None => for_longer(self.since.get(), keep_alive.max(HEAD_TIMEOUT) + HEAD_SLACK),
        }
    }

    /// Since when it waits for its client, if it does.
    pub(super) fn waits_since(&self) -> Option<Instant> {
        if self.killed.get() {
            return None;
        }
        let waits = !self.handling.get() || self.body_open.get();
        self.stalled.get().or_else(|| waits.then(|| self.since.get()))
    }

    /// Whether it is kept alive between requests, with nothing under way.
    pub(super) fn is_at_rest(&self) -> bool {
        self.was_answered.get() && !self.handling.get() && self.head_since.get().is_none()
    }

    /// When it was opened.
    pub(super) fn opened(&self) -> Instant {
        self.opened
    }

    /// Ends it, with all that goes on in it.
    pub(super) fn kill(&self) {
        self.killed.set(true);
        if let Some(waker) = self.killer.take() {
            waker.wake();
        }
    }

    pub(super) fn is_killed(&self) -> bool {
        self.killed.get()
    }

    /// Ready once the connection is to end.
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
        let at = |seconds| Instant::now() + Duration::from_secs(seconds);
        for _ in 0..3 {
            assert!(!connection.is_overdue(at(70), KEEP_ALIVE) && connection.is_overdue(at(80), KEEP_ALIVE));
            connection.read(b"GET /").unwrap();
            assert!(!connection.is_overdue(at(19), KEEP_ALIVE) && connection.is_overdue(at(25), KEEP_ALIVE));
            connection.begin(false);
            assert!(!connection.is_overdue(at(3_600), KEEP_ALIVE), "a handler has its own deadlines");
            connection.answered();
        }
    }

    #[test]
    fn who_takes_nothing_is_overdue_whatever_the_connection_does() {
        let connection = connection();
        connection.begin(false);
        connection.wrote(false);
        assert!(connection.is_overdue(Instant::now() + Duration::from_secs(31), KEEP_ALIVE));
        connection.wrote(true);
        assert!(!connection.is_overdue(Instant::now() + Duration::from_secs(31), KEEP_ALIVE));
    }

    #[test]
    fn a_head_is_read_in_small_steps_up_to_its_limit_and_within_the_budget() {
        let (one, step) = (connection(), [b'a'; 1_024]);
        let others: Vec<_> = (0..2).map(|_| Connection::new(one.budget.clone(), true)).collect();
        assert_eq!(one.allowed(), Allowed::Bytes(QUANTUM));
        one.read(&step).unwrap();
        assert_eq!(one.allowed(), Allowed::Bytes(QUANTUM - 1_024));
        one.read(&step).unwrap();
        assert_eq!((one.allowed(), one.allowed()), (Allowed::AfterLook, Allowed::Bytes(QUANTUM)));
        for _ in 2..20 {
            one.read(&step).unwrap();
        }
        assert_eq!(one.read(&step), Err(Fault::TooLong));
        let long = |connection: &Connection| (0..5).try_for_each(|_| connection.read(&step));
        assert_eq!(long(&others[0]), Err(Fault::NoRoom), "the first one holds the budget");
        one.begin(false);
        assert_eq!(long(&others[1]), Ok(()));
    }

    #[test]
    fn a_body_is_read_as_far_as_it_is_taken_and_nothing_behind_it() {
        let connection = connection();
        connection.begin(true);
        while let Allowed::Bytes(room) = connection.allowed() {
            connection.read(&vec![0; room]).unwrap();
        }
        assert_eq!(connection.ahead.get(), AHEAD);
        connection.took(10);
        assert_eq!(connection.allowed(), Allowed::Bytes(10));
        connection.body_ended();
        assert_eq!(connection.allowed(), Allowed::Later);
        connection.answered();
        assert_eq!(connection.allowed(), Allowed::Bytes(QUANTUM));
    }
}
