//! `endcap validate`: cases that a business user can read and write, asked of an artifact through the pipeline that serves it, and
//! signed off where all came as expected. How to write them: docs/scenarios.md.

mod ask;
mod file;
mod judge;
mod names;
mod page;
mod read;
mod report;
mod resolve;
mod sign;
mod words;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use endcap_recommender::Policy;
use endcap_recommender::candidates::Scratch;
use endcap_serving::artifact::{self, Part};

pub use ask::Shop;
pub use read::Mistake;
pub use report::{Outcome, Report};

use file::ScenarioFile;
use names::Names;
use read::{Mistakes, Place};

/// Input that cannot be judged: nothing was found out about the artifact.
const EXIT_UNUSABLE: i32 = 2;

#[derive(Debug, Args)]
pub struct ValidateArgs {
    /// The scenarios (YAML)
    scenarios: PathBuf,
    /// The artifact: file:///folder, a folder, or s3://bucket/prefix
    #[arg(long)]
    artifact: String,
    /// Refuse the artifact unless its manifest has this SHA-256
    #[arg(long)]
    digest: Option<String>,
    /// A RecommenderModel manifest, or its spec.recommendation alone (YAML or JSON): the business rules
    #[arg(long)]
    policy: Option<PathBuf>,
    /// Write the report as JSON here; - for standard output in place of the text
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write the report as a page here
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Who vouches for this artifact; written down only if every scenario passed
    #[arg(long, value_name = "NAME")]
    sign_off_by: Option<String>,
    /// Where the sign-off goes; must not exist
    #[arg(long, value_name = "FILE", default_value = "signoff.json", requires = "sign_off_by")]
    out: PathBuf,
}

/// Returns 0 if all passed, 1 if one failed, 2 if the input cannot be used.
pub async fn validate(args: ValidateArgs) -> Result<i32> {
    match run(args).await {
        Ok(code) => Ok(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            Ok(EXIT_UNUSABLE)
        }
    }
}

async fn run(args: ValidateArgs) -> Result<i32> {
    if args.sign_off_by.as_deref().is_some_and(|name| name.trim().is_empty()) {
        bail!("--sign-off-by is empty; write the name of the person who vouches for the version");
    }
    // Found before the artifact is read, which may take long.
    if args.sign_off_by.is_some() && args.out.exists() {
        bail!("{} exists already; name another file with --out", args.out.display());
    }
    let text = std::fs::read_to_string(&args.scenarios)
        .with_context(|| format!("failed to read the scenarios {}", args.scenarios.display()))?;
    let file = read::read(&text).map_err(|mistakes| wrong(&args.scenarios, &mistakes))?;
    let policy = args.policy.as_deref().map(crate::serve::read_policy).transpose()?;
    let policy = policy.map(serde_json::from_value).transpose().context("failed to understand the policy")?;
    let shop = open(&args.artifact, args.digest.as_deref(), policy.unwrap_or_default()).await?;
    let report = tokio::task::spawn_blocking(move || hold(file, &text, &shop)).await?;
    let report = report.map_err(|mistakes| wrong(&args.scenarios, &mistakes))?;
    conclude(&args, &report)
}

