//! The programs of the system.

/// The program that a process runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Process {
    /// `ingest-api`, which accepts reports.
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
