//! The programs of the system.

/// Which program a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// `ingest-api`, which takes reports.
    Ingest,
    /// `queue-worker`, which stores them.
    Worker,
    /// `alerter`, which notifies people.
    Alerter,
}

impl Process {
    /// Returns its short name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ingest => "ingest",
            Self::Worker => "worker",
            Self::Alerter => "alerter",
        }
    }
}
