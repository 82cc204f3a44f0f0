//! Who plays: a customer, a cart, an offer and a product, chosen from the data so that each scene has something to show.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use anyhow::{Context, Result};
use endcap_recommender::offers::{Offer, Parts, Terms};
use endcap_tables::{OrderLine, OrderStatus, Product, Stock};
use jiff::Timestamp;
use rust_decimal::Decimal;

#[derive(Debug)]
pub struct Cast {
    /// A customer with habits, and what they ever ordered.
    pub customer: String,
    pub history: HashSet<String>,
    pub orders_of_customer: usize,
    /// First lines of somebody's recent order.
    pub cart: Vec<String>,
    /// A product with "buy 7 get 2 free", its price, and how many are needed.
    pub offer: Option<(Offer, String, Decimal)>,
    /// A good seller with a price, for an offer that has to be declared first.
    pub seller: String,
    /// A product that is out of stock, with one that it is often bought with.
    pub out_of_stock: Option<(String, String)>,
    pub names: HashMap<String, String>,
    pub prices: HashMap<String, Decimal>,
    /// The moment that questions are about: none for now, the end of the data where that is long ago.
    pub at: Option<Timestamp>,
}

struct PlacedOrder {
    customer: Option<String>,
    at: Timestamp,
    products: Vec<String>,
}

impl Cast {
    pub fn choose(dataset: &Path, is_real_data: bool) -> Result<Self> {
        let products: Vec<Product> = endcap_tables::read(dataset)?;
        let prices: HashMap<String, Decimal> =
            products.iter().filter_map(|product| Some((product.product_id.clone(), product.list_price?))).collect();
        let names: HashMap<String, String> = products
            .iter()
            .map(|product| (product.product_id.clone(), product.name.clone().unwrap_or_default()))
            .collect();
        let active: HashSet<&str> =
            products.iter().filter(|product| product.active).map(|product| product.product_id.as_str()).collect();
        let orders = placed_orders(dataset, &active)?;
        let end = orders.iter().map(|order| order.at).max().context("the data holds no placed order")?;

        let on_hand = on_hand(dataset)?;
        let is_in_stock = |product: &str| on_hand.get(product).is_none_or(|on_hand| *on_hand > Decimal::ZERO);
        let (customer, history, orders_of_customer) = customer_with_habits(&orders)?;
        let sold = sold(&orders);
        let mut sellers: Vec<&str> =
            sold.keys().copied().filter(|product| prices.contains_key(*product) && is_in_stock(product)).collect();
        sellers.sort_by_key(|product| (std::cmp::Reverse(sold.get(product).copied().unwrap_or(0)), *product));
        let seller = sellers.first().context("the data holds no product that is sold, priced and in stock")?;

        Ok(Self {
            cart: recent_cart(&orders, &customer, is_in_stock)
                .context("the data holds no recent order of four or more products")?,
            offer: buy_seven_get_two(dataset, end, &prices, is_in_stock)?,
            seller: (*seller).to_owned(),
            out_of_stock: out_of_stock(&orders, &on_hand, &sold),
            at: is_real_data.then(|| end + jiff::SignedDuration::from_hours(1)),
            customer,
            history,
            orders_of_customer,
            names,
            prices,
        })
    }

    pub fn name<'a>(&'a self, product: &'a str) -> &'a str {
        self.names.get(product).map_or(product, String::as_str)
    }
}

fn placed_orders(dataset: &Path, active: &HashSet<&str>) -> Result<Vec<PlacedOrder>> {
    let mut orders: HashMap<String, PlacedOrder> = HashMap::new();
    endcap_tables::scan(dataset, |rows: Vec<endcap_tables::Order>| {
        for row in rows.into_iter().filter(|row| row.status == OrderStatus::Placed.as_str()) {
            let order = PlacedOrder { customer: row.customer_id, at: row.ordered_at, products: Vec::new() };
            orders.insert(row.order_id, order);
        }
    })?;
    endcap_tables::scan(dataset, |rows: Vec<OrderLine>| {
        for row in rows.into_iter().filter(|row| active.contains(row.product_id.as_str())) {
            if let Some(order) = orders.get_mut(&row.order_id)
                && !order.products.contains(&row.product_id)
            {
                order.products.push(row.product_id);
            }
        }
    })?;
    let mut list: Vec<(String, PlacedOrder)> = orders.into_iter().collect();
    list.sort_by(|(a_id, a), (b_id, b)| (a.at, a_id).cmp(&(b.at, b_id)));
    Ok(list.into_iter().map(|(_, order)| order).collect())
}

