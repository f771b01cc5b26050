//! `counters rebuild`.

use futures_util::TryStreamExt;
use pisync_core::{models::DeviceId, store::Store};
use serde_json::json;

use super::{say, say_json};
use crate::{batch, config::CountersCommand};

/// How many devices are counted in one step.
const AT_ONCE: usize = 500;

pub(super) async fn run(command: CountersCommand, store: &Store) -> anyhow::Result<()> {
    let CountersCommand::Rebuild { device, output } = command;
    let (mut counted, mut mended) = (0, 0);
    if let Some(device) = device {
        counted = 1;
        mended = batch::recount_devices(store, &[device]).await?;
    } else {
        let devices = store.sync_events().devices().await?;
        let mut groups = devices.try_chunks(AT_ONCE);
        while let Some(some) = groups.try_next().await.map_err(|error| error.1)? {
            let some: Vec<DeviceId> = some;
            counted += some.len();
            mended += batch::recount_devices(store, &some).await?;
        }
    }
    if output.json {
        say_json(&json!({ "counted": counted, "mended": mended }));
    } else {
        say(format_args!("{counted} devices counted, {mended} counters mended"));
    }
    Ok(())
}
