//! `prepare`: sources -> canonical tables. Read and convert, judge every row, net cancellations, check quality, write; each step
//! is staged, so that a run that was cut off goes on where it was, and the manifest comes last.

use std::path::PathBuf;
use std::sync::Arc;

use endcap_tables::{
    Brand, Cancellation, Category, Customer, DatasetManifest, DatasetWriter, Identity, Interaction, Offer, Order,
    OrderLine, Place, Product, RejectedRows, Stock, TimeRange, all_schemas,
};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Limits, StageWriter};
use crate::layout::views::VIEWS;
use crate::layout::{canonical, custom, mv};
use crate::netting::{self, Netting, NettingCounts};
use crate::report::{self, DataReport, Preparation};
use crate::source::{InputFile, SourceFile, TypeWatch, bring, files_at};
use crate::spec::{DataSpec, Layout, Quality};
use crate::values::{self, first_text, first_time};
use crate::work::Work;
use crate::{DataError, offers, quality};

/// What goes into a run's identity beside spec and files: raised when the same input would give another dataset.
const CLEANING_VERSION: u32 = 1;

/// What to prepare and where.
#[derive(Clone, Debug)]
pub struct Request {
    pub spec: DataSpec,
    pub out: PathBuf,
    /// Of all money, when no source says it.
    pub currency: Option<String>,
    /// What lies after this is in the future. Nothing else depends on the clock.
    pub now: Timestamp,
    pub limits: Limits,
    /// `(from, to)`: a source below the URI `from` is read below the folder `to`.
    pub mounts: Vec<(String, String)>,
}

/// What was prepared.
#[derive(Clone, Debug)]
pub struct Prepared {
    pub manifest: DatasetManifest,
    pub report: DataReport,
    /// The dataset was there already, made of the same input.
    pub unchanged: bool,
}

/// A source on this machine, with what its layout found.
enum Found {
    Canonical(Vec<canonical::FoundTable>),
    Mv(Vec<mv::FoundView>),
    Custom(Vec<SourceFile>),
}

impl Found {
    fn files(&self) -> Vec<&SourceFile> {
        match self {
            Self::Canonical(tables) => tables.iter().flat_map(|table| &table.files).collect(),
            Self::Mv(views) => views.iter().flat_map(|view| &view.files).collect(),
            Self::Custom(files) => files.iter().collect(),
        }
    }
}

