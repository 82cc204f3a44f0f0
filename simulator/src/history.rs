//! One customer's history: visits, orders, cancellations and returns. Depends on the world and the customer's own stream alone.

use endcap_recommender::request::Channel;
use endcap_tables::OrderStatus;
use rand_distr::{Distribution, Gamma};

use crate::basket::{Visitor, Why, plan};
use crate::browsing::{Session, abandoned_session, order_session};
use crate::dice::{Dice, Stream, chance, dice, normal, pick_weighted};
use crate::market::{Line, Market, Purchase};
use crate::spec::{DAY_S, Preset};
use crate::truth::{CustomerNo, CustomerTruth, ProductNo, Tastes};
use crate::words::Season;

/// An order as it happened. Quantities are signed: what comes back is negative.
#[derive(Clone, Debug)]
pub(crate) struct PlacedOrder {
    pub at_s: i64,
    pub customer: CustomerNo,
    /// Ordered without an account.
    pub guest: bool,
    pub channel: Channel,
    pub status: OrderStatus,
    pub lines: Vec<Line>,
    /// What came back of this order later: (seconds, line, units).
    pub returned: Option<(i64, Vec<(usize, u32)>)>,
    pub session: Option<Session>,
}

#[derive(Debug, Default)]
pub(crate) struct History {
    pub orders: Vec<PlacedOrder>,
    /// Sessions that ended without an order.
    pub sessions: Vec<Session>,
}

/// Second of the day at which people order through a channel.
fn second_of_day(preset: Preset, channel: Channel, dice: &mut Dice) -> i64 {
    let (middle, spread, open, close) = match (preset, channel) {
        (_, Channel::Web | Channel::Mobile) => (17.5, 3.5, 6.0, 23.5),
        (Preset::Grocery, _) => (15.5, 3.0, 8.0, 20.9),
        (Preset::GiftShop, _) => (12.3, 2.2, 8.0, 18.0),
    };
    let hour: f32 = (middle + spread * normal(dice)).clamp(open, close);
    (hour * 3_600.0) as i64
}

/// Trade does not order on Saturdays.
fn working_day(day: i64, start_s: i64, trade: bool) -> i64 {
    // 1970-01-01 was a Thursday; 0 is Monday.
    let weekday = (start_s / DAY_S + day + 3).rem_euclid(7);
    if trade && weekday == 5 { day + 2 } else { day }
}

fn channel_of_visit(customer: &CustomerTruth<ProductNo>, dice: &mut Dice) -> Channel {
    if chance(dice, 0.75) {
        return customer.channel;
    }
    let others: &[(Channel, f32)] = if customer.trade {
        &[(Channel::BackOffice, 3.0), (Channel::Web, 2.0), (Channel::Email, 1.0)]
    } else {
        &[(Channel::Web, 3.0), (Channel::Mobile, 2.0), (Channel::Branch, 1.0)]
    };
    pick_weighted(dice, others, |other| other.1).map_or(customer.channel, |other| other.0)
}

/// The shape of gaps between visits: more even than chance, less than a clock.
const GAP_SHAPE: f64 = 2.2;

