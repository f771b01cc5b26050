//! `fleet-sim sizes`: measures the bytes per row and index, and computes those of whole fleets.

use anyhow::{Context, ensure};
use pisync_core::store::{CollectionSize, Store};
use serde_json::json;

use crate::{
    config::SizesSettings,
    report::{self, Rows},
};

/// The numbers of devices for which totals are printed.
const FLEETS: [f64; 3] = [1e5, 1e6, 1e7];

/// Reads the sizes from the server and prints the figures.
pub async fn run(settings: SizesSettings) -> anyhow::Result<bool> {
    let store = Store::open(&settings.mongo, "fleet-sim").await.context("opening the store")?;
    let sizes = store.sizes().await?;
    ensure!(sizes.iter().all(|size| size.documents > 0.0), "there are no rows or no counters to measure");
    let mut rows = Rows::default();
    for size in &sizes {
        add(&mut rows, size);
    }
    let of = |place: usize| total(&sizes[place]) / sizes[place].documents;
    let (event, counter) = (of(0), of(1));
    for devices in FLEETS {
        let bytes = devices * (24.0 * f64::from(settings.days) * event + counter);
        rows.add(format!("{devices} devices for {} days", settings.days), format!("{:.0} GB", bytes / 1e9));
    }
    rows.note("On disk, of one node, without the oplog; one row for each device and hour.");
    report::print(settings.json, &json!({ "collections": sizes, "perEvent": event, "perDevice": counter }), rows)?;
    Ok(true)
}

fn add(rows: &mut Rows, size: &CollectionSize) {
    let each = |bytes: f64| format!("{:.1} B", bytes / size.documents);
    rows.add(format!("{}: documents", size.name), size.documents);
    rows.add(format!("{}: a document, as it is sent", size.name), each(size.bytes));
    rows.add(format!("{}: a document, on disk", size.name), each(size.stored_bytes));
    for (index, bytes) in &size.index_bytes {
        rows.add(format!("{}: its part of {index}", size.name), each(*bytes));
    }
    rows.add(format!("{}: in all", size.name), each(total(size)));
}

fn total(size: &CollectionSize) -> f64 {
    size.stored_bytes + size.index_bytes.values().sum::<f64>()
}
