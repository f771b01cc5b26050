//! `fleet-sim capacity`: what a fleet of any size needs, by a small model of the measured times.
//!
//! In reading order: [`measured`] (the times, and the runs that the model is held against),
//! [`model`] (a herd that comes, waits and is drained, step by step), [`sizing`] (the least that
//! is enough).

pub mod measured;
pub mod model;
pub mod sizing;

use std::io::{self, Write};

use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::json;

use self::{measured::POINTS, sizing::Needs};
use crate::config::CapacitySettings;

/// Sizes of fleets that the table is made for.
const FLEETS: [u64; 3] = [100_000, 1_000_000, 10_000_000];

/// Prints how far the model is from what was measured, and what fleets need.
pub fn run(settings: &CapacitySettings) -> anyhow::Result<bool> {
    let fleets = if settings.devices.is_empty() { FLEETS.to_vec() } else { settings.devices.clone() };
    let needs: Vec<_> = fleets.iter().map(|devices| sizing::needs(*devices, &settings.goal())).collect();
    let checks: Vec<_> = POINTS.iter().map(|point| (point, point.predicted())).collect();
    let mut out = io::stdout().lock();
    if settings.json {
        let checks: Vec<_> = checks
            .iter()
            .map(|(point, predicted)| json!({ "point": point.name, "measured": point.measured, "model": predicted }))
            .collect();
        writeln!(out, "{}", json!({ "checks": checks, "needs": needs }))?;
        return Ok(true);
    }
    let mut table = table(["measured on 2 cores", "measured", "model", "error"]);
    for (point, predicted) in &checks {
        let error = format!("{:+.0} %", (predicted / point.measured - 1.0) * 100.0);
        table.add_row([
            point.name.to_owned(),
            format!("{} {}", round(point.measured), point.unit),
            format!("{} {}", round(*predicted), point.unit),
            error,
        ]);
    }
    writeln!(out, "{}\n", align(table))?;
    writeln!(out, "{}", align(of_needs(&needs)))?;
    Ok(true)
}

fn of_needs(needs: &[Needs]) -> Table {
    let heads = [
        "devices",
        "events/s",
        "cores of ingest-api",
        "Redis nodes",
        "partitions",
        "workers",
        "cores of MongoDB, shards",
        "most that waits",
        "memory of Redis",
        "drained after",
    ];
    let mut table = table(heads);
    for needs in needs {
        table.add_row([
            needs.devices.to_string(),
            round(needs.rate),
            needs.ingest_cores.to_string(),
            needs.redis_nodes.to_string(),
            needs.partitions.to_string(),
            needs.workers.to_string(),
            format!("{}, {}", needs.mongo_cores, needs.shards),
            round(needs.most_waiting),
            format!("{} MB", round(needs.redis_bytes / 1e6)),
            format!("{:.1} s", needs.drained_after),
        ]);
    }
    table
}

fn table<const N: usize>(heads: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_preset(ASCII_MARKDOWN).set_header(heads);
    table
}

fn align(mut table: Table) -> Table {
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// Three digits that count.
fn round(figure: f64) -> String {
    if figure >= 100.0 { format!("{figure:.0}") } else { format!("{figure:.2}") }
}
