//! `MongoDB` commands that the store does not have.

use serde_json::Value;

use crate::environment::python;

/// Runs a command on the database `admin`; waits until there is a primary again.
pub async fn mongo_admin(uri: &str, name: &str, value: impl Into<Value>, rest: Value) {
    mongo_run(uri, "admin", name, value.into(), rest).await;
}

/// Runs the command `{name: value, ...rest}` on a database; a date is `{"$date": …}`.
pub(crate) async fn mongo_run(uri: &str, database: &str, name: &str, value: Value, rest: Value) {
    const SCRIPT: &str = "
import sys, pymongo
from bson import json_util
from bson.codec_options import DatetimeConversion
uri, database, name, value, rest = sys.argv[1:]
client = pymongo.MongoClient(uri)
dates = json_util.JSONOptions(datetime_conversion=DatetimeConversion.DATETIME_AUTO)
try:
    client[database].command({name: json_util.loads(value), **json_util.loads(rest, json_options=dates)})
except pymongo.errors.AutoReconnect:
    pass  # a primary that steps down may close the connection
client.admin.command('ping', read_preference=pymongo.ReadPreference.PRIMARY)
";
    let mut command = python();
    command.args(["-c", SCRIPT, uri, database, name, &value.to_string(), &rest.to_string()]);
    let output = command.output().await.expect("python3");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}
