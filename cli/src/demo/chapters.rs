//! The chapters after the first version serves: feedback, a defect, an experiment, customers who change.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use endcap_crds::Kind;
use endcap_simulator::World;
use endcap_simulator::live::LiveReport;
use endcap_tables::{DatasetManifest, DatasetWriter, Product, Row};
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use super::crowd::{Crowd, Mood};
use super::machine::{Machine, Share};
use super::tell::{Teller, thousands};
use crate::up::objects::{condition, text_at};

/// Long enough for a training and a canary on a slow machine.
const PATIENCE: Duration = Duration::from_secs(600);
/// Visits that begin in a second; each asks about five times.
const VISITS: f64 = 14.0;

/// Where the story's things are.
pub struct Stage {
    pub folder: PathBuf,
    pub manifests: PathBuf,
    pub world: Arc<World>,
    pub seed: u64,
}

impl Stage {
    fn crowd(&self, url: &str, has_changed: bool, seed: u64) -> Crowd {
        Crowd::start(&self.world, url, Mood { visits_per_s: VISITS, has_changed }, self.seed + seed)
    }
}

fn percent(share: Share) -> String {
    format!("{:.1}% (+-{:.1}) of {} lists", 100.0 * share.value, 196.0 * share.se, thousands(share.lists))
}

fn shopped(tell: &mut Teller, report: &LiveReport) {
    let asked = report.recommendations;
    let latency = report.recommendation_latency;
    tell.say(&format!(
        "   {} visits, {} questions, {} orders; answered in {:.1} ms (median), {:.1} ms (99th percentile)",
        thousands(report.visits_started),
        thousands(asked.requests),
        thousands(report.orders),
        latency.p50_ms,
        latency.p99_ms
    ));
    let failed = report.recommendation_errors.values().sum::<u64>();
    if failed > 0 {
        tell.say(&format!("   {:?}: {}", report.recommendation_errors, report.first_error.as_deref().unwrap_or("?")));
    }
    tell.check(
        &format!("every one of {} questions was answered, none failed", thousands(asked.requests)),
        failed == 0 && asked.requests > 0,
    );
}

