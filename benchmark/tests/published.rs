//! The program on small files of each format, and on the published data where it is there: the numbers that were published.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_endcap-benchmark")).args(args).output().unwrap()
}

fn refused(args: &[&str], said: &str) {
    let output = run(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(2) && error.contains(said), "{:?}: {error}", output.status);
}

/// Evaluates and reads the JSON.
fn report(folder: &Path, args: &[&str]) -> Value {
    let json = folder.join("report.json");
    let mut all = vec!["evaluate", "--json", json.to_str().unwrap()];
    all.extend(args);
    let output = run(&all);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap()
}

fn value(report: &Value, model: &str, metric: &str) -> f64 {
    let rows = report["rows"].as_array().unwrap();
    let row = rows.iter().find(|row| row["model"] == model && row["metric"] == metric);
    row.unwrap_or_else(|| panic!("no {metric} of {model}"))["value"].as_f64().unwrap()
}

fn published(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data").join(name);
    if !folder.exists() {
        println!("skipped: the published data {name} is not there");
        return None;
    }
    Some(folder)
}

/// Users of two kinds: each comes back for what goes with what was bought.
fn baskets(folder: &Path) {
    let (mut past, mut future) = (Vec::new(), Vec::new());
    for user in 0..40u32 {
        let own = 10 * (user % 2);
        past.push(format!("\"{user}\": [[-1], [{own}, {}], [{own}, {}], [-1]]", own + 1 + user % 3, own + 4));
        future.push(format!("\"{user}\": [[-1], [{}, {own}], [-1]]", own + 4));
    }
    std::fs::write(folder.join("a_history.json"), format!("{{{}}}", past.join(","))).unwrap();
    std::fs::write(folder.join("a_future.json"), format!("{{{}}}", future.join(","))).unwrap();
}

#[test]
fn tuning_opens_no_future_and_the_report_does_not_depend_on_threads() {
    let folder = tempfile::tempdir().unwrap();
    baskets(folder.path());
    let data = folder.path().to_str().unwrap();
    let asked = ["--task", "next-basket", "--layout", "Baskets", "--data", data];
    let tuned = |name: &str, threads: &str| {
        let out = folder.path().join(name);
        let mut all = vec!["tune", "--out", out.to_str().unwrap(), "--threads", threads];
        all.extend(asked);
        let output = run(&all);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::read_to_string(out).unwrap()
    };
    let one = tuned("one.json", "1");
    // Another future, even a broken one, changes nothing of what is chosen.
    let future = folder.path().join("a_future.json");
    let kept = std::fs::read(&future).unwrap();
    std::fs::write(&future, "broken").unwrap();
    assert_eq!(one, tuned("two.json", "2"));
    std::fs::write(&future, kept).unwrap();
    let out = folder.path().join("one.json");
    let page = folder.path().join("page.html");
    let evaluated = |threads: &str| {
        let mut all = asked.to_vec();
        all.extend(["--tuned", out.to_str().unwrap(), "--threads", threads, "--html", page.to_str().unwrap()]);
        report(folder.path(), &all)
    };
    let (one, two) = (evaluated("1"), evaluated("2"));
    assert_eq!((&one["rows"], &one["leads"]), (&two["rows"], &two["leads"]));
    assert_eq!(one["settings"]["chosen"], "from one.json");
    for model in ["tifu", "blend", "ranker"] {
        assert!(value(&one, model, "recall@10") > 0.99, "{one}");
    }
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("<h1>The next basket</h1>") && page.contains("recall@10") && !page.contains("<script"));
}

#[test]
fn sessions_are_tuned_without_the_test() {
    let folder = tempfile::tempdir().unwrap();
    let clicks = |from: u32, to: u32| {
        let mut text = String::from("SessionId\tItemId\tTime\n");
        for session in from..to {
            for step in 0..4 {
                let item = 5 * (session % 4) + (session / 4 + step) % 5;
                writeln!(text, "{session}\t{item}\t{}.0", session * 100 + step).unwrap();
            }
        }
        text
    };
    std::fs::write(folder.path().join("train.txt"), clicks(0, 80)).unwrap();
    std::fs::write(folder.path().join("valid.txt"), clicks(80, 100)).unwrap();
    let data = folder.path().to_str().unwrap();
    let out = folder.path().join("tuned.json");
    let asked = ["--task", "session", "--layout", "Sessions", "--data", data];
    let mut all = vec!["tune", "--out", out.to_str().unwrap()];
    all.extend(asked);
    assert!(run(&all).status.success());
    refused(&[&["evaluate"], &asked[..]].concat(), "test.txt");
    std::fs::write(folder.path().join("test.txt"), clicks(100, 120)).unwrap();
    let report = report(folder.path(), &[&asked[..], &["--tuned", out.to_str().unwrap()]].concat());
    assert!(value(&report, "blend", "mrr@20") > 0.99, "{report}");
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place_and_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let evaluate = ["evaluate", "--data", data];
    let with = |more: &[&'static str]| -> Vec<String> {
        evaluate.iter().map(|arg| (*arg).to_owned()).chain(more.iter().map(|arg| (*arg).to_owned())).collect()
    };
    let wrong = |more: &[&'static str], said: &str| {
        let all = with(more);
        refused(&all.iter().map(String::as_str).collect::<Vec<_>>(), said);
    };
    wrong(&["--task", "rules", "--layout", "Baskets"], "--layout is \"Baskets\"; the task rules reads --layout Rules");
    wrong(&["--task", "next-basket", "--layout", "Baskets"], "holds 0 files named *_history.json");
    wrong(&["--task", "rules", "--layout", "Rules"], "baskets.csv");
    std::fs::write(folder.path().join("baskets.csv"), "1,2\n1,,3\n").unwrap();
    wrong(&["--task", "rules", "--layout", "Rules"], "line 2: an item is empty; write items with one comma");
    baskets(folder.path());
    std::fs::write(folder.path().join("other.json"), "{\"wieghts\": 1}").unwrap();
    let other = folder.path().join("other.json");
    let mut all = with(&["--task", "next-basket", "--layout", "Baskets", "--tuned"]);
    all.push(other.to_str().unwrap().to_owned());
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    refused(&all, "unknown field `wieghts`");
    refused(&["tune", "--task", "rules", "--layout", "Rules", "--data", data, "--out", "x"], "nothing to choose");
}

