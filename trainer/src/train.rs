//! One training from a dataset to an artifact: load -> features -> backtest -> tune -> fit -> publish.

use std::collections::BTreeMap;
use std::time::Instant;

use endcap_recommender::artifact::{ArtifactManifest, DatasetSummary, FORMAT, Metric};
use endcap_recommender::fitted::{Model, OBJECTS};
use endcap_store::{Location, ObjectRef, sha256_hex};
use endcap_tables::DatasetManifest;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoints;
use crate::deep::Place;
use crate::demand::{self, Forecasts};
use crate::features::{Facts, Rfm};
use crate::learn::{LearnOptions, Learned, Learner};
use crate::load::Dataset;
use crate::options::{Hyper, TrainOptions};
use crate::people::{self, People, segments, value};
use crate::progress::{Phase, Progress};
use crate::report::Run;
use crate::tune::Active;
use crate::versions::Found;
use crate::{PROGRAM, TrainError, baseline, card, features, load, machine, merged, publish, report, versions};

/// A finished training.
#[derive(Clone, Debug)]
pub struct Trained {
    pub uri: String,
    pub manifest: ArtifactManifest,
    /// The artifact's digest.
    pub manifest_sha256: String,
    /// Of all objects and the manifest.
    pub bytes: u64,
    pub run: Run,
}

/// Trains and publishes. Synchronous: the work runs on `options.threads` threads of its own; call it from a plain or a blocking
/// thread. What it has done survives a kill (checkpoints in `options.work`), and starting it again with the same options goes on from
/// there. An artifact that already stands at `options.out` and was made from the same input is returned as it is.
pub fn train(options: &TrainOptions, progress: &dyn Progress) -> Result<Trained, TrainError> {
    options.validate()?;
    // Before anything is read: what was asked for and is not there should not take an hour to say so.
    let place = options.device.open()?;
    let threads = options.threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|at| format!("endcap-fit-{at}"))
        .build()
        .map_err(|source| TrainError::Threads { threads, source })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TrainError::Runtime)?;
    let out = endcap_store::open(&options.out)?;
    let started = Instant::now();
    let merged = merged::merged(options, &runtime, progress)?;
    let events = merged.as_ref().and_then(|merged| merged.events.clone());
    let with_events = merged.as_ref().map(|merged| TrainOptions { data: merged.dir().to_owned(), ..options.clone() });
    let options = with_events.as_ref().unwrap_or(options);
    let dataset = DatasetManifest::open(&options.data)?.digest();
    if let Found::Finished { manifest, sha256 } = runtime.block_on(versions::look(options, &out, &dataset))? {
        let bytes = manifest.objects.values().map(|object| object.bytes).sum();
        let run = Run { threads, already_finished: true, events, ..Run::default() };
        return Ok(Trained { uri: out.uri, manifest: *manifest, manifest_sha256: sha256, bytes, run });
    }
    let active = options.active.as_deref().map(|uri| runtime.block_on(read_active(uri))).transpose()?;
    let checkpoints = {
        let active = active.as_ref().map(|(_, digest)| digest);
        let (architecture, hyper) = (options.architecture.as_str(), &options.hyperparameters);
        Checkpoints::open(
            &options.work,
            &key_of(&dataset, &format!("{architecture} {} {hyper:?} {active:?} {}", options.seed, place.name()))?,
        )?
    };
    let learner = Learner {
        options: LearnOptions {
            architecture: options.architecture,
            hyper: Hyper::parse(&options.hyperparameters)?,
            seed: options.seed,
            validate_from_s: None,
        },
        active: active.map(|(active, _)| active),
        checkpoints,
        progress,
        run: Run { threads, device: place.name().to_owned(), events, ..Run::default() },
        place,
    };
    let mut training = Training { options, learner };
    let published = pool.install(|| training.all(&runtime, &out))?;
    let Learner { checkpoints, mut run, .. } = training.learner;
    run.seconds = started.elapsed().as_secs_f64();
    run.peak_resident_bytes = machine::peak_bytes();
    runtime.block_on(publish::record(&out, &run));
    checkpoints.clear();
    Ok(Trained {
        uri: out.uri,
        manifest: published.manifest,
        manifest_sha256: published.manifest_sha256,
        bytes: published.bytes,
        run,
    })
}

/// What checkpoints depend on: data, settings, and the very program, since another one may count otherwise.
pub(crate) fn key_of(dataset: &str, settings: &str) -> Result<String, TrainError> {
    let program =
        std::env::current_exe().and_then(std::fs::read).map_or_else(|_| PROGRAM.to_owned(), |bytes| sha256_hex(&bytes));
    let parts = (dataset, program, machine::cpu_level(), settings);
    let text = serde_json::to_vec(&parts).map_err(|source| TrainError::Json { what: "the checkpoint key", source })?;
    Ok(sha256_hex(&text).chars().take(16).collect())
}

/// The version to compare with, and its digest.
async fn read_active(uri: &str) -> Result<(Active, String), TrainError> {
    let from = endcap_store::open(uri)?;
    let (bytes, object) = endcap_store::read_manifest(&from).await?;
    let manifest = ArtifactManifest::from_json(&bytes)?;
    let mut objects = BTreeMap::new();
    for name in OBJECTS {
        if let Some(entry) = manifest.objects.get(name) {
            let object = ObjectRef { sha256: entry.sha256.clone(), bytes: entry.bytes };
            objects.insert(name.to_owned(), endcap_store::fetch(&from, name, &object).await?);
        }
    }
    let model = Model::from_objects(&objects, "")?;
    Ok((Active { name: manifest.version, model }, object.sha256))
}

