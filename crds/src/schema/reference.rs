//! The reference of the fields for people, in Markdown, from the same schema that API servers get.

use std::fmt::Write as _;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceColumnDefinition;
use serde_json::Value;

use super::walk::visit;
use super::{GENERATED_BY, crd, file_name, rules, schema};
use crate::common::pods::QUANTITY_PATTERN;
use crate::common::text::TEXT_RULES;
use crate::{API_VERSION, Kind};

const INTRODUCTION: &str = "\
Endcap has four kinds of objects, all namespaced. A **RecommenderModel** is what you write: data, training, serving, routing
and the rules of what is recommended. A **PromotionPolicy** says how a version becomes the active one, an **Experiment** puts
versions side by side. A **ModelVersion** is made by the operator: one trained artifact that never changes.

How to read the tables: a field in **bold** is required, everything else has a default or may be left out. Durations are
written as Go writes them (`150ms`, `30s`, `6h`; days as hours). Metrics, limits and thresholds are decimals in quotes.
The operator acts on them in a cluster ([operate.md](operate.md)), `endcap up` on one machine ([operator.md](operator.md)).
What stands in the definitions and is not honoured yet: [gaps.md](gaps.md).
*Rules* are checked by the API server with every write, and by `endcap` without a cluster; a rule that *compares* also looks
at the object as it is stored. Examples lie in `examples/`, a refused object for every rule in `crds/fixtures/`.
";

/// The whole reference.
pub fn reference() -> String {
    let mut out = format!("<!-- {GENERATED_BY} -->\n# Custom resources\n\n{INTRODUCTION}\n");
    out.push_str("| Kind | Resource | Short | Definition |\n| --- | --- | --- | --- |\n");
    for kind in Kind::ALL {
        line(
            &mut out,
            &[
                &format!("[{kind}](#{})", kind.as_str().to_lowercase()),
                &format!("`{}.endcap.dev`", kind.plural()),
                &format!("`{}`", kind.short_name()),
                &format!("`crds/{}`", file_name(kind)),
            ],
        );
    }
    for kind in Kind::ALL {
        section(&mut out, kind);
    }
    out
}

fn section(out: &mut String, kind: Kind) {
    let schema = schema(kind);
    let _ = write!(out, "\n## {kind}\n\n`apiVersion: {API_VERSION}`, `kind: {kind}`. {}\n", plain(description(schema)));
    columns(out, kind);
    for part in ["spec", "status"] {
        let Some(node) = schema.get("properties").and_then(|properties| properties.get(part)) else { continue };
        let _ = write!(out, "\n### {kind}.{part}\n\n{}\n\n", description(node));
        out.push_str("| Field | Type | Default | Meaning |\n| --- | --- | --- | --- |\n");
        fields(out, node, part);
    }
    let rules = rules(kind);
    if !rules.is_empty() {
        let _ = write!(
            out,
            "\n### Rules of {kind}\n\n| Where | When | A refusal says | Rule |\n| --- | --- | --- | --- |\n"
        );
        for rule in rules {
            let place = if rule.path.is_empty() { "the object" } else { &rule.path };
            let when = if rule.is_transition() { "compares" } else { "always" };
            line(out, &[&format!("`{place}`"), when, &plain(&rule.message), &format!("`{}`", rule.rule)]);
        }
    }
}

fn columns(out: &mut String, kind: Kind) {
    let columns: Vec<CustomResourceColumnDefinition> = crd(kind)
        .ok()
        .and_then(|crd| crd.spec.versions.into_iter().next())
        .and_then(|version| version.additional_printer_columns)
        .unwrap_or_default();
    let named = |wide: bool| {
        columns
            .iter()
            .filter(|column| (column.priority.unwrap_or(0) > 0) == wide)
            .map(|column| column.name.to_uppercase())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let _ = write!(out, "\n`kubectl get {}` shows {}", kind.short_name(), named(false));
    let wide = named(true);
    if wide.is_empty() {
        out.push_str(".\n");
    } else {
        let _ = writeln!(out, "; with `-o wide` also {wide}.");
    }
}

/// A row for every field below `part`, depth first.
fn fields(out: &mut String, node: &Value, part: &str) {
    let mut required = std::collections::BTreeSet::new();
    // What is Kubernetes' own is named, not repeated.
    let mut known: Option<String> = None;
    visit(node, part, &mut |path, node| {
        for name in node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            required.insert(format!("{path}.{name}"));
        }
        let leaf_of_list = path.ends_with("[]") || path.ends_with(".*");
        let below_known = known
            .as_deref()
            .and_then(|known| path.strip_prefix(known))
            .is_some_and(|rest| rest.starts_with(['.', '[']));
        if path == part || leaf_of_list || below_known {
            return;
        }
        if kubernetes_type(node.get("items").unwrap_or(node)).is_some() {
            known = Some(path.to_owned());
        }
        let shown = path.trim_start_matches(part).trim_start_matches('.');
        let name = if required.contains(path) { format!("**`{shown}`**") } else { format!("`{shown}`") };
        line(out, &[&name, &type_of(node), &default_of(node), &plain(description(node))]);
    });
}

