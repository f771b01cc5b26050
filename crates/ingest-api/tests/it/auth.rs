//! Authentication, and the answers to refused callers, over the real process with files of its commands.

use nix::sys::signal::Signal;
use reqwest::{Client, Method, Response, header::HeaderMap};
use serde_json::Value;
use testkit::{
    Api, TestEnv, body, hours_ago,
    keys::{api, key, keys},
};

const EVENT: &str = "/api/sync-event";
const LISTS: [&str; 3] = ["/api/device/pibook-1/sync-history", "/api/devices/repeated-failures", SILENCES];
const SILENCES: &str = "/api/v1/silences";
/// Actions on alerts; an event is not a valid silence, and no item has these names.
const OPERATED: [(Method, &str, u16); 3] = [
    (Method::POST, SILENCES, 400),
    (Method::DELETE, "/api/v1/silences/000000000000000000000000", 404),
    (Method::POST, "/api/v1/alerts/000000000000000000000000/ack", 404),
];

async fn call(api: &Api, method: Method, path: &str, key: Option<&str>, device_id: &str) -> Response {
    let mut request = Client::new().request(method.clone(), format!("{}{path}", api.url));
    if method == Method::POST {
        request = request.json(&body(device_id, hours_ago(1), false));
    }
    if let Some(key) = key {
        request = request.bearer_auth(key);
    }
    request.send().await.unwrap()
}

async fn posts(api: &Api, key: &str, device_id: &str) -> u16 {
    call(api, Method::POST, EVENT, Some(key), device_id).await.status().as_u16()
}

