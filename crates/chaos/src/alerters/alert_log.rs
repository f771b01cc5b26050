//! What the alert log tells of each device, and what it has to.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::PathBuf,
};

use serde::Deserialize;

/// What becomes of a device that has failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DeviceOutcome {
    /// It goes on failing.
    Fails,
    /// It is well again once people were told.
    Recovers,
    /// It is well again at once, perhaps before people were told.
    Flickers,
}

/// What a line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Status {
    /// It began.
    Firing,
    /// It is over.
    Resolved,
}

/// What was told of one device, in its order: which incident, and what.
pub(super) type Lines = Vec<(String, Status)>;

/// What of a device, or of all, is not as it must be.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Faults {
    /// Lines that had to be there and are not.
    pub(super) lost: u64,
    /// Lines that repeat an earlier one: of the same incident, saying the same.
    pub(super) duplicates: u64,
    /// Lines that must not be there: of something over that nobody was told of, that is not over
    /// or that was over before, or of a second incident.
    pub(super) unfounded: u64,
}

/// Reads the alert log as it grows.
#[derive(Debug)]
pub(super) struct AlertLog {
    path: PathBuf,
    read: u64,
    /// What was told of each device.
    pub(super) told: HashMap<String, Lines>,
    /// Lines that are no JSON.
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
    /// The log in this file, which may not be there yet.
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, read: 0, told: HashMap::new(), torn: 0 }
    }

    /// Reads the lines that have come since; answers with how many.
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
                Ok(line) => self.told.entry(line.device_id).or_default().push((line.id, line.status)),
                Err(_) => self.torn += 1,
            }
        }
        Ok(lines)
    }

    /// Whether people were told that this device fails.
    pub(super) fn has_told(&self, device: &str) -> bool {
        self.told.contains_key(device)
    }

    /// What was told of a device.
    pub(super) fn of(&self, device: &str) -> &[(String, Status)] {
        self.told.get(device).map_or(&[], Vec::as_slice)
    }
}

/// What is wrong with the lines of a device. Whether it `is_well` now is up to its outcome and to
/// whether people were told.
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
    let has = |status| lines.iter().any(|(_, said)| *said == status);
    let (is_told, is_told_over) = (has(Status::Firing), has(Status::Resolved));
    faults.lost += u64::from(!is_told && outcome != DeviceOutcome::Flickers);
    faults.lost += u64::from(is_told && is_well && !is_told_over);
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

    /// One letter a line: f and r of the first incident, F and R of another.
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
    fn what_has_to_be_told_is_told_once_and_in_its_order() {
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
        assert_eq!((log.read_on().unwrap(), log.has_told("a")), (1, true));
        write!(file, "iceId\":\"b\",\"status\":\"resolved\"}}\n{{\"id\":{firing}\n").unwrap();
        assert_eq!((log.read_on().unwrap(), log.torn), (2, 1));
        assert_eq!(log.of("b"), [("1".to_owned(), Status::Resolved)]);
    }
}
