//! One training from a dataset to an artifact: load -> features -> tune -> fit -> publish.

use std::collections::BTreeMap;
use std::time::Instant;

use endcap_recommender::artifact::{ArtifactManifest, DatasetSummary, FORMAT};
use endcap_recommender::fitted::Model;
use endcap_store::{Location, sha256_hex};
use endcap_tables::DatasetManifest;
use serde::{Deserialize, Serialize};

use crate::checkpoint::Checkpoints;
use crate::features::{Facts, Rfm};
use crate::load::{Dataset, View};
use crate::options::{Hyper, TrainOptions};
use crate::progress::{Phase, Progress, check};
use crate::report::{PhaseRun, Run};
use crate::tune::Tuned;
use crate::versions::Found;
use crate::{PROGRAM, TrainError, baseline, features, fit, load, machine, publish, report, tune, versions};

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
    let threads = options.threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(|at| format!("endcap-fit-{at}"))
        .build()
        .map_err(|source| TrainError::Threads { threads, source })?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(TrainError::Runtime)?;
    let out = endcap_store::open(&options.out)?;
    let dataset = DatasetManifest::open(&options.data)?.digest();
    let started = Instant::now();
    if let Found::Finished { manifest, sha256 } = runtime.block_on(versions::look(options, &out, &dataset))? {
        let bytes = manifest.objects.values().map(|object| object.bytes).sum();
        let run = Run { threads, already_finished: true, ..Run::default() };
        return Ok(Trained { uri: out.uri, manifest: *manifest, manifest_sha256: sha256, bytes, run });
    }
    let checkpoints = Checkpoints::open(&options.work, &key_of(options, &dataset)?)?;
    let mut training = Training {
        options,
        hyper: Hyper::parse(&options.hyperparameters)?,
        checkpoints,
        progress,
        run: Run { threads, ..Run::default() },
    };
    let published = pool.install(|| training.all(&runtime, &out))?;
    let Training { checkpoints, mut run, .. } = training;
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
fn key_of(options: &TrainOptions, dataset: &str) -> Result<String, TrainError> {
    let program =
        std::env::current_exe().and_then(std::fs::read).map_or_else(|_| PROGRAM.to_owned(), |bytes| sha256_hex(&bytes));
    let parts =
        (dataset, program, machine::cpu_level(), options.architecture.as_str(), options.seed, &options.hyperparameters);
    let text = serde_json::to_vec(&parts).map_err(|source| TrainError::Json { what: "the checkpoint key", source })?;
    Ok(sha256_hex(&text).chars().take(16).collect())
}

struct Training<'a> {
    options: &'a TrainOptions,
    hyper: Hyper,
    checkpoints: Checkpoints,
    progress: &'a dyn Progress,
    run: Run,
}

#[derive(Serialize, Deserialize)]
struct Features {
    facts: Facts,
    rfm: Vec<Option<Rfm>>,
}

#[derive(Serialize, Deserialize)]
struct FitFacts {
    capped: u64,
}

