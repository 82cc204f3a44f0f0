//! JSON lines: one object a line. Every column is text; what is nested is kept as JSON text.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use serde_json::{Map, Value};

use super::SourceFile;
use super::reader::{BATCH_ROWS, Batches, columns_of};
use crate::DataError;

/// A longer line is not a row of data.
const MAX_LINE_BYTES: u64 = 16 << 20;

struct Lines {
    file: SourceFile,
    reader: BufReader<File>,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    fn open(file: &SourceFile) -> Result<Self, DataError> {
        let reader = File::open(&file.path).map_err(|source| DataError::Open { path: file.path.clone(), source })?;
        Ok(Self { file: file.clone(), reader: BufReader::with_capacity(1 << 18, reader), line: 0, buffer: Vec::new() })
    }

    /// The next line's object; lines without text are passed over.
    fn next(&mut self) -> Result<Option<Map<String, Value>>, DataError> {
        loop {
            self.buffer.clear();
            self.line += 1;
            let read = self
                .reader
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut self.buffer)
                .map_err(|source| DataError::Open { path: self.file.path.clone(), source })?;
            let wrong = |why: String| DataError::Read { file: self.file.label.clone(), why };
            if read as u64 == MAX_LINE_BYTES {
                return Err(wrong(format!("line {} is longer than 16 MiB; write one object a line", self.line)));
            }
            if read == 0 {
                return Ok(None);
            }
            let text = self.buffer.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&self.buffer);
            if text.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let object = serde_json::from_slice(text).map_err(|source| {
                wrong(format!(
                    "line {} is no JSON object ({source}); write one object a line, without brackets around all",
                    self.line
                ))
            })?;
            return Ok(Some(object));
        }
    }
}

/// Every name that occurs, in the order of first appearance; it takes one pass over the file.
pub fn columns(file: &SourceFile) -> Result<SchemaRef, DataError> {
    let mut lines = Lines::open(file)?;
    let mut names: Vec<String> = Vec::new();
    let mut seen = std::collections::HashSet::new();
    while let Some(object) = lines.next()? {
        for name in object.keys() {
            if !seen.contains(name) {
                seen.insert(name.clone());
                names.push(name.clone());
            }
        }
    }
    if names.is_empty() {
        return Err(DataError::EmptyFile {
            file: file.label.clone(),
            remedy: "it holds no object; export it again".to_owned(),
        });
    }
    Ok(Arc::new(Schema::new(names.into_iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>())))
}

#[allow(clippy::needless_pass_by_value)] // one signature for every format
pub fn batches(file: &SourceFile, projection: Vec<usize>) -> Result<Batches, DataError> {
    let all = columns_of(file)?;
    let schema = all
        .project(&projection)
        .map_err(|source| DataError::Read { file: file.label.clone(), why: source.to_string() })?;
    let schema = Arc::new(schema);
    let place: HashMap<String, usize> =
        schema.fields().iter().enumerate().map(|(at, field)| (field.name().clone(), at)).collect();
    let mut lines = Lines::open(file)?;
    Ok(Box::new(std::iter::from_fn(move || next_batch(&mut lines, &schema, &place).transpose())))
}

fn next_batch(
    lines: &mut Lines,
    schema: &SchemaRef,
    place: &HashMap<String, usize>,
) -> Result<Option<RecordBatch>, DataError> {
    let mut builders: Vec<StringBuilder> = schema.fields().iter().map(|_| StringBuilder::new()).collect();
    let mut rows = 0;
    while rows < BATCH_ROWS {
        let Some(object) = lines.next()? else { break };
        rows += 1;
        for (name, value) in object {
            let Some(builder) = place.get(&name).and_then(|at| builders.get_mut(*at)) else { continue };
            match value {
                Value::Null => builder.append_null(),
                Value::String(text) => builder.append_value(text),
                other => builder.append_value(other.to_string()),
            }
        }
        for builder in &mut builders {
            use arrow_array::builder::ArrayBuilder;
            if builder.len() < rows {
                builder.append_null();
            }
        }
    }
    if rows == 0 {
        return Ok(None);
    }
    let columns: Vec<ArrayRef> =
        builders.into_iter().map(|mut builder| Arc::new(builder.finish()) as ArrayRef).collect();
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema.clone(), columns, &options)
        .map(Some)
        .map_err(|source| DataError::Read { file: lines.file.label.clone(), why: source.to_string() })
}
