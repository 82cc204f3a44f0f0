//! Files as tables of DataFusion: a partition a file, each row with its file, its number and what could not be converted.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};

use arrow_array::{ArrayRef, Int64Array, RecordBatch, StringArray, new_null_array};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::streaming::PartitionStream;

use super::{SourceFile, columns_of, reader};
use crate::DataError;
use crate::convert::{Kind, convert};

/// Batches that wait between the file and the plan.
const QUEUED_BATCHES: usize = 2;

/// A column as SQL will see it, and where it comes from.
#[derive(Clone, Debug)]
pub struct TypedColumn {
    /// How SQL names it.
    pub name: String,
    /// How the source names it; `None` when the source does not have it: then it is NULL.
    pub source: Option<String>,
    pub kind: Kind,
}

/// Counts what could not be converted, so that a column that is wrong from top to bottom stops the run.
#[derive(Debug, Default)]
pub struct TypeWatch {
    columns: Mutex<Vec<Watched>>,
}

#[derive(Clone, Debug)]
struct Watched {
    file: String,
    column: String,
    expected: &'static str,
    values: u64,
    bad: u64,
    example: Option<(i64, String)>,
}

impl TypeWatch {
    fn note(
        &self,
        file: &str,
        column: &str,
        expected: &'static str,
        values: u64,
        bad: &[(usize, String)],
        first_row: i64,
    ) {
        let Ok(mut columns) = self.columns.lock() else { return };
        let at = columns.iter().position(|known| known.file == file && known.column == column);
        let at = at.unwrap_or_else(|| {
            columns.push(Watched {
                file: file.to_owned(),
                column: column.to_owned(),
                expected,
                values: 0,
                bad: 0,
                example: None,
            });
            columns.len() - 1
        });
        if let Some(known) = columns.get_mut(at) {
            known.values += values;
            known.bad += bad.len() as u64;
            if let (None, Some((row, value))) = (&known.example, bad.first()) {
                known.example = Some((first_row + *row as i64, value.clone()));
            }
        }
    }

    /// A column none of whose values could be converted is not dirty, it is another type.
    pub fn check(&self) -> Result<(), DataError> {
        let Ok(columns) = self.columns.lock() else { return Ok(()) };
        let wrong = columns.iter().find(|known| known.bad > 0 && known.bad == known.values);
        wrong.map_or(Ok(()), |known| {
            let (row, value) = known.example.clone().unwrap_or_default();
            Err(DataError::WrongType {
                file: known.file.clone(),
                column: known.column.clone(),
                found: format!("never readable (row {row} has {value:?})"),
                expected: known.expected,
            })
        })
    }
}

/// The columns that every table of a source carries beside its own.
fn meta_fields() -> [Field; 2] {
    [Field::new("_file", DataType::Utf8, false), Field::new("_row", DataType::Int64, false)]
}

/// The file is named without its ending, so that examples do not depend on the format.
fn meta_columns(label: &str, first_row: i64, rows: usize) -> [ArrayRef; 2] {
    let label = std::path::Path::new(label).with_extension("");
    let label = label.to_string_lossy();
    let label = label.as_ref();
    [
        Arc::new(StringArray::from_iter_values(std::iter::repeat_n(label, rows))),
        Arc::new(Int64Array::from_iter_values((0..rows as i64).map(|row| first_row + row))),
    ]
}

/// Files with the columns of a layout, converted: `<columns>, _file, _row, _bad`.
#[derive(Debug)]
pub struct TypedTable;

impl TypedTable {
    /// # Errors
    /// A file that cannot be read, or a column of a type that can never become what it must be.
    #[allow(clippy::needless_pass_by_value)] // its callers give it away
    pub fn open(
        files: Vec<SourceFile>,
        columns: Vec<TypedColumn>,
        watch: Arc<TypeWatch>,
    ) -> Result<StreamingTable, DataError> {
        let mut fields: Vec<Field> =
            columns.iter().map(|column| Field::new(&column.name, column.kind.data_type(), true)).collect();
        fields.extend(meta_fields());
        fields.push(Field::new("_bad", DataType::Utf8, true));
        let schema = Arc::new(Schema::new(fields));
        let columns = Arc::new(columns);
        let partitions = files
            .into_iter()
            .map(|file| {
                Arc::new(TypedFile { file, columns: columns.clone(), schema: schema.clone(), watch: watch.clone() })
                    as Arc<dyn PartitionStream>
            })
            .collect();
        Ok(StreamingTable::try_new(schema, partitions)?)
    }
}

#[derive(Debug)]
struct TypedFile {
    file: SourceFile,
    columns: Arc<Vec<TypedColumn>>,
    schema: SchemaRef,
    watch: Arc<TypeWatch>,
}

impl TypedFile {
    fn read(&self, mut each: impl FnMut(RecordBatch) -> bool) -> Result<(), DataError> {
        let found = columns_of(&self.file)?;
        let mut projection: Vec<usize> =
            self.columns.iter().filter_map(|column| found.index_of(column.source.as_ref()?).ok()).collect();
        projection.sort_unstable();
        projection.dedup();
        let mut first_row = 1;
        for batch in reader::batches_of(&self.file, projection)? {
            let batch = batch?;
            let rows = batch.num_rows();
            let typed = typed_batch(&self.file.label, &self.columns, &self.schema, &self.watch, &batch, first_row)?;
            first_row += rows as i64;
            if !each(typed) {
                break;
            }
        }
        Ok(())
    }
}

