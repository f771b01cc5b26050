//! Access to every route of the table, by every kind of caller, in every mode.

use std::fmt;

use ingest_api::{
    http::{
        auth::Scope,
        route::{Access, Endpoint},
    },
    routes::all,
};
use reqwest::{Client, Method, RequestBuilder, Response, redirect::Policy};
use testkit::{
    Api, Form, TestEnv, client,
    keys::{api_with, key, keys},
};

use crate::{
    sessions::{after, cookie, signed_in},
    signing::signing_key,
};

/// A caller with all its credentials.
#[derive(Debug, Clone)]
enum Caller {
    Nobody,
    Key(Scope, String),
    Device(String),
    Session { scope: Scope, cookie: String, token: String },
    Link(String),
}

impl Caller {
    /// Returns whether the caller is to be admitted.
    fn may(&self, endpoint: &Endpoint, path: &str, mode: &str) -> bool {
        let is_open = mode != "enforce";
        let scope = match self {
            Self::Key(scope, _) | Self::Session { scope, .. } => Some(*scope),
            Self::Device(_) => Some(Scope::Ingest),
            Self::Nobody | Self::Link(_) => None,
        };
        let reaches = |demanded| scope.is_some_and(|scope| scope.reaches(demanded));
        let is_session = matches!(self, Self::Session { .. });
        match endpoint.access {
            Access::Everyone => true,
            Access::Key(demanded) => is_open || (reaches(demanded) && (!is_session || demanded == Scope::Read)),
            Access::Page => is_open || reaches(Scope::Read) || matches!(self, Self::Link(_)),
            // A session is checked before the mode: it names the author.
            Access::OperatorPage if mode == "observe" && is_session => reaches(Scope::Operate),
            Access::OperatorPage => is_open || reaches(Scope::Operate),
            // The token of its session, which this test has for operators only.
            Access::OperatorForm if mode == "off" => is_session && reaches(Scope::Operate) && path != "/share",
            Access::OperatorForm => is_session && reaches(Scope::Operate),
        }
    }

    fn show(&self, request: RequestBuilder) -> RequestBuilder {
        match self {
            Self::Nobody => request,
            Self::Key(_, text) | Self::Device(text) => request.bearer_auth(text),
            Self::Session { cookie, .. } | Self::Link(cookie) => request.header("cookie", cookie),
        }
    }

    fn token(&self) -> &str {
        if let Self::Session { token, .. } = self { token } else { "none" }
    }
}

impl fmt::Display for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nobody => f.write_str("nobody"),
            Self::Key(scope, _) => write!(f, "a key for {scope}"),
            Self::Device(_) => f.write_str("a device"),
            Self::Session { scope, .. } => write!(f, "a session of a key for {scope}"),
            Self::Link(_) => f.write_str("a shared link"),
        }
    }
}

/// Returns every kind of caller, and the shared link.
async fn callers(env: &TestEnv, api: &Api, all: &[(Scope, String)]) -> (Vec<Caller>, String) {
    let mut callers = vec![Caller::Nobody, Caller::Device(keys(env, &["device-token", "pibook-1"]).await)];
    let mut link = String::new();
    for (scope, text) in all {
        callers.push(Caller::Key(*scope, text.clone()));
        if !scope.reaches(Scope::Read) {
            continue;
        }
        let session = signed_in(api, text).await;
        let mut token = "none".to_owned();
        if scope.reaches(Scope::Operate) {
            let get = async |path: &str| {
                let request = Client::new().get(format!("{}{path}", api.url)).header("cookie", &session);
                request.send().await.unwrap()
            };
            token = after(get("/share").await, "name=\"token\" value=\"").await;
            let post = Client::new().post(format!("{}/share", api.url)).header("cookie", &session);
            let shared = post.urlencoded(&[("token", &*token), ("hours", "1")]).send().await.unwrap();
            link = after(shared, "readonly value=\"").await;
        }
        callers.push(Caller::Session { scope: *scope, cookie: session, token });
    }
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    callers.push(Caller::Link(cookie(&client.get(&link).send().await.unwrap())));
    (callers, link.strip_prefix(&api.url).unwrap().to_owned())
}

async fn answer(api: &Api, caller: &Caller, endpoint: &Endpoint, path: &str) -> Response {
    let method: Method = endpoint.method.parse().unwrap();
    let client = Client::builder().redirect(Policy::none()).build().unwrap();
    let request = caller.show(client.request(method.clone(), format!("{}{path}", api.url)));
    let is_page = !matches!(endpoint.access, Access::Key(_));
    let request = match (method == Method::POST, is_page) {
        (false, _) => request,
        (true, false) => request.header("content-type", "application/json").body("{}"),
        (true, true) => {
            let form = [("token", caller.token()), ("action", "none"), ("partition", "0"), ("id", "x"), ("hours", "0")];
            request.urlencoded(&form)
        }
    };
    request.send().await.unwrap()
}

