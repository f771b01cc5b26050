//! The rows: each attack with the bounds and without.

use super::attack::Attack;

/// A row.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Row {
    pub(in super::super) name: &'static str,
    pub(super) attack: Attack,
    /// Further settings of the server.
    pub(super) args: &'static [&'static str],
    /// Whether the server keeps its bounds; without them the row must fail.
    pub(super) bounds: bool,
    /// Whether the row is in the small form of the matrix.
    pub(super) quick: bool,
}

const FEW: &[&str] = &["--max-connections", "200"];
const PROXY: &[&str] = &["--trusted-proxies", "127.0.0.1"];
const SOME: &[&str] = &["--max-connections", "1000"];

const fn row(name: &'static str, attack: Attack, args: &'static [&'static str]) -> Row {
    Row { name, attack, args, bounds: true, quick: false }
}

const fn control(name: &'static str, attack: Attack, args: &'static [&'static str]) -> Row {
    Row { name, attack, args, bounds: false, quick: false }
}

const fn quick(row: Row) -> Row {
    Row { quick: true, ..row }
}

/// All rows.
pub(in super::super) const ALL: &[Row] = &[
    quick(row("edge: files that are not read", Attack::UnreadFiles, &[])),
    control("edge, no bounds: files that are not read", Attack::UnreadFiles, &[]),
    row("edge: lists that are not read", Attack::UnreadLists, &[]),
    control("edge, no bounds: lists that are not read", Attack::UnreadLists, &[]),
    quick(row("edge: bodies that do not end", Attack::Bodies, &[])),
    quick(control("edge, no bounds: bodies that do not end", Attack::Bodies, &[])),
    quick(row("edge: second heads that rest", Attack::RestingHeads, FEW)),
    control("edge, no bounds: second heads that rest", Attack::RestingHeads, FEW),
    row("edge: second heads that drip", Attack::DrippingHeads, &[]),
    control("edge, no bounds: second heads that drip", Attack::DrippingHeads, &[]),
    row("edge: many connections", Attack::Connections, SOME),
    control("edge, no bounds: many connections", Attack::Connections, SOME),
    row("edge: forms that drip", Attack::DrippingForms, FEW),
    control("edge, no bounds: forms that drip", Attack::DrippingForms, FEW),
    row("edge: costly reads", Attack::CostlyReads, &[]),
    control("edge, no bounds: costly reads", Attack::CostlyReads, &[]),
    row("edge: guesses at keys through one proxy", Attack::Guesses, PROXY),
    control("edge, no bounds: guesses at keys through one proxy", Attack::Guesses, PROXY),
    row("edge: posts of other sites", Attack::CrossSite, &[]),
    control("edge, no bounds: posts of other sites", Attack::CrossSite, &[]),
];
