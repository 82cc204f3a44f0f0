//! Products, offers, stock and customers as events changed them.

use std::collections::{BTreeMap, HashMap};

use endcap_recommender::offers::Offer;
use endcap_tables::{Customer, Product, Stock};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::collect::{Collected, Profile};

/// Sets prices and whether products are sold; returns the ids that no product has.
pub fn price_products(products: &mut [Product], collected: &mut Collected) -> Vec<String> {
    let mut changes = collected.prices.clone();
    let mut changed = 0;
    for product in products {
        if let Some((price, active)) = changes.remove(&product.product_id) {
            product.list_price = price.or(product.list_price);
            product.active = active.unwrap_or(product.active);
            changed += 1;
        }
    }
    collected.tally.count("prices_changed", changed);
    let mut unknown: Vec<String> = changes.into_keys().collect();
    unknown.sort();
    unknown
}

/// An offer as a row of the table.
pub fn offer_row(offer: &Offer) -> endcap_tables::Offer {
    let json = serde_json::to_value(offer).unwrap_or_default();
    let part = |name: &str| json.get(name).cloned().unwrap_or_default();
    let offer_type = part("type").as_str().unwrap_or_default().to_owned();
    let scope = part("scope");
    endcap_tables::Offer {
        offer_id: offer.offer_id.to_string(),
        offer_type,
        scope: (scope.is_object() && scope != Value::Object(serde_json::Map::new())).then(|| scope.to_string()),
        terms: part("terms").to_string(),
        valid_from: offer.valid_from,
        valid_to: offer.valid_to,
        priority: Some(offer.priority),
        stackable: Some(offer.stackable),
        max_per_order: offer.max_per_order.map(i64::from),
    }
}

/// The newest reading of each product, less what was sold since.
pub fn stock_rows(base: Vec<Stock>, collected: &mut Collected) -> Vec<Stock> {
    let mut rows: BTreeMap<String, Vec<Stock>> = BTreeMap::new();
    for row in base {
        rows.entry(row.product_id.clone()).or_default().push(row);
    }
    let mut changed = 0;
    for (product, level) in &collected.stock {
        let own = rows.entry(product.clone()).or_default();
        if own.iter().any(|row| row.as_of > level.as_of) {
            continue;
        }
        changed += 1;
        let lead_time_days = own.iter().filter_map(|row| row.lead_time_days).max();
        // A reading of the log is of all places together.
        *own = vec![Stock {
            product_id: product.clone(),
            city_id: None,
            on_hand: level.on_hand,
            on_order: level.on_order,
            backordered: level.backordered,
            lead_time_days,
            as_of: level.as_of,
        }];
    }
    for (product, sold) in &collected.taken {
        for row in rows.get_mut(product).into_iter().flatten() {
            row.on_hand = row.on_hand.max(Decimal::ZERO);
        }
        for (at_s, quantity) in sold {
            let mut left = *quantity;
            for row in rows.get_mut(product).into_iter().flatten().filter(|row| row.as_of.as_second() <= *at_s) {
                let off = left.min(row.on_hand);
                row.on_hand -= off;
                left -= off;
            }
        }
    }
    collected.tally.count("stock_changed", changed);
    rows.into_values().flatten().collect()
}

/// Sets what a profile says.
pub fn change_customer(customer: &mut Customer, profile: &Profile) {
    for (key, value) in &profile.values {
        let slot = match key.as_str() {
            "customer_type" => &mut customer.customer_type,
            "gender" => &mut customer.gender,
            "age_band" => &mut customer.age_band,
            "income_band" => &mut customer.income_band,
            "city_id" => &mut customer.city_id,
            "area_id" => &mut customer.area_id,
            "country" => &mut customer.country,
            _ => continue,
        };
        slot.clone_from(value);
    }
}

/// Customers that the table does not have, with what events say of them.
pub fn new_customers(profiles: HashMap<String, Profile>) -> Vec<Customer> {
    let mut rows: Vec<Customer> = profiles
        .into_iter()
        .map(|(id, profile)| {
            let mut customer = Customer {
                customer_id: id,
                customer_type: None,
                gender: None,
                age_band: None,
                income_band: None,
                household: None,
                city_id: None,
                area_id: None,
                country: None,
                first_seen: Some(profile.since),
                email: None,
                phone: None,
                push_token: None,
                consent_email: None,
                consent_phone: None,
                consent_push: None,
            };
            change_customer(&mut customer, &profile);
            customer
        })
        .collect();
    rows.sort_by(|a, b| a.customer_id.cmp(&b.customer_id));
    rows
}
