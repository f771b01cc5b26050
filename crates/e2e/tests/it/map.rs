//! The maps of the code, ARCHITECTURE.md and CONTRIBUTING.md, name existing paths only.

use testkit::workspace_root;

#[test]
fn every_path_that_a_map_names_exists() {
    let root = workspace_root();
    for map in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        let text = std::fs::read_to_string(root.join(map)).unwrap();
        let named: Vec<_> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|code| ["crates/", "scripts/", "deploy/", ".ci/"].iter().any(|top| code.starts_with(top)))
            .collect();
        assert!(named.len() > 20, "only {} paths are named in {map}", named.len());
        for path in named {
            assert!(root.join(path).exists(), "{path} in {map} does not exist");
        }
    }
}
