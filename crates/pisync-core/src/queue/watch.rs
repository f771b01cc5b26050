//! Watches Redis from the start of a process to its end.

use std::time::Duration;

use super::{Queue, QueueError};
use crate::{process::Process, refusal_log::RefusalLog};

/// The interval between checks of the servers: their settings may change, and so may the server.
const INTERVAL: Duration = Duration::from_secs(5);

/// The timeout of one check.
const TIMEOUT: Duration = Duration::from_secs(10);

impl Queue {
    /// Checks at the start whether Redis is usable for this process, and keeps checking in its own task. An unavailable
    /// Redis is logged and waited for.
    ///
    /// Fails if only an operator can help: a wrong password, a missing right, an eviction policy that loses events,
    /// another number of partitions.
    pub async fn open(&self, process: Process) -> Result<(), QueueError> {
        let log = RefusalLog::new("redis is unavailable, retrying", "redis is available again", Duration::ZERO);
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
            // The check names a missing right better than the command that met it first.
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
                // Claims and pushes log an unavailable Redis themselves.
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
