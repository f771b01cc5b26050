//! Valid configs, and the errors of invalid ones.

use jiff::SignedDuration;

use super::*;
use crate::{
    fixtures::{at, failing},
    messages::Links,
    receivers::log::AlertLog,
};

/// Two receivers of each kind of grouping.
const TWO: &str = "[[receiver]]\nname = \"chat\"\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9/\"\n\
                   [[receiver]]\nname = \"am\"\ntype = \"alertmanager\"\nurls = \"http://127.0.0.1:9\"\n";

fn parsed(text: &str) -> Result<RoutingFile, Vec<Problem>> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    RoutingFile::parse(text)
}

/// Returns the errors of a config, a line each.
fn wrong(text: &str) -> String {
    let problems = parsed(text).expect_err(text);
    problems.iter().map(|(line, what)| format!("{line}: {what}\n")).collect::<Vec<_>>().concat()
}

fn routes(config: &str, device: &str) -> Vec<Route> {
    let folder = tempfile::tempdir().unwrap();
    let log = AlertLog::open(&folder.path().join("alerts.log")).unwrap();
    let routing = Routing::new(log, Links::default(), parsed(config).unwrap());
    routing.current().routes(&failing(device, at("08:00")))
}

fn names(config: &str, device: &str) -> Vec<String> {
    routes(config, device).into_iter().map(|route| route.receiver).collect()
}

#[test]
fn without_a_config_the_log_gets_all_and_at_once() {
    let routes = routes("", "a");
    assert_eq!((routes.len(), routes[0].receiver.as_str(), routes[0].group_wait.as_secs()), (1, "log", 0));
}

#[test]
fn the_first_route_that_fits_has_the_alert_and_others_only_if_it_goes_on() {
    assert_eq!(names(TWO, "a"), ["log", "chat", "am"], "without routes every receiver gets all");
    let route = |receiver: &str, more: &str| format!("[[route]]\nreceiver = \"{receiver}\"\n{more}");
    let config = |goes_on: &str| {
        let one = route("chat", &format!("match = {{ deviceId = \"school-*\" }}\ncontinue = {goes_on}\n"));
        format!("{TWO}{one}{}", route("am", "alertname = \"DeviceSyncFailing\"\n"))
    };
    assert_eq!(names(&config("false"), "school-7"), ["log", "chat"]);
    assert_eq!(names(&config("true"), "school-7"), ["log", "chat", "am"]);
    assert_eq!(names(&config("true"), "home"), ["log", "am"]);
    let none = format!("{TWO}{}", route("chat", "match = { deviceId = \"school-*\" }\n"));
    assert_eq!(names(&none, "home"), ["log"]);
    let twice = format!("{TWO}{}{}", route("chat", "continue = true\n"), route("chat", ""));
    assert_eq!(names(&twice, "home"), ["log", "chat"]);
}

#[test]
fn a_route_groups_as_it_says_and_where_it_does_not_as_suits_the_receiver() {
    let config = format!(
        "{TWO}[[route]]\nreceiver = \"chat\"\ngroup_by = []\ngroup_wait = \"1s\"\n\
                          group_interval = \"2s\"\nrepeat_interval = \"3h\"\ncontinue = true\n[[route]]\nreceiver = \"am\"\n"
    );
    let routes = routes(&config, "a");
    let seconds =
        |route: &Route| [route.group_wait, route.group_interval, route.repeat_interval].map(|length| length.as_secs());
    assert_eq!((routes[1].group.len(), seconds(&routes[1])), (0, [1, 2, 10_800]));
    assert_eq!((routes[2].group["deviceId"].as_str(), seconds(&routes[2])), ("a", [0, 0, 86_400]));
}

