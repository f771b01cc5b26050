//! Names of the server, trusted proxies, and the headers of every refusal.

use reqwest::{Client, StatusCode};
use testkit::{
    RedisServer, TestEnv, client, header,
    keys::{api_with, key},
};

use crate::{
    sessions::{after, get, post, signed_in},
    signing::signing_key,
};

#[tokio::test]
async fn the_header_of_the_standard_is_believed_as_the_older_ones_are() {
    let env = TestEnv::new();
    let read = key(&env, "read").await;
    for (settings, status) in
        [(&["--trusted-proxies", "127.0.0.0/8"][..], StatusCode::SEE_OTHER), (&[], StatusCode::FORBIDDEN)]
    {
        let api = api_with(&env, "enforce", settings).await;
        let sign_in = client().post(format!("{}/sign-in", api.url)).body(format!("key={read}"));
        let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
        let sign_in = sign_in.header("origin", "https://fleet.example");
        let forwarded = "for=\"[2001:db8::7]:4711\";proto=https;host=fleet.example";
        let answer = sign_in.header("forwarded", forwarded).send().await.unwrap();
        assert_eq!(answer.status(), status);
        let is_secure = header(&answer, "set-cookie").starts_with("__Host-pisync_session=");
        assert_eq!(is_secure, status == StatusCode::SEE_OTHER, "{:?}", answer.headers());
    }
    env.finish().await;
}

#[tokio::test]
async fn a_server_on_loopback_answers_to_the_hosts_that_it_is_told() {
    let env = TestEnv::new();
    for (settings, status) in
        [(&[][..], StatusCode::FORBIDDEN), (&["--allowed-host", "other.local,Fleet.local"], StatusCode::OK)]
    {
        let api = env.api(settings).await;
        let asked = Client::new().get(format!("{}/api/v1/devices", api.url)).header("host", "fleet.LOCAL:8080");
        assert_eq!(asked.send().await.unwrap().status(), status, "{settings:?}");
        let strange = Client::new().get(format!("{}/api/v1/devices", api.url)).header("host", "evil.example");
        assert_eq!(strange.send().await.unwrap().status(), StatusCode::FORBIDDEN);
    }
    env.finish().await;
}

#[tokio::test]
async fn a_shared_link_leads_to_where_people_reach_the_server() {
    let env = TestEnv::new();
    let operate = key(&env, "operate").await;
    for (settings, host, begins) in [
        (&["--external-url", "https://fleet.example/pisync"][..], "127.0.0.1", "https://fleet.example/pisync/shared?"),
        (&["--trusted-proxies", "127.0.0.1"], "127.0.0.1", "https://school.example/shared?"),
        (&["--allowed-host", "fleet.local"], "fleet.local:8080", "http://fleet.local:8080/shared?"),
    ] {
        let api = api_with(&env, "enforce", settings).await;
        let send = |request: reqwest::RequestBuilder| {
            let request = request.header("host", host).header("sec-fetch-site", "same-origin");
            request.header("x-forwarded-host", "school.example").header("x-forwarded-proto", "https").send()
        };
        let signed_in = send(
            client()
                .post(format!("{}/sign-in", api.url))
                .header("content-type", "application/x-www-form-urlencoded")
                .body(format!("key={operate}")),
        )
        .await
        .unwrap();
        let session = crate::sessions::cookie(&signed_in);
        let form = send(client().get(format!("{}/share", api.url)).header("cookie", &session)).await.unwrap();
        let token = after(form, "name=\"token\" value=\"").await;
        let made = client().post(format!("{}/share", api.url)).header("cookie", &session);
        let made = made.header("content-type", "application/x-www-form-urlencoded");
        let made = send(made.body(format!("token={token}&hours=1"))).await.unwrap();
        let link = after(made, "readonly value=\"").await;
        assert!(link.starts_with(begins), "{link}");
    }
    env.finish().await;
}

/// Otherwise a person would leave without being signed out.
#[tokio::test]
async fn who_cannot_be_signed_out_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let read = key(&env, "read").await;
    let file = signing_key(&env, "signing", 'a');
    let api = api_with(&env, "enforce", &["--signing-key-file", &file]).await;
    let session = signed_in(&api, &read).await;
    redis.service().kill().await;
    let refused = post(&api, "/sign-out", &session, "").await;
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(header(&refused, "set-cookie"), "", "the cookie stays, to try again");
    redis.restart().await;
    env.until("signed out", async || post(&api, "/sign-out", &session, "").await.status() == StatusCode::SEE_OTHER)
        .await;
    assert_eq!(get(&api, "/", &session).await.status(), StatusCode::SEE_OTHER);
    env.remove().await;
}

#[tokio::test]
async fn a_refusal_of_any_layer_bears_the_headers_of_all_answers() {
    let env = TestEnv::new();
    let api = env.api(&["--cors-origin", "https://fleet.example"]).await;
    let url = |path: &str| format!("{}{path}", api.url);
    let client = Client::new();
    for (what, request, status, is_cors) in [
        ("a long header", client.get(url("/healthz")).header("x-long", "x".repeat(17_000)), 431, false),
        ("another site", client.post(url("/sign-out")).header("origin", "https://evil.example"), 403, false),
        ("another host", client.get(url("/")).header("host", "evil.example"), 403, false),
        ("no path", client.post(url("/")), 404, false),
        ("no route", client.get(url("/nothing")), 404, false),
        ("an unknown parameter", client.get(url("/api/v1/devices?stauts=ok")), 400, true),
        ("a bad parameter", client.get(url("/api/v1/devices?status=x")), 400, true),
        ("a list that is none", client.get(url("/api/v1/devices.csv")), 400, true),
    ] {
        let request = if is_cors { request.header("origin", "https://fleet.example") } else { request };
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{what}");
        assert_eq!(header(&answer, "content-type"), "application/problem+json", "{what}");
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff", "{what}");
        assert_eq!(header(&answer, "x-frame-options"), "DENY", "{what}");
        assert_eq!(header(&answer, "referrer-policy"), "same-origin", "{what}");
        assert!(header(&answer, "content-security-policy").starts_with("default-src 'none'"), "{what}");
        assert_eq!(header(&answer, "cache-control"), "no-store", "{what}");
        assert!(!header(&answer, "x-request-id").is_empty(), "{what}");
        let allowed = header(&answer, "access-control-allow-origin");
        assert_eq!(allowed, if is_cors { "https://fleet.example" } else { "" }, "{what}");
    }
    env.finish().await;
}
