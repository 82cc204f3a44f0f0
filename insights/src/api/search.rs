//! Products and customers for the order-entry form.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use endcap_eventlog::problem::Problem;
use http::StatusCode;
use rust_decimal::prelude::ToPrimitive;
use serde::Deserialize;
use utoipa::IntoParams;

use super::types::{CustomerFound, Customers, ProductFound, Products};
use super::{App, Asked, bad, query};
use crate::fold::product_key;
use crate::shop::Version;

const MAX_FOUND: usize = 200;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    /// Part of a name or id, in small or large letters; the first ones when missing.
    #[serde(default)]
    query: String,
    /// 1 to 200; 20 when missing.
    limit: Option<usize>,
}

impl SearchQuery {
    fn limit(&self) -> Result<usize, Problem> {
        let limit = self.limit.unwrap_or(20);
        if (1..=MAX_FOUND).contains(&limit) { Ok(limit) } else { Err(bad(format!("limit must be 1 to {MAX_FOUND}"))) }
    }
}

/// How well something fits, best first; none when it does not.
fn fit(wanted: &str, id: &str, name: &str) -> Option<u8> {
    if id == wanted {
        Some(0)
    } else if id.starts_with(wanted) {
        Some(1)
    } else if name.starts_with(wanted) {
        Some(2)
    } else if name.split_whitespace().any(|word| word.starts_with(wanted)) {
        Some(3)
    } else if name.contains(wanted) || id.contains(wanted) {
        Some(4)
    } else {
        None
    }
}

pub async fn products(State(app): State<Arc<App>>, asked: Asked<SearchQuery>) -> Result<Json<Products>, Problem> {
    let asked = query(asked)?;
    let limit = asked.limit()?;
    let Some(version) = app.shop.version() else {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "no-catalogue", "No catalogue is read yet")
            .detail("it comes with the active version of the routing table; ask again")
            .retry_after(std::time::Duration::from_secs(1)));
    };
    super::blocking(move || Ok(find_products(&app, &version, &asked.query.to_lowercase(), limit))).await.map(Json)
}

fn find_products(app: &App, version: &Version, wanted: &str, limit: usize) -> Products {
    let catalogue = &version.catalogue;
    let mut found: Vec<(u8, u32)> = version
        .small_names
        .iter()
        .zip(0_u32..)
        .filter_map(|(name, at)| Some((fit(wanted, &catalogue.id(at).to_lowercase(), name)?, at)))
        .collect();
    found.sort_unstable();
    found.truncate(limit);
    let products = app.shop.with_live(|live| {
        let shelf = live.shelf();
        let product = |at: u32| {
            let id = catalogue.id(at);
            let category = version.category(product_key(id)).and_then(|category| catalogue.find_category(category));
            let price = shelf.prices.get(id).copied().or_else(|| catalogue.list_price(at));
            ProductFound {
                id: id.to_owned(),
                name: catalogue.name(at).to_owned(),
                category: category.map(|category| catalogue.category_names.get(category as usize).to_owned()),
                unit_price: price.map(|price| price.to_string()),
                stock: shelf.stock.get(id).and_then(|level| level.on_hand.to_f64()),
                active: shelf.active.get(id).copied().unwrap_or_else(|| catalogue.is_active(at)),
            }
        };
        found.iter().map(|(_, at)| product(*at)).collect()
    });
    Products { products }
}

pub async fn customers(State(app): State<Arc<App>>, asked: Asked<SearchQuery>) -> Result<Json<Customers>, Problem> {
    let asked = query(asked)?;
    let limit = asked.limit()?;
    super::blocking(move || Ok(find_customers(&app, &asked.query, limit))).await.map(Json)
}

fn find_customers(app: &App, wanted: &str, limit: usize) -> Customers {
    let customers = app.shop.with_live(|live| {
        let mut found: Vec<(u8, &str, usize)> = live
            .customers()
            .filter_map(|(id, customer)| Some((fit(wanted, id, "")?, id.as_str(), customer.orders.len())))
            .collect();
        if found.len() > limit {
            found.select_nth_unstable(limit);
            found.truncate(limit);
        }
        found.sort_unstable();
        found.into_iter().map(|(_, id, orders)| CustomerFound { id: id.to_owned(), orders }).collect()
    });
    Customers { customers }
}