#[test]
fn all_that_is_wrong_is_told_at_once_by_line_and_key() {
    let text = "[[receiver]]\nname = \"a\"\ntype = \"slack\"\n\n[[receiver]]\nname = \"a\"\ntype = \"email\"\n\
                host = \"h\"\nport = 0\ntls = \"some\"\nfrom = \"nobody\"\nto = []\ntimeout = \"5m\"\n\n\
                [[route]]\nreceiver = \"b\"\nmatch = { \"a b\" = \"red\" }\ngroup_by = [\"a b\"]\ngroup_wait = 5\n\n\
                [rules]\nconnectivity_floor_mbps = \"slow\"\nthreshold = 3\n\n[other]\n";
    let wrong = wrong(text);
    for part in [
        "1: receiver.url_file: is missing",
        "6: receiver.name: is another receiver's name already",
        "9: receiver.port: must be a port, 1 to 65535",
        "10: receiver.tls: ",
        "11: receiver.from: ",
        "12: receiver.to: ",
        "13: receiver.timeout: ",
        "16: route.receiver: ",
        "17: route.match.a b: is not known",
        "18: route.group_by: ",
        "19: route.group_wait: ",
        "22: rules.connectivity_floor_mbps: ",
        "23: rules.threshold: is not known",
        "25: other: is not known",
    ] {
        assert!(wrong.contains(part), "{part}:\n{wrong}");
    }
    assert_eq!(wrong.lines().count(), 14, "{wrong}");
}

#[test]
fn all_that_is_missing_is_told_and_what_was_probably_meant() {
    assert_eq!(
        wrong("[[receiver]]\nname = \"a\"\ntype = \"email\"\n[summary]\n"),
        "1: receiver.host: is missing\n1: receiver.from: is missing\n1: receiver.to: is missing\n\
         4: summary.receivers: is missing\n4: summary.day: is missing\n4: summary.hour: is missing\n"
    );
    for (text, said) in [
        (
            "[[receiver]]\nnam = \"a\"\ntype = \"slack\"\nurl_fil = \"x\"\n",
            "receiver.url_fil: is not known here; did you mean url_file?",
        ),
        (
            "[[receiver]]\nname = \"a\"\ntype = \"slak\"\n",
            "3: receiver.type: must be one of alertmanager, email, pagerduty, slack, webhook; did you mean slack?",
        ),
        ("[[receiver]]\nname = \"a\"\n", "1: receiver.type: is missing"),
        ("[[route]]\ngroup_wiat = \"1s\"\n", "2: route.group_wiat: is not known here; did you mean group_wait?"),
        ("[[route]]\ncontinue = \"yes\"\n", "2: route.continue: must be true or false"),
        ("[[route]]\nrepeat_interval = \"10s\"\n", "2: route.repeat_interval: must be from 60 to 31622400 s"),
        (
            "[[route]]\nalertname = \"DeviceSilnt\"\n",
            "2: route.alertname: must be the name of an alert (FleetSyncFailing, ",
        ),
        (
            "[rules.fleet_silent]\nabsent_aftr = \"1h\"\n",
            "2: rules.fleet_silent.absent_aftr: is not known here; did you mean absent_after?",
        ),
        (&format!("{TWO}{TWO}"), "receiver.name: is another receiver's name already"),
        // The log always exists.
        (&TWO.replace("chat", "log"), "receiver.name: is another receiver's name already"),
        // Alertmanager forgets alerts, so they are pushed again in time.
        (&format!("{TWO}resolve_after = \"1m\"\nresend = \"50s\"\n"), "receiver.resend: must be at most half"),
        ("receiver = 1\n", "1: receiver: must be written as [[receiver]]"),
    ] {
        assert!(wrong(text).contains(said), "{said}:\n{}", wrong(text));
    }
}

#[test]
fn what_is_no_toml_is_told_by_its_line() {
    assert!(wrong("[rules]\nconnectivity_floor_mbps = = 1\n").starts_with("2: "));
}

