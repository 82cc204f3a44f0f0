//! Layout Custom: SQL expressions over a source's own columns, one for each canonical column.

use std::sync::Arc;

use arrow_schema::{Field, Schema};
use endcap_tables::all_schemas;

use super::canonical::extra_columns;
use crate::DataError;
use crate::convert::Kind;
use crate::engine::{Engine, StageWriter};
use crate::source::{RawTable, SourceFile, TypeWatch, TypedColumn, typed_expressions};
use crate::spec::{Provides, SourceSpec};

/// The canonical columns that a Custom source may fill, those of cleaning included.
fn columns_of_table(table: &str) -> Vec<(String, Kind)> {
    let schema = all_schemas().into_iter().find(|(name, ..)| *name == table).map(|(_, _, schema)| schema);
    let own = schema.iter().flat_map(|schema| schema.fields().iter().cloned().collect::<Vec<_>>());
    let own = own.map(|field| (field.name().clone(), Kind::of(field.data_type())));
    own.chain(extra_columns(table).iter().map(|(name, kind)| ((*name).to_owned(), *kind))).collect()
}

/// Columns without which a table means nothing. What is not here is made: `line_no` from the order of the rows, `event_id` from
/// the session, `status` from the quantities.
fn needed(provides: Provides) -> &'static [&'static str] {
    match provides {
        Provides::Orders => &["order_id", "ordered_at"],
        Provides::OrderLines => &["order_id", "product_id", "quantity", "unit_price"],
        Provides::Customers => &["customer_id"],
        Provides::Products => &["product_id"],
        Provides::Categories => &["category_id"],
        Provides::Brands => &["brand_id"],
        Provides::Places => &["city_id"],
        Provides::Offers => &["offer_id", "offer_type", "terms"],
        Provides::Stock => &["product_id", "on_hand", "as_of"],
        Provides::Interactions => &["ts", "event_type"],
        Provides::Ratings => &["ts", "customer_id", "product_id", "value"],
    }
}

/// Evaluates the expressions of a source into the staged table `s<number>_<table>` and returns the canonical table and the SQL
/// over it. Identical rows of what is not a fact (orders, customers, products, ...) count once: such tables are often taken from
/// a file that has a row for each order line.
pub async fn stage(
    engine: &Engine,
    number: usize,
    spec: &SourceSpec,
    files: Vec<SourceFile>,
    watch: &Arc<TypeWatch>,
) -> Result<(&'static str, String), DataError> {
    let Some(provides) = spec.provides.first().copied() else {
        return Err(DataError::BadSpec { field: "provides".to_owned(), why: "name one table".to_owned() });
    };
    let table = provides.table();
    let columns = columns_of_table(table);
    let bad = |column: &str, why: String| DataError::BadExpression {
        source_name: spec.name.clone(),
        column: column.to_owned(),
        why,
    };
    let known: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    for key in spec.columns.keys() {
        if !known.contains(&key.as_str()) {
            return Err(bad(key, format!("{table} has no such column; it has {}", known.join(", "))));
        }
    }
    for column in needed(provides) {
        if !spec.columns.contains_key(*column) {
            return Err(bad(column, format!("{provides:?} needs an expression for it")));
        }
    }
    let staged = format!("s{number}_{table}");
    if !engine.reuse(&staged).await? {
        let raw = format!("s{number}_source");
        engine.register(&raw, Arc::new(RawTable::open(files)?))?;
        let mut expressions = Vec::new();
        for (name, expression) in &spec.columns {
            // Each on its own first, so that the message can name the one that is wrong.
            let alone = format!("SELECT {expression} AS {name} FROM {raw}");
            engine.schema_of(&alone).await.map_err(|error| bad(name, error.to_string()))?;
            expressions.push(format!("{expression} AS {name}"));
        }
        expressions.push("_file, _row".to_owned());
        let sql = format!("SELECT {} FROM {raw}", expressions.join(", "));
        convert_into(engine, &staged, &sql, spec, &columns, watch).await?;
    }
    Ok((table, select(&staged, number, provides, spec, &columns)))
}