fn is_refused(answer: &Response) -> bool {
    let location = answer.headers().get("location").and_then(|location| location.to_str().ok()).unwrap_or_default();
    matches!(answer.status().as_u16(), 401 | 403) || location.starts_with("/sign-in?next=")
}

#[tokio::test]
async fn every_route_lets_in_whom_its_scope_names_and_nobody_else() {
    let env = TestEnv::new();
    keys(&env, &["new-device-key"]).await;
    let mut scopes = Vec::new();
    for (scope, name) in
        [(Scope::Ingest, "ingest"), (Scope::Read, "read"), (Scope::Operate, "operate"), (Scope::Admin, "admin")]
    {
        scopes.push((scope, key(&env, name).await));
    }
    let signing = signing_key(&env, "signing", 'k');
    let with = ["--signing-key-file", &signing];
    let mut callers_and_link = None;
    let mut cells = 0;
    for mode in ["enforce", "observe", "off"] {
        let api = api_with(&env, mode, &with).await;
        if callers_and_link.is_none() {
            callers_and_link = Some(callers(&env, &api, &scopes).await);
        }
        let (callers, link) = callers_and_link.as_ref().unwrap();
        for resource in all() {
            assert!(!resource.endpoints.is_empty(), "{}", resource.path);
            let path = resource.path.replace("{id}", "pibook-1").replace("{file:.*}", "x").replace("{file}", "x");
            let path = if path == "/shared" { link.clone() } else { path };
            for (endpoint, caller) in
                resource.endpoints.iter().flat_map(|one| callers.iter().map(move |caller| (one, caller)))
            {
                // It would end the session of the others.
                if path == "/sign-out" && matches!(caller, Caller::Session { .. }) {
                    continue;
                }
                let answer = answer(&api, caller, endpoint, &path).await;
                let may = caller.may(endpoint, resource.path, mode);
                let status = answer.status();
                assert_eq!(!is_refused(&answer), may, "{mode}: {caller}: {} {path}: {status}", endpoint.method);
                if endpoint.method == "GET" {
                    let head = caller.show(client().head(format!("{}{path}", api.url))).send().await.unwrap();
                    assert_eq!(head.status(), status, "{mode}: {caller}: HEAD {path}");
                }
                cells += 1;
            }
            // An unknown route does not admit anyone either.
            if let Access::Key(_) = resource.endpoints[0].access {
                for method in [Method::PUT, Method::PATCH, Method::OPTIONS, Method::HEAD] {
                    let url = format!("{}{path}", api.url);
                    let status = Client::new().request(method.clone(), url).send().await.unwrap().status().as_u16();
                    assert!(mode != "enforce" || status == 401, "{method} {path}: {status}");
                }
            }
        }
    }
    assert!(cells > 900, "{cells}");
    env.finish().await;
}

/// An open route is a decision, which this list repeats.
#[test]
fn open_to_everyone_are_these_routes_alone() {
    let is_open = |endpoint: &&Endpoint| endpoint.access == Access::Everyone;
    let open =
        all().flat_map(|resource| resource.endpoints.iter().filter(is_open).map(|one| (one.method, resource.path)));
    let mut open: Vec<_> = open.collect();
    open.sort_unstable();
    let known = [
        ("GET", "/assets/{file}"),
        ("GET", "/healthz"),
        ("GET", "/readyz"),
        ("GET", "/shared"),
        ("GET", "/sign-in"),
        ("POST", "/sign-in"),
        ("POST", "/sign-out"),
    ];
    assert_eq!(open, known);
}

/// Every documented route is in the table, so that it has a scope.
#[tokio::test]
async fn every_documented_route_is_in_the_table() {
    let env = TestEnv::new();
    let api = env.api(&[]).await;
    let (_, document) = api.get("/openapi.json").await;
    for (path, item) in document["paths"].as_object().unwrap() {
        let resource = all().find(|resource| resource.path == path).unwrap_or_else(|| panic!("{path}"));
        for method in item.as_object().unwrap().keys() {
            let known =
                resource.endpoints.iter().any(|one| one.method.eq_ignore_ascii_case(method) || method == "head");
            assert!(known, "{method} {path}");
        }
    }
    env.finish().await;
}
