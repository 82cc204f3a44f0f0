//! Invariant 5: a version's artifact is what its digest says, or it is never served.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

use common::*;
use endcap_serving::predictor::EXIT_ARTIFACT;
use endcap_serving::table::KeyPair;
use serde_json::{Value, json};

#[tokio::test(flavor = "multi_thread")]
async fn a_flipped_bit_in_any_object_is_refused_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let artifact = publish(folder.path(), 1).await;
    let options = args(&["--artifact", &artifact.uri, "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    for (name, entry) in artifact.manifest.objects.iter().filter(|(name, _)| !name.starts_with("pack-")) {
        let file = std::path::Path::new(&artifact.uri).join("objects").join(&entry.sha256);
        let whole = std::fs::read(&file).unwrap();
        let mut flipped = whole.clone();
        let at = rand::random_range(0..flipped.len());
        flipped[at] ^= 1 << rand::random_range(0..8);
        std::fs::write(&file, &flipped).unwrap();
        let (code, said) = must_fail(folder.path(), "endcap-predictor", &options);
        assert_eq!(code, i32::from(EXIT_ARTIFACT), "{name}: {said}");
        assert!(said.contains(&format!("({name}) is corrupt")), "byte {at} of {name}: {said}");
        std::fs::write(&file, &whole).unwrap();
    }
    let mut wrong = options.clone();
    wrong.extend(args(&["--digest", &"0".repeat(64)]));
    let (code, said) = must_fail(folder.path(), "endcap-predictor", &wrong);
    assert!(code == i32::from(EXIT_ARTIFACT) && said.contains(&artifact.digest), "{said}");
    let none = args(&["--artifact", "/no/such/artifact", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]);
    let (_, said) = must_fail(folder.path(), "endcap-predictor", &none);
    assert!(said.contains("no artifact at /no/such/artifact"), "{said}");
    let _whole_again = Program::start(folder.path(), "endcap-predictor", &options);
}

/// A flipped bit or a cut anywhere, the manifest included, is seen by the very reading that a predictor does before it is ready.
#[tokio::test(flavor = "multi_thread")]
async fn no_flip_and_no_cut_goes_unseen() {
    use endcap_serving::artifact::{Part, fetch};
    use rand::{RngExt, SeedableRng};

    let rounds = if std::env::var_os("ENDCAP_SOAK").is_some() { 10_000 } else { 500 };
    let folder = tempfile::tempdir().unwrap();
    let artifact = publish(folder.path(), 1).await;
    let at = endcap_store::open(&artifact.uri).unwrap();
    let root = std::path::Path::new(&artifact.uri);
    let objects = artifact.manifest.objects.iter().filter(|(name, _)| !name.starts_with("pack-"));
    let mut files: Vec<_> = objects.map(|(_, entry)| root.join("objects").join(&entry.sha256)).collect();
    files.push(root.join("manifest.json"));
    fetch(&at, Some(&artifact.digest), Part::Whole).await.unwrap();
    let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(14);
    let (mut flips, mut cuts) = (0, 0);
    for _ in 0..rounds {
        let file = &files[dice.random_range(0..files.len())];
        let whole = std::fs::read(file).unwrap();
        let mut broken = whole.clone();
        if dice.random_bool(0.5) {
            broken.truncate(dice.random_range(0..whole.len()));
            cuts += 1;
        } else {
            let at = dice.random_range(0..whole.len());
            broken[at] ^= 1 << dice.random_range(0..8);
            flips += 1;
        }
        std::fs::write(file, &broken).unwrap();
        assert!(fetch(&at, Some(&artifact.digest), Part::Whole).await.is_err(), "{} was taken", file.display());
        std::fs::write(file, &whole).unwrap();
    }
    println!("{flips} flipped bits and {cuts} cuts, each refused");
    fetch(&at, Some(&artifact.digest), Part::Whole).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_router_without_its_pack_is_not_ready_and_still_answers() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let artifact = publish(at, 1).await;
    let entry = &artifact.manifest.objects["pack-popularity"];
    let file = std::path::Path::new(&artifact.uri).join("objects").join(&entry.sha256);
    let whole = std::fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    std::fs::write(&file, &flipped).unwrap();

    let keys = KeyPair::generate();
    let cache = at.join("table.json");
    let router = Program::start_until(
        at,
        "endcap-router",
        &router_args(&keys, &["--table-cache", cache.to_str().unwrap()]),
        |line| line["waiting_for"] == "table",
    );
    let web = Web::new();
    let put = web.put_table(&router, &keys, &table(1, &artifact, &[])).await;
    assert_eq!(put.status, 200);
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    let readyz = format!("{}/readyz", router.url("metrics"));
    let not_ready = web.get(&readyz).await;
    assert_eq!(not_ready.status, 503);
    let empty = web.ask(&router.url("listen"), &json!({"placement": "home"})).await;
    assert_eq!(empty.status, 200);
    assert_eq!(empty.json()["items"], json!([]));
    assert_eq!(empty.json()["degraded"]["from"], "pack");
    assert!(router.said().contains("pack-popularity"), "{}", router.said());

    // Restored: ready within seconds, without a restart.
    std::fs::write(&file, &whole).unwrap();
    until("the pack loads", std::time::Duration::from_secs(15), || async { web.get(&readyz).await.status == 200 })
        .await;
    let full = web.ask(&router.url("listen"), &json!({"placement": "home"})).await;
    assert!(!full.products().is_empty());

    // A restart needs no store: table and pack lie on this machine.
    let _: Value = full.json();
    router.kill();
    std::fs::remove_dir_all(&artifact.uri).unwrap();
    let again = Program::start(at, "endcap-router", &router_args(&keys, &["--table-cache", cache.to_str().unwrap()]));
    assert_eq!(web.ask(&again.url("listen"), &json!({"placement": "home"})).await.products(), full.products());
}