struct Training<'a> {
    options: &'a TrainOptions,
    learner: Learner<'a>,
}

#[derive(Serialize, Deserialize)]
struct Features {
    facts: Facts,
    rfm: Vec<Option<Rfm>>,
    people: People,
    demand: Forecasts,
}

impl Training<'_> {
    fn all(&mut self, runtime: &tokio::runtime::Runtime, out: &Location) -> Result<publish::Published, TrainError> {
        let options = self.options;
        let learner = &mut self.learner;
        // The tables are the load phase's checkpoint: reading them again checks them again.
        let data = learner.timed(Phase::Load, |this| Ok((load::load(&options.data, this.progress)?, false)))?;
        let features = learner.timed(Phase::Features, |this| features_of(this, &data))?;
        let learned = learner.learn(&data)?;
        learner.timed(Phase::Publish, |this| {
            let published = publish_all(options, this, runtime, out, &data, &features, &learned)?;
            Ok((published, false))
        })
    }
}

fn features_of(learner: &mut Learner<'_>, data: &Dataset) -> Result<(Features, bool), TrainError> {
    learner.progress.begin(Phase::Features, 4);
    if let Some(features) = learner.checkpoints.read_json::<Features>("features")
        && features.rfm.len() == data.customers.len()
    {
        return Ok((features, true));
    }
    let sales = data.sales.view();
    let rfm = features::rfm(data, sales);
    learner.progress.advance(1);
    let facts = features::facts(sales, &rfm);
    let people = people::fit(data, sales, &rfm, learner.options.seed);
    learner.progress.advance(1);
    let demand = demand::fit(sales, data.catalogue.len(), learner.options.seed);
    learner.progress.advance(1);
    let features = Features { facts, rfm, people, demand };
    learner.checkpoints.write_json("features", &features)?;
    learner.progress.advance(1);
    // Read back: JSON may move the last bit of a number, and a resumed training must see the very same ones.
    Ok((learner.checkpoints.read_json("features").unwrap_or(features), false))
}

fn publish_all(
    options: &TrainOptions,
    learner: &Learner<'_>,
    runtime: &tokio::runtime::Runtime,
    out: &Location,
    data: &Dataset,
    features: &Features,
    learned: &Learned,
) -> Result<publish::Published, TrainError> {
    let json = |what: &'static str| move |source| TrainError::Json { what, source };
    let Learned { model, tuned, .. } = learned;
    let (progress, place) = (learner.progress, &learner.place);
    let mut objects: Vec<(String, Vec<u8>)> =
        model.to_objects()?.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    let (pack, packed) = publish::pack(model)?;
    objects.extend(pack);
    let report = report::report(data, &features.facts, learned, place.name(), packed);
    objects.push(("report".to_owned(), serde_json::to_vec_pretty(&report).map_err(json("report"))?));
    let reference = report::reference(data, &features.facts, tuned);
    objects.push(("reference".to_owned(), serde_json::to_vec_pretty(&reference).map_err(json("reference"))?));
    let people = &features.people;
    objects.push((segments::OBJECT.to_owned(), serde_json::to_vec_pretty(&people.segments).map_err(json("segments"))?));
    objects.push((value::OBJECT.to_owned(), serde_json::to_vec_pretty(&people.value).map_err(json("values"))?));
    if let Some(columns) = features.demand.encode()? {
        objects.push((demand::OBJECT.to_owned(), columns));
    }
    let manifest = manifest_of(options, place, data, &tuned.metrics);
    let card = card::json(&card::CardFacts {
        data,
        facts: &features.facts,
        people,
        demand: &features.demand,
        learned,
        model: &options.model,
        version: &manifest.version,
        architecture: options.architecture.as_str(),
        seed: options.seed,
        trained_on: &manifest.dataset,
    });
    let card_text = card::markdown(&card);
    objects.push(("card".to_owned(), serde_json::to_vec_pretty(&card).map_err(json("the model card"))?));
    objects.push(("card-markdown".to_owned(), card_text.clone().into_bytes()));
    progress.begin(Phase::Publish, publish::steps(objects.len()));
    let baseline = baseline::baseline(data, &features.rfm, people)?;
    runtime.block_on(publish::put_card(out, card_text))?;
    runtime.block_on(publish::publish(out, manifest, objects, baseline, progress))
}

fn manifest_of(options: &TrainOptions, place: &Place, data: &Dataset, metrics: &[Metric]) -> ArtifactManifest {
    let sales = data.sales.view();
    let at = |head: Option<&load::OrderHead>| head.and_then(|head| jiff::Timestamp::from_second(head.at_s).ok());
    ArtifactManifest {
        format: FORMAT.to_owned(),
        model: options.model.clone(),
        model_uid: options.model_uid.clone(),
        version: options.version_name(),
        architecture: options.architecture.as_str().to_owned(),
        seed: options.seed,
        hyperparameters: options.hyperparameters.clone(),
        program: PROGRAM.to_owned(),
        // Another device, other last bits.
        cpu: format!("{}{}", machine::cpu_level(), if place.device().is_cpu() { "" } else { "+gpu" }),
        dataset: DatasetSummary {
            manifest_sha256: data.digest.clone(),
            rows: sales.line_count(),
            orders: sales.len() as u64,
            customers: data.customers.len() as u64,
            products: data.catalogue.len() as u64,
            min_time: at(sales.heads.first()),
            max_time: at(sales.heads.last()),
        },
        metrics: metrics.to_vec(),
        objects: BTreeMap::new(),
    }
}
