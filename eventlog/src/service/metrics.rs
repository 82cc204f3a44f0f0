//! What the event log counts.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub(super) enum Outcome {
    Accepted,
    Duplicate,
    Rejected,
    Refused,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OutcomeLabel {
    pub outcome: Outcome,
}

#[derive(Clone, Debug)]
pub(super) struct Metrics {
    pub events: Family<OutcomeLabel, Counter>,
    pub groups: Counter,
    pub group_failures: Counter,
    pub group_events: Histogram,
    pub group_seconds: Histogram,
    pub written_bytes: Counter,
    pub writable: Gauge,
    pub known_ids: Gauge,
    pub first_offset: Gauge,
    pub next_offset: Gauge,
    pub snapshot_offset: Gauge,
    pub snapshot_failures: Counter,
    pub snapshot_bytes: Gauge,
    pub state_customers: Gauge,
    pub state_sessions: Gauge,
    pub unreadable_events: Counter,
    pub tail_requests: Counter,
    pub removed_segments: Counter,
    pub export_offset: Gauge,
    pub export_lag_events: Gauge,
    pub export_lag_seconds: Gauge<f64, AtomicU64>,
    pub export_failures: Counter,
    pub export_files: Counter,
    pub export_bytes: Counter,
    pub export_lost: Counter,
}

impl Metrics {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let metrics = Self {
            events: Family::default(),
            groups: Counter::default(),
            group_failures: Counter::default(),
            group_events: Histogram::new(exponential_buckets(1.0, 4.0, 8)),
            group_seconds: Histogram::new(exponential_buckets(0.000_1, 3.0, 10)),
            written_bytes: Counter::default(),
            writable: Gauge::default(),
            known_ids: Gauge::default(),
            first_offset: Gauge::default(),
            next_offset: Gauge::default(),
            snapshot_offset: Gauge::default(),
            snapshot_failures: Counter::default(),
            snapshot_bytes: Gauge::default(),
            state_customers: Gauge::default(),
            state_sessions: Gauge::default(),
            unreadable_events: Counter::default(),
            tail_requests: Counter::default(),
            removed_segments: Counter::default(),
            export_offset: Gauge::default(),
            export_lag_events: Gauge::default(),
            export_lag_seconds: Gauge::default(),
            export_failures: Counter::default(),
            export_files: Counter::default(),
            export_bytes: Counter::default(),
            export_lost: Counter::default(),
        };
        let registry = registry.sub_registry_with_prefix("endcap_eventlog");
        registry.register("events", "Events received, by outcome", metrics.events.clone());
        registry.register("groups", "Groups that were written and synced", metrics.groups.clone());
        registry.register("group_failures", "Groups that could not be written", metrics.group_failures.clone());
        registry.register("group_events", "Events of a group", metrics.group_events.clone());
        registry.register_with_unit(
            "group_duration",
            "Writing and syncing a group",
            Unit::Seconds,
            metrics.group_seconds.clone(),
        );
        registry.register_with_unit("written", "JSON of accepted events", Unit::Bytes, metrics.written_bytes.clone());
        registry.register(
            "writable",
            "1 while the last group was written, 0 after one that could not be",
            metrics.writable.clone(),
        );
        registry.register("known_ids", "Event ids known as duplicates", metrics.known_ids.clone());
        registry.register("first_offset", "Oldest event in the log", metrics.first_offset.clone());
        registry.register("next_offset", "End of the log", metrics.next_offset.clone());
        registry.register("snapshot_offset", "First event that the snapshot lacks", metrics.snapshot_offset.clone());
        registry.register(
            "snapshot_failures",
            "Snapshots that could not be written",
            metrics.snapshot_failures.clone(),
        );
        registry.register_with_unit(
            "snapshot_size",
            "Size of the snapshot",
            Unit::Bytes,
            metrics.snapshot_bytes.clone(),
        );
        registry.register("state_customers", "Customers in the live state", metrics.state_customers.clone());
        registry.register("state_sessions", "Sessions in the live state", metrics.state_sessions.clone());
        registry.register(
            "unreadable_events",
            "Stored events that this version cannot read",
            metrics.unreadable_events.clone(),
        );
        registry.register("tail_requests", "Reads of followers", metrics.tail_requests.clone());
        registry.register("removed_segments", "Segments removed by retention", metrics.removed_segments.clone());
        metrics.writable.set(1);
        metrics.register_export(registry);
        metrics
    }

    fn register_export(&self, registry: &mut Registry) {
        registry.register("export_offset", "First event that the export lacks", self.export_offset.clone());
        registry.register("export_lag_events", "Events that wait to be exported", self.export_lag_events.clone());
        registry.register_with_unit(
            "export_lag",
            "Age of the oldest event that waits to be exported",
            Unit::Seconds,
            self.export_lag_seconds.clone(),
        );
        registry.register("export_failures", "Attempts to export that failed", self.export_failures.clone());
        registry.register("export_files", "Parquet files written", self.export_files.clone());
        registry.register_with_unit("export_written", "Parquet files written", Unit::Bytes, self.export_bytes.clone());
        registry.register(
            "export_lost_events",
            "Events removed by retention before they could be exported",
            self.export_lost.clone(),
        );
    }

    pub(super) fn count(&self, outcome: Outcome, events: usize) {
        if events > 0 {
            self.events.get_or_create(&OutcomeLabel { outcome }).inc_by(events as u64);
        }
    }
}
