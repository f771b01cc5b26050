//! The errors of the store.

use mongodb::error::{CommandError, ErrorKind, WriteFailure};

/// The settings of the store's address.
const SETTING: &str = "(--mongo-uri, PISYNC_MONGO_URI)";

/// A failure of the store. The driver's own text can hold documents, so only kind and code of
/// an error of the server are kept.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// `MongoDB` is unavailable, has no primary or could not make a write durable. The same call may work later, and
    /// every call here may be repeated.
    #[error("mongodb {SETTING} is not available: {0}")]
    Unavailable(String),
    /// A user or password is wrong or missing, or a right is missing.
    #[error("mongodb {SETTING} refuses access: {0}")]
    Denied(String),
    /// The settings have to change first; waiting will not help.
    #[error("mongodb {SETTING} is misconfigured: {0}")]
    Misconfigured(String),
    /// `MongoDB` refused the operation.
    #[error("mongodb refused the operation: {name} (code {code})")]
    Refused {
        /// The server's error code.
        code: i32,
        /// Its name.
        name: String,
    },
    /// An index cannot be made as specified.
    #[error(
        "the index {keys} of {collection} cannot be made: {why}; reads go on without it being unique. Of counters \
         `queue-worker counters rebuild` mends it, of others drop the index or the second document"
    )]
    Index {
        /// The collection.
        collection: String,
        /// Its keys.
        keys: String,
        /// The reason.
        why: &'static str,
    },
    /// A reply of the server has the wrong shape.
    #[error("{collection} cannot be read: {detail}")]
    Malformed {
        /// The name of the reply.
        collection: &'static str,
        /// The fault.
        detail: String,
    },
}

impl StoreError {
    /// Returns whether the settings or the rights of the user have to change before it can work.
    pub fn needs_an_operator(&self) -> bool {
        matches!(self, Self::Denied(_) | Self::Misconfigured(_))
    }

    /// Returns a short stable word for the cause.
    pub fn cause(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "mongodb_away",
            Self::Denied(_) => "mongodb_access",
            Self::Misconfigured(_) => "mongodb_settings",
            Self::Refused { .. } => "mongodb_refused",
            Self::Index { .. } => "mongodb_index",
            Self::Malformed { .. } => "mongodb_reply",
        }
    }

    /// Returns the cause for people. It names no host and no user, since anybody may read it.
    pub fn detail(&self) -> &'static str {
        match self {
            Self::Unavailable(_) => "MongoDB does not answer, or has no primary that takes writes",
            Self::Denied(_) => "MongoDB refuses the user, the password or the command",
            Self::Misconfigured(_) => "the settings do not fit the server: the log says which",
            Self::Refused { .. } => "MongoDB refuses to write",
            Self::Index { .. } => "an index cannot be made: the log names it",
            Self::Malformed { .. } => "MongoDB answers otherwise than is expected",
        }
    }

    pub(super) fn refused(code: i32, name: &str) -> Self {
        if is_passing(code) {
            return Self::Unavailable(format!("{name} (code {code})"));
        }
        Self::Refused { code, name: name.to_owned() }
    }
}

impl From<mongodb::error::Error> for StoreError {
    fn from(error: mongodb::error::Error) -> Self {
        match error.kind.as_ref() {
            ErrorKind::Command(command) => of_command(command),
            ErrorKind::Write(WriteFailure::WriteError(write)) => {
                Self::refused(write.code, write.code_name.as_deref().unwrap_or("write error"))
            }
            ErrorKind::Write(WriteFailure::WriteConcernError(concern)) => {
                Self::Unavailable(format!("write concern failed: {} (code {})", concern.code_name, concern.code))
            }
            ErrorKind::InvalidArgument { message, .. } => Self::refused(0, message),
            ErrorKind::ServerSelection { message, .. } => Self::Unavailable(not_selected(message)),
            ErrorKind::Io(io) => Self::Unavailable(format!("i/o error: {}", io.kind())),
            ErrorKind::Authentication { .. } => Self::Denied(WRONG_PASSWORD.into()),
            ErrorKind::InvalidTlsConfig { message, .. } => Self::Misconfigured(message.clone()),
            ErrorKind::DnsResolve { .. } => Self::Unavailable("its name cannot be looked up".into()),
            ErrorKind::ConnectionPoolCleared { message, .. } => {
                Self::Unavailable(format!("connection lost: {message}"))
            }
            ErrorKind::BsonDeserialization(_) => {
                Self::Malformed { collection: "a reply", detail: "it does not have the expected shape".into() }
            }
            _ => Self::Unavailable("the driver failed".into()),
        }
    }
}

