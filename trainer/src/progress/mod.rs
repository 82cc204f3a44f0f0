//! How far a training is, for people (bars), for machines (JSON lines) and for the operator (`/progress`).

mod board;
mod http;
mod show;

pub use board::{Board, Status};
pub use http::{Listener, serve};
pub use show::{Bars, JsonLines};

/// The steps of a training, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    Load,
    Features,
    /// The generators fitted on what came before the validation window.
    Backtest,
    Tune,
    Fit,
    /// The active version beside a model that knows no more than it does.
    Compare,
    Publish,
}

impl Phase {
    pub const ALL: [Self; 7] =
        [Self::Load, Self::Features, Self::Backtest, Self::Tune, Self::Fit, Self::Compare, Self::Publish];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Features => "features",
            Self::Backtest => "backtest",
            Self::Tune => "tune",
            Self::Fit => "fit",
            Self::Compare => "compare",
            Self::Publish => "publish",
        }
    }

    /// Share of a whole training in percent, as measured on a wholesaler's year; only for the overall percentage.
    pub(crate) fn percent(self) -> f64 {
        match self {
            Self::Load => 10.0,
            Self::Features | Self::Publish => 3.0,
            Self::Backtest | Self::Fit => 20.0,
            Self::Tune => 36.0,
            // Passed over where there is no active version.
            Self::Compare => 8.0,
        }
    }
}

/// Where a training says how far it is. Called from worker threads; must not block.
pub trait Progress: Send + Sync {
    /// A phase begins, with so many steps.
    fn begin(&self, phase: Phase, total: u64);
    /// More steps of the current phase are done.
    fn advance(&self, steps: u64);
    /// The current phase is over.
    fn end(&self, phase: Phase);
    /// Something worth a line.
    fn note(&self, _line: &str) {}
    /// Whether the training should stop; asked between steps.
    fn stopped(&self) -> bool {
        false
    }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn begin(&self, _: Phase, _: u64) {}
    fn advance(&self, _: u64) {}
    fn end(&self, _: Phase) {}
}

pub(crate) fn check(progress: &dyn Progress, phase: Phase) -> Result<(), crate::TrainError> {
    if progress.stopped() { Err(crate::TrainError::Stopped(phase.as_str())) } else { Ok(()) }
}
