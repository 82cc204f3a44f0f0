//! The counters as `OpenMetrics`: the same numbers that gates read, labelled by model, version and arm alone.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric, NoLabelSet};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::App;
use super::counters::ArmReport;

/// Reads the counters when somebody asks for metrics, so that there is one set of numbers.
pub struct RouterCollector {
    pub app: Arc<App>,
}

impl std::fmt::Debug for RouterCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("RouterCollector")
    }
}

type Read = fn(&ArmReport) -> u64;

const PER_ARM: [(&str, &str, Read); 5] = [
    ("endcap_router_requests", "Questions by the arm that their unit belongs to", |arm| arm.requests),
    ("endcap_router_errors", "Questions that the arm's own predictors did not answer", |arm| arm.errors),
    ("endcap_router_fallback", "Questions that another rung answered", |arm| arm.fallback),
    ("endcap_router_empty", "Answers without an item", |arm| arm.empty),
    ("endcap_router_late", "Answers later than the request timeout", |arm| arm.late),
];

impl Collector for RouterCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let app = &self.app;
        let routing = app.tables.current();
        let revision = routing.as_ref().map_or(0, |routing| routing.table.revision);
        let model = routing.as_ref().map_or("", |routing| routing.table.model.as_str());
        let report = app.ladder.counters.report(Some(revision), app.exposures.counts());
        for (name, help, read) in PER_ARM {
            let mut family =
                encoder.encode_descriptor(name, help, None, prometheus_client::metrics::MetricType::Counter)?;
            for arm in &report.arms {
                let labels = [("model", model), ("version", arm.version.as_str()), ("arm", arm.arm.as_str())];
                ConstCounter::new(read(arm)).encode(family.encode_family(&labels)?)?;
            }
        }
        let name = "endcap_router_latency_seconds";
        let kind = prometheus_client::metrics::MetricType::Histogram;
        let mut family = encoder.encode_descriptor(name, "Time from question to answer at the router", None, kind)?;
        for arm in &report.arms {
            let labels = [("model", model), ("version", arm.version.as_str()), ("arm", arm.arm.as_str())];
            let bounds = arm.latency.le_ms.iter().map(|ms| ms / 1e3).chain([f64::MAX]);
            let buckets: Vec<(f64, u64)> = bounds.zip(arm.latency.buckets.iter().copied()).collect();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(
                arm.latency.sum_ms / 1e3,
                arm.latency.count,
                &buckets,
                None,
            )?;
        }
        let counters = &app.ladder.counters;
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        for (name, help, value) in [
            ("endcap_router_unkeyed", "Questions without a unit", load(&counters.unkeyed)),
            ("endcap_router_invalid", "Questions refused as invalid", load(&counters.invalid)),
            (
                "endcap_router_overloaded",
                "Questions that the pack answered because too many were under way",
                load(&counters.overloaded),
            ),
            ("endcap_router_pack", "Answers of the pack", load(&counters.pack)),
            (
                "endcap_router_overridden",
                "Questions whose version the QA port's caller chose",
                load(&counters.overridden),
            ),
            ("endcap_router_exposures_sent", "Exposures on disk in the event log", report.exposures.sent),
            ("endcap_router_exposures_dropped", "Exposures lost to a full spool or refused", report.exposures.dropped),
        ] {
            let counter = ConstCounter::new(value);
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)?;
        }
        let ready =
            routing.iter().flat_map(|routing| routing.endpoints()).filter(|endpoint| endpoint.is_ready()).count();
        for (name, help, value) in [
            ("endcap_router_table_revision", "Revision of the table in effect", revision as i64),
            ("endcap_router_ready_endpoints", "Predictors that are taken as ready", ready as i64),
            ("endcap_router_exposures_waiting", "Exposures in the spool", report.exposures.waiting as i64),
            ("endcap_live_following", "1 while the event log is followed", i64::from(app.is_following())),
        ] {
            let gauge = ConstGauge::new(value);
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)?;
        }
        Ok(())
    }
}