async fn wait(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// How the version's way ended: it serves everybody, or it was taken back, or it never began.
fn ended(model: &Value, versions: &[Value], name: &str) -> Option<String> {
    if text_at(model, "/status/activeVersion") == name {
        return Some("Promoted".to_owned());
    }
    let rejected = model.pointer("/status/rejectedVersions").and_then(Value::as_array).cloned().unwrap_or_default();
    if let Some(found) = rejected.iter().find(|one| text_at(one, "/version") == name) {
        return Some(text_at(found, "/reason"));
    }
    let version = versions.iter().find(|version| text_at(version, "/metadata/name") == name)?;
    if text_at(version, "/status/phase") == "Failed" {
        return Some(
            condition(version, "Ready")
                .map_or_else(|| "Failed".to_owned(), |ready| format!("{}: {}", ready.reason, ready.message)),
        );
    }
    let gates = condition(version, "GatesPassed").filter(|gates| gates.status == "False")?;
    Some(gates.message.to_owned())
}

/// Until the version is trained. The customers pause meanwhile: on two cores they and the training would keep each other waiting.
async fn trained(tell: &Teller, machine: &mut Machine, name: &str) -> Result<()> {
    let is_over = |_: &Value, versions: &[Value]| {
        let version = versions.iter().find(|version| text_at(version, "/metadata/name") == name)?;
        ["Ready", "Failed"].contains(&text_at(version, "/status/phase").as_str()).then_some(())
    };
    machine.until(tell, PATIENCE, is_over).await?;
    Ok(())
}

fn learned_from(artifact: &Path) -> Result<u64> {
    let text = std::fs::read(artifact.join("manifest.json"))?;
    let manifest: Value = serde_json::from_slice(&text)?;
    manifest.pointer("/dataset/rows").and_then(Value::as_u64).context("the artifact does not say what it learned from")
}

/// v2 learns from what customers did with v1, and is promoted on evidence.
pub async fn feedback(tell: &mut Teller, stage: &Stage, machine: &mut Machine) -> Result<()> {
    tell.step("Customers shop. What they do with the recommendations is fed back: v2 is trained with it and goes through its canary");
    let url = machine.router().await?;
    let crowd = stage.crowd(&url, false, 1);
    wait(25).await;
    let report = crowd.so_far();
    tell.say(&format!(
        "   after 25 s: {} visits, {} questions, {} events, {} orders; v2 is asked for (endcap retrain shop)",
        thousands(report.visits_started),
        thousands(report.recommendations.requests),
        thousands(report.events_accepted),
        thousands(report.orders)
    ));
    let first = crowd.stop().await?;
    machine.retrain("with-feedback").await?;
    trained(tell, machine, "shop-v2").await?;
    let crowd = stage.crowd(&url, false, 11);
    let end = machine.until(tell, PATIENCE, |model, versions| ended(model, versions, "shop-v2")).await?;
    let report = crowd.stop().await?;
    shopped(tell, &first);
    shopped(tell, &report);
    let (one, two) =
        (learned_from(&machine.artifact("shop-v1").await?)?, learned_from(&machine.artifact("shop-v2").await?)?);
    tell.check(
        &format!(
            "v2 learned from {} order lines, {} more than v1: the customers' own",
            thousands(two),
            two.saturating_sub(one)
        ),
        two > one,
    );
    tell.check("v2 was promoted on evidence: offline, then in each step", end.as_deref() == Some("Promoted"));
    Ok(())
}

/// The catalogue once more, with prices in pence where pounds belong.
fn in_pence(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    let manifest = DatasetManifest::open(from)?;
    let mut writer = DatasetWriter::create(to)?;
    let products = endcap_tables::read::<Product>(from)?.into_iter().map(|mut product| {
        product.list_price = product.list_price.map(|price| price * Decimal::ONE_HUNDRED);
        product
    });
    writer.write(products)?;
    // All other tables as they are.
    let mut entries = manifest.tables.clone();
    for entry in entries.values().filter(|entry| entry.file != format!("{}.parquet", Product::TABLE)) {
        std::fs::copy(from.join(&entry.file), to.join(&entry.file))?;
    }
    let written = writer.finish(manifest.time_range, manifest.currency.clone(), Vec::new())?;
    entries.extend(written.tables);
    let whole = DatasetManifest { tables: entries, rejected: manifest.rejected, ..written };
    std::fs::write(to.join("dataset.json"), whole.to_json())?;
    whole.verify(to)?;
    Ok(())
}

fn with_data(object: &mut Value, folder: &Path) {
    if let Some(uri) = object.pointer_mut("/spec/data/sources/0/object/uri") {
        *uri = format!("file://{}", folder.display()).into();
    }
}

/// The model's manifest with another folder of data.
async fn apply_with_data(stage: &Stage, machine: &Machine, folder: &Path) -> Result<()> {
    for (_, mut object) in crate::up::manifests(&stage.manifests.join("shop.yaml"))? {
        with_data(&mut object, folder);
        machine.client.apply(object, "endcap-demo", true).await?;
    }
    Ok(())
}

/// v3 learns from a catalogue with a hundredfold prices: fine offline, a failure in front of customers.
pub async fn defect(tell: &mut Teller, stage: &Stage, machine: &mut Machine) -> Result<()> {
    tell.step("A defect: somebody exports the catalogue in pence instead of pounds, and v3 learns from it");
    let wrong = stage.folder.join("dataset-pence");
    in_pence(&stage.folder.join("dataset"), &wrong)?;
    tell.say(
        "   order lines are right, so that v3 is as good as v2 offline; but it shows prices a hundred times too high",
    );
    let before = text_at(&machine.model().await?, "/status/activeVersion");
    apply_with_data(stage, machine, &wrong).await?;
    let url = machine.router().await?;
    machine.retrain("prices-in-pence").await?;
    let version = "shop-v3";
    trained(tell, machine, version).await?;
    let crowd = stage.crowd(&url, false, 2);
    let began = machine
        .until(tell, PATIENCE, |model, versions| {
            let is_shown =
                model.pointer("/status/rollout/weight").and_then(Value::as_i64).is_some_and(|weight| weight > 0)
                    && text_at(model, "/status/rollout/version") == version;
            is_shown.then(Instant::now).or_else(|| ended(model, versions, version).map(|_| Instant::now()))
        })
        .await?;
    let end = machine.until(tell, Duration::from_secs(120), |model, versions| ended(model, versions, version)).await?;
    let report = crowd.stop().await?;
    shopped(tell, &report);
    let object = machine.version(version).await?;
    let offline = condition(&object, "GatesPassed");
    tell.check("offline nothing was wrong: v3 passed", offline.is_some_and(|gates| gates.status == "True"));
    let shown = report.by_version.get(version).map_or(0, |tally| tally.requests);
    tell.check(&format!("v3 answered {shown} questions of its share of the customers"), shown > 0);
    let took = began.map_or(0.0, |began| began.elapsed().as_secs_f64());
    let why = end.clone().unwrap_or_else(|| "nothing happened".to_owned());
    tell.check(
        &format!("its gate took it back {took:.0} s after its first customer, with nobody's help ({why})"),
        end.as_deref().is_some_and(|end| end != "Promoted"),
    );
    let model = machine.model().await?;
    tell.check(&format!("{before} serves everybody again"), text_at(&model, "/status/activeVersion") == before);
    apply_with_data(stage, machine, &stage.folder.join("dataset")).await?;
    Ok(())
}

/// v1 and v2 side by side.
pub async fn experiment(tell: &mut Teller, stage: &Stage, machine: &mut Machine) -> Result<()> {
    const NAME: &str = "does-feedback-help";
    tell.step("An experiment: did the feedback help? v1 and v2 side by side, half of the customers each, judged once, by customer");
    let url = machine.router().await?;
    let crowd = stage.crowd(&url, false, 3);
    machine.apply(&stage.manifests.join("experiment.yaml")).await?;
    let started = Instant::now();
    let experiment = loop {
        machine.news(tell).await?;
        let experiment = machine.client.get(Kind::Experiment, NAME).await?;
        let phase = text_at(&experiment, "/status/phase");
        if phase == "Completed" || phase == "Failed" || started.elapsed() > Duration::from_secs(150) {
            break experiment;
        }
        wait(1).await;
    };
    machine.news(tell).await?;
    let report = crowd.stop().await?;
    shopped(tell, &report);
    let arms = experiment.pointer("/status/arms").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut has_interval = arms.len() == 2;
    for arm in &arms {
        let text = |key: &str| arm.get(key).and_then(Value::as_str).unwrap_or("-").to_owned();
        let count = |key: &str| arm.get(key).and_then(Value::as_u64).unwrap_or(0);
        has_interval &= arm.get("ciLow").is_some() && arm.get("ciHigh").is_some();
        tell.say(&format!(
            "   {:<8} {} customers, {} lists: click-through {} ({} to {}); lift {}, p {}",
            text("name"),
            thousands(count("users")),
            thousands(count("exposures")),
            text("value"),
            text("ciLow"),
            text("ciHigh"),
            text("lift"),
            text("pValue")
        ));
    }
    let conclusion = text_at(&experiment, "/status/conclusion");
    tell.check(
        &format!("it came to a conclusion, with intervals: {conclusion}"),
        has_interval && ["Winner", "NoDifference"].contains(&conclusion.as_str()),
    );
    let ratio = text_at(&experiment, "/status/srmPValue");
    tell.check(
        &format!("the arms got their shares (sample-ratio check: p {ratio})"),
        ratio.parse::<f64>().is_ok_and(|p| p > 0.001),
    );
    let url = format!("{}/console/insights/default/shop/v1/experiments/{NAME}?metric=Ctr", machine.console());
    let figures = machine.client.send(machine.client.http.get(url)).await?;
    let crossed = figures.get("crossed").and_then(Value::as_u64);
    tell.check("no customer saw both versions", crossed == Some(0));
    Ok(())
}

/// The difference is no chance.
fn surely(above: Share, below: Share) -> bool {
    above.value - below.value > 1.96 * above.se.hypot(below.se)
}

/// Customers change; the system notices, learns and recovers.
pub async fn drift(tell: &mut Teller, stage: &Stage, machine: &mut Machine) -> Result<()> {
    tell.step("A fashion comes: customers like what nobody liked before. Nobody tells the system");
    let url = machine.router().await?;
    let began = Timestamp::now();
    let before = text_at(&machine.model().await?, "/status/activeVersion");
    let known = text_at(&machine.model().await?, "/status/latestVersion");
    let crowd = stage.crowd(&url, false, 4);
    wait(62).await;
    let calm = Timestamp::now();
    let usual = machine.click_through(&before, began, calm).await?.unwrap_or_default();
    let is_quiet = text_at(&machine.model().await?, "/status/latestVersion") == known;
    let report = crowd.stop().await?;
    tell.say(&format!("   until now: click-through {}", percent(usual)));
    tell.check("as long as nothing changed, no drift was found", is_quiet);

    let crowd = stage.crowd(&url, true, 5);
    let changed = Timestamp::now();
    let started = Instant::now();
    let found = machine
        .until(tell, Duration::from_secs(150), |model, _| {
            let latest = text_at(model, "/status/latestVersion");
            (latest != known).then_some(latest)
        })
        .await?;
    let seen_after = started.elapsed().as_secs();
    let Some(version) = found else {
        // The last half minute: nothing recovers by itself.
        let now = Timestamp::now();
        let recently = now.checked_sub(jiff::SignedDuration::from_secs(30)).unwrap_or(changed);
        let low = machine.click_through(&before, recently, now).await?.unwrap_or_default();
        crowd.stop().await?;
        tell.say(&format!("   half a minute ago until now: click-through {}", percent(low)));
        tell.course(&machine.course(began, now).await?);
        tell.check("click-through fell, and without a training it stays low", surely(usual, low));
        tell.check("drift was found and a training began", false);
        return Ok(());
    };
    let object = machine.version(&version).await?;
    let (kind, why) = (text_at(&object, "/spec/trigger/type"), text_at(&object, "/spec/trigger/reason"));
    tell.check(
        &format!("after {seen_after} s drift was found, and {version} is being trained: {kind}, {why}"),
        kind == "Drift",
    );
    let mut changed_report = crowd.stop().await?;
    trained(tell, machine, &version).await?;
    let crowd = stage.crowd(&url, true, 6);
    let end = machine.until(tell, PATIENCE, |model, versions| ended(model, versions, &version)).await?;
    let promoted = Timestamp::now();
    let low = machine.click_through(&before, changed, promoted).await?.unwrap_or_default();
    tell.check(
        &format!("{version} trained itself, passed its gates and was promoted"),
        end.as_deref() == Some("Promoted"),
    );
    wait(40).await;
    let now = machine.click_through(&version, promoted, Timestamp::now()).await?.unwrap_or_default();
    let last = crowd.stop().await?;
    changed_report.recommendations.requests += last.recommendations.requests;
    changed_report.recommendation_errors.extend(last.recommendation_errors);
    tell.say(&format!("   click-through before {}", percent(usual)));
    tell.say(&format!("   with the new tastes, {before} {}", percent(low)));
    tell.say(&format!("   with the new tastes, {version} {}", percent(now)));
    tell.course(&machine.course(began, Timestamp::now()).await?);
    tell.check("click-through had fallen", surely(usual, low));
    tell.check("and it rose again with the new version", surely(now, low));
    let answered = report.recommendations.requests + changed_report.recommendations.requests;
    let failed = report.recommendation_errors.len() + changed_report.recommendation_errors.len();
    tell.check(&format!("every one of {} questions was answered", thousands(answered)), failed == 0);
    Ok(())
}