/// The outbox finds the receiver of a group by the beginning of its key.
#[test]
fn a_name_with_what_ends_it_in_the_key_of_a_group_is_refused_by_line_and_key() {
    let wrong = wrong(&TWO.replace("chat", "chat{blue}"));
    assert_eq!(wrong, "2: receiver.name: must have no { in it\n");
    let other = TWO.replace("chat", "chat \\\"blue\\\", école 7}");
    assert_eq!(names(&other, "a")[1], "chat \"blue\", école 7}");
}

#[test]
fn a_secret_is_not_in_the_file_and_is_shown_by_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("url");
    fs::write(&path, "https://hooks.slack.example/hunter2\n").unwrap();
    let slack = |key: &str| format!("[[receiver]]\nname = \"a\"\ntype = \"slack\"\n{key}\n");
    let config = parsed(&slack(&format!("url_file = {path:?}"))).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));

    for (key, said) in [
        ("url = \"https://hunter2\"", "4: receiver.url: is a secret"),
        ("url = hunter2", "4: "),
        ("url_file = \"/no/such/hunter2\"", "4: receiver.url_file: cannot be read"),
        ("url_env = \"NO_SUCH_hunter2\"", "4: receiver.url_env: names a variable that is not set"),
        (&format!("url_file = {path:?}\nurl_env = \"X\""), "5: receiver.url_env: cannot be together with url_file"),
        ("url_env = \"PATH\"\nurl_file = \"x\"", "4: receiver.url_env: must be an address"),
    ] {
        let wrong = wrong(&slack(key));
        assert!(wrong.contains(said) && !wrong.contains("hunter2"), "{key}: {wrong}");
    }
    fs::write(&path, "hunter2").unwrap();
    let wrong = wrong(&slack(&format!("url_file = {path:?}")));
    assert!(wrong.contains("4: receiver.url_file: must be an address") && !wrong.contains("hunter2"), "{wrong}");
}

#[test]
fn a_password_is_not_sent_where_others_could_read_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("password");
    fs::write(&path, "hunter2").unwrap();
    let text = format!(
        "[[receiver]]\nname = \"a\"\ntype = \"email\"\nhost = \"h\"\ntls = \"none\"\nfrom = \"a@b.org\"\n\
                        to = \"c@d.org\"\nusername = \"u\"\npassword_file = {path:?}\n"
    );
    assert!(wrong(&text).contains("8: receiver.username: is not sent without TLS"));
}

#[test]
fn a_summary_goes_to_who_reads_at_a_time_that_there_is() {
    let summary = |members: &str| format!("{TWO}[summary]\n{members}");
    let right = summary("receivers = [\"log\", \"chat\", \"chat\"]\nday = \"friday\"\nhour = 17\nzone = \"UTC\"\n");
    let plan = parsed(&right).unwrap().summary.unwrap();
    assert_eq!(
        (plan.receivers, plan.day, plan.hour),
        (["chat".into(), "log".into()].into(), jiff::civil::Weekday::Friday, 17)
    );
    assert!(parsed(TWO).unwrap().summary.is_none());

    let wrong = wrong(&summary(
        "receivers = [\"am\", \"nobody\"]\nday = \"someday\"\nhour = 24\nzone = \"Mars/Olympus\"\nto = \"x\"\n",
    ));
    for part in [
        "10: summary.receivers: \"am\" gets no summary: it keeps the state of alerts",
        "10: summary.receivers: \"nobody\" is no receiver of this file",
        "11: summary.day: must be a day, monday to sunday",
        "12: summary.hour: must be an hour, 0 to 23",
        "13: summary.zone: must be \"UTC\" or a time zone such as",
        "14: summary.to: is not known here",
    ] {
        assert!(wrong.contains(part), "{part}:\n{wrong}");
    }
    assert_eq!(wrong.lines().count(), 6, "{wrong}");
}

