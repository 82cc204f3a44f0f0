//! `endcap demo --once` ends with 0 only if everything that it showed was true, and leaves nothing behind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::{Command, Stdio};

use endcap::children::sibling;

fn demo(args: &[&str]) -> std::process::Output {
    Command::new(sibling("endcap").unwrap()).arg("demo").args(args).stdin(Stdio::null()).output().unwrap()
}

#[test]
fn the_story_is_told_to_its_end_and_every_claim_is_true() {
    let output = demo(&["--once", "--listen", "127.0.0.1:0"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(text.contains("all ports are free"), "{text}");
    assert!(text.matches("[true]").count() >= 12, "{text}");
    assert!(!text.contains("NOT TRUE"), "{text}");
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
