//! DataFusion, held to one shape: queries in plain SQL over staged Parquet files, bounded memory, results as streams.

use std::fs::File;
use std::io::BufWriter;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::SchemaRef;
use datafusion::catalog::TableProvider;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use endcap_tables::{DatasetWriter, Row};
use futures::{StreamExt, TryStreamExt};
use parquet::arrow::ArrowWriter;
use parquet::basic::Compression;
use parquet::file::properties::WriterProperties;
use tokio_util::sync::CancellationToken;

use crate::DataError;

/// How much of the machine a run may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// For sorts, joins and groups together; what does not fit is spilled to the work folder.
    pub memory_mib: usize,
    pub threads: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(2, usize::from).min(8);
        Self { memory_mib: 768, threads }
    }
}

/// Of what holds memory, so many are named when it runs out.
const NAMED_CONSUMERS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(4);

type Verify<'a> = &'a (dyn Fn() -> Result<(), DataError> + Sync);

/// A session with a folder for what is staged and spilled.
pub struct Engine {
    context: SessionContext,
    work: PathBuf,
    cancel: CancellationToken,
}

impl Engine {
    pub fn new(work: &Path, limits: Limits, cancel: CancellationToken) -> Result<Self, DataError> {
        let spill = work.join("spill");
        std::fs::create_dir_all(&spill).map_err(|source| DataError::Write { path: spill.clone(), source })?;
        let mut config = SessionConfig::new().with_target_partitions(limits.threads.max(1));
        let options = config.options_mut();
        options.sql_parser.map_string_types_to_utf8view = false;
        options.sql_parser.parse_float_as_decimal = true;
        options.execution.parquet.schema_force_view_types = false;
        // Each sort keeps room to merge what it spilled; all of them together must leave room to sort in.
        options.execution.sort_spill_reservation_bytes =
            (10 << 20).min((limits.memory_mib.max(64) << 20) / (8 * limits.threads.max(1)));
        // Fair shares: where the first sort of several may take everything, the others cannot even begin, and what cannot begin cannot spill.
        let pool = FairSpillPool::new(limits.memory_mib.max(64) << 20);
        let runtime = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(TrackConsumersPool::new(pool, NAMED_CONSUMERS)))
            .with_disk_manager_builder(
                DiskManagerBuilder::default().with_mode(DiskManagerMode::Directories(vec![spill])),
            )
            .build_arc()?;
        let context = SessionContext::new_with_config_rt(config, runtime);
        Ok(Self { context, work: work.to_owned(), cancel })
    }

    pub fn register(&self, name: &str, table: Arc<dyn TableProvider>) -> Result<(), DataError> {
        self.context.register_table(name, table)?;
        Ok(())
    }

    /// Gives a query a name that later SQL can use.
    pub async fn define(&self, name: &str, sql: &str) -> Result<(), DataError> {
        let view = self.context.sql(sql).await?.into_view();
        self.register(name, view)
    }

    pub async fn register_file(&self, name: &str, path: &Path) -> Result<(), DataError> {
        let path = path.to_string_lossy();
        self.context.register_parquet(name, path, ParquetReadOptions::default()).await?;
        Ok(())
    }

    pub async fn stream(&self, sql: &str) -> Result<SendableRecordBatchStream, DataError> {
        tracing::debug!(sql, "run");
        Ok(self.context.sql(sql).await?.execute_stream().await?)
    }

    /// A query from outside: it may read, and change nothing.
    pub async fn read_only(&self, sql: &str) -> Result<SendableRecordBatchStream, DataError> {
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        Ok(self.context.sql_with_options(sql, options).await?.execute_stream().await?)
    }

    /// The columns that a query would have.
    pub async fn schema_of(&self, sql: &str) -> Result<SchemaRef, DataError> {
        Ok(Arc::new(self.context.sql(sql).await?.schema().as_arrow().clone()))
    }

    /// A query whose answer is small.
    pub async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, DataError> {
        Ok(self.stream(sql).await?.try_collect().await?)
    }

    /// The next batch of a stream, unless the run was stopped.
    pub async fn next(&self, stream: &mut SendableRecordBatchStream) -> Result<Option<RecordBatch>, DataError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(DataError::Cancelled),
            batch = stream.next() => Ok(batch.transpose()?),
        }
    }

    pub fn staged(&self, name: &str) -> PathBuf {
        self.work.join(format!("{name}.parquet"))
    }

    /// Registers a table that an earlier run staged.
    pub async fn reuse(&self, name: &str) -> Result<bool, DataError> {
        if self.context.table_exist(name)? {
            return Ok(true);
        }
        let path = self.staged(name);
        if !path.exists() {
            return Ok(false);
        }
        self.register_file(name, &path).await?;
        Ok(true)
    }

    /// Runs a query into a staged table that later SQL names. A half-written one never carries the name.
    pub async fn stage(&self, name: &str, sql: &str) -> Result<(), DataError> {
        self.stage_if(name, sql, &|| Ok(())).await
    }

    /// As [`Engine::stage`], but the table stays unfinished when `verify` refuses what was read.
    pub async fn stage_if(&self, name: &str, sql: &str, verify: Verify<'_>) -> Result<(), DataError> {
        match self.stage_once(name, sql, verify).await {
            Err(DataError::Memory { why, .. }) => {
                // Hash joins hold one side in memory. Sorting both sides is slower, but it can spill.
                tracing::warn!(table = name, why, "joining by sorting");
                self.context.sql("SET datafusion.optimizer.prefer_hash_join = false").await?;
                let again = self.stage_once(name, sql, verify).await;
                self.context.sql("SET datafusion.optimizer.prefer_hash_join = true").await?;
                again.map_err(|error| match error {
                    DataError::Memory { why, .. } => DataError::Memory { stage: name.to_owned(), why },
                    other => other,
                })
            }
            other => other,
        }
    }

    async fn stage_once(&self, name: &str, sql: &str, verify: Verify<'_>) -> Result<(), DataError> {
        let mut stream = self.stream(sql).await?;
        let mut writer = StageWriter::create(self.staged(name), stream.schema())?;
        while let Some(batch) = self.next(&mut stream).await? {
            tokio::task::block_in_place(|| writer.write(&batch))?;
        }
        verify()?;
        let path = tokio::task::block_in_place(|| writer.finish())?;
        self.register_file(name, &path).await
    }

    /// Runs a query into a canonical table. The query says the order of the rows.
    pub async fn write<R: Row>(&self, dataset: &mut DatasetWriter, sql: &str) -> Result<u64, DataError> {
        let mut stream = self.stream(sql).await?;
        let mut writer = dataset.writer::<R>()?;
        while let Some(batch) = self.next(&mut stream).await? {
            let batch = canonical(&batch, &R::schema())?;
            tokio::task::block_in_place(|| writer.push_batch(&batch))?;
        }
        let written = tokio::task::block_in_place(|| writer.finish())?;
        let rows = written.rows;
        dataset.add::<R>(written);
        Ok(rows)
    }
}

