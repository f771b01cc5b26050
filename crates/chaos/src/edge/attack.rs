//! The attacks, on loopback, each with a fixed number of connections.

use std::time::Duration;

use anyhow::ensure;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use testkit::{Api, Form, TestEnv, body, hours_ago, urlencoded};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

/// The pause before an attacker connects again after the server closed its connection.
const PAUSE: Duration = Duration::from_millis(200);

/// The kinds of attacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attack {
    UnreadFiles,
    UnreadLists,
    Bodies,
    RestingHeads,
    DrippingHeads,
    Connections,
    DrippingForms,
    CostlyReads,
    Guesses,
    CrossSite,
}

/// The keys of a server that requires them.
#[derive(Debug, Clone)]
pub(super) struct AttackKeys {
    file: String,
    pub(super) ingest: String,
    read: String,
}

/// The result of an attack.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The number of attempts.
    pub(super) acts: usize,
    /// The number of refused attempts.
    refused: usize,
}

impl AttackKeys {
    pub(super) async fn make(env: &TestEnv) -> anyhow::Result<Self> {
        let file = env.path("keys.toml").display().to_string();
        let make = async |scope: &str| {
            let output =
                env.command("ingest-api", &["keys", "--keys-file", &file, "new", "--scope", scope]).output().await?;
            ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            anyhow::Ok(String::from_utf8(output.stdout)?.trim().to_owned())
        };
        let (ingest, read) = (make("ingest").await?, make("read").await?);
        Ok(Self { file, ingest, read })
    }

    pub(super) fn args(&self) -> [String; 4] {
        ["--auth", "enforce", "--keys-file", &self.file].map(str::to_owned)
    }
}

impl Attack {
    pub(super) fn needs_keys(self) -> bool {
        self == Self::Guesses
    }

    /// Returns the number of devices that must exist before, if any.
    pub(super) fn devices(self) -> Option<usize> {
        match self {
            Self::UnreadLists => Some(20_000),
            Self::CostlyReads => Some(50_000),
            _ => None,
        }
    }

    /// Returns the number of concurrent attackers.
    fn attackers(self) -> usize {
        match self {
            Self::UnreadFiles => 200,
            Self::UnreadLists => 1_500,
            Self::Bodies => 400,
            Self::RestingHeads | Self::DrippingForms => 250,
            Self::DrippingHeads => 2_200,
            Self::Connections => 2_500,
            Self::CostlyReads => 8,
            Self::Guesses | Self::CrossSite => 4,
        }
    }

    pub(super) async fn run(self, url: &str, keys: Option<&AttackKeys>, lasts: Duration) -> Done {
        let end = Instant::now() + lasts;
        let mut attackers = JoinSet::new();
        for _ in 0..self.attackers() {
            let (url, wrong) = (url.to_owned(), keys.map(|keys| format!("{}0000", &keys.read[..keys.read.len() - 4])));
            attackers.spawn(async move {
                let mut done = Done::default();
                while Instant::now() < end {
                    let refused = self.act(&url, wrong.as_deref(), end).await;
                    done.acts += 1;
                    done.refused += usize::from(refused);
                    sleep(PAUSE).await;
                }
                done
            });
        }
        let all = attackers.join_all().await;
        Done { acts: all.iter().map(|done| done.acts).sum(), refused: all.iter().map(|done| done.refused).sum() }
    }

    /// Attacks once, until the server closes the connection or the time is over. Returns true if it was refused.
    async fn act(self, url: &str, wrong: Option<&str>, end: Instant) -> bool {
        let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let post = |path: &str, media_type: &str, length: usize| {
            format!(
                "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {media_type}\r\nContent-Length: {length}\r\n\r\n"
            )
        };
        let first = get("/healthz");
        match self {
            Self::UnreadFiles => hold(url, get("/docs/swagger-ui-bundle.js").repeat(6), None, end).await,
            Self::UnreadLists => hold(url, get("/api/v1/devices.csv?status=failing").repeat(6), None, end).await,
            Self::Bodies => {
                let body = " ".repeat(1024 * 1024 - 1);
                hold(url, post("/api/v1/sync-events", "application/json", 1024 * 1024) + &body, None, end).await
            }
            Self::RestingHeads => hold(url, first + "GET /hea", None, end).await,
            Self::DrippingHeads => {
                hold(url, format!("{first}GET / HTTP/1.1\r\nX: {}", "x".repeat(127 * 1024)), Some("x"), end).await
            }
            Self::Connections => hold(url, String::new(), None, end).await,
            Self::DrippingForms => {
                let head = post("/sign-in", "application/x-www-form-urlencoded", 10_000);
                hold(url, head + "key=", Some("x"), end).await
            }
            Self::CostlyReads => preview(url).await == Some(StatusCode::SERVICE_UNAVAILABLE),
            Self::Guesses => sign_in(url, wrong.unwrap_or_default()).await == Some(StatusCode::TOO_MANY_REQUESTS),
            Self::CrossSite => {
                let silence = json!({ "matchers": ["deviceId=~.*"], "comment": "of another site" });
                let request = client().post(format!("{url}/api/v1/silences")).json(&silence);
                let answer = request.header("origin", "http://evil.example").send().await;
                answer.is_ok_and(|answer| answer.status() == StatusCode::FORBIDDEN)
            }
        }
    }
}

