//! Trusted proxies, and the client that their headers name.

use std::{net::IpAddr, str::FromStr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;

/// The networks whose `Forwarded` and `X-Forwarded-*` headers are trusted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Proxies(pub(super) Vec<Network>);

/// A network or one address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network(IpNet);

/// The forwarding headers of a trusted proxy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Forwarded {
    pub(super) client: Option<IpAddr>,
    pub(super) host: Option<String>,
    pub(super) is_https: Option<bool>,
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = || text.parse().map(|address: IpAddr| IpNet::from(address));
        text.parse()
            .or_else(|_| address())
            .map(|network: IpNet| Self(network.trunc()))
            .map_err(|_| "a network is an address with a length, such as 10.0.0.0/8 or fd00::/8; several with commas")
    }
}

impl Proxies {
    /// Returns whether an address is trusted.
    pub(super) fn include(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.0.contains(&address))
    }

    /// Returns the forwarding of a request from `peer`; empty if that is not a trusted proxy.
    ///
    /// Each proxy of a chain appends its value: the client is the last address that is not trusted. The protocol
    /// is the value of the proxy that the client reached; if a proxy sets one value for all, that one.
    /// If `Forwarded` (RFC 7239) and `X-Forwarded-*` differ, neither is used.
    pub(super) fn read(&self, peer: IpAddr, headers: &HeaderMap) -> Forwarded {
        if !self.include(peer) {
            return Forwarded::default();
        }
        let of_standard = list(headers, "forwarded");
        let member = |name: &str| -> Vec<String> {
            let members = of_standard.iter().flat_map(|hop| hop.split(';')).filter_map(|pair| pair.split_once('='));
            members
                .filter(|(key, _)| key.trim().eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim().trim_matches('"').to_owned())
                .collect()
        };
        // A proxy sets one of the two and forwards the client's other one unchanged.
        let values = |name: &str, other: &str| match (member(name), list(headers, other)) {
            (found, none) if none.is_empty() => found,
            (none, found) if none.is_empty() => found,
            (one, other) if one == other => one,
            _ => Vec::new(),
        };
        let hops: Vec<_> = values("for", "x-forwarded-for").iter().rev().map(|hop| address(hop)).collect();
        let place = hops.iter().position(|hop| !hop.is_some_and(|hop| self.include(hop)));
        let client = place.and_then(|place| hops.get(place));
        let place = place.unwrap_or(hops.len().saturating_sub(1));
        let protos = values("proto", "x-forwarded-proto");
        let proto = protos.iter().rev().nth(place).or(protos.first());
        Forwarded {
            // All are trusted: the first one sent the request itself.
            client: client.copied().unwrap_or_else(|| hops.last().copied().flatten()),
            // Links are built from it: the nearest proxy set it, whatever precedes it.
            host: values("host", "x-forwarded-host").pop().filter(|host| is_host(host)),
            is_https: proto.map(|proto| proto.eq_ignore_ascii_case("https")),
        }
    }
}

/// Returns the members of a list over all its headers, in order.
fn list(headers: &HeaderMap, name: &str) -> Vec<String> {
    let Ok(name) = HeaderName::from_str(name) else { return Vec::new() };
    let values = headers.get_all(name).filter_map(|value: &HeaderValue| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|member| member.trim().to_owned()).collect()
}

/// Parses an address with or without a port, as RFC 7239 and others write it.
fn address(text: &str) -> Option<IpAddr> {
    let bare = text.trim_start_matches('[');
    let bare = bare.split_once(']').map_or(bare, |(address, _)| address);
    bare.parse().ok().or_else(|| text.parse().ok().map(|socket: std::net::SocketAddr| socket.ip()))
}

/// Returns whether the text is a name or address, with or without a port, and nothing else that would change a
/// link.
pub(super) fn is_host(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:[]".contains(&byte);
    (1..=255).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn read(peer: &str, headers: &[(&'static str, &'static str)]) -> Forwarded {
        let proxies = Proxies(["10.0.0.0/8", "127.0.0.1"].map(|network| network.parse().unwrap()).to_vec());
        let request = headers.iter().fold(TestRequest::get(), |request, header| request.append_header(*header));
        proxies.read(peer.parse().unwrap(), request.to_http_request().headers())
    }

    #[test]
    fn only_proxies_of_ours_are_believed_and_the_client_is_the_last_that_is_none() {
        let chain = ("x-forwarded-for", "1.1.1.1, 2.2.2.2, 10.0.0.7");
        assert_eq!(read("9.9.9.9", &[chain]), Forwarded::default());
        for peer in ["10.1.2.3", "127.0.0.1", "::ffff:10.1.2.3"] {
            assert_eq!(read(peer, &[chain]).client, Some("2.2.2.2".parse().unwrap()), "{peer}");
        }
        let standard = ("forwarded", "for=\"[2001:db8::1]:80\";proto=https;host=a.example");
        assert_eq!(read("10.0.0.1", &[standard, chain]).client, None, "one of them is the client's own");
        let said = read("10.0.0.1", &[standard]);
        let host = Some("a.example".to_owned());
        assert_eq!(said, Forwarded { client: "2001:db8::1".parse().ok(), host, is_https: Some(true) });
        let both = [("x-forwarded-host", "a.example:8443"), ("x-forwarded-proto", "http")];
        let said = read("10.0.0.1", &both);
        assert_eq!((said.host.as_deref(), said.is_https), (Some("a.example:8443"), Some(false)));
        assert_eq!(read("10.0.0.1", &[("x-forwarded-host", "a/../b")]).host, None);
        assert_eq!(read("10.0.0.1", &[("x-forwarded-for", "unknown")]).client, None);
    }

    #[test]
    fn of_two_proxies_the_one_in_front_of_the_client_says_how_he_came() {
        let chain = ("x-forwarded-for", "6.6.6.6, 1.1.1.1, 10.0.0.7");
        for (protos, is_https) in [
            ("https, http", Some(true)),
            ("http, https", Some(false)),
            // The values that the client invented precede it.
            ("https, http, https", Some(false)),
            ("https", Some(true)),
        ] {
            let said = read("10.0.0.1", &[chain, ("x-forwarded-proto", protos)]);
            assert_eq!((said.client, said.is_https), ("1.1.1.1".parse().ok(), is_https), "{protos}");
        }
        let hosts = ("x-forwarded-host", "evil.example, fleet.example");
        assert_eq!(read("10.0.0.1", &[chain, hosts]).host.as_deref(), Some("fleet.example"));
        let standard = ("forwarded", "for=1.1.1.1;proto=https, for=10.0.0.7;proto=http");
        assert_eq!(read("10.0.0.1", &[standard]).is_https, Some(true));
    }

    #[test]
    fn a_network_is_one_or_the_error_says_its_form() {
        for good in ["10.0.0.0/8", "10.1.2.3/8", "::1", "fd00::/8", "192.168.1.1"] {
            assert!(good.parse::<Network>().is_ok(), "{good}");
        }
        for bad in ["", "10.0.0.0/33", "proxy.example", "*"] {
            assert!(bad.parse::<Network>().unwrap_err().contains("10.0.0.0/8"), "{bad}");
        }
    }
}
