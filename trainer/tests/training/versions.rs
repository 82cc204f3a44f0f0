//! Version numbers in a store of many, and what a Job leaves behind.

use crate::shop::{DAY_S, LAST_S, Shop, folder, outcome, run, seed};

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

/// The active version was fitted on everything until it was trained; a twin of the new one that knew no more must be as good, where
/// nothing but newer orders is new.
#[test]
fn the_active_version_is_compared_with_a_twin_that_knew_no_more() {
    for architecture in ["Rules", "Hybrid"] {
        let shop = Shop::new(seed());
        let folder = folder(&shop);
        let first = run(folder.path(), &["--out", "v1", "--architecture", architecture]);
        assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
        // A year later the last forty days' orders come again.
        Shop { copied_from_s: LAST_S - 40 * DAY_S, ..shop }.write(&folder.path().join("data"));
        let active = format!("file://{}", folder.path().join("v1").display());
        let arguments = ["--out", "v2", "--version", "2", "--architecture", architecture, "--active", &active];
        let second = run(folder.path(), &arguments);
        assert!(second.status.success(), "{}", String::from_utf8_lossy(&second.stderr));
        let manifest = std::fs::read(folder.path().join("v2/manifest.json")).unwrap();
        let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
        let metric = |name: &str| {
            let found = manifest["metrics"].as_array().unwrap().iter();
            let mut found = found.filter(|metric| metric["split"] == "unseen" && metric["name"] == name);
            found.next().unwrap_or_else(|| panic!("no {name} on unseen orders: {}", manifest["metrics"])).clone()
        };
        for name in ["ndcg@10", "recall@10", "hit_rate@10"] {
            let (own, other) = (metric(name), metric(&format!("{name}.active")));
            assert!(own["n"].as_u64().unwrap() >= 30 && own["n"] == other["n"]);
            let (own, other) = (own["value"].as_f64().unwrap(), other["value"].as_f64().unwrap());
            // Tuned on newer orders it may be better, but not worse.
            assert!(other > 0.1 && own > 0.9 * other, "{architecture} {name}: {own} and {other}");
        }
        let card = std::fs::read_to_string(folder.path().join("v2/card.md")).unwrap();
        assert!(card.contains("active shop-v1"), "{card}");
    }
}
