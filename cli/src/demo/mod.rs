//! `endcap demo`: data -> training -> serving -> answers that change with events, told step by step and checked step by step.

mod cast;
mod shop;
mod tell;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use endcap_simulator::{Preset, WorldSpec};

use crate::children::run;
use crate::serve::{print_addresses, stay_up};
use crate::stack::{Stack, StackSpec};
use cast::Cast;
use shop::Shop;
use tell::Teller;

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// A folder with MV_* files in place of a generated gift shop
    #[arg(long)]
    data: Option<PathBuf>,
    /// End when the story is told; exit code 0 only if everything that was shown was true
    #[arg(long)]
    once: bool,
    /// The address that the OMS would call
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Seed of the generated shop
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Keep everything in this folder; a temporary one that goes with the demo unless set
    #[arg(long)]
    keep: Option<PathBuf>,
}

pub async fn demo(args: DemoArgs) -> Result<i32> {
    // A folder that goes with the program, unless it shall stay.
    let temporary =
        tempfile::Builder::new().prefix("endcap-demo-").tempdir().context("failed to make a temporary folder")?;
    let folder = args.keep.clone().unwrap_or_else(|| temporary.path().to_owned());
    let started = Instant::now();
    let mut tell = Teller::default();
    tell.say("This takes a minute or two. It uses this folder, loopback ports and nothing else:");
    tell.say(&format!("{}\n", folder.display()));

    let dataset = folder.join("dataset");
    data(&mut tell, &args, &dataset).await?;
    let artifact = folder.join("artifact");
    train(&mut tell, &dataset, &artifact).await?;

    tell.step("Serving v1: event log, predictor and router on loopback");
    let spec = StackSpec {
        artifact: format!("file://{}", std::path::absolute(&artifact)?.display()),
        state: folder.join("state"),
        policy: serde_json::Value::Null,
        listen: args.listen,
        digest: None,
    };
    let stack = Stack::start(spec).await?;
    print_addresses(&stack)?;

    let told = scenes(&mut tell, &stack, &dataset, args.data.is_some()).await;
    if let Err(error) = told {
        stack.stop().await?;
        return Err(error);
    }
    let code = tell.verdict(started.elapsed());
    if args.once {
        stack.stop().await?;
        println!("  all programs ended, all ports are free");
    } else {
        println!("\n  It stays up:\n");
        print_addresses(&stack)?;
        stay_up(stack).await?;
    }
    Ok(code)
}

async fn data(tell: &mut Teller, args: &DemoArgs, dataset: &Path) -> Result<()> {
    let Some(source) = &args.data else {
        tell.step("A gift shop: a year of sales, with seasons, habits, complements, offers and stock");
        let manifest = crate::world::write(gift_shop(args.seed)?, dataset.to_owned()).await?;
        for table in ["customers", "products", "orders", "order_lines", "offers", "stock", "interactions"] {
            tell.fact(table, &format!("{} rows", tell::thousands(manifest.rows(table))));
        }
        return Ok(());
    };
    tell.step(&format!("Real data: {} brought into the canonical tables", source.display()));
    let code = crate::train::prepare(source, dataset).await?;
    if code != 0 {
        bail!("the data could not be prepared (exit code {code}): see above what is wrong and where");
    }
    Ok(())
}

/// The year before today, so that seasons, habits and offers hold now.
fn gift_shop(seed: u64) -> Result<WorldSpec> {
    const DAYS: u32 = 365;
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let mut spec = WorldSpec::new(Preset::GiftShop, 2_000, 1_200, DAYS, seed);
    spec.start = today.checked_sub(jiff::Span::new().days(i64::from(DAYS)))?;
    Ok(spec)
}

async fn train(tell: &mut Teller, dataset: &Path, artifact: &Path) -> Result<()> {
    tell.step(
        "Training v1, a hybrid: counts, item-to-item weights, a two-tower network, and a ranker over all of them",
    );
    let args = [
        "--data",
        &dataset.display().to_string(),
        "--out",
        &artifact.display().to_string(),
        "--model",
        "shop",
        "--version",
        "1",
    ];
    let code = run("endcap-trainer", &args.map(str::to_owned)).await?;
    if code != 0 {
        bail!("the training failed (exit code {code}): see above what is wrong and where");
    }
    card(tell, artifact)
}

/// What the model card says of quality, and where all of it stands.
fn card(tell: &mut Teller, artifact: &Path) -> Result<()> {
    let path = artifact.join("card.md");
    let text = std::fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    tell.say(&format!("\n   Its model card ({}):\n", path.display()));
    for heading in ["### What is served, by situation", "### What each component is worth"] {
        let section = text.lines().skip_while(|line| *line != heading).skip(1);
        tell.say(&format!("   {}", heading.trim_start_matches("### ")));
        for line in section.take_while(|line| !line.starts_with('#')).filter(|line| line.starts_with('|')) {
            tell.say(&format!("   {line}"));
        }
    }
    tell.check("the card says how good it is, with intervals", text.contains("ndcg@10"));
    Ok(())
}

async fn scenes(tell: &mut Teller, stack: &Stack, dataset: &Path, is_real_data: bool) -> Result<()> {
    let cast = {
        let dataset = dataset.to_owned();
        tokio::task::spawn_blocking(move || Cast::choose(&dataset, is_real_data)).await??
    };
    let shop = Shop::new(stack.url()?, cast)?;
    shop.known_customer(tell).await?;
    shop.a_cart(tell).await?;
    shop.unknown_customer(tell).await?;
    shop.one_step_short(tell).await?;
    shop.out_of_stock(tell).await?;
    shop.events_change_the_answer(tell).await
}
