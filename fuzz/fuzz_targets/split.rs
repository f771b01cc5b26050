//! Whatever the bytes are, taking a batch apart answers; and of valid JSON the items are those that a
//! real reader finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use pisync_core::models::{MAX_EVENTS, split_batch};
use serde_json::value::RawValue;

fuzz_target!(|body: &[u8]| {
    let split = split_batch(body, MAX_EVENTS);
    let Ok(items) = serde_json::from_slice::<Vec<&RawValue>>(body) else { return };
    if items.len() <= MAX_EVENTS {
        let found = split.expect("valid JSON").items;
        assert_eq!(found, items.iter().map(|item| item.get().as_bytes()).collect::<Vec<_>>());
    }
});
