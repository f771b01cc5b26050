//! The metrics of all processes: their common prefix, buckets and text format.
//!
//! No metric has a label that grows with the fleet, such as a device.

use std::{
    collections::HashSet,
    fmt::{self, Write},
    sync::LazyLock,
};

use prometheus_client::{
    encoding::text,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};

/// The media type of [`render`].
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The prefix of all names.
const PREFIX: &str = "pisync";

/// The number of documents left out because they cannot be read, by collection, in this process. Every read of the
/// store and of Redis counts here.
pub static UNREADABLE_DOCUMENTS: LazyLock<Family<[(&'static str, &'static str); 1], Counter>> =
    LazyLock::new(Family::default);

/// Returns an empty registry; every name in it gets the prefix.
pub fn registry() -> Registry {
    Registry::with_prefix(PREFIX)
}

/// Returns a registry with the version of the program.
pub fn registry_of(version: &'static str) -> Registry {
    let mut registry = registry();
    let build = Family::<[(&'static str, &'static str); 1], Gauge>::default();
    build.get_or_create(&[("version", version)]).set(1);
    registry.register("build_info", "Always 1; the version is a label", build);
    registry.register(
        "unreadable_documents",
        "Documents left out because they cannot be read, by collection",
        UNREADABLE_DOCUMENTS.clone(),
    );
    registry
}

/// Returns a histogram of seconds, with buckets from an answer out of memory to a timeout.
pub fn seconds() -> Histogram {
    Histogram::new([0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0])
}

/// Returns the metrics in the text format of Prometheus, version 0.0.4.
///
/// The library writes `OpenMetrics`, in which the name of a counter's family lacks the `_total` of its samples, and
/// which ends in a mark of its own. `promtool check metrics` accepts neither.
pub fn render(registry: &Registry) -> Result<String, fmt::Error> {
    let mut written = String::new();
    text::encode_registry(&mut written, registry)?;
    let counters: HashSet<_> = written.lines().filter_map(counter_of).collect();
    let mut rendered = String::with_capacity(written.len());
    for line in written.lines() {
        let mut words = line.splitn(4, ' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), Some(rest)) if counters.contains(name) => {
                writeln!(rendered, "# {what} {name}_total {rest}")?;
            }
            _ => writeln!(rendered, "{line}")?,
        }
    }
    Ok(rendered)
}

/// Returns the family's name if the line declares a counter.
fn counter_of(line: &str) -> Option<&str> {
    line.strip_prefix("# TYPE ")?.strip_suffix(" counter")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_has_one_name_in_all_its_lines() {
        let mut registry = registry();
        let (accepts, waiting) = (Counter::<u64>::default(), Gauge::<i64>::default());
        registry.register("accepts", "Events accepted", accepts.clone());
        registry.register("waiting", "Events that wait", waiting);
        accepts.inc();
        let expected = "# HELP pisync_accepts_total Events accepted.\n# TYPE pisync_accepts_total counter\n\
                        pisync_accepts_total 1\n\
                        # HELP pisync_waiting Events that wait.\n# TYPE pisync_waiting gauge\npisync_waiting 0\n";
        assert_eq!(render(&registry).unwrap(), expected);
    }
}