/// The customer whose last thirty orders repeat themselves most.
fn customer_with_habits(orders: &[PlacedOrder]) -> Result<(String, HashSet<String>, usize)> {
    let mut by_customer: HashMap<&str, Vec<&PlacedOrder>> = HashMap::new();
    for order in orders {
        if let Some(customer) = &order.customer {
            by_customer.entry(customer).or_default().push(order);
        }
    }
    let repeats = |own: &[&PlacedOrder]| {
        let mut times: HashMap<&str, usize> = HashMap::new();
        for product in own.iter().rev().take(30).flat_map(|order| &order.products) {
            *times.entry(product).or_default() += 1;
        }
        times.values().filter(|times| **times >= 3).sum::<usize>()
    };
    let best = by_customer.iter().max_by(|(a_id, a), (b_id, b)| repeats(a).cmp(&repeats(b)).then(b_id.cmp(a_id)));
    let (customer, own) = best.context("the data holds no order of a known customer")?;
    let history = own.iter().flat_map(|order| order.products.iter().cloned()).collect();
    Ok(((*customer).to_owned(), history, own.len()))
}

fn sold(orders: &[PlacedOrder]) -> HashMap<&str, usize> {
    let mut sold = HashMap::new();
    for product in orders.iter().flat_map(|order| &order.products) {
        *sold.entry(product.as_str()).or_default() += 1;
    }
    sold
}

/// The first half of the newest order of somebody else that is neither tiny nor huge.
fn recent_cart(orders: &[PlacedOrder], customer: &str, is_in_stock: impl Fn(&str) -> bool) -> Option<Vec<String>> {
    let fits = |order: &&PlacedOrder| {
        order.customer.as_deref() != Some(customer)
            && (4..=16).contains(&order.products.len())
            && order.products.iter().all(|product| is_in_stock(product))
    };
    orders.iter().rev().find(fits).map(|order| order.products.iter().take(order.products.len() / 2).cloned().collect())
}

fn on_hand(dataset: &Path) -> Result<HashMap<String, Decimal>> {
    let mut levels: HashMap<(String, Option<String>), Stock> = HashMap::new();
    for row in endcap_tables::read_optional::<Stock>(dataset)? {
        let key = (row.product_id.clone(), row.city_id.clone());
        if levels.get(&key).is_none_or(|known| known.as_of <= row.as_of) {
            levels.insert(key, row);
        }
    }
    let mut on_hand: HashMap<String, Decimal> = HashMap::new();
    for ((product, _), row) in levels {
        // What is promised beyond stock makes it backordered, not out.
        let promised = if row.on_hand.is_zero() { row.backordered.unwrap_or_default() } else { Decimal::ZERO };
        *on_hand.entry(product).or_default() += row.on_hand + promised;
    }
    Ok(on_hand)
}

fn buy_seven_get_two(
    dataset: &Path,
    end: Timestamp,
    prices: &HashMap<String, Decimal>,
    is_in_stock: impl Fn(&str) -> bool,
) -> Result<Option<(Offer, String, Decimal)>> {
    for row in endcap_tables::read_optional::<endcap_tables::Offer>(dataset)? {
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
        let Ok(offer) = Offer::from_parts(&parts) else { continue };
        let is_wanted =
            matches!(&offer.terms, Terms::BuyXGetY { buy: 7, get: 2, get_products } if get_products.is_empty());
        let holds_for_all =
            offer.scope.customers.is_empty() && offer.scope.segments.is_empty() && offer.scope.channels.is_empty();
        let lasts = offer.valid_to.is_none_or(|to| to > end + jiff::SignedDuration::from_hours(48));
        if !is_wanted || !holds_for_all || !lasts {
            continue;
        }
        for product in &offer.scope.products {
            if let Some(price) = prices.get(product.as_str()).filter(|_| is_in_stock(product)) {
                return Ok(Some((offer.clone(), product.to_string(), *price)));
            }
        }
    }
    Ok(None)
}

/// A product without stock, and the one that it was bought with most.
fn out_of_stock(
    orders: &[PlacedOrder],
    on_hand: &HashMap<String, Decimal>,
    sold: &HashMap<&str, usize>,
) -> Option<(String, String)> {
    let mut gone: Vec<&str> =
        on_hand.iter().filter(|(_, level)| level.is_zero()).map(|(product, _)| product.as_str()).collect();
    gone.sort_by_key(|product| (std::cmp::Reverse(sold.get(product).copied().unwrap_or(0)), *product));
    gone.into_iter().find_map(|product| {
        let mut together: HashMap<&str, usize> = HashMap::new();
        for order in orders.iter().filter(|order| order.products.iter().any(|line| line == product)) {
            for other in order.products.iter().filter(|other| *other != product) {
                *together.entry(other).or_default() += 1;
            }
        }
        let (partner, _) =
            together.into_iter().max_by(|(a, a_times), (b, b_times)| a_times.cmp(b_times).then(b.cmp(a)))?;
        Some((product.to_owned(), partner.to_owned()))
    })
}
