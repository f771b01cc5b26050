//! What is printed: the messages, and what it took.

use std::time::Duration;

use super::{Story, Told};

/// Prints what people were told and what it took.
#[expect(clippy::print_stdout, reason = "a tool for people")]
pub(super) fn print(story: &Story, told: &Told) {
    let after = told.after.map_or("never".to_owned(), |after| format!("{} min", after.as_mins()));
    let [median, longest] = durations(&told.looks);
    println!(
        "{} devices, {} of them failing, over {} min of the hour",
        story.devices,
        story.failing(),
        story.spread.as_mins()
    );
    println!("  reports worked on           {}", told.reports);
    println!("  first message after         {after}");
    for (message, count) in &told.messages {
        println!("  {message:<27} {count}");
    }
    println!("  incidents of devices, held  {}", told.held);
    println!("  a look: median, longest     {median:.3} s, {longest:.3} s, of {}", told.looks.len());
    for line in &told.lines {
        println!("{line}");
    }
    println!("{}", if told.is_right(story) { "as it should be" } else { "WRONG" });
}

fn durations(looks: &[Duration]) -> [f64; 2] {
    let mut looks: Vec<_> = looks.iter().map(Duration::as_secs_f64).collect();
    looks.sort_by(f64::total_cmp);
    [looks.get(looks.len() / 2), looks.last()].map(|look| look.copied().unwrap_or_default())
}
