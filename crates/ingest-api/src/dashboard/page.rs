//! The frame of all pages, and the error page.

use std::fmt;

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, CONTENT_SECURITY_POLICY, LOCATION},
    },
};
use askama::{Template, filters::urlencode_strict};

use super::{ROUTES, relative_time::RelativeTime};
use crate::http::{error::ApiError, root};

/// Policy of the pages: files of this server only.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
     base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The frame of a page.
#[derive(Debug, Default)]
pub(super) struct Frame {
    /// Title of the page.
    pub(super) title: String,
    /// Path of its entry in the navigation.
    pub(super) here: &'static str,
    /// Whether the viewer may see the fleet.
    pub(super) is_open: bool,
    /// Whether the navigation has the pages for operators.
    pub(super) may_operate: bool,
    /// Whether there is a session to end.
    pub(super) is_signed_in: bool,
    /// The token of the session's forms.
    pub(super) form_token: String,
    /// End of the shared link by which the viewer came.
    pub(super) shared_until: Option<RelativeTime>,
}

impl Frame {
    /// Returns the path and the word of each page in the navigation.
    pub(super) fn navigation(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        let shown = ROUTES.iter().filter(|page| self.may_operate || !page.is_for_operators());
        shown.filter_map(|page| Some((page.path, page.word?)))
    }

    /// Returns whether the page has forms with actions.
    pub(super) fn may_act(&self) -> bool {
        self.may_operate && !self.form_token.is_empty()
    }
}

/// A page that cannot be shown.
#[derive(Debug)]
pub(super) enum PageError {
    /// The viewer must sign in first.
    SignIn {
        /// Address of the page after the sign-in.
        next: String,
        /// Whether a script requested a part of a page, which cannot show another page.
        is_part: bool,
    },
    /// The viewer lacks the right.
    Forbidden(&'static str),
    /// The error of the API.
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

/// Renders a page.
pub(super) fn render(page: &impl Template) -> HttpResponse {
    html(StatusCode::OK, page)
}

/// Renders a page with the cookie of a session that was begun for it, if any.
pub(super) fn render_with(cookie: Option<String>, page: &impl Template) -> HttpResponse {
    let mut answer = render(page);
    if let Some(cookie) = cookie.and_then(|cookie| cookie.parse().ok()) {
        answer.headers_mut().insert(header::SET_COOKIE, cookie);
    }
    answer
}

/// Redirects to another page after an action.
pub(super) fn go_to(path: &str) -> actix_web::HttpResponseBuilder {
    let mut answer = HttpResponse::SeeOther();
    answer.insert_header((LOCATION, format!("{}{path}", root())));
    answer
}

/// Prefixes each link of a page with the public path, so that templates need not know it. Texts of others are
/// escaped and have no quotation mark.
fn under(root: &str, page: String) -> String {
    const LINKS: [&str; 6] = ["href", "action", "src", "hx-get", "hx-post", "data-chart"];
    if root.is_empty() {
        return page;
    }
    LINKS.iter().fold(page, |page, link| page.replace(&format!(" {link}=\"/"), &format!(" {link}=\"{root}/")))
}

/// Escapes a text for a query.
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
            log::error!(error:% = error; "rendering a page failed");
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
