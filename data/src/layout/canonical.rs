//! Layout Canonical: files of the canonical tables, by name.

use std::path::Path;
use std::sync::Arc;

use endcap_tables::all_schemas;

use crate::DataError;
use crate::convert::Kind;
use crate::engine::Engine;
use crate::source::{SourceFile, TypeWatch, TypedColumn, TypedTable, columns_of, named_files, names, same_name};
use crate::spec::SourceSpec;

/// Columns that cleaning knows beside the canonical ones.
pub fn extra_columns(table: &str) -> &'static [(&'static str, Kind)] {
    match table {
        "products" => &[("product_type", Kind::Text)],
        _ => &[],
    }
}

/// Columns that a canonical file may lack although rows must have them: cleaning fills them.
fn filled(column: &str) -> bool {
    matches!(column, "active" | "status" | "event_id")
}

/// A canonical table that was found.
#[derive(Debug)]
pub struct FoundTable {
    pub table: &'static str,
    pub about: &'static str,
    pub files: Vec<SourceFile>,
    /// In the order of the schema's columns and the extra ones.
    pub columns: Vec<TypedColumn>,
}

/// Looks for every canonical table. Blocking.
pub fn find(dir: &Path, spec: &SourceSpec) -> Result<Vec<FoundTable>, DataError> {
    let format = spec.object.as_ref().and_then(|object| object.format);
    let mut found = Vec::new();
    for (table, about, schema) in all_schemas() {
        let wanted = spec.provides.is_empty() || spec.provides.iter().any(|provides| provides.table() == table);
        let belongs = wanted || (table == "cancellations" && spec.provides.iter().any(|p| p.table() == "order_lines"));
        if !belongs {
            continue;
        }
        let Some(files) = named_files(dir, table, format)? else { continue };
        let Some(first) = files.first() else { continue };
        let source = columns_of(first)?;
        let in_source = |name: &str| {
            source.fields().iter().find(|field| same_name(field.name(), name)).map(|field| field.name().clone())
        };
        let mut columns = Vec::new();
        for field in schema.fields() {
            let from = in_source(field.name());
            if from.is_none() && !field.is_nullable() && !filled(field.name()) {
                return Err(DataError::MissingColumn {
                    file: first.label.clone(),
                    column: field.name().clone(),
                    found: names(&source),
                });
            }
            columns.push(TypedColumn { name: field.name().clone(), source: from, kind: Kind::of(field.data_type()) });
        }
        for (name, kind) in extra_columns(table) {
            columns.push(TypedColumn { name: (*name).to_owned(), source: in_source(name), kind: *kind });
        }
        found.push(FoundTable { table, about, files, columns });
    }
    Ok(found)
}

/// Registers what was found and returns canonical table and SQL of each.
pub fn selects(
    engine: &Engine,
    number: usize,
    found: Vec<FoundTable>,
    watch: &Arc<TypeWatch>,
) -> Result<Vec<(&'static str, String)>, DataError> {
    found
        .into_iter()
        .map(|found| {
            let name = format!("s{number}_{}", found.table);
            let columns: Vec<String> = found.columns.iter().map(|column| column.name.clone()).collect();
            engine.register(&name, Arc::new(TypedTable::open(found.files, found.columns, watch.clone())?))?;
            Ok((
                found.table,
                format!("SELECT {}, {number} AS _source, _file, _row, _bad FROM {name}", columns.join(", ")),
            ))
        })
        .collect()
}