/// Writes what was asked for.
fn conclude(args: &ValidateArgs, report: &Report) -> Result<i32> {
    let now = jiff::Timestamp::now();
    let to_stdout = args.json.as_deref() == Some(Path::new("-"));
    let json = serde_json::to_string_pretty(report).context("failed to write the report as JSON")?;
    if to_stdout {
        println!("{json}");
    } else {
        print!("{}", report.text());
        if let Some(path) = &args.json {
            std::fs::write(path, json).with_context(|| format!("failed to write {}", path.display()))?;
        }
    }
    let mut footer = format!("Made {now} by endcap {}.", env!("CARGO_PKG_VERSION"));
    if let Some(by) = args.sign_off_by.as_deref().map(str::trim) {
        if report.failed == 0 {
            sign::write(&sign::sign_off(report, by, now), &args.out)?;
            footer = format!("{footer} Signed off by {by}.");
            eprintln!("signed off by {by}: {}", args.out.display());
        } else {
            eprintln!("not signed off: {} of the scenarios failed", report.failed);
        }
    }
    if let Some(path) = &args.html {
        std::fs::write(path, page::page(report, &footer))
            .with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(i32::from(report.failed > 0))
}

fn wrong(path: &Path, mistakes: &[Mistake]) -> anyhow::Error {
    let list: Vec<String> = mistakes.iter().map(|mistake| format!("\n  {mistake}")).collect();
    anyhow::anyhow!("{} cannot be used:{}", path.display(), list.concat())
}

/// Reads an artifact and the state beside it, checked as a predictor does.
pub async fn open(uri: &str, digest: Option<&str>, policy: Policy) -> Result<Shop> {
    let from = endcap_store::open(uri)?;
    let loaded = artifact::fetch(&from, digest, Part::Whole).await?.decode().await?;
    let state = artifact::read_baseline(&from).await?.unwrap_or_default();
    let written = serde_json::to_vec(&policy).context("failed to write the rules as JSON")?;
    Ok(Shop {
        model: Arc::new(loaded.model),
        manifest: loaded.manifest,
        digest: loaded.digest,
        state,
        policy,
        policy_sha256: endcap_store::sha256_hex(&written),
    })
}

/// Reads the text of a scenario file and holds it against an artifact.
pub fn judge(text: &str, shop: &Shop) -> Result<Report, Vec<Mistake>> {
    hold(read::read(text)?, text, shop)
}

fn hold(mut file: ScenarioFile, text: &str, shop: &Shop) -> Result<Report, Vec<Mistake>> {
    let catalogue = &shop.model.catalogue;
    let mut mistakes = resolve::resolve(&mut file, &Names::new(catalogue), &shop.state);
    let mut scratch = Scratch::default();
    let mut scenarios = Vec::with_capacity(file.scenarios.len());
    for (number, scenario) in file.scenarios.into_iter().enumerate() {
        let place = Place::default().key("scenarios").at(number);
        let looked_for = judge::looked_for(&scenario.expect);
        // Without a moment of its own a scenario is asked at the end of what the version has learned from: the same on every day.
        let Some(at) = scenario.situation.at.or(shop.model.settings.trained_until) else {
            let message = "is missing, and the artifact does not say when its data end; write the moment";
            mistakes.add(&place.key("situation").key("at"), message);
            continue;
        };
        match shop.ask(&scenario.situation, at, &looked_for, &mut scratch) {
            Ok(answer) => {
                let checks = judge::judge(&scenario.expect, &answer, catalogue);
                scenarios.push(Outcome {
                    line: place.key("name").line(text),
                    passed: checks.iter().all(|check| check.passed),
                    situation: report::told(&scenario.situation, &answer, catalogue),
                    name: scenario.name.trim().to_owned(),
                    why: scenario.why,
                    request: answer.request,
                    checks,
                    items: answer.items,
                });
            }
            Err(errors) => refuse(&mut mistakes, &place.key("situation"), errors),
        }
    }
    let mistakes = mistakes.into_list(text);
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let failed = scenarios.iter().filter(|outcome| !outcome.passed).count();
    Ok(Report {
        format: report::FORMAT,
        title: file.title,
        model: shop.manifest.model.clone(),
        version: shop.manifest.version.clone(),
        artifact_sha256: shop.digest.clone(),
        scenarios_sha256: endcap_store::sha256_hex(text.as_bytes()),
        policy_sha256: shop.policy_sha256.clone(),
        currency: shop.model.settings.currency.clone(),
        passed: scenarios.len() - failed,
        failed,
        scenarios,
    })
}

/// What the API would refuse of the request, at the field of the file.
fn refuse(mistakes: &mut Mistakes, place: &Place, errors: Vec<endcap_recommender::request::FieldError>) {
    for error in errors {
        let field = match error.pointer.as_str() {
            "/customer_id" => "customer",
            "/product_id" => "looking_at",
            pointer if pointer.starts_with("/cart") => "cart",
            pointer => pointer.trim_start_matches('/'),
        };
        mistakes.add(&place.key(field), format!("{} {}", error.pointer, error.detail));
    }
}

#[cfg(test)]
mod tests;
