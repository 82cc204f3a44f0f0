//! `endcap demo`: the whole life of a model on one machine, told step by step and checked step by step.

mod cast;
mod chapters;
mod crowd;
mod machine;
mod shop;
mod tell;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use endcap_simulator::{Preset, World, WorldSpec};

use cast::Cast;
use chapters::Stage;
use crowd::{Crowd, Mood};
use machine::Machine;
use shop::Shop;
use tell::Teller;

use crate::up::objects::condition;

/// The manifests that the demo applies, unless it is given others.
const MANIFESTS: [(&str, &str); 3] = [
    ("shop.yaml", include_str!("../../../examples/demo/shop.yaml")),
    ("policy.yaml", include_str!("../../../examples/demo/policy.yaml")),
    ("experiment.yaml", include_str!("../../../examples/demo/experiment.yaml")),
];

/// Parts of the story. Each can begin from what was saved before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Chapter {
    /// Data, v1, answers that follow events
    First,
    /// v2 is trained with what customers did, and promoted
    Feedback,
    /// v3 is taken back by its gate
    Defect,
    /// v1 and v2 side by side
    Experiment,
    /// Customers change; the next version trains itself
    Drift,
}

impl Chapter {
    /// As the command line writes it.
    fn name(self) -> String {
        self.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
    }
}

#[derive(Debug, Args)]
pub struct DemoArgs {
    /// A folder with MV_* files in place of a generated gift shop; the story then ends where simulated customers would be needed
    #[arg(long)]
    data: Option<PathBuf>,
    /// End when the story is told; exit code 0 only if everything that was shown was true
    #[arg(long)]
    once: bool,
    /// The address that the OMS would call
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// The address of the console
    #[arg(long, default_value = "127.0.0.1:8090")]
    console: SocketAddr,
    /// Seed of the generated shop
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Keep everything in this folder, and what was there before each chapter; a temporary one that goes with the demo unless set
    #[arg(long)]
    keep: Option<PathBuf>,
    /// Begin with this chapter, from what --keep saved before it
    #[arg(long, value_enum, requires = "keep", default_value = "first")]
    from: Chapter,
    /// End after this chapter
    #[arg(long, value_enum, default_value = "drift")]
    to: Chapter,
    /// Other manifests than the demo's own: a folder with shop.yaml, policy.yaml and experiment.yaml, ${FOLDER} in them being --keep's
    #[arg(long)]
    manifests: Option<PathBuf>,
}

pub async fn demo(args: DemoArgs) -> Result<i32> {
    // A folder that goes with the program, unless it shall stay.
    let temporary =
        tempfile::Builder::new().prefix("endcap-demo-").tempdir().context("failed to make a temporary folder")?;
    let folder = std::path::absolute(args.keep.clone().unwrap_or_else(|| temporary.path().to_owned()))?;
    std::fs::create_dir_all(&folder).with_context(|| format!("failed to make the folder {}", folder.display()))?;
    if args.from == Chapter::First && folder.join("state").exists() {
        bail!("{} holds an earlier run: choose an empty folder, or a later chapter with --from", folder.display());
    }
    let started = Instant::now();
    let mut tell = Teller::default();
    let last = if args.data.is_some() { Chapter::First } else { args.to };
    tell.say("The whole story takes some minutes. It uses this folder, loopback ports and nothing else:");
    tell.say(&format!("{}\n", folder.display()));
    let dataset = folder.join("dataset");
    if args.from == Chapter::First {
        data(&mut tell, &args, &dataset).await?;
    } else {
        restore(&folder, args.from)?;
    }
    let manifests = manifests(&args, &folder)?;
    let mut machine = Machine::start(&folder, args.listen, args.console).await?;
    for file in ["policy.yaml", "shop.yaml"] {
        machine.apply(&manifests.join(file)).await?;
    }
    let mut world = None;
    for chapter in Chapter::value_variants().iter().copied().filter(|chapter| (args.from..=last).contains(chapter)) {
        if chapter == Chapter::First {
            first(&mut tell, &mut machine, &dataset, args.data.is_some()).await?;
            continue;
        }
        if args.keep.is_some() && chapter != args.from {
            machine.stop().await?;
            save(&folder, chapter)?;
            machine = Machine::start(&folder, args.listen, args.console).await?;
        }
        let is_serving = machine.until(&tell, Duration::from_secs(120), |model, _| serves(model)).await?;
        is_serving.context("the model did not become ready: see its events with `endcap events`")?;
        machine.answers().await?;
        let stage = match world.take() {
            Some(stage) => stage,
            None => set_up(&args, &folder, &manifests).await?,
        };
        let began = Instant::now();
        match chapter {
            Chapter::First => {}
            Chapter::Feedback => chapters::feedback(&mut tell, &stage, &mut machine).await?,
            Chapter::Defect => chapters::defect(&mut tell, &stage, &mut machine).await?,
            Chapter::Experiment => chapters::experiment(&mut tell, &stage, &mut machine).await?,
            Chapter::Drift => chapters::drift(&mut tell, &stage, &mut machine).await?,
        }
        tell.say(&format!("   ({:.0} s)", began.elapsed().as_secs_f64()));
        world = Some(stage);
    }
    let code = tell.verdict(started.elapsed());
    if args.once {
        machine.stop().await?;
        println!("  all programs ended, all ports are free");
        return Ok(code);
    }
    stay_up(machine, world).await?;
    Ok(code)
}