#[test]
fn routes_match_labels_of_devices_and_the_fleet_is_evaluated_by_up_to_three() {
    let route = "[[route]]\nreceiver = \"chat\"\nmatch = { region = \"nord\" }\ngroup_by = [\"region\"]\n";
    let config = parsed(&format!("{TWO}{route}[rules]\nfleet_by = [\"region\", \"group\"]\n")).unwrap();
    assert_eq!(config.rules.common.fleet_by, ["region", "group"]);
    assert_eq!(parsed(&format!("{TWO}{route}")).unwrap().routes.len(), 1, "any label of devices");
    let no_name = wrong(&format!(
        "{TWO}{}",
        route.replace("region", "\"a region\"").replace("[\"\"a region\"\"]", "[\"a region\"]")
    ));
    assert!(
        no_name.contains("route.match.a region: is not known") && no_name.contains("route.group_by: "),
        "{no_name}"
    );
    for by in ["[\"deviceId\"]", "[\"a b\"]", "[\"a\", \"a\"]", "[\"a\", \"b\", \"c\", \"d\"]", "7"] {
        let wrong = wrong(&format!("[rules]\nfleet_by = {by}\n"));
        assert!(wrong.starts_with("2: rules.fleet_by: "), "{by}: {wrong}");
    }
}

#[test]
fn rules_that_are_not_named_stay_as_they_are_and_each_may_be_set() {
    let config = "[rules]\nreport_interval = \"10m\"\n[rules.fleet_sync_failing]\nat_least = 7\nopens_at = 0.5\n\
                  [rules.fleet_silent]\nabsent_after = \"30m\"\n[rules.pipeline_stalled]\nlongest_wait = \"1m\"\n\
                  [rules.device_flapping]\nopens_above = 0.4\n";
    let rules = parsed(config).unwrap().rules;
    let usual = Rules::default();
    assert_eq!(rules.common.digest_after().as_mins(), 20);
    assert_eq!(rules.fleet_sync_failing.limits.at_least, 7);
    assert!((rules.fleet_sync_failing.limits.opens_at - 0.5).abs() < 1e-9);
    assert_eq!(rules.fleet_sync_failing.window, usual.fleet_sync_failing.window);
    assert_eq!(rules.fleet_silent.absent_after.as_mins(), 30);
    assert_eq!(rules.pipeline_stalled.longest_wait.as_mins(), 1);
    assert!((rules.device_flapping.opens_above - 0.4).abs() < 1e-9);
    assert_eq!(rules.common.device_silent_after, usual.common.device_silent_after);

    let wrong = wrong("[rules.fleet_silent]\nopens_at = 2\nat_least = 0.5\nabsent_after = \"0s\"\nwindow = \"1m\"\n");
    for key in ["opens_at", "at_least", "absent_after", "window"] {
        assert!(wrong.contains(&format!("rules.fleet_silent.{key}: ")), "{wrong}");
    }
}

#[test]
fn a_schedule_has_hours_in_a_zone_and_rules_name_it() {
    let schedule = |members: &str| format!("{TWO}[[schedule]]\nname = \"school\"\n{members}");
    let hours =
        "zone = \"Africa/Nairobi\"\non = [{ days = [\"mon\", \"friday\"], from = \"08:00\", to = \"24:00\" }]\n";
    let off = "off = [{ from = \"2026-12-12\", to = \"2027-01-05\" }]\n";
    let rules = parsed(&schedule(&format!("{hours}{off}[rules]\nexpected = \"school\"\n"))).unwrap().rules;
    let school = rules.common.schedule.unwrap();
    assert_eq!(
        (school.name.as_str(), school.in_a_week(), school.holidays.len()),
        ("school", SignedDuration::from_hours(32), 1)
    );
    for always in ["", "[rules]\nexpected = \"always\"\n"] {
        assert_eq!(parsed(&schedule(&format!("{hours}{always}"))).unwrap().rules.common.schedule, None);
    }
}

