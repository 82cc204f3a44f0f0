//! What to prepare: the same shape as `spec.data` of a RecommenderModel, so that one file serves both.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::DataError;

/// `spec.data`: sources, how far to look back, and how much and how clean data must be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DataSpec {
    pub sources: Vec<SourceSpec>,
    /// How far back to look, from the newest order.
    #[serde(default = "Span::two_years")]
    pub window: Span,
    /// Latest or Pinned; it is the operator's business which dataset a training uses, not this program's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<String>,
    #[serde(default)]
    pub minimum: Minimum,
    #[serde(default)]
    pub quality: Quality,
}

/// One source: a folder or file, and how its columns become canonical ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SourceSpec {
    pub name: String,
    /// Tables that the source fills; empty: all that its layout finds. Layout Custom needs exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provides: Vec<Provides>,
    #[serde(default)]
    pub layout: Layout,
    /// Custom: canonical column -> SQL expression over the source's columns. Mv: the view's column -> its name in the source.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectSource>,
    /// The model's own event log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<serde_json::Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Provides {
    Orders,
    OrderLines,
    Customers,
    Products,
    Categories,
    Brands,
    Places,
    Offers,
    Stock,
    Interactions,
    Ratings,
}

impl Provides {
    /// The canonical table that it fills.
    pub fn table(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::OrderLines => "order_lines",
            Self::Customers => "customers",
            Self::Products => "products",
            Self::Categories => "categories",
            Self::Brands => "brands",
            Self::Places => "places",
            Self::Offers => "offers",
            Self::Stock => "stock",
            Self::Interactions | Self::Ratings => "interactions",
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Layout {
    #[default]
    #[value(name = "Canonical", alias = "canonical")]
    Canonical,
    #[value(name = "Mv", alias = "mv")]
    Mv,
    #[value(name = "Custom", alias = "custom")]
    Custom,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Format {
    Parquet,
    Csv,
    Jsonl,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ObjectSource {
    /// `file:///folder`, a plain folder or file, or `s3://bucket/prefix`
    pub uri: String,
    /// Of files whose ending does not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<Format>,
    /// Read by the operator, which gives its keys to this program as environment variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<serde_json::Value>,
}

/// How much data is enough for the model to be called covered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Minimum {
    /// Customers who ordered within `activeWithin` of the newest order.
    pub active_customers: u64,
    pub active_within: Span,
    pub orders: u64,
    /// Products that were sold.
    pub products: u64,
}

impl Default for Minimum {
    fn default() -> Self {
        Self { active_customers: 10_000, active_within: Span::hours(2160), orders: 1_000, products: 10 }
    }
}

/// How clean data must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Quality {
    /// Rows of a table that cleaning may reject as defects, in percent.
    pub max_rejected_percent: u32,
    /// Empty cells of a column that matters, in percent.
    pub max_null_percent: u32,
}

impl Default for Quality {
    fn default() -> Self {
        Self { max_rejected_percent: 5, max_null_percent: 20 }
    }
}

/// A length of time as Go writes it: `17520h`, `1h30m`, `45s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub SignedDuration);

impl Span {
    pub fn hours(hours: i64) -> Self {
        Self(SignedDuration::from_secs(hours.saturating_mul(3600)))
    }

    fn two_years() -> Self {
        Self::hours(17_520)
    }
}

impl std::str::FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not a duration; write 17520h, 90m or 1h30m (days as hours)");
        let mut seconds: i64 = 0;
        let mut digits = String::new();
        for character in text.chars() {
            if character.is_ascii_digit() {
                digits.push(character);
                continue;
            }
            let unit = match character {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => return Err(wrong()),
            };
            let count: i64 = digits.parse().map_err(|_| wrong())?;
            seconds = count.checked_mul(unit).and_then(|more| seconds.checked_add(more)).ok_or_else(wrong)?;
            digits.clear();
        }
        if !digits.is_empty() || seconds == 0 {
            return Err(wrong());
        }
        Ok(Self(SignedDuration::from_secs(seconds)))
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = self.0.as_secs();
        match seconds {
            s if s % 3600 == 0 => write!(f, "{}h", s / 3600),
            s if s % 60 == 0 => write!(f, "{}m", s / 60),
            s => write!(f, "{s}s"),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl DataSpec {
    /// The spec of one folder in one layout, with all defaults.
    pub fn of_folder(layout: Layout, data: &str) -> Self {
        let object = ObjectSource { uri: data.to_owned(), format: None, secret_ref: None };
        let source = SourceSpec {
            name: "data".to_owned(),
            provides: Vec::new(),
            layout,
            columns: BTreeMap::new(),
            object: Some(object),
            events: None,
        };
        Self {
            sources: vec![source],
            window: Span::two_years(),
            snapshot: None,
            minimum: Minimum::default(),
            quality: Quality::default(),
        }
    }

    /// Reads a spec from YAML or JSON: `spec.data` itself, or the manifest of a RecommenderModel that has it (the first one,
    /// when the file holds several documents).
    pub fn read(path: &Path) -> Result<Self, DataError> {
        let text = std::fs::read_to_string(path).map_err(|source| DataError::Open { path: path.to_owned(), source })?;
        Self::parse(&text, path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self, DataError> {
        let wrong = |why: String| DataError::Spec { path: PathBuf::from(path), why };
        for document in serde_yaml::Deserializer::from_str(text) {
            let value = serde_json::Value::deserialize(document).map_err(|source| wrong(source.to_string()))?;
            let data = match value.get("kind").and_then(serde_json::Value::as_str) {
                Some("RecommenderModel") => value.pointer("/spec/data"),
                None => Some(&value).filter(|value| value.get("sources").is_some()),
                Some(_) => None,
            };
            if let Some(data) = data {
                let spec: Self = serde_json::from_value(data.clone()).map_err(|source| wrong(source.to_string()))?;
                spec.validate()?;
                return Ok(spec);
            }
        }
        Err(wrong("it holds neither `sources` nor a RecommenderModel with spec.data".to_owned()))
    }

    /// Checks what the types cannot say.
    pub fn validate(&self) -> Result<(), DataError> {
        let bad = |field: String, why: &str| Err(DataError::BadSpec { field, why: why.to_owned() });
        if self.sources.is_empty() || self.sources.len() > 24 {
            return bad("sources".to_owned(), "write 1 to 24 sources");
        }
        if self.sources.iter().filter(|source| source.events.is_some()).count() > 1 {
            return bad("sources".to_owned(), "a model has one event log: write one source with events");
        }
        if self.sources.iter().all(|source| source.events.is_some()) {
            return bad(
                "sources".to_owned(),
                "events add to what other sources hold: write at least one source with object beside them",
            );
        }
        for (number, source) in self.sources.iter().enumerate() {
            let field = |name: &str| format!("sources[{number}].{name}");
            if source.name.is_empty() || self.sources.iter().take(number).any(|other| other.name == source.name) {
                return bad(field("name"), "every source needs a name of its own");
            }
            if source.events.is_some() {
                if source.object.is_some() {
                    return bad(field("events"), "a source needs exactly one of object and events");
                }
                if source.layout != Layout::default() || !source.columns.is_empty() || !source.provides.is_empty() {
                    return bad(
                        field("events"),
                        "the event log is canonical by itself: leave layout, provides and columns out",
                    );
                }
                continue;
            }
            if source.object.is_none() {
                return bad(field("object"), "name where the data lies: object: {uri: file:///folder}");
            }
            match source.layout {
                Layout::Custom if source.provides.len() != 1 => {
                    return bad(
                        field("provides"),
                        "layout Custom needs exactly one table; name the file in several sources",
                    );
                }
                Layout::Custom if source.columns.is_empty() => {
                    return bad(field("columns"), "layout Custom needs columns: canonical column -> SQL expression");
                }
                Layout::Canonical if !source.columns.is_empty() => {
                    return bad(
                        field("columns"),
                        "layout Canonical takes no columns; use layout Custom to convert them",
                    );
                }
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn a_manifest_and_a_bare_spec_mean_the_same() {
        let bare = "sources: [{name: shop, layout: Mv, object: {uri: 'file:///data'}}]\nwindow: 720h\n";
        let manifest = format!(
            "kind: PromotionPolicy\nspec: {{}}\n---\nkind: RecommenderModel\nspec:\n  data:\n    {}",
            bare.trim_end().replace('\n', "\n    ")
        );
        let bare = DataSpec::parse(bare, Path::new("a.yaml")).unwrap();
        assert_eq!(bare, DataSpec::parse(&manifest, Path::new("b.yaml")).unwrap());
        assert_eq!(bare.window, Span::hours(720));
        assert_eq!(bare.minimum.active_customers, 10_000);
        assert_eq!(bare.quality, Quality { max_rejected_percent: 5, max_null_percent: 20 });
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, expected) in [
            ("sources: []", "sources: write 1 to 24"),
            ("sources: [{name: a, layout: Custom, provides: [Orders], object: {uri: /x}}]", "sources[0].columns"),
            ("sources: [{name: a, layout: Custom, columns: {a: b}, object: {uri: /x}}]", "sources[0].provides"),
            ("sources: [{name: a, events: {}}]", "at least one source with object"),
            ("sources: [{name: a, object: {uri: /x}}, {name: b, events: {}, object: {uri: /x}}]", "sources[1].events"),
            ("sources: [{name: a, object: {uri: /x}}, {name: b, events: {}}, {name: c, events: {}}]", "one event log"),
            ("sources: [{name: a}]", "sources[0].object"),
            ("sources: [{name: a, object: {uri: /x}}, {name: a, object: {uri: /x}}]", "sources[1].name"),
            ("sources: [{name: a, object: {uri: /x}}]\nwindow: 3 days", "is not a duration"),
            ("sources: [{name: a, layot: Mv, object: {uri: /x}}]", "unknown field `layot`"),
            ("kind: Experiment", "neither `sources`"),
        ] {
            let error = DataSpec::parse(text, Path::new("s.yaml")).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }

    #[test]
    fn durations_are_read_as_go_writes_them() {
        assert_eq!("1h30m".parse::<Span>().unwrap().to_string(), "90m");
        assert_eq!("45s".parse::<Span>().unwrap().to_string(), "45s");
        assert!("".parse::<Span>().is_err());
        assert!("10".parse::<Span>().is_err());
    }
}