/// Prepares a dataset. `progress` is told each step.
///
/// # Errors
/// Everything that [`DataError`] names; the folder then holds no manifest, so it is no dataset, and the same call goes on from there.
pub async fn prepare(
    request: &Request,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<Prepared, DataError> {
    request.spec.validate()?;
    let out = request.out.as_path();
    std::fs::create_dir_all(out).map_err(|source| DataError::Write { path: out.to_owned(), source })?;
    progress("finding the sources");
    let (found, inputs) = find_sources(request, cancel, progress).await?;
    let input = input_digest(request, &inputs)?;
    if let Some(prepared) = report::unchanged(out, &input)? {
        if let Some(preparation) = &prepared.report.preparation {
            quality::check(&preparation.quality, request.spec.quality)?;
        }
        return Ok(prepared);
    }
    let work = Work::open(out, &input, request.now)?;
    if work.resumed {
        tracing::info!(folder = %work.dir.display(), "going on with what an earlier run staged");
    }
    let engine = Engine::new(&work.dir, request.limits, cancel.clone())?;
    let mut run = Run { engine, request, now: work.now, netted_sources: Vec::new() };
    progress("reading and converting");
    run.read(found).await?;
    progress("judging every row");
    run.judge().await?;
    progress("netting cancellations");
    let netting = run.net().await?;
    let (rejected, changed) = run.counts().await?;
    let judged = quality::measure(&run.engine, &rejected).await?;
    quality::check(&judged, request.spec.quality)?;
    progress("writing the canonical tables");
    let manifest = run.write(rejected).await?;
    progress("reporting");
    let preparation = Preparation { input, sources: inputs, changed, netting, quality: judged };
    let report = report::write(out, &manifest, Some(preparation), &request.spec, request.limits, cancel).await?;
    drop(run);
    work.finish(out)?;
    Ok(Prepared { manifest, report, unchanged: false })
}

async fn find_sources(
    request: &Request,
    cancel: &CancellationToken,
    progress: &(dyn Fn(&str) + Send + Sync),
) -> Result<(Vec<Found>, Vec<InputFile>), DataError> {
    let mut found = Vec::new();
    let mut inputs = Vec::new();
    for source in &request.spec.sources {
        let Some(object) = &source.object else { continue };
        let uri = mounted(&object.uri, &request.mounts);
        let into = Work::sources(&request.out).join(&source.name);
        let local = bring(&uri, &into, cancel, progress).await?;
        let (spec, path) = (source.clone(), local.path);
        let format = object.format;
        let one = tokio::task::spawn_blocking(move || {
            let one = match spec.layout {
                Layout::Canonical => Found::Canonical(canonical::find(&path, &spec)?),
                Layout::Mv => Found::Mv(mv::find(&path, &spec)?),
                Layout::Custom => {
                    let root = if path.is_dir() { path.as_path() } else { path.parent().unwrap_or(&path) };
                    Found::Custom(files_at(&path, root, format)?)
                }
            };
            let digests: Result<Vec<InputFile>, DataError> =
                one.files().into_iter().map(|file| InputFile::of(&spec.name, file)).collect();
            Ok::<_, DataError>((one, digests?))
        })
        .await
        .map_err(|error| DataError::Sql(error.to_string()))?;
        let (one, digests) = one?;
        found.push(one);
        inputs.extend(digests);
    }
    Ok((found, inputs))
}

/// Replaces the beginning of a URI as `--mount` says.
pub(crate) fn mounted(uri: &str, mounts: &[(String, String)]) -> String {
    mounts
        .iter()
        .find_map(|(from, to)| uri.strip_prefix(from.as_str()).map(|rest| format!("{to}{rest}")))
        .unwrap_or_else(|| uri.to_owned())
}

/// The identity of a run: the cleaning, the spec and the bytes of every file.
fn input_digest(request: &Request, inputs: &[InputFile]) -> Result<String, DataError> {
    let mut spec = request.spec.clone();
    // Limits decide whether a dataset is good enough, not what is in it.
    spec.quality = Quality::default();
    for source in &mut spec.sources {
        // Where the files lie does not matter, what they hold does.
        source.object = None;
    }
    let identity = serde_json::json!({
        "cleaning": CLEANING_VERSION,
        "spec": spec,
        "currency": request.currency,
        "inputs": inputs,
    });
    let text = serde_json::to_vec(&identity).map_err(|source| DataError::Sql(source.to_string()))?;
    Ok(hex::encode(Sha256::digest(text)))
}

/// One run: the engine with its staged tables.
struct Run<'a> {
    engine: Engine,
    request: &'a Request,
    now: Timestamp,
    /// Numbers of the sources that are canonical: their cancellations are netted already.
    netted_sources: Vec<String>,
}

/// The tables in the order in which they are judged: what others refer to comes first.
const JUDGED: &[(&str, &str)] = &[
    ("orders", include_str!("sql/judge/orders.sql")),
    ("products", include_str!("sql/judge/products.sql")),
    ("order_lines", include_str!("sql/judge/order_lines.sql")),
    ("customers", include_str!("sql/judge/customers.sql")),
    ("identities", include_str!("sql/judge/identities.sql")),
    ("places", include_str!("sql/judge/places.sql")),
    ("categories", include_str!("sql/judge/categories.sql")),
    ("brands", include_str!("sql/judge/brands.sql")),
    ("cancellations", include_str!("sql/judge/cancellations.sql")),
    ("offers", include_str!("sql/judge/offers.sql")),
    ("stock", include_str!("sql/judge/stock.sql")),
    ("interactions", include_str!("sql/judge/interactions.sql")),
];

