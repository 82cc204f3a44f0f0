//! `check`: what a folder holds, before anything is prepared: which views and columns, what is missing and what that costs, values
//! that cannot be read, and ten rows of each.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use endcap_tables::all_schemas;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::engine::{Engine, Limits};
use crate::layout::views::VIEWS;
use crate::layout::{canonical, mv};
use crate::source::{TypeWatch, TypedColumn, TypedTable};
use crate::spec::{DataSpec, Layout, SourceSpec};
use crate::{DataError, report, values};

/// What was found in a folder.
#[derive(Debug, Serialize)]
pub struct Check {
    pub layout: String,
    pub views: Vec<CheckedView>,
    /// Views that are not there.
    pub missing: Vec<Missing>,
    /// Whether `prepare` can begin: nothing is missing that it needs, and no column is of the wrong type.
    pub usable: bool,
}

#[derive(Debug, Serialize)]
pub struct CheckedView {
    pub view: String,
    pub about: String,
    pub files: Vec<String>,
    pub rows: u64,
    pub columns: Vec<String>,
    pub missing_columns: Vec<Missing>,
    /// Columns that are there and are not used.
    pub unknown_columns: Vec<String>,
    /// Rows with a value that cannot be converted, with three of them.
    pub unreadable_rows: u64,
    pub unreadable_examples: Vec<String>,
    pub problem: Option<String>,
    #[serde(skip)]
    pub sample: String,
}

#[derive(Debug, Serialize)]
pub struct Missing {
    pub name: String,
    pub needed: bool,
    /// What falls away without it.
    pub cost: String,
}

/// Looks at a folder. Values of contacts are not shown.
pub async fn check(dir: &Path, layout: Layout, limits: Limits, cancel: &CancellationToken) -> Result<Check, DataError> {
    let work = tempfile::tempdir().map_err(|source| DataError::Write { path: std::env::temp_dir(), source })?;
    let engine = Engine::new(work.path(), limits, cancel.clone())?;
    let spec = DataSpec::of_folder(layout, &dir.to_string_lossy());
    let source = spec
        .sources
        .first()
        .cloned()
        .ok_or_else(|| DataError::BadSpec { field: "sources".to_owned(), why: "write one".to_owned() })?;
    let (views, missing) = match layout {
        Layout::Mv => mv_views(dir, &source, &engine).await?,
        Layout::Canonical => canonical_tables(dir, &source, &engine).await?,
        Layout::Custom => {
            return Err(DataError::BadSpec {
                field: "layout".to_owned(),
                why: "layout Custom is checked by `endcap-data prepare --spec`".to_owned(),
            });
        }
    };
    let usable = missing.iter().all(|missing| !missing.needed) && views.iter().all(|view| view.problem.is_none());
    Ok(Check { layout: format!("{layout:?}"), views, missing, usable })
}

async fn mv_views(
    dir: &Path,
    spec: &SourceSpec,
    engine: &Engine,
) -> Result<(Vec<CheckedView>, Vec<Missing>), DataError> {
    let found = mv::find(dir, spec)?;
    let missing = VIEWS
        .iter()
        .filter(|view| !found.iter().any(|found| found.view.name == view.name))
        .map(|view| Missing {
            name: view.name.to_owned(),
            needed: view.cost.is_none(),
            cost: view.cost.unwrap_or("nothing can be learned without it").to_owned(),
        })
        .collect();
    let mut views = Vec::new();
    for view in found {
        let columns = view.view.columns.iter().zip(&view.columns);
        let mut checked = CheckedView {
            view: view.view.name.to_owned(),
            about: view.view.about.to_owned(),
            files: view.files.iter().map(|file| file.label.clone()).collect(),
            rows: 0,
            columns: view.columns.iter().flatten().cloned().collect(),
            missing_columns: columns
                .clone()
                .filter(|(_, found)| found.is_none())
                .map(|(column, _)| Missing {
                    name: column.name.to_owned(),
                    needed: column.cost.is_none(),
                    cost: column.cost.unwrap_or("the view cannot be used without it").to_owned(),
                })
                .collect(),
            unknown_columns: view.unknown.clone(),
            unreadable_rows: 0,
            unreadable_examples: Vec::new(),
            problem: view.missing_column().map(|error| error.to_string()),
            sample: String::new(),
        };
        let typed: Vec<TypedColumn> = columns
            .map(|(column, source)| TypedColumn {
                name: column.sql.to_owned(),
                source: source.clone(),
                kind: column.kind,
            })
            .collect();
        look(engine, view.view.table, view.files, typed, &mut checked).await?;
        if checked.rows == 0 && checked.problem.is_none() && view.view.cost.is_none() {
            checked.problem = Some("it has no rows; export it again".to_owned());
        }
        views.push(checked);
    }
    Ok((views, missing))
}

