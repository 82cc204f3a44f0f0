//! Writes a world: customers in chunks, each chunk simulated in parallel and written in order of time, so that memory is bounded
//! and neither order nor threads change a byte.

use std::path::Path;

use endcap_tables::{
    DatasetManifest, DatasetWriter, Interaction, Order, OrderLine, OrderStatus, TableWriter, TimeRange,
};
use jiff::Timestamp;
use rayon::prelude::*;
use rust_decimal::Decimal;

use crate::SimulatorError;
use crate::browsing::{Act, Session, Step};
use crate::catalogue::money;
use crate::history::{History, PlacedOrder, history};
use crate::spec::DAY_S;
use crate::stock;
use crate::truth::CustomerNo;
use crate::world::{Progress, World};

/// Customers that are simulated at once. Rows are in order of time within a chunk.
const CHUNK: u32 = 8_192;
/// Stock is planned by what went in the last four weeks.
const DEMAND_WINDOW_S: i64 = 28 * DAY_S;

fn timestamp(at_s: i64) -> Timestamp {
    Timestamp::from_second(at_s).unwrap_or(Timestamp::UNIX_EPOCH)
}

struct Totals {
    orders: u64,
    sessions: u64,
    events: u64,
    first_s: i64,
    last_s: i64,
    /// Units of each product in the demand window.
    demand: Vec<u32>,
}

pub(crate) fn write(
    world: &World,
    dir: &Path,
    progress: &mut dyn FnMut(Progress),
) -> Result<DatasetManifest, SimulatorError> {
    let mut dataset = DatasetWriter::create(dir)?;
    progress(Progress { stage: "truth", done: 0, total: 1 });
    world.truth.save(dir)?;
    progress(Progress { stage: "truth", done: 1, total: 1 });
    dataset.write(world.customers.iter().cloned())?;
    dataset.write(world.identities.iter().cloned())?;
    dataset.write(world.places.iter().cloned())?;
    dataset.write(world.products.iter().cloned())?;
    dataset.write(world.categories.iter().cloned())?;
    dataset.write(world.brands.iter().cloned())?;
    dataset.write(world.offers.iter().cloned())?;

    let mut orders = dataset.writer::<Order>()?;
    let mut lines = dataset.writer::<OrderLine>()?;
    let mut interactions = dataset.writer::<Interaction>()?;
    let total = u64::from(world.spec().customers);
    let mut totals = Totals {
        orders: 0,
        sessions: 0,
        events: 0,
        first_s: i64::MAX,
        last_s: i64::MIN,
        demand: vec![0; world.products.len()],
    };
    let mut from = 0;
    while from < world.spec().customers {
        let to = (from + CHUNK).min(world.spec().customers);
        progress(Progress { stage: "history", done: u64::from(from), total });
        let chunk = Chunk::simulate(world, from..to, &mut totals);
        let sales = || chunk.write_sales(&mut orders, &mut lines);
        let visits = || chunk.write_visits(&mut interactions);
        let (sales, visits) = rayon::join(sales, visits);
        sales?;
        visits?;
        from = to;
    }
    progress(Progress { stage: "history", done: total, total });
    dataset.add::<Order>(orders.finish()?);
    dataset.add::<OrderLine>(lines.finish()?);
    dataset.add::<Interaction>(interactions.finish()?);
    dataset.write(stock::levels(&world.truth, &totals.demand))?;
    progress(Progress { stage: "stock", done: 1, total: 1 });
    let range = (totals.first_s <= totals.last_s)
        .then(|| TimeRange { from: timestamp(totals.first_s), to: timestamp(totals.last_s) });
    Ok(dataset.finish(range, Some(world.spec().preset.currency().to_owned()), Vec::new())?)
}

/// An order, or what came back of one.
enum Sale<'a> {
    Order(&'a PlacedOrder),
    Return(&'a PlacedOrder, &'a [(usize, u32)]),
}

/// A step of a session, with what it belongs to.
struct Moment<'a> {
    session_no: u64,
    step_no: u32,
    session: &'a Session,
    step: &'a Step,
    order_no: Option<u64>,
}

