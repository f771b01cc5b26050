//! The documented clients behind a captive portal and a faulty proxy: no acceptable report is lost, and refused
//! reports are put aside.

use std::path::PathBuf;

use testkit::{Api, Interference, Portal, TestEnv, workspace_root};
use tokio::process::Command;

/// A client of the docs, or the earlier naive one.
struct Client {
    program: &'static str,
    script: &'static str,
    spool: PathBuf,
}

impl Client {
    fn new(env: &TestEnv, program: &'static str, script: &'static str) -> Self {
        Self { program, script, spool: env.path(&format!("spool-{}", script.replace('/', "-"))) }
    }

    async fn run(&self, url: &str, device: &str, args: &[&str]) -> Option<i32> {
        let mut command = Command::new(self.program);
        command.arg(workspace_root().join(self.script)).args(args).kill_on_drop(true);
        command.env("PISYNC_URL", url).env("PISYNC_DEVICE", device).env("PISYNC_KEY", "any");
        command.env("PISYNC_SPOOL", &self.spool).env("PISYNC_TRIES", "60").env("PISYNC_MAX_WAIT", "0.05");
        if self.program == "sh" {
            command.env("PISYNC_MAX_WAIT", "0");
        }
        command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
        let output = command.output().await.unwrap_or_else(|error| panic!("{}: {error}", self.program));
        output.status.code()
    }

    /// Queues a report of each device in the client, with this number of errors.
    async fn add(&self, devices: &[&str], errors: &str) {
        for device in devices {
            assert_eq!(self.run("http://127.0.0.1:1", device, &["add", "8", errors, "2.5"]).await, Some(0), "{device}");
        }
    }

    fn files(&self, folder: &str) -> usize {
        let files = std::fs::read_dir(self.spool.join(folder)).into_iter().flatten().flatten();
        files.filter(|file| file.path().extension().is_some_and(|extension| extension == "json")).count()
    }
}

fn answers(status: u16, headers: &str, body: &str) -> Interference {
    let headers = headers.split('\n').filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n"));
    Interference::Answers(status, headers.collect(), body.to_owned())
}