/// The name of a type that Kubernetes documents, if the node is one.
fn kubernetes_type(node: &Value) -> Option<&'static str> {
    let has = |field: &str| node.get("properties").is_some_and(|fields| fields.get(field).is_some());
    match (has("matchLabels"), has("tolerationSeconds"), has("lastTransitionTime")) {
        (true, _, _) => Some("Kubernetes label selector"),
        (_, true, _) => Some("Kubernetes toleration"),
        (_, _, true) => Some("Kubernetes condition"),
        _ => None,
    }
}

fn type_of(node: &Value) -> String {
    if let Some(name) = kubernetes_type(node) {
        return name.to_owned();
    }
    let text = |key: &str| node.get(key).and_then(Value::as_str);
    let number = |key: &str| node.get(key).and_then(Value::as_f64);
    if let Some(choices) = node.get("enum").and_then(Value::as_array) {
        return choices
            .iter()
            .filter_map(Value::as_str)
            .map(|choice| format!("`{choice}`"))
            .collect::<Vec<_>>()
            .join(", ");
    }
    if text("pattern") == Some(QUANTITY_PATTERN) {
        return "quantity".to_owned();
    }
    match text("type") {
        Some("array") => {
            let of = node.get("items").map(type_of).unwrap_or_default();
            let most = number("maxItems").map(|most| format!(", at most {most}")).unwrap_or_default();
            format!("list{most}: {of}")
        }
        Some("object") => match node.get("additionalProperties") {
            Some(values) => {
                let most = number("maxProperties").map(|most| format!(", at most {most}")).unwrap_or_default();
                format!("map{most}: {}", type_of(values))
            }
            None => "object".to_owned(),
        },
        Some("integer") => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) => format!("integer {least} to {most}"),
            (Some(least), None) => format!("integer from {least}"),
            (None, Some(most)) => format!("integer to {most}"),
            (None, None) => "integer".to_owned(),
        },
        Some("string") if text("format") == Some("date-time") => "time".to_owned(),
        Some("string") => {
            let what =
                TEXT_RULES.iter().find(|rule| text("pattern") == Some(rule.pattern)).map_or("text", |rule| rule.what);
            match number("maxLength") {
                Some(most) if ["text", "id", "SQL expression", "token", "name"].contains(&what) => {
                    format!("{what}, at most {most}")
                }
                _ => what.to_owned(),
            }
        }
        Some(other) => other.to_owned(),
        None => String::new(),
    }
}

fn default_of(node: &Value) -> String {
    match node.get("default") {
        // The fields of an object say their own defaults.
        None | Some(Value::Object(_)) => String::new(),
        Some(Value::String(text)) => format!("`{text}`"),
        Some(Value::Array(items)) => {
            let names: Option<Vec<&str>> =
                items.iter().map(|item| item.as_str().or_else(|| item.get("name")?.as_str())).collect();
            names.map_or_else(|| "see the definition".to_owned(), |names| names.join(", "))
        }
        Some(other) => format!("`{other}`"),
    }
}

fn description(node: &Value) -> &str {
    node.get("description").and_then(Value::as_str).unwrap_or_default()
}

/// Text outside code, in which `<name>` would vanish as if it were HTML.
fn plain(text: &str) -> String {
    text.replace('<', "&lt;")
}

/// One row of a table; what would end a cell or a line is escaped.
fn line(out: &mut String, cells: &[&str]) {
    out.push('|');
    for cell in cells {
        let cell = cell.replace('|', "\\|").replace('\n', " ");
        let _ = write!(out, " {cell} |");
    }
    out.push('\n');
}
