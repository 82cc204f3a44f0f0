//! Orders and their lines.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use endcap_recommender::fitted::NONE;
use endcap_tables::{Cancellation, Order, OrderLine, OrderStatus};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::catalogue::Products;
use super::labels::Texts;
use super::people::People;
use super::{Cut, Labels, Line, OrderHead, Sales, Tables};
use crate::TrainError;

pub(super) struct Orders {
    pub sales: Sales,
    /// Orders of the test period of a cut.
    pub held: Sales,
    pub customers: Labels,
    pub labels: Labels,
    pub currency: Option<String>,
    pub placed: u64,
}

/// A line as it was read, before it is put to its order.
struct RawLine {
    order: u32,
    line_no: i64,
    /// Place in the file, which breaks ties of `line_no`.
    seen: u32,
    line: Line,
    discount: i64,
}

/// Room for more lines than these is not taken beforehand, whatever a manifest says.
const MOST_ROOM: u64 = 100_000_000;

fn ten_thousandths(value: Decimal) -> i64 {
    let mut value = value.round_dp(4);
    value.rescale(4);
    value.mantissa().to_i64().unwrap_or(0)
}

/// Reads placed orders with their usable lines; see [`super::load`]. With a cut, nothing that is returned but `held` depends on what
/// happened from its start on.
pub(super) fn read(
    tables: &mut Tables<'_>,
    people: &People,
    products: &mut Products,
    cut: Option<Cut>,
) -> Result<Orders, TrainError> {
    tables.need::<Order>()?;
    tables.need::<OrderLine>()?;
    let mut rows: Vec<Placed> = Vec::new();
    let mut texts = Texts::default();
    // Which orders there are, so that a line of a cancelled order is told from a line of none.
    let mut place: HashMap<Arc<str>, u32> = HashMap::new();
    let (mut duplicates, mut not_placed) = (0, 0);
    let mut held: HashSet<Arc<str>> = HashSet::new();
    tables.each(|order: Order| {
        let is_placed = order.status.eq_ignore_ascii_case(OrderStatus::Placed.as_str());
        let id = Arc::<str>::from(order.order_id.as_str());
        if let Some(cut) = cut.filter(|cut| order.ordered_at.as_second() >= cut.from_s) {
            let is_wanted = order.ordered_at.as_second() < cut.until_s && is_placed;
            if held.insert(id.clone()) && is_wanted {
                rows.push(Placed::of(&order, id, &mut texts));
            }
        } else if place.contains_key(&id) {
            duplicates += 1;
        } else if is_placed {
            place.insert(id.clone(), 0);
            rows.push(Placed::of(&order, id, &mut texts));
        } else {
            place.insert(id, NONE);
            not_placed += 1;
        }
    })?;
    tables.reject("orders", "duplicate_key", duplicates);
    tables.reject("orders", "not_placed", not_placed);
    rows.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    // A held order's id may stand before the cut as well: the earlier one counts.
    rows.retain(|order| !(order.is_held(cut) && place.contains_key(&order.id)));
    let before = rows.partition_point(|order| !order.is_held(cut));
    for (at, order) in (0u32..).zip(&rows) {
        place.insert(order.id.clone(), at);
    }

    let mut lines = read_lines(tables, &place, &held, before as u32, products, cut)?;
    drop((place, held));
    lines.sort_unstable_by_key(|raw| (raw.order, raw.line_no, raw.seen));

    let (learned, tested) = rows.split_at(before);
    let customers = Labels::of(people.ids().chain(learned.iter().filter_map(|order| texts.get(order.customer))));
    let labels = Labels::of(people.values().chain({
        let mut own: Vec<u32> =
            learned.iter().flat_map(|order| [order.channel].into_iter().chain(order.place)).collect();
        own.sort_unstable();
        own.dedup();
        own.into_iter().filter_map(|number| texts.get(number)).collect::<Vec<_>>()
    }));
    let known = Known {
        people,
        texts: &texts,
        customer: texts.places(&customers),
        label: texts.places(&labels),
        labels: &labels,
    };
    let currency = learned.iter().find_map(|order| texts.get(order.currency)).map(str::to_owned);
    let placed = learned.len() as u64;
    let learned_lines = lines.partition_point(|raw| (raw.order as usize) < before);
    let mut sales = Sales::with_room(learned.len(), learned_lines);
    let mut test = Sales::with_room(tested.len(), lines.len() - learned_lines);
    let mut rest = lines.as_slice();
    let mut without_lines = 0;
    for (at, order) in (0u32..).zip(&rows) {
        let (own, later) = rest.split_at(rest.partition_point(|raw| raw.order == at));
        rest = later;
        let is_learned = (at as usize) < before;
        if own.is_empty() {
            without_lines += u64::from(is_learned);
            continue;
        }
        let into = if is_learned { &mut sales } else { &mut test };
        into.push(known.head(order), distinct(own));
    }
    tables.reject("orders", "no_usable_line", without_lines);
    Ok(Orders { sales, held: test, customers, labels, currency, placed })
}

