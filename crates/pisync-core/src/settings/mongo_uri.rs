//! The options of a `MongoDB` URI: each is honoured, or refused with a sentence.

use mongodb::options::{Acknowledgment, ConnectionString, ReadPreference};

/// Fails with the fault of a URI, for people and without its secrets.
pub(super) fn check(uri: &str) -> Result<(), String> {
    if !["mongodb://", "mongodb+srv://"].iter().any(|scheme| uri.starts_with(scheme)) {
        return Err("it begins with no scheme that is known: write mongodb://HOST[:PORT] or mongodb+srv://HOST".into());
    }
    let parsed = ConnectionString::parse(uri).map_err(|error| described(uri, &error))?;
    if let Some(concern) = &parsed.write_concern {
        if concern.w.as_ref().is_some_and(|w| *w != Acknowledgment::Majority) {
            return Err("w= is other than majority: leave it out, every write here waits for the majority".into());
        }
        if concern.journal == Some(false) {
            return Err("journal=false is not supported: leave it out, every write here goes to the journal".into());
        }
    }
    if parsed.read_preference.is_some_and(|preference| preference != ReadPreference::Primary) {
        return Err("readPreference= is other than primary: leave it out, counters are made from what is read".into());
    }
    match parsed.default_database {
        Some(name) => super::mongo_name(&name).map(drop).map_err(|form| format!("its database is not {form}")),
        None => Ok(()),
    }
}

/// Returns the driver's message, unless that repeats a part that may be secret.
fn described(uri: &str, error: &mongodb::error::Error) -> String {
    let said = match error.kind.as_ref() {
        mongodb::error::ErrorKind::InvalidArgument { message, .. } => message.clone(),
        _ => String::new(),
    };
    let is_public = !uri.contains('@') || said.split_whitespace().all(|word| !uri.contains(word) || word.len() < 4);
    if said.is_empty() || !is_public {
        return "the driver cannot read it".into();
    }
    said.trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_be_overridden_is_refused_and_the_rest_is_taken() {
        for good in [
            "mongodb://h",
            "mongodb://h/school_fleet",
            "mongodb://u:p@h:27017,i:27018/school_fleet?replicaSet=rs0&authSource=admin&w=majority&appName=fleet",
            "mongodb://h/?readPreference=primary&retryWrites=false&journal=true&wtimeoutMS=3000",
            "mongodb+srv://cluster0.example.net/school_fleet",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, says) in [
            ("h:27017", "mongodb://HOST"),
            ("mongo://h", "mongodb://HOST"),
            ("mongodb://h/?w=1", "majority"),
            ("mongodb://h/?w=0", "majority"),
            ("mongodb://h/?journal=false", "journal"),
            ("mongodb://h/?readPreference=secondary", "readPreference"),
            ("mongodb://h/school.fleet", "database"),
            ("mongodb+srv://h:27017/", "port"),
            ("mongodb://u:secret@h:port", ""),
            ("mongodb://u:sec/ret@h", ""),
            ("mongodb://u:sec%ret@h", ""),
        ] {
            let error = check(bad).expect_err(bad);
            assert!(error.contains(says) && !error.contains("secret"), "{bad}: {error}");
        }
    }
}
