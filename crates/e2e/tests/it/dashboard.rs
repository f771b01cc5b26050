//! What of the dashboard needs no browser.

use e2e::TestEnv;
use reqwest::{Client, Response, redirect::Policy};

use crate::keys::{api, key};

/// A client that follows nothing, as a browser without its cookies.
fn client() -> Client {
    Client::builder().redirect(Policy::none()).build().unwrap()
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).map_or("", |value| value.to_str().unwrap())
}

#[tokio::test]
async fn a_session_ends_with_its_key_and_a_form_of_another_site_does_nothing() {
    let env = TestEnv::new();
    let operate = key(&env, "operate").await;
    let mut api = api(&env, "enforce").await;
    let sign_in = async |origin: &str| {
        let form = format!("key={operate}&next=%2Falerts");
        let post = client().post(format!("{}/sign-in", api.url)).header("origin", origin).body(form);
        post.header("content-type", "application/x-www-form-urlencoded").send().await.unwrap()
    };
    assert_eq!(sign_in("https://evil.example").await.status().as_u16(), 403);
    let answer = sign_in(&api.url).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/alerts"));
    let cookie = header(&answer, "set-cookie").to_owned();
    for attribute in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(cookie.contains(attribute), "{cookie}");
    }
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let url = api.url.clone();
    let get = async |path: &str, cookie: &str| {
        client().get(format!("{url}{path}")).header("cookie", cookie).send().await.unwrap()
    };
    let answer = get("/", &cookie).await;
    assert_eq!(answer.status().as_u16(), 200);
    let policy = header(&answer, "content-security-policy");
    assert!(policy.contains("default-src 'none'") && !policy.contains("unsafe"), "{policy}");
    assert_eq!(get("/", &cookie.replace('.', "0.")).await.status().as_u16(), 303);

    // A form without the session's token.
    let post = client().post(format!("{url}/dead-letters")).header("cookie", &cookie);
    let post = post.header("content-type", "application/x-www-form-urlencoded");
    let answer = post.body("token=x&action=purge&partition=0&id=x").send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 403);

    crate::keys::keys(&env, &["revoke", operate.split('_').nth(2).unwrap()]).await;
    api.service.signal(nix::sys::signal::Signal::SIGHUP);
    api.service.says("read again what=keys").await;
    let answer = get("/devices?q=a", &cookie).await;
    assert_eq!((answer.status().as_u16(), header(&answer, "location")), (303, "/sign-in?next=%2Fdevices%3Fq%3Da"));
    env.finish().await;
}

#[tokio::test]
async fn who_guesses_at_keys_is_slowed_down() {
    let env = TestEnv::new();
    key(&env, "operate").await;
    let api = api(&env, "enforce").await;
    let mut answers = Vec::new();
    for _ in 0..12 {
        let post = client().post(format!("{}/sign-in", api.url)).body("key=psk_operate_x_y");
        let post = post.header("content-type", "application/x-www-form-urlencoded");
        answers.push(post.send().await.unwrap().status().as_u16());
    }
    assert_eq!((answers[0], *answers.last().unwrap()), (200, 429), "{answers:?}");
    env.finish().await;
}

#[tokio::test]
async fn a_page_says_that_it_is_blind_when_a_server_is_away_and_a_badge_is_a_picture() {
    let folder = tempfile::tempdir().unwrap();
    let mut redis = e2e::RedisServer::start(folder.path().join("redis"), &[]).await;
    let env = TestEnv::on_redis(&redis);
    let api = env.api(&[]).await;
    let text = async |path: &str| {
        let answer = client().get(format!("{}{path}", api.url)).send().await.unwrap();
        (answer.status().as_u16(), header(&answer, "content-type").to_owned(), answer.text().await.unwrap())
    };
    let (status, _, page) = text("/").await;
    assert!(status == 200 && page.contains("All quiet"), "{page}");
    let (status, media_type, badge) = text("/badge/fleet.svg").await;
    assert_eq!((status, media_type.as_str()), (200, "image/svg+xml"));
    assert!(badge.contains("all quiet"), "{badge}");
    let (status, media_type, page) = text("/device?id=nobody").await;
    assert_eq!((status, media_type.as_str()), (404, "text/html; charset=utf-8"), "{page}");
    assert_eq!(text("/devices?minFailures=x").await.0, 400);

    redis.service().kill().await;
    let (status, _, page) = text("/").await;
    assert!(status == 200 && page.contains("PiSync is blind: Redis does not answer"), "{page}");
    assert_eq!(text("/chart/hours.json").await.0, 503);
    redis.restart().await;
    env.finish().await;
}
