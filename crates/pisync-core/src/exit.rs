//! The exit status of a program.

use std::{fmt, process::ExitCode};

use crate::{queue::QueueError, settings::CannotBind, store::StoreError};

/// Returns the exit status of a finished program, and prints the error if it failed.
///
/// The status is 2 if the settings or a server's set-up have to change first; else 1.
#[expect(clippy::print_stderr, reason = "it is the last word of the program")]
pub fn code<E>(ended: Result<(), E>) -> ExitCode
where
    E: fmt::Debug + AsRef<dyn std::error::Error + Send + Sync + 'static>,
{
    let Err(error) = ended else { return ExitCode::SUCCESS };
    eprintln!("Error: {error:?}");
    let first: &(dyn std::error::Error + 'static) = error.as_ref();
    let mut causes = std::iter::successors(Some(first), |cause| cause.source());
    let needs_an_operator = causes.any(|cause| {
        cause.downcast_ref::<QueueError>().is_some_and(QueueError::needs_an_operator)
            || cause.downcast_ref::<StoreError>().is_some_and(StoreError::needs_an_operator)
            || cause.is::<CannotBind>()
    });
    ExitCode::from(if needs_an_operator { 2 } else { 1 })
}
