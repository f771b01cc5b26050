//! Keys as an operator makes them, and an API that requires them.

use crate::{Api, TestEnv};

/// Runs `ingest-api keys` with the files of `env` and returns its output.
pub async fn keys(env: &TestEnv, args: &[&str]) -> String {
    let mut command = env.command("ingest-api", &[&["keys"], args].concat());
    command.env("PISYNC_KEYS_FILE", env.path("keys.toml")).env("PISYNC_DEVICE_KEY_FILE", env.path("device-keys.toml"));
    command.env("PISYNC_REDIS_URL", "redis://127.0.0.1:1").env("PISYNC_MONGO_URI", "mongodb://127.0.0.1:1");
    let output = command.output().await.expect("ingest-api");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Returns a new key of a scope.
pub async fn key(env: &TestEnv, scope: &str) -> String {
    keys(env, &["new", "--scope", scope, "--note", "a test"]).await
}

/// Starts an API with an auth mode and the key files of `env`.
pub async fn api(env: &TestEnv, mode: &str) -> Api {
    api_with(env, mode, &[]).await
}

/// Starts an API as [`api`] does, with further arguments for its limits.
pub async fn api_with(env: &TestEnv, mode: &str, limits: &[&str]) -> Api {
    let (keys, device_keys) = (env.path("keys.toml"), env.path("device-keys.toml"));
    let mut args = vec!["--auth", mode, "--keys-file", keys.to_str().expect("a path in UTF-8")];
    if device_keys.exists() {
        args.extend(["--device-key-file", device_keys.to_str().expect("a path in UTF-8")]);
    }
    env.api(&[&args, limits].concat()).await
}
