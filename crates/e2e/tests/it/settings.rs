//! What a process says to settings that cannot be right.

use e2e::TestEnv;
use tokio::process::Command;

/// The status and the standard error of a process that ends at once.
async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().await.expect("a process that ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_bad_setting_names_its_flag_and_its_variable_and_ends_with_2() {
    let env = TestEnv::new();
    for (binary, flag, variable, value) in [
        ("ingest-api", "--bind", "PISYNC_BIND", "nowhere"),
        ("ingest-api", "--bind", "PISYNC_BIND", "0.0.0.0:0"),
        ("ingest-api", "--max-queue", "PISYNC_MAX_QUEUE", "0"),
        ("ingest-api", "--silent-after", "PISYNC_SILENT_AFTER", "soon"),
        ("ingest-api", "--silent-after", "PISYNC_SILENT_AFTER", "0"),
        ("ingest-api", "--cursor-key-file", "PISYNC_CURSOR_KEY_FILE", "/no/such/file"),
        ("queue-worker", "--batch", "PISYNC_BATCH", "0"),
        ("queue-worker", "--lease-ms", "PISYNC_LEASE_MS", "soon"),
        ("queue-worker", "--partitions", "PISYNC_PARTITIONS", "0"),
        ("alerter", "--schedule", "PISYNC_ALERT_SCHEDULE", "now and then"),
        ("alerter", "--threshold", "PISYNC_ALERT_THRESHOLD", "0"),
        ("alerter", "--log-format", "PISYNC_LOG_FORMAT", "xml"),
    ] {
        let mut by_variable = env.command(binary, &[]);
        by_variable.env(variable, value);
        for command in [env.command(binary, &[flag, value]), by_variable] {
            let (code, error) = ends(command).await;
            assert_eq!(code, Some(2), "{binary} {flag}: {error}");
            assert!(error.contains(flag) && error.contains(variable), "{binary} {flag}: {error}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn a_secret_is_never_repeated() {
    let env = TestEnv::new();
    for (variable, flag, value) in [
        ("PISYNC_MONGO_URI", "--mongo-uri", "mongodb://a:hunter2@:no port"),
        ("PISYNC_REDIS_URL", "--redis-url", "http://a:hunter2@host"),
    ] {
        for arguments in [&[][..], &["--help"]] {
            let mut command = env.command("queue-worker", arguments);
            let output = command.env(variable, value).output().await.unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains(flag) && !said.contains("hunter2"), "{said}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let env = TestEnv::new();
    let _api = env.api(&[]).await;
    let (code, error) = ends(env.command("queue-worker", &["--partitions", "7"])).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("4 partitions") && error.contains("PISYNC_PARTITIONS"), "{error}");
    env.finish().await;
}

#[tokio::test]
async fn a_secret_may_stand_in_a_file() {
    let env = TestEnv::new();
    let (redis, mongo) = (env.path("redis_url"), env.path("mongo_uri"));
    std::fs::write(&redis, format!("{}\n", e2e::setting("PISYNC_TEST_REDIS_URL"))).unwrap();
    std::fs::write(&mongo, format!("{}\n", env.mongo_uri())).unwrap();
    let status = async |redis: &str| {
        let mut command = env.command("queue-worker", &["queue", "status"]);
        command.env("PISYNC_REDIS_URL", redis).env("PISYNC_MONGO_URI", format!("file:{}", mongo.display()));
        ends(command).await
    };
    let (code, error) = status(&format!("file:{}", redis.display())).await;
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = status("file:/no/such/file").await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--redis-url") && error.contains("No such file"), "{error}");
    std::fs::write(&redis, "http://a:hunter2@host").unwrap();
    let (code, error) = status(&format!("file:{}", redis.display())).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    env.finish().await;
}
