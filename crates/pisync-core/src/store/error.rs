//! Why the store did not do as asked.

use mongodb::error::{ErrorKind, WriteFailure};

/// A failure of the store. The driver's own text can hold documents, so only kind and code of
/// an error of the server are kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// `MongoDB` is away, has no primary or could not make a write durable; the same call may work
    /// later, and every call here may be repeated.
    #[error("mongodb is not available: {0}")]
    Unavailable(String),
    /// `MongoDB` refused the operation.
    #[error("mongodb refused the operation: {name} (code {code})")]
    Refused {
        /// The server's error code.
        code: i32,
        /// Its name.
        name: String,
    },
    /// An index cannot be made as it should be.
    #[error(
        "the index {keys} of {collection} cannot be made: {why}; reads go on without it being unique. Of counters \
         `queue-worker counters rebuild` mends it, of others drop the index or the second document"
    )]
    Index {
        /// The collection.
        collection: String,
        /// What it is of.
        keys: String,
        /// Why.
        why: &'static str,
    },
    /// A reply of the server is not of the shape that was asked for.
    #[error("{collection} cannot be read: {detail}")]
    Malformed {
        /// Which reply.
        collection: &'static str,
        /// What is wrong with it.
        detail: String,
    },
}

impl StoreError {
    pub(super) fn refused(code: i32, name: &str) -> Self {
        Self::Refused { code, name: name.to_owned() }
    }
}

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        match error.kind.as_ref() {
            ErrorKind::Command(command) if is_passing(command.code) => {
                Self::Unavailable(format!("{} (code {})", command.code_name, command.code))
            }
            ErrorKind::Command(command) => Self::refused(command.code, &command.code_name),
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                Self::refused(write.code, write.code_name.as_deref().unwrap_or("write error"))
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                Self::Unavailable(format!("write concern failed: {} (code {})", concern.code_name, concern.code))
            }
            ErrorKind::InvalidArgument { message, .. } => Self::refused(0, message),
            ErrorKind::ServerSelection { .. } => Self::Unavailable("no server could be selected in time".into()),
            ErrorKind::Io(io) => Self::Unavailable(format!("i/o error: {}", io.kind())),
            ErrorKind::Authentication { .. } => Self::Unavailable("authentication failed".into()),
            ErrorKind::ConnectionPoolCleared { .. } => Self::Unavailable("connection lost".into()),
            ErrorKind::BsonDeserialization(_) => {
                Self::Malformed { collection: "a reply", detail: "it has not the shape asked for".into() }
            }
            _ => Self::Unavailable("the driver failed".into()),
        }
    }
}

/// Codes of stepdown, shutdown, interruption and a write concern not met: the next try may work.
/// Source: the Retryable Writes specification of the `MongoDB` drivers.
fn is_passing(code: i32) -> bool {
    matches!(code, 6 | 7 | 50 | 64 | 89 | 91 | 134 | 189 | 262 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436)
}

/// Codes that tell of the document and not of the server or the caller's rights: it will never be
/// taken, by any server. Source: the error codes of the `MongoDB` manual.
pub(super) fn is_about_the_document(code: i32) -> bool {
    // BadValue, FailedToParse, TypeMismatch, InvalidBSON, DollarPrefixedFieldName, InvalidIdField,
    // DocumentValidationFailure, BSONObjectTooLarge, KeyTooLong, CannotIndexParallelArrays.
    matches!(code, 2 | 9 | 14 | 22 | 52 | 53 | 121 | 10334 | 17280 | 171)
}
