//! Settings that can never work end a process at its start, with a correction; an unreachable server is retried.

use std::{net::TcpListener, time::Duration};

use testkit::{MongoServer, RedisServer, TestEnv, free_port};
use tokio::process::Command;

/// Returns the status and the standard error of a process that ends by itself.
async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::time::timeout(Duration::from_mins(1), command.kill_on_drop(true).output()).await;
    let output = output.expect("a process that ends").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Asserts that each program refuses these settings, with all these texts in its error.
async fn refused(env: &TestEnv, variables: &[(&str, &str)], says: &[&str], binaries: &[&str]) {
    for binary in binaries {
        let mut command = env.command(binary, &[]);
        command.env("PISYNC_BIND", "127.0.0.1:0").env("PISYNC_ALERT_LOG", env.path("alerts.log"));
        command.envs(variables.iter().copied());
        let (code, error) = ends(command).await;
        assert_eq!(code, Some(2), "{binary} {variables:?}: {error}");
        for part in says {
            assert!(error.contains(part), "{binary} {variables:?} does not say {part:?}: {error}");
        }
    }
}

const ALL: [&str; 3] = ["ingest-api", "queue-worker", "alerter"];

#[tokio::test]
async fn a_redis_url_that_does_not_fit_the_server_is_refused() {
    let env = TestEnv::new();
    let folder = tempfile::tempdir().unwrap();
    let node = RedisServer::start(folder.path().join("node"), &["--cluster-enabled", "yes"]).await;
    let url = testkit::setting("PISYNC_TEST_REDIS_URL");
    let host = url.strip_prefix("redis://").unwrap();
    for (url, says) in [
        (format!("redis://{host}/99"), "no database of this number"),
        (format!("redis+cluster://{host}"), "no node of a cluster: write redis://"),
        (format!("redis+sentinel://{host}/events"), "no sentinel"),
        (format!("rediss://{host}"), "does not speak TLS on this port: write redis "),
        (format!("rediss+cluster://{host}"), "does not speak TLS on this port: write redis "),
        (node.url(), "a node of a cluster: write redis+cluster://"),
    ] {
        let says = [says, "--redis-url", "PISYNC_REDIS_URL"];
        refused(&env, &[("PISYNC_REDIS_URL", &url)], &says, &ALL).await;
    }
    env.remove().await;
}

#[tokio::test]
async fn a_server_with_tls_is_no_server_without() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, both) = crate::tls_servers::certify(folder.path());
    let redis = crate::tls_servers::redis(folder.path(), &ca, &both).await;
    let env = TestEnv::new();
    for scheme in ["redis", "redis+cluster", "redis+sentinel"] {
        let url =
            format!("{scheme}://{}{}", redis.address(), if scheme.ends_with("sentinel") { "/events" } else { "" });
        let says = ["speaks TLS on this port: write rediss", "PISYNC_REDIS_URL"];
        refused(&env, &[("PISYNC_REDIS_URL", &url)], &says, &ALL).await;
    }
    env.remove().await;
}

