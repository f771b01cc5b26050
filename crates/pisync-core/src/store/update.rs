//! Many compare-and-set writes in one command.
//!
//! `MongoDB` 6 has no bulk write over a client; a raw command neither inherits the write concern nor
//! fails for write errors, so both are seen to here.

use bson::{Document, doc};
use mongodb::Database;
use serde::Deserialize;

use super::{MAJORITY, Saved, StoreError, malformed};

/// The server's code for what is there already.
const DUPLICATE_KEY: i32 = 11000;

/// Sends one `update` command with these statements, each of which is to change one document.
pub(super) async fn save(
    database: &Database,
    collection: &str,
    statements: Vec<Document>,
) -> Result<Saved, StoreError> {
    if statements.is_empty() {
        return Ok(Saved::All);
    }
    let count = statements.len();
    let command = doc! {
        "update": collection,
        "updates": statements,
        "ordered": false,
        "writeConcern": { "w": "majority", "wtimeout": i64::try_from(MAJORITY.as_millis()).unwrap_or(i64::MAX) },
    };
    let reply = database.run_command(command).await?;
    let reply: Reply = bson::deserialize_from_document(reply).map_err(malformed("a reply to update"))?;
    if let Some(error) = reply.write_errors.iter().find(|error| error.code != DUPLICATE_KEY) {
        return Err(StoreError::refused(error.code, "write error in an update"));
    }
    if let Some(error) = reply.write_concern_error {
        return Err(StoreError::Unavailable(format!("write concern failed: code {}", error.code)));
    }
    let all = reply.write_errors.is_empty() && usize::try_from(reply.n) == Ok(count);
    Ok(if all { Saved::All } else { Saved::Outrun })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Reply {
    n: i64,
    #[serde(default)]
    write_errors: Vec<ReplyError>,
    write_concern_error: Option<ReplyError>,
}

#[derive(Deserialize)]
struct ReplyError {
    code: i32,
}
