//! The errors of processes with invalid settings.

use std::any::TypeId;

use clap::{Arg, Command as Clap, CommandFactory};
use testkit::{TestEnv, body, hours_ago};
use tokio::process::Command;

/// Returns the status and the standard error of a process that ends at once.
async fn ends(mut command: Command) -> (Option<i32>, String) {
    let output = command.output().await.expect("a process that ends");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn a_bad_setting_names_its_flag_and_its_variable_and_ends_with_2() {
    let env = TestEnv::new();
    for (binary, flag, variable, value) in [
        ("ingest-api", "--bind", "PISYNC_BIND", "nowhere"),
        ("ingest-api", "--bind", "PISYNC_BIND", "0.0.0.0:0"),
        ("ingest-api", "--max-queue", "PISYNC_MAX_QUEUE", "0"),
        ("ingest-api", "--silent-after", "PISYNC_SILENT_AFTER", "soon"),
        ("ingest-api", "--silent-after", "PISYNC_SILENT_AFTER", "0"),
        ("ingest-api", "--cursor-key-file", "PISYNC_CURSOR_KEY_FILE", "/no/such/file"),
        ("queue-worker", "--batch", "PISYNC_BATCH", "0"),
        ("queue-worker", "--lease-ms", "PISYNC_LEASE_MS", "soon"),
        ("queue-worker", "--partitions", "PISYNC_PARTITIONS", "0"),
        ("alerter", "--schedule", "PISYNC_ALERT_SCHEDULE", "now and then"),
        ("alerter", "--threshold", "PISYNC_ALERT_THRESHOLD", "0"),
        ("alerter", "--log-format", "PISYNC_LOG_FORMAT", "xml"),
    ] {
        let mut by_variable = env.command(binary, &[]);
        by_variable.env(variable, value);
        for command in [env.command(binary, &[flag, value]), by_variable] {
            let (code, error) = ends(command).await;
            assert_eq!(code, Some(2), "{binary} {flag}: {error}");
            assert!(error.contains(flag) && error.contains(variable), "{binary} {flag}: {error}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn a_secret_is_never_repeated() {
    let env = TestEnv::new();
    for (variable, flag, value) in [
        ("PISYNC_MONGO_URI", "--mongo-uri", "mongodb://a:hunter2@:no port"),
        ("PISYNC_REDIS_URL", "--redis-url", "http://a:hunter2@host"),
    ] {
        for arguments in [&[][..], &["--help"]] {
            let mut command = env.command("queue-worker", arguments);
            let output = command.env(variable, value).output().await.unwrap();
            let said = [output.stdout, output.stderr].concat();
            let said = String::from_utf8_lossy(&said);
            assert!(said.contains(flag) && !said.contains("hunter2"), "{said}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn another_number_of_partitions_is_refused() {
    let env = TestEnv::new();
    let _api = env.api(&[]).await;
    let (code, error) = ends(env.command("queue-worker", &["--partitions", "7"])).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("4 partitions") && error.contains("PISYNC_PARTITIONS"), "{error}");
    env.finish().await;
}

#[tokio::test]
async fn a_secret_may_stand_in_a_file() {
    let env = TestEnv::new();
    let (redis, mongo) = (env.path("redis_url"), env.path("mongo_uri"));
    std::fs::write(&redis, format!("{}\n", testkit::setting("PISYNC_TEST_REDIS_URL"))).unwrap();
    std::fs::write(&mongo, format!("{}\n", env.mongo_uri())).unwrap();
    let status = async |redis: &str| {
        let mut command = env.command("queue-worker", &["queue", "status"]);
        command.env("PISYNC_REDIS_URL", redis).env("PISYNC_MONGO_URI", format!("file:{}", mongo.display()));
        ends(command).await
    };
    let (code, error) = status(&format!("file:{}", redis.display())).await;
    assert_eq!(code, Some(0), "{error}");
    let (code, error) = status("file:/no/such/file").await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("--redis-url") && error.contains("No such file"), "{error}");
    std::fs::write(&redis, "http://a:hunter2@host").unwrap();
    let (code, error) = status(&format!("file:{}", redis.display())).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    env.finish().await;
}

/// Runs `queue-worker queue status` with these variables.
async fn status(env: &TestEnv, variables: &[(&str, &str)]) -> (Option<i32>, String) {
    let mut command = env.command("queue-worker", &["queue", "status"]);
    command.envs(variables.iter().copied());
    ends(command).await
}

#[tokio::test]
async fn variables_are_taken_as_env_files_and_secrets_leave_them() {
    let env = TestEnv::new();
    let (redis, mongo) = (testkit::setting("PISYNC_TEST_REDIS_URL"), env.mongo_uri().to_owned());
    std::fs::write(env.path("url"), format!("\u{feff}{redis}\r\n")).unwrap();
    let file = format!("file:{}\r\n", env.path("url").display());
    for variables in [
        &[("PISYNC_PARTITIONS", " 4"), ("PISYNC_LOG_FORMAT", "json\r\n")][..],
        &[("PISYNC_RETAIN_DAYS", ""), ("PISYNC_OPS_BIND", " "), ("PISYNC_REDIS_CA_FILE", "")],
        &[("PISYNC_ALLOW_EVICTION", "1"), ("PISYNC_LANES", "\"2\"")],
        &[("PISYNC_ALLOW_EVICTION", "no"), ("PISYNC_MONGO_CA_FILE", "''")],
        &[("PISYNC_REDIS_URL", &format!("\"{redis}\"")), ("PISYNC_MONGO_URI", &format!("'{mongo}'\n"))],
        &[("PISYNC_REDIS_URL", &file)],
    ] {
        let (code, error) = status(&env, variables).await;
        assert_eq!(code, Some(0), "{variables:?}: {error}");
    }
    std::fs::write(env.path("nothing"), "\r\n").unwrap();
    let (code, error) = status(&env, &[("PISYNC_REDIS_URL", &format!("file:{}", env.path("nothing").display()))]).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("it is empty") && error.contains("PISYNC_REDIS_URL"), "{error}");
    env.finish().await;
}

#[tokio::test]
async fn a_variable_that_is_no_setting_is_named() {
    let env = TestEnv::new();
    let (code, error) = status(&env, &[("PISYNC_REDIS_URI", "x"), ("PISYNC_SERVICE_HOST", "10.0.0.1")]).await;
    assert_eq!(code, Some(0), "{error}");
    assert!(error.contains("PISYNC_REDIS_URI") && error.contains("did you mean PISYNC_REDIS_URL?"), "{error}");
    assert!(!error.contains("PISYNC_SERVICE_HOST"), "{error}");
    env.finish().await;
}

#[test]
fn every_setting_of_every_program_is_known() {
    use clap::CommandFactory;

    fn variables(command: &clap::Command) -> Vec<String> {
        let own = command.get_arguments().filter_map(|arg| Some(arg.get_env()?.to_string_lossy().into_owned()));
        own.chain(command.get_subcommands().flat_map(variables)).collect()
    }
    let commands = [
        ingest_api::config::Config::command(),
        queue_worker::config::Config::command(),
        alerter::config::Config::command(),
    ];
    for variable in commands.iter().flat_map(variables).filter(|name| name.starts_with("PISYNC_")) {
        assert!(
            pisync_core::settings::KNOWN_VARIABLES.contains(&variable.as_str()),
            "{variable} is not in KNOWN_VARIABLES"
        );
    }
}

#[tokio::test]
async fn the_database_of_the_uri_is_used_unless_another_is_given() {
    let env = TestEnv::new();
    let named = env.mongo_uri().replacen("/?", &format!("/{}_by_uri?", env.name()), 1);
    assert!(named.contains("_by_uri"), "{named}");
    let api = env.api(&[]).await;
    let mut worker = env.command("queue-worker", &[]);
    worker.env("PISYNC_MONGO_URI", &named).env("PISYNC_MONGO_DB", "");
    let mut worker = testkit::Service::start(worker, &env.path("worker.log"));
    worker.says("working").await;
    api.accepts(&[body("pibook-1", hours_ago(1), false)]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 0);
    let by_uri = pisync_core::settings::MongoSettings {
        mongo_uri: pisync_core::settings::Secret::new(&named),
        mongo_db: None,
        mongo_ca_file: None,
        sync_event_collection: "SyncEvent".into(),
        failure_counter_collection: "FailureCounter".into(),
    };
    let store = pisync_core::store::Store::open(&by_uri, "e2e").await.unwrap();
    let device = pisync_core::models::DeviceId::parse("pibook-1").unwrap();
    assert!(store.sync_events().last_receipt(&device).await.unwrap().is_some());
    worker.terminate().await;

    // The database setting wins over the one in the URI.
    let mut worker = env.command("queue-worker", &[]);
    worker.env("PISYNC_MONGO_URI", &named);
    let mut worker = testkit::Service::start(worker, &env.path("worker-2.log"));
    worker.says("working").await;
    api.accepts(&[body("pibook-2", hours_ago(1), false)]).await;
    env.drained().await;
    assert_eq!(env.rows().await.len(), 1);
    store.remove().await.unwrap();

    let mut command = env.command("queue-worker", &[]);
    command.env("PISYNC_MONGO_URI", env.mongo_uri().replacen("/?", "/admin?", 1)).env("PISYNC_MONGO_DB", "");
    let (code, error) = ends(command).await;
    assert_eq!(code, Some(2), "{error}");
    assert!(error.contains("authSource=admin") && error.contains("--mongo-db"), "{error}");
    env.finish().await;
}

#[tokio::test]
async fn what_a_uri_says_is_honoured_or_refused_with_a_sentence() {
    let env = TestEnv::new();
    for (variable, value, says) in [
        ("PISYNC_MONGO_URI", "mongodb://a:hunter2@h/?w=1", "w="),
        ("PISYNC_MONGO_URI", "mongodb://a:hunter2@h/?readPreference=nearest", "readPreference="),
        ("PISYNC_MONGO_URI", "h:27017", "mongodb://HOST"),
        ("PISYNC_REDIS_URL", "redis://:hunter2@h?protocol=resp3", "protocol="),
        ("PISYNC_REDIS_URL", "localhost:6379", "redis://HOST"),
        ("PISYNC_REDIS_URL", "redis://:hun/ter2hunter2@h", "%2F"),
        ("PISYNC_REDIS_URL", "rediss://:hunter2@h#insecure", "--redis-ca-file"),
    ] {
        let (code, error) = status(&env, &[(variable, value)]).await;
        assert_eq!(code, Some(2), "{value}: {error}");
        assert!(error.contains(says) && error.contains(variable) && !error.contains("hunter2"), "{value}: {error}");
    }
    // An unreachable server is named.
    let (code, error) = status(&env, &[("PISYNC_REDIS_URL", "redis://:hunter2@127.0.0.1:1")]).await;
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("127.0.0.1:1") && error.contains("--redis-url") && !error.contains("hunter2"), "{error}");
    env.finish().await;
}

/// Returns the arguments of a program and its commands whose value is an integer.
fn numbers(command: &Clap) -> Vec<Arg> {
    let of_verbs = command.get_subcommands().flat_map(numbers);
    command.get_arguments().filter(|arg| is_number(arg)).cloned().chain(of_verbs).collect()
}

fn is_number(arg: &Arg) -> bool {
    let kinds = [
        TypeId::of::<u8>(),
        TypeId::of::<u16>(),
        TypeId::of::<u32>(),
        TypeId::of::<u64>(),
        TypeId::of::<usize>(),
        TypeId::of::<i32>(),
        TypeId::of::<i64>(),
        TypeId::of::<std::num::NonZeroU16>(),
        TypeId::of::<std::num::NonZeroU32>(),
        TypeId::of::<std::num::NonZeroU64>(),
    ];
    !arg.is_hide_set() && kinds.iter().any(|kind| arg.get_value_parser().type_id() == *kind)
}

fn bounds(arg: &Arg) -> (String, i128, i128) {
    let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let words: Vec<_> = help.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let bounds = words.windows(3).find_map(|three| match three {
        [low, "to", high] => Some((low.parse().ok()?, high.parse().ok()?)),
        _ => None,
    });
    let (low, high) = bounds.unwrap_or_else(|| panic!("{}: --help names no bounds: {help}", arg.get_id()));
    (arg.get_long().map_or_else(|| arg.get_id().to_string(), |long| format!("--{long}")), low, high)
}

/// Parses a command line with this argument alone. Returns the error if it is refused.
fn takes(arg: &Arg, flag: &str, value: i128) -> Result<(), String> {
    let command = Clap::new("test").arg(arg.clone().required(false).global(false));
    let argument = if flag.starts_with("--") { format!("{flag}={value}") } else { value.to_string() };
    command.try_get_matches_from(["test".to_owned(), argument]).map(drop).map_err(|error| error.to_string())
}

#[test]
fn every_number_in_a_setting_has_bounds_that_help_names_and_that_hold() {
    for (program, command) in [
        ("ingest-api", ingest_api::config::Config::command()),
        ("queue-worker", queue_worker::config::Config::command()),
        ("alerter", alerter::config::Config::command()),
        ("fleet-sim", fleet_sim::config::Config::command()),
    ] {
        let numbers = numbers(&command);
        assert!(!numbers.is_empty(), "{program}");
        for arg in numbers {
            let (flag, low, high) = bounds(&arg);
            for good in [low, high] {
                assert_eq!(takes(&arg, &flag, good), Ok(()), "{program} {flag} {good}");
            }
            for bad in [low - 1, high + 1, i128::from(u64::MAX)].into_iter().filter(|bad| !(low..=high).contains(bad)) {
                assert!(takes(&arg, &flag, bad).is_err(), "{program} {flag} {bad}");
            }
        }
    }
}

/// The processes run at the bounds of each setting: nothing overflows.
#[tokio::test]
async fn programs_run_at_the_bounds_of_their_settings() {
    let env = TestEnv::new();
    let of_servers = ["--partitions"];
    let at = |command: &Clap, high: bool| {
        let own: Vec<_> = command.get_arguments().filter(|arg| is_number(arg)).map(bounds).collect();
        let own = own.into_iter().filter(|(flag, ..)| !of_servers.contains(&flag.as_str()));
        own.map(|(flag, low, most)| format!("{flag}={}", if high { most } else { low })).collect::<Vec<_>>()
    };
    for high in [true, false] {
        let (api, worker) = (ingest_api::config::Config::command(), queue_worker::config::Config::command());
        let (api, worker) = (at(&api, high), at(&worker, high));
        let args = |of: &[String]| of.iter().map(|arg| arg.clone().leak() as &str).collect::<Vec<_>>();
        let api = env.api_named(&format!("api-{high}.log"), &args(&api)).await;
        let mut worker = env.worker(&format!("worker-{high}.log"), &args(&worker)).await;
        for device in ["a", "b"] {
            assert_eq!(api.post(&body(&format!("{device}-{high}"), hours_ago(1), true)).await.status().as_u16(), 202);
            env.drained().await;
        }
        worker.kill().await;
    }
    assert_eq!(env.rows().await.len(), 4);
    env.finish().await;
}
