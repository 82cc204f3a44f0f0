//! The merged dataset, table by table. Rows of events take their places in the order of each table's key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

use endcap_eventlog::export::Export;
use endcap_eventlog::log::event_key;
use endcap_tables::{
    Brand, Cancellation, Category, Customer, DatasetManifest, DatasetWriter, Exposure, Identity, Interaction,
    MergedEvents, Order, OrderLine, OrderStatus, Place, Product, Row, Stock, TableError, TableWriter, TimeRange, scan,
};
use rust_decimal::Decimal;
use sha2::{Digest, Sha256};

use crate::collect::{Collected, Sale, collect};
use crate::net::{Netted, Netting};
use crate::shelf::{change_customer, new_customers, offer_row, price_products, stock_rows};
use crate::stream::{Sinks, judge, stream};
use crate::tally::Tally;
use crate::{FeedbackError, MergeOptions, Tick, same_folder};

/// Merges an export into a dataset. Reads and writes files in between: not for an async program's own threads.
/// `tick` is called with rows and events as they are read.
pub async fn merge(options: &MergeOptions, tick: Tick<'_>) -> Result<DatasetManifest, FeedbackError> {
    let base = DatasetManifest::open(&options.base)?;
    if same_folder(&options.base, &options.out) {
        return Err(FeedbackError::SameFolder(options.out.clone()));
    }
    let export = Export::open(options.events.clone()).await?;
    let merged_before = base.events.as_ref().filter(|events| events.log_id == export.point.log_id);
    let from = merged_before.map_or(0, |events| events.to_offset);
    let exported = export.point.exported_offset;
    let until = options.until.unwrap_or(exported);
    if until > exported {
        return Err(FeedbackError::NotExported { until, exported });
    }
    if from > until {
        return Err(FeedbackError::Behind { merged: from, exported: until });
    }
    let offsets = from..until;
    base.verify(&options.base)?;
    let as_of = base.time_range.map(|range| range.to);
    let found = collect(&export, offsets.clone(), as_of, tick).await?;
    let mut merging =
        Merging { base: &base, dir: &options.base, out: DatasetWriter::create(&options.out)?, found, tick };
    merging.people()?;
    let products = merging.products()?;
    let time_range = merging.sales(&products)?;
    merging.shelf()?;
    let mut sinks = merging.sinks()?;
    let mut tally = std::mem::take(&mut merging.found.tally);
    if merging.found.interactions || merging.found.exposures {
        stream(&export, offsets.clone(), &merging.found, &mut sinks, &mut tally, tick).await?;
    }
    merging.close(sinks)?;
    let Merging { mut out, found, .. } = merging;
    out.merged(MergedEvents {
        base_sha256: base.digest(),
        log_id: export.point.log_id.clone(),
        from_offset: from,
        to_offset: until,
        parts: found.parts.len() as u64,
        parts_sha256: parts_digest(&found),
        counts: tally.counts.clone(),
    });
    Ok(out.finish(time_range, base.currency.clone(), tally.rejected(&base.rejected))?)
}

fn parts_digest(found: &Collected) -> String {
    let mut hasher = Sha256::new();
    for part in &found.parts {
        hasher.update(format!("{} {}\n", part.file, part.sha256));
    }
    hex::encode(hasher.finalize())
}

struct Merging<'a> {
    base: &'a DatasetManifest,
    dir: &'a Path,
    out: DatasetWriter,
    found: Collected,
    tick: Tick<'a>,
}

/// Products by id, with the prices of now; `None` where the dataset has no table of them.
type Prices = Option<HashMap<String, Option<Decimal>>>;

