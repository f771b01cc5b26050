//! The statements of `docs/admins/mongodb.md` about sharding in `MongoDB` are true of the server.

use testkit::{free_port, python, setting, workspace_root};

#[tokio::test]
async fn the_server_shards_our_collections_as_the_document_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut check = python();
    check.arg(workspace_root().join("scripts/lib/sharding.py")).arg("check");
    check.arg(format!("{}/mongod", setting("PISYNC_TEST_BIN"))).arg(folder.path());
    for _ in 0..3 {
        check.arg(free_port().to_string());
    }
    let output = check.output().await.unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{said}");
    for what in [
        "hashed: SyncEvent is sharded, with deviceId_hashed beside its indexes",
        "hashed: a second counter of a device is refused with 11000",
        "ranged: FailureCounter is sharded with the indexes that it has",
    ] {
        assert!(said.contains(what), "{said}");
    }
}
