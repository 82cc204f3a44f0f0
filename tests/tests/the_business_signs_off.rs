//! The example's scenarios hold on the demo's shop, whoever asks and however often; a file that expects something else fails for that
//! very reason; and a sign-off is written for what passed alone, naming what it holds for.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use endcap::children::sibling;
use endcap_crds::SignOff;
use endcap_simulator::{Preset, World, WorldSpec};
use serde_json::Value;

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/scenarios/giftshop.yaml")
}

/// The shop that the example names, trained as it says.
fn artifact(folder: &Path) -> PathBuf {
    let (dataset, artifact) = (folder.join("data"), folder.join("v1"));
    World::generate(&WorldSpec::new(Preset::GiftShop, 2_000, 600, 60, 7))
        .unwrap()
        .write(&dataset, &mut |_| {})
        .unwrap();
    let output = Command::new(sibling("endcap-trainer").unwrap())
        .args(["--data", &dataset.display().to_string(), "--out", &artifact.display().to_string()])
        .args(["--model", "shop", "--architecture", "Rules"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    artifact
}

fn validate(scenarios: &Path, artifact: &Path, more: &[&str]) -> Output {
    Command::new(sibling("endcap").unwrap())
        .args(["validate", &scenarios.display().to_string(), "--artifact", &artifact.display().to_string()])
        .args(more)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn scenarios_are_judged_and_signed_off() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = artifact(folder.path());
    let file = |name: &str| folder.path().join(name);
    let path = |name: &str| file(name).display().to_string();

    let html = path("report.html");
    let passed = validate(&example(), &artifact, &["--json", &path("report.json"), "--html", &html]);
    assert_eq!(passed.status.code(), Some(0), "{}", said(&passed));
    let report: Value = serde_json::from_slice(&std::fs::read(file("report.json")).unwrap()).unwrap();
    let scenarios = report["scenarios"].as_array().unwrap();
    assert!(scenarios.len() >= 10 && report["failed"] == 0);
    assert!(std::fs::read_to_string(&html).unwrap().contains("Forbidden pair"));
    let again = validate(&example(), &artifact, &["--json", "-"]);
    let again: Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again, report, "the same question has another answer");

    // What is expected otherwise fails, that scenario alone, and says what came; nobody can sign it.
    let text = std::fs::read_to_string(example()).unwrap();
    let greedy = text.replace("saves: \"7.10\"", "saves: \"7.11\"");
    assert_ne!(greedy, text);
    std::fs::write(file("greedy.yaml"), greedy).unwrap();
    let signoff = path("signoff.json");
    let sign = ["--sign-off-by", "Maria", "--out", &signoff];
    let failed = validate(&file("greedy.yaml"), &artifact, &sign);
    assert_eq!(failed.status.code(), Some(1), "{}", said(&failed));
    let words = said(&failed);
    assert!(words.contains("saves is 7.1") && words.contains("failed: One short of \"buy 7 get 2 free\""), "{words}");
    assert_eq!(words.matches("\nFAIL  ").count(), 1, "{words}");
    assert!(words.contains("not signed off") && !file("signoff.json").exists(), "{words}");

    // What cannot be judged is another thing than what failed.
    std::fs::write(file("typo.yaml"), text.replace("must_not_contain", "must_not_contian")).unwrap();
    let unusable = validate(&file("typo.yaml"), &artifact, &[]);
    assert_eq!(unusable.status.code(), Some(2), "{}", said(&unusable));
    assert!(said(&unusable).contains("did you mean `must_not_contain`?"), "{}", said(&unusable));
    let nowhere = validate(&example(), &file("nowhere"), &[]);
    assert_eq!(nowhere.status.code(), Some(2), "{}", said(&nowhere));

    // The sign-off holds for this artifact and these scenarios, and is not written over.
    let signed = validate(&example(), &artifact, &sign);
    assert_eq!(signed.status.code(), Some(0), "{}", said(&signed));
    let written = SignOff::read(&std::fs::read_to_string(file("signoff.json")).unwrap()).unwrap();
    assert_eq!(written.signed_off_by, "Maria");
    assert_eq!(
        written.artifact_sha256,
        endcap_store::sha256_hex(&std::fs::read(artifact.join("manifest.json")).unwrap())
    );
    assert_eq!(written.scenarios_sha256, endcap_store::sha256_hex(text.as_bytes()));
    assert_eq!(written.results.len(), scenarios.len());
    let twice = validate(&example(), &artifact, &sign);
    assert_eq!(twice.status.code(), Some(2), "{}", said(&twice));
}
