//! Many compare-and-set writes in one command.
//!
//! `MongoDB` 6 has no bulk write over a client. A raw command neither inherits the write concern nor fails for write
//! errors, so both are handled here.

use bson::{Bson, Document, doc};
use mongodb::Database;
use serde::Deserialize;

use super::{
    MAJORITY, Revision, Saved, StoreError,
    documents::{self, Unreadable},
    error::is_about_the_document,
};

/// The server's code for an existing document.
const DUPLICATE_KEY: i32 = 11000;

/// Returns the required revision of a document, and the next one; nothing for a document that must not be changed. A
/// revision of null, as a person may write it, counts as missing.
pub(super) fn revisions(revision: Revision) -> Option<(Bson, i64)> {
    match revision {
        Revision::Unset => Some((Bson::Null, 1)),
        Revision::At(revision) => Some((Bson::Int64(revision), revision.saturating_add(1))),
        Revision::Unreadable => None,
    }
}

/// Sends one `update` command with these statements, each of which changes one document of `name`. If the server
/// refuses a document (for example, because of a validation rule), it is left out like an unreadable one, and the
/// result is [`Saved::Refused`].
pub(super) async fn save(
    database: &Database,
    name: &'static str,
    collection: &str,
    statements: Vec<Document>,
) -> Result<Saved, StoreError> {
    if statements.is_empty() {
        return Ok(Saved::All);
    }
    let names: Vec<_> = statements.iter().map(name_of).collect();
    let command = doc! {
        "update": collection,
        "updates": statements,
        "ordered": false,
        "writeConcern": { "w": "majority", "wtimeout": i64::try_from(MAJORITY.as_millis()).unwrap_or(i64::MAX) },
    };
    let reply = database.run_command(command).await?;
    let reply: Reply = documents::reply("a reply to update", reply)?;
    let (mut refused, mut is_conflict) = (0, false);
    for error in &reply.write_errors {
        match error.code {
            DUPLICATE_KEY => is_conflict = true,
            code if is_about_the_document(code) => {
                let id = names.get(error.index).map_or("unknown", String::as_str);
                let problem = format!("the server refuses what is to be saved (code {code}): {}", error.errmsg);
                documents::leave_out_named(name, id, &Unreadable::new("", problem));
                refused += 1;
            }
            code => return Err(StoreError::refused(code, "write error in an update")),
        }
    }
    if let Some(error) = reply.write_concern_error {
        return Err(StoreError::Unavailable(format!("write concern failed: code {}", error.code)));
    }
    let is_conflict = is_conflict || usize::try_from(reply.n) != Ok(names.len() - refused);
    Ok(match (is_conflict, refused) {
        (true, _) => Saved::Conflict,
        (false, 0) => Saved::All,
        (false, _) => Saved::Refused,
    })
}

/// Sends one `update` command that must succeed, with or without a match.
pub(super) async fn succeeds(database: &Database, command: Document) -> Result<(), StoreError> {
    let reply: Reply = documents::reply("a reply to update", database.run_command(command).await?)?;
    if let Some(error) = reply.write_errors.first() {
        return Err(StoreError::refused(error.code, "write error in an update"));
    }
    match reply.write_concern_error {
        Some(error) => Err(StoreError::Unavailable(format!("write concern failed: code {}", error.code))),
        None => Ok(()),
    }
}

/// Returns the key of a statement's document.
fn name_of(statement: &Document) -> String {
    let query = statement.get_document("q").ok();
    let name = query.and_then(|query| query.get("_id").or_else(|| query.get("deviceId")));
    name.map(|name| match name {
        Bson::String(name) => name.clone(),
        other => other.to_string(),
    })
    .unwrap_or_default()
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
    #[serde(default)]
    index: usize,
    code: i32,
    #[serde(default)]
    errmsg: String,
}
