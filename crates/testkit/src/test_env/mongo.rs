//! Commands on the database of a test that the store does not have.

use serde_json::{Value, json};

use super::TestEnv;
use crate::{environment::python, servers::mongo_run};

/// Runs the command `{name: value, ...rest}` on the database of `env`; a date is `{"$date": …}`.
pub async fn mongo_command(env: &TestEnv, name: &str, value: impl Into<Value>, rest: Value) {
    mongo_run(env.mongo_uri(), env.name(), name, value.into(), rest).await;
}

/// Returns the documents of a collection of `env` that fit a filter, in relaxed extended JSON.
pub async fn mongo_find(env: &TestEnv, collection: &str, filter: Value) -> Vec<Value> {
    const SCRIPT: &str = "
import sys, pymongo
from bson import json_util
uri, database, collection, filter = sys.argv[1:]
found = pymongo.MongoClient(uri, datetime_conversion='DATETIME_AUTO')[database][collection].find(json_util.loads(filter))
print(json_util.dumps(list(found), json_options=json_util.RELAXED_JSON_OPTIONS))
";
    let mut command = python();
    command.args(["-c", SCRIPT, env.mongo_uri(), env.name(), collection, &filter.to_string()]);
    let output = command.output().await.expect("python3");
    assert!(output.status.success(), "{collection}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// Turns on the profiler, which records all operations on the database.
pub async fn profile(env: &TestEnv) {
    mongo_command(env, "create", "system.profile", json!({ "capped": true, "size": 64 * 1024 * 1024 })).await;
    mongo_command(env, "profile", 2, json!({})).await;
}

/// Returns the reads of a process since the profiler was turned on, as profiler documents.
pub async fn asked_by(env: &TestEnv, process: &str) -> Vec<Value> {
    let by_process = json!({ "appName": process, "op": { "$in": ["query", "command", "getmore"] } });
    let all = mongo_find(env, "system.profile", by_process).await;
    let is_read = |entry: &Value| {
        let command = &entry["command"];
        ["find", "aggregate", "count", "getMore", "distinct"].iter().any(|name| command.get(name).is_some())
    };
    all.into_iter().filter(is_read).collect()
}
