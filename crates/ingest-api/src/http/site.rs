//! The public address of the server, and the address of a client: from the settings, the connection, and trusted
//! proxies.

use std::{
    net::{IpAddr, SocketAddr},
    str::FromStr,
    sync::OnceLock,
};

use actix_web::{
    HttpRequest,
    http::{
        Method,
        header::{HOST, HeaderMap, ORIGIN},
    },
    web::Data,
};
use clap::Args;
use url::Url;

use super::{
    error::ApiError,
    proxies::{Forwarded, Network, Proxies, is_host},
};

/// Public address, trusted proxies and allowed hosts.
#[derive(Debug, Clone, Args)]
pub struct SiteSettings {
    /// Public address of the dashboard, such as `https://fleet.example/pisync`; the proxy in front strips its
    /// path. All links and cookies follow it
    #[arg(long, env = "PISYNC_EXTERNAL_URL")]
    pub external_url: Option<ExternalUrl>,
    /// Networks of trusted proxies, whose Forwarded and X-Forwarded-For, -Proto, -Host are used; comma-separated
    /// [default: none]
    #[arg(long, env = "PISYNC_TRUSTED_PROXIES", value_delimiter = ',', value_name = "CIDR")]
    pub trusted_proxies: Vec<Network>,
    /// Further names in the Host header that a server on loopback answers to; comma-separated
    #[arg(long = "allowed-host", env = "PISYNC_ALLOWED_HOSTS", value_delimiter = ',', value_name = "HOST", value_parser = host)]
    pub allowed_hosts: Vec<String>,
}

/// The public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExternalUrl(Url);

/// Checks requests and builds links by the public address.
#[derive(Debug)]
pub(crate) struct Site {
    external: Option<ExternalUrl>,
    proxies: Proxies,
    allowed_hosts: Vec<String>,
    is_loopback: bool,
    is_tls: bool,
    /// Whether requests are checked; false only in the controls of tests.
    is_kept: bool,
}

/// Health checks, allowed by any host name: they show nothing of the fleet.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Prefix of each path in links, redirects and cookies.
static ROOT: OnceLock<String> = OnceLock::new();

/// Returns the path prefix of the pages: empty, or such as `/pisync`.
pub(crate) fn root() -> &'static str {
    ROOT.get().map_or("", String::as_str)
}

impl FromStr for ExternalUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let form = "an address is http://HOST or https://HOST, optionally with a port and a path, and no more";
        let url = Url::parse(text).map_err(|_| form)?;
        let is_plain = url.query().is_none() && url.fragment().is_none();
        let has_nobody = url.username().is_empty() && url.password().is_none();
        let is_web = matches!(url.scheme(), "http" | "https") && url.has_host();
        let is_path = url.path().bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/%".contains(&byte));
        if is_plain && has_nobody && is_web && is_path && !url.path().contains("//") {
            Ok(Self(url))
        } else {
            Err(form)
        }
    }
}

impl ExternalUrl {
    fn host(&self) -> String {
        host_of(&self.0)
    }

    fn path(&self) -> &str {
        self.0.path().trim_end_matches('/')
    }
}

impl Site {
    /// Returns the site of these settings; the first one of a process sets its [`root`].
    pub(crate) fn new(settings: &SiteSettings, bind: SocketAddr, is_tls: bool, is_kept: bool) -> Self {
        if let Some(external) = &settings.external_url {
            let _ = ROOT.set(external.path().to_owned());
        }
        Self {
            external: settings.external_url.clone(),
            proxies: Proxies(settings.trusted_proxies.clone()),
            allowed_hosts: settings.allowed_hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
            is_loopback: bind.ip().is_loopback(),
            is_tls,
            is_kept,
        }
    }

    /// Returns the site of the application.
    pub(crate) fn of(request: &HttpRequest) -> Option<&Data<Self>> {
        request.app_data::<Data<Self>>()
    }

    /// Returns whether the caller uses `https`. The settings take precedence, since the last of several proxies
    /// may report the protocol of the one before it.
    pub(crate) fn is_https(&self, request: &HttpRequest) -> bool {
        let external = self.external.as_ref().map(|external| external.0.scheme() == "https");
        self.is_tls || external.or_else(|| self.forwarded(request).is_https).unwrap_or(false)
    }

