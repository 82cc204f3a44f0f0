//! The routing table: who answers for whom, under which rules. The control plane writes and signs it, the router obeys it.
//!
//! Described in `docs/routing-table.md`. Unknown fields are ignored, so that a newer control plane can speak to an older router.

mod envelope;
mod keys;
mod trust;
mod validate;

pub use envelope::{Envelope, EnvelopeError, sign, verify};
pub use keys::{KeyError, KeyPair, key_id, parse_public_key, parse_secret_key, read_public_key};
pub use trust::Trust;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::assign::BUCKETS;

/// The arm that owns every bucket that no range names.
pub const ACTIVE: &str = "active";
pub const CANDIDATE: &str = "candidate";

/// Buckets `from` (inclusive) to `to` (exclusive) of 10,000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u16, u16)", into = "(u16, u16)")]
pub struct Range {
    pub from: u16,
    pub to: u16,
}

impl Range {
    pub fn contains(self, bucket: u16) -> bool {
        (self.from..self.to).contains(&bucket)
    }

    pub fn size(self) -> u16 {
        self.to.saturating_sub(self.from)
    }
}

impl From<(u16, u16)> for Range {
    fn from((from, to): (u16, u16)) -> Self {
        Self { from, to }
    }
}

impl From<Range> for (u16, u16) {
    fn from(range: Range) -> Self {
        (range.from, range.to)
    }
}

/// A version with a share of the units.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Arm {
    /// `active`, `candidate`, or the name of an experiment's arm.
    pub name: String,
    /// `<model>-v<N>`
    pub version: String,
    /// Base addresses of the predictors, such as `http://10.0.0.7:8080`. May be empty while none is ready.
    #[serde(default)]
    pub endpoints: Vec<String>,
    /// Its buckets. Those that no arm names belong to `active`.
    #[serde(default)]
    #[schema(value_type = Vec<Vec<u16>>, example = json!([[0, 500]]))]
    pub ranges: Vec<Range>,
    /// SHA-256 of the artifact's manifest.
    pub artifact_digest: String,
}

impl Arm {
    /// Buckets that its ranges name.
    pub fn weight(&self) -> u16 {
        self.ranges.iter().map(|range| range.size()).sum()
    }
}

/// A running experiment. Its buckets are drawn with its own salt; a unit outside all its ranges is routed by the table's own arms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Experiment {
    pub name: String,
    pub salt: String,
    pub arms: Vec<Arm>,
}

/// What is assigned to an arm.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Unit {
    /// Header that names the unit; it wins over the body.
    pub header: String,
    /// Looked at in this order when the header is absent.
    pub json_pointers: Vec<String>,
}

impl Default for Unit {
    fn default() -> Self {
        Self {
            header: "x-endcap-unit".to_owned(),
            json_pointers: vec!["/customer_id".to_owned(), "/session_id".to_owned()],
        }
    }
}

/// Who answers when the arm does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Fallback {
    /// The arm alone; an empty list when it fails.
    None,
    /// The active version.
    Stable,
    /// The active version, then the router's own pack.
    #[default]
    StableThenPopularity,
}

/// The artifact whose pack the router holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Pack {
    /// Where the artifact lies; `--pack` of the router wins over it.
    pub uri: String,
    /// SHA-256 of the artifact's manifest.
    pub digest: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Table {
    pub model: String,
    pub namespace: String,
    /// Rises with every change; a lower one is refused.
    pub revision: u64,
    /// `<namespace>/<model>` unless set.
    pub salt: String,
    #[serde(default)]
    pub unit: Unit,
    /// `active` must be one of them.
    pub arms: Vec<Arm>,
    #[serde(default)]
    pub experiment: Option<Experiment>,
    /// `spec.recommendation` as the custom resource writes it. Kept as it came, so that predictors newer than the router get all of it.
    #[serde(default = "empty_object")]
    #[schema(value_type = Object)]
    pub policy: serde_json::Value,
    #[serde(default = "default_timeout_ms")]
    pub request_timeout_ms: u32,
    #[serde(default)]
    pub fallback: Fallback,
    pub pack: Pack,
    #[serde(default = "default_override_header")]
    pub override_header: String,
}

fn empty_object() -> serde_json::Value {
    serde_json::Value::Object(serde_json::Map::new())
}

/// The OMS is promised 200 ms.
fn default_timeout_ms() -> u32 {
    150
}

fn default_override_header() -> String {
    "x-endcap-version".to_owned()
}

impl Table {
    /// A table in which one version answers for everybody: what a first promotion writes, and `endcap serve`.
    pub fn single(
        namespace: &str,
        model: &str,
        revision: u64,
        version: &str,
        endpoints: Vec<String>,
        pack: Pack,
    ) -> Self {
        Self {
            model: model.to_owned(),
            namespace: namespace.to_owned(),
            revision,
            salt: format!("{namespace}/{model}"),
            unit: Unit::default(),
            arms: vec![Arm {
                name: ACTIVE.to_owned(),
                version: version.to_owned(),
                endpoints,
                ranges: vec![Range { from: 0, to: BUCKETS }],
                artifact_digest: pack.digest.clone(),
            }],
            experiment: None,
            policy: empty_object(),
            request_timeout_ms: default_timeout_ms(),
            fallback: Fallback::default(),
            pack,
            override_header: default_override_header(),
        }
    }

    /// Buckets by arm in effect: of the table's own arms, those that no range names are the active one's.
    pub fn weights(&self) -> Vec<ArmWeight> {
        let named: u16 = self.arms.iter().map(Arm::weight).sum();
        let own = self.arms.iter().map(|arm| ArmWeight {
            arm: arm.name.clone(),
            version: arm.version.clone(),
            experiment: None,
            buckets: arm.weight() + if arm.name == ACTIVE { BUCKETS.saturating_sub(named) } else { 0 },
        });
        let experimental = self.experiment.iter().flat_map(|experiment| {
            experiment.arms.iter().map(|arm| ArmWeight {
                arm: arm.name.clone(),
                version: arm.version.clone(),
                experiment: Some(experiment.name.clone()),
                buckets: arm.weight(),
            })
        });
        own.chain(experimental).collect()
    }
}

/// What a router has in effect: of an experiment's arms, buckets of the experiment's own 10,000.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ArmWeight {
    pub arm: String,
    pub version: String,
    pub experiment: Option<String>,
    pub buckets: u16,
}