/// A placed order as it was read; its texts as numbers, since most of them are said again and again.
struct Placed {
    id: Arc<str>,
    at: Timestamp,
    customer: u32,
    channel: u32,
    /// City, area, country.
    place: [u32; 3],
    currency: u32,
}

impl Placed {
    fn of(order: &Order, id: Arc<str>, texts: &mut Texts) -> Self {
        Self {
            id,
            at: order.ordered_at,
            customer: texts.number(order.customer_id.as_deref()),
            channel: texts.number(order.channel.as_deref()),
            place: [&order.city_id, &order.area_id, &order.country].map(|text| texts.number(text.as_deref())),
            currency: texts.number(order.currency.as_deref()),
        }
    }

    fn is_held(&self, cut: Option<Cut>) -> bool {
        cut.is_some_and(|cut| self.at.as_second() >= cut.from_s)
    }
}

/// What texts of orders stand for.
struct Known<'a> {
    people: &'a People,
    texts: &'a Texts,
    /// By text: index of the customer, or of the label.
    customer: Vec<u32>,
    label: Vec<u32>,
    labels: &'a Labels,
}

impl Known<'_> {
    fn head(&self, order: &Placed) -> OrderHead {
        let find = |places: &[u32], number: u32| places.get(number as usize).copied().unwrap_or(NONE);
        let customer = self.texts.get(order.customer);
        // Where an order says nothing of its place, its customer's home stands for it.
        let or_home = |number: u32, name: &str| match number {
            NONE => self.labels.index(customer.and_then(|id| self.people.value(id, name))),
            number => find(&self.label, number),
        };
        let [city, area, country] = order.place;
        let at = order.at.to_zoned(TimeZone::UTC);
        OrderHead {
            at_s: order.at.as_second(),
            customer: find(&self.customer, order.customer),
            channel: find(&self.label, order.channel),
            city: or_home(city, "city_id"),
            area: or_home(area, "area_id"),
            country: or_home(country, "country"),
            month_number: i32::from(at.year()) * 12 + i32::from(at.month()) - 1,
            hour: at.hour().unsigned_abs(),
        }
    }
}

/// An order and the number of one of its lines.
type LineKey = (String, i64);

/// How much of a line was cancelled.
#[derive(Default)]
struct Undone {
    all: Decimal,
    /// After the cut.
    late: Decimal,
}

/// What was cancelled of each order line, as far as it must be undone: of learned orders what was cancelled after the cut, of held
/// ones all of it, since a customer did order it.
fn undone(tables: &Tables<'_>, cut: Option<Cut>) -> Result<HashMap<LineKey, Undone>, TrainError> {
    let mut found: HashMap<LineKey, Undone> = HashMap::new();
    let Some(cut) = cut else { return Ok(found) };
    tables.each(|row: Cancellation| {
        if let (Some(order), Some(line)) = (row.order_id, row.line_no) {
            let sums = found.entry((order, line)).or_default();
            sums.all += row.quantity;
            if row.cancelled_at.as_second() >= cut.from_s {
                sums.late += row.quantity;
            }
        }
    })?;
    Ok(found)
}

