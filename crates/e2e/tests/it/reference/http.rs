//! docs/reference/http.md: every route, with who may use it, from the route table and the `OpenAPI` document.

use ingest_api::{
    http::{
        auth::Scope,
        route::{Access, Endpoint},
    },
    routes,
};
use serde_json::Value;

use super::{code, is_generated, table};

#[test]
fn every_route_is_in_the_reference() {
    let document: Value = serde_json::from_str(&ingest_api::api::openapi_document()).unwrap();
    let all = || routes::all().flat_map(|resource| resource.endpoints.iter().map(|one| (resource.path, one)));
    let of_programs = |(_, one): &(_, &Endpoint)| matches!(one.access, Access::Key(_) | Access::Everyone);
    let described = |(path, one): &(&str, &Endpoint)| operation(&document, path, one).is_object();
    let (apis, pages): (Vec<_>, Vec<_>) =
        all().partition(|route| of_programs(route) && (described(route) || !is_page(route.0)));
    let routes = table(
        ["method", "path", "scope", "what"],
        apis.iter()
            .map(|(path, one)| [one.method.to_owned(), code(path), scope(one.access), summary(&document, path, one)]),
    );
    let pages = table(
        ["method", "path", "who"],
        pages.iter().map(|(path, one)| [one.method.to_owned(), code(path), scope(one.access)]),
    );
    let parameters: String = apis.iter().map(|(path, one)| parameters(&document, path, one)).collect();
    let part = format!("## Routes\n\n{routes}\n## Pages\n\n{pages}\n## Parameters\n{parameters}");
    is_generated("http.md", &part);
}

/// The first sentence that a route says of itself. The document does not describe what is not for programs of users.
fn summary(document: &Value, path: &str, endpoint: &Endpoint) -> String {
    let said = operation(document, path, endpoint)["summary"].as_str();
    let said = said.unwrap_or_else(|| match path {
        "/metrics" => "The metrics, for Prometheus",
        "/openapi.json" => "The API as OpenAPI 3.1",
        path if path.starts_with("/docs") => "A page to try the API",
        _ => panic!("{path} does not describe itself"),
    });
    let said = said.replace('\n', " ");
    said.split_once(". ").map_or(said.as_str(), |(first, _)| first).trim_end_matches('.').to_owned()
}

/// What the dashboard serves to everyone.
fn is_page(path: &str) -> bool {
    ["/shared", "/sign-in", "/sign-out", "/assets/{file}"].contains(&path)
}

fn operation<'a>(document: &'a Value, path: &str, endpoint: &Endpoint) -> &'a Value {
    &document["paths"][path][endpoint.method.to_lowercase()]
}

fn scope(access: Access) -> String {
    match access {
        Access::Everyone => "everyone",
        Access::Key(Scope::Ingest) => "`ingest`",
        Access::Key(Scope::Read) => "`read`",
        Access::Key(Scope::Operate) | Access::OperatorPage => "`operate`",
        Access::Key(Scope::Admin) => "`admin`",
        Access::Page => "`read`, or a shared link",
        Access::OperatorForm => "`operate`, signed in",
    }
    .to_owned()
}

/// The parameters of a route, if it has any.
fn parameters(document: &Value, path: &str, endpoint: &Endpoint) -> String {
    let Some(named) = operation(document, path, endpoint)["parameters"].as_array() else { return String::new() };
    let row = |parameter: &Value| {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default().to_owned();
        let required = if parameter["required"] == true { "yes" } else { "" };
        let what =
            parameter["description"].as_str().or(parameter["schema"]["description"].as_str()).unwrap_or_default();
        [code(&text("name")), text("in"), required.to_owned(), what.replace('\n', " ")]
    };
    let rows = table(["name", "in", "required", "what"], named.iter().map(row));
    format!("\n### {} {path}\n\n{rows}", endpoint.method)
}
