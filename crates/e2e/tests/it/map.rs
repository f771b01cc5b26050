//! The map in ARCHITECTURE.md shows what is there.

use testkit::workspace_root;

#[test]
fn every_path_that_the_map_names_exists() {
    let root = workspace_root();
    let map = std::fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    let named: Vec<_> = map
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| ["crates/", "scripts/", "deploy/", ".ci/"].iter().any(|top| code.starts_with(top)))
        .collect();
    assert!(named.len() > 20, "only {} paths are named", named.len());
    for path in named {
        assert!(root.join(path).exists(), "{path} does not exist");
    }
}