struct Chunk<'a> {
    world: &'a World,
    histories: Vec<History>,
    /// Number of the first order and session of each history.
    first_order: Vec<u64>,
    first_session: Vec<u64>,
    first_event: u64,
}

impl<'a> Chunk<'a> {
    fn simulate(world: &'a World, customers: std::ops::Range<CustomerNo>, totals: &mut Totals) -> Self {
        let histories: Vec<History> = customers.into_par_iter().map(|no| history(&world.market, no)).collect();
        let mut chunk =
            Self { world, histories, first_order: Vec::new(), first_session: Vec::new(), first_event: totals.events };
        let since = world.spec().end_s() - DEMAND_WINDOW_S;
        for history in &chunk.histories {
            chunk.first_order.push(totals.orders);
            chunk.first_session.push(totals.sessions);
            totals.orders += history.orders.len() as u64;
            totals.sessions +=
                (history.sessions.len() + history.orders.iter().filter(|order| order.session.is_some()).count()) as u64;
            totals.events += sessions(history).map(|(session, _)| session.steps.len() as u64).sum::<u64>();
            for order in &history.orders {
                totals.first_s = totals.first_s.min(order.at_s);
                totals.last_s = totals.last_s.max(order.returned.as_ref().map_or(order.at_s, |back| back.0));
                for line in order.lines.iter().filter(|_| order.at_s >= since && order.status == OrderStatus::Placed) {
                    if let Some(units) = totals.demand.get_mut(line.product as usize) {
                        *units += line.quantity;
                    }
                }
            }
        }
        chunk
    }