#[test]
fn a_schedule_that_makes_no_sense_is_refused_with_its_reason() {
    let on =
        |days: &str, from: &str, to: &str| format!("on = [{{ days = {days}, from = \"{from}\", to = \"{to}\" }}]\n");
    let usual = on("[\"mon\"]", "08:00", "16:00");
    for (members, part) in [
        (format!("zone = \"Mars/Olympus\"\n{usual}"), "schedule.zone: must be \"UTC\" or a time zone"),
        (usual.clone(), "schedule.zone: is missing"),
        ("zone = \"UTC\"\n".to_owned(), "schedule.on: is missing"),
        ("zone = \"UTC\"\non = []\n".to_owned(), "schedule.on: is less than two hours a week"),
        (
            format!("zone = \"UTC\"\n{}", on("[\"mon\"]", "08:00", "09:30")),
            "schedule.on: is less than two hours a week",
        ),
        (format!("zone = \"UTC\"\n{}", on("[\"someday\"]", "08:00", "16:00")), "schedule.on: must have days such as"),
        (format!("zone = \"UTC\"\n{}", on("\"mon\"", "8 am", "16:00")), "schedule.on: must have hours such as"),
        (
            format!("zone = \"UTC\"\n{usual}off = [{{ from = \"2026-12-12\", to = \"2026-12-11\" }}]\n"),
            "schedule.off: must have a last day that is not before the first",
        ),
        (format!("zone = \"UTC\"\n{usual}of = []\n"), "schedule.of: is not known here"),
    ] {
        let wrong = wrong(&format!("[[schedule]]\nname = \"school\"\n{members}"));
        assert!(wrong.contains(part), "{part}:\n{wrong}");
    }
    let two = format!("[[schedule]]\nname = \"school\"\nzone = \"UTC\"\n{usual}").repeat(2);
    assert!(wrong(&two).contains("schedule: two have the name \"school\""));
    let always = format!("[[schedule]]\nname = \"always\"\nzone = \"UTC\"\n{usual}");
    assert!(wrong(&always).contains("schedule.name: is the name for all hours"));
    assert!(
        wrong("[rules]\nexpected = \"scool\"\n")
            .contains("rules.expected: must be \"always\" or the name of a [[schedule]]")
    );
}

#[test]
fn messages_to_people_wait_for_their_hours_and_some_do_not() {
    let office = "[[schedule]]\nname = \"office\"\nzone = \"UTC\"\n\
                  on = [{ days = [\"mon\", \"tue\", \"wed\", \"thu\", \"fri\"], from = \"08:00\", to = \"16:00\" }]\n";
    let route = |more: &str| {
        format!("{TWO}{office}[[route]]\nreceiver = \"chat\"\nduring = \"office\"\ngroup_wait = \"2m\"\n{more}")
    };
    let next_at = |config: &str, now: &str| routes(config, "a")[1].next_at(now.parse().unwrap()).to_string();
    for (now, leaves) in [
        ("2026-11-27T09:00:00Z", "2026-11-27T09:02:00Z"),
        ("2026-11-27T15:59:00Z", "2026-11-30T08:00:00Z"),
        ("2026-11-28T12:00:00Z", "2026-11-30T08:00:00Z"),
    ] {
        assert_eq!(next_at(&route(""), now), leaves, "{now}");
        let at_once = next_at(&route("always = [\"DeviceSyncFailing\"]\n"), now);
        assert_eq!(at_once, next_at(&format!("{TWO}[[route]]\nreceiver = \"chat\"\ngroup_wait = \"2m\"\n"), now));
    }
    assert!(wrong(&route("always = [\"DeviceFailing\"]\n")).contains("route.always: must have names of alerts"));
    let unknown = wrong(&format!("{TWO}[[route]]\nreceiver = \"chat\"\nduring = \"office\"\n"));
    assert!(unknown.contains("route.during: must be \"always\" or the name of a [[schedule]]"), "{unknown}");
}
