//! The collection `DeadLetter`: overflow of the bounded lists of dead letters in Redis.

use bson::{DateTime, Document, doc, spec::BinarySubtype};
use mongodb::{Collection, error::ErrorKind};

use super::{Raw, StoreError};
use crate::models::DeadLetter;

/// The server's code for a letter that was copied before.
const DUPLICATE_KEY: i32 = 11000;

/// The dead letters that are no longer in Redis.
#[derive(Debug, Clone)]
pub struct DeadLetters(Collection<Document>);

impl DeadLetters {
    pub(super) fn new(collection: &Raw) -> Self {
        Self(collection.clone_with_type())
    }

    /// Copies letters; earlier copies stay as they are.
    pub async fn copy(&self, letters: &[&DeadLetter]) -> Result<(), StoreError> {
        let Err(error) = self.0.insert_many(letters.iter().map(|letter| document(letter))).ordered(false).await else {
            return Ok(());
        };
        match error.kind.as_ref() {
            ErrorKind::InsertMany(failure)
                if failure.write_concern_error.is_none()
                    && failure.write_errors.iter().flatten().all(|error| error.code == DUPLICATE_KEY) =>
            {
                Ok(())
            }
            _ => Err(error.into()),
        }
    }

    /// Returns the number of letters.
    pub async fn count(&self) -> Result<u64, StoreError> {
        Ok(self.0.estimated_document_count().await?)
    }
}

fn document(letter: &DeadLetter) -> Document {
    doc! {
        "_id": &letter.id,
        "reason": letter.reason.as_str(),
        "error": &letter.error,
        "attempt": letter.attempt,
        "diedAt": DateTime::from(letter.died_at),
        "message": bson::Binary { subtype: BinarySubtype::Generic, bytes: letter.message.clone() },
    }
}
