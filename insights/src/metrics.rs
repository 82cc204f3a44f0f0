//! `/metrics`: the status as gauges, read when it is asked for.

use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::gauge::ConstGauge;

use crate::api::{App, status_of};

pub struct InsightsCollector {
    pub app: Arc<App>,
}

impl std::fmt::Debug for InsightsCollector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("InsightsCollector").finish_non_exhaustive()
    }
}

impl Collector for InsightsCollector {
    fn encode(&self, mut encoder: DescriptorEncoder) -> Result<(), std::fmt::Error> {
        let status = status_of(&self.app);
        let bounds = &status.bounds;
        let bounds_hit = bounds.lists
            + bounds.actions
            + bounds.experiment_units
            + bounds.experiments
            + bounds.slices
            + bounds.stretches
            + bounds.too_old;
        let gauges = [
            ("next_offset", "First event that is not folded", status.offset as f64),
            ("following", "1 while the event log answers", f64::from(u8::from(status.following))),
            ("caught_up", "1 when the end of the log was reached", f64::from(u8::from(status.caught_up))),
            ("lag_seconds", "Age of the newest folded event while the end is not reached", status.lag_s),
            ("table_revision", "Routing table in effect", status.table_revision.unwrap_or(0) as f64),
            ("events", "Events folded", status.counts.events as f64),
            ("lists", "Lists shown", status.counts.lists as f64),
            ("waiting_lists", "Lists that wait for outcomes", status.size.lists as f64),
            ("cells", "Cells of the rollups", status.size.cells as f64),
            ("experiment_units", "Units of experiments", status.size.experiment_units as f64),
            ("bounds_hit", "How often something did not fit", bounds_hit as f64),
            ("missed_events", "Events that the log forgot before they were read", bounds.missed_events as f64),
            ("kept_offset", "First event that the kept state lacks", status.kept.offset as f64),
            ("kept_size_bytes", "Size of the kept state", status.kept.bytes as f64),
            ("keep_failures", "States that could not be kept", status.kept.failures as f64),
        ];
        for (name, help, value) in gauges {
            let gauge = ConstGauge::new(value);
            let name = format!("endcap_insights_{name}");
            let metric = encoder.encode_descriptor(&name, help, None, gauge.metric_type())?;
            gauge.encode(metric)?;
        }
        Ok(())
    }
}
