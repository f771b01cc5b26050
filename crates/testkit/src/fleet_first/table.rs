//! What is printed: the messages, and what it took.

use std::time::Duration;

use jiff::SignedDuration;
use serde_json::Value;

use super::{ContentRelease, Notified, Story, messages::word};

/// The most messages of a timeline.
const SHOWN: usize = 20;

/// Prints what people were told and what it took.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) fn print(release: &ContentRelease, told: &Notified) {
    let after = told.after.map_or("never".to_owned(), |after| format!("{} min", after.as_mins()));
    let [median, longest] = durations(&told.looks);
    println!(
        "{} devices, {} of them failing, over {} min of the hour",
        release.devices,
        release.failing(),
        release.spread.as_mins()
    );
    println!("  reports worked on           {}", told.reports);
    println!("  first message after         {after}");
    for (message, count) in &told.messages {
        println!("  {message:<27} {count}");
    }
    println!("  incidents of devices, held  {}", told.held);
    println!("  a look: median, longest     {median:.3} s, {longest:.3} s, of {}", told.looks.len());
    for (at, line) in told.times.iter().zip(&told.lines) {
        println!("{}", moment(*at, line));
    }
    println!("{}", verdict(told.is_right(release)));
}

/// Prints what people were told, and when.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) fn timeline(story: &Story<'_>, title: &str, is_right: bool) {
    println!("{title}: {} messages", story.told.len());
    for (at, line) in story.told.iter().take(SHOWN) {
        println!("{}", moment(*at, line));
    }
    if story.told.len() > SHOWN {
        println!("  and {} more", story.told.len() - SHOWN);
    }
    println!("{}", verdict(is_right));
}

fn moment(at: SignedDuration, line: &Value) -> String {
    let [name, status, message] = ["alertname", "status", "message"].map(|member| word(line, member));
    let (hours, minutes) = (at.as_hours(), at.as_mins() % 60);
    format!("  {hours:>3} h {minutes:>2} min  {name} {status}: {message}")
}

fn verdict(is_right: bool) -> &'static str {
    if is_right { "as it should be" } else { "WRONG" }
}

pub(super) fn durations(looks: &[Duration]) -> [f64; 2] {
    let mut looks: Vec<_> = looks.iter().map(Duration::as_secs_f64).collect();
    looks.sort_by(f64::total_cmp);
    [looks.get(looks.len() / 2), looks.last()].map(|look| look.copied().unwrap_or_default())
}
