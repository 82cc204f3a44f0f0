//! Bad input and a full disk: a clear error with the place and the remedy, and nothing that looks finished.

use std::process::{Command, Stdio};

use crate::shop::{Shop, digest, folder, outcome, run, seed};

fn refused(folder: &std::path::Path, arguments: &[&str], code: i32, wanted: &[&str]) {
    let output = run(folder, arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    for part in wanted {
        assert!(text.contains(part), "{part:?} is not in {text}");
    }
    assert!(outcome(&output)["outcome"] != "Succeeded");
    assert!(!folder.join("refused/manifest.json").exists());
}

#[test]
fn a_dataset_that_is_corrupt_missing_or_empty_is_refused_by_name() {
    let folder = folder(&Shop::new(seed()));
    let data = folder.path().join("data");
    let file = data.join("order_lines.parquet");
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&file, flipped).unwrap();
    refused(folder.path(), &["--out", "refused"], 2, &["order_lines.parquet", "SHA-256", "prepare the dataset again"]);
    std::fs::remove_file(&file).unwrap();
    refused(folder.path(), &["--out", "refused"], 1, &["order_lines.parquet"]);
    std::fs::write(&file, whole).unwrap();
    std::fs::remove_file(data.join("dataset.json")).unwrap();
    refused(folder.path(), &["--out", "refused"], 2, &["dataset.json", "endcap data check"]);
    Shop { status: "cancelled", ..Shop::new(1) }.write(&data);
    refused(folder.path(), &["--out", "refused"], 2, &["no order to learn from", "0 of them placed"]);
}

#[test]
fn wrong_options_are_refused_with_the_remedy() {
    let folder = folder(&Shop { orders: 300, ..Shop::new(seed()) });
    for (arguments, wanted) in [
        (["--hyperparameter", "neighbors=5"], "use one of trend_half_life_days"),
        (["--hyperparameter", "neighbours=many"], "write a number from 1 to 1000"),
        (["--architecture", "Magic"], "write Rules, Collaborative or Hybrid"),
        (["--device", "TPU"], "write Cpu, Gpu or Auto"),
        (["--version", "0"], "versions count from 1"),
    ] {
        refused(folder.path(), &[&["--out", "refused"], arguments.as_slice()].concat(), 2, &[wanted]);
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    refused(folder.path(), &["--out", "refused", "--listen", &address], 2, &[&address, "another port"]);
}

#[test]
fn another_artifact_at_the_output_is_left_alone() {
    let folder = folder(&Shop { orders: 300, ..Shop::new(seed()) });
    let first = digest(folder.path(), &["--out", "taken"]);
    let before = std::fs::read(folder.path().join("taken/manifest.json")).unwrap();
    let output = run(folder.path(), &["--out", "taken", "--seed", "7"]);
    assert_eq!(output.status.code(), Some(4));
    assert!(String::from_utf8_lossy(&output.stderr).contains("choose another --out"));
    assert_eq!(std::fs::read(folder.path().join("taken/manifest.json")).unwrap(), before);
    assert_eq!(digest(folder.path(), &["--out", "taken"]), first, "the same training again is already finished");
}

#[test]
fn a_full_disk_is_said_and_the_training_goes_on_once_there_is_space() {
    let folder = folder(&Shop::new(seed()));
    let expected = digest(folder.path(), &["--out", "whole"]);
    // Files may not grow past a few kilobytes: what a full disk does to a write, with another errno.
    let script = "trap '' XFSZ; ulimit -f 8; exec \"$0\" --data data --model shop --out full --json";
    let output = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_endcap-trainer")])
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("free space"), "{text}");
    assert!(!folder.path().join("full/manifest.json").exists());
    assert_eq!(digest(folder.path(), &["--out", "full"]), expected);
}
