//! The answers. Times are RFC 3339 in UTC, rates 0 to 1, money a decimal string in the model's currency.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /v1/status`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Status {
    /// `<namespace>/<model>` of the table in effect.
    pub model: Option<String>,
    pub log_id: Option<String>,
    /// The first offset that is not folded.
    pub offset: u64,
    /// Whether the log answers.
    pub following: bool,
    /// Whether the end of the log was reached the last time it was asked.
    pub caught_up: bool,
    /// Seconds since the newest folded event was accepted, while the end is not reached; else 0.
    pub lag_s: f64,
    pub table_revision: Option<u64>,
    pub table_hash: Option<String>,
    /// The version whose catalogue and reference are read.
    pub version: Option<String>,
    pub has_reference: bool,
    /// An outcome counts to a list for so long.
    pub attribution_s: f64,
    pub kept: KeptStatus,
    pub counts: CountsStatus,
    /// How often something did not fit. All zero: nothing is missing from the figures.
    pub bounds: BoundsStatus,
    pub size: SizeStatus,
    /// Experiments that are known, running or past.
    pub experiments: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
}

/// The state on disk.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KeptStatus {
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
    pub offset: u64,
    pub bytes: u64,
    pub failures: u64,
}

/// What was read.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CountsStatus {
    pub events: u64,
    pub lists: u64,
    /// Lists shown to nobody known: in sums, in no figure by user.
    pub unkeyed_lists: u64,
    pub repeated_lists: u64,
    pub purchases: u64,
    pub repeated_purchases: u64,
    /// Clicks, accepts, declines and order lines for which no list was there when they came.
    pub without_list: u64,
    pub lines_without_price: u64,
}

/// How often a bound was hit.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct BoundsStatus {
    /// Lists that went before outcomes could not follow from them any more (`--lists`).
    pub lists: u64,
    pub actions: u64,
    /// Units of experiments for which there was no room (`--experiment-units`), in lists.
    pub experiment_units: u64,
    pub experiments: u64,
    pub slices: u64,
    /// Stretches of time that went before their time.
    pub stretches: u64,
    /// Events so late that even their day was forgotten.
    pub too_old: u64,
    /// Events that the log had forgotten before they were read.
    pub missed_events: u64,
}

/// What is held.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SizeStatus {
    pub lists: usize,
    pub units: usize,
    pub cells: usize,
    pub slices: usize,
    pub experiment_units: usize,
}

/// `GET /v1/kpis`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Kpis {
    pub by: By,
    pub rows: Vec<KpiRow>,
    /// What coverage is a share of; null until an artifact is read.
    pub catalogue_products: Option<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum By {
    TenSeconds,
    Minute,
    #[default]
    Hour,
    Day,
}

/// Lists that were shown in a stretch of time, and what became of them since.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct KpiRow {
    #[schema(value_type = String, format = DateTime)]
    pub start: Timestamp,
    pub version: String,
    pub arm: String,
    pub experiment: Option<String>,
    pub placement: Option<String>,
    pub lists: u64,
    pub items: u64,
    /// Items that were clicked, each once a list.
    pub clicks: i64,
    pub clicked_lists: i64,
    /// Clicked lists of all lists.
    pub ctr: Option<f64>,
    pub accepts: i64,
    pub accepted_lists: i64,
    /// Lists with an accept of all lists.
    pub accept_rate: Option<f64>,
    pub declines: i64,
    /// Order lines that follow from a list.
    pub conversions: i64,
    pub converted_lists: i64,
    /// Lists with a conversion of all lists.
    pub conversion: Option<f64>,
    /// Of the order lines that follow from a list.
    pub revenue: String,
    /// Customers or sessions; exact up to 1,024, then about 3 %.
    pub users: f64,
    /// Different products; exact up to 1,024, then about 3 %.
    pub distinct_products: f64,
    /// Different products of the catalogue's.
    pub coverage: Option<f64>,
    /// Probability that two shown items are of different products.
    pub diversity: Option<f64>,
}