impl Run<'_> {
    /// Stages `raw_<table>` for every canonical table: the rows of all sources, converted, with where they came from.
    async fn read(&mut self, found: Vec<Found>) -> Result<(), DataError> {
        let watch = Arc::new(TypeWatch::default());
        let mut selects: Vec<(&'static str, String)> = Vec::new();
        for (number, (spec, found)) in self.request.spec.sources.iter().zip(found).enumerate() {
            match found {
                Found::Canonical(tables) => {
                    if tables.is_empty() {
                        return Err(nothing_found(
                            spec,
                            "the canonical tables (orders.parquet, order_lines.parquet, ...)",
                        ));
                    }
                    self.netted_sources.push(number.to_string());
                    selects.extend(canonical::selects(&self.engine, number, tables, &watch)?);
                }
                Found::Mv(views) => {
                    if views.is_empty() {
                        return Err(nothing_found(spec, "the MV_* views"));
                    }
                    for view in &views {
                        mv::register(&self.engine, &format!("s{number}_"), view, &watch)?;
                    }
                    selects.extend(mv::selects(&self.engine, number, spec, &views).await?);
                }
                Found::Custom(files) => selects.push(custom::stage(&self.engine, number, spec, files, &watch).await?),
            }
        }
        for view in VIEWS.iter().filter(|view| view.cost.is_none()) {
            let table = if view.table == "mv_sales" { "orders" } else { "order_lines" };
            if !selects.iter().any(|(filled, _)| *filled == table) {
                let dirs: Vec<&str> = self.request.spec.sources.iter().map(|source| source.name.as_str()).collect();
                return Err(DataError::MissingView {
                    view: view.name,
                    dir: format!("sources {} (or another source that provides {table})", dirs.join(", ")),
                    cost: "nothing can be learned without it",
                });
            }
        }
        for (table, _, schema) in all_schemas() {
            let parts: Vec<&str> =
                selects.iter().filter(|(filled, _)| *filled == table).map(|(_, sql)| sql.as_str()).collect();
            let name = format!("raw_{table}");
            if self.engine.reuse(&name).await? {
                continue;
            }
            if table == "products" && parts.is_empty() {
                // They come from raw_order_lines, which comes later in the list.
                continue;
            }
            let sql = values::union(table, &schema, &parts);
            self.engine.stage_if(&name, &sql, &|| watch.check()).await?;
        }
        if !self.engine.reuse("raw_products").await? {
            self.engine.stage("raw_products", include_str!("sql/judge/products_from_lines.sql")).await?;
        }
        for (table, remedy) in
            [("orders", "the file holds a header and no rows"), ("order_lines", "the file holds a header and no rows")]
        {
            if values::count(&self.engine, &format!("raw_{table}")).await? == 0 {
                return Err(DataError::EmptyFile {
                    file: table.to_owned(),
                    remedy: format!("{remedy}; export it again"),
                });
            }
        }
        Ok(())
    }

    /// Stages `judged_<table>`: every row with the reason why it is left out, or none.
    async fn judge(&self) -> Result<(), DataError> {
        let now = values::literal(self.now);
        let newest = format!(
            "SELECT max(ordered_at) FROM raw_orders WHERE _bad IS NULL AND ordered_at <= CAST('{now}' AS TIMESTAMP(6))"
        );
        let newest = first_time(&self.engine.rows(&newest).await?).ok_or_else(|| DataError::NothingLeft {
            table: "orders",
            why: format!("no order has a time before {}; look at the column of dates, or set --now", self.now),
        })?;
        let from = newest.saturating_sub(self.request.spec.window.0).unwrap_or(Timestamp::MIN);
        let main = "SELECT currency FROM raw_orders WHERE currency IS NOT NULL GROUP BY currency \
                    ORDER BY count(*) DESC, currency LIMIT 1";
        let main = first_text(&self.engine.rows(main).await?).or_else(|| self.request.currency.clone());
        if !self.engine.reuse("checked_offers").await? {
            self.check_offers().await?;
        }
        for (table, sql) in JUDGED {
            let name = format!("judged_{table}");
            if self.engine.reuse(&name).await? {
                continue;
            }
            let sql = sql
                .replace("{now}", &now)
                .replace("{from}", &values::literal(from))
                .replace("{currency}", &main.as_deref().unwrap_or_default().replace('\'', "''"))
                .replace("{zero_allowed}", &self.not_canonical("l._source"));
            self.engine.stage(&name, &sql).await?;
        }
        Ok(())
    }

    /// Limits a condition to sources whose cancellations are not netted yet.
    fn not_canonical(&self, column: &str) -> String {
        if self.netted_sources.is_empty() {
            String::new()
        } else {
            format!("AND {column} NOT IN ({})", self.netted_sources.join(", "))
        }
    }

    async fn check_offers(&self) -> Result<(), DataError> {
        let mut stream =
            self.engine.stream("SELECT _source, _file, _row, offer_type, terms, scope FROM raw_offers").await?;
        let mut writer = StageWriter::create(self.engine.staged("checked_offers"), offers::schema())?;
        while let Some(batch) = self.engine.next(&mut stream).await? {
            writer.write(&offers::check_batch(&batch)?)?;
        }
        let path = writer.finish()?;
        self.engine.register_file("checked_offers", &path).await
    }

    /// Stages `netted`.
    async fn net(&self) -> Result<NettingCounts, DataError> {
        if !self.engine.reuse("netted").await? {
            let sql = include_str!("sql/judge/to_net.sql").replace("{not_netted_yet}", &self.not_canonical("_source"));
            let mut stream = self.engine.stream(&sql).await?;
            let mut writer = StageWriter::create(self.engine.staged("netted"), netting::schema())?;
            let mut netting = Netting::default();
            while let Some(batch) = self.engine.next(&mut stream).await? {
                netting.push(&batch)?;
                writer.write(&netting.drain()?)?;
            }
            let path = writer.finish()?;
            self.engine.register_file("netted", &path).await?;
        }
        let sql =
            include_str!("sql/judge/netting_counts.sql").replace("{not_netted_yet}", &self.not_canonical("_source"));
        let counts = values::numbers(&self.engine.rows(&sql).await?);
        let at = |place: usize| counts.get(place).copied().unwrap_or_default();
        Ok(NettingCounts { lines: at(0), matched: at(1), partly: at(2), unmatched: at(0) - at(1) - at(2) })
    }

    /// Rows that were left out, and rows that were kept with a value emptied: by table and reason, with examples.
    async fn counts(&self) -> Result<(Vec<RejectedRows>, Vec<RejectedRows>), DataError> {
        let mut rejected = Vec::new();
        let mut changed = Vec::new();
        for (table, _) in JUDGED {
            for (column, and, into) in
                [("_reason", "", &mut rejected), ("_changed", "AND _reason IS NULL", &mut changed)]
            {
                let sql = include_str!("sql/judge/rejected.sql")
                    .replace("{column}", column)
                    .replace("{table}", table)
                    .replace("{and}", and);
                into.extend(values::reasons(table, &self.engine.rows(&sql).await?));
            }
        }
        for (number, spec) in self.request.spec.sources.iter().enumerate() {
            if spec.layout != Layout::Custom {
                continue;
            }
            let Some((table, sql)) = custom::repeated(number, spec) else { continue };
            for rows in values::reasons(table, &self.engine.rows(&sql).await?) {
                match rejected.iter_mut().find(|known| known.table == rows.table && known.reason == rows.reason) {
                    Some(known) => known.rows += rows.rows,
                    None => rejected.push(rows),
                }
            }
        }
        Ok((rejected, changed))
    }

    /// Writes every canonical table in the order of its key, the manifest last.
    async fn write(&self, rejected: Vec<RejectedRows>) -> Result<DatasetManifest, DataError> {
        let engine = &self.engine;
        let main = "SELECT currency FROM judged_orders WHERE _reason IS NULL AND currency IS NOT NULL LIMIT 1";
        let currency = first_text(&engine.rows(main).await?).or_else(|| self.request.currency.clone());
        let currency_sql = currency.as_ref().map_or_else(
            || "CAST(NULL AS VARCHAR)".to_owned(),
            |currency| format!("'{}'", currency.replace('\'', "''")),
        );
        let orders = include_str!("sql/write/orders.sql").replace("{currency}", &currency_sql);
        let cancellations =
            include_str!("sql/write/cancellations.sql").replace("{not_netted_yet}", &self.not_canonical("_source"));
        let mut dataset = DatasetWriter::create(&self.request.out)?;
        let kept = engine.write::<Order>(&mut dataset, &orders).await?;
        if kept == 0 {
            return Err(DataError::NothingLeft { table: "orders", why: quality::summary("orders", &rejected) });
        }
        let kept = engine.write::<OrderLine>(&mut dataset, include_str!("sql/write/order_lines.sql")).await?;
        if kept == 0 {
            return Err(DataError::NothingLeft {
                table: "order_lines",
                why: quality::summary("order_lines", &rejected),
            });
        }
        engine.write::<Product>(&mut dataset, include_str!("sql/write/products.sql")).await?;
        engine.write::<Customer>(&mut dataset, include_str!("sql/write/customers.sql")).await?;
        engine.write::<Cancellation>(&mut dataset, &cancellations).await?;
        engine.write::<Identity>(&mut dataset, include_str!("sql/write/identities.sql")).await?;
        engine.write::<Place>(&mut dataset, include_str!("sql/write/places.sql")).await?;
        engine.write::<Category>(&mut dataset, include_str!("sql/write/categories.sql")).await?;
        engine.write::<Brand>(&mut dataset, include_str!("sql/write/brands.sql")).await?;
        engine.write::<Offer>(&mut dataset, include_str!("sql/write/offers.sql")).await?;
        engine.write::<Stock>(&mut dataset, include_str!("sql/write/stock.sql")).await?;
        engine.write::<Interaction>(&mut dataset, include_str!("sql/write/interactions.sql")).await?;
        let range = "SELECT min(ordered_at), max(ordered_at) FROM judged_orders WHERE _reason IS NULL";
        let range = values::times(&engine.rows(range).await?);
        let time_range = match range.as_slice() {
            [Some(from), Some(to)] => Some(TimeRange { from: *from, to: *to }),
            _ => None,
        };
        Ok(dataset.finish(time_range, currency, rejected)?)
    }
}

fn nothing_found(spec: &crate::spec::SourceSpec, what: &str) -> DataError {
    let uri = spec.object.as_ref().map_or(String::new(), |object| object.uri.clone());
    DataError::EmptyFile {
        file: format!("source {} ({uri})", spec.name),
        remedy: format!("it holds none of {what}; correct object.uri or layout"),
    }
}