async fn finish(env: TestEnv) {
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn each_scope_opens_its_routes_and_no_others() {
    let env = TestEnv::new();
    keys(&env, &["new-device-key"]).await;
    let (ingest, read) = (key(&env, "ingest").await, key(&env, "read").await);
    let (operate, admin) = (key(&env, "operate").await, key(&env, "admin").await);
    let device = keys(&env, &["device-token", "pibook-1"]).await;
    let unknown = ingest.replace("psk_ingest_", "psk_admin_");
    let api = api(&env, "enforce").await;
    for (name, key, event, list, refused) in [
        ("ingest", Some(&ingest), 202, 403, Some(403)),
        ("read", Some(&read), 403, 200, Some(403)),
        ("operate", Some(&operate), 403, 200, None),
        ("admin", Some(&admin), 202, 200, None),
        ("a device", Some(&device), 202, 403, Some(403)),
        ("another scope than its own", Some(&unknown), 401, 401, Some(401)),
        ("nobody", None, 401, 401, Some(401)),
    ] {
        let key = key.map(String::as_str);
        let mut answers = vec![(event, call(&api, Method::POST, EVENT, key, "pibook-1").await)];
        for (method, path, allowed) in OPERATED {
            answers.push((refused.unwrap_or(allowed), call(&api, method, path, key, "pibook-1").await));
        }
        for path in LISTS {
            answers.push((list, call(&api, Method::GET, path, key, "").await));
        }
        for path in ["/healthz", "/readyz"] {
            answers.push((200, call(&api, Method::GET, path, key, "").await));
        }
        for (expected, answer) in answers {
            let url = answer.url().clone();
            assert_eq!(answer.status().as_u16(), expected, "{name} {url}");
            assert_eq!(answer.headers().get("www-authenticate").is_some_and(|v| v == "Bearer"), expected == 401);
            if expected >= 400 {
                assert_eq!(answer.headers()["content-type"], "application/problem+json");
                let problem: Value = answer.json().await.unwrap();
                assert_eq!((&problem["status"], &problem["success"]), (&expected.into(), &false.into()));
            }
        }
    }
    // Another method of a closed route reveals nothing either.
    assert_eq!(call(&api, Method::DELETE, EVENT, None, "").await.status().as_u16(), 401);
    finish(env).await;
}

#[tokio::test]
async fn a_device_posts_for_itself_alone_and_only_while_its_epoch_lives() {
    let env = TestEnv::new();
    key(&env, "read").await;
    keys(&env, &["new-device-key"]).await;
    let old = keys(&env, &["device-token", "a"]).await;
    keys(&env, &["new-device-key"]).await;
    let new = keys(&env, &["device-token", "a"]).await;
    let mut api = api(&env, "enforce").await;
    for token in [&old, &new] {
        assert_eq!((posts(&api, token, "a").await, posts(&api, token, "b").await), (202, 403));
    }
    // "a" is 61 in hex: another device's name over the same MAC is not a token.
    assert_eq!(posts(&api, &new.replace("_61_", "_62_"), "b").await, 401);

    keys(&env, &["revoke-device-key", "1"]).await;
    api.service.signal(Signal::SIGHUP);
    api.service.says("reloaded what=device_keys").await;
    assert_eq!((posts(&api, &old, "a").await, posts(&api, &new, "a").await), (401, 202));
    finish(env).await;
}

#[tokio::test]
async fn a_revoked_key_is_out_after_sighup_and_a_bad_file_changes_nothing() {
    let env = TestEnv::new();
    let (one, other) = (key(&env, "ingest").await, key(&env, "ingest").await);
    let mut api = api(&env, "enforce").await;
    assert_eq!((posts(&api, &one, "a").await, posts(&api, &other, "a").await), (202, 202));

    let id = one.split('_').nth(2).unwrap();
    keys(&env, &["revoke", id]).await;
    let list = keys(&env, &["list"]).await;
    assert!(list.contains(id) && list.contains("a test") && !list.contains(one.rsplit('_').next().unwrap()), "{list}");
    assert_eq!(posts(&api, &one, "a").await, 202);
    api.service.signal(Signal::SIGHUP);
    api.service.says("reloaded what=keys").await;
    assert_eq!((posts(&api, &one, "a").await, posts(&api, &other, "a").await), (401, 202));

    std::fs::write(env.path("keys.toml"), format!("[[key]]\nid = \"{other}\"\n")).unwrap();
    api.service.signal(Signal::SIGHUP);
    api.service.says("in force").await;
    assert_eq!((posts(&api, &one, "a").await, posts(&api, &other, "a").await), (401, 202));
    let log = api.service.log();
    assert!(log.contains("keys.toml: line 1") && !log.contains("psk_"), "{log}");
    finish(env).await;
}

#[tokio::test]
async fn observe_lets_pass_and_says_what_it_would_refuse_but_never_a_key() {
    let env = TestEnv::new();
    keys(&env, &["new-device-key"]).await;
    let (good, read) = (key(&env, "ingest").await, key(&env, "read").await);
    let device = keys(&env, &["device-token", "a"]).await;
    let foreign = good.replace("psk_ingest", "psk_admin");
    let mut api = api(&env, "observe").await;
    assert_eq!(posts(&api, &good, "a").await, 202);
    assert!(!api.service.log().contains("would refuse"));
    for (key, reason) in [(&read, "scope read"), (&foreign, "unknown or revoked"), (&device, "device a and not of b")] {
        assert_eq!(posts(&api, key, "b").await, 202);
        api.service.says(reason).await;
        assert_eq!(posts(&api, key, "b").await, 202);
        testkit::pass(std::time::Duration::from_millis(1100)).await;
    }
    let log = api.service.log();
    assert_eq!(log.matches("would refuse").count(), 3, "{log}");
    assert!(log.contains("suppressed=1"), "{log}");
    for key in [&good, &read, &device, &foreign] {
        assert!(!log.contains(key.rsplit('_').next().unwrap()), "{log}");
    }
    finish(env).await;
}

#[tokio::test]
async fn refusals_leave_no_secret_in_the_most_talkative_log() {
    let env = TestEnv::new();
    keys(&env, &["new-device-key"]).await;
    let (read, device) = (key(&env, "read").await, keys(&env, &["device-token", "a"]).await);
    let file = env.path("keys.toml").display().to_string();
    let mut command = env.command("ingest-api", &["--bind", "127.0.0.1:0", "--auth", "enforce", "--keys-file", &file]);
    command.env("RUST_LOG", "trace").env("PISYNC_DEVICE_KEY_FILE", env.path("device-keys.toml"));
    let mut service = testkit::Service::start(command, &env.path("api.log"));
    let url = format!("http://{}{EVENT}", service.says("listening address=").await.trim());
    for key in [&read, &device, &read.replace("read", "admin")] {
        let request = Client::new().post(&url).bearer_auth(key).json(&body("b", hours_ago(1), false));
        assert!(request.send().await.unwrap().status().is_client_error());
    }
    service.says("does not cover").await;
    let log = service.log();
    for key in [&read, &device] {
        assert!(!log.contains(key.rsplit('_').next().unwrap()), "a key is in the log");
    }
    let master = std::fs::read_to_string(env.path("device-keys.toml")).unwrap();
    assert!(!log.contains(master.split('"').nth(1).unwrap()), "the master key is in the log");
    env.finish().await;
}

#[tokio::test]
async fn a_gate_that_cannot_be_built_keeps_the_process_from_starting() {
    let env = TestEnv::new();
    let absent = env.path("absent").display().to_string();
    let key_file = ["--keys-file", "PISYNC_KEYS_FILE"];
    let tls = ["--tls-cert", "PISYNC_TLS_CERT", "--tls-key", "PISYNC_TLS_KEY"];
    for (args, named) in [
        (&["--bind", "0.0.0.0:0"][..], &["--auth", "PISYNC_AUTH"][..]),
        (&["--auth", "enforce"], &key_file),
        (&["--auth", "enforce", "--keys-file", &absent], &key_file),
        (&["--auth", "observe", "--keys-file", &absent], &key_file),
        (&["--auth", "observe", "--device-key-file", &absent], &["--device-key-file", "PISYNC_DEVICE_KEY_FILE"]),
        (&["--tls-cert", &absent], &tls),
        (&["--tls-key", &absent], &tls),
        (&["--tls-cert", &absent, "--tls-key", &absent], &tls),
        (&["--cors-origin", "*"], &["--cors-origin", "PISYNC_CORS_ORIGINS"]),
        (&["keys", "new", "--scope", "read"], &key_file),
    ] {
        let output = env.command("ingest-api", args).output().await.unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{args:?}: {error}");
        assert!(named.iter().all(|name| error.contains(name)), "{args:?}: {error}");
    }
    env.finish().await;
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn only_listed_origins_may_read_and_none_may_post() {
    let env = TestEnv::new();
    let api = env.api(&["--cors-origin", "https://fleet.example,https://b.example", "--cors-origin", "http://c"]).await;
    let ask = async |method: Method, path: &str, origin: &str, asked: &str| {
        let request = Client::new().request(method, format!("{}{path}", api.url)).header("Origin", origin);
        let answer = request.header("Access-Control-Request-Method", asked).send().await.unwrap();
        (answer.status().as_u16(), answer.headers().clone())
    };
    for (origin, allowed) in
        [("https://fleet.example", true), ("http://c", true), ("https://fleet.example.evil", false), ("null", false)]
    {
        let expected = allowed.then_some(origin);
        for path in LISTS {
            let (status, headers) = ask(Method::GET, path, origin, "").await;
            assert_eq!((status, header(&headers, "access-control-allow-origin")), (200, expected));
            assert!(header(&headers, "vary").unwrap().starts_with("Origin"));
            let (status, headers) = ask(Method::OPTIONS, path, origin, "GET").await;
            assert_eq!(status, if allowed { 200 } else { 405 });
            let is_problem = header(&headers, "content-type") == Some("application/problem+json");
            assert_eq!(is_problem, !allowed);
            assert_eq!(header(&headers, "access-control-allow-origin"), expected);
            assert_eq!(header(&headers, "access-control-allow-methods"), allowed.then_some("GET"));
            assert_eq!(ask(Method::OPTIONS, path, origin, "POST").await.0, 405);
        }
        let (status, headers) = ask(Method::OPTIONS, EVENT, origin, "POST").await;
        assert_eq!((status, header(&headers, "access-control-allow-origin")), (405, None));
    }
    env.finish().await;
}

#[tokio::test]
async fn every_answer_tells_a_browser_to_be_careful() {
    let env = TestEnv::new();
    key(&env, "ingest").await;
    let api = api(&env, "enforce").await;
    for (method, path) in [
        (Method::GET, "/healthz"),
        (Method::GET, "/nothing"),
        (Method::GET, LISTS[0]),
        (Method::POST, EVENT),
        (Method::DELETE, "/readyz"),
    ] {
        let answer = call(&api, method, path, None, "a").await;
        for (name, value) in [
            ("x-content-type-options", Some("nosniff")),
            ("referrer-policy", Some("same-origin")),
            ("x-frame-options", Some("DENY")),
            ("content-security-policy", Some("default-src 'none'; frame-ancestors 'none'")),
            ("cache-control", Some("no-store")),
            ("strict-transport-security", None),
            ("access-control-allow-origin", None),
        ] {
            assert_eq!(header(answer.headers(), name), value, "{path} {name}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn a_simulated_fleet_sends_the_key_of_its_file() {
    let env = TestEnv::new();
    let file = env.path("ingest.key").display().to_string();
    std::fs::write(&file, format!("{}\n", key(&env, "ingest").await)).unwrap();
    let api = api(&env, "enforce").await;
    for (args, success) in [(&[][..], false), (&["--api-key-file", &file], true)] {
        let run = ["run", "--api", &api.url, "--devices", "2", "--rounds", "1", "--pattern", "burst"];
        let mut run = env.start("run.log", "fleet-sim", &[&run[..], args].concat());
        assert_eq!(run.ended().await.success(), success, "{}", run.log());
    }
    finish(env).await;
}
