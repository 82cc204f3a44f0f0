//! Layout Mv: which views a folder holds, and what each canonical table takes from them.

use std::path::Path;
use std::sync::Arc;

use crate::DataError;
use crate::engine::Engine;
use crate::source::{SourceFile, TypeWatch, TypedColumn, TypedTable, columns_of, named_files, names, same_name};
use crate::spec::{Provides, SourceSpec};

use super::views::{VIEWS, View};

/// A view that was found, with the source's name of each of its columns.
#[derive(Debug)]
pub struct FoundView {
    pub view: &'static View,
    pub files: Vec<SourceFile>,
    /// In the order of the view's columns.
    pub columns: Vec<Option<String>>,
    /// Columns that the layout does not know.
    pub unknown: Vec<String>,
}

impl FoundView {
    /// The first column that the view cannot do without.
    pub fn missing_column(&self) -> Option<DataError> {
        let (column, _) = self
            .view
            .columns
            .iter()
            .zip(&self.columns)
            .find(|(column, found)| column.cost.is_none() && found.is_none())?;
        let file = self.files.first();
        Some(DataError::MissingColumn {
            file: file.map_or_else(String::new, |file| file.label.clone()),
            column: column.name.to_owned(),
            found: file.and_then(|file| columns_of(file).ok()).map_or_else(String::new, |schema| names(&schema)),
        })
    }
}

/// Looks for every view. Blocking.
///
/// # Errors
/// A folder that cannot be listed, two files for one view, a file that cannot be opened or is empty.
pub fn find(dir: &Path, spec: &SourceSpec) -> Result<Vec<FoundView>, DataError> {
    check_renames(spec)?;
    let format = spec.object.as_ref().and_then(|object| object.format);
    let mut found = Vec::new();
    for view in VIEWS {
        let Some(files) = named_files(dir, view.name, format)? else { continue };
        let mut first: Option<FoundView> = None;
        for file in &files {
            let schema = columns_of(file)?;
            let renamed = |column: &str| rename(spec, view, column);
            let columns: Vec<Option<String>> = view
                .columns
                .iter()
                .map(|column| {
                    let wanted = renamed(column.name).unwrap_or(column.name);
                    schema
                        .fields()
                        .iter()
                        .find(|field| same_name(field.name(), wanted))
                        .map(|field| field.name().clone())
                })
                .collect();
            let unknown = schema
                .fields()
                .iter()
                .map(|field| field.name().clone())
                .filter(|name| !columns.contains(&Some(name.clone())))
                .collect();
            match &first {
                None => first = Some(FoundView { view, files: files.clone(), columns, unknown }),
                Some(first) if first.columns != columns => {
                    return Err(DataError::Read {
                        file: file.label.clone(),
                        why: "its columns are not those of the first part; export all parts alike".to_owned(),
                    });
                }
                Some(_) => {}
            }
        }
        found.extend(first);
    }
    Ok(found)
}

/// `columns` of a source in this layout: `SalesDate` or `MV_Sales.SalesDate` -> the name in the file.
fn rename<'a>(spec: &'a SourceSpec, view: &View, column: &str) -> Option<&'a str> {
    let of =
        |wanted: &dyn Fn(&str) -> bool| spec.columns.iter().find(|(key, _)| wanted(key)).map(|(_, name)| name.as_str());
    of(&|key| key.split_once('.').is_some_and(|(v, c)| same_name(v, view.name) && same_name(c, column)))
        .or_else(|| of(&|key| same_name(key, column)))
}

fn check_renames(spec: &SourceSpec) -> Result<(), DataError> {
    for key in spec.columns.keys() {
        let (view, column) = key.split_once('.').map_or((None, key.as_str()), |(view, column)| (Some(view), column));
        let known = VIEWS
            .iter()
            .filter(|known| view.is_none_or(|view| same_name(view, known.name)))
            .any(|known| known.columns.iter().any(|known| same_name(known.name, column)));
        if !known {
            return Err(DataError::BadSpec {
                field: format!("sources[{}].columns.{key}", spec.name),
                why: "no view of layout Mv has such a column; docs/data.md lists them".to_owned(),
            });
        }
    }
    Ok(())
}

