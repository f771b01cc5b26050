//! The alert log of a row: its lines by device, compared with the expected ones.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde::Deserialize;

/// The course of a device after its first failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceOutcome {
    /// It goes on failing.
    Fails,
    /// It recovers after its firing line.
    Recovers,
    /// It recovers at once, perhaps before its firing line.
    Flickers,
}

/// The status in a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    /// The incident began.
    Firing,
    /// The incident is over.
    Resolved,
}

/// The lines of one device in order: id of the incident, and status.
pub(super) type Lines = Vec<(String, Status)>;

/// The wrong lines of one device, or of all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// The number of missing lines.
    pub(super) lost: u64,
    /// The number of lines that repeat an earlier one, with the same incident and status.
    pub(super) duplicates: u64,
    /// The number of unexpected lines: resolved without firing, resolved while failing, firing after resolved, or of
    /// a second incident.
    pub(super) unfounded: u64,
}

/// A reader of the alert log as it grows.
#[derive(Debug)]
pub(super) struct AlertLog {
    path: PathBuf,
    read: u64,
    /// The lines of each device.
    pub(super) lines: HashMap<String, Lines>,
    /// The number of lines that are not JSON.
    pub(super) torn: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    id: String,
    device_id: String,
    status: Status,
}

impl AlertLog {
    /// Returns a reader of the log in this file, which may not exist yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: 0, lines: HashMap::new(), torn: 0 }
    }

    /// Reads the new whole lines. Returns their number.
    pub(super) fn read_on(&mut self) -> std::io::Result<usize> {
        let Ok(mut file) = File::open(&self.path) else { return Ok(0) };
        file.seek(SeekFrom::Start(self.read))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        self.read += whole as u64;
        let mut lines = 0;
        for line in bytes[..whole].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            lines += 1;
            match serde_json::from_slice::<Line>(line) {
                Ok(line) => self.lines.entry(line.device_id).or_default().push((line.id, line.status)),
                Err(_) => self.torn += 1,
            }
        }
        Ok(lines)
    }

    /// Returns true if this device has a line.
    pub(super) fn has_line_of(&self, device: &str) -> bool {
        self.lines.contains_key(device)
    }

    /// Returns the lines of a device.
    pub(super) fn of(&self, device: &str) -> &[(String, Status)] {
        self.lines.get(device).map_or(&[], Vec::as_slice)
    }
}

/// Compares the lines of a device with its course. A device that recovers `is_well` once it has a line.
pub(super) fn faults_of(lines: &[(String, Status)], outcome: DeviceOutcome, is_well: bool) -> Faults {
    let mut faults = Faults::default();
    let (mut seen, mut last): (HashSet<&(String, Status)>, Option<Status>) = (HashSet::new(), None);
    for line in lines {
        let (id, status) = line;
        let is_other = lines[0].0 != *id;
        let is_out_of_turn = match status {
            Status::Firing => last == Some(Status::Resolved),
            Status::Resolved => last.is_none() || !is_well,
        };
        if is_other || is_out_of_turn {
            faults.unfounded += 1;
        } else if !seen.insert(line) {
            faults.duplicates += 1;
        }
        last = Some(*status);
    }
    let has = |status| lines.iter().any(|(_, found)| *found == status);
    let (has_firing, has_resolved) = (has(Status::Firing), has(Status::Resolved));
    faults.lost += u64::from(!has_firing && outcome != DeviceOutcome::Flickers);
    faults.lost += u64::from(has_firing && is_well && !has_resolved);
    faults
}

impl std::ops::AddAssign for Faults {
    fn add_assign(&mut self, other: Self) {
        self.lost += other.lost;
        self.duplicates += other.duplicates;
        self.unfounded += other.unfounded;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::{DeviceOutcome::*, *};

    /// Each letter is a line: f and r of the first incident, F and R of another.
    fn faults(lines: &str, outcome: DeviceOutcome, is_well: bool) -> [u64; 3] {
        let line = |letter: char| {
            let status = if letter.eq_ignore_ascii_case(&'f') { Status::Firing } else { Status::Resolved };
            (letter.is_lowercase().to_string(), status)
        };
        let Faults { lost, duplicates, unfounded } =
            faults_of(&lines.chars().map(line).collect::<Vec<_>>(), outcome, is_well);
        [lost, duplicates, unfounded]
    }

    #[test]
    fn each_status_has_one_line_in_order() {
        for (lines, outcome, is_well, expected) in [
            ("f", Fails, false, [0, 0, 0]),
            ("", Fails, false, [1, 0, 0]),
            ("ff", Fails, false, [0, 1, 0]),
            ("fr", Fails, false, [0, 0, 1]),
            ("fF", Fails, false, [0, 0, 1]),
            ("fr", Recovers, true, [0, 0, 0]),
            ("f", Recovers, true, [1, 0, 0]),
            ("", Recovers, false, [1, 0, 0]),
            ("ffrr", Recovers, true, [0, 2, 0]),
            ("frf", Recovers, true, [0, 0, 1]),
            ("r", Recovers, true, [1, 0, 1]),
            ("", Flickers, true, [0, 0, 0]),
            ("fr", Flickers, true, [0, 0, 0]),
            ("f", Flickers, true, [1, 0, 0]),
            ("r", Flickers, true, [0, 0, 1]),
        ] {
            assert_eq!(faults(lines, outcome, is_well), expected, "{lines} {outcome:?}");
        }
    }

    #[test]
    fn the_log_is_read_line_by_line_as_it_grows() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("alerts.log");
        let mut log = AlertLog::new(path.clone());
        assert_eq!(log.read_on().unwrap(), 0);
        let mut file = File::create(path).unwrap();
        let firing = r#"{"id":"1","deviceId":"a","status":"firing"}"#;
        write!(file, "{firing}\n{{\"id\":\"1\",\"dev").unwrap();
        assert_eq!((log.read_on().unwrap(), log.has_line_of("a")), (1, true));
        write!(file, "iceId\":\"b\",\"status\":\"resolved\"}}\n{{\"id\":{firing}\n").unwrap();
        assert_eq!((log.read_on().unwrap(), log.torn), (2, 1));
        assert_eq!(log.of("b"), [("1".to_owned(), Status::Resolved)]);
    }
}
