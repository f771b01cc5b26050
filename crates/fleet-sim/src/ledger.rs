//! The ledger: acknowledged events as NDJSON, to be compared with the database later.
//!
//! There is one line per event, written after its 202:
//!
//! ```json
//! {"state":"acked","ackedAt":"2026-11-23T12:00:00.123Z","body":{"deviceId":"pibook-1", …}}
//! {"state":"unknown","body":{"deviceId":"pibook-2", …}}
//! ```
//!
//! `body` is the body exactly as it was sent. `unknown` is an event without a 202 that may have arrived nevertheless:
//! the answer was lost, or was a 5xx. Its row may exist or not. Events that the API refused, or that never reached
//! it, have no line. An event that is sent again has no second line. Several lines of the same event mean one event.
//!
//! Lines are buffered for up to a second: after `kill -9` of the simulator the newest are missing.

use std::{
    fs::File,
    io::{BufRead, BufWriter, Read, Seek, SeekFrom, Write},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::{Context, ensure};
use jiff::Timestamp;
use pisync_core::models::SyncEvent;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The state of an event by the answers of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// The API answered 202.
    Acked,
    /// The event may be stored or not.
    Unknown,
}

/// A ledger to write to.
#[derive(Debug)]
pub struct Ledger(Mutex<BufWriter<File>>);

/// A line of a ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The state of the event.
    pub state: State,
    /// The event of the body.
    pub event: SyncEvent,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    state: State,
    #[serde(skip_serializing_if = "Option::is_none")]
    acked_at: Option<Timestamp>,
    #[serde(borrow)]
    body: &'a RawValue,
}

impl Ledger {
    /// Opens a ledger; lines are appended to the existing ones.
    ///
    /// Fails if the file cannot be written or ends in the middle of a line.
    pub fn append_to(path: &Path) -> anyhow::Result<Self> {
        let open = || -> std::io::Result<(File, bool)> {
            let mut file = File::options().create(true).read(true).append(true).open(path)?;
            let is_whole = ends_a_line(&mut file)?;
            Ok((file, is_whole))
        };
        let (file, is_whole) = open().with_context(|| format!("opening the ledger {}", path.display()))?;
        ensure!(is_whole, "the ledger {} ends in the middle of a line: name another file", path.display());
        Ok(Self(Mutex::new(BufWriter::with_capacity(1 << 18, file))))
    }

    /// Writes the line of an event. A body that is not JSON can never be stored: it has no line.
    pub fn write(&self, state: State, body: &str) -> anyhow::Result<()> {
        let Ok(body) = serde_json::from_str(body) else { return Ok(()) };
        let acked_at = (state == State::Acked).then(Timestamp::now);
        let mut line = serde_json::to_vec(&Line { state, acked_at, body })?;
        line.push(b'\n');
        self.file().write_all(&line).context("writing the ledger")
    }

    /// Flushes the lines so far to the file.
    pub fn flush(&self) -> anyhow::Result<()> {
        self.file().flush().context("writing the ledger")
    }

    fn file(&self) -> MutexGuard<'_, BufWriter<File>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ends_a_line(file: &mut File) -> std::io::Result<bool> {
    if file.seek(SeekFrom::End(0))? == 0 {
        return Ok(true);
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    Ok(last == *b"\n")
}

/// Reads a ledger, line by line. A last line without its end is skipped with a warning: its writer was killed.
///
/// Fails at the first line that is not of a ledger.
pub fn read(mut ledger: impl BufRead, mut each: impl FnMut(Entry)) -> anyhow::Result<()> {
    let mut line = String::new();
    for number in 1_u64.. {
        line.clear();
        if ledger.read_line(&mut line).context("reading the ledger")? == 0 {
            break;
        }
        match parse(&line) {
            Ok(entry) => each(entry),
            Err(_) if !line.ends_with('\n') => {
                log::warn!(line = number; "the ledger ends in the middle of a line: its writer was killed");
            }
            Err(error) => return Err(error).with_context(|| format!("line {number} of the ledger")),
        }
    }
    Ok(())
}

fn parse(line: &str) -> anyhow::Result<Entry> {
    let line: Line<'_> = serde_json::from_str(line)?;
    let received_at = line.acked_at.unwrap_or_else(Timestamp::now);
    let event = SyncEvent::from_json(line.body.get().as_bytes(), received_at)?;
    Ok(Entry { state: line.state, event })
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = r#"{"deviceId": "pibook-1","timestamp":"2026-11-23T14:27:43.469+05:30","totalFilesSynced":8,"totalErrors":5,"internetSpeed":97.54086055640643,"more":[1e2]}"#;

    fn entries(ledger: &[u8]) -> anyhow::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        read(ledger, |entry| entries.push(entry))?;
        Ok(entries)
    }

    #[test]
    fn what_is_written_is_read_and_keeps_the_very_bytes_of_the_body() {
        let file = tempfile::NamedTempFile::new().unwrap();
        for state in [State::Acked, State::Unknown] {
            let ledger = Ledger::append_to(file.path()).unwrap();
            ledger.write(state, BODY).unwrap();
            ledger.write(state, "{ never JSON").unwrap();
            ledger.flush().unwrap();
        }
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert_eq!(text.matches(BODY).count(), 2, "{text}");
        assert_eq!(text.matches("ackedAt").count(), 1, "{text}");

        let [acked, unknown] = &entries(text.as_bytes()).unwrap()[..] else { panic!("{text}") };
        assert_eq!((acked.state, unknown.state), (State::Acked, State::Unknown));
        assert_eq!(acked.event.id(), unknown.event.id());
        assert_eq!(acked.event.internet_speed.to_bits(), 97.540_860_556_406_43_f64.to_bits());
    }

    #[test]
    fn a_line_cut_off_at_the_end_is_left_out_and_never_added_to() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text = format!("{{\"state\":\"unknown\",\"body\":{BODY}}}\n{{\"state\":\"unk");
        std::fs::write(file.path(), &text).unwrap();
        assert_eq!(entries(text.as_bytes()).unwrap().len(), 1);
        assert!(Ledger::append_to(file.path()).is_err());
    }

    #[test]
    fn a_file_that_is_no_ledger_is_refused() {
        assert!(entries(format!("{BODY}\n").as_bytes()).unwrap_err().to_string().contains("line 1"));
        assert!(entries(b"{\"state\":\"acked\",\"body\":{}}\n").is_err());
    }
}