/// Makes a view a table that SQL names `<prefix><view>`.
pub fn register(engine: &Engine, prefix: &str, found: &FoundView, watch: &Arc<TypeWatch>) -> Result<(), DataError> {
    if let Some(error) = found.missing_column() {
        return Err(error);
    }
    let columns = found
        .view
        .columns
        .iter()
        .zip(&found.columns)
        .map(|(column, source)| TypedColumn {
            name: column.sql.to_owned(),
            // Names of people are not needed, so they are not read.
            source: source.clone().filter(|_| column.sql != "customer_name"),
            kind: column.kind,
        })
        .collect();
    let table = TypedTable::open(found.files.clone(), columns, watch.clone())?;
    engine.register(&format!("{prefix}{}", found.view.table), Arc::new(table))
}

/// What fills the canonical tables: the table, the views it needs, and its SQL.
const SELECTS: &[(Provides, &str, &[&str], &str)] = &[
    (Provides::Orders, "orders", &["mv_sales"], include_str!("../sql/mv/orders.sql")),
    (Provides::OrderLines, "order_lines", &["mv_sales_detail"], include_str!("../sql/mv/order_lines.sql")),
    (Provides::Customers, "customers", &["mv_setup_customer"], include_str!("../sql/mv/customers.sql")),
    (Provides::Products, "products", &["mv_setup_product"], include_str!("../sql/mv/products.sql")),
    (Provides::Categories, "categories", &["mv_setup_category"], include_str!("../sql/mv/categories.sql")),
    (Provides::Categories, "categories", &["mv_setup_sub_category"], include_str!("../sql/mv/subcategories.sql")),
    (Provides::Brands, "brands", &["mv_setup_brand"], include_str!("../sql/mv/brands.sql")),
    (Provides::Places, "places", &["mv_setup_city"], include_str!("../sql/mv/places.sql")),
    (Provides::Offers, "offers", &["mv_promotion"], include_str!("../sql/mv/offers.sql")),
    (Provides::Stock, "stock", &["mv_stock"], include_str!("../sql/mv/stock.sql")),
    (Provides::Interactions, "interactions", &["mv_online_customer_view"], include_str!("../sql/mv/interactions.sql")),
];

/// The SELECTs of a source: canonical table and SQL over the registered views.
pub async fn selects(
    engine: &Engine,
    number: usize,
    spec: &SourceSpec,
    found: &[FoundView],
) -> Result<Vec<(&'static str, String)>, DataError> {
    let has = |table: &str| found.iter().any(|view| view.view.table == table);
    let prefix = format!("s{number}_");
    if has("mv_setup_city") && !has("mv_setup_area") {
        // Cities do without names of areas.
        let empty = "SELECT CAST(NULL AS VARCHAR) AS area_id, CAST(NULL AS VARCHAR) AS area_name WHERE false";
        engine.define(&format!("{prefix}mv_setup_area"), empty).await?;
    }
    let json = |column: &str| {
        format!(
            "CASE WHEN {column} IS NOT NULL THEN '\"{column}\":\"' || replace(replace(regexp_replace({column}, \
             '[[:cntrl:]]', ' ', 'g'), '\\', '\\\\'), '\"', '\\\"') || '\"' END"
        )
    };
    Ok(SELECTS
        .iter()
        .filter(|(provides, _, views, _)| {
            (spec.provides.is_empty() || spec.provides.contains(provides)) && views.iter().all(|view| has(view))
        })
        .map(|(_, table, _, sql)| {
            let sql = sql
                .replace("{s}", &prefix)
                .replace("{meta}", &format!("{number} AS _source, _file, _row, _bad"))
                .replace("{source}", &number.to_string())
                .replace("{yes}", "lower(consent) IN ('true', 't', 'yes', 'y', '1', 'all', 'on')")
                .replace("{json:device}", &json("device"))
                .replace("{json:referrer}", &json("referrer"))
                .replace("{json:city_id}", &json("city_id"));
            (*table, sql)
        })
        .collect())
}
