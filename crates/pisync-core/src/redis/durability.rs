//! The durability of a Redis server: its eviction policy, and whether it writes to disk.

use std::collections::HashMap;

use deadpool_redis::redis::{self, RedisError, Value, from_redis_value};

use super::link::Link;

/// The durability settings of a server. A missing value is unknown, and does not count as safe.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Server {
    policy: Option<String>,
    /// Whether it writes to disk; none if unknown.
    pub(crate) is_on_disk: Option<bool>,
    /// Whether it is a node of a cluster; none if unknown.
    pub(crate) is_cluster_node: Option<bool>,
}

/// Whether acknowledged events are safe from eviction.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum EvictionSafety {
    Safe,
    /// The reason that they are not.
    Unsafe(String),
}

/// Asks every server that takes writes: by INFO, which nearly every user may run, else by CONFIG.
///
/// Fails if a server is unavailable; a refusal to answer is no failure.
pub(crate) async fn ask(link: &mut Link) -> Result<Vec<Server>, RedisError> {
    let info = redis::cmd("INFO").arg("memory").arg("persistence").arg("cluster").clone();
    match link.ask_all(&info).await {
        Ok(answers) => return Ok(answers.into_iter().map(of_info).collect()),
        Err(error) if is_refusal(&error) => {}
        Err(error) => return Err(error),
    }
    let config = redis::cmd("CONFIG").arg("GET").arg("maxmemory-policy").arg("appendonly").clone();
    match link.ask_all(&config).await {
        Ok(answers) => Ok(answers.into_iter().map(of_config).collect()),
        Err(error) if is_refusal(&error) => Ok(vec![Server::default()]),
        Err(error) => Err(error),
    }
}

/// Returns whether the server refused to answer: a right is missing, or a command is renamed.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOPERM" | "ERR"))
}

fn of_info(answer: Value) -> Server {
    let text: String = from_redis_value(answer).unwrap_or_default();
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim);
    Server {
        policy: field("maxmemory_policy").map(ToOwned::to_owned),
        is_on_disk: field("aof_enabled").map(|enabled| enabled == "1"),
        is_cluster_node: field("cluster_enabled").map(|enabled| enabled == "1"),
    }
}

fn of_config(answer: Value) -> Server {
    let config: HashMap<String, String> = from_redis_value(answer).unwrap_or_default();
    Server {
        policy: config.get("maxmemory-policy").cloned(),
        is_on_disk: config.get("appendonly").map(|appendonly| appendonly == "yes"),
        is_cluster_node: None,
    }
}

impl Server {
    /// Returns whether its eviction policy is safe; `user` is named if it may not ask.
    pub(crate) fn policy(&self, user: &str) -> EvictionSafety {
        match self.policy.as_deref() {
            Some("noeviction") => EvictionSafety::Safe,
            Some(policy) => EvictionSafety::Unsafe(format!(
                "its maxmemory-policy is {policy} and would throw away acknowledged events: set it to noeviction, \
                 or accept the loss by --allow-eviction (PISYNC_ALLOW_EVICTION)"
            )),
            None => EvictionSafety::Unsafe(format!(
                "its maxmemory-policy is not known, since it answers neither INFO nor CONFIG GET: let the user ask \
                 (ACL SETUSER {user} +info), or, where you know that it is noeviction, say so by --allow-eviction \
                 (PISYNC_ALLOW_EVICTION)"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_policy_that_is_known_to_keep_everything_is_safe() {
        let info = |text: &str| of_info(Value::BulkString(text.as_bytes().to_vec()));
        let good = info("# Memory\r\nmaxmemory_policy:noeviction\r\n# Persistence\r\naof_enabled:1\r\n");
        assert_eq!((good.policy("a"), good.is_on_disk), (EvictionSafety::Safe, Some(true)));
        for (text, says) in
            [("maxmemory_policy:allkeys-lru\r\n", "allkeys-lru"), ("", "+info"), ("policy:noeviction", "+info")]
        {
            let EvictionSafety::Unsafe(why) = info(text).policy("fleet") else { panic!("{text}") };
            assert!(why.contains(says) && why.contains("--allow-eviction"), "{why}");
        }
        assert_eq!(info("").is_on_disk, None);
    }
}
