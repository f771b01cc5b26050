//! Signatures of sessions and links, and their end: in every process, and with their key.

use std::{io::Write, os::unix::fs::OpenOptionsExt};

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use testkit::{
    TestEnv,
    keys::{api_with, key},
};

use crate::sessions::{get, post, signed_in};

/// Writes a file with one key of this letter, for the owner only; returns its path.
pub(crate) fn signing_key(env: &TestEnv, name: &str, letter: char) -> String {
    let path = env.path(name);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.create(true).truncate(true).write(true).mode(0o600).open(&path).unwrap();
    writeln!(file, "{}", letter.to_string().repeat(64)).unwrap();
    path.display().to_string()
}

#[tokio::test]
async fn signing_out_ends_the_session_in_every_process() {
    let env = TestEnv::new();
    let operate = key(&env, "operate").await;
    let file = signing_key(&env, "signing", 'a');
    let (one, other) = (
        api_with(&env, "enforce", &["--signing-key-file", &file]).await,
        api_with(&env, "enforce", &["--signing-key-file", &file]).await,
    );
    let (session, kept) = (signed_in(&one, &operate).await, signed_in(&other, &operate).await);
    for api in [&one, &other] {
        assert_eq!(get(api, "/", &session).await.status(), StatusCode::OK);
        assert_eq!(get(api, "/api/v1/devices", &session).await.status(), StatusCode::OK);
    }
    assert_eq!(post(&one, "/sign-out", &session, "").await.status(), StatusCode::SEE_OTHER);
    for api in [&one, &other] {
        assert_eq!(get(api, "/", &session).await.status(), StatusCode::SEE_OTHER);
        assert_eq!(get(api, "/api/v1/devices", &session).await.status(), StatusCode::UNAUTHORIZED);
        assert_eq!(get(api, "/", &kept).await.status(), StatusCode::OK, "another session of the same key");
    }
    let ended = env.redis(&["--scan", "--pattern", "{}:ended:*"]).await;
    let seconds: i64 = env.redis(&["TTL", &ended]).await.parse().unwrap();
    assert!((1..=12 * 3_600).contains(&seconds), "{ended}: {seconds}");
    env.redis(&["DEL", &ended]).await;
    env.finish().await;
}

#[tokio::test]
async fn a_new_signing_key_seals_from_sighup_on_and_the_old_one_opens_until_the_process_ends() {
    let env = TestEnv::new();
    let read = key(&env, "read").await;
    let file = signing_key(&env, "signing", 'a');
    let mut api = api_with(&env, "enforce", &["--signing-key-file", &file]).await;
    let old = signed_in(&api, &read).await;
    signing_key(&env, "signing", 'b');
    api.service.signal(Signal::SIGHUP);
    api.service.says("reloaded what=signing_keys").await;
    let new = signed_in(&api, &read).await;
    for session in [&old, &new] {
        assert_eq!(get(&api, "/", session).await.status(), StatusCode::OK);
    }
    let fresh = api_with(&env, "enforce", &["--signing-key-file", &file]).await;
    assert_eq!(get(&fresh, "/", &new).await.status(), StatusCode::OK);
    assert_eq!(get(&fresh, "/", &old).await.status(), StatusCode::SEE_OTHER);
    // Without a file a session ends with its process.
    let alone = api_with(&env, "enforce", &[]).await;
    let session = signed_in(&alone, &read).await;
    assert_eq!(get(&alone, "/", &session).await.status(), StatusCode::OK);
    assert_eq!(get(&fresh, "/", &session).await.status(), StatusCode::SEE_OTHER);
    env.finish().await;
}

#[tokio::test]
async fn a_key_file_that_others_may_touch_or_that_is_too_short_ends_the_process_with_2() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    key(&env, "read").await;
    let signing = signing_key(&env, "signing", 'a');
    let keys = env.path("keys.toml").display().to_string();
    for (file, mode, flag) in [(&signing, 0o644, "--signing-key-file"), (&keys, 0o666, "--keys-file")] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(mode)).unwrap();
        let args = ["--bind", "127.0.0.1:0", "--auth", "enforce", "--keys-file", &keys, "--signing-key-file", &signing];
        let output = env.command("ingest-api", &args).output().await.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(&format!("{mode:04o}")) && said.contains("chmod") && said.contains(flag), "{said}");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    std::fs::write(&signing, "short").unwrap();
    let output = env.command("ingest-api", &["--signing-key-file", &signing]).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("openssl rand -hex 32") && !said.contains("short\n"), "{said}");
    env.finish().await;
}
