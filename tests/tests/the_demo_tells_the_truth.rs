//! `endcap demo --once` ends with 0 only if everything that it showed was true, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};

use endcap::children::sibling;

fn demo(args: &[&str]) -> std::process::Output {
    Command::new(sibling("endcap").unwrap()).arg("demo").args(args).stdin(Stdio::null()).output().unwrap()
}

/// The demo's own manifests with one thing taken out.
fn manifests_without(folder: &Path, file: &str, part: &str, instead: &str) -> String {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo");
    std::fs::create_dir_all(folder).unwrap();
    for name in ["shop.yaml", "policy.yaml", "experiment.yaml"] {
        let text = std::fs::read_to_string(own.join(name)).unwrap();
        let text = if name == file {
            assert_eq!(text.matches(part).count(), 1, "{file} does not hold {part:?} once");
            text.replace(part, instead)
        } else {
            text
        };
        std::fs::write(folder.join(name), text).unwrap();
    }
    folder.display().to_string()
}

fn claims_that_failed(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("[NOT TRUE] ")).collect()
}

/// The story is true as far as the first promotion on evidence. Told to its end on a real Kubernetes by `make demo-cluster`, and here with
/// `ENDCAP_SOAK=1`.
#[test]
fn the_story_is_true() {
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("story").display().to_string();
    let output =
        demo(&["--once", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--keep", &keep, "--to", "feedback"]);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all ports are free"), "{text}");
    assert!(text.matches("[true]").count() >= 18, "{text}");
    assert!(claims_that_failed(&text).is_empty());
}

/// The whole story is true; and it is not, where the cause of a chapter's happy end is taken out: nothing recovers by the clock.
#[test]
fn the_whole_story_is_true_and_only_with_its_causes() {
    if std::env::var_os("ENDCAP_SOAK").is_none() {
        println!("SKIPPED: the whole story takes a quarter of an hour; ENDCAP_SOAK=1 tells it");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keep = folder.path().join("story");
    let keep = keep.display().to_string();
    let common = ["--once", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0", "--keep", &keep];
    let output = demo(&common);
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all ports are free"), "{text}");
    assert!(text.matches("[true]").count() >= 30, "{text}");
    assert!(claims_that_failed(&text).is_empty());

    // Without the gate that sees it, the defect goes through.
    let gate = "      - name: click-through\n        builtin: Ctr\n        compare: VsActive\n        maxRegressionPercent: \"30\"\n        confidence: \"0.9\"\n";
    let others = manifests_without(&folder.path().join("no-gate"), "policy.yaml", gate, "");
    let output = demo(&[&common[..], &["--from", "defect", "--to", "defect", "--manifests", &others]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(claims_that_failed(&text).iter().any(|claim| claim.contains("took it back")), "{text}");

    // Without the trigger nobody trains, and click-through stays low.
    let trigger = "      enabled: true\n";
    let others = manifests_without(&folder.path().join("no-trigger"), "shop.yaml", trigger, "      enabled: false\n");
    let output = demo(&[&common[..], &["--from", "drift", "--manifests", &others]].concat());
    let text = String::from_utf8_lossy(&output.stdout);
    println!("{text}");
    assert_eq!(output.status.code(), Some(1), "{text}");
    let failed = claims_that_failed(&text);
    assert!(failed.iter().any(|claim| claim.contains("a training began")), "{text}");
    assert!(text.contains("[true] click-through fell, and without a training it stays low"), "{text}");
}

#[test]
fn a_taken_port_is_named_with_the_remedy() {
    let holder = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = holder.local_addr().unwrap().to_string();
    let output = demo(&["--once", "--listen", &address]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(error.contains(&address) && error.contains("--listen"), "{error}");
}

#[test]
fn a_missing_folder_is_named_with_the_remedy() {
    let output = demo(&["--once", "--listen", "127.0.0.1:0", "--data", "no/such/folder"]);
    assert!(!output.status.success());
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("no/such/folder"), "{text}");
}
