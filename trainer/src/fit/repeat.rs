//! Personal repeat: how soon and how surely a product is bought again.

use std::collections::HashMap;

use endcap_recommender::fitted::{Catalogue, NONE, Repeat};

use crate::load::View;

/// Fewer intervals say nothing.
const LEAST_SIGHTINGS: usize = 5;
/// Buyers of a product before its own repeat rate outweighs its subcategory's.
const RATE_SHRINKAGE: f64 = 10.0;
const DAY_S: i64 = 86_400;

/// Fits intervals and rates. Two orders on one day count as one purchase.
pub fn repeat(catalogue: &Catalogue, sales: View<'_>, customers: usize) -> Repeat {
    let products = catalogue.len();
    let mut days_of: Vec<Vec<f32>> = vec![Vec::new(); products];
    let mut buyers = vec![0u32; products];
    let mut again = vec![0u32; products];
    // Day of the last purchase, and whether there was a second one.
    let mut last: HashMap<u32, (i64, bool)> = HashMap::new();
    for orders in sales.by_customer(customers) {
        last.clear();
        for order in orders {
            let Some(head) = sales.heads.get(order as usize) else { continue };
            let day = head.at_s.div_euclid(DAY_S);
            for line in sales.lines(order as usize) {
                let at = line.product as usize;
                match last.get_mut(&line.product) {
                    None => {
                        last.insert(line.product, (day, false));
                        if let Some(count) = buyers.get_mut(at) {
                            *count += 1;
                        }
                    }
                    Some((before, repeated)) if *before < day => {
                        if let Some(days) = days_of.get_mut(at) {
                            days.push((day - *before) as f32);
                        }
                        if !std::mem::replace(repeated, true)
                            && let Some(count) = again.get_mut(at)
                        {
                            *count += 1;
                        }
                        *before = day;
                    }
                    Some(_) => {}
                }
            }
        }
    }
    let categories = catalogue.category_ids.len();
    let mut sub_days: Vec<Vec<f32>> = vec![Vec::new(); categories];
    let mut sub_counts = vec![(0u32, 0u32); categories];
    let mut all = (0u32, 0u32);
    for product in 0..products {
        let (bought, repeated) = (number(&buyers, product), number(&again, product));
        all = (all.0 + bought, all.1 + repeated);
        let subcategory = catalogue.subcategory(product as u32);
        if subcategory == NONE {
            continue;
        }
        if let (Some(days), Some(counts)) =
            (sub_days.get_mut(subcategory as usize), sub_counts.get_mut(subcategory as usize))
        {
            days.extend_from_slice(days_of.get(product).map_or(&[], Vec::as_slice));
            *counts = (counts.0 + bought, counts.1 + repeated);
        }
    }
    let sub_median: Vec<f32> = sub_days.iter_mut().map(|days| median(days)).collect();
    let overall = f64::from(all.1) / f64::from(all.0).max(1.0);
    let shrunk = |repeated: u32, bought: u32, towards: f64| {
        (f64::from(repeated) + RATE_SHRINKAGE * towards) / (f64::from(bought) + RATE_SHRINKAGE)
    };
    let sub_rate: Vec<f64> = sub_counts.iter().map(|(bought, repeated)| shrunk(*repeated, *bought, overall)).collect();
    let repeats = days_of.iter().map(|days| days.len() as u32).collect();
    let of_sub = |product: usize| catalogue.subcategory(product as u32) as usize;
    let interval_days = days_of.iter_mut().enumerate().map(|(product, days)| {
        let own = median(days);
        if own.is_nan() { sub_median.get(of_sub(product)).copied().unwrap_or(f32::NAN) } else { own }
    });
    let repeat_rate = (0..products).map(|product| {
        let towards = sub_rate.get(of_sub(product)).copied().unwrap_or(overall);
        shrunk(number(&again, product), number(&buyers, product), towards) as f32
    });
    Repeat { interval_days: interval_days.collect(), repeat_rate: repeat_rate.collect(), repeats }
}

fn number(list: &[u32], at: usize) -> u32 {
    list.get(at).copied().unwrap_or(0)
}

/// The lower median; NaN of too few.
fn median(values: &mut [f32]) -> f32 {
    if values.len() < LEAST_SIGHTINGS {
        return f32::NAN;
    }
    let middle = (values.len() - 1) / 2;
    *values.select_nth_unstable_by(middle, f32::total_cmp).1
}
