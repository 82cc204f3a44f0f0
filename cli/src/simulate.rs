//! `endcap simulate`: customers of a generated shop ask, click, decline and buy at a router, by the hidden truth.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use endcap_simulator::World;
use endcap_simulator::live::{LiveSpec, LiveTasteChange};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Args)]
pub struct SimulateArgs {
    /// The router, such as http://127.0.0.1:8080
    #[arg(long)]
    url: String,
    /// The folder that `endcap data generate` wrote, its truth included
    #[arg(long)]
    data: PathBuf,
    /// Visits that begin in a second; a visit asks for recommendations about five times
    #[arg(long, default_value_t = 2.0)]
    rate: f64,
    /// End after so many seconds; until Ctrl-C unless set
    #[arg(long)]
    seconds: Option<u64>,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// After so many seconds a share of the customers has other tastes
    #[arg(long)]
    taste_change_after: Option<u64>,
    #[arg(long, default_value_t = 0.5)]
    taste_change_share: f32,
    /// Fill up again what was bought
    #[arg(long)]
    restock: bool,
    /// All of them come to like the same
    #[arg(long)]
    fashion: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

/// Returns 1 when a question went without an answer.
pub async fn simulate(args: SimulateArgs) -> Result<i32> {
    let folder = args.data.clone();
    let world = tokio::task::spawn_blocking(move || World::load(&folder)).await?;
    let world = world.with_context(|| format!("failed to load the world of {}", args.data.display()))?;
    let mut spec = LiveSpec::new(&args.url);
    spec.visits_per_s = args.rate;
    spec.duration = args.seconds.map(Duration::from_secs);
    spec.seed = args.seed;
    spec.restock = args.restock;
    let share = args.taste_change_share;
    spec.taste_change = args.taste_change_after.map(|after| LiveTasteChange {
        after: Duration::from_secs(after),
        share,
        fashion: args.fashion,
    });
    let stop = CancellationToken::new();
    let stopper = stop.clone();
    let watcher = tokio::spawn(async move {
        endcap_eventlog::program::until_stopped(false).await;
        stopper.cancel();
    });
    let report = endcap_simulator::live::run(Arc::new(world), spec, stop, None).await?;
    watcher.abort();
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        let tally = report.recommendations;
        let rate = |part: u64, whole: u64| 100.0 * part as f64 / (whole.max(1) as f64);
        println!("{:.0} s, {} visits ({} dropped)", report.elapsed_s, report.visits_started, report.visits_dropped);
        println!(
            "asked     {:>8}  empty {}, degraded {}, without an answer {}",
            tally.requests,
            report.empty_answers,
            report.degraded.values().sum::<u64>(),
            report.recommendation_errors.values().sum::<u64>()
        );
        println!("shown     {:>8}", tally.shown);
        println!("accepted  {:>8}  {:.1}% of the shown", tally.accepted, rate(tally.accepted, tally.shown));
        println!("clicked   {:>8}  {:.1}% of the shown", tally.clicked, rate(tally.clicked, tally.shown));
        println!("declined  {:>8}  {:.1}% of the shown", tally.declined, rate(tally.declined, tally.shown));
        println!("events    {:>8}  accepted", report.events_accepted);
        for (version, tally) in &report.by_version {
            println!(
                "  {version:<24} asked {:>7}, accepted {:.1}% of the shown",
                tally.requests,
                rate(tally.accepted, tally.shown)
            );
        }
    }
    Ok(i32::from(!report.recommendation_errors.is_empty()))
}