pub(crate) fn history(market: &Market, no: CustomerNo) -> History {
    let truth = &market.truth;
    let spec = &truth.spec;
    let mut history = History::default();
    let Some(customer) = truth.customer(no) else { return history };
    let roll = &mut dice(spec.seed, Stream::History, u64::from(no));
    let change = spec.taste_change.filter(|change| truth.changes_taste(no, change));
    let second: Option<Tastes<ProductNo>> = change.and_then(|_| truth.changed_tastes(no));
    let days = f64::from(spec.days);
    let start_s = spec.start_s();

    let from = f64::from(customer.joined_day.max(0.0));
    let until = f64::from(customer.left_day).min(days);
    let Ok(gap) = Gamma::new(GAP_SHAPE, f64::from(customer.visit_interval_days) / GAP_SHAPE) else { return history };
    let mut tastes = &customer.tastes;
    let mut last_bought = first_purchases(tastes, from, roll);
    let mut at = from + gap.sample(roll) * 0.7;
    if customer.joined_day >= 0.0 {
        at = from;
    }
    while at < until {
        let day = working_day(at as i64, start_s, customer.trade);
        if day as f64 >= days {
            break;
        }
        if let (Some(change), Some(second)) = (change, &second)
            && day >= i64::from(change.day)
            && !std::ptr::eq(tastes, second)
        {
            tastes = second;
            last_bought = first_purchases(tastes, day as f64, roll);
        }
        let channel = channel_of_visit(customer, roll);
        let at_s = start_s + day * DAY_S + second_of_day(spec.preset, channel, roll);
        let purchase = Purchase { customer, channel, at_s };
        let visitor = Visitor { customer, tastes, last_bought: &last_bought, day: day as f64 };
        let wishes = plan(market, &visitor, &purchase, roll);
        let wanted: Vec<(ProductNo, u32)> = wishes.iter().map(|wish| (wish.product, wish.quantity)).collect();
        let lines = market.price(&purchase, &wanted);
        let online = matches!(channel, Channel::Web | Channel::Mobile);
        if online && chance(roll, 0.45) {
            // First they only look, or leave a cart behind.
            history.sessions.push(abandoned_session(market, &visitor, &purchase, &lines, no, roll));
        }
        if !lines.is_empty() {
            for (habit, last) in tastes.habits.iter().zip(&mut last_bought) {
                if wishes.iter().any(|wish| wish.product == habit.product && wish.why != Why::Substitute) {
                    *last = day as f64;
                }
            }
            let guest = online && !customer.trade && chance(roll, 0.12);
            let session = online.then(|| order_session(market, &purchase, &lines, no, guest, roll));
            let mut order = PlacedOrder {
                at_s,
                customer: no,
                guest,
                channel,
                status: OrderStatus::Placed,
                lines,
                returned: None,
                session,
            };
            afterwards(&mut order, spec.end_s(), roll);
            history.orders.push(order);
        }
        // Before Christmas people come more often.
        let rush = 0.6 + 0.4 * f64::from(Season::AllYear.factor(spec.day_of_year(at))) * 1.4;
        at += (gap.sample(roll) / rush).max(0.5);
    }
    history
}

/// As if every habit had begun somewhere before.
fn first_purchases(tastes: &Tastes<ProductNo>, from: f64, dice: &mut Dice) -> Vec<f64> {
    let ago = |interval: f32, dice: &mut Dice| f64::from(interval * crate::dice::unit(dice));
    tastes.habits.iter().map(|habit| from - ago(habit.interval_days, dice)).collect()
}

/// Some orders are cancelled before they ship, some are corrected, of some a part comes back.
fn afterwards(order: &mut PlacedOrder, end_s: i64, dice: &mut Dice) {
    if chance(dice, 0.015) {
        order.status = OrderStatus::Cancelled;
        return;
    }
    if chance(dice, 0.002) {
        order.status = OrderStatus::Adjusted;
        return;
    }
    if !chance(dice, 0.05) {
        return;
    }
    let back_s = order.at_s + DAY_S + (f64::from(crate::dice::unit(dice)) * 20.0 * DAY_S as f64) as i64;
    let keeps_one = order.lines.len() > 1;
    let mut back = Vec::new();
    for (no, line) in order.lines.iter().enumerate() {
        // What came with an offer is not taken back one by one.
        if line.offer.is_some() || back.len() + 1 >= order.lines.len().max(2) || !chance(dice, 0.2) {
            continue;
        }
        let units = 1 + crate::dice::below(dice, line.quantity as usize) as u32;
        if units < line.quantity || keeps_one {
            back.push((no, units));
        }
    }
    if !back.is_empty() && back_s < end_s {
        order.returned = Some((back_s, back));
    }
}