    /// Returns the public address of a page: from the settings, a trusted proxy, or the request.
    pub(crate) fn link(&self, request: &HttpRequest, path: &str) -> String {
        if let Some(external) = &self.external {
            return format!("{}{path}", external.0.as_str().trim_end_matches('/'));
        }
        let scheme = if self.is_https(request) { "https" } else { "http" };
        let asked = || host_header(request.headers()).filter(|host| is_host(host)).map(str::to_owned);
        let host = self.forwarded(request).host.or_else(asked).unwrap_or_else(|| "localhost".into());
        format!("{scheme}://{host}{path}")
    }

    /// Returns the address of the client; `None` if only a proxy's address is known.
    pub(crate) fn client(&self, request: &HttpRequest) -> Option<IpAddr> {
        let peer = request.peer_addr()?.ip();
        if self.proxies.include(peer) { self.forwarded(request).client } else { Some(peer) }
    }

    /// Refuses requests that a page of another site sends by its reader's browser. On loopback it also refuses
    /// foreign names in the `Host`.
    ///
    /// A browser sends an `Origin` with every method but `GET`. A request without one is not a browser's, so
    /// devices and programs need no configured name. Reports are checked too: a page must not forge them.
    pub(crate) fn check(&self, method: &Method, request: &HttpRequest) -> Result<(), ApiError> {
        let headers = request.headers();
        let (site, origin) = (headers.get("sec-fetch-site"), headers.get(ORIGIN));
        let is_browser = method.is_safe() || site.is_some() || origin.is_some();
        if !self.is_kept || !is_browser || PROBES.contains(&request.path()) {
            return Ok(());
        }
        if self.is_loopback && !host_header(headers).is_none_or(|host| self.is_ours(host)) {
            return Err(ApiError::ForeignHost);
        }
        if method.is_safe() {
            return Ok(());
        }
        let is_same = match (site, origin) {
            (None, None) => true,
            (Some(site), _) => site == "same-origin" || site == "none",
            (None, Some(origin)) => origin.to_str().is_ok_and(|origin| self.is_own_origin(origin, request)),
        };
        if is_same { Ok(()) } else { Err(ApiError::CrossSite) }
    }

    fn is_own_origin(&self, origin: &str, request: &HttpRequest) -> bool {
        let Ok(origin) = Url::parse(origin) else { return false };
        let of = |host: &str| {
            let other = Url::parse(&format!("{}://{host}", origin.scheme()));
            other.is_ok_and(|other| other.origin() == origin.origin())
        };
        host_header(request.headers()).is_some_and(of)
            || self.forwarded(request).host.as_deref().is_some_and(of)
            || self.external.as_ref().is_some_and(|external| external.0.origin() == origin.origin())
    }

    /// Returns whether a Host header names this server on loopback. Any port: it may be a forwarded one.
    fn is_ours(&self, host: &str) -> bool {
        let name = without_port(host).to_ascii_lowercase();
        let is_loopback = name.trim_matches(['[', ']']).parse().is_ok_and(|address: IpAddr| address.is_loopback());
        is_loopback
            || name == "localhost"
            || self.external.as_ref().is_some_and(|external| without_port(&external.host()) == name)
            || self.allowed_hosts.iter().any(|allowed| without_port(allowed) == name)
    }

    fn forwarded(&self, request: &HttpRequest) -> Forwarded {
        match request.peer_addr() {
            Some(peer) if !self.proxies.0.is_empty() => self.proxies.read(peer.ip(), request.headers()),
            _ => Forwarded::default(),
        }
    }
}

fn host_header(headers: &HeaderMap) -> Option<&str> {
    headers.get(HOST).map(|host| host.to_str().unwrap_or_default())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    }
}