/// Converts the columns of one batch and adds where it came from and what was wrong.
fn typed_batch(
    label: &str,
    columns: &[TypedColumn],
    schema: &SchemaRef,
    watch: &TypeWatch,
    batch: &RecordBatch,
    first_row: i64,
) -> Result<RecordBatch, DataError> {
    let rows = batch.num_rows();
    let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len() + 3);
    let mut bad: Vec<Option<String>> = vec![None; rows];
    for column in columns {
        let source = column.source.as_ref().and_then(|name| Some((name, batch.column_by_name(name)?)));
        let Some((name, array)) = source else {
            arrays.push(new_null_array(&column.kind.data_type(), rows));
            continue;
        };
        let converted = convert(array, column.kind).ok_or_else(|| DataError::WrongType {
            file: label.to_owned(),
            column: name.clone(),
            found: array.data_type().to_string(),
            expected: column.kind.expected(),
        })?;
        let values = (rows - converted.array.null_count() + converted.bad.len()) as u64;
        watch.note(label, name, column.kind.expected(), values, &converted.bad, first_row);
        for (row, value) in converted.bad {
            if let Some(cell) = bad.get_mut(row) {
                let text = cell.get_or_insert_default();
                if !text.is_empty() {
                    text.push_str(", ");
                }
                // Writing to a string cannot fail.
                let _ = write!(text, "{name}={value:?}");
            }
        }
        arrays.push(converted.array);
    }
    arrays.extend(meta_columns(label, first_row, rows));
    arrays.push(Arc::new(StringArray::from(bad)));
    RecordBatch::try_new(schema.clone(), arrays)
        .map_err(|source| DataError::Read { file: label.to_owned(), why: source.to_string() })
}

impl PartitionStream for TypedFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let this = Self {
            file: self.file.clone(),
            columns: self.columns.clone(),
            schema: self.schema.clone(),
            watch: self.watch.clone(),
        };
        let mut builder = RecordBatchReceiverStreamBuilder::new(self.schema.clone(), QUEUED_BATCHES);
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            // A closed channel means that the plan was cancelled or has enough.
            Ok(this.read(|batch| sender.blocking_send(Ok(batch)).is_ok())?)
        });
        builder.build()
    }
}

/// Files with all their columns as they are, for SQL expressions: `<columns>, _file, _row`.
#[derive(Debug)]
pub struct RawTable;

impl RawTable {
    /// # Errors
    /// Files that cannot be read or do not have the same columns.
    pub fn open(files: Vec<SourceFile>) -> Result<StreamingTable, DataError> {
        let mut schema: Option<SchemaRef> = None;
        for file in &files {
            let found = columns_of(file)?;
            let found: Vec<Field> =
                found.fields().iter().map(|field| field.as_ref().clone().with_nullable(true)).collect();
            let found = Arc::new(Schema::new(found));
            if let Some(first) = schema.as_ref().filter(|first| first.fields() != found.fields()) {
                return Err(DataError::Read {
                    file: file.label.clone(),
                    why: format!(
                        "its columns ({}) are not those of the first file ({}); make a source of each",
                        names(&found),
                        names(first)
                    ),
                });
            }
            schema = Some(found);
        }
        let schema = schema.unwrap_or_else(|| Arc::new(Schema::empty()));
        let mut fields: Vec<Field> = schema.fields().iter().map(|field| field.as_ref().clone()).collect();
        fields.extend(meta_fields());
        let schema = Arc::new(Schema::new(fields));
        let partitions = files
            .into_iter()
            .map(|file| Arc::new(RawFile { file, schema: schema.clone() }) as Arc<dyn PartitionStream>)
            .collect();
        Ok(StreamingTable::try_new(schema, partitions)?)
    }
}

/// The names of a schema's columns, for messages.
pub fn names(schema: &Schema) -> String {
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ")
}

#[derive(Debug)]
struct RawFile {
    file: SourceFile,
    schema: SchemaRef,
}

impl PartitionStream for RawFile {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        let (file, schema) = (self.file.clone(), self.schema.clone());
        let mut builder = RecordBatchReceiverStreamBuilder::new(schema.clone(), QUEUED_BATCHES);
        let sender = builder.tx();
        builder.spawn_blocking(move || {
            let all = (0..schema.fields().len() - 2).collect();
            let mut first_row = 1;
            for batch in reader::batches_of(&file, all)? {
                let batch = batch?;
                let rows = batch.num_rows();
                let mut columns = batch.columns().to_vec();
                columns.extend(meta_columns(&file.label, first_row, rows));
                first_row += rows as i64;
                let batch = RecordBatch::try_new(schema.clone(), columns)?;
                if sender.blocking_send(Ok(batch)).is_err() {
                    break;
                }
            }
            Ok(())
        });
        builder.build()
    }
}

/// Converts batches that SQL made of a raw table. They must carry `_file` and `_row`; the columns are named as in `columns`.
pub fn typed_expressions(
    source: &str,
    columns: &[TypedColumn],
    schema: &SchemaRef,
    watch: &TypeWatch,
    batch: &RecordBatch,
) -> Result<RecordBatch, DataError> {
    let typed = typed_batch(&format!("source {source}"), columns, schema, watch, batch, 1)?;
    let mut arrays = typed.columns().to_vec();
    for (name, field) in [("_file", columns.len()), ("_row", columns.len() + 1)] {
        if let (Some(own), Some(slot)) = (batch.column_by_name(name), arrays.get_mut(field)) {
            *slot = own.clone();
        }
    }
    RecordBatch::try_new(schema.clone(), arrays)
        .map_err(|error| DataError::Read { file: format!("source {source}"), why: error.to_string() })
}