impl Done {
    /// Returns the damage beyond memory and latency, if there is any.
    pub(super) async fn damage(&self, attack: Attack, api: &Api, keys: Option<&AttackKeys>) -> Option<String> {
        match attack {
            Attack::Guesses if self.refused == 0 => Some("guesses were never rate limited".into()),
            Attack::Guesses => {
                let status = sign_in(&api.url, &keys?.read).await;
                (status != Some(StatusCode::SEE_OTHER)).then(|| format!("the right key was refused: {status:?}"))
            }
            Attack::CrossSite => {
                let answer = client().get(format!("{}/api/v1/silences", api.url)).send().await.ok()?;
                let silences: Value = answer.json().await.ok()?;
                let count = silences["items"].as_array().map_or(0, Vec::len);
                (count > 0).then(|| format!("{count} silences were created by pages of other sites"))
            }
            _ => None,
        }
    }
}

/// Sends a request and keeps the connection open, with `drop` sent from time to time. Returns true if it was refused.
async fn hold(url: &str, request: String, drop: Option<&str>, end: Instant) -> bool {
    let address = url.trim_start_matches("http://");
    let held = async {
        let mut stream = TcpStream::connect(address).await?;
        // The server may refuse the last bytes, which ends the connection.
        stream.write_all(request.as_bytes()).await?;
        loop {
            sleep(PAUSE).await;
            match drop {
                Some(drop) => stream.write_all(drop.as_bytes()).await?,
                None => stream.writable().await?,
            }
            if request.is_empty() || drop.is_some() || request.ends_with("GET /hea") {
                let mut answer = [0; 1024];
                match stream.try_read(&mut answer) {
                    Ok(0) => return std::io::Result::Ok(()),
                    Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return Err(error),
                    _ => {}
                }
            } else if stream.peer_addr().is_err() {
                return Ok(());
            }
        }
    };
    timeout(end.saturating_duration_since(Instant::now()), held).await.is_ok_and(|held| held.is_err())
}

async fn preview(url: &str) -> Option<StatusCode> {
    let patterns: Vec<_> = (0..20).map(|i| format!("deviceId=~.*(a|b|c|d|[0-9]+){{1,{}}}[xyz{i}]?.*", i + 2)).collect();
    let query = urlencoded(&[("matchers", &patterns.join("\n"))]);
    let request = client().get(format!("{url}/api/v1/silences/preview?{query}"));
    Some(request.send().await.ok()?.status())
}

async fn sign_in(url: &str, key: &str) -> Option<StatusCode> {
    // The header of a proxy.
    let request = client().post(format!("{url}/sign-in")).header("x-forwarded-for", "192.0.2.7");
    let request = request.urlencoded(&[("key", key)]);
    Some(request.send().await.ok()?.status())
}

fn client() -> Client {
    let client = Client::builder().timeout(Duration::from_secs(30)).redirect(reqwest::redirect::Policy::none());
    client.build().unwrap_or_default()
}

/// Makes the server know devices, each with three failed syncs, so that it lists them as failing.
pub(super) async fn fill(url: &str, devices: usize) -> anyhow::Result<()> {
    let (client, times) = (client(), [2, 3, 4].map(hours_ago));
    let ids: Vec<_> = (0..devices).collect();
    for ids in ids.chunks(1_000 / times.len()) {
        let reports = ids.iter().flat_map(|id| times.map(|at| body(&format!("pibook-{id:06}-abcdef"), at, true)));
        let reports: Vec<_> = reports.collect();
        let answer = client.post(format!("{url}/api/v1/sync-events")).json(&reports).send().await?;
        let status = answer.status();
        ensure!(status == StatusCode::ACCEPTED, "a batch was answered {status}");
    }
    Ok(())
}
