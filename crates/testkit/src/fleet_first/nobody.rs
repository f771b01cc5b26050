//! Scenario: devices fail and no alerter runs. Page, `/readyz` and metrics must say so.

use anyhow::Context;
use jiff::{SignedDuration, Timestamp};

use super::{scenarios::hours, story::Story, table};
use crate::test_env::{Api, TestEnv};

/// Texts that a page must not have while no alerter runs.
const REASSURING: [&str; 2] = ["All quiet", "No open incident"];

/// The state of page, `/readyz` and metrics at one time.
#[derive(Debug)]
struct Said {
    page: String,
    alerter: String,
    status: u16,
    is_up: bool,
}

impl Said {
    async fn by(api: &Api) -> anyhow::Result<Self> {
        let text = async |path: &str| reqwest::get(format!("{}{path}", api.url)).await?.text().await;
        let ((status, ready), metrics) = (api.get("/readyz").await, text("/metrics").await?);
        let is_up = metrics.lines().find_map(|line| line.strip_prefix("pisync_alerter_up ")).context("the metric")?;
        let alerter = ready["alerter"].as_str().unwrap_or("nothing").to_owned();
        Ok(Self { page: text("/").await?, alerter, status: status.as_u16(), is_up: is_up == "1" })
    }

    /// Returns true if all three say that no alerter runs, with these words as the page's headline.
    fn is_alarm(&self, words: &str) -> bool {
        let headline = format!("class=\"headline\">Nobody is being alerted: {words}<");
        self.page.contains(&headline)
            && !REASSURING.iter().any(|words| self.page.contains(words))
            && (self.alerter.as_str(), self.status, self.is_up) == ("absent", 200, false)
    }

    #[expect(clippy::print_stdout, reason = "a tool for people")]
    fn print(&self, when: &str) {
        let headline = self.page.split("class=\"headline\">").nth(1).and_then(|rest| rest.split('<').next());
        println!("  {when}: \"{}\"", headline.unwrap_or("no headline"));
        println!(
            "    readyz {} \"alerter\":\"{}\", pisync_alerter_up {}",
            self.status,
            self.alerter,
            u8::from(self.is_up)
        );
    }
}

/// A tenth of the fleet fails for three hours. The page is checked before any alerter ran, while one runs, and four
/// minutes after its last tick.
pub(super) async fn nobody_alerts(env: &TestEnv, devices: u32) -> anyhow::Result<bool> {
    let mut story = Story::new(env, hours(3)).await?;
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for hour in 0..3 {
        let report = |device: u32| (device, device.is_multiple_of(10));
        story
            .report(&(0..devices).map(report).collect::<Vec<_>>(), hours(hour) + SignedDuration::from_mins(55))
            .await?;
    }
    let never = Said::by(&api).await?;
    story.tick(hours(3)).await?;
    env.until("a heartbeat", async || Said::by(&api).await.is_ok_and(|said| said.alerter != "absent")).await;
    let runs = Said::by(&api).await?;
    let millis = |ago| (Timestamp::now() - SignedDuration::from_mins(ago)).as_millisecond().to_string();
    for field in env.redis(&["HKEYS", "{}:heartbeat"]).await.lines().filter(|field| field.starts_with("due:")) {
        env.redis(&["HSET", "{}:heartbeat", "alerter", &millis(4), field, &millis(3)]).await;
    }
    env.until("its absence", async || Said::by(&api).await.is_ok_and(|said| said.alerter == "absent")).await;
    let gone = Said::by(&api).await?;
    never.print("before any alerter ran");
    runs.print("while one runs");
    gone.print("four minutes after its last tick");
    let failing = devices.div_ceil(10);
    let is_right = never.is_alarm("no alerter has ever run")
        && never.page.contains(&format!("{failing} devices are failing without an open incident"))
        && (runs.alerter.as_str(), runs.is_up) == ("ok", true)
        && runs.page.contains("class=\"headline\">The fleet is failing")
        && gone.is_alarm("no alerter has run for 4 min")
        && gone.page.contains("The fleet is failing");
    table::timeline(&story, &format!("{failing} of {devices} devices fail, and no alerter runs"), is_right);
    Ok(is_right)
}