/// `GET /v1/arms`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Arms {
    /// The window as it was answered: widened to whole tens of seconds, minutes, hours or days.
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    pub by: By,
    /// Lists that coverage and diversity of every arm were taken from: a uniform sample of the same size.
    pub lists_compared: usize,
    pub arms: Vec<ArmFigures>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ArmFigures {
    pub version: String,
    pub arm: String,
    pub experiment: Option<String>,
    pub users: f64,
    pub lists: u64,
    pub items: u64,
    pub metrics: Vec<MetricFigure>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Metric {
    Ctr,
    AcceptRate,
    Conversion,
    RevenuePerUser,
    Coverage,
    Diversity,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct MetricFigure {
    pub metric: Metric,
    pub value: Option<f64>,
    /// By user, not by request; null where there is too little to say.
    pub standard_error: Option<f64>,
    /// Users; for Coverage and Diversity lists compared.
    pub n: f64,
}

/// `GET /v1/experiments/{name}`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExperimentFigures {
    pub name: String,
    pub metric: ExperimentMetric,
    pub direction: Direction,
    pub control: String,
    pub alpha: f64,
    pub attribution_s: f64,
    pub arms: Vec<ExperimentArm>,
    /// Chi-square of users by arm against the table's ranges; null when the shares are not known.
    pub srm_p_value: Option<f64>,
    /// For `mde` and `power`, where both are sent.
    pub required_sample_per_arm: Option<u64>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub first_exposure: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub last_exposure: Option<Timestamp>,
    /// Whether the table in effect names it.
    pub in_table: bool,
    /// Lists that are left out: shown to nobody known; of a unit from another arm than its first; of units beyond the bound.
    pub unkeyed: u64,
    pub crossed: u64,
    pub no_room: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum ExperimentMetric {
    /// Clicked lists of all lists.
    Ctr,
    /// Users with an attributed order line of all users.
    Conversion,
    /// Revenue of attributed order lines by user.
    RevenuePerUser,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Direction {
    #[default]
    Increase,
    Decrease,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ExperimentArm {
    pub name: String,
    pub version: String,
    pub users: u64,
    /// Lists.
    pub exposures: u64,
    /// Ctr: clicked lists. Conversion: converted users. RevenuePerUser: order lines.
    pub events: i64,
    pub value: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    /// Relative to the control; null for the control.
    pub lift: Option<f64>,
    pub lift_low: Option<f64>,
    pub lift_high: Option<f64>,
    /// Two-sided; null for the control.
    pub p_value: Option<f64>,
    /// Whether it differs from the control at `alpha` in the wanted direction.
    pub is_better: Option<bool>,
}

/// `GET /v1/drift`: facts, no verdicts.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Drift {
    pub version: String,
    #[schema(value_type = String, format = DateTime)]
    pub from: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    pub to: Timestamp,
    pub by: By,
    pub baseline: Baseline,
    pub windows: u32,
    /// Why there is no reference, if so: then the signals that need one are missing.
    pub no_reference: Option<String>,
    pub signals: Vec<SignalFacts>,
    pub ctr: BaselineFacts,
    pub coverage: BaselineFacts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Baseline {
    /// The windows of the same length just before.
    #[default]
    TrailingWindows,
    /// The same window one, two, ... weeks before.
    SameWeekday,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Signal {
    Score,
    NumericFeature,
    CategoricalFeature,
    UnknownRate,
    PopularityConcentration,
    NullRate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum Statistic {
    Psi,
    Ks,
    Rate,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct SignalFacts {
    pub signal: Signal,
    pub feature: String,
    pub statistic: Statistic,
    pub value: f64,
    /// The other side of a rate.
    pub reference: Option<f64>,
    pub n_ref: u64,
    pub n_cur: u64,
    /// Bins that a Psi or Ks was taken over.
    pub bins: Option<usize>,
}

/// A figure and the same of the baseline windows. `n`: users for ctr, lists compared for coverage.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct BaselineFacts {
    pub value: Option<f64>,
    pub se: Option<f64>,
    pub n: f64,
    pub baseline: Option<f64>,
    pub baseline_se: Option<f64>,
    pub baseline_n: f64,
}

/// `GET /v1/products`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Products {
    pub products: Vec<ProductFound>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ProductFound {
    pub id: String,
    pub name: String,
    /// Its name.
    pub category: Option<String>,
    pub unit_price: Option<String>,
    /// On hand; null when no level is known.
    pub stock: Option<f64>,
    pub active: bool,
}

/// `GET /v1/customers`
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Customers {
    pub customers: Vec<CustomerFound>,
}

#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct CustomerFound {
    pub id: String,
    /// Orders that the live state holds, the newest 30 at most.
    pub orders: usize,
}
