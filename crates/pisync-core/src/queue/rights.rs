//! The rights that a process needs in Redis: commands on keys and channels.
//!
//! The process checks them at the start, so that a missing right is named before an event meets it. [`acl_rule`] is the
//! minimum for a user of `PiSync`.

use std::{collections::BTreeSet, sync::LazyLock};

use deadpool_redis::redis::{self, Script};

use super::{Queue, QueueError};
use crate::{
    process::Process,
    redis::{Keys, Partition},
};

static RIGHTS: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("scripts/rights.lua")));

/// The target of a command.
#[derive(Debug, Clone, Copy)]
enum On {
    /// A key of each partition.
    Partition(&'static str),
    /// A key of the queue as a whole.
    Shared(&'static str),
    /// The channel of the wake-ups.
    Channel,
    Nothing,
}

/// A command that a process runs.
struct Right {
    command: &'static str,
    on: On,
    /// The remaining arguments of a well-formed command.
    rest: &'static [&'static str],
    /// The consequence of a missing right; none if the process cannot work without it.
    loses: Option<&'static str>,
}

const fn must(command: &'static str, on: On, rest: &'static [&'static str]) -> Right {
    Right { command, on, rest, loses: None }
}

const fn may(command: &'static str, on: On, rest: &'static [&'static str], loses: &'static str) -> Right {
    Right { command, on, rest, loses: Some(loses) }
}

const TYPES: &str = "an error about the type of a key does not name the key";
const WAKE: &str = "workers poll every second instead of being woken";
const TOTALS: &str = "the totals of `queue status` stand still";
const SESSIONS: &str = "signing out is refused, and sessions may read alone";
const ALIVE: &str = "the alerter cannot tell a silent fleet from an outage of the system";
const NOBODY: &str = "pages, `/readyz` and metrics say that no alerter runs";
const STATUS: &str = "metrics and dashboard show no queue";
const SEEN: &str = "pages and metrics show no last-seen times";
const STALLS: &str = "an alerter does not detect a stalled pipeline";
const HINTS: &str = "alerts come with the next tick instead of at once";
const LETTERS: &str = "dead letters cannot be listed, requeued or purged";

/// The commands of every process.
const ALL: &[Right] = &[
    must("get", On::Shared("partitions"), &[]),
    must("set", On::Shared("partitions"), &["1", "nx"]),
    may("type", On::Partition("ready"), &[], TYPES),
];

const INGEST: &[Right] = &[
    must("get", On::Partition("count"), &[]),
    must("llen", On::Partition("ready"), &[]),
    must("rpush", On::Partition("ready"), &["x"]),
    may("hincrby", On::Partition("stats"), &["pushed", "1"], TOTALS),
    may("publish", On::Channel, &["0"], WAKE),
    may("set", On::Shared("ended:x"), &["1", "ex", "1"], SESSIONS),
    may("exists", On::Shared("ended:x"), &[], SESSIONS),
    may("type", On::Shared("heartbeat"), &[], ALIVE),
    may("hget", On::Shared("heartbeat"), &["ingest"], ALIVE),
    may("hset", On::Shared("heartbeat"), &["ingest", "0"], ALIVE),
    may("hkeys", On::Shared("heartbeat"), &[], ALIVE),
    may("hdel", On::Shared("heartbeat"), &["x"], ALIVE),
    may("hgetall", On::Shared("heartbeat"), &[], ALIVE),
    may("hmget", On::Partition("lease"), &["owner"], STATUS),
    may("llen", On::Partition("batch"), &[], STATUS),
    may("llen", On::Partition("dead"), &[], STATUS),
    may("lindex", On::Partition("ready"), &["0"], STATUS),
    may("exists", On::Partition("paused"), &[], STATUS),
    may("hgetall", On::Partition("stats"), &[], STATUS),
    may("zcard", On::Partition("seen"), &[], SEEN),
    may("zcount", On::Partition("seen"), &["0", "1"], SEEN),
    may("zmscore", On::Partition("seen"), &["x"], SEEN),
    may("zrange", On::Partition("seen"), &["0", "1"], SEEN),
    may("zrange", On::Partition("hours"), &["0", "-1"], SEEN),
    may("time", On::Nothing, &[], SEEN),
    may("lrange", On::Partition("dead"), &["0", "1"], LETTERS),
];

const WORKER: &[Right] = &[
    must("time", On::Nothing, &[]),
    must("get", On::Partition("count"), &[]),
    must("exists", On::Partition("paused"), &[]),
    must("lrange", On::Partition("ready"), &["0", "1"]),
    must("ltrim", On::Partition("ready"), &["0", "1"]),
    must("exists", On::Partition("batch"), &[]),
    must("rpush", On::Partition("batch"), &["x"]),
    must("lrange", On::Partition("batch"), &["0", "1"]),
    must("llen", On::Partition("batch"), &[]),
    must("unlink", On::Partition("batch"), &[]),
    must("hmget", On::Partition("lease"), &["epoch"]),
    must("hset", On::Partition("lease"), &["epoch", "1"]),
    must("unlink", On::Partition("lease"), &[]),
    must("type", On::Partition("dead"), &[]),
    must("lpush", On::Partition("dead"), &["x"]),
    must("type", On::Partition("seen"), &[]),
    must("zadd", On::Partition("seen"), &["1", "x"]),
    must("zcard", On::Partition("seen"), &[]),
    must("zscore", On::Partition("seen"), &["x"]),
    must("zadd", On::Partition("hours"), &["1", "x"]),
    must("zremrangebyscore", On::Partition("hours"), &["0", "1"]),
    may("hincrby", On::Partition("stats"), &["acked", "1"], TOTALS),
    may("publish", On::Channel, &["0"], WAKE),
    may("subscribe", On::Channel, &[], WAKE),
    may("rpush", On::Shared("alerts"), &["x"], HINTS),
    may("ltrim", On::Shared("alerts"), &["0", "1"], HINTS),
    may("type", On::Shared("heartbeat"), &[], ALIVE),
    may("hget", On::Shared("heartbeat"), &["worker"], ALIVE),
    may("hset", On::Shared("heartbeat"), &["worker", "0"], ALIVE),
    may("hgetall", On::Shared("heartbeat"), &[], "`queue status` does not say whether an alerter runs"),
    may("lrange", On::Partition("dead"), &["0", "1"], LETTERS),
    may("lpos", On::Partition("dead"), &["x"], LETTERS),
    may("lrem", On::Partition("dead"), &["1", "x"], LETTERS),
    may("llen", On::Partition("dead"), &[], LETTERS),
];

const ALERTER: &[Right] = &[
    must("time", On::Nothing, &[]),
    must("hgetall", On::Shared("heartbeat"), &[]),
    may("type", On::Shared("heartbeat"), &[], NOBODY),
    may("hget", On::Shared("heartbeat"), &["alerter"], NOBODY),
    may("hset", On::Shared("heartbeat"), &["alerter", "0"], NOBODY),
    may("hkeys", On::Shared("heartbeat"), &[], NOBODY),
    may("hdel", On::Shared("heartbeat"), &["x"], NOBODY),
    must("zcard", On::Partition("seen"), &[]),
    must("zcount", On::Partition("seen"), &["0", "1"]),
    must("zmscore", On::Partition("seen"), &["x"]),
    must("zrange", On::Partition("seen"), &["0", "1"]),
    may("lpop", On::Shared("alerts"), &["1"], HINTS),
    may("hmget", On::Partition("lease"), &["owner"], STALLS),
    may("llen", On::Partition("ready"), &[], STALLS),
    may("llen", On::Partition("batch"), &[], STALLS),
    may("llen", On::Partition("dead"), &[], STALLS),
    may("lindex", On::Partition("ready"), &["0"], STALLS),
    may("exists", On::Partition("paused"), &[], STALLS),
];

/// The further commands of operators' tools, and the one that renames a key of the wrong type. They are part of the
/// rule, and fail only on use.
const VERBS: [&str; 5] = ["set", "del", "zrem", "zscan", "rename"];

/// The commands of the driver, and of scripts; a check cannot ask for these.
const DRIVER: [&str; 4] = ["evalsha", "script|load", "info", "ping"];

impl Process {
    fn rights(self) -> impl Iterator<Item = &'static Right> {
        let own = match self {
            Self::Ingest => INGEST,
            Self::Worker => WORKER,
            Self::Alerter => ALERTER,
        };
        ALL.iter().chain(own)
    }
}

/// Returns the ACL rule with the least rights for all processes and tools of `PiSync` together.
pub fn acl_rule(prefix: &str) -> String {
    let rights = [ALL, INGEST, WORKER, ALERTER].into_iter().flatten().map(|right| right.command);
    let commands: BTreeSet<_> = rights.chain(VERBS).chain(DRIVER).collect();
    let commands: Vec<_> = commands.into_iter().map(|command| format!("+{command}")).collect();
    format!("resetkeys resetchannels -@all ~{prefix}:* &{prefix}:* {}", commands.join(" "))
}

impl Right {
    /// Returns the command as sent to Redis.
    fn words(&self, keys: &Keys) -> Vec<String> {
        let words = [self.command.to_owned()].into_iter().chain(self.place(keys));
        words.chain(self.rest.iter().map(|&word| word.to_owned())).collect()
    }

    fn place(&self, keys: &Keys) -> Option<String> {
        match self.on {
            On::Partition(name) => Some(keys.of(Partition(0), name)),
            On::Shared(name) => Some(keys.shared(name)),
            On::Channel => Some(keys.shared("wake")),
            On::Nothing => None,
        }
    }

    /// Returns the missing right and the remedy, for people.
    fn missing(&self, keys: &Keys, user: &str) -> String {
        let (command, prefix) = (self.command, keys.shared("*"));
        let (place, rule) = match (self.on, self.place(keys)) {
            (On::Channel, Some(channel)) => (format!(" on the channel {channel}"), format!(" &{prefix}")),
            (_, Some(key)) => (format!(" on the key {key}"), format!(" ~{prefix}")),
            (_, None) => (String::new(), String::new()),
        };
        format!(
            "the user {user} may not {}{place}; allow it: ACL SETUSER {user} +{command}{rule}",
            command.to_uppercase()
        )
    }
}

impl Queue {
    /// Asks every server whether our user has the rights of this process. A missing optional right is logged with its
    /// consequence.
    ///
    /// Fails with [`QueueError::Misconfigured`] if a required right is missing.
    pub async fn check_rights(&self, process: Process) -> Result<(), QueueError> {
        let rights: Vec<_> = process.rights().collect();
        let denied = self.denied(&rights).await?;
        let (optional, needed): (Vec<_>, Vec<_>) = denied.into_iter().partition(|right| right.loses.is_some());
        let (user, place) = (self.redis.user(), self.redis.place());
        for right in optional {
            let missing = right.missing(&self.keys, user);
            log::warn!("redis at {place}: {missing}. Without it {}", right.loses.unwrap_or_default());
        }
        if needed.is_empty() {
            return Ok(());
        }
        let missing: Vec<_> = needed.iter().map(|right| right.missing(&self.keys, user)).collect();
        Err(QueueError::Misconfigured(format!("{place}: {}", missing.join("; "))))
    }

    async fn denied<'a>(&self, rights: &[&'a Right]) -> Result<Vec<&'a Right>, QueueError> {
        let mut load = redis::cmd("SCRIPT");
        load.arg("LOAD").arg(include_str!("scripts/rights.lua"));
        self.redis.query_all::<String>(&load).await.map_err(|error| self.cannot_run_scripts(error))?;
        let mut ask = redis::cmd("EVALSHA");
        ask.arg(RIGHTS.get_hash()).arg(0);
        for right in rights {
            let words = right.words(&self.keys);
            ask.arg(words.len()).arg(words);
        }
        let answers: Vec<Vec<usize>> =
            self.redis.query_all(&ask).await.map_err(|error| self.cannot_run_scripts(error))?;
        let places: BTreeSet<_> = answers.into_iter().flatten().collect();
        Ok(places.into_iter().filter_map(|place| rights.get(place.checked_sub(1)?).copied()).collect())
    }

    fn cannot_run_scripts(&self, error: QueueError) -> QueueError {
        match error {
            QueueError::Denied(why) if why.contains("permission") => QueueError::Misconfigured(format!(
                "{why}; allow it: ACL SETUSER {} +evalsha +script|load",
                self.redis.user()
            )),
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_that_is_missing_is_named_with_the_rule_that_gives_it() {
        let keys = Keys::new("fleet", 16);
        let right = |command: &str| WORKER.iter().find(|right| right.command == command).unwrap();
        let missing = right("ltrim").missing(&keys, "someone");
        assert!(missing.contains("may not LTRIM on the key fleet:{q:00}:ready"), "{missing}");
        assert!(missing.ends_with("ACL SETUSER someone +ltrim ~fleet:*"), "{missing}");
        let missing = right("subscribe").missing(&keys, "someone");
        assert!(missing.ends_with("ACL SETUSER someone +subscribe &fleet:*"), "{missing}");
    }

    #[test]
    fn the_rule_names_every_command_of_the_scripts() {
        let rule = acl_rule("pisync");
        for script in [
            include_str!("scripts/ack.lua"),
            include_str!("scripts/claim.lua"),
            include_str!("scripts/extend.lua"),
            include_str!("scripts/note.lua"),
            include_str!("../presence/scripts/heartbeat.lua"),
            include_str!("scripts/push.lua"),
            include_str!("scripts/release.lua"),
            include_str!("scripts/remove_dead.lua"),
            include_str!("../presence/scripts/seen.lua"),
            include_str!("../presence/scripts/seen_page.lua"),
            include_str!("scripts/status.lua"),
        ] {
            for call in script.split("call('").skip(1) {
                let command = call.split('\'').next().unwrap().to_lowercase();
                assert!(rule.split(' ').any(|word| word == format!("+{command}")), "{command} is not in {rule}");
            }
        }
    }
}