const WRONG_PASSWORD: &str = "the user, the password or authSource is wrong";

fn of_command(error: &CommandError) -> StoreError {
    match error.code {
        18 => StoreError::Denied(WRONG_PASSWORD.into()),
        // Unauthorized.
        13 => StoreError::Denied(not_authorized(&error.message)),
        code => StoreError::refused(code, &error.code_name),
    }
}

/// Returns the action and the collection in a message of the server; the rest may hold documents.
///
/// It reads `not authorized on DB to execute command { COMMAND: "COLLECTION", …`.
fn not_authorized(message: &str) -> String {
    if message.contains("requires authentication") {
        return "it asks for a user and a password, and the URI has none".into();
    }
    let named = || {
        let (database, rest) = message.split_once("not authorized on ")?.1.split_once(' ')?;
        let (command, rest) = rest.split_once("{ ")?.1.split_once(": ")?;
        let collection = rest.strip_prefix('"')?.split_once('"')?.0;
        Some(format!("the user may not {command} on the collection {database}.{collection}"))
    };
    named().unwrap_or_else(|| "the user may not do this".into())
}

/// Returns the servers and the error of each, from the driver's text.
fn not_selected(message: &str) -> String {
    let servers = message.split("Address: ").skip(1).map(|server| {
        let address = server.split(',').next().unwrap_or_default();
        let why = server.split_once("Error: ").map(|(_, why)| why.split(", labels").next().unwrap_or_default());
        let why = why.map(|why| why.trim_start_matches("Kind: ").split(" }").next().unwrap_or_default());
        format!("{address} ({})", why.filter(|why| !why.is_empty()).unwrap_or("no primary"))
    });
    let servers: Vec<_> = servers.take(8).collect();
    if servers.is_empty() {
        return "no server could be selected in time".into();
    }
    format!("no server could be selected in time: {}", servers.join(", "))
}

/// Returns true for codes of stepdown, shutdown, interruption and an unmet write concern: a retry may work. Source: the
/// Retryable Writes specification of the `MongoDB` drivers.
fn is_passing(code: i32) -> bool {
    matches!(code, 6 | 7 | 50 | 64 | 89 | 91 | 134 | 189 | 262 | 9001 | 10107 | 11600 | 11602 | 13435 | 13436)
}

/// Returns true for codes about the document, not the server or the caller's rights: no server will ever accept it.
/// Source: the error codes of the `MongoDB` manual.
pub(super) fn is_about_the_document(code: i32) -> bool {
    // BadValue, FailedToParse, TypeMismatch, InvalidBSON, DollarPrefixedFieldName, InvalidIdField,
    // DocumentValidationFailure, BSONObjectTooLarge, KeyTooLong, CannotIndexParallelArrays.
    matches!(code, 2 | 9 | 14 | 22 | 52 | 53 | 121 | 10334 | 17280 | 171)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_user_may_not_do_is_named_without_documents() {
        let said =
            "not authorized on school to execute command { insert: \"SyncEvent\", documents: [ { a: \"secret\" } ] }";
        assert_eq!(not_authorized(said), "the user may not insert on the collection school.SyncEvent");
        assert!(not_authorized("command insert requires authentication").contains("the URI has none"));
        assert_eq!(not_authorized("not authorized"), "the user may not do this");
    }

    #[test]
    fn servers_that_do_not_answer_are_named() {
        let said = "Server selection timeout: No available servers. Topology: { Type: Unknown, Servers: [ { Address: \
                    h:27017, Type: Unknown, Error: Kind: I/O error: Connection refused (os error 111), labels: {} } ] }";
        let named = not_selected(said);
        assert!(named.ends_with("h:27017 (I/O error: Connection refused (os error 111))"), "{named}");
        assert_eq!(not_selected("nothing"), "no server could be selected in time");
    }
}
