//! One file as batches of the columns that are wanted, whatever its format. All of it is blocking.

use std::fs::File;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::{SourceFile, csv, jsonl};
use crate::DataError;
use crate::spec::Format;

pub const BATCH_ROWS: usize = 8_192;

pub type Batches = Box<dyn Iterator<Item = Result<RecordBatch, DataError>> + Send>;

/// The columns of a file as it has them. CSV and JSON lines have text alone.
pub fn columns_of(file: &SourceFile) -> Result<SchemaRef, DataError> {
    if let Some(known) = file.columns.get() {
        return Ok(known.clone());
    }
    let found = match file.format {
        Format::Csv => csv::columns(file)?,
        Format::Jsonl => jsonl::columns(file)?,
        Format::Parquet => parquet(file)?.schema().clone(),
    };
    Ok(file.columns.get_or_init(|| found).clone())
}

fn parquet(file: &SourceFile) -> Result<ParquetRecordBatchReaderBuilder<File>, DataError> {
    let open_error = |source| DataError::Open { path: file.path.clone(), source };
    let opened = File::open(&file.path).map_err(open_error)?;
    if opened.metadata().map_err(open_error)?.len() == 0 {
        return Err(DataError::EmptyFile { file: file.label.clone(), remedy: "export it again".to_owned() });
    }
    ParquetRecordBatchReaderBuilder::try_new(opened).map_err(|source| DataError::Read {
        file: file.label.clone(),
        why: format!("it is no Parquet file that can be read ({source}); export it again"),
    })
}

/// The columns at `projection` (in rising order) of a file, batch by batch.
pub fn batches_of(file: &SourceFile, projection: Vec<usize>) -> Result<Batches, DataError> {
    match file.format {
        Format::Csv => csv::batches(file, projection),
        Format::Jsonl => jsonl::batches(file, projection),
        Format::Parquet => {
            let builder = parquet(file)?;
            let mask = ProjectionMask::roots(builder.parquet_schema(), projection);
            let read_error = |file: &SourceFile, why: String| DataError::Read {
                file: file.label.clone(),
                why: format!("{why}; export it again"),
            };
            let reader = builder
                .with_batch_size(BATCH_ROWS)
                .with_projection(mask)
                .build()
                .map_err(|source| read_error(file, source.to_string()))?;
            let file = file.clone();
            Ok(Box::new(reader.map(move |batch| batch.map_err(|source| read_error(&file, source.to_string())))))
        }
    }
}
