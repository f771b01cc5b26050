//! The documentation: the examples of docs/devices run unchanged, and its tables name every member of a report.

use std::process::Output;

use testkit::{Api, TestEnv, workspace_root};
use tokio::process::Command;

/// The pages for makers of devices, in reading order.
const PAGES: [&str; 5] = ["README.md", "answers.md", "offline.md", "clocks.md", "clients.md"];

/// Returns the fenced examples in a language.
fn examples(language: &str) -> Vec<String> {
    let pages = workspace_root().join("docs/devices");
    let text: String = PAGES.iter().map(|page| std::fs::read_to_string(pages.join(page)).unwrap()).collect();
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).map(|rest| rest.split("```").next().unwrap().to_owned()).collect()
}

async fn run(env: &TestEnv, api: &Api, program: &str, args: &[&str], example: &str) -> Output {
    let mut command = Command::new(program);
    command.args(args).arg(example).current_dir(env.path("")).env("PISYNC_URL", &api.url).env("PISYNC_KEY", "any");
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().await.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program}: {}\n{example}", String::from_utf8_lossy(&output.stderr));
    output
}

#[tokio::test]
async fn every_example_for_devices_runs_as_it_stands_and_is_stored() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.worker("worker.log", &[]).await);
    // The last example in shell, and those in other languages, are the clients of `clients.rs`.
    let shell = examples("sh");
    assert_eq!((shell.len(), examples("python").len(), examples("js").len()), (3, 1, 1));
    for example in &shell[..2] {
        run(&env, &api, "bash", &["-euo", "pipefail", "-c"], example).await;
    }
    for example in examples("json") {
        let value: serde_json::Value = serde_json::from_str(&example).unwrap();
        if value.get("events").is_some() {
            let client = reqwest::Client::new().post(format!("{}/api/v1/sync-events", api.url)).json(&value);
            assert_eq!(client.send().await.unwrap().status().as_u16(), 202);
        } else {
            let bad = serde_json::json!({"deviceId":"a","timestamp":0,"totalFilesSynced":0,"totalErrors":-1,"internetSpeed":0});
            assert_eq!(api.post(&bad).await.json::<serde_json::Value>().await.unwrap(), value);
        }
    }
    env.drained().await;
    let mut devices: Vec<_> = env.rows().await.into_iter().map(|row| row.device_id).collect();
    devices.sort();
    assert_eq!(devices, ["pibook-1", "pibook-2", "pibook-2", "pibook-3"]);
    env.finish().await;
}

/// Returns the first cells in the rows of a page's tables.
fn rows(page: &str) -> String {
    let text = std::fs::read_to_string(workspace_root().join(page)).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn every_member_of_a_report_is_in_the_tables() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let document = api.get("/openapi.json").await.1;
    for (schema, page) in [("Report", "docs/devices/README.md"), ("HistoryEntry", "docs/reference/schema.md")] {
        let rows = rows(page);
        let members = document["components"]["schemas"][schema]["properties"].as_object().unwrap();
        assert!(members.len() >= 8, "{schema}: {members:?}");
        for name in members.keys() {
            assert!(rows.contains(&format!("`{name}`")), "{page} does not name {name}");
        }
    }
    env.finish().await;
}
