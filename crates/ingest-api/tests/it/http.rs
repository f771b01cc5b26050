//! The answers of the API to invalid requests.

use reqwest::{Client, Method, Response};
use serde_json::{Value, json};
use testkit::{TestEnv, body, hours_ago};

/// The members of RFC 9457, and those that old clients read.
async fn problem(answer: Response, status: u16) -> Value {
    assert_eq!(answer.status().as_u16(), status);
    assert_eq!(answer.headers()["content-type"], "application/problem+json");
    let problem: Value = answer.json().await.expect("JSON");
    assert_eq!((&problem["status"], &problem["success"]), (&status.into(), &false.into()));
    assert_eq!(problem["error"], problem["detail"]);
    problem
}

#[tokio::test]
async fn bad_input_is_a_problem_that_names_what_is_wrong() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let mut report = body("pibook-1", hours_ago(1), false);
    report["totalErrors"] = json!(-1);
    report["internetSpeed"] = json!("fast");
    let answer = problem(api.post(&report).await, 400).await;
    let pointers: Vec<_> = answer["errors"].as_array().unwrap().iter().map(|error| &error["pointer"]).collect();
    assert_eq!(pointers, ["/totalErrors", "/internetSpeed"]);

    let client = Client::new();
    let url = format!("{}/api/sync-event", api.url);
    let send = async |method: Method, url: &str, media_type: &str, body: &str| {
        let request = client.request(method, url).header("content-type", media_type).body(body.to_owned());
        request.send().await.unwrap()
    };
    problem(send(Method::POST, &url, "application/json", "").await, 400).await;
    problem(send(Method::POST, &url, "application/json", "{\"deviceId\":").await, 400).await;
    problem(send(Method::POST, &url, "text/csv", "a,b").await, 415).await;
    problem(send(Method::POST, &url, "application/json", &" ".repeat(1024 * 1024 + 1)).await, 413).await;
    let answer = send(Method::DELETE, &url, "application/json", "").await;
    assert_eq!(answer.headers()["allow"], "POST");
    problem(answer, 405).await;
    problem(send(Method::GET, &format!("{}/api/nothing", api.url), "application/json", "").await, 404).await;

    api.accepts(&[body("pibook-1", hours_ago(1), false)]).await;
    let _worker = env.work().await;
    env.finish().await;
}

#[tokio::test]
async fn a_page_is_asked_for_within_bounds() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    for query in ["page=0", "page=-1", "page=x", "limit=0", "limit=201", "page="] {
        for list in ["/api/devices/repeated-failures", "/api/device/a/sync-history"] {
            let answer = Client::new().get(format!("{}{list}?{query}", api.url)).send().await.unwrap();
            problem(answer, 400).await;
        }
    }
    let (status, empty) = api.get("/api/device/nobody/sync-history?page=50&limit=200").await;
    assert_eq!(status.as_u16(), 200);
    assert_eq!(empty["data"], json!({"page":50,"limit":200,"results":[],"totalPages":0,"totalResults":0}));
    for (list, cursors) in [
        ("/api/devices/repeated-failures", "/api/v1/devices?status=failing"),
        ("/api/device/a/sync-history", "/api/v1/devices/{id}/sync-events"),
    ] {
        for query in ["page=51&limit=200", "page=1001", "page=4294967295&limit=200"] {
            let answer = Client::new().get(format!("{}{list}?{query}", api.url)).send().await.unwrap();
            let problem = problem(answer, 400).await;
            assert_eq!(problem["errors"][0]["pointer"], "/page");
            assert!(problem["detail"].as_str().unwrap().contains(cursors), "{problem}");
        }
    }
    env.finish().await;
}

#[tokio::test]
async fn a_device_with_any_printable_name_finds_its_history() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for (name, path) in [("a/b c", "a%2Fb%20c"), ("école", "%C3%A9cole"), ("..%2f", "..%252f"), ("$where", "$where")] {
        api.accepts(&[body(name, hours_ago(1), false)]).await;
        env.drained().await;
        let (_, answer) = api.get(&format!("/api/device/{path}/sync-history")).await;
        assert_eq!(answer["data"]["results"][0]["deviceId"], name, "{answer}");
    }
    env.finish().await;
}

#[tokio::test]
async fn a_clock_that_is_not_believed_is_kept_beside_the_time_of_receipt() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&[]).await, env.work().await);
    for timestamp in ["1970-01-01T00:00:00.000Z", "2099-01-01T00:00:00.000Z"] {
        let mut report = body(timestamp, hours_ago(0), true);
        report["timestamp"] = json!(timestamp);
        // Resent, as after a lost answer: still one row and one failure.
        api.accepts(&[report.clone(), report.clone(), report]).await;
        env.drained().await;
        let (_, answer) = api.get(&format!("/api/device/{timestamp}/sync-history")).await;
        let row = &answer["data"]["results"][0];
        assert_eq!((&answer["data"]["totalResults"], &row["clockSuspect"]), (&1.into(), &true.into()));
        assert_eq!((&row["deviceTimestamp"], &row["timestamp"]), (&timestamp.into(), &row["createdAt"]));
        assert_eq!(env.failure_count(timestamp).await, 1);
    }
    env.finish().await;
}
