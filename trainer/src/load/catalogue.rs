//! Products and their hierarchy.

use std::collections::{HashMap, HashSet};

use endcap_recommender::fitted::{Catalogue, CatalogueRow, NONE, money_from_i64};
use endcap_tables::{Category, OrderLine, Product};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use super::{Sales, Tables};
use crate::TrainError;

/// Units of sale that can be split.
const SPLITTABLE: [&str; 14] =
    ["kg", "g", "kilogram", "gram", "lb", "oz", "l", "ml", "liter", "litre", "m", "cm", "metre", "meter"];
/// Newest orders of a product whose prices stand for a list price that is not known.
const PRICE_SIGHTINGS: usize = 21;

pub(super) struct Products {
    pub catalogue: Catalogue,
}

/// The catalogue of the products table; without one, of whatever the order lines name.
pub(super) fn read(tables: &mut Tables<'_>) -> Result<Products, TrainError> {
    let mut names: HashMap<String, String> = HashMap::new();
    tables.each(|row: Category| {
        // Where a subcategory has the number of a category, the name that is looked for is the category's.
        match (row.name, row.parent_id) {
            (Some(name), None) => {
                names.insert(row.category_id, name);
            }
            (Some(name), Some(_)) => {
                names.entry(row.category_id).or_insert(name);
            }
            (None, _) => {}
        }
    })?;
    let mut rows: Vec<CatalogueRow> = Vec::new();
    if tables.has::<Product>() {
        tables.each(|row: Product| rows.push(catalogue_row(row)))?;
    } else {
        let mut seen: HashSet<String> = HashSet::new();
        // Read twice: the dense index must be known before lines are kept.
        tables.each(|line: OrderLine| {
            seen.insert(line.product_id);
        })?;
        rows.extend(seen.into_iter().map(|id| CatalogueRow {
            name: id.clone(),
            id,
            active: true,
            ..CatalogueRow::default()
        }));
    }
    let before = rows.len();
    let catalogue = Catalogue::build(rows, |id| names.get(id).cloned());
    tables.reject("products", "duplicate_key", (before - catalogue.len()) as u64);
    Ok(Products { catalogue })
}

fn catalogue_row(row: Product) -> CatalogueRow {
    let positive = |money: Option<Decimal>| money.filter(|money| *money > Decimal::ZERO);
    CatalogueRow {
        name: row.name.unwrap_or_else(|| row.product_id.clone()),
        id: row.product_id,
        category: row.category_id,
        subcategory: row.subcategory_id,
        brand: row.brand_id,
        variant_of: row.variant_of,
        pack_size: row.pack_size.filter(Decimal::is_integer).and_then(|size| size.to_u32()),
        splittable: row.unit.is_some_and(|unit| SPLITTABLE.iter().any(|known| unit.trim().eq_ignore_ascii_case(known))),
        list_price: positive(row.list_price),
        cost: positive(row.cost),
        active: row.active,
    }
}

impl Products {
    /// Gives products without a list price the median of what their newest orders paid; returns how many.
    pub fn price_from_sales(&mut self, sales: &Sales) -> u64 {
        let mut wanted: HashMap<u32, Vec<i64>> = HashMap::new();
        for (product, price) in (0u32..).zip(&self.catalogue.list_price) {
            if money_from_i64(*price).is_none() {
                wanted.insert(product, Vec::new());
            }
        }
        let view = sales.view();
        for order in (0..view.len()).rev() {
            for line in view.lines(order) {
                if let Some(prices) = wanted.get_mut(&line.product)
                    && prices.len() < PRICE_SIGHTINGS
                {
                    prices.push(line.unit_price);
                }
            }
        }
        let mut filled = 0;
        for (product, mut prices) in wanted {
            prices.sort_unstable();
            let middle = prices.get(prices.len() / 2).copied();
            if let (Some(price), Some(slot)) = (middle, self.catalogue.list_price.get_mut(product as usize)) {
                *slot = price;
                filled += 1;
            }
        }
        filled
    }

    /// A product whose quantities had a fraction can be split, whatever its unit's name.
    pub fn mark_splittable(&mut self, product: u32) {
        if product != NONE
            && let Some(slot) = self.catalogue.splittable.get_mut(product as usize)
        {
            *slot = 1;
        }
    }
}
