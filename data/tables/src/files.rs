//! Reading and writing one table as one Parquet file.

use std::fs::File;
use std::io::{BufWriter, Read, Write};
use std::marker::PhantomData;
use std::path::{Path, PathBuf};

use arrow_array::{Array, RecordBatch};
use arrow_schema::ArrowError;
use arrow_select::coalesce::BatchCoalescer;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use sha2::{Digest, Sha256};

use crate::{Row, TableError};

const BATCH_ROWS: usize = 16_384;

/// Writes a table batch by batch, so that its size does not matter.
pub struct TableWriter<R: Row> {
    path: PathBuf,
    buffered: Vec<R>,
    /// Batches of always the same size, so that a file does not depend on how its rows came.
    waiting: BatchCoalescer,
    rows: u64,
    writer: ArrowWriter<BufWriter<File>>,
    row: PhantomData<R>,
}

/// What a finished table file is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    pub file: String,
    pub rows: u64,
    pub bytes: u64,
    pub sha256: String,
}

impl<R: Row> TableWriter<R> {
    /// Opens `<dir>/<table>.parquet` for writing; what was there is replaced.
    pub fn create(dir: &Path) -> Result<Self, TableError> {
        let path = dir.join(format!("{}.parquet", R::TABLE));
        let file = File::create(&path).map_err(|source| TableError::Write { path: path.clone(), source })?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let writer = ArrowWriter::try_new(BufWriter::new(file), R::schema(), Some(properties))
            .map_err(|source| TableError::Encode { table: R::TABLE, source })?;
        Ok(Self {
            path,
            buffered: Vec::with_capacity(BATCH_ROWS),
            waiting: BatchCoalescer::new(R::schema(), BATCH_ROWS),
            rows: 0,
            writer,
            row: PhantomData,
        })
    }

    pub fn push(&mut self, row: R) -> Result<(), TableError> {
        self.buffered.push(row);
        if self.buffered.len() >= BATCH_ROWS { self.flush() } else { Ok(()) }
    }

    /// Takes rows that are columns already. They must have the table's schema, without NULL where a row must have a value.
    /// The file is the same, byte for byte, as if the rows had been pushed one by one.
    pub fn push_batch(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        let schema = R::schema();
        for field in schema.fields() {
            let name = field.name();
            let wrong = |found: String| TableError::BadColumn {
                table: R::TABLE,
                column: name.clone(),
                found,
                expected: field.data_type().to_string(),
            };
            let column = batch.column_by_name(name).ok_or_else(|| wrong("missing".to_owned()))?;
            if column.data_type() != field.data_type() {
                return Err(wrong(column.data_type().to_string()));
            }
            if !field.is_nullable() && column.null_count() > 0 {
                return Err(wrong(format!("empty in {} rows", column.null_count())));
            }
        }
        self.flush()?;
        let encode_error = |source: ArrowError| TableError::Encode { table: R::TABLE, source: source.into() };
        let own = batch
            .project(
                &schema
                    .fields()
                    .iter()
                    .filter_map(|field| batch.schema().index_of(field.name()).ok())
                    .collect::<Vec<_>>(),
            )
            .and_then(|batch| RecordBatch::try_new(schema.clone(), batch.columns().to_vec()))
            .map_err(encode_error)?;
        self.waiting.push_batch(own).map_err(encode_error)?;
        self.write_waiting()
    }

    fn write_waiting(&mut self) -> Result<(), TableError> {
        while let Some(batch) = self.waiting.next_completed_batch() {
            self.rows += batch.num_rows() as u64;
            self.writer.write(&batch).map_err(|source| TableError::Encode { table: R::TABLE, source })?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), TableError> {
        if self.buffered.is_empty() {
            return Ok(());
        }
        let batch = R::encode(&self.buffered)?;
        self.buffered.clear();
        self.waiting
            .push_batch(batch)
            .map_err(|source| TableError::Encode { table: R::TABLE, source: source.into() })?;
        self.write_waiting()
    }

    /// Writes the footer, syncs the file and says what it is.
    pub fn finish(mut self) -> Result<Written, TableError> {
        self.flush()?;
        self.waiting
            .finish_buffered_batch()
            .map_err(|source| TableError::Encode { table: R::TABLE, source: source.into() })?;
        self.write_waiting()?;
        let write_error = |source| TableError::Write { path: self.path.clone(), source };
        let mut buffer = self.writer.into_inner().map_err(|source| TableError::Encode { table: R::TABLE, source })?;
        buffer.flush().map_err(write_error)?;
        buffer.get_ref().sync_all().map_err(write_error)?;
        let (bytes, sha256) = sha256_of(&self.path)?;
        let file = format!("{}.parquet", R::TABLE);
        Ok(Written { file, rows: self.rows, bytes, sha256 })
    }
}

/// Size and SHA-256 of a file.
pub(crate) fn sha256_of(path: &Path) -> Result<(u64, String), TableError> {
    let open_error = |source| TableError::Open { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(open_error)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(open_error)?;
        if read == 0 {
            break;
        }
        bytes += read as u64;
        hasher.update(buffer.get(..read).unwrap_or_default());
    }
    Ok((bytes, hex(&hasher.finalize())))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        use std::fmt::Write;
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Reads `<dir>/<table>.parquet` in batches, so that its size does not matter.
pub fn scan<R: Row>(dir: &Path, mut each: impl FnMut(Vec<R>)) -> Result<u64, TableError> {
    let path = dir.join(format!("{}.parquet", R::TABLE));
    let file = File::open(&path).map_err(|source| TableError::Open { path: path.clone(), source })?;
    let parquet_error = |source| TableError::Parquet { path: path.clone(), source };
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(parquet_error)?
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(parquet_error)?;
    let mut rows = 0;
    for batch in reader {
        let batch = batch.map_err(|source| parquet_error(source.into()))?;
        rows += batch.num_rows() as u64;
        each(R::decode(&batch)?);
    }
    Ok(rows)
}

/// Reads a whole table.
pub fn read<R: Row>(dir: &Path) -> Result<Vec<R>, TableError> {
    let mut all = Vec::new();
    scan(dir, |rows: Vec<R>| all.extend(rows))?;
    Ok(all)
}

/// Reads a whole table that a dataset may lack; empty then.
pub fn read_optional<R: Row>(dir: &Path) -> Result<Vec<R>, TableError> {
    if dir.join(format!("{}.parquet", R::TABLE)).exists() { read(dir) } else { Ok(Vec::new()) }
}
