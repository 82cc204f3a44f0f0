//! CSV: UTF-8 with a header, separated by comma, semicolon, tab or bar, quoted by `"`. Every column is text.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::sync::Arc;

use arrow_csv::ReaderBuilder;
use arrow_csv::reader::Format;
use arrow_schema::{DataType, Field, Schema, SchemaRef};

use super::SourceFile;
use super::reader::{BATCH_ROWS, Batches, columns_of};
use crate::DataError;

struct Start {
    reader: BufReader<File>,
    delimiter: u8,
}

/// Past the byte order mark, with the delimiter that the header uses most.
fn start(file: &SourceFile) -> Result<Start, DataError> {
    let open_error = |source| DataError::Open { path: file.path.clone(), source };
    let mut reader = BufReader::with_capacity(1 << 18, File::open(&file.path).map_err(open_error)?);
    let beginning = reader.fill_buf().map_err(open_error)?;
    if beginning.is_empty() {
        return Err(DataError::EmptyFile {
            file: file.label.clone(),
            remedy: "it has not even a header; export it again".to_owned(),
        });
    }
    if beginning.starts_with(&[0xff, 0xfe]) || beginning.starts_with(&[0xfe, 0xff]) {
        return Err(DataError::Read { file: file.label.clone(), why: "it is UTF-16; export it as UTF-8".to_owned() });
    }
    let mark: &[u8] = if beginning.starts_with(&[0xef, 0xbb, 0xbf]) { &[0xef, 0xbb, 0xbf] } else { &[] };
    let marked = mark.len();
    let mut header = Vec::new();
    reader.by_ref().take(1 << 20).read_until(b'\n', &mut header).map_err(open_error)?;
    let header = header.get(marked..).unwrap_or_default();
    let mut quoted = false;
    let mut counts = [(b',', 0), (b';', 0), (b'\t', 0), (b'|', 0)];
    for byte in header {
        quoted ^= *byte == b'"';
        if let Some((_, count)) = counts.iter_mut().find(|(delimiter, _)| !quoted && delimiter == byte) {
            *count += 1;
        }
    }
    // The first of equals, so that a file of one column is read with commas.
    let delimiter = counts.iter().rev().max_by_key(|(_, count)| *count).map_or(b',', |(delimiter, _)| *delimiter);
    reader.seek(SeekFrom::Start(marked as u64)).map_err(open_error)?;
    Ok(Start { reader, delimiter })
}

fn schema(file: &SourceFile, start: &mut Start) -> Result<SchemaRef, DataError> {
    let read_error = |why: String| DataError::Read { file: file.label.clone(), why };
    let format = Format::default().with_header(true).with_delimiter(start.delimiter);
    let (schema, _) =
        format.infer_schema(&mut start.reader, Some(0)).map_err(|source| read_error(source.to_string()))?;
    let mut fields: Vec<Field> = Vec::new();
    for field in schema.fields() {
        let name = field.name().trim();
        if fields.iter().any(|other| other.name() == name) {
            return Err(read_error(format!("its header names the column {name:?} twice")));
        }
        fields.push(Field::new(name, DataType::Utf8, true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

pub fn columns(file: &SourceFile) -> Result<SchemaRef, DataError> {
    schema(file, &mut start(file)?)
}

pub fn batches(file: &SourceFile, projection: Vec<usize>) -> Result<Batches, DataError> {
    let schema = columns_of(file)?;
    let Start { reader, delimiter } = start(file)?;
    let reader = ReaderBuilder::new(schema)
        .with_header(true)
        .with_delimiter(delimiter)
        .with_batch_size(BATCH_ROWS)
        .with_projection(projection)
        .build_buffered(reader)
        .map_err(|source| DataError::Read { file: file.label.clone(), why: source.to_string() })?;
    let label = file.label.clone();
    Ok(Box::new(reader.map(move |batch| {
        batch.map_err(|source| DataError::Read {
            file: label.clone(),
            why: format!("{source}; it must be UTF-8 with as many fields in each row as in the header"),
        })
    })))
}