fn read_lines(
    tables: &mut Tables<'_>,
    place: &HashMap<Arc<str>, u32>,
    held: &HashSet<Arc<str>>,
    before: u32,
    products: &mut Products,
    cut: Option<Cut>,
) -> Result<Vec<RawLine>, TrainError> {
    // As many as the table says, since a list that grows by doubling holds them twice for a moment.
    let mut lines: Vec<RawLine> = Vec::with_capacity(tables.rows::<OrderLine>().min(MOST_ROOM) as usize);
    let mut fractions: Vec<u32> = Vec::new();
    let mut reasons: HashMap<&'static str, u64> = HashMap::new();
    let price_lists = price_lists(tables)?;
    let undone = undone(tables, cut)?;
    let catalogue = &products.catalogue;
    tables.each(|mut row: OrderLine| {
        if !undone.is_empty()
            && let Some(Undone { all, late }) = undone.get(&(row.order_id.clone(), row.line_no))
        {
            let is_learned = place.get(row.order_id.as_str()).is_some_and(|at| *at < before);
            row.quantity += if is_learned { *late } else { *all };
        }
        let is_held = place
            .get(row.order_id.as_str())
            .map_or_else(|| held.contains(row.order_id.as_str()), |at| *at != NONE && *at >= before);
        let kept = (|| {
            let order = *place.get(row.order_id.as_str()).ok_or("unknown_order")?;
            if order == NONE {
                return Err("order_not_placed");
            }
            let product = catalogue.find(&row.product_id).ok_or("unknown_product")?;
            if row.quantity <= Decimal::ZERO {
                return Err("quantity_not_positive");
            }
            if row.unit_price <= Decimal::ZERO {
                return Err("price_not_positive");
            }
            if !row.quantity.is_integer() && !is_held {
                fractions.push(product);
            }
            let offered = row.offer_id.as_ref().is_some_and(|offer| !price_lists.contains(offer));
            let line = Line {
                product,
                quantity: row.quantity.to_f32().unwrap_or(0.0),
                unit_price: ten_thousandths(row.unit_price),
                offered,
            };
            let discount = ten_thousandths(row.discount.unwrap_or_default());
            Ok(RawLine { order, line_no: row.line_no, seen: lines.len() as u32, line, discount })
        })();
        match kept {
            Ok(line) => lines.push(line),
            Err(_) if is_held => {}
            Err(reason) => *reasons.entry(reason).or_default() += 1,
        }
    })?;
    for (reason, rows) in reasons {
        tables.reject("order_lines", reason, rows);
    }
    for product in fractions {
        products.mark_splittable(product);
    }
    Ok(lines)
}

/// Offers that are price lists: what they give is a price break like any other.
fn price_lists(tables: &Tables<'_>) -> Result<HashSet<String>, TrainError> {
    let mut lists = HashSet::new();
    tables.each(|offer: endcap_tables::Offer| {
        if offer.offer_type.trim().eq_ignore_ascii_case("TierPrice") {
            lists.insert(offer.offer_id);
        }
    })?;
    Ok(lists)
}

/// The distinct products of an order's lines in line order: quantities add up, the price is what a unit cost on the whole.
fn distinct(lines: &[RawLine]) -> Vec<Line> {
    let mut place: HashMap<u32, usize> = HashMap::with_capacity(lines.len());
    let mut out: Vec<(Line, f64)> = Vec::with_capacity(lines.len());
    for raw in lines {
        let paid = raw.line.unit_price as f64 * f64::from(raw.line.quantity) - raw.discount as f64;
        let at = *place.entry(raw.line.product).or_insert(out.len());
        match out.get_mut(at) {
            Some((line, sum)) => {
                line.quantity += raw.line.quantity;
                line.offered |= raw.line.offered;
                *sum += paid;
            }
            None => out.push((raw.line, paid)),
        }
    }
    out.into_iter()
        .map(|(line, paid)| Line { unit_price: (paid / f64::from(line.quantity)).round().max(0.0) as i64, ..line })
        .collect()
}
