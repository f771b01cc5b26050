//! Printed results: the messages, and the cost of the run.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::{ContentRelease, Notified, Story, messages::word};

/// The maximum number of messages in a timeline.
const SHOWN: usize = 20;

/// Prints the messages of a content release and the cost of the run.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) fn print(release: &ContentRelease, notified: &Notified) {
    let after = notified.after.map_or("never".to_owned(), |after| format!("{} min", after.as_mins()));
    let [median, longest] = durations(&notified.ticks);
    println!(
        "{} devices, {} of them failing, over {} min of the hour",
        release.devices,
        release.failing(),
        release.spread.as_mins()
    );
    println!("  reports processed           {}", notified.reports);
    println!("  first message after         {after}");
    for (message, count) in &notified.messages {
        println!("  {message:<27} {count}");
    }
    println!("  device incidents, inhibited {}", notified.held);
    println!("  a tick: median, longest     {median:.3} s, {longest:.3} s, of {}", notified.ticks.len());
    for (at, line) in notified.times.iter().zip(&notified.lines) {
        println!("{}", timeline_row(*at, line));
    }
    println!("{}", verdict(notified.is_right(release)));
}

/// Prints the messages with their times.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) fn timeline(story: &Story<'_>, title: &str, is_right: bool) {
    println!("{title}: {} messages", story.sent.len());
    for (at, line) in story.sent.iter().take(SHOWN) {
        println!("{}", timeline_row(*at, line));
    }
    if story.sent.len() > SHOWN {
        println!("  and {} more", story.sent.len() - SHOWN);
    }
    println!("{}", verdict(is_right));
}

fn timeline_row(at: SignedDuration, line: &Value) -> String {
    let [name, status, message] = ["alertname", "status", "message"].map(|member| word(line, member));
    let (hours, minutes) = (at.as_hours(), at.as_mins() % 60);
    format!("  {hours:>3} h {minutes:>2} min  {name} {status}: {message}")
}

fn verdict(is_right: bool) -> &'static str {
    if is_right { "as expected" } else { "NOT AS EXPECTED" }
}

pub(super) fn durations(ticks: &[Duration]) -> [f64; 2] {
    let mut ticks: Vec<_> = ticks.iter().map(Duration::as_secs_f64).collect();
    ticks.sort_by(f64::total_cmp);
    [ticks.get(ticks.len() / 2), ticks.last()].map(|tick| tick.copied().unwrap_or_default())
}