fn serves(model: &serde_json::Value) -> Option<()> {
    (condition(model, "Ready")?.status == "True").then_some(())
}

async fn set_up(args: &DemoArgs, folder: &Path, manifests: &Path) -> Result<Stage> {
    let dataset = folder.join("dataset");
    let world = tokio::task::spawn_blocking(move || World::load(&dataset)).await?;
    let world = Arc::new(world.context("failed to load the generated world")?);
    Ok(Stage { folder: folder.to_owned(), manifests: manifests.to_owned(), world, seed: args.seed })
}

/// The manifests with the demo's own folder in them.
fn manifests(args: &DemoArgs, folder: &Path) -> Result<PathBuf> {
    let own = folder.join("manifests");
    std::fs::create_dir_all(&own)?;
    for (file, text) in MANIFESTS {
        let text = match &args.manifests {
            Some(other) => std::fs::read_to_string(other.join(file))
                .with_context(|| format!("failed to read {}", other.join(file).display()))?,
            None => text.to_owned(),
        };
        std::fs::write(own.join(file), text.replace("${FOLDER}", &folder.display().to_string()))?;
    }
    Ok(own)
}

/// What a chapter begins with.
const SAVED: [&str; 2] = ["state", "artifacts"];

fn save(folder: &Path, chapter: Chapter) -> Result<()> {
    let saved = folder.join("saved").join(chapter.name());
    for part in SAVED {
        copy(&folder.join(part), &saved.join(part))?;
    }
    Ok(())
}

fn restore(folder: &Path, chapter: Chapter) -> Result<()> {
    let saved = folder.join("saved").join(chapter.name());
    if !saved.is_dir() {
        bail!("{} was not saved: run the story until there first, with --keep {}", chapter.name(), folder.display());
    }
    for part in SAVED {
        let to = folder.join(part);
        if to.exists() {
            std::fs::remove_dir_all(&to)?;
        }
        copy(&saved.join(part), &to)?;
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to).with_context(|| format!("failed to make the folder {}", to.display()))?;
    for entry in std::fs::read_dir(from).with_context(|| format!("failed to read {}", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

async fn data(tell: &mut Teller, args: &DemoArgs, dataset: &Path) -> Result<()> {
    let Some(source) = &args.data else {
        tell.step("A gift shop: two months of sales, with seasons, habits, complements, offers and stock");
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

/// The two months before today, so that seasons, habits and offers hold now.
fn gift_shop(seed: u64) -> Result<WorldSpec> {
    const DAYS: u32 = 60;
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let mut spec = WorldSpec::new(Preset::GiftShop, 2_000, 600, DAYS, seed);
    spec.start = today.checked_sub(jiff::Span::new().days(i64::from(DAYS)))?;
    Ok(spec)
}

/// The operator trains the first version by itself and lets it serve.
async fn first(tell: &mut Teller, machine: &mut Machine, dataset: &Path, is_real_data: bool) -> Result<()> {
    tell.step("The model is declared (shop.yaml, policy.yaml). The operator trains v1, a hybrid: counts, item-to-item weights, a two-tower network, and a ranker over all of them");
    let began = Instant::now();
    let end = machine
        .until(tell, Duration::from_secs(1_800), |model, _| {
            let failed = condition(model, "Degraded").filter(|degraded| degraded.status == "True");
            match failed {
                Some(degraded) => Some(Err(format!("{}: {}", degraded.reason, degraded.message))),
                None => serves(model).map(Ok),
            }
        })
        .await?;
    match end {
        Some(Ok(())) => {}
        Some(Err(why)) => bail!("the first version does not serve: {why}"),
        None => bail!("the first version does not serve yet: see `endcap logs shop`"),
    }
    tell.say(&format!("   v1 serves {:.0} s after the model was declared", began.elapsed().as_secs_f64()));
    card(tell, &machine.artifact("shop-v1").await?)?;
    let cast = {
        let dataset = dataset.to_owned();
        tokio::task::spawn_blocking(move || Cast::choose(&dataset, is_real_data)).await??
    };
    let shop = Shop::new(machine.router().await?, cast)?;
    shop.known_customer(tell).await?;
    shop.a_cart(tell).await?;
    shop.unknown_customer(tell).await?;
    shop.one_step_short(tell).await?;
    shop.out_of_stock(tell).await?;
    shop.events_change_the_answer(tell).await
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

/// Until Ctrl-C. A few customers go on shopping, so that there is something to see.
async fn stay_up(mut machine: Machine, stage: Option<Stage>) -> Result<()> {
    let url = machine.router().await?;
    println!("\n  It stays up, and a few customers go on shopping. Ctrl-C ends it.\n");
    println!("  console   {}   (order entry, models)", machine.console());
    println!("  OMS       {url}");
    println!("  commands  endcap --server {} get models -w", machine.console());
    println!("            endcap --server {} events shop", machine.console());
    println!(
        "  curl -s {url}/v1/recommendations -H 'content-type: application/json' -d '{{\"placement\":\"home\",\"limit\":3}}'"
    );
    let crowd = stage
        .map(|stage| Crowd::start(&stage.world, &url, Mood { visits_per_s: 1.0, has_changed: true }, stage.seed + 9));
    tokio::select! {
        () = endcap_eventlog::program::until_stopped(false) => {}
        why = machine.ended() => bail!(why),
    }
    println!("\n  ending ...");
    if let Some(crowd) = crowd {
        crowd.stop().await?;
    }
    machine.stop().await?;
    println!("  ended; all ports are free");
    Ok(())
}
