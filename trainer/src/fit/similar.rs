//! Item to item, learned from orders and from customers.

use endcap_recommender::fitted::{Catalogue, Rows, Similar, Weighted};
use rayon::prelude::*;

use super::associations::{Baskets, Counter};
use super::{content, ease, follows};
use crate::TrainError;
use crate::load::View;

/// What the fits are told.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilarOptions {
    /// Entries kept by product.
    pub neighbours: usize,
    /// Ridge of EASE on orders and on customers.
    pub basket_ridge: f32,
    pub customer_ridge: f32,
    /// Products with orders from which on item kNN stands in for EASE, whose cost grows with the cube.
    pub ease_products: usize,
}

impl Default for SimilarOptions {
    fn default() -> Self {
        Self { neighbours: 200, basket_ridge: 300.0, customer_ridge: 100.0, ease_products: 8000 }
    }
}

/// Of a customer only so many products count, the newest ones.
const CUSTOMER_PRODUCTS: usize = 500;

/// Fits all four tables. `done` is called after each.
pub fn similar(
    catalogue: &Catalogue,
    sales: View<'_>,
    customers: usize,
    max_order_products: usize,
    options: &SimilarOptions,
    done: &dyn Fn(),
) -> Result<Similar, TrainError> {
    let products = catalogue.len();
    let baskets = Baskets::of_sales(sales, products, max_order_products);
    let by_orders = item_to_item(&baskets, options.basket_ridge, options)?;
    drop(baskets);
    done();
    let by_customers = item_to_item(&of_customers(sales, products, customers), options.customer_ridge, options)?;
    done();
    let follows = follows::follows(sales, products, options.neighbours / 2);
    done();
    let content = content::content(catalogue);
    done();
    Ok(Similar { baskets: by_orders, customers: by_customers, follows, content })
}

/// Customers as baskets of all that they ever bought.
fn of_customers(sales: View<'_>, products: usize, customers: usize) -> Baskets {
    let baskets = sales.by_customer(customers).into_iter().filter(|orders| !orders.is_empty()).map(|orders| {
        let newest_first = orders.into_iter().rev().flat_map(|order| sales.lines(order as usize));
        let mut seen = std::collections::HashSet::new();
        newest_first
            .map(|line| line.product)
            .filter(|product| seen.insert(*product))
            .take(CUSTOMER_PRODUCTS)
            .collect::<Vec<_>>()
    });
    let baskets: Vec<Vec<u32>> = baskets.collect();
    let strata = vec![(0, 0); baskets.len()];
    Baskets::new(baskets.into_iter(), strata.into_iter(), products, CUSTOMER_PRODUCTS)
}

fn item_to_item(baskets: &Baskets, ridge: f32, options: &SimilarOptions) -> Result<Rows<Weighted>, TrainError> {
    let sold = (0..baskets.products() as u32).filter(|product| baskets.item_orders(*product) > 1).count();
    if sold <= options.ease_products {
        ease::ease(baskets, ridge, options.neighbours)
    } else {
        Ok(knn(baskets, options.neighbours))
    }
}

/// Orders added to a product's count in the cosine, so that a product of few orders is not everybody's nearest.
const COSINE_SHRINKAGE: f64 = 10.0;

/// Item kNN: shrunk cosine of the sets of orders (Sarwar et al., WWW 2001).
pub(crate) fn knn(baskets: &Baskets, keep: usize) -> Rows<Weighted> {
    let size = |product: u32| f64::from(baskets.item_orders(product)) + COSINE_SHRINKAGE;
    let rows: Vec<Vec<Weighted>> = (0..baskets.products() as u32)
        .into_par_iter()
        .map_init(Counter::default, |counter, product| {
            let partners = baskets.count(product, counter).into_iter();
            let cosines = partners
                .map(|(partner, both)| (partner, (f64::from(both) / (size(product) * size(partner)).sqrt()) as f32));
            strongest(cosines, keep)
        })
        .collect();
    Rows::from_rows(rows)
}

/// The `keep` entries of the greatest magnitude, by ascending product.
pub(crate) fn strongest(entries: impl Iterator<Item = (u32, f32)>, keep: usize) -> Vec<Weighted> {
    let mut entries: Vec<(u32, f32)> = entries.filter(|(_, weight)| *weight != 0.0).collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.abs().total_cmp(&a.1.abs()).then(a.0.cmp(&b.0));
    if entries.len() > keep && keep > 0 {
        entries.select_nth_unstable_by(keep - 1, order);
        entries.truncate(keep);
    }
    entries.sort_unstable_by_key(|entry| entry.0);
    let mut kept: Vec<Weighted> = entries.into_iter().map(|(product, weight)| Weighted { product, weight }).collect();
    // Collected in the place of all entries, which would stay as long as what was kept of them.
    kept.shrink_to_fit();
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn cosines_by_hand_and_only_the_strongest_are_kept() {
        let baskets = Baskets::new(
            [vec![0, 1], vec![0, 1], vec![0, 2], vec![1, 2, 3]].into_iter(),
            [(0, 0); 4].into_iter(),
            5,
            10,
        );
        let rows = knn(&baskets, 2);
        let weight = |from: u32, to: u32| rows.row(from).iter().find(|entry| entry.product == to).unwrap().weight;
        assert!((weight(0, 1) - 2.0 / 13.0).abs() < 1e-6);
        assert!((weight(2, 0) - 1.0 / (12.0f32 * 13.0).sqrt()).abs() < 1e-6);
        assert!((0..5).all(|product| rows.row(product).len() <= 2) && rows.row(4).is_empty());
        let kept = strongest([(4, 0.1), (1, -0.5), (2, 0.3), (3, 0.0)].into_iter(), 2);
        assert_eq!(kept.iter().map(|entry| entry.product).collect::<Vec<_>>(), vec![1, 2]);
    }
}
