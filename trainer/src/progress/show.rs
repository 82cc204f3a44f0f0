//! Bars on a terminal, JSON lines elsewhere. Both follow the board.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};

use super::{Board, Phase, Progress};

/// A bar per phase on standard error.
pub struct Bars {
    board: Arc<Board>,
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, bar: Mutex::new(None) }
    }
}

impl Progress for Bars {
    fn begin(&self, phase: Phase, total: u64) {
        self.board.begin(phase, total);
        let bar = ProgressBar::new(total);
        let template = "{prefix:>9} [{bar:30}] {percent:>3}%  {elapsed} (about {eta} left)";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_prefix(phase.as_str());
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    fn advance(&self, steps: u64) {
        self.board.advance(steps);
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            bar.inc(steps);
        }
    }

    fn end(&self, phase: Phase) {
        self.board.end(phase);
        if let Some(bar) = self.bar.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish();
        }
    }

    fn note(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{line}");
    }

    fn stopped(&self) -> bool {
        self.board.stopped()
    }
}

/// One line of JSON on standard error at the start and end of a phase, and at most twice a second between.
pub struct JsonLines {
    board: Arc<Board>,
    started: Instant,
    /// Milliseconds after `started` of the last line.
    last_ms: AtomicU64,
    phase: Mutex<Phase>,
}

impl JsonLines {
    pub fn new(board: Arc<Board>) -> Self {
        Self { board, started: Instant::now(), last_ms: AtomicU64::new(0), phase: Mutex::new(Phase::Load) }
    }

    fn write(&self) {
        let status = self.board.status();
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        let line = serde_json::json!({
            "phase": phase, "done": status.done, "total": status.total, "eta_s": status.eta_seconds, "percent": status.percent,
        });
        // A closed standard error must not stop a training.
        let _ = writeln!(std::io::stderr().lock(), "{line}");
        self.last_ms.store(self.started.elapsed().as_millis() as u64, Relaxed);
    }
}

impl Progress for JsonLines {
    fn begin(&self, phase: Phase, total: u64) {
        self.board.begin(phase, total);
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
        self.write();
    }

    fn advance(&self, steps: u64) {
        self.board.advance(steps);
        let now = self.started.elapsed().as_millis() as u64;
        let last = self.last_ms.load(Relaxed);
        if now >= last + 500 && self.last_ms.compare_exchange(last, now, Relaxed, Relaxed).is_ok() {
            self.write();
        }
    }

    fn end(&self, phase: Phase) {
        self.board.end(phase);
        self.write();
    }

    fn note(&self, line: &str) {
        let _ = writeln!(std::io::stderr().lock(), "{}", serde_json::json!({"note": line}));
    }

    fn stopped(&self) -> bool {
        self.board.stopped()
    }
}