async fn convert_into(
    engine: &Engine,
    staged: &str,
    sql: &str,
    spec: &SourceSpec,
    columns: &[(String, Kind)],
    watch: &TypeWatch,
) -> Result<(), DataError> {
    let typed: Vec<TypedColumn> = columns
        .iter()
        .map(|(name, kind)| TypedColumn {
            name: name.clone(),
            source: spec.columns.contains_key(name).then(|| name.clone()),
            kind: *kind,
        })
        .collect();
    let mut fields: Vec<Field> = columns.iter().map(|(name, kind)| Field::new(name, kind.data_type(), true)).collect();
    fields.push(Field::new("_file", arrow_schema::DataType::Utf8, false));
    fields.push(Field::new("_row", arrow_schema::DataType::Int64, false));
    fields.push(Field::new("_bad", arrow_schema::DataType::Utf8, true));
    let schema = Arc::new(Schema::new(fields));
    let mut stream = engine.stream(sql).await?;
    let mut writer = StageWriter::create(engine.staged(staged), schema.clone())?;
    while let Some(batch) = engine.next(&mut stream).await? {
        let batch = typed_expressions(&spec.name, &typed, &schema, watch, &batch)?;
        tokio::task::block_in_place(|| writer.write(&batch))?;
    }
    watch.check()?;
    let path = tokio::task::block_in_place(|| writer.finish())?;
    engine.register_file(staged, &path).await
}

fn select(staged: &str, number: usize, provides: Provides, spec: &SourceSpec, columns: &[(String, Kind)]) -> String {
    let has = |name: &str| spec.columns.contains_key(name);
    let list: Vec<String> = columns
        .iter()
        .map(|(name, _)| match (provides, name.as_str()) {
            (Provides::OrderLines, "line_no") if !has("line_no") => {
                "row_number() OVER (PARTITION BY order_id ORDER BY _file, _row) AS line_no".to_owned()
            }
            (Provides::Ratings, "event_type") if !has("event_type") => "'rate' AS event_type".to_owned(),
            _ => name.clone(),
        })
        .collect();
    let list = list.join(", ");
    if is_fact(provides) {
        return format!("SELECT {list}, {number} AS _source, _file, _row, _bad FROM {staged}");
    }
    // The row that is kept is the first one: `_file` and `_row` together, so that examples name a row that exists.
    format!("SELECT {list}, {number} AS _source, _file, _row, _bad FROM ({}) WHERE _same = 1", numbered(staged, &list))
}

/// Rows with their number among identical ones.
fn numbered(staged: &str, list: &str) -> String {
    format!("SELECT *, row_number() OVER (PARTITION BY {list}, _bad ORDER BY _file, _row) AS _same FROM {staged}")
}

fn is_fact(provides: Provides) -> bool {
    matches!(
        provides,
        Provides::OrderLines | Provides::Interactions | Provides::Ratings | Provides::Stock | Provides::Offers
    )
}

/// SQL that counts the rows of a source that say what an earlier row said, as reason, rows and examples.
pub fn repeated(number: usize, spec: &SourceSpec) -> Option<(&'static str, String)> {
    let provides = spec.provides.first().copied().filter(|provides| !is_fact(*provides))?;
    let table = provides.table();
    let names: Vec<String> = columns_of_table(table).into_iter().map(|(name, _)| name).collect();
    let rows = numbered(&format!("s{number}_{table}"), &names.join(", "));
    let sql = format!(
        "SELECT 'repeated_row' AS reason, count(*) OVER () AS rows, _file || ' row ' || CAST(_row AS VARCHAR) AS text \
         FROM ({rows}) WHERE _same > 1 ORDER BY _file, _row LIMIT 10"
    );
    Some((table, sql))
}
