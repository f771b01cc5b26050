//! Access to the pages, and its end: sessions and shared links that nobody can forge.

use reqwest::{Response, StatusCode};
use testkit::{
    Api, TestEnv, client, header,
    keys::{api, key, keys},
};

pub(crate) async fn get(api: &Api, path: &str, cookie: &str) -> Response {
    client().get(format!("{}{path}", api.url)).header("cookie", cookie).send().await.unwrap()
}

pub(crate) async fn post(api: &Api, path: &str, cookie: &str, form: &str) -> Response {
    let post = client().post(format!("{}{path}", api.url)).header("cookie", cookie).header("origin", &api.url);
    post.header("content-type", "application/x-www-form-urlencoded").body(form.to_owned()).send().await.unwrap()
}

/// Returns the cookie of an answer, as a browser sends it back.
pub(crate) fn cookie(answer: &Response) -> String {
    header(answer, "set-cookie").split(';').next().unwrap().to_owned()
}

pub(crate) async fn signed_in(api: &Api, key: &str) -> String {
    let answer = post(api, "/sign-in", "", &format!("key={key}")).await;
    assert_eq!(answer.status(), StatusCode::SEE_OTHER);
    cookie(&answer)
}

/// Returns the text behind a word in a page, up to the next quotation mark.
pub(crate) async fn after(answer: Response, word: &str) -> String {
    let page = answer.text().await.unwrap();
    page.split_once(word).unwrap_or_else(|| panic!("no {word} in {page}")).1.split('"').next().unwrap().to_owned()
}

/// Returns the same with another text instead of a part, counted from the front.
fn with_part(cookie: &str, place: usize, text: &str) -> String {
    let (name, value) = cookie.split_once('=').unwrap();
    let mut parts: Vec<_> = value.split('.').collect();
    parts[place] = text;
    format!("{name}={}", parts.join("."))
}

#[tokio::test]
async fn a_session_that_was_made_up_or_changed_is_none() {
    let env = TestEnv::new();
    let (operate, read) = (key(&env, "operate").await, key(&env, "read").await);
    let api = api(&env, "enforce").await;
    let (session, other) = (signed_in(&api, &read).await, signed_in(&api, &operate).await);
    assert_eq!(get(&api, "/", &session).await.status(), StatusCode::OK);
    assert_eq!(get(&api, "/api/v1/devices", &session).await.status(), StatusCode::OK);
    let parts: Vec<_> = session.split_once('=').unwrap().1.split('.').map(str::to_owned).collect();
    let end: i64 = parts[1].parse().unwrap();
    let signature = parts[3].replace(&parts[3][..1], if parts[3].starts_with('A') { "B" } else { "A" });
    let signature_of_other = other.rsplit('.').next().unwrap().to_owned();
    // A signature of this server, but one for forms.
    let form = after(get(&api, "/alerts", &other).await, "name=\"token\" value=\"").await;
    let operators_id = operate.split('_').nth(2).unwrap();
    for (what, forged) in [
        ("a longer life", with_part(&session, 1, &(end + 3_600).to_string())),
        ("the key of another", with_part(&session, 0, operators_id)),
        ("another signature", with_part(&session, 3, &signature)),
        ("the signature of another session", with_part(&session, 3, &signature_of_other)),
        ("the signature of a form", with_part(&other, 3, &form)),
        ("no signature", with_part(&session, 3, "")),
        ("other random digits", with_part(&session, 2, "0000000000000000")),
    ] {
        let answer = get(&api, "/", &forged).await;
        assert_eq!(
            (answer.status(), header(&answer, "location")),
            (StatusCode::SEE_OTHER, "/sign-in?next=%2F"),
            "{what}"
        );
        assert_eq!(get(&api, "/api/v1/devices", &forged).await.status(), StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(get(&api, "/dead-letters", &forged).await.status(), StatusCode::SEE_OTHER, "{what}");
    }
    // Nor is one session valid for the forms of another, or beyond the scope of its key.
    let order = format!("token={form}&action=add&device=a&hours=1&comment=x");
    assert_eq!(post(&api, "/silences", &other, &order).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(post(&api, "/silences", &signed_in(&api, &operate).await, &order).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&api, "/silences", &session, &order).await.status(), StatusCode::FORBIDDEN);
    let alert = format!("token={form}&ack={}", "0".repeat(24));
    assert_eq!(post(&api, "/alerts", &session, &alert).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&api, "/alerts", &other, &alert).await.status(), StatusCode::NOT_FOUND);
    let silences = env.store().await.silences().not_over(testkit::now(), 10).await.unwrap();
    assert_eq!(silences.len(), 1);
    env.finish().await;
}

