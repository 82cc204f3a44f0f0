//! Columns as kubectl shows them: from the definitions' printer columns.

use std::sync::OnceLock;

use endcap_crds::{Kind, crd};
use jiff::Timestamp;
use serde_json::Value;

struct Column {
    name: String,
    path: String,
    type_: String,
    wide: bool,
}

fn columns(kind: Kind) -> &'static [Column] {
    static ALL: OnceLock<Vec<(Kind, Vec<Column>)>> = OnceLock::new();
    let all = ALL.get_or_init(|| Kind::ALL.into_iter().map(|kind| (kind, read(kind))).collect());
    all.iter().find(|(known, _)| *known == kind).map_or(&[], |(_, columns)| columns.as_slice())
}

fn read(kind: Kind) -> Vec<Column> {
    let definition = crd(kind).ok().and_then(|crd| serde_json::to_value(crd).ok()).unwrap_or_default();
    let list = definition
        .pointer("/spec/versions/0/additionalPrinterColumns")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let column = |value: &Value| {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        Column {
            name: text("name"),
            path: text("jsonPath"),
            type_: text("type"),
            wide: value.get("priority").and_then(Value::as_i64).unwrap_or(0) > 0,
        }
    };
    list.iter().map(column).collect()
}

pub fn head(kind: Kind, wide: bool) -> Vec<String> {
    let shown = columns(kind).iter().filter(|column| wide || !column.wide);
    std::iter::once("NAME".to_owned()).chain(shown.map(|column| column.name.to_uppercase())).collect()
}

pub fn row(kind: Kind, object: &Value, wide: bool) -> Vec<String> {
    let name = object.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let shown = columns(kind).iter().filter(|column| wide || !column.wide);
    let cell = |column: &Column| {
        let found = find(object, &column.path);
        match found {
            None => String::new(),
            Some(Value::String(text)) if column.type_ == "date" => age(text),
            Some(Value::String(text)) => text.clone(),
            Some(value) => value.to_string(),
        }
    };
    std::iter::once(name).chain(shown.map(cell)).collect()
}

/// What a printer column's path names: `.a.b`, and `[?(@.k=="v")]` or `[?(@.k)]` for the first entry of a list that fits.
fn find<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    let mut at = object;
    let mut rest = path;
    while !rest.is_empty() {
        if let Some(inside) = rest.strip_prefix("[?(@.") {
            let (test, after) = inside.split_once(")]")?;
            let list = at.as_array()?;
            at = match test.split_once("==") {
                Some((key, value)) => {
                    list.iter().find(|entry| entry.get(key).and_then(Value::as_str) == Some(value.trim_matches('"')))?
                }
                None => list.iter().find(|entry| entry.get(test).is_some())?,
            };
            rest = after;
        } else {
            let name = rest.strip_prefix('.')?;
            let end = name.find(['.', '[']).unwrap_or(name.len());
            at = at.get(name.get(..end)?)?;
            rest = name.get(end..)?;
        }
    }
    Some(at)
}

/// As kubectl writes ages; what lies ahead has its sign.
pub fn age(time: &str) -> String {
    age_at(time, Timestamp::now())
}

pub fn age_at(time: &str, now: Timestamp) -> String {
    let Ok(time) = time.parse::<Timestamp>() else { return time.to_owned() };
    span(now.as_second() - time.as_second())
}

pub fn span(seconds: i64) -> String {
    let (sign, seconds) = if seconds < 0 { ("-", -seconds) } else { ("", seconds) };
    let text = match seconds {
        0..120 => format!("{seconds}s"),
        120..600 => format!("{}m{}s", seconds / 60, seconds % 60),
        600..10_800 => format!("{}m", seconds / 60),
        10_800..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    };
    format!("{sign}{text}")
}

/// Rows under a head, each column as wide as it must be.
pub fn format(rows: &[Vec<String>], head: Option<&[String]>) -> String {
    let all: Vec<&[String]> = head.into_iter().chain(rows.iter().map(Vec::as_slice)).collect();
    let count = all.iter().map(|row| row.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|at| all.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count()).max().unwrap_or(0).max(4))
        .collect();
    let line = |row: &&[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("   ").trim_end().to_owned()
    };
    all.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn columns_show_what_their_paths_name() {
        let object = json!({"metadata": {"name": "shop"}, "status": {
            "columns": {"active": "shop-v2", "weight": "10%", "target": "-"},
            "conditions": [{"type": "Degraded", "status": "False"}, {"type": "Ready", "status": "True", "reason": "Serving"}]}});
        let row = row(Kind::RecommenderModel, &object, false);
        assert_eq!(row.first().map(String::as_str), Some("shop"));
        let head = head(Kind::RecommenderModel, false);
        let cell = |name: &str| {
            head.iter().position(|known| known == name).and_then(|at| row.get(at)).cloned().unwrap_or_default()
        };
        assert_eq!(
            (cell("READY"), cell("ACTIVE"), cell("WEIGHT"), cell("TARGET")),
            ("True".to_owned(), "shop-v2".to_owned(), "10%".to_owned(), "-".to_owned())
        );
    }

    #[test]
    fn every_columns_path_can_be_read() {
        for kind in Kind::ALL {
            for column in columns(kind) {
                let known = column.path.split(['.', '[']).skip(1).all(|part| !part.contains('*'));
                assert!(known && column.path.starts_with('.'), "{kind}: {}", column.path);
            }
        }
    }
}