/// The columns of a batch in the order and with the types of a canonical table.
fn canonical(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, DataError> {
    let wrong = |why: String| DataError::Sql(why);
    let columns: Result<Vec<_>, DataError> = schema
        .fields()
        .iter()
        .map(|field| {
            let column = batch
                .column_by_name(field.name())
                .ok_or_else(|| wrong(format!("the query has no column {}", field.name())))?;
            let options = CastOptions { safe: false, ..CastOptions::default() };
            cast_with_options(column, field.data_type(), &options).map_err(|source| wrong(source.to_string()))
        })
        .collect();
    RecordBatch::try_new(schema.clone(), columns?).map_err(|source| wrong(source.to_string()))
}

/// Writes a staged table: under another name until it is whole.
pub struct StageWriter {
    path: PathBuf,
    unfinished: PathBuf,
    writer: ArrowWriter<BufWriter<File>>,
}

impl StageWriter {
    pub fn create(path: PathBuf, schema: SchemaRef) -> Result<Self, DataError> {
        let unfinished = path.with_extension("part");
        let file = File::create(&unfinished).map_err(|source| DataError::Write { path: unfinished.clone(), source })?;
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), schema, Some(properties))
            .map_err(|source| stage_error(&unfinished, &source))?;
        Ok(Self { path, unfinished, writer })
    }

    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        self.writer.write(batch).map_err(|source| stage_error(&self.unfinished, &source))
    }

    pub fn finish(self) -> Result<PathBuf, DataError> {
        let write_error = |source| DataError::Write { path: self.path.clone(), source };
        let file = self.writer.into_inner().map_err(|source| stage_error(&self.unfinished, &source))?;
        let file = file.into_inner().map_err(|source| write_error(source.into_error()))?;
        file.sync_all().map_err(write_error)?;
        std::fs::rename(&self.unfinished, &self.path).map_err(write_error)?;
        Ok(self.path)
    }
}

fn stage_error(path: &Path, source: &parquet::errors::ParquetError) -> DataError {
    DataError::Write { path: path.to_owned(), source: std::io::Error::other(source.to_string()) }
}
