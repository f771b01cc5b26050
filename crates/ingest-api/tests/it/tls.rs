//! TLS in `ingest-api`, by a client that trusts one certificate only.

use std::sync::Arc;

use nix::sys::signal::Signal;
use rustls::{ClientConfig, RootCertStore, crypto::ring, pki_types::CertificateDer};
use testkit::{Service, TestEnv, body, hours_ago};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// Writes a new certificate for localhost into the files of this world.
pub(crate) fn certify(env: &TestEnv) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(env.path("cert.pem"), made.cert.pem()).unwrap();
    std::fs::write(env.path("key.pem"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

/// Returns a connection of a client that trusts `root` and uses `protocol`.
pub(crate) async fn connect(
    address: &str,
    root: &CertificateDer<'static>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(root.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions().unwrap().with_root_certificates(roots);
    let mut config = config.with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await?;
    TlsConnector::from(Arc::new(config)).connect("localhost".try_into().unwrap(), stream).await
}

pub(crate) async fn start(env: &TestEnv) -> (Service, String) {
    let (cert, key) = (env.path("cert.pem").display().to_string(), env.path("key.pem").display().to_string());
    let args = ["--bind", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
    let mut service = env.start("api.log", "ingest-api", &args);
    let address = service.says("listening address=").await.trim().to_owned();
    (service, address)
}

#[tokio::test]
async fn an_event_comes_in_over_tls_and_the_answer_demands_it_for_the_future() {
    let env = TestEnv::new();
    let root = certify(&env);
    let (_service, address) = start(&env).await;
    let event = body("pibook-1", hours_ago(1), false).to_string();
    let head = "POST /api/sync-event HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: ";
    let mut stream = connect(&address, &root, b"http/1.1").await.unwrap();
    stream.write_all(format!("{head}{}\r\n\r\n{event}", event.len()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    // The server may close without a close_notify first.
    let _ = stream.read_to_string(&mut answer).await;
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age="), "{answer}");

    let mut plain = TcpStream::connect(&address).await.unwrap();
    plain.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = plain.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn a_new_certificate_is_shown_after_sighup_and_a_bad_one_is_not() {
    let env = TestEnv::new();
    let old = certify(&env);
    let (mut service, address) = start(&env).await;
    assert!(connect(&address, &old, b"http/1.1").await.is_ok());
    let new = certify(&env);
    assert!(connect(&address, &new, b"http/1.1").await.is_err());
    service.signal(Signal::SIGHUP);
    service.says("reloaded what=certificate").await;
    assert!(connect(&address, &new, b"http/1.1").await.is_ok());
    assert!(connect(&address, &old, b"http/1.1").await.is_err());

    // The key of another certificate.
    let kept = std::fs::read(env.path("cert.pem")).unwrap();
    certify(&env);
    std::fs::write(env.path("cert.pem"), kept).unwrap();
    service.signal(Signal::SIGHUP);
    service.says("in force").await;
    assert!(connect(&address, &new, b"http/1.1").await.is_ok());
    env.finish().await;
}

#[tokio::test]
async fn a_key_that_everybody_may_read_is_a_warning_and_no_end() {
    use std::os::unix::fs::PermissionsExt;
    let env = TestEnv::new();
    certify(&env);
    for (mode, is_warned) in [(0o644, true), (0o640, false)] {
        std::fs::set_permissions(env.path("key.pem"), std::fs::Permissions::from_mode(mode)).unwrap();
        std::fs::write(env.path("api.log"), "").unwrap();
        let (service, _) = start(&env).await;
        let log = service.log();
        assert_eq!(log.contains("readable by every user") && log.contains("chmod 640"), is_warned, "{mode:o}: {log}");
    }
    env.finish().await;
}
