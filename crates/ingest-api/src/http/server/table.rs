//! The connections of one thread: closes those that timed out, and the longest idle ones to make room.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    rc::{Rc, Weak},
    time::{Duration, Instant},
};

use actix_web::web::Data;

use super::connection::{Connection, Overdue};
use crate::http::{
    budget::Budget,
    metrics::{CloseReason, Metrics},
};

/// Interval between searches for connections that timed out.
const SWEEP_INTERVAL: Duration = Duration::from_millis(500);

/// Minimum time that an idle connection keeps its place while there is no newcomer.
const REST: Duration = Duration::from_secs(1);

/// Limits of connections.
#[derive(Debug, Clone)]
pub(crate) struct Bounds {
    /// Maximum number of connections.
    pub(crate) max_connections: usize,
    /// Timeout of an idle connection between requests.
    pub(crate) keep_alive: Duration,
    /// Budget of heads and bodies.
    pub(crate) budget: Budget,
    /// Whether limits are enforced; false only in the controls of the kill matrix.
    pub(crate) are_kept: bool,
}

/// The connections of a thread.
#[derive(Debug)]
pub(super) struct Table {
    connections: RefCell<HashMap<u64, Rc<Connection>>>,
    next: Cell<u64>,
    /// Maximum number of connections of this thread.
    most: usize,
    keep_alive: Duration,
    budget: Budget,
    bounds: bool,
    metrics: Data<Metrics>,
}

/// A connection in its table; removed on drop.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) connection: Rc<Connection>,
    id: u64,
    table: Rc<Table>,
}

impl Table {
    /// Returns a table for at most `most` connections.
    pub(super) fn new(most: usize, bounds: &Bounds, metrics: Data<Metrics>) -> Rc<Self> {
        let table = Rc::new(Self {
            connections: RefCell::default(),
            next: Cell::new(0),
            most,
            keep_alive: bounds.keep_alive,
            budget: bounds.budget.clone(),
            bounds: bounds.are_kept,
            metrics,
        });
        if bounds.are_kept {
            actix_web::rt::spawn(sweep(Rc::downgrade(&table)));
        }
        table
    }

    /// Adds a connection. If the table is nearly full, closes those that waited longest for their clients.
    pub(super) fn open(self: &Rc<Self>) -> Place {
        if self.bounds && self.connections.borrow().len() >= self.nearly_full() {
            self.make_room(Duration::ZERO);
        }
        let connection = Rc::new(Connection::new(self.budget.clone(), self.bounds));
        let id = self.next.replace(self.next.get().wrapping_add(1));
        self.connections.borrow_mut().insert(id, Rc::clone(&connection));
        Place { connection, id, table: Rc::clone(self) }
    }

    /// Returns whether clients are to hang up after an answer.
    pub(super) fn is_tight(&self) -> bool {
        self.bounds && self.connections.borrow().len() >= self.nearly_full()
    }

    fn nearly_full(&self) -> usize {
        self.most * 9 / 10
    }

    fn end_overdue(&self) {
        let now = Instant::now();
        for connection in self.connections.borrow().values() {
            if connection.is_killed() {
                continue;
            }
            let Some(overdue) = connection.overdue(now, self.keep_alive) else { continue };
            log::debug!(
                open_seconds = now.saturating_duration_since(connection.opened()).as_secs();
                "connection closed: its client timed out"
            );
            match overdue {
                Overdue::Head => connection.expire(),
                Overdue::All if connection.is_at_rest() => connection.kill(CloseReason::Rest),
                Overdue::All => connection.kill(CloseReason::Slow),
            }
        }
        if self.is_tight() {
            self.make_room(REST);
        }
    }

    /// Closes the connections that waited longest, as many as exceed nine tenths. In a large table it closes
    /// some more, so that a flood does not cause a scan for each connection.
    fn make_room(&self, rested: Duration) {
        let (connections, now) = (self.connections.borrow(), Instant::now());
        let living = connections.values().filter(|connection| !connection.is_killed()).count();
        let surplus = (living + 1).saturating_sub(self.nearly_full().max(1));
        if surplus == 0 {
            return;
        }
        let mut waiting: Vec<_> = connections
            .values()
            .filter_map(|connection| Some((connection.waits_since()?, connection)))
            .filter(|(since, _)| now.saturating_duration_since(*since) >= rested)
            .collect();
        // Idle connections go first: a slow body is a device on a slow line.
        waiting.sort_unstable_by_key(|(since, connection)| (!connection.is_at_rest(), *since));
        waiting.iter().take(surplus + self.most / 64).for_each(|(_, connection)| connection.kill(CloseReason::Room));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.table.connections.borrow_mut().remove(&self.id);
        if let Some(why) = self.connection.why() {
            self.table.metrics.connection_ended(why);
        }
    }
}

async fn sweep(table: Weak<Table>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        let Some(table) = table.upgrade() else { return };
        table.end_overdue();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(most: usize) -> Rc<Table> {
        let (keep_alive, budget) = (Duration::from_secs(75), Budget::new(1 << 20));
        let bounds = Bounds { max_connections: most, keep_alive, budget, are_kept: true };
        Table::new(most, &bounds, Data::new(Metrics::new()))
    }

    #[actix_web::test]
    async fn above_nine_tenths_who_has_waited_longest_goes_and_who_is_served_stays() {
        let table = table(20);
        let places: Vec<_> = (0..17).map(|_| table.open()).collect();
        assert!(!table.is_tight());
        let _last = table.open();
        places[0].connection.begin(false, Instant::now());
        places[0].connection.dispatched();
        let _new = table.open();
        assert!(table.is_tight());
        let killed: Vec<_> = places.iter().map(|place| place.connection.is_killed()).collect();
        assert!(!killed[0] && killed[1] && !killed[2] && !killed[16], "{killed:?}");
    }

    #[actix_web::test]
    async fn connections_at_rest_go_before_a_body_that_comes_slowly() {
        let table = table(10);
        let uploads = table.open();
        uploads.connection.begin(true, Instant::now());
        let rests = table.open();
        rests.connection.begin(false, Instant::now());
        rests.connection.answered();
        let _others: Vec<_> = (0..7).map(|_| table.open()).collect();
        let _new = table.open();
        assert_eq!((uploads.connection.is_killed(), rests.connection.is_killed()), (false, true));
    }

    #[actix_web::test]
    async fn one_place_is_given_on_as_soon_as_its_client_waits() {
        let table = table(1);
        let place = table.open();
        assert!(table.is_tight());
        table.make_room(Duration::ZERO);
        assert!(place.connection.is_killed());
    }
}
