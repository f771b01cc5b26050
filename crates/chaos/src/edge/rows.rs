//! The rows: each attack with the server's bounds and without.

use super::attack::Attack;
use crate::row::Row;

/// A row of the edge.
pub(crate) type EdgeRow = Row<Assault, Expect>;

/// An attack, and the server that it meets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Assault {
    pub(super) attack: Attack,
    /// Further settings of the server.
    pub(super) args: &'static [&'static str],
    /// True if the server keeps its bounds; without them the row must fail.
    pub(super) bounds: bool,
}

/// The expected result of a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expect {
    /// The maximum 99th percentile of the reports, in seconds.
    pub(super) p99: f64,
}

/// The maximum 99th percentile, in seconds: beside attackers that mostly wait, and beside those that use the
/// processors, which reports have to share.
const P99: f64 = 0.1;
const BUSY_P99: f64 = 0.25;

const FEW: &[&str] = &["--max-connections", "200"];
const PROXY: &[&str] = &["--trusted-proxies", "127.0.0.1"];
const SOME: &[&str] = &["--max-connections", "1000"];

const fn row(name: &'static str, attack: Attack, args: &'static [&'static str]) -> EdgeRow {
    Row { name, fault: Assault { attack, args, bounds: true }, expect: Expect { p99: P99 }, quick: false }
}

const fn control(name: &'static str, attack: Attack, args: &'static [&'static str]) -> EdgeRow {
    Row { name, fault: Assault { attack, args, bounds: false }, expect: Expect { p99: P99 }, quick: false }
}

const fn busy(row: EdgeRow) -> EdgeRow {
    Row { expect: Expect { p99: BUSY_P99 }, ..row }
}

const fn quick(row: EdgeRow) -> EdgeRow {
    Row { quick: true, ..row }
}

/// All rows.
pub(crate) const ALL: &[EdgeRow] = &[
    quick(busy(row("edge: files that are not read", Attack::UnreadFiles, &[]))),
    busy(control("edge, no bounds: files that are not read", Attack::UnreadFiles, &[])),
    busy(row("edge: lists that are not read", Attack::UnreadLists, &[])),
    busy(control("edge, no bounds: lists that are not read", Attack::UnreadLists, &[])),
    quick(busy(row("edge: bodies that do not end", Attack::Bodies, &[]))),
    quick(busy(control("edge, no bounds: bodies that do not end", Attack::Bodies, &[]))),
    quick(row("edge: second heads that rest", Attack::RestingHeads, FEW)),
    control("edge, no bounds: second heads that rest", Attack::RestingHeads, FEW),
    busy(row("edge: second heads that drip", Attack::DrippingHeads, &[])),
    busy(control("edge, no bounds: second heads that drip", Attack::DrippingHeads, &[])),
    busy(row("edge: many connections", Attack::Connections, SOME)),
    busy(control("edge, no bounds: many connections", Attack::Connections, SOME)),
    row("edge: forms that drip", Attack::DrippingForms, FEW),
    control("edge, no bounds: forms that drip", Attack::DrippingForms, FEW),
    busy(row("edge: costly reads", Attack::CostlyReads, &[])),
    busy(control("edge, no bounds: costly reads", Attack::CostlyReads, &[])),
    row("edge: guesses at keys through one proxy", Attack::Guesses, PROXY),
    control("edge, no bounds: guesses at keys through one proxy", Attack::Guesses, PROXY),
    row("edge: posts of other sites", Attack::CrossSite, &[]),
    control("edge, no bounds: posts of other sites", Attack::CrossSite, &[]),
];