#[test]
fn counts_of_rules_are_the_published_ones() {
    let Some(folder) = published("groceries_arules") else { return };
    let (data, out) = (folder.join("derived/baskets.csv"), tempfile::tempdir().unwrap());
    let thresholds = ["0.001/0.8", "0.001/0.9", "0.001/0.5", "0.006/0.25/2", "0.01/0.5", "0.02/0.3"]
        .map(|text| ["--threshold", text]);
    let asked = ["--task", "rules", "--layout", "Rules", "--data", data.to_str().unwrap()];
    let report = report(out.path(), &[&asked[..], &thresholds.concat()].concat());
    let counts: Vec<f64> = report["rows"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| row["metric"] == "rules")
        .map(|row| row["value"].as_f64().unwrap())
        .collect();
    assert_eq!(counts, [410.0, 129.0, 5668.0, 463.0, 15.0, 37.0]);
    assert!((value(&report, "support 0.001 confidence 0.8 items 1", "itemsets") - 13_492.0).abs() < 0.5);
}

#[test]
fn session_neighbours_are_as_good_as_published() {
    let Some(folder) = published("serenade_toy") else { return };
    let (data, out) = (folder.join("raw"), tempfile::tempdir().unwrap());
    let report = report(out.path(), &["--task", "session", "--layout", "Sessions", "--data", data.to_str().unwrap()]);
    assert_eq!(report["settings"]["questions"], 931);
    // Ties stand in another order than there.
    for (metric, expected) in [("mrr@20", 0.3277), ("ndcg@20", 0.3553), ("hr@20", 0.6402), ("recall@20", 0.4456)] {
        let found = value(&report, "knn", metric);
        assert!((found - expected).abs() < 0.003, "{metric}: {found}, published {expected}");
    }
}

#[test]
fn the_next_item_and_top_n_are_read_tuned_and_judged() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    // After item n comes item n + 1 of a ring.
    let line = |user: u32, first: u32, count: u32| {
        let items: Vec<String> = (first..first + count).map(|item| (1 + item % 20).to_string()).collect();
        format!("{user} {}\n", items.join(" "))
    };
    std::fs::write(at("ring.txt"), (0..60).map(|user| line(user, user, 7)).collect::<String>()).unwrap();
    std::fs::write(at("ring_item2attributes.json"), r#"{"1": [1], "2": [1, 2], "3": [2]}"#).unwrap();
    let settings = r#"{"pairs": [{"reach": 3, "fall": 1, "back": 0, "from": 0.5, "to": 0.1, "decay": 0.5, "second": 0, "keep": 50}],
        "content": [], "links": [], "ease": [], "networks": 0, "chosen_by": 100, "weights": {"pairs": 1},
        "transformer": {"dim": 8, "heads": 1, "blocks": 1, "inner": 8, "length": 5, "dropout": 0, "epochs": 1, "batch": 8,
        "learning_rate": 0.001, "weight_decay": 0, "ahead": 1, "ahead_decay": 0.5, "negatives": 0,
        "seed": 1}}"#;
    std::fs::write(at("settings.json"), settings).unwrap();
    let (data, tuned) = (at("ring.txt"), at("settings.json"));
    let asked = ["--task", "next-item", "--layout", "Sequences", "--data", data.to_str().unwrap()];
    let found = report(folder.path(), &[&asked[..], &["--tuned", tuned.to_str().unwrap()]].concat());
    assert!(value(&found, "pairs", "ndcg@10") > 0.99 && value(&found, "blend", "hr@5") > 0.99);

    let groups = |first: u32, count: u32| -> String {
        (0..40).map(|user| line(user, 10 * (user % 2) + (user / 2 + first) % 5, count)).collect()
    };
    std::fs::create_dir(at("known")).unwrap();
    std::fs::write(at("known/train.txt"), groups(0, 4)).unwrap();
    let asked = ["--task", "top-n", "--layout", "LightGcn", "--data", folder.path().to_str().unwrap()];
    refused(&[&["evaluate"], &asked[..]].concat(), "holds 0 files named test.txt");
    std::fs::write(at("test.txt"), groups(4, 1)).unwrap();
    let settings = r#"{"links": [{"spoken": 0.5, "between": 0.5, "reached": 0.5, "sharpness": 1}], "spectra": [], "autoencoders": [],
        "held_out": 0.2, "chosen_by": 100, "seed": 1, "weights": {"links": 1}, "ranked_by": 40,
        "ranker": {"trees": 5, "depth": 2, "rate": 0.1, "ridge": 1, "least": 2}}"#;
    std::fs::write(at("settings.json"), settings).unwrap();
    let found = report(folder.path(), &[&asked[..], &["--tuned", tuned.to_str().unwrap()]].concat());
    assert!(value(&found, "links", "recall@20") > 0.99 && value(&found, "blend", "ndcg@20") > 0.2);
    assert!(value(&found, "ranker", "recall@20") > 0.99);
    refused(
        &["evaluate", "--task", "top-n", "--layout", "Baskets", "--data", "."],
        "the task top-n reads --layout LightGcn",
    );
}
