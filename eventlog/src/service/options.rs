//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use endcap_recommender::policy::GoDuration;

use crate::live::Limits;
use crate::log::LogConfig;

/// The event log of one model: appends events, syncs them, acknowledges them; serves them to followers; keeps the live state.
#[derive(Clone, Debug, Parser)]
#[command(name = "endcap-eventlog", version)]
pub struct Options {
    /// Folder of the log; made when missing. One program at a time.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Address of the API; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Address of /metrics, /livez and /readyz; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:9090")]
    pub metrics_listen: SocketAddr,
    /// Baseline state of the trainer (JSON, or .zst of it): where the live state of an empty log starts. Ignored once the log has begun.
    #[arg(long, value_name = "FILE")]
    pub baseline: Option<PathBuf>,
    /// Artifact beside which that state lies, `s3://bucket/prefix` or a folder: read once, when the log is empty, and kept beside the log.
    #[arg(long, value_name = "URI", conflicts_with = "baseline")]
    pub baseline_of: Option<String>,
    /// How often the live state is written to disk.
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub snapshot_interval: Duration,
    /// Events younger than this are kept; older ones go with their segment once the snapshot has them.
    #[arg(long, value_name = "DURATION", default_value = "720h", value_parser = duration)]
    pub retention: Duration,
    /// Where events are exported to as Parquet by date: `file:///folder`, a folder or `s3://bucket/prefix`. Not exported unless set.
    #[arg(long, value_name = "URI")]
    pub export: Option<String>,
    /// How often events are exported; POST /v1/export on --metrics-listen exports at once.
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = duration, requires = "export")]
    pub export_interval: Duration,
    /// Events that could not be exported are kept beyond --retention, but no longer than this.
    #[arg(long, value_name = "DURATION", default_value = "2160h", value_parser = duration, requires = "export")]
    pub export_hold: Duration,
    /// How long an event id is known as a duplicate, unless more than --dedup-ids came since.
    #[arg(long, value_name = "DURATION", default_value = "168h", value_parser = duration)]
    pub dedup_age: Duration,
    /// How many event ids are known as duplicates, unless they are older than --dedup-age.
    #[arg(long, value_name = "COUNT", default_value_t = 10_000_000)]
    pub dedup_ids: usize,
    /// A segment is closed at this size.
    #[arg(long, value_name = "BYTES", default_value_t = 32 * 1024 * 1024)]
    pub segment_bytes: u64,
    /// A segment is closed at this age.
    #[arg(long, value_name = "DURATION", default_value = "24h", value_parser = duration)]
    pub segment_age: Duration,
    /// Last orders kept of each customer.
    #[arg(long, value_name = "COUNT", default_value_t = 30)]
    pub history_orders: usize,
    /// Fold the live state from the whole log again (and --baseline, if it began with one), when its snapshot is lost or damaged.
    #[arg(long)]
    pub rebuild_state: bool,
    /// End when standard input closes, so that the program never outlives the one that started it.
    #[arg(long)]
    pub exit_with_stdin: bool,
}

impl Options {
    /// Defaults with free ports on loopback.
    pub fn on_loopback(data: PathBuf) -> Self {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut options = Self::parse_from([std::ffi::OsString::from("endcap-eventlog"), "--data".into(), data.into()]);
        options.listen = any;
        options.metrics_listen = any;
        options
    }

    pub(super) fn log(&self) -> LogConfig {
        LogConfig {
            segment_bytes: self.segment_bytes,
            segment_age: self.segment_age,
            dedup_age: self.dedup_age,
            dedup_ids: self.dedup_ids,
            ..LogConfig::default()
        }
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { orders: self.history_orders, ..Limits::default() }
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    GoDuration::parse(text)
        .map(|duration| Duration::from_millis(duration.milliseconds))
        .map_err(|error| error.to_string())
}
