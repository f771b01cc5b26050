//! The command `healthcheck`, as the images run it.

use std::net::TcpListener;

use testkit::{Service, TestEnv};

/// Returns a free address.
fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Runs the command. Returns the exit status and the output.
async fn healthcheck(env: &TestEnv, binary: &str, settings: &[&str], ready: &[&str]) -> (Option<i32>, String) {
    let args = [settings, &["healthcheck"], ready].concat();
    let output = env.command(binary, &args).output().await.unwrap();
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Asserts that the process is healthy and ready, and neither after its end.
async fn is_well_until_it_ends(env: &TestEnv, mut service: Service, binary: &str, flag: &str, address: &str) {
    for ready in [&[][..], &["--ready"]] {
        let (code, said) = healthcheck(env, binary, &[flag, address], ready).await;
        assert_eq!(code, Some(0), "{binary} {ready:?}: {said}\n{}", service.log());
    }
    service.terminate().await;
    let (code, said) = healthcheck(env, binary, &[flag, address], &[]).await;
    assert_eq!(code, Some(1), "{binary}: {said}");
    assert!(said.contains("it does not answer"), "{said}");
}

#[tokio::test]
async fn each_process_is_well_until_it_ends() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let address = api.url.strip_prefix("http://").unwrap().to_owned();
    is_well_until_it_ends(&env, api.service, "ingest-api", "--bind", &address).await;

    let address = free_address();
    let worker = env.worker("worker.log", &["--ops-bind", &address]).await;
    is_well_until_it_ends(&env, worker, "queue-worker", "--ops-bind", &address).await;

    let address = free_address();
    let alerter = env.alerter("alerter.log", &["--ops-bind", &address]).await;
    let ready = async || healthcheck(&env, "alerter", &["--ops-bind", &address], &["--ready"]).await.0 == Some(0);
    env.until("the first tick", ready).await;
    is_well_until_it_ends(&env, alerter, "alerter", "--ops-bind", &address).await;
    env.finish().await;
}

#[tokio::test]
async fn a_process_that_lives_without_its_servers_is_well_and_not_ready() {
    let env = TestEnv::at(Some(format!("redis://{}", free_address())), None);
    let api = env.api(&[]).await;
    let address = api.url.strip_prefix("http://").unwrap();
    let (code, said) = healthcheck(&env, "ingest-api", &["--bind", address], &[]).await;
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = healthcheck(&env, "ingest-api", &["--bind", address], &["--ready"]).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("503"), "{said}");
    env.store().await.remove().await.unwrap();
}

#[tokio::test]
async fn a_process_that_speaks_tls_is_asked_by_tls() {
    let env = TestEnv::new();
    let (cert, key) = (env.path("cert.pem").display().to_string(), env.path("key.pem").display().to_string());
    let made = rcgen::generate_simple_self_signed(["api.example".to_owned()]).unwrap();
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = ["--tls-cert", &cert, "--tls-key", &key];
    let api = env.api(&tls).await;
    let address = api.url.strip_prefix("http://").unwrap();
    let (code, said) = healthcheck(&env, "ingest-api", &[&tls[..], &["--bind", address]].concat(), &[]).await;
    assert_eq!(code, Some(0), "{said}\n{}", api.service.log());
    let (code, _) = healthcheck(&env, "ingest-api", &["--bind", address], &[]).await;
    assert_eq!(code, Some(1), "without TLS");
    env.finish().await;
}

#[tokio::test]
async fn a_process_without_a_port_cannot_be_asked() {
    let env = TestEnv::new();
    for binary in ["queue-worker", "alerter"] {
        let (code, said) = healthcheck(&env, binary, &[], &[]).await;
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("--ops-bind") && said.contains("PISYNC_OPS_BIND"), "{said}");
    }
    env.remove().await;
}
