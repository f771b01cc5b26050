//! Whatever is sent as a cursor, opening it answers: with nothing, since nobody else has the key;
//! and any bytes are a position or none, the same when it is sealed and opened again.
#![no_main]

use ingest_api::cursor::{CursorKey, Position, Scope};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let (key, scope) = (CursorKey::new(&[7; 32]), Scope::of("events"));
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = key.open(&scope, text);
    }
    // Longer than any device's id makes it, a cursor is not looked at.
    if let Some(position) = Position::decode(bytes).filter(|_| bytes.len() <= 512) {
        assert_eq!(key.open(&scope, &key.seal(&scope, &position)), Ok(position));
    }
});
