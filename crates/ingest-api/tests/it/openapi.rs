//! The `OpenAPI` document, compared with the API.

use ingest_api::routes::all;
use testkit::{TestEnv, body, hours_ago, setting, workspace_root};
use tokio::process::Command;

/// Schemathesis posts valid and invalid data by the document, over every operation.
#[tokio::test]
async fn the_api_does_what_its_description_says() {
    let env = TestEnv::new();
    let (api, _worker) = (env.api(&["--device-burst", "1000000"]).await, env.work().await);
    let reports: Vec<_> = (0..5).map(|hour| body("pibook-1", hours_ago(hour), true)).collect();
    api.accepts(&reports).await;
    env.drained().await;

    let mut command = Command::new("python3");
    let config = workspace_root().join("scripts/lib/schemathesis.toml");
    command.args(["-m", "schemathesis.cli", "--config-file"]).arg(config).args([
        "run",
        "--checks",
        "all",
        "--no-color",
        "--seed",
        "1",
    ]);
    command.args(["--max-examples", "50", "--generation-database", "none", "--url", &api.url]);
    command.arg(format!("{}/openapi.json", api.url)).current_dir(env.path(""));
    command.env("PYTHONPATH", setting("PISYNC_TEST_SCHEMATHESIS")).env("PYTHONDONTWRITEBYTECODE", "1");
    command.env("SCHEMATHESIS_HOOKS", workspace_root().join("scripts/lib/schemathesis_hooks.py"));
    command.env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1");
    let output = command.output().await.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    env.finish().await;
}

/// Pages, and the documentation itself, are not described.
fn is_of_api(path: &str) -> bool {
    path.starts_with("/api/") || path == "/healthz" || path == "/readyz"
}

#[tokio::test]
async fn every_route_is_described() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (_, document) = api.get("/openapi.json").await;
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1"), "{}", document["openapi"]);
    let described: Vec<_> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let routes: Vec<_> = all().map(|resource| resource.path).filter(|path| is_of_api(path)).collect();
    assert!(routes.len() > 15, "{routes:?}");
    for route in routes {
        assert!(described.iter().any(|path| path == route), "{route} is not among {described:?}");
    }
    // The page loads nothing from elsewhere.
    let page = reqwest::get(format!("{}/docs/", api.url)).await.unwrap();
    assert_eq!(page.status().as_u16(), 200);
    assert!(page.headers()["content-security-policy"].to_str().unwrap().contains("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(!page.contains("http://") && !page.contains("https://"), "{page}");
    env.finish().await;
}