fn host_of(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

fn host(text: &str) -> Result<String, &'static str> {
    if is_host(text) { Ok(text.to_owned()) } else { Err("a name or an address, optionally with a port") }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn site(external: Option<&str>, bind: &str) -> Site {
        let settings = SiteSettings {
            external_url: external.map(|url| url.parse().unwrap()),
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()],
            allowed_hosts: vec!["Fleet.local".into()],
        };
        Site::new(&settings, bind.parse().unwrap(), false, true)
    }

    fn request(headers: &[(&'static str, &'static str)]) -> HttpRequest {
        let request = TestRequest::post().peer_addr("10.0.0.1:1234".parse().unwrap());
        headers.iter().fold(request, |request, header| request.insert_header(*header)).to_http_request()
    }

    fn is_let_in(site: &Site, headers: &[(&'static str, &'static str)]) -> bool {
        site.check(&Method::POST, &request(headers)).is_ok()
    }

    #[test]
    fn pages_of_other_sites_post_nothing() {
        let site = site(Some("https://fleet.example:8443/pisync/"), "0.0.0.0:80");
        for ours in [
            &[][..],
            &[("host", "a.example"), ("origin", "http://a.example")],
            &[("host", "a.example:80"), ("origin", "http://a.example")],
            &[("host", "A.example"), ("origin", "http://a.example")],
            &[("host", "a.example"), ("sec-fetch-site", "same-origin")],
            &[("host", "internal"), ("origin", "https://fleet.example:8443")],
            &[("host", "internal"), ("origin", "https://b.example"), ("x-forwarded-host", "b.example")],
        ] {
            assert!(is_let_in(&site, ours), "{ours:?}");
        }
        for foreign in [
            &[("host", "a.example"), ("origin", "http://evil.example")][..],
            &[("host", "a.example"), ("origin", "null")],
            &[("host", "a.example:8080"), ("origin", "http://a.example")],
            &[("host", "a.example"), ("sec-fetch-site", "cross-site")],
            &[("host", "a.example"), ("sec-fetch-site", "same-site"), ("origin", "http://a.example")],
            &[("origin", "http://a.example")],
        ] {
            assert!(!is_let_in(&site, foreign), "{foreign:?}");
        }
        let evil = request(&[("host", "a.example"), ("origin", "http://evil.example")]);
        assert!(site.check(&Method::GET, &evil).is_ok(), "reading is for CORS to decide");
    }

    #[test]
    fn a_server_on_loopback_answers_to_its_own_names_alone() {
        let site = site(Some("https://fleet.example/"), "127.0.0.1:8080");
        for ours in ["localhost:8080", "127.0.0.1", "[::1]:8080", "127.0.0.1:1", "fleet.example", "fleet.LOCAL:80"] {
            assert!(site.check(&Method::GET, &request(&[("host", ours)])).is_ok(), "{ours}");
        }
        for foreign in ["evil.example", "localhost.evil.example", "10.0.0.1:8080", "", "localhost@evil", "[::2]"] {
            assert!(!is_let_in(&site, &[("host", foreign), ("sec-fetch-site", "same-origin")]), "{foreign}");
            assert!(is_let_in(&site, &[("host", foreign)]), "a program, and no browser: {foreign}");
            assert!(site.check(&Method::GET, &request(&[("host", foreign)])).is_err(), "{foreign}");
        }
    }

    #[test]
    fn links_follow_the_settings_then_a_believed_proxy_then_the_request() {
        let asked =
            request(&[("host", "a.example"), ("x-forwarded-host", "b.example"), ("x-forwarded-proto", "https")]);
        let open = site(None, "0.0.0.0:80");
        assert_eq!(open.link(&asked, "/x"), "https://b.example/x");
        assert_eq!(site(Some("https://c.example/p/"), "0.0.0.0:80").link(&asked, "/x"), "https://c.example/p/x");
        let inside = request(&[("host", "a.example"), ("x-forwarded-proto", "http")]);
        assert!(site(Some("https://c.example/"), "0.0.0.0:80").is_https(&inside), "by a second proxy");
        assert!(!site(Some("http://c.example/"), "0.0.0.0:80").is_https(&asked));
        let stranger = TestRequest::get().peer_addr("9.9.9.9:1".parse().unwrap());
        let stranger = stranger.insert_header(("host", "a.example")).insert_header(("x-forwarded-host", "b.example"));
        assert_eq!(open.link(&stranger.to_http_request(), "/x"), "http://a.example/x");
    }

    #[test]
    fn an_address_for_people_is_one_or_the_error_says_its_form() {
        for good in ["https://a.example", "http://a:8080/", "https://a.example/one/two/"] {
            assert!(good.parse::<ExternalUrl>().is_ok(), "{good}");
        }
        for bad in ["a.example", "ftp://a", "https://a/?b", "https://a/#b", "https://u:p@a", "https://a//b", "/a", ""] {
            assert!(bad.parse::<ExternalUrl>().is_err(), "{bad}");
        }
    }
}