impl Training<'_> {
    fn all(&mut self, runtime: &tokio::runtime::Runtime, out: &Location) -> Result<publish::Published, TrainError> {
        // The tables are the load phase's checkpoint: reading them again checks them again.
        let data = self.timed(Phase::Load, |this| Ok((load::load(&this.options.data, this.progress)?, false)))?;
        let features = self.timed(Phase::Features, |this| this.features(&data))?;
        let tuned = self.timed(Phase::Tune, |this| this.tune(&data))?;
        let (model, facts) = self.timed(Phase::Fit, |this| this.fit(&data, &tuned))?;
        self.timed(Phase::Publish, |this| {
            let published = this.publish(runtime, out, &data, &features, &tuned, &model, &facts)?;
            Ok((published, false))
        })
    }

    fn timed<T>(
        &mut self,
        phase: Phase,
        work: impl FnOnce(&mut Self) -> Result<(T, bool), TrainError>,
    ) -> Result<T, TrainError> {
        check(self.progress, phase)?;
        let started = Instant::now();
        let (result, resumed) = work(self)?;
        self.progress.end(phase);
        self.run.phases.push(PhaseRun {
            phase: phase.as_str().to_owned(),
            seconds: started.elapsed().as_secs_f64(),
            peak_resident_bytes: machine::peak_bytes(),
            resident_bytes: machine::resident_bytes(),
            resumed,
        });
        Ok(result)
    }

    fn features(&mut self, data: &Dataset) -> Result<(Features, bool), TrainError> {
        self.progress.begin(Phase::Features, 2);
        if let Some(features) = self.checkpoints.read_json::<Features>("features")
            && features.rfm.len() == data.customers.len()
        {
            return Ok((features, true));
        }
        let sales = data.sales.view();
        let rfm = features::rfm(data, sales);
        self.progress.advance(1);
        let features = Features { facts: features::facts(sales, &rfm), rfm };
        self.checkpoints.write_json("features", &features)?;
        self.progress.advance(1);
        // Read back: JSON may move the last bit of a number, and a resumed training must see the very same ones.
        Ok((self.checkpoints.read_json("features").unwrap_or(features), false))
    }

    fn tune(&mut self, data: &Dataset) -> Result<(Tuned, bool), TrainError> {
        self.progress.begin(Phase::Tune, tune::steps());
        if let Some(tuned) = self.checkpoints.read_json::<Tuned>("tuned") {
            return Ok((tuned, true));
        }
        let tuned = tune::tune(data, &self.hyper, self.options.seed, self.progress)?;
        self.checkpoints.write_json("tuned", &tuned)?;
        // Read back: see `features`.
        Ok((self.checkpoints.read_json("tuned").unwrap_or(tuned), false))
    }

    fn fit(&mut self, data: &Dataset, tuned: &Tuned) -> Result<((Model, FitFacts), bool), TrainError> {
        let products = data.catalogue.len() as u64;
        self.progress.begin(Phase::Fit, products + 3);
        if let Some(resumed) = self.read_model() {
            return Ok((resumed, true));
        }
        let (model, facts) = fit_all(data, data.sales.view(), tuned, &self.hyper, self.progress)?;
        for (name, bytes) in model.to_objects()? {
            self.checkpoints.write(&format!("fit-{name}"), &bytes)?;
        }
        self.checkpoints.write_json("fit-facts", &facts)?;
        Ok(((model, facts), false))
    }

    fn read_model(&self) -> Option<(Model, FitFacts)> {
        let facts = self.checkpoints.read_json("fit-facts")?;
        let mut objects = BTreeMap::new();
        for name in endcap_recommender::fitted::OBJECTS {
            objects.insert(name.to_owned(), self.checkpoints.read(&format!("fit-{name}"))?);
        }
        Some((Model::from_objects(&objects, "").ok()?, facts))
    }

    #[expect(clippy::too_many_arguments, reason = "what a training found, each from another phase")]
    fn publish(
        &self,
        runtime: &tokio::runtime::Runtime,
        out: &Location,
        data: &Dataset,
        features: &Features,
        tuned: &Tuned,
        model: &Model,
        facts: &FitFacts,
    ) -> Result<publish::Published, TrainError> {
        let json = |what: &'static str| move |source| TrainError::Json { what, source };
        let mut objects: Vec<(String, Vec<u8>)> =
            model.to_objects()?.into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
        let (pack, packed) = publish::pack(model)?;
        objects.extend(pack);
        let report = report::report(data, &features.facts, tuned, model, facts.capped, packed);
        objects.push(("report".to_owned(), serde_json::to_vec_pretty(&report).map_err(json("report"))?));
        let reference = report::reference(&features.facts, tuned);
        objects.push(("reference".to_owned(), serde_json::to_vec_pretty(&reference).map_err(json("reference"))?));
        self.progress.begin(Phase::Publish, publish::steps(objects.len()));
        let baseline = baseline::baseline(data, &features.rfm)?;
        let manifest = self.manifest(data, tuned);
        runtime.block_on(publish::publish(out, manifest, objects, baseline, self.progress))
    }

    fn manifest(&self, data: &Dataset, tuned: &Tuned) -> ArtifactManifest {
        let sales = data.sales.view();
        let at = |head: Option<&load::OrderHead>| head.and_then(|head| jiff::Timestamp::from_second(head.at_s).ok());
        ArtifactManifest {
            format: FORMAT.to_owned(),
            model: self.options.model.clone(),
            model_uid: self.options.model_uid.clone(),
            version: self.options.version_name(),
            architecture: self.options.architecture.as_str().to_owned(),
            seed: self.options.seed,
            hyperparameters: self.options.hyperparameters.clone(),
            program: PROGRAM.to_owned(),
            cpu: machine::cpu_level(),
            dataset: DatasetSummary {
                manifest_sha256: data.digest.clone(),
                rows: sales.line_count(),
                orders: sales.len() as u64,
                customers: data.customers.len() as u64,
                products: data.catalogue.len() as u64,
                min_time: at(sales.heads.first()),
                max_time: at(sales.heads.last()),
            },
            metrics: tuned.metrics.clone(),
            objects: BTreeMap::new(),
        }
    }
}

fn fit_all(
    data: &Dataset,
    sales: View<'_>,
    tuned: &Tuned,
    hyper: &Hyper,
    progress: &dyn Progress,
) -> Result<(Model, FitFacts), TrainError> {
    let products = data.catalogue.len();
    let baskets = fit::Baskets::of_sales(sales, products, hyper.max_order_products);
    let associations = fit::associations(&baskets, hyper.neighbours, &|| progress.advance(1));
    let capped = baskets.capped;
    drop(baskets);
    check(progress, Phase::Fit)?;
    let popularity = fit::popularity(data, sales, tuned.settings.trend_half_life_days);
    progress.advance(1);
    check(progress, Phase::Fit)?;
    let repeat = fit::repeat(&data.catalogue, sales, data.customers.len());
    progress.advance(1);
    check(progress, Phase::Fit)?;
    let habits = fit::habits(data, sales, &fit::declared_tiers(data));
    progress.advance(1);
    let model = Model {
        catalogue: data.catalogue.clone(),
        associations,
        popularity,
        repeat,
        habits,
        settings: tuned.settings.clone(),
    };
    Ok((model, FitFacts { capped }))
}
