//! The file of signing keys: sessions, links and cursors are sealed with the first, and opened with any.

use std::{fs, os::unix::fs::PermissionsExt, path::Path};

use crate::settings::Secret;

/// The least length of a key, in bytes.
const FEWEST: usize = 32;

/// The directory of a container's secrets in Docker and Podman.
const CONTAINER_SECRETS: &str = "/run/secrets";

/// The most keys of a file.
const MOST: usize = 8;

/// Reads the keys of a file, one per line.
///
/// Fails if it cannot be read, holds no key or a short one, or other users may read or write it. The error never
/// repeats the content of the file.
pub fn read(path: &Path) -> Result<Vec<Secret>, String> {
    let text = private(path, 0o027, "chmod 600")?;
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
    let keys = lines.map(|(number, line)| {
        let fits = line.len() >= FEWEST && line.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| Secret::new(line)).ok_or_else(|| {
            let line = number + 1;
            format!(
                "{}: line {line} is no key: it needs {FEWEST} printable characters or more; make one by \
                 `openssl rand -hex 32`",
                path.display()
            )
        })
    });
    let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
    match keys.len() {
        0 => Err(format!("{} holds no key: make one by `openssl rand -hex 32`", path.display())),
        1..=MOST => Ok(keys),
        _ => Err(format!("{} holds more than {MOST} keys: take out the old ones", path.display())),
    }
}

/// Returns the text of a private file: none of `forbidden` of its mode may be set.
///
/// Fails with the mode and the remedy.
pub fn private(path: &Path, forbidden: u32, remedy: &str) -> Result<String, String> {
    require_mode(path, forbidden, remedy)?;
    fs::read_to_string(path).map_err(|error| format!("reading {}: {error}", path.display()))
}

/// Fails if a file has any of `forbidden` in its mode, with the mode and the remedy.
pub fn require_mode(path: &Path, forbidden: u32, remedy: &str) -> Result<(), String> {
    let name = path.display();
    // The secrets of a container have the owner and the mode of the host's files, and no other user is there.
    let forbidden = if path.starts_with(CONTAINER_SECRETS) { forbidden & 0o022 } else { forbidden };
    let mode = fs::metadata(path).map_err(|error| format!("reading {name}: {error}"))?.permissions().mode() & 0o777;
    if mode & forbidden != 0 {
        return Err(format!("{name} has the mode {mode:04o}, so others may read or change it: {remedy} {name}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn file(name: &str, text: &str, mode: u32) -> PathBuf {
        let path = std::env::temp_dir().join(format!("pisync-signing-{name}-{}", std::process::id()));
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    fn read_once(name: &str, text: &str, mode: u32) -> Result<Vec<String>, String> {
        let path = file(name, text, mode);
        let keys = read(&path).map(|keys| keys.iter().map(|key| key.expose().to_owned()).collect());
        fs::remove_file(path).unwrap();
        keys
    }

    #[test]
    fn a_file_holds_the_key_that_seals_and_the_older_ones() {
        let (new, old) = ("n".repeat(32), "o".repeat(64));
        assert_eq!(read_once("one", &format!("{new}\n"), 0o600), Ok(vec![new.clone()]));
        assert_eq!(read_once("two", &format!("{new}\n\n {old}\r\n"), 0o440), Ok(vec![new, old]));
    }

    #[test]
    fn a_file_that_is_not_right_is_refused_by_its_cause_and_not_repeated() {
        let secret = "hunter2";
        let good = "n".repeat(32);
        for (what, text, mode, cause) in [
            ("short", secret, 0o600, "line 1"),
            ("second", &*format!("{good}\n{secret}"), 0o600, "line 2"),
            ("empty", " \n", 0o600, "no key"),
            ("many", &*format!("{good}\n").repeat(9), 0o600, "more than 8"),
            ("world", &*good, 0o644, "mode 0644"),
            ("group", &*good, 0o660, "chmod 600"),
        ] {
            let error = read_once(what, text, mode).unwrap_err();
            assert!(error.contains(cause) && !error.contains(secret), "{what}: {error}");
        }
        assert!(read(Path::new("/nowhere/at/all")).unwrap_err().contains("/nowhere/at/all"));
    }
}
