//! The state of a training that others read: counters that worker threads bump without locks.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::{Phase, Progress};

/// What `/progress` answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// `starting`, a phase, `finished` or `failed`
    pub phase: String,
    /// Of the whole training, 0 to 100.
    pub percent: f64,
    /// Seconds left of the current phase, by its speed so far; none before it has one.
    pub eta_seconds: Option<f64>,
    /// Steps of the current phase.
    pub done: u64,
    pub total: u64,
    pub elapsed_seconds: f64,
    pub model: String,
    pub version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

#[derive(Debug)]
pub struct Board {
    model: String,
    version: String,
    started: Instant,
    /// 0 before the first phase, then 1 + its place.
    phase: AtomicU8,
    phase_started: Mutex<Instant>,
    done: AtomicU64,
    total: AtomicU64,
    ended: AtomicBool,
    error: Mutex<Option<String>>,
    stop: AtomicBool,
}

impl Board {
    pub fn new(model: &str, version: &str) -> Self {
        Self {
            model: model.to_owned(),
            version: version.to_owned(),
            started: Instant::now(),
            phase: AtomicU8::new(0),
            phase_started: Mutex::new(Instant::now()),
            done: AtomicU64::new(0),
            total: AtomicU64::new(0),
            ended: AtomicBool::new(false),
            error: Mutex::new(None),
            stop: AtomicBool::new(false),
        }
    }

    /// Asks the training to stop at the next step.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// The training is over, well or not.
    pub fn finish(&self, error: Option<String>) {
        *self.error.lock().unwrap_or_else(PoisonError::into_inner) = error;
        self.ended.store(true, Relaxed);
    }

    fn current(&self) -> Option<Phase> {
        usize::from(self.phase.load(Relaxed)).checked_sub(1).and_then(|at| Phase::ALL.get(at).copied())
    }

    pub fn status(&self) -> Status {
        let (done, total) = (self.done.load(Relaxed), self.total.load(Relaxed));
        let share = if total == 0 { 0.0 } else { (done as f64 / total as f64).min(1.0) };
        let phase_seconds = self.phase_started.lock().unwrap_or_else(PoisonError::into_inner).elapsed().as_secs_f64();
        let current = self.current();
        let before: f64 =
            Phase::ALL.iter().take_while(|phase| Some(**phase) != current).map(|phase| phase.percent()).sum();
        let error = self.error.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let ended = self.ended.load(Relaxed);
        let (phase, percent) = match (current, ended) {
            (_, true) if error.is_none() => ("finished", 100.0),
            (Some(phase), true) => ("failed", before + share * phase.percent()),
            (None, true) => ("failed", 0.0),
            (Some(phase), false) => (phase.as_str(), before + share * phase.percent()),
            (None, false) => ("starting", 0.0),
        };
        Status {
            phase: phase.to_owned(),
            percent: (percent * 10.0).round() / 10.0,
            eta_seconds: (!ended && share > 0.0).then(|| phase_seconds * (1.0 - share) / share),
            done,
            total,
            elapsed_seconds: self.started.elapsed().as_secs_f64(),
            model: self.model.clone(),
            version: self.version.clone(),
            error,
        }
    }
}

impl Progress for Board {
    fn begin(&self, phase: Phase, total: u64) {
        *self.phase_started.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        self.done.store(0, Relaxed);
        self.total.store(total, Relaxed);
        self.phase.store(1 + phase as u8, Relaxed);
    }

    fn advance(&self, steps: u64) {
        self.done.fetch_add(steps, Relaxed);
    }

    fn end(&self, _: Phase) {
        self.done.store(self.total.load(Relaxed), Relaxed);
    }

    fn stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_rises_over_the_phases_to_a_hundred() {
        let board = Board::new("shop", "shop-v1");
        assert_eq!(board.status().phase, "starting");
        let mut last = 0.0;
        for phase in Phase::ALL {
            board.begin(phase, 4);
            for _ in 0..4 {
                board.advance(1);
                let status = board.status();
                assert!(status.percent > last && status.percent <= 100.0, "{status:?}");
                last = status.percent;
            }
            board.end(phase);
        }
        board.finish(None);
        assert_eq!(board.status().phase, "finished");
        board.finish(Some("no space".to_owned()));
        assert_eq!(board.status().phase, "failed");
    }
}