#[tokio::test]
async fn a_mongo_uri_that_does_not_fit_the_server_is_refused() {
    let env = TestEnv::new();
    // An API accepts reports without `MongoDB`, and logs the error.
    let waiting = ["queue-worker", "alerter"];
    let wrong = env.mongo_uri().replace("replicaSet=rs0", "replicaSet=other");
    let says = ["replica set rs0", "replicaSet=other", "PISYNC_MONGO_URI"];
    refused(&env, &[("PISYNC_MONGO_URI", &wrong)], &says, &waiting).await;
    let tls = format!("{}&tls=true", env.mongo_uri());
    refused(&env, &[("PISYNC_MONGO_URI", &tls)], &["does not speak TLS", "PISYNC_MONGO_URI"], &waiting).await;

    let folder = tempfile::tempdir().unwrap();
    let (ca, both) = crate::tls_servers::certify(folder.path());
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    let tls = ["--tlsMode", "preferTLS", "--tlsCertificateKeyFile", leak(&both), "--tlsCAFile", leak(&ca)];
    let tls = [&tls[..], &["--tlsAllowConnectionsWithoutCertificates"]].concat();
    let mut mongo = MongoServer::start_with(folder.path().join("mongo"), &tls).await;
    let tls: Vec<_> = tls.into_iter().map(|option| if option == "preferTLS" { "requireTLS" } else { option }).collect();
    mongo.restart_as(&tls).await;
    refused(&env, &[("PISYNC_MONGO_URI", &mongo.uri())], &["asks for TLS", "PISYNC_MONGO_CA_FILE"], &waiting).await;

    let mut api = env.command("ingest-api", &["--bind", "127.0.0.1:0"]);
    api.env("PISYNC_MONGO_URI", &wrong);
    let mut api = testkit::Service::start(api, &env.path("api.log"));
    assert!(api.says("reads are unavailable").await.len() < 1_000);
    assert!(api.log().contains("replicaSet=other"), "{}", api.log());
    env.remove().await;
}

#[tokio::test]
async fn a_server_that_is_away_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let env = TestEnv::at(Some(format!("redis://127.0.0.1:{port}")), None);
    let mut worker = env.start("worker.log", "queue-worker", &[]);
    worker.says("starting without redis").await;
    let _redis = RedisServer::start_on(port, folder.path().join("redis"), &[]).await;
    worker.says("redis is available again").await;
    env.remove().await;
}

#[tokio::test]
async fn collections_that_share_a_name_are_refused() {
    let env = TestEnv::new();
    let both = [("PISYNC_SYNC_EVENT_COLLECTION", "events"), ("PISYNC_FAILURE_COUNTER_COLLECTION", "events")];
    let says = ["--sync-event-collection", "PISYNC_FAILURE_COUNTER_COLLECTION", "events"];
    refused(&env, &both, &says, &ALL).await;
    refused(&env, &[("PISYNC_SYNC_EVENT_COLLECTION", "Alert")], &["PISYNC_SYNC_EVENT_COLLECTION"], &ALL).await;
    env.remove().await;
}

#[tokio::test]
async fn addresses_durations_and_levels_say_which_forms_they_take() {
    let env = TestEnv::new();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = held.local_addr().unwrap().to_string();
    for (variable, value, says) in [
        ("PISYNC_BIND", "8080", "127.0.0.1:8080"),
        ("PISYNC_BIND", ":8080", "0.0.0.0:8080"),
        ("PISYNC_BIND", "fleet.example:8080", "127.0.0.1:8080"),
        ("PISYNC_BIND", &held, "another process listens there"),
        ("PISYNC_SILENT_AFTER", "soon", "1d, 36h, 90m or 45s"),
        ("PISYNC_SILENT_AFTER", "500d", "400d"),
        ("PISYNC_REPORT_INTERVAL", "1", "1d, 36h, 90m or 45s"),
    ] {
        refused(&env, &[(variable, value)], &[says, variable], &["ingest-api"]).await;
    }
    for (value, says) in [("9090", "127.0.0.1:9090"), (held.as_str(), "another process listens there")] {
        refused(&env, &[("PISYNC_OPS_BIND", value)], &[says, "PISYNC_OPS_BIND"], &["queue-worker", "alerter"]).await;
    }
    refused(&env, &[("RUST_LOG", "infoo")], &["RUST_LOG", "infoo", "RUST_LOG=info,"], &ALL).await;
    for (variable, value) in
        [("PISYNC_SILENT_AFTER", "1d"), ("PISYNC_SILENT_AFTER", "36"), ("PISYNC_SILENT_AFTER", "1d12h")]
    {
        let mut command = env.command("ingest-api", &["--bind", "localhost:0"]);
        command.env(variable, value).env("RUST_LOG", "info,pisync_core=debug");
        testkit::Service::start(command, &env.path(&format!("{value}.log"))).says("listening address=127.0.0.1").await;
    }
    env.remove().await;
}
