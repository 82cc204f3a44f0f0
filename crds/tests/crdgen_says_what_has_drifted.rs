//! `endcap-crdgen --check` ends with 1 when a file is not what the types say, and names it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn crdgen(folder: &Path, check: bool) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_endcap-crdgen"));
    command.arg("--out").arg(folder.join("crds")).arg("--docs").arg(folder.join("docs/crds.md"));
    if check {
        command.arg("--check");
    }
    command.output().unwrap()
}

#[test]
fn drift_is_named_and_writing_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let missing = crdgen(folder.path(), true);
    assert_eq!(missing.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&missing.stderr).lines().count(), 5, "four definitions and the reference");

    assert!(crdgen(folder.path(), false).status.success());
    assert!(crdgen(folder.path(), true).status.success());

    let definition = folder.path().join("crds/experiments.yaml");
    let edited = fs::read_to_string(&definition).unwrap().replace("maxItems: 5", "maxItems: 6");
    fs::write(&definition, edited).unwrap();
    let drifted = crdgen(folder.path(), true);
    assert_eq!(drifted.status.code(), Some(1));
    let said = String::from_utf8_lossy(&drifted.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("experiments.yaml has drifted"), "{said}");
}
