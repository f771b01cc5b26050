//! Looking after Redis from the start of a process to its end.

use std::time::Duration;

use super::{Queue, QueueError};
use crate::{process::Process, refusal_log::RefusalLog};

/// How often the servers are looked at: their settings may change, and so may the server.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long all questions of one look may take together.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Queue {
    /// Looks at the start whether Redis can be used by this process, and goes on looking in a task
    /// of its own. Redis being away is logged and waited for.
    ///
    /// Fails if only an operator can help: a wrong password, a right that is missing, an eviction
    /// policy that loses events, another number of partitions.
    pub async fn open(&self, process: Process) -> Result<(), QueueError> {
        let log = RefusalLog::new("redis cannot be used, trying on", "redis can be used again", Duration::ZERO);
        let is_examined = match self.examine(process).await {
            Ok(()) => true,
            Err(QueueError::Denied(why)) => return Err(QueueError::Misconfigured(why)),
            Err(error) if error.needs_an_operator() => return Err(error),
            Err(error) => {
                log::warn!(error:% = error; "starting without redis");
                log.refused(error.cause(), 0, 1, &error);
                false
            }
        };
        tokio::spawn(self.clone().watch(process, log, is_examined));
        Ok(())
    }

    async fn examine(&self, process: Process) -> Result<(), QueueError> {
        let examined = async {
            let checked = self.check().await;
            if checked.as_ref().is_err_and(|error| !matches!(error, QueueError::Denied(_))) {
                return checked;
            }
            // What is missing is named better than by the command that met it first.
            let rights = self.check_rights(process).await;
            if matches!(rights, Err(QueueError::Misconfigured(_))) { rights } else { checked.and(rights) }
        };
        tokio::time::timeout(TIMEOUT, examined).await.unwrap_or_else(|_| Err(self.late()))
    }

    async fn watch(self, process: Process, log: RefusalLog, mut is_examined: bool) {
        loop {
            tokio::time::sleep(INTERVAL).await;
            let looked = if is_examined {
                tokio::time::timeout(TIMEOUT, self.check()).await.unwrap_or_else(|_| Err(self.late()))
            } else {
                self.examine(process).await
            };
            match looked {
                Ok(()) => {
                    is_examined = true;
                    log.succeeded(0);
                }
                // Who claims or pushes says itself that Redis is away.
                Err(error) if !is_examined || error.needs_an_operator() || log.is_open() => {
                    log.refused(error.cause(), 0, 1, &error);
                }
                Err(_) => {}
            }
        }
    }

    fn late(&self) -> QueueError {
        QueueError::Unavailable(format!("{}: no answer in time", self.redis.place()))
    }
}
