//! Redis and `MongoDB` with TLS and a certificate of a private CA.

use std::path::Path;

use testkit::{MongoServer, RedisServer, TestEnv, body, free_port, hours_ago};
use tokio::process::Command;

/// Writes a certificate and key for this machine. Returns the paths of the CA's file and of a file with both.
pub(crate) fn certify(folder: &Path) -> (String, String) {
    let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
    let made = rcgen::generate_simple_self_signed(names).unwrap();
    let (cert, both) = (folder.join("ca.pem"), folder.join("both.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&both, format!("{}{}", made.cert.pem(), made.signing_key.serialize_pem())).unwrap();
    (cert.display().to_string(), both.display().to_string())
}

/// Starts a Redis that speaks TLS alone.
pub(crate) async fn redis(folder: &Path, ca: &str, both: &str) -> RedisServer {
    let port = free_port();
    RedisServer::start_on(port, folder.join("redis"), &tls_on(port, ca, both)).await
}

fn tls_on(port: u16, ca: &str, both: &str) -> Vec<&'static str> {
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    let port = ["--port", "0", "--tls-port", leak(&port.to_string()), "--tls-auth-clients", "no"];
    let files = ["--tls-cert-file", leak(both), "--tls-key-file", leak(both), "--tls-ca-cert-file", leak(ca)];
    [port, files].concat()
}

async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = tokio::time::timeout(std::time::Duration::from_mins(1), command.kill_on_drop(true).output()).await;
    let output = output.expect("a process that ends").unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_private_ca_is_believed_for_redis_and_mongodb() {
    let folder = tempfile::tempdir().unwrap();
    let (ca, both) = certify(folder.path());
    let leak = |text: &str| -> &'static str { text.to_owned().leak() };
    let redis = redis(folder.path(), &ca, &both).await;
    let tls = ["--tlsMode", "preferTLS", "--tlsCertificateKeyFile", leak(&both), "--tlsCAFile", leak(&ca)];
    let tls = [&tls[..], &["--tlsAllowConnectionsWithoutCertificates"]].concat();
    let mongo = MongoServer::start_with(folder.path().join("mongo"), &tls).await;
    let env = TestEnv::at(Some(format!("rediss://{}", redis.address())), Some(mongo.uri()));
    let trust = ["--redis-ca-file", ca.as_str(), "--mongo-ca-file", ca.as_str()];
    let (api, _worker) = (env.api(&trust).await, env.worker("worker.log", &trust).await);
    let _alerter = env.alerter("alerter.log", &trust).await;
    api.accepts(&[body("pibook-1", hours_ago(1), true)]).await;
    let verb = async || ends(env.command("queue-worker", &[&["queue", "status", "--json"], &trust[..]].concat())).await;
    assert_eq!(verb().await.0, Some(0), "{:?}", verb().await);
    env.until("the row", async || env.rows().await.len() == 1).await;
    assert_eq!(api.get("/readyz").await.1["status"], "ready");

    // Without the CA no server is trusted, and the error says why.
    let mut status = env.command("queue-worker", &["queue", "status"]);
    status.env("PISYNC_MONGO_CA_FILE", &ca);
    let (code, error) = ends(status).await;
    assert_ne!(code, Some(0), "{error}");
    assert!(error.contains("certificate") && error.contains(&redis.address()), "{error}");
}

#[tokio::test]
async fn a_ca_file_that_cannot_be_used_names_its_flag_and_variable() {
    let env = TestEnv::new();
    std::fs::write(env.path("empty.pem"), "\n").unwrap();
    std::fs::write(env.path("text.pem"), "no certificate").unwrap();
    std::fs::write(env.path("broken.pem"), "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    for (flag, variable) in [("--redis-ca-file", "PISYNC_REDIS_CA_FILE"), ("--mongo-ca-file", "PISYNC_MONGO_CA_FILE")] {
        for binary in ["ingest-api", "queue-worker", "alerter"] {
            for (file, says) in [
                ("missing.pem", "No such file"),
                ("empty.pem", "empty"),
                ("text.pem", "PEM"),
                ("broken.pem", "cannot be read"),
            ] {
                let mut command = env.command(binary, &[]);
                command.env(variable, env.path(file));
                let (code, error) = ends(command).await;
                assert_eq!(code, Some(2), "{binary} {file}: {error}");
                assert!([flag, variable, says].iter().all(|part| error.contains(part)), "{binary} {file}: {error}");
            }
        }
    }
    let (ca, _) = certify(&env.path(""));
    let (code, error) = ends(env.command("queue-worker", &["--redis-ca-file", &ca])).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("no TLS") && error.contains("rediss://"), "{error}");
    let mut command = env.command("queue-worker", &["--mongo-ca-file", &ca]);
    command.env("PISYNC_MONGO_URI", "mongodb://127.0.0.1:1/?tls=false");
    let (code, error) = ends(command).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("tls=false") && error.contains("--mongo-ca-file"), "{error}");
    env.queue().remove().await.unwrap();
}
