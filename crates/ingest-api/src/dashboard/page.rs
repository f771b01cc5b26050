//! The frame of all pages, and the page that says why there is no other.

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, CONTENT_SECURITY_POLICY, LOCATION},
    },
};
use askama::{Template, filters::urlencode_strict};

use super::{ROUTES, relative_time::Moment};
use crate::http::{error::ApiError, root};

/// What pages need: files of this server, and nothing else.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// What is around each page.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// What the page is about.
    pub(super) title: String,
    /// The path of its place in the navigation.
    pub(super) here: &'static str,
    /// Whether somebody looks who may see the fleet at all.
    pub(super) is_open: bool,
    /// Whether pages for operators are in the navigation.
    pub(super) may_operate: bool,
    /// Whether there is a session to be ended.
    pub(super) is_signed_in: bool,
    /// What forms bear.
    pub(super) form_token: String,
    /// Until when they may look, who have come by a link that was shared.
    pub(super) shared_until: Option<Moment>,
}

impl Frame {
    /// Returns the path and the word of each page in the navigation.
    pub(super) fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let shown = ROUTES.iter().filter(|page| self.may_operate || !page.is_for_operators());
        shown.filter_map(|page| Some((page.path, page.word?)))
    }

    /// Whether the page has forms that do something.
    pub(super) fn may_act(&self) -> bool {
        self.may_operate && !self.form_token.is_empty()
    }
}

/// A page that is not shown.
#[derive(Debug)]
pub(super) enum PageError {
    /// First the viewer has to say who they are.
    SignIn {
        /// Where to go then.
        next: String,
        /// Whether a part of a page asked, that can show no other.
        is_part: bool,
    },
    /// The viewer may not.
    Forbidden(&'static str),
    /// What the API would answer.
    Api(ApiError),
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    said: String,
}

impl PageError {
    pub(super) fn sign_in(request: &HttpRequest) -> Self {
        let next = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
        Self::SignIn { next, is_part: request.headers().contains_key("hx-request") }
    }
}

/// A page as it is sent.
pub(super) fn render(page: &impl Template) -> HttpResponse {
    html(StatusCode::OK, page)
}

/// A page with the cookie of a session that was begun for it, if one was.
pub(super) fn render_with(cookie: Option<String>, page: &impl Template) -> HttpResponse {
    let mut answer = render(page);
    if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// To another page, after something was done.
pub(super) fn go_to(path: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((LOCATION, format!("{}{path}", root())));
    answer
}

/// The page with the path under which people reach it before each link: no template has to know it.
/// What others have written is escaped, so that it holds no quotation mark.
fn under(root: &str, page: String) -> String {
    const LINKS: [&str; 6] = ["href", "action", "src", "hx-get", "hx-post", "data-chart"];
    if root.is_empty() {
        return page;
    }
    LINKS.iter().fold(page, |page, link| page.replace(&format!(" {link}=\"/"), &format!(" {link}=\"{root}/")))
}

/// A text as a part of a query.
pub(super) fn escaped(text: &str) -> String {
    urlencode_strict(text).map_or_else(|_| String::new(), |escaped| escaped.to_string())
}

fn html(status: StatusCode, page: &impl Template) -> HttpResponse {
    match page.render() {
        Ok(text) => HttpResponse::build(status)
            .content_type("text/html; charset=utf-8")
            .insert_header((CONTENT_SECURITY_POLICY, POLICY))
            .body(under(root(), text)),
        Err(error) => {
            log::error!(error:% = error; "a page was not made");
            HttpResponse::InternalServerError().finish()
        }
    }
}

impl fmt::Display for PageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignIn { .. } => f.write_str("sign in first"),
            Self::Forbidden(why) => f.write_str(why),
            Self::Api(error) => error.fmt(f),
        }
    }
}

impl ResponseError for PageError {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn { is_part: true, .. } => StatusCode::UNAUTHORIZED,
            Self::SignIn { .. } => StatusCode::SEE_OTHER,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::Api(error) => error.status_code(),
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        match self {
            Self::SignIn { is_part: true, .. } => {
                HttpResponse::Unauthorized().insert_header(("HX-Refresh", "true")).finish()
            }
            Self::SignIn { next, .. } => go_to(&format!("/sign-in?next={}", escaped(next))).finish(),
            Self::Forbidden(_) | Self::Api(_) => {
                let title = status.canonical_reason().unwrap_or("Error").to_owned();
                let mut answer =
                    html(status, &ErrorPage { frame: Frame { title, ..Frame::default() }, said: self.to_string() });
                if status == StatusCode::UNAUTHORIZED {
                    answer.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
                }
                answer
            }
        }
    }
}

impl From<ApiError> for PageError {
    fn from(error: ApiError) -> Self {
        Self::Api(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_navigation_leaves_out_pages_that_are_not_for_the_viewer() {
        let words = |may_operate| {
            let frame = Frame { may_operate, ..Frame::default() };
            frame.navigation().map(|(_, word)| word).collect::<Vec<_>>()
        };
        assert_eq!(words(false)[..3], ["Fleet", "Devices", "Alerts"]);
        assert!(words(true).contains(&"Dead letters") && !words(false).contains(&"Dead letters"));
    }
}
