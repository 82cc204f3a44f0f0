//! The program: HTTP in front, one thread that commits groups, one that folds the live state.

mod api;
mod commit;
mod exporter;
mod keeper;
mod metrics;
mod options;
mod start;
mod submit;
mod tail;

pub use commit::{CommitQueue, Refused};
pub use exporter::ExportStatus;
pub use keeper::{KeeperError, SNAPSHOT_FILE, SnapshotInfo};
pub use options::Options;
pub use start::{Running, StartError, start};

/// Says who sends events: `router` may write exposures, everyone else may not.
pub const SOURCE_HEADER: &str = "endcap-source";
/// Names the log: offsets of another log mean something else.
pub const LOG_ID_HEADER: &str = "endcap-log-id";
/// The oldest event that can be read.
pub const FIRST_OFFSET_HEADER: &str = "endcap-first-offset";
/// Where to read on.
pub const NEXT_OFFSET_HEADER: &str = "endcap-next-offset";
/// The end of the log when the answer was made: who reads on from here has caught up.
pub const END_OFFSET_HEADER: &str = "endcap-end-offset";

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}