impl Merging<'_> {
    fn has<R: Row>(&self) -> bool {
        self.base.tables.contains_key(R::TABLE)
    }

    /// Hands out a table's rows; none where the dataset has no such table.
    fn each<R: Row>(&self, mut each: impl FnMut(R) -> Result<(), TableError>) -> Result<(), FeedbackError> {
        if !self.has::<R>() {
            return Ok(());
        }
        let mut failed: Option<FeedbackError> = None;
        scan(self.dir, |rows: Vec<R>| {
            if failed.is_none() && !(self.tick)(rows.len() as u64) {
                failed = Some(FeedbackError::Stopped);
            }
            for row in rows {
                if failed.is_none()
                    && let Err(error) = each(row)
                {
                    failed = Some(error.into());
                }
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    fn all<R: Row>(&self) -> Result<Vec<R>, FeedbackError> {
        let mut rows = Vec::new();
        self.each(|row: R| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    /// Writes a table: the dataset's rows as `change` leaves them, and `added` (sorted by `key`) in between. Not written when
    /// there is neither.
    fn table<R: Row, K: Ord>(
        &mut self,
        key: impl Fn(&R) -> K,
        mut change: impl FnMut(R) -> Option<R>,
        added: Vec<R>,
    ) -> Result<(), FeedbackError> {
        if !self.has::<R>() && added.is_empty() {
            return Ok(());
        }
        let mut writer = self.out.writer::<R>()?;
        let mut added = added.into_iter().peekable();
        self.each(|row: R| {
            let Some(row) = change(row) else { return Ok(()) };
            while added.peek().is_some_and(|next| key(next) < key(&row)) {
                added.next().map_or(Ok(()), |next| writer.push(next))?;
            }
            writer.push(row)
        })?;
        for row in added {
            writer.push(row)?;
        }
        self.out.add::<R>(writer.finish()?);
        Ok(())
    }

    fn people(&mut self) -> Result<(), FeedbackError> {
        let mut profiles = std::mem::take(&mut self.found.profiles);
        let erased: HashSet<String> = self.found.erased.keys().cloned().collect();
        self.found.tally.count("customers_erased", erased.len() as u64);
        self.found.tally.count("profiles_changed", profiles.len() as u64);
        let mut changed: HashMap<String, crate::collect::Profile> = HashMap::new();
        self.each(|row: Customer| {
            if !erased.contains(&row.customer_id)
                && let Some(profile) = profiles.remove(&row.customer_id)
            {
                changed.insert(row.customer_id, profile);
            }
            Ok(())
        })?;
        let change = |mut row: Customer| {
            if erased.contains(&row.customer_id) {
                return None;
            }
            if let Some(profile) = changed.get(&row.customer_id) {
                change_customer(&mut row, profile);
            }
            Some(row)
        };
        self.table(|row: &Customer| row.customer_id.clone(), change, new_customers(profiles))?;
        let known = |row: Identity| (!erased.contains(&row.customer_id)).then_some(row);
        self.table(|row: &Identity| (row.source.clone(), row.source_id.clone()), known, Vec::new())?;
        self.table(|row: &Place| row.city_id.clone(), Some, Vec::new())
    }

    fn products(&mut self) -> Result<Prices, FeedbackError> {
        self.table(|row: &Category| row.category_id.clone(), Some, Vec::new())?;
        self.table(|row: &Brand| row.brand_id.clone(), Some, Vec::new())?;
        if !self.has::<Product>() {
            return Ok(None);
        }
        let mut products: Vec<Product> = self.all()?;
        for unknown in price_products(&mut products, &mut self.found) {
            self.found.tally.reject("unknown_product", || format!("price of product_id={unknown}"));
        }
        let prices = products.iter().map(|row| (row.product_id.clone(), row.list_price)).collect();
        self.out.write(products)?;
        Ok(Some(prices))
    }

    /// Orders, lines and cancellations.
    fn sales(&mut self, products: &Prices) -> Result<Option<TimeRange>, FeedbackError> {
        let refunds = std::mem::take(&mut self.found.refunds);
        let mut sales = std::mem::take(&mut self.found.sales);
        let mut netting = Netting::new(&refunds);
        let mut wanted: HashSet<&str> = sales.iter().map(|sale| sale.order_id.as_str()).collect();
        self.each(|order: Order| {
            netting.head(&order);
            // What is left is in no table.
            wanted.remove(order.order_id.as_str());
            Ok(())
        })?;
        if !netting.is_empty() {
            self.each(|line: OrderLine| {
                netting.line(&line);
                Ok(())
            })?;
        }
        let added: HashSet<String> = wanted.into_iter().map(str::to_owned).collect();
        let tally = &mut self.found.tally;
        sales.retain(|sale| {
            let is_new = added.contains(&sale.order_id);
            if !is_new {
                tally.reject("order_in_the_tables", || format!("order_id={}", sale.order_id));
            }
            is_new
        });
        let mut orders = Vec::with_capacity(sales.len());
        let mut lines = Vec::new();
        for sale in sales {
            let own = lines_of(&sale, products, tally);
            if own.is_empty() {
                tally.reject("no_usable_line", || format!("order_id={}", sale.order_id));
                continue;
            }
            for line in &own {
                netting.added(line, sale.at, sale.customer.as_deref());
            }
            let erased = &self.found.erased;
            let is_erased = |id: &str| erased.get(id).is_some_and(|erased| sale.offset < erased.offset);
            orders.push(order_of(&sale, &own, self.base.currency.clone(), is_erased));
            lines.extend(own);
        }
        tally.count("orders_added", orders.len() as u64);
        tally.count("order_lines_added", lines.len() as u64);
        let mut range = self.base.time_range;
        for order in &orders {
            let at = order.ordered_at;
            let known = range.get_or_insert(TimeRange { from: at, to: at });
            (known.from, known.to) = (known.from.min(at), known.to.max(at));
        }
        let as_of = self.base.time_range.map(|range| range.to);
        let netted = netting.net(&refunds, as_of, tally);
        self.write_sales(orders, lines, netted)?;
        Ok(range)
    }

    fn write_sales(
        &mut self,
        mut orders: Vec<Order>,
        mut lines: Vec<OrderLine>,
        netted: Netted,
    ) -> Result<(), FeedbackError> {
        let Netted { mut taken, mut cancellations } = netted;
        for line in &mut lines {
            take_off(line, &mut taken);
        }
        orders.sort_by(|a, b| a.order_id.cmp(&b.order_id));
        lines.sort_by(|a, b| (&a.order_id, a.line_no).cmp(&(&b.order_id, b.line_no)));
        cancellations
            .sort_by(|a, b| (&a.cancel_order_id, a.cancel_line_no).cmp(&(&b.cancel_order_id, b.cancel_line_no)));
        let erased = self.found.erased.clone();
        let nobody = |mut order: Order| {
            let id = order.customer_id.as_ref();
            if id.and_then(|id| erased.get(id)).is_some_and(|erased| order.ordered_at <= erased.at) {
                order.customer_id = None;
            }
            Some(order)
        };
        self.table(|row: &Order| row.order_id.clone(), nobody, orders)?;
        let less = |mut line: OrderLine| {
            take_off(&mut line, &mut taken);
            Some(line)
        };
        self.table(|row: &OrderLine| (row.order_id.clone(), row.line_no), less, lines)?;
        self.table(|row: &Cancellation| (row.cancel_order_id.clone(), row.cancel_line_no), Some, cancellations)
    }

    /// Offers and stock.
    fn shelf(&mut self) -> Result<(), FeedbackError> {
        let offers = std::mem::take(&mut self.found.offers);
        self.found.tally.count("offers_changed", offers.len() as u64);
        let mut added: Vec<endcap_tables::Offer> = offers.values().flatten().map(offer_row).collect();
        added.sort_by(|a, b| a.offer_id.cmp(&b.offer_id));
        let kept = |row: endcap_tables::Offer| (!offers.contains_key(&row.offer_id)).then_some(row);
        self.table(|row: &endcap_tables::Offer| row.offer_id.clone(), kept, added)?;
        let base: Vec<Stock> = self.all()?;
        let rows = stock_rows(base, &mut self.found);
        if self.has::<Stock>() || !rows.is_empty() {
            self.out.write(rows)?;
        }
        Ok(())
    }

    /// The dataset's interactions and exposures, and the tables that those of the log are added to.
    fn sinks(&mut self) -> Result<Sinks, FeedbackError> {
        let mut sinks = Sinks { interactions: None, exposures: None, known: HashSet::new() };
        let erased = |found: &Collected, id: Option<&String>, at: jiff::Timestamp| {
            id.and_then(|id| found.erased.get(id)).is_some_and(|erased| at <= erased.at)
        };
        if self.has::<Interaction>() || self.found.interactions {
            let mut writer: TableWriter<Interaction> = self.out.writer()?;
            let oldest = self.found.oldest_interaction;
            self.each(|row: Interaction| {
                if oldest.is_some_and(|oldest| row.ts >= oldest) {
                    sinks.known.insert(event_key(&row.event_id));
                }
                if erased(&self.found, row.customer_id.as_ref(), row.ts) { Ok(()) } else { writer.push(row) }
            })?;
            sinks.interactions = Some(writer);
        }
        if self.has::<Exposure>() || self.found.exposures {
            let mut writer: TableWriter<Exposure> = self.out.writer()?;
            self.each(|mut row: Exposure| {
                judge(&mut row, &self.found);
                if erased(&self.found, row.customer_id.as_ref(), row.ts) { Ok(()) } else { writer.push(row) }
            })?;
            sinks.exposures = Some(writer);
        }
        Ok(sinks)
    }

    fn close(&mut self, sinks: Sinks) -> Result<(), FeedbackError> {
        if let Some(writer) = sinks.interactions {
            self.out.add::<Interaction>(writer.finish()?);
        }
        if let Some(writer) = sinks.exposures {
            self.out.add::<Exposure>(writer.finish()?);
        }
        Ok(())
    }
}

fn take_off(line: &mut OrderLine, taken: &mut BTreeMap<(String, i64), Decimal>) {
    if taken.is_empty() {
        return;
    }
    if let Some(off) = taken.remove(&(line.order_id.clone(), line.line_no)) {
        line.quantity -= off;
    }
}

/// The lines of a sale that can be learned from: of products that are known, with a price.
fn lines_of(sale: &Sale, products: &Prices, tally: &mut Tally) -> Vec<OrderLine> {
    let mut lines = Vec::with_capacity(sale.pieces.len());
    for (line_no, piece) in (1..).zip(&sale.pieces) {
        let example = || format!("order_id={} product_id={}", sale.order_id, piece.product);
        let known = products.as_ref().map(|products| products.get(&piece.product));
        if known == Some(None) {
            tally.reject("unknown_product", example);
            continue;
        }
        let listed = known.flatten().copied().flatten();
        let Some(unit_price) = piece.unit_price.or(listed) else {
            tally.reject("no_price", example);
            continue;
        };
        lines.push(OrderLine {
            order_id: sale.order_id.clone(),
            line_no,
            product_id: piece.product.clone(),
            quantity: piece.quantity,
            unit_price,
            discount: None,
            offer_id: None,
        });
    }
    lines
}

fn order_of(sale: &Sale, lines: &[OrderLine], currency: Option<String>, is_erased: impl Fn(&str) -> bool) -> Order {
    let sum = || lines.iter().map(|line| line.quantity.saturating_mul(line.unit_price)).sum();
    let [channel, city_id, area_id, country] = sale.place.clone();
    Order {
        order_id: sale.order_id.clone(),
        customer_id: sale.customer.clone().filter(|id| !is_erased(id)),
        ordered_at: sale.at,
        channel,
        city_id,
        area_id,
        country,
        status: OrderStatus::Placed.as_str().to_owned(),
        total: sale.value.or_else(|| Some(sum())),
        currency,
    }
}
