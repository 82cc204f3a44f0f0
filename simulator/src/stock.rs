//! Stock levels at the end of each of the last four weeks, in the central store.

use endcap_tables::Stock;
use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::dice::{Stream, between, chance, dice, lognormal};
use crate::spec::DAY_S;
use crate::truth::Truth;

const WEEKS: i32 = 4;

/// `demand` is what went of each product in the last four weeks.
pub(crate) fn levels(truth: &Truth, demand: &[u32]) -> Vec<Stock> {
    let end = truth.spec.days as i32;
    let mut rows = Vec::with_capacity(truth.products.len() * WEEKS as usize);
    for week in (0..WEEKS).rev() {
        let day = end - 7 * week;
        // The last second of the day before, so that no level is newer than the period.
        let Ok(as_of) = Timestamp::from_second(truth.spec.start_s() + i64::from(day) * DAY_S - 1) else { continue };
        let moment = f64::from(day) - 1e-4;
        for (no, (product, &units)) in truth.products.iter().zip(demand).enumerate() {
            if moment < f64::from(product.launched_day) {
                continue;
            }
            let roll = &mut dice(truth.spec.seed, Stream::Supply, no as u64 * 64 + week as u64);
            let weekly = (units as f32 / 4.0).max(0.5);
            let gap = product
                .interruptions
                .iter()
                .find(|gap| f64::from(gap.from_day) <= moment && moment < f64::from(gap.to_day));
            let cover = lognormal(roll, 5.0, 0.7).max(0.6);
            let whole = |value: f32| Decimal::from(value.round() as i64);
            let (on_hand, on_order, backordered, lead) = match gap {
                Some(gap) => {
                    let promised = if product.backorders { (weekly * between(roll, 0.3, 1.5)).max(1.0) } else { 0.0 };
                    (0.0, weekly * 4.0 + promised, promised, i64::from(gap.to_day - day).max(1))
                }
                None if product.retired_day.is_some_and(|retired| retired <= day) => {
                    (if chance(roll, 0.5) { 0.0 } else { weekly }, 0.0, 0.0, 0)
                }
                None => (
                    (weekly * cover).max(1.0),
                    if cover < 2.5 { weekly * 5.0 } else { 0.0 },
                    0.0,
                    3 + (between(roll, 0.0, 18.0) as i64),
                ),
            };
            rows.push(Stock {
                product_id: product.product_id.clone(),
                city_id: None,
                on_hand: whole(on_hand),
                on_order: Some(whole(on_order)),
                backordered: Some(whole(backordered)),
                lead_time_days: (lead > 0).then_some(lead),
                as_of,
            });
        }
    }
    rows
}
