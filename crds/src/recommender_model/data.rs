//! `spec.data`: sources, the window that is looked at, and how much and how clean data must be.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::common::refs::ObjectRef;
use crate::common::rule::at_least;
use crate::common::text::{DnsLabel, DurationText, SqlText, StoreUri};
use crate::recommender_model::artifacts::VolumeClaim;

/// Where the data comes from and how much of it is enough.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
pub struct Data {
    /// Sources that are brought into the canonical tables.
    #[schemars(length(min = 1, max = 24))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub sources: Vec<Source>,
    /// How far back training looks, from the newest order.
    #[serde(default = "two_years")]
    #[schemars(extend("x-kubernetes-validations" = at_least("24h")))]
    pub window: DurationText,
    /// Latest reads the sources anew for each training, Pinned trains again on the dataset of the newest version.
    /// Each version records its dataset's digest either way.
    #[serde(default)]
    pub snapshot: Snapshot,
    /// Below this the condition DataCovered is False, with the counts. Training still runs.
    #[serde(default)]
    pub minimum: Minimum,
    /// Above this the training fails with reason DataQuality, naming the worst columns.
    #[serde(default)]
    pub quality: Quality,
}

fn two_years() -> DurationText {
    "17520h".into()
}

/// One source of data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("has(self.object) != has(self.events)")
        .message("a source needs exactly one of object and events"),
    validation = Rule::new("self.layout != 'Custom' || (has(self.columns) && size(self.columns) > 0 && has(self.provides) && size(self.provides) == 1)")
        .message("layout Custom needs columns, and provides with exactly one table; one file may be named by several sources"),
    validation = Rule::new("!has(self.columns) || self.layout in ['Custom', 'Mv']")
        .message("layout Canonical takes no columns: set layout: Custom to convert them, or remove columns"),
    validation = Rule::new("!has(self.events) || self.layout == 'Canonical'")
        .message("the event log is canonical by itself: leave layout out for a source with events")
)]
pub struct Source {
    /// Name of the source; it shows in the data report.
    pub name: DnsLabel,
    /// Tables that the source fills. Without it, all that the layout finds; Custom needs exactly one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 11))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub provides: Vec<Table>,
    /// Canonical: files of the canonical tables. Mv: the MV_* views of a sales database. Custom: columns below.
    #[serde(default)]
    pub layout: Layout,
    /// Custom: canonical column -> SQL expression over the source's columns. Mv: a view's column -> its name in the source, where it differs.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(k, k.matches('^[A-Za-z][A-Za-z0-9_]{0,62}$'))")
        .message("names of columns have at most 63 letters, digits and '_', such as customer_id"))]
    pub columns: BTreeMap<String, SqlText>,
    /// Files in an object store or on a mounted volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<ObjectSource>,
    /// This model's own event log, as Parquet in object storage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events: Option<EventsSource>,
}

/// Tables that a source can fill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Table {
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

/// How a source is laid out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Layout {
    #[default]
    Canonical,
    Mv,
    Custom,
}

/// Files of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectSource {
    /// A file, or a folder or prefix that holds one file a table.
    pub uri: StoreUri,
    /// Format of the files; without it the file's ending says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<FileFormat>,
    /// Secret with the store's environment names as keys (AWS_ACCESS_KEY_ID, AWS_ENDPOINT, ...). Without it, workload identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,
    /// With a file:/// folder as uri: the claim that is mounted there in the training's pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub persistent_volume_claim: Option<VolumeClaim>,
}

/// Format of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum FileFormat {
    Parquet,
    Csv,
    Jsonl,
}

/// The model's own event log; there is nothing to set.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventsSource {}

/// Which data a training reads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Snapshot {
    #[default]
    Latest,
    Pinned,
}

/// How much data is enough for the model to be called covered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Minimum {
    /// Customers who ordered within activeWithin.
    #[schemars(range(min = 0))]
    pub active_customers: i64,
    /// How recent an order makes a customer active.
    #[schemars(extend("x-kubernetes-validations" = at_least("1h")))]
    pub active_within: DurationText,
    /// Orders in the window.
    #[schemars(range(min = 0))]
    pub orders: i64,
    /// Products that were sold in the window.
    #[schemars(range(min = 0))]
    pub products: i64,
}

impl Default for Minimum {
    fn default() -> Self {
        Self { active_customers: 10_000, active_within: "2160h".into(), orders: 1_000, products: 10 }
    }
}

/// How clean data must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Quality {
    /// Rows that cleaning may reject, in percent of a table.
    #[schemars(range(min = 0, max = 100))]
    pub max_rejected_percent: i32,
    /// Nulls that a column of weight may hold, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub max_null_percent: i32,
}

impl Default for Quality {
    fn default() -> Self {
        Self { max_rejected_percent: 5, max_null_percent: 20 }
    }
}
