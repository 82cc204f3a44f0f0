//! Limits of quality, runs that are cut off, runs that are repeated.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::common::{request, run, shop, write_csv};
use endcap_data::{DataError, prepare};
use endcap_tables::MANIFEST_FILE;
use tokio_util::sync::CancellationToken;

#[test]
fn too_many_defects_stop_the_run_and_name_the_worst_columns() {
    let mut shop = shop();
    for line in 0..5 {
        shop.get_mut("MV_SalesDetail").unwrap().push(&format!("1005|{}|p9|1|1.00", line + 10));
    }
    shop.get_mut("MV_SalesDetail").unwrap().push("1005|20|p1|x|1.00");
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop, dir.path());
    let out = dir.path().join("out");
    let mut request = request(dir.path(), &out);
    request.spec.quality.max_rejected_percent = 20;
    let error = run(&request).unwrap_err();
    let text = error.to_string();
    assert_eq!((error.reason(), error.exit_code()), ("DataQuality", 3));
    assert!(text.contains("6 of 14 rows of order_lines are defects (42.86%, at most 20% may be)"), "{text}");
    assert!(text.contains("product_id (unknown_product) in 5 rows, Quantity in 1 rows"), "{text}");
    assert!(text.contains("quality.maxRejectedPercent"), "{text}");
    assert!(!out.join(MANIFEST_FILE).exists());
    // Raised knowingly, the same folder becomes a dataset.
    request.spec.quality.max_rejected_percent = 50;
    run(&request).unwrap();
    assert!(out.join(MANIFEST_FILE).exists());
}

#[test]
fn too_many_empty_cells_stop_the_run() {
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop(), dir.path());
    let mut request = request(dir.path(), &dir.path().join("out"));
    request.spec.quality.max_null_percent = 10;
    let text = run(&request).unwrap_err().to_string();
    assert!(text.contains("orders.customer_id is empty in 1 of 5 rows (20%, at most 10% may be)"), "{text}");
}

#[test]
fn the_same_input_is_not_prepared_twice_and_another_one_is() {
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop(), dir.path());
    let out = dir.path().join("out");
    let request = request(dir.path(), &out);
    let first = run(&request).unwrap();
    let again = run(&request).unwrap();
    assert!(!first.unchanged && again.unchanged);
    assert_eq!(first.report, again.report);
    let mut other = shop();
    other.get_mut("MV_Sales").unwrap().push("1006|2024-03-06 08:00:00|c1|Placed|web|1");
    write_csv(&other, dir.path());
    let changed = run(&request).unwrap();
    assert!(!changed.unchanged);
    assert_ne!(first.manifest.digest(), changed.manifest.digest());
}

#[test]
fn a_damaged_dataset_is_prepared_again() {
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop(), dir.path());
    let out = dir.path().join("out");
    let request = request(dir.path(), &out);
    let first = run(&request).unwrap();
    std::fs::write(out.join("orders.parquet"), "x").unwrap();
    let again = run(&request).unwrap();
    assert!(!again.unchanged);
    assert_eq!(first.manifest, again.manifest);
    again.manifest.verify(&out).unwrap();
}

/// Stops at every step in turn, then lets the run end: the result is that of an undisturbed run.
#[test]
fn a_run_that_was_cut_off_goes_on_and_ends_the_same() {
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop(), dir.path());
    let undisturbed = run(&request(dir.path(), &dir.path().join("whole"))).unwrap();
    let out = dir.path().join("out");
    let request = request(dir.path(), &out);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for step in ["judging", "netting", "writing"] {
        let cancel = CancellationToken::new();
        let at = cancel.clone();
        let progress = move |now: &str| {
            if now.starts_with(step) {
                at.cancel();
            }
        };
        let error = runtime.block_on(prepare(&request, &cancel, &progress)).unwrap_err();
        assert!(matches!(error, DataError::Cancelled), "{step}: {error}");
        assert!(!out.join(MANIFEST_FILE).exists(), "{step}");
    }
    let staged = std::fs::read_dir(&out)
        .unwrap()
        .map(|entry| entry.unwrap())
        .find(|entry| entry.file_name().to_string_lossy().starts_with(".prepare-"))
        .unwrap();
    assert!(staged.path().join("judged_orders.parquet").exists(), "what was staged is kept for the next run");
    let after = run(&request).unwrap();
    assert_eq!(undisturbed.manifest, after.manifest);
    assert!(!staged.path().exists());
}

#[test]
fn a_stricter_limit_holds_for_a_dataset_that_is_there_already() {
    let dir = tempfile::tempdir().unwrap();
    write_csv(&shop(), dir.path());
    let mut request = request(dir.path(), &dir.path().join("out"));
    run(&request).unwrap();
    request.spec.quality.max_null_percent = 10;
    assert_eq!(run(&request).unwrap_err().reason(), "DataQuality");
}
