//! From the canonical tables on disk to what the fits read. Every table is checked against its SHA-256 first; every row that is
//! not used is counted by reason.

mod catalogue;
mod labels;
mod orders;
mod people;
mod sales;
mod shelf;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use endcap_recommender::fitted::Catalogue;
use endcap_recommender::live::ShelfState;
use endcap_tables::{DatasetManifest, MergedEvents, RejectedRows, Row, scan};
use jiff::Timestamp;

pub use labels::Labels;
pub use people::{Declined, Rated, TRAITS, Trait};
pub use sales::{Line, OrderHead, Sales, View};

use crate::TrainError;
use crate::progress::{Phase, Progress, check};

/// A test period: what happened from `from_s` on is not learned from, orders before `until_s` are held for the test. Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    pub from_s: i64,
    pub until_s: i64,
}

/// Rows that were not used, by table and reason.
pub type Rejected = BTreeMap<(String, String), u64>;

/// A whole dataset in memory. No contact of a customer is in it.
#[derive(Debug, Default)]
pub struct Dataset {
    /// SHA-256 of `dataset.json`.
    pub digest: String,
    pub currency: Option<String>,
    pub catalogue: Catalogue,
    /// Customers of the table and of orders.
    pub customers: Labels,
    /// By customer and trait, an index into `labels`.
    pub traits: Vec<[u32; TRAITS.len()]>,
    /// Values of channels, places and traits.
    pub labels: Labels,
    pub sales: Sales,
    /// Orders of the test period, where the dataset was loaded with a cut.
    pub held: Sales,
    pub shelf: ShelfState,
    pub ratings: Vec<Rated>,
    pub declines: Vec<Declined>,
    pub rejected: Rejected,
    /// What of an event log is in the dataset, and how many events changed nothing in it.
    pub events: Option<MergedEvents>,
    pub events_rejected: Vec<RejectedRows>,
    /// The first reasons why offers were refused.
    pub offer_errors: Vec<String>,
    /// Products whose price was not in the table and was taken from their newest orders.
    pub prices_from_sales: u64,
}

impl Dataset {
    pub fn trained_until(&self) -> Option<Timestamp> {
        self.sales.heads.last().and_then(|head| Timestamp::from_second(head.at_s).ok())
    }
}

/// Reads the tables that the dataset's manifest names.
pub(crate) struct Tables<'a> {
    dir: &'a Path,
    manifest: &'a DatasetManifest,
    progress: &'a dyn Progress,
    rejected: Rejected,
}

impl Tables<'_> {
    fn has<R: Row>(&self) -> bool {
        self.manifest.tables.contains_key(R::TABLE)
    }

    fn rows<R: Row>(&self) -> u64 {
        self.manifest.rows(R::TABLE)
    }

    fn need<R: Row>(&self) -> Result<(), TrainError> {
        if self.has::<R>() { Ok(()) } else { Err(TrainError::NoTable(self.dir.to_owned(), R::TABLE)) }
    }

    /// Hands out a table's rows batch by batch; none when the dataset has no such table.
    fn each<R: Row>(&self, mut each: impl FnMut(R)) -> Result<(), TrainError> {
        if !self.has::<R>() {
            return Ok(());
        }
        check(self.progress, Phase::Load)?;
        scan(self.dir, |rows: Vec<R>| {
            self.progress.advance(rows.len() as u64);
            rows.into_iter().for_each(&mut each);
        })?;
        Ok(())
    }

    fn reject(&mut self, table: &str, reason: &str, rows: u64) {
        if rows > 0 {
            *self.rejected.entry((table.to_owned(), reason.to_owned())).or_default() += rows;
        }
    }
}

/// Loads and checks a dataset. Reports progress in rows; checking the digests counts as much as reading.
pub fn load(dir: &Path, progress: &dyn Progress) -> Result<Dataset, TrainError> {
    load_cut(dir, None, progress)
}

/// [`load`] with a test period cut off first: nothing but [`Dataset::held`] depends on orders, cancellations, ratings or declines from
/// the cut on. What has no time (the catalogue, customers' attributes, offers) is taken as it stands.
pub fn load_cut(dir: &Path, cut: Option<Cut>, progress: &dyn Progress) -> Result<Dataset, TrainError> {
    let manifest = DatasetManifest::open(dir)?;
    let rows: u64 = manifest.tables.values().map(|table| table.rows).sum();
    progress.begin(Phase::Load, rows * 2);
    manifest.verify(dir)?;
    progress.advance(rows);
    let mut tables = Tables { dir, manifest: &manifest, progress, rejected: Rejected::new() };

    let people = people::read(&mut tables)?;
    let mut products = catalogue::read(&mut tables)?;
    let orders = orders::read(&mut tables, &people, &mut products, cut)?;
    let interactions = people::interactions(&mut tables, &orders.customers, &products, cut)?;
    let (shelf, offer_errors) = shelf::read(&mut tables)?;
    let no_orders = orders.sales.heads.is_empty();
    if no_orders {
        return Err(TrainError::NoOrders {
            dir: PathBuf::from(dir),
            orders: manifest.rows(endcap_tables::Order::TABLE),
            placed: orders.placed,
            lines: orders.sales.view().line_count(),
        });
    }
    let prices_from_sales = products.price_from_sales(&orders.sales);
    let rejected = std::mem::take(&mut tables.rejected);
    progress.end(Phase::Load);
    Ok(Dataset {
        digest: manifest.digest(),
        currency: manifest.currency.clone().or(orders.currency),
        catalogue: products.catalogue,
        traits: people.traits_of(&orders.customers, &orders.labels),
        customers: orders.customers,
        labels: orders.labels,
        sales: orders.sales,
        held: orders.held,
        shelf,
        ratings: interactions.0,
        declines: interactions.1,
        rejected,
        events: manifest.events.clone(),
        events_rejected: manifest.rejected.iter().filter(|rows| rows.table == "events").cloned().collect(),
        offer_errors,
        prices_from_sales,
    })
}
