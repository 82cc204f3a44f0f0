//! What `endcap-report` says of an artifact, with nothing but the artifact at hand.

use std::path::Path;
use std::process::{Command, Output};

use endcap_trainer::demand::Forecasts;
use endcap_trainer::people::segments::Segments;
use endcap_trainer::people::value::Value;

use crate::learned::objects;
use crate::shop::{CUSTOMERS, PRODUCTS, Shop, digest, folder, seed};

fn report(folder: &Path, options: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_endcap-report")).current_dir(folder).args(options).output().unwrap()
}

#[test]
fn a_report_needs_the_artifact_alone() {
    let folder = folder(&Shop::new(seed()));
    digest(folder.path(), &["--out", "v1"]);
    let (_, objects) = objects(&folder.path().join("v1"));

    let segments: Segments = serde_json::from_slice(&objects["segments"]).unwrap();
    let learned = segments.learned.unwrap();
    assert_eq!(learned.segments.iter().map(|segment| segment.customers).sum::<u64>(), segments.customers);
    assert!(segments.customers <= u64::from(CUSTOMERS));
    assert!(learned.segments.iter().all(|segment| !segment.name.is_empty()));
    let value: Value = serde_json::from_slice(&objects["value"]).unwrap();
    let ahead = value.ahead.unwrap();
    assert!(ahead.money > 0.0 && ahead.visits > 0.0 && (0.0..=1.0).contains(&ahead.alive));
    let forecasts = Forecasts::decode(&objects["demand"], PRODUCTS as usize).unwrap();
    for forecast in forecasts.forecasts.iter().flatten() {
        assert!(
            forecast.low95 <= forecast.low80 && forecast.low80 <= forecast.high80 && forecast.high80 <= forecast.high95
        );
    }
    // Neither object says anything of a single customer, and nothing of the three is served.
    for name in ["segments", "value", "card"] {
        let text = String::from_utf8(objects[name].clone()).unwrap();
        assert!((0..CUSTOMERS).all(|customer| !text.contains(&format!("C{customer:03}"))), "{name}");
    }

    std::fs::remove_dir_all(folder.path().join("data")).unwrap();
    let shown = report(folder.path(), &["--artifact", "v1"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.starts_with("# Model card: shop-v1\n"), "{text}");
    assert_eq!(text.into_bytes(), objects["card-markdown"]);
    let options = ["--artifact", "v1", "--html", "out/card.html", "--replenishment", "out/order.csv"];
    assert!(report(folder.path(), &options).status.success());
    let page = std::fs::read_to_string(folder.path().join("out/card.html")).unwrap();
    assert!(page.contains("<h2>Learned segments</h2>") && page.contains("<h2>Demand by product</h2>"));
    let csv = std::fs::read_to_string(folder.path().join("out/order.csv")).unwrap();
    let columns = csv.lines().next().unwrap().split(',').count();
    assert_eq!(columns, 19);
    assert_eq!(csv.lines().count(), 1 + forecasts.kinds.iter().filter(|kind| kind.is_sold()).count());

    let missing = report(folder.path(), &["--artifact", "v2"]);
    assert!(!missing.status.success() && !missing.stderr.is_empty());
}