async fn canonical_tables(
    dir: &Path,
    spec: &SourceSpec,
    engine: &Engine,
) -> Result<(Vec<CheckedView>, Vec<Missing>), DataError> {
    let found = canonical::find(dir, spec)?;
    let missing = all_schemas()
        .into_iter()
        .filter(|(table, ..)| !found.iter().any(|found| found.table == *table))
        .map(|(table, about, _)| Missing {
            name: table.to_owned(),
            needed: matches!(table, "orders" | "order_lines"),
            cost: about.to_owned(),
        })
        .collect();
    let mut views = Vec::new();
    for table in found {
        let mut checked = CheckedView {
            view: table.table.to_owned(),
            about: table.about.to_owned(),
            files: table.files.iter().map(|file| file.label.clone()).collect(),
            rows: 0,
            columns: table.columns.iter().filter_map(|column| column.source.clone()).collect(),
            missing_columns: table
                .columns
                .iter()
                .filter(|column| column.source.is_none())
                .map(|column| Missing {
                    name: column.name.clone(),
                    needed: false,
                    cost: report::cost_of(table.table, &column.name).to_owned(),
                })
                .collect(),
            unknown_columns: Vec::new(),
            unreadable_rows: 0,
            unreadable_examples: Vec::new(),
            problem: None,
            sample: String::new(),
        };
        look(engine, table.table, table.files, table.columns, &mut checked).await?;
        views.push(checked);
    }
    Ok((views, missing))
}

/// Reads a view through: counts, what cannot be converted, and ten rows.
async fn look(
    engine: &Engine,
    name: &str,
    files: Vec<crate::source::SourceFile>,
    columns: Vec<TypedColumn>,
    checked: &mut CheckedView,
) -> Result<(), DataError> {
    let watch = Arc::new(TypeWatch::default());
    let shown: Vec<String> = columns
        .iter()
        .filter(|column| column.source.is_some())
        .map(|column| match column.name.as_str() {
            "email" | "phone" | "push_token" | "customer_name" => {
                format!("CASE WHEN {0} IS NOT NULL THEN '(hidden)' END AS {0}", column.name)
            }
            own => own.to_owned(),
        })
        .collect();
    let table = format!("look_{name}");
    engine.register(&table, Arc::new(TypedTable::open(files, columns, watch.clone())?))?;
    let counted = engine.rows(&format!("SELECT count(*), count(_bad) FROM {table}")).await;
    let verdict = counted.and_then(|counts| watch.check().map(|()| counts));
    match verdict {
        Ok(counts) => {
            let numbers = values::numbers(&counts);
            checked.rows = numbers.first().copied().unwrap_or_default();
            checked.unreadable_rows = numbers.get(1).copied().unwrap_or_default();
        }
        Err(error @ (DataError::WrongType { .. } | DataError::Read { .. })) => {
            checked.problem.get_or_insert(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(error),
    }
    if checked.unreadable_rows > 0 {
        let sql = format!(
            "SELECT _file || ' row ' || CAST(_row AS VARCHAR) || ': ' || _bad FROM {table} WHERE _bad IS NOT NULL \
             ORDER BY _file, _row LIMIT 3"
        );
        let rows = engine.rows(&sql).await?;
        checked.unreadable_examples = rows.iter().flat_map(|batch| values::texts(batch, 0)).flatten().collect();
    }
    if !shown.is_empty() {
        let rows = engine.rows(&format!("SELECT {} FROM {table} LIMIT 10", shown.join(", "))).await?;
        checked.sample = pretty_format_batches(&rows).map_err(|error| DataError::Sql(error.to_string()))?.to_string();
    }
    Ok(())
}

/// What was found, for people.
pub fn text(check: &Check) -> String {
    let mut out = format!("layout {}\n", check.layout);
    for view in &check.views {
        let _ = writeln!(out, "\n{} ({}): {} rows in {}", view.view, view.about, view.rows, view.files.join(", "));
        let _ = writeln!(out, "  columns  {}", view.columns.join(", "));
        if !view.unknown_columns.is_empty() {
            let _ = writeln!(out, "  not used {}", view.unknown_columns.join(", "));
        }
        for missing in &view.missing_columns {
            let mark = if missing.needed { "MISSING " } else { "absent  " };
            let _ = writeln!(out, "  {mark} {}: {}", missing.name, missing.cost);
        }
        if view.unreadable_rows > 0 {
            let _ = writeln!(
                out,
                "  {} rows hold a value that cannot be read: {}",
                view.unreadable_rows,
                view.unreadable_examples.join("; ")
            );
        }
        if let Some(problem) = &view.problem {
            let _ = writeln!(out, "  PROBLEM  {problem}");
        }
        if !view.sample.is_empty() {
            let _ = writeln!(out, "{}", view.sample);
        }
    }
    if !check.missing.is_empty() {
        out.push_str("\nnot there\n");
    }
    for missing in &check.missing {
        let mark = if missing.needed { "MISSING" } else { "absent " };
        let _ = writeln!(out, "  {mark} {}: {}", missing.name, missing.cost);
    }
    let _ = writeln!(
        out,
        "\n{}",
        if check.usable {
            "usable: prepare it with `endcap-data prepare`"
        } else {
            "NOT usable yet: see MISSING and PROBLEM above"
        }
    );
    out
}