#[tokio::test]
async fn a_shared_link_opens_the_pages_alone_and_ends_with_the_key_of_who_made_it() {
    let env = TestEnv::new();
    let (operate, read) = (key(&env, "operate").await, key(&env, "read").await);
    let mut api = api(&env, "enforce").await;
    let session = signed_in(&api, &operate).await;
    let token = after(get(&api, "/share", &session).await, "name=\"token\" value=\"").await;
    let made = post(&api, "/share", &session, &format!("token={token}&hours=1")).await;
    let link = after(made, "readonly value=\"").await;
    let path = link.strip_prefix(&api.url).unwrap().to_owned();
    let followed = get(&api, &path, "").await;
    assert_eq!((followed.status(), header(&followed, "location")), (StatusCode::SEE_OTHER, "/"));
    let pass = cookie(&followed);
    for page in ["/", "/devices", "/alerts", "/silences", "/chart/hours.json", "/badge/fleet.svg"] {
        assert_eq!(get(&api, page, &pass).await.status(), StatusCode::OK, "{page}");
    }
    assert_eq!(get(&api, "/dead-letters", &pass).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(get(&api, "/share", &pass).await.status(), StatusCode::FORBIDDEN);
    for path in ["/api/v1/devices", "/metrics", "/api/v1/devices.csv?status=failing"] {
        assert_eq!(get(&api, path, &pass).await.status(), StatusCode::UNAUTHORIZED, "{path}");
    }
    let order = format!("token={token}&action=add&device=a&hours=1&comment=x");
    assert_eq!(post(&api, "/silences", &pass, &order).await.status(), StatusCode::SEE_OTHER);
    // A link's credential is invalid for a session, and the reverse.
    let as_session = pass.replace("pisync_shared=", "pisync_session=");
    assert_eq!(get(&api, "/", &as_session).await.status(), StatusCode::SEE_OTHER);
    let as_link = session.replace("pisync_session=", "pisync_shared=");
    assert_eq!(get(&api, "/", &as_link).await.status(), StatusCode::SEE_OTHER);
    for refused in ["/shared", "/shared?pass=", "/shared?pass=x", &path.replace("pass=", "pass=0")] {
        assert_eq!(get(&api, refused, "").await.status(), StatusCode::FORBIDDEN, "{refused}");
    }
    // A key with the scope read shares nothing, and nobody shares for longer than 30 days.
    let reader = signed_in(&api, &read).await;
    assert_eq!(get(&api, "/share", &reader).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(post(&api, "/share", &reader, &format!("token={token}&hours=1")).await.status(), StatusCode::FORBIDDEN);
    for (hours, status) in [(720, StatusCode::OK), (721, StatusCode::BAD_REQUEST)] {
        let made = post(&api, "/share", &session, &format!("token={token}&hours={hours}")).await;
        assert_eq!(made.status(), status, "{hours}");
    }

    keys(&env, &["revoke", operate.split('_').nth(2).unwrap()]).await;
    api.service.signal(nix::sys::signal::Signal::SIGHUP);
    api.service.says("reloaded what=keys").await;
    assert_eq!(get(&api, "/", &pass).await.status(), StatusCode::SEE_OTHER);
    assert_eq!(get(&api, &path, "").await.status(), StatusCode::FORBIDDEN);
    env.finish().await;
}
