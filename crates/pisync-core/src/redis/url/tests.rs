//! Each form of URL that people type is accepted as meant, or refused with the remedy.

use super::*;

fn one(url: &str) -> ConnectionInfo {
    match RedisUrl::parse(url) {
        Ok(RedisUrl { servers: Servers::One(info), .. }) => *info,
        other => panic!("{url}: {other:?}"),
    }
}

fn refused(url: &str) -> String {
    let error = RedisUrl::parse(url).expect_err(url).to_string();
    assert!(!error.contains("secret"), "{url}: {error}");
    error
}

#[test]
fn each_form_names_its_servers() {
    let server = RedisUrl::parse("rediss://:secret@cache/1").unwrap();
    assert_eq!((server.place.as_str(), server.is_tls, server.user.as_str()), ("cache:6379", true, "default"));
    let url = RedisUrl::parse("redis+cluster://someone:secret@a:7000,b:7001,[::1]").unwrap();
    assert_eq!((url.place.as_str(), url.user.as_str()), ("a:7000,b:7001,[::1]:6379", "someone"));
    let Servers::Cluster(nodes) = url.servers else { panic!() };
    assert!(nodes.iter().all(|node| node.redis_settings().password() == Some("secret")));
    assert!(nodes.iter().all(|node| node.tcp_settings().nodelay()));
    let url = RedisUrl::parse("redis+sentinel://:secret@a,b:7001,[::1]/events/2").unwrap();
    assert_eq!(url.place, "events of the sentinels a:26379,b:7001,[::1]:26379");
    let Servers::Sentinels { sentinels, login, master, server } = url.servers else { panic!() };
    assert_eq!((sentinels.len(), master.as_str(), server.db()), (3, "events", 2));
    assert_eq!((server.password(), login.password()), (Some("secret"), None));
}

#[test]
fn a_database_stands_in_the_path_or_the_query() {
    for (url, database) in [
        ("redis://h", 0),
        ("redis://h/", 0),
        ("redis://h:6379/3", 3),
        ("redis://h:6379/3/", 3),
        ("redis://h?db=4", 4),
        ("redis://h/?db=4", 4),
        ("unix:///run/redis.sock?db=5", 5),
        ("  redis://h/6\r\n", 6),
        ("REDIS://h/7", 7),
        ("valkey://h/8", 8),
    ] {
        assert_eq!(one(url).redis_settings().db(), database, "{url}");
    }
}

#[test]
fn user_and_password_are_taken_as_they_are_meant() {
    for (url, user, password) in [
        ("redis://h", None, None),
        ("redis://:secret@h", None, Some("secret")),
        ("redis://someone:secret@h", Some("someone"), Some("secret")),
        ("redis://someone:se@cret@h", Some("someone"), Some("se@cret")),
        ("redis://someone:se:cret@h", Some("someone"), Some("se:cret")),
        ("redis://:p%40%2F%23%25@h", None, Some("p@/#%")),
        ("unix:///run/redis.sock?user=someone&pass=secret", Some("someone"), Some("secret")),
        ("redis+unix:///run/redis.sock", None, None),
        ("redis://h?password=secret", None, Some("secret")),
    ] {
        let info = one(url);
        let login = info.redis_settings();
        assert_eq!((login.username(), login.password()), (user, password), "{url}");
    }
    let url = "redis+sentinel://:one@a/events?sentinel_username=watcher&sentinel_password=t%26wo";
    let Servers::Sentinels { login, server, .. } = RedisUrl::parse(url).unwrap().servers else { panic!() };
    assert_eq!((login.username(), login.password()), (Some("watcher"), Some("t&wo")));
    assert_eq!((server.username(), server.password()), (None, Some("one")));
}

#[test]
fn addresses_are_shown_as_they_are_written() {
    for (url, place) in [
        ("redis://[::1]:7000", "[::1]:7000"),
        ("redis://[::1]", "[::1]:6379"),
        ("redis://cache.example:", "cache.example:6379"),
        ("unix:///run/redis.sock", "/run/redis.sock"),
    ] {
        assert_eq!(RedisUrl::parse(url).unwrap().place, place, "{url}");
    }
}

#[test]
fn what_has_none_of_the_forms_is_refused_with_what_to_write() {
    for (url, says) in [
        ("a:7000", "redis://HOST"),
        ("localhost", "redis://HOST"),
        ("http://a:secret@b", "scheme"),
        ("http+cluster://a", "scheme"),
        ("redis+ring://a:7000", "scheme"),
        ("redis-sentinel://a/events", "redis+sentinel://"),
        ("redis+tls://a", "rediss://"),
        ("redis://", "no host"),
        ("redis://:secret@", "no host"),
        ("redis://someone@h", ":PASSWORD@"),
        ("redis://secret@h", ":PASSWORD@"),
        ("redis://:se/secret@h", "%2F"),
        ("redis://:se?secret@h", "%3F"),
        ("redis://:se#secret@h", "%23"),
        ("redis://:secret%@h", "%25"),
        ("redis://:secret%zz@h", "%25"),
        ("rediss://h#insecure", "--redis-ca-file"),
        ("redis://h?protocol=resp3", "protocol"),
        ("redis://h?ssl=true", "rediss://"),
        ("redis://h?ssl_cert_reqs=none", "--redis-ca-file"),
        ("redis://h?max_connections=9", "max_connections"),
        ("redis://h?sentinel_password=secret", "sentinel_password"),
        ("redis://h/secret", "database"),
        ("redis://h/-1", "database"),
        ("redis://h/1?db=2", "two databases"),
        ("redis://h:secret", "port"),
        ("redis://h:0", "port"),
        ("redis://h:65536", "port"),
        ("redis://::1:6379", "brackets"),
        ("redis://[::1]6379", "brackets"),
        ("redis://0.0.0.0", "0.0.0.0"),
        ("redis://a b", "character"),
        ("redis://a,b", "redis+cluster://"),
        ("redis+cluster://a:7000,b:secret", "port"),
        ("redis+cluster://a:7000/1", "database 0"),
        ("redis+sentinel://a:7000", "no master"),
        ("redis+sentinel://a:7000/events/secret", "database"),
        ("unix://run/redis.sock", "unix:///"),
    ] {
        let error = refused(url);
        assert!(error.contains(says), "{url}: {error}");
    }
}
