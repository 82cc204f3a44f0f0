//! Stock and offers as of the end of the data.

use std::collections::{BTreeMap, HashMap};

use endcap_recommender::OfferId;
use endcap_recommender::ids::ProductId;
use endcap_recommender::live::{ShelfState, StockLevel};
use endcap_recommender::offers::{Offer, Parts};
use endcap_tables::Stock;

use super::Tables;
use crate::TrainError;

const EXAMPLES: usize = 10;

/// Live state's shelf, and why the first of the offers that could not be read were refused.
pub(super) fn read(tables: &mut Tables<'_>) -> Result<(ShelfState, Vec<String>), TrainError> {
    let stock = stock(tables)?;
    let mut offers: HashMap<OfferId, Offer> = HashMap::new();
    let mut errors = Vec::new();
    let mut invalid = 0;
    tables.each(|row: endcap_tables::Offer| {
        let parts = Parts {
            offer_id: &row.offer_id,
            offer_type: &row.offer_type,
            terms: &row.terms,
            scope: row.scope.as_deref(),
            valid_from: row.valid_from,
            valid_to: row.valid_to,
            priority: row.priority,
            stackable: row.stackable,
            max_per_order: row.max_per_order,
        };
        match Offer::from_parts(&parts) {
            Ok(offer) => {
                offers.insert(offer.offer_id.clone(), offer);
            }
            Err(wrong) => {
                invalid += 1;
                if errors.len() < EXAMPLES {
                    let list: Vec<String> =
                        wrong.iter().map(|error| format!("{} {}", error.pointer, error.detail)).collect();
                    errors.push(format!("offer {}: {}", row.offer_id, list.join("; ")));
                }
            }
        }
    })?;
    tables.reject("offers", "invalid", invalid);
    Ok((ShelfState { stock, offers, ..ShelfState::default() }, errors))
}

/// The newest row of each product and place, summed over places.
fn stock(tables: &mut Tables<'_>) -> Result<HashMap<ProductId, StockLevel>, TrainError> {
    let mut newest: BTreeMap<(String, Option<String>), StockLevel> = BTreeMap::new();
    tables.each(|row: Stock| {
        let level =
            StockLevel { on_hand: row.on_hand, backordered: row.backordered, on_order: row.on_order, as_of: row.as_of };
        let key = (row.product_id, row.city_id);
        if newest.get(&key).is_none_or(|known| known.as_of <= level.as_of) {
            newest.insert(key, level);
        }
    })?;
    let mut stock: HashMap<ProductId, StockLevel> = HashMap::new();
    for ((product, _), level) in newest {
        match stock.get_mut(product.as_str()) {
            None => {
                stock.insert(ProductId::from(product), level);
            }
            Some(sum) => {
                let add = |one: Option<_>, other: Option<rust_decimal::Decimal>| match (one, other) {
                    (Some(one), Some(other)) => Some(one + other),
                    (one, other) => one.or(other),
                };
                sum.on_hand += level.on_hand;
                sum.backordered = add(sum.backordered, level.backordered);
                sum.on_order = add(sum.on_order, level.on_order);
                sum.as_of = sum.as_of.max(level.as_of);
            }
        }
    }
    Ok(stock)
}
