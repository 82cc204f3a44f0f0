//! Version numbers in a store of many, and what a Job leaves behind.

use crate::shop::{Shop, folder, outcome, run, seed};

#[test]
fn a_taken_version_number_is_said_with_the_highest_before_anything_is_trained() {
    let folder = folder(&Shop { orders: 400, ..Shop::new(seed()) });
    let train = |version: &str, attempt: &str, more: &[&str]| {
        let base = ["--store", "store", "--namespace", "ns", "--version", version, "--attempt", attempt];
        let message = ["--termination-message", "message.json"];
        run(folder.path(), &[&base, message.as_slice(), more].concat())
    };
    let first = train("1", "0", &[]);
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let at = folder.path().join("store/ns/shop/shop-v1/0");
    assert!(at.join("manifest.json").exists() && at.join("run.json").exists());
    let message = std::fs::read_to_string(folder.path().join("message.json")).unwrap();
    assert!(message.len() <= 4096);
    let message: serde_json::Value = serde_json::from_str(&message).unwrap();
    assert_eq!(message["outcome"], "Succeeded");
    assert_eq!(message["manifest_sha256"].as_str(), crate::shop::manifest_digest(&at).as_deref());
    assert_eq!(message["version"], "shop-v1");

    // Finished but not reported: the same attempt again is the same artifact.
    let again = train("1", "0", &[]);
    assert_eq!(outcome(&again)["manifest_sha256"], message["manifest_sha256"]);

    assert!(train("3", "0", &[]).status.success());
    // What was never committed is garbage, not a version.
    std::fs::create_dir_all(folder.path().join("store/ns/shop/shop-v9/0/objects")).unwrap();
    std::fs::write(folder.path().join("store/ns/shop/shop-v9/0/objects/x"), b"half").unwrap();
    for (version, attempt) in [("2", "0"), ("1", "1"), ("3", "1")] {
        let taken = train(version, attempt, &[]);
        assert_eq!(taken.status.code(), Some(3), "version {version}: {}", String::from_utf8_lossy(&taken.stderr));
        let message: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.path().join("message.json")).unwrap()).unwrap();
        assert_eq!((&message["outcome"], &message["highest"]), (&"VersionTaken".into(), &3.into()));
        assert!(
            !folder.path().join(format!("store/ns/shop/shop-v{version}/{attempt}/objects")).exists() || attempt == "0"
        );
    }
    assert!(train("4", "0", &[]).status.success());
    assert_eq!(run(folder.path(), &["--store", "store", "--namespace", "../x"]).status.code(), Some(2));
}
