//! Whatever a body holds, reading it answers; and what was read is the same event when it is
//! written to the queue and read back.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use pisync_core::{
    models::{Batch, SyncEvent},
    queue::{decode, encode},
};

fuzz_target!(|body: &[u8]| {
    let now = Timestamp::from_second(1_800_000_000).expect("a time");
    let alone = SyncEvent::from_json(body, now).ok();
    let batches = [Batch::from_json(body, now), Batch::from_lines(body, now)];
    let reports = batches.into_iter().flatten().flat_map(|batch| batch.reports).flatten().map(|report| report.event);
    for event in reports.chain(alone) {
        assert_eq!(decode(&encode(&event)).expect("what was encoded"), event);
    }
});