    fn write_sales(
        &self,
        orders: &mut TableWriter<Order>,
        lines: &mut TableWriter<OrderLine>,
    ) -> Result<(), SimulatorError> {
        let mut sales: Vec<(i64, u64, bool, Sale<'_>)> = Vec::new();
        for (history, &first) in self.histories.iter().zip(&self.first_order) {
            for (order, no) in history.orders.iter().zip(first..) {
                sales.push((order.at_s, no, false, Sale::Order(order)));
                if let Some((at_s, back)) = &order.returned {
                    sales.push((*at_s, no, true, Sale::Return(order, back)));
                }
            }
        }
        sales.sort_by_key(|&(at_s, no, back, _)| (at_s, no, back));
        for (at_s, no, _, sale) in sales {
            let (order, order_id, status, rows) = match sale {
                Sale::Order(order) => {
                    let order_id = order_id(no);
                    (order, order_id.clone(), order.status, self.net_lines(order, &order_id))
                }
                Sale::Return(order, back) => {
                    let order_id = format!("R{}", order_id(no));
                    (order, order_id.clone(), OrderStatus::Returned, self.returned_lines(order, back, &order_id))
                }
            };
            let place = self
                .world
                .truth
                .customer(order.customer)
                .and_then(|customer| self.world.places.get(usize::from(customer.city)));
            let total: Decimal =
                rows.iter().map(|line| line.quantity * line.unit_price - line.discount.unwrap_or_default()).sum();
            orders.push(Order {
                order_id,
                customer_id: (!order.guest).then(|| self.customer_id(order.customer)),
                ordered_at: timestamp(at_s),
                channel: Some(order.channel.as_str().to_owned()),
                city_id: place.map(|place| place.city_id.clone()),
                area_id: place.and_then(|place| place.area_id.clone()),
                country: place.and_then(|place| place.country.clone()),
                status: status.as_str().to_owned(),
                total: Some(total),
                currency: Some(self.world.spec().preset.currency().to_owned()),
            })?;
            for row in rows {
                lines.push(row)?;
            }
        }
        Ok(())
    }

    fn customer_id(&self, no: CustomerNo) -> String {
        self.world.truth.customer(no).map(|customer| customer.customer_id.clone()).unwrap_or_default()
    }

    /// The order's lines, less what came back of them later.
    fn net_lines(&self, order: &PlacedOrder, order_id: &str) -> Vec<OrderLine> {
        let back = order.returned.as_ref().map_or(&[][..], |(_, back)| back);
        let kept = order.lines.iter().enumerate().filter_map(|(no, line)| {
            let returned = back.iter().find(|(at, _)| *at == no).map_or(0, |(_, units)| *units);
            let left = line.quantity.saturating_sub(returned);
            (left > 0).then_some((line, i64::from(left)))
        });
        kept.zip(1..)
            .map(|((line, units), line_no)| self.line(order_id, line_no, line, units, line.discount_cents))
            .collect()
    }

    fn returned_lines(&self, order: &PlacedOrder, back: &[(usize, u32)], order_id: &str) -> Vec<OrderLine> {
        let rows = back.iter().filter_map(|&(at, units)| Some((order.lines.get(at)?, -i64::from(units))));
        rows.zip(1..).map(|((line, units), line_no)| self.line(order_id, line_no, line, units, 0)).collect()
    }

    fn line(
        &self,
        order_id: &str,
        line_no: i64,
        line: &crate::market::Line,
        units: i64,
        discount_cents: i64,
    ) -> OrderLine {
        let offer = line.offer.and_then(|no| self.world.market.offers.get(no as usize));
        OrderLine {
            order_id: order_id.to_owned(),
            line_no,
            product_id: self.world.truth.id(line.product).unwrap_or_default().to_owned(),
            quantity: Decimal::from(units),
            unit_price: money(line.unit_cents),
            discount: (discount_cents != 0).then(|| money(discount_cents)),
            offer_id: offer.map(|one| one.offer.offer_id.to_string()),
        }
    }

    fn write_visits(&self, interactions: &mut TableWriter<Interaction>) -> Result<(), SimulatorError> {
        let mut moments: Vec<Moment<'_>> = Vec::new();
        for ((history, &first_session), &first_order) in
            self.histories.iter().zip(&self.first_session).zip(&self.first_order)
        {
            for ((session, order), session_no) in sessions(history).zip(first_session..) {
                let order_no = order.map(|order| first_order + order as u64);
                let numbered = session.steps.iter().zip(0..);
                moments.extend(numbered.map(|(step, step_no)| Moment { session_no, step_no, session, step, order_no }));
            }
        }
        moments.sort_unstable_by_key(|moment| (moment.step.at_s, moment.session_no, moment.step_no));
        for (moment, event_no) in moments.into_iter().zip(self.first_event..) {
            interactions.push(self.interaction(&moment, event_no))?;
        }
        Ok(())
    }

    fn interaction(&self, moment: &Moment<'_>, event_no: u64) -> Interaction {
        let Moment { session_no, session, step, order_no, .. } = moment;
        let Session { device, channel, referrer, .. } = session;
        let bought = order_no.filter(|_| step.act == Act::Purchase);
        let bought = bought.map(|no| format!(r#","order_id":"{}""#, order_id(no))).unwrap_or_default();
        let channel = channel.as_str();
        let context = format!(r#"{{"channel":"{channel}","device":"{device}","referrer":"{referrer}"{bought}}}"#);
        Interaction {
            event_id: format!("h{event_no:09}"),
            ts: timestamp(step.at_s),
            customer_id: (!session.anonymous).then(|| self.customer_id(session.customer)),
            session_id: Some(format!("hs{session_no:08}")),
            event_type: step.act.as_str().to_owned(),
            product_id: step.product.and_then(|no| self.world.truth.id(no)).map(str::to_owned),
            quantity: step.quantity.map(Decimal::from),
            value: step.amount_cents.map(money),
            placement: None,
            request_id: None,
            context: Some(context),
        }
    }
}

/// All sessions of a history; those of an order with the order's number within it.
fn sessions(history: &History) -> impl Iterator<Item = (&Session, Option<usize>)> {
    let of_orders =
        history.orders.iter().enumerate().filter_map(|(no, order)| Some((order.session.as_ref()?, Some(no))));
    of_orders.chain(history.sessions.iter().map(|session| (session, None)))
}

fn order_id(no: u64) -> String {
    format!("{}", 500_001 + no)
}
