//! The state as a file: zstd over JSON lines. The first line is the head, the last one says how many stand between, so that half a
//! snapshot is never taken for a whole one. Keyed by external ids: it serves every version of a model.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::Path;

use endcap_recommender::ids::{CustomerId, OfferId, ProductId, SessionId};
use endcap_recommender::live::{BaselineState, CustomerState, StockLevel};
use endcap_recommender::offers::Offer;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{Limits, LiveState, Shown, Visit};

const FORMAT: &str = "endcap-live-state/1";
const ZSTD_LEVEL: i32 = 1;

/// Why a state could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    #[error("failed to read the live state: {0}")]
    Io(#[from] std::io::Error),
    #[error("failed to read line {line} of the live state: {source}")]
    Line { line: usize, source: serde_json::Error },
    #[error(
        "failed to read the live state: format is {found:?}, this program reads {FORMAT:?}; use a program of the same version"
    )]
    Format { found: String },
    #[error("failed to read the live state: it ends after {lines} lines without its end mark; it was cut off")]
    CutOff { lines: usize },
    #[error("failed to read the live state: its end mark counts {said} lines, there are {found}")]
    Count { said: usize, found: usize },
    #[error(
        "failed to read the baseline state {path}: {why}; have the trainer write it again, or start without --baseline"
    )]
    Baseline { path: String, why: String },
}

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotHead {
    pub format: String,
    /// Of which log: another log's offsets mean something else.
    pub log_id: String,
    /// The first offset that is not in it.
    pub next_offset: u64,
    pub clock_s: i64,
    pub limits: Limits,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum LineOut<'a> {
    Customer(&'a CustomerId, &'a CustomerState),
    Session(&'a SessionId, &'a Visit),
    Stock(&'a ProductId, &'a StockLevel),
    Price(&'a ProductId, &'a Decimal),
    Offer(&'a OfferId, &'a Offer),
    Active(&'a ProductId, bool),
    ShownToCustomer(&'a CustomerId, &'a Shown),
    ShownToSession(&'a SessionId, &'a Shown),
    End { lines: usize },
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LineIn {
    Customer(CustomerId, CustomerState),
    Session(SessionId, Visit),
    Stock(ProductId, StockLevel),
    Price(ProductId, Decimal),
    Offer(OfferId, Offer),
    Active(ProductId, bool),
    ShownToCustomer(CustomerId, Shown),
    ShownToSession(SessionId, Shown),
    End { lines: usize },
}

/// Writes the state. Returns what was written to (flushed, not synced).
pub fn write_snapshot<W: Write>(live: &LiveState, log_id: &str, out: W) -> std::io::Result<W> {
    let mut encoder = zstd::stream::write::Encoder::new(out, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    let mut lines = LineWriter { out: BufWriter::with_capacity(64 * 1024, encoder), lines: 0 };
    let head = SnapshotHead {
        format: FORMAT.to_owned(),
        log_id: log_id.to_owned(),
        next_offset: live.next_offset,
        clock_s: live.clock_s,
        limits: live.limits,
    };
    serde_json::to_writer(&mut lines.out, &head)?;
    lines.out.write_all(b"\n")?;
    for (id, customer) in &live.customers {
        lines.put(&LineOut::Customer(id, customer))?;
    }
    for (id, visit) in &live.sessions {
        lines.put(&LineOut::Session(id, visit))?;
    }
    for (id, level) in &live.shelf.stock {
        lines.put(&LineOut::Stock(id, level))?;
    }
    for (id, price) in &live.shelf.prices {
        lines.put(&LineOut::Price(id, price))?;
    }
    for (id, offer) in &live.shelf.offers {
        lines.put(&LineOut::Offer(id, offer))?;
    }
    for (id, active) in &live.shelf.active {
        lines.put(&LineOut::Active(id, *active))?;
    }
    for (id, shown) in &live.shown_customers {
        lines.put(&LineOut::ShownToCustomer(id, shown))?;
    }
    for (id, shown) in &live.shown_sessions {
        lines.put(&LineOut::ShownToSession(id, shown))?;
    }
    let count = lines.lines;
    lines.put(&LineOut::End { lines: count })?;
    let encoder = lines.out.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    encoder.finish()
}

struct LineWriter<W: Write> {
    out: BufWriter<W>,
    lines: usize,
}

impl<W: Write> LineWriter<W> {
    fn put(&mut self, line: &LineOut<'_>) -> std::io::Result<()> {
        self.lines += 1;
        serde_json::to_writer(&mut self.out, line)?;
        self.out.write_all(b"\n")
    }
}

/// Reads a state. `limits` replaces the snapshot's own (the log does that; followers take those of the log).
pub fn read_snapshot<R: Read>(input: R, limits: Option<Limits>) -> Result<(SnapshotHead, LiveState), SnapshotError> {
    let mut input = BufReader::with_capacity(64 * 1024, zstd::stream::read::Decoder::new(input)?);
    let mut text = Vec::new();
    let mut number = 0;
    let mut next = |text: &mut Vec<u8>| -> Result<usize, SnapshotError> {
        text.clear();
        input.read_until(b'\n', text)?;
        if !text.is_empty() {
            number += 1;
        }
        Ok(number)
    };
    let line = next(&mut text)?;
    let head: SnapshotHead = serde_json::from_slice(&text).map_err(|source| SnapshotError::Line { line, source })?;
    if head.format != FORMAT {
        return Err(SnapshotError::Format { found: head.format });
    }
    let mut live = LiveState::new(limits.unwrap_or(head.limits));
    live.next_offset = head.next_offset;
    live.clock_s = head.clock_s;
    let mut found = 0;
    loop {
        let line = next(&mut text)?;
        if text.is_empty() {
            return Err(SnapshotError::CutOff { lines: line });
        }
        match serde_json::from_slice(&text).map_err(|source| SnapshotError::Line { line, source })? {
            LineIn::End { lines } if lines == found => break,
            LineIn::End { lines } => return Err(SnapshotError::Count { said: lines, found }),
            other => live.put(other),
        }
        found += 1;
    }
    // To the end, so that zstd checks its checksum.
    while next(&mut text).map(|_| !text.is_empty())? {}
    Ok((head, live))
}

impl LiveState {
    fn put(&mut self, line: LineIn) {
        match line {
            LineIn::Customer(id, state) => self.put_customer(id, state),
            LineIn::Session(id, mut visit) => {
                for (product, _) in &mut visit.state.viewed {
                    self.names.share(product);
                }
                for (product, _) in &mut visit.state.cart {
                    self.names.share(product);
                }
                self.sessions.insert(id, visit);
            }
            LineIn::Stock(mut id, level) => {
                self.names.share(&mut id);
                self.shelf.stock.insert(id, level);
            }
            LineIn::Price(mut id, price) => {
                self.names.share(&mut id);
                self.shelf.prices.insert(id, price);
            }
            LineIn::Offer(id, offer) => {
                self.shelf.offers.insert(id, offer);
            }
            LineIn::Active(id, active) => {
                self.shelf.active.insert(id, active);
            }
            LineIn::ShownToCustomer(id, shown) => {
                let shown = self.shared_showings(shown);
                self.shown_customers.insert(id, shown);
            }
            LineIn::ShownToSession(id, shown) => {
                let shown = self.shared_showings(shown);
                self.shown_sessions.insert(id, shown);
            }
            LineIn::End { .. } => {}
        }
    }

    fn shared_showings(&mut self, mut shown: Shown) -> Shown {
        for (product, _) in &mut shown.items {
            self.names.share(product);
        }
        shown
    }

    /// As the trainer would write it: what a next baseline, or a test, compares.
    pub fn to_baseline(&self) -> BaselineState {
        let customers: HashMap<CustomerId, CustomerState> = self.customers.clone();
        BaselineState { customers, shelf: self.shelf.clone() }
    }
}

/// Reads the baseline state that the trainer wrote: JSON, or zstd over JSON when the name ends in `.zst`.
pub fn read_baseline(path: &Path) -> Result<BaselineState, SnapshotError> {
    let wrong = |why: String| SnapshotError::Baseline { path: path.display().to_string(), why };
    let file = std::fs::File::open(path).map_err(|error| wrong(error.to_string()))?;
    let compressed = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("zst"));
    let read = if compressed {
        let decoder = zstd::stream::read::Decoder::new(file).map_err(|error| wrong(error.to_string()))?;
        serde_json::from_reader(BufReader::new(decoder))
    } else {
        serde_json::from_reader(BufReader::new(file))
    };
    read.map_err(|error| wrong(error.to_string()))
}