/// The faults on the way of a report. None of them means that it was accepted or refused for good.
fn bad_day() -> Vec<Interference> {
    let (html, json) = ("Content-Type: text/html", "Content-Type: application/json");
    let problem = "Content-Type: application/problem+json";
    let sign_in = "<html>Sign in to the school's network</html>";
    let mut bad_day = vec![
        answers(200, html, sign_in),
        answers(302, "Location: http://127.0.0.1:1/sign-in", ""),
        answers(307, "Location: http://127.0.0.1:1/sign-in", ""),
        answers(511, html, sign_in),
        answers(403, html, sign_in),
        answers(202, html, sign_in),
        answers(202, json, r#"{"ok":true}"#),
        answers(202, json, r#"{"status":"queued","request":{"success":true,"accepted":1,"rejected":[]}}"#),
        answers(202, json, r#"{"success":true}"#),
        answers(202, "Content-Type: application/json-seq", r#"{"success":true}"#),
        answers(400, "Content-Type: application/problem+json-like", r#"{"status":400}"#),
        answers(400, "Content-Type: text/html; was=application/problem+json", "<h1>Bad Request</h1>"),
        answers(200, json, r#"{"success":true}"#),
        answers(400, html, "<h1>Bad Request</h1>"),
        answers(413, html, "<h1>Request Entity Too Large</h1>"),
        answers(415, "", ""),
        answers(401, problem, r#"{"status":401}"#),
        answers(403, problem, r#"{"status":403}"#),
        answers(404, problem, r#"{"status":404}"#),
        answers(503, "Retry-After: Wed, 21 Oct 2015 07:28:00 GMT", ""),
        answers(503, "Retry-After: Fri, 31 Dec 9999 23:59:59 GMT", ""),
        answers(429, "retry-after: 1", ""),
        answers(429, "Retry-After: soon", ""),
        answers(503, "Retry-After: 99999999999999999999", ""),
        answers(503, "Retry-After: -1", ""),
        Interference::Cuts,
        Interference::LosesTheAnswer,
    ];
    bad_day
        .extend([408, 405, 407, 425, 451, 500, 502, 504, 520, 522, 525, 530].map(|status| answers(status, html, "")));
    bad_day
}

async fn clear_day(env: &TestEnv) -> (Api, testkit::Service) {
    (env.api(&[]).await, env.worker("worker.log", &[]).await)
}

async fn nothing_is_lost(program: &'static str, script: &'static str) {
    let env = TestEnv::new();
    let (api, _worker) = clear_day(&env).await;
    let client = Client::new(&env, program, script);
    client.add(&["pibook-1", "pibook-2", "pibook-3"], "0").await;
    client.add(&["pibook-bad"], "-1").await;
    client.add(&["pibook-4"], "2").await;

    let portal = Portal::start(&api.url, bad_day()).await;
    assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(0));
    assert_eq!(portal.left(), 0, "the whole bad day was met");
    assert_eq!((client.files(""), client.files("dead")), (0, 1));

    env.drained().await;
    let mut devices: Vec<_> = env.rows().await.into_iter().map(|row| row.device_id).collect();
    devices.sort();
    assert_eq!(devices, ["pibook-1", "pibook-2", "pibook-3", "pibook-4"]);

    // The API is unreachable: the client keeps the reports, and its exit code shows it.
    client.add(&["pibook-5"], "0").await;
    let portal = Portal::start(&api.url, std::iter::repeat_n(Interference::Cuts, 200)).await;
    assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(75));
    assert_eq!((client.files(""), client.files("dead")), (1, 1));
    env.finish().await;
}

#[tokio::test]
async fn the_documented_client_in_shell_loses_nothing() {
    nothing_is_lost("sh", "docs/devices/examples/report.sh").await;
}

#[tokio::test]
async fn the_documented_client_in_python_loses_nothing() {
    nothing_is_lost("python3", "docs/devices/examples/report.py").await;
}

#[tokio::test]
async fn the_documented_client_in_javascript_loses_nothing() {
    nothing_is_lost("node", "docs/devices/examples/report.js").await;
}

/// A report of a batch that is rejected for now is sent again, also with an unknown code; a batch that is too large
/// is halved.
#[tokio::test]
async fn documented_clients_that_batch_follow_the_codes_and_halve() {
    for (program, script) in
        [("python3", "docs/devices/examples/report.py"), ("node", "docs/devices/examples/report.js")]
    {
        let env = TestEnv::new();
        let (api, _worker) = clear_day(&env).await;
        let client = Client::new(&env, program, script);
        client.add(&["pibook-1", "pibook-2", "pibook-3"], "0").await;
        let json = "Content-Type: application/json";
        let rejected = |code: &str| {
            let items = (0..3).map(|index| format!(r#"{{"index":{index},"code":"{code}","detail":"later"}}"#));
            answers(202, json, &format!(r#"{{"accepted":0,"rejected":[{}]}}"#, items.collect::<Vec<_>>().join(",")))
        };
        let too_large = answers(413, "Content-Type: application/problem+json", r#"{"status":413}"#);
        let day = [rejected("too_fast"), rejected("queue_full"), rejected("a_word_of_later_versions"), too_large];
        let portal = Portal::start(&api.url, day).await;
        assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(0), "{script}");
        assert_eq!((portal.left(), client.files(""), client.files("dead")), (0, 0, 0), "{script}");
        env.drained().await;
        assert_eq!(env.rows().await.len(), 3, "{script}");

        // A single report that is too large, or one that is invalid, is never accepted.
        client.add(&["pibook-1"], "0").await;
        let too_large = answers(413, "Content-Type: application/problem+json; charset=utf-8", r#"{"status":413}"#);
        let portal = Portal::start(&api.url, [too_large]).await;
        assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(0), "{script}");
        assert_eq!((client.files(""), client.files("dead")), (0, 1), "{script}");
        env.finish().await;
    }
}

/// A report that a proxy or a fault of `PiSync` never lets through is kept, and all others are sent. The media type
/// of an answer may have any case and any parameters.
async fn one_that_is_kept_holds_up_no_other(program: &'static str, script: &'static str) {
    let env = TestEnv::new();
    let (api, _worker) = clear_day(&env).await;
    let client = Client::new(&env, program, script);
    let html = "Content-Type: text/html";
    for (round, fault) in [answers(500, html, ""), answers(403, html, "<h1>Forbidden</h1>")].into_iter().enumerate() {
        // More in a row than a client accepts before it assumes that the server is away.
        client.add(&["held-1", "held-2", "held-3", "held-4", "held-5", "held-6"], "0").await;
        client.add(&["pibook-1", "pibook-2", "pibook-3"], "1").await;
        let portal = Portal::against(&api.url, "held-", fault).await;
        assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(75), "{script}");
        assert_eq!((client.files(""), client.files("dead")), (6 * (round + 1), 0), "{script}");
        env.drained().await;
        assert_eq!(env.rows().await.len(), 3 * (round + 1), "{script}");
    }
    let refused = answers(400, "content-TYPE: Application/Problem+JSON ;Charset=UTF-8", r#"{"status":400}"#);
    let portal = Portal::against(&api.url, "held-1", refused).await;
    assert_eq!(client.run(portal.url(), "pibook-1", &["send"]).await, Some(0), "{script}");
    assert_eq!((client.files(""), client.files("dead")), (0, 2), "{script}");
    env.drained().await;
    assert_eq!(env.rows().await.len(), 6 + 10, "{script}");
    env.finish().await;
}

#[tokio::test]
async fn a_report_that_is_kept_holds_up_no_other_in_shell() {
    one_that_is_kept_holds_up_no_other("sh", "docs/devices/examples/report.sh").await;
}

#[tokio::test]
async fn a_report_that_is_kept_holds_up_no_other_in_python() {
    one_that_is_kept_holds_up_no_other("python3", "docs/devices/examples/report.py").await;
}

#[tokio::test]
async fn a_report_that_is_kept_holds_up_no_other_in_javascript() {
    one_that_is_kept_holds_up_no_other("node", "docs/devices/examples/report.js").await;
}

/// The control: the earlier client loses reports on the same day, so the test would find a loss.
#[tokio::test]
async fn the_naive_client_of_before_loses_reports() {
    let env = TestEnv::new();
    let (api, _worker) = clear_day(&env).await;
    let client = Client::new(&env, "python3", "crates/e2e/tests/naive/report.py");
    client.add(&["pibook-1", "pibook-2", "pibook-3"], "0").await;
    let portal = Portal::start(&api.url, bad_day()).await;
    client.run(portal.url(), "pibook-1", &["send"]).await;
    env.drained().await;
    assert!(env.rows().await.len() + client.files("") < 3, "nothing was lost");
    env.finish().await;
}

#[test]
fn the_page_for_makers_of_devices_shows_the_clients_that_are_tested() {
    let page = std::fs::read_to_string(workspace_root().join("docs/devices/clients.md")).unwrap();
    for (language, name) in [("sh", "report.sh"), ("python", "report.py"), ("js", "report.js")] {
        let client = std::fs::read_to_string(workspace_root().join("docs/devices/examples").join(name)).unwrap();
        assert!(page.contains(&format!("```{language}\n{client}```")), "docs/devices/clients.md has another {name}");
    }
}
