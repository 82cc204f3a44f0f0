//! How much of the range lists show, how products fare of which little is known, and how far lists lean to what sells most.

use std::collections::HashSet;

use endcap_recommender::fitted::{Model, Situation};

use super::{Case, Served, Tuned, metric};

/// A product of at most so many orders before the window is cold.
const COLD_ORDERS: u32 = 5;

/// How much of the range is shown, and how products fare of which little is known.
pub(super) fn measure(
    model: &Model,
    all: &[(Situation, Vec<Case>)],
    served: &[Vec<Served>],
    seed: i64,
    tuned: &mut Tuned,
) {
    let orders = |product: u32| model.associations.item_orders(product);
    let shown: HashSet<u32> = served.iter().flatten().flat_map(|served| served.list.iter().copied()).collect();
    let sold = (0..model.catalogue.len() as u32).filter(|product| orders(*product) > 0).count();
    tuned.coverage = Some(shown.len() as f64 / sold.max(1) as f64);
    let recall = |is_part: &dyn Fn(u32) -> bool| -> Vec<f64> {
        let each = all.iter().flat_map(|(_, cases)| cases).zip(served.iter().flatten());
        each.filter_map(|(case, served)| {
            let targets: Vec<u32> = case.targets.iter().copied().filter(|target| is_part(*target)).collect();
            let found = targets.iter().filter(|target| served.list.contains(target)).count();
            (!targets.is_empty()).then(|| found as f64 / targets.len() as f64)
        })
        .collect()
    };
    let cold = recall(&|product| orders(product) <= COLD_ORDERS);
    let warm = recall(&|product| orders(product) > COLD_ORDERS);
    for (name, values) in [("cold_recall@10", cold), ("warm_recall@10", warm)] {
        if !values.is_empty() {
            tuned.cold.push(metric(name.to_owned(), &values, seed));
        }
    }
}

/// How far what is shown leans to what sells, beside how far what was right does.
pub(super) fn popularity_bias(
    model: &Model,
    all: &[(Situation, Vec<Case>)],
    served: &[Vec<Served>],
    seed: i64,
    tuned: &mut Tuned,
) {
    let mut orders: Vec<u32> = (0..model.catalogue.len() as u32)
        .map(|product| model.associations.item_orders(product))
        .filter(|n| *n > 0)
        .collect();
    orders.sort_unstable_by(|a, b| b.cmp(a));
    let Some(bound) = orders.get(orders.len() / 10).copied() else { return };
    let share = |products: &[u32]| {
        let top = products.iter().filter(|product| model.associations.item_orders(**product) > bound).count();
        (!products.is_empty()).then(|| top as f64 / products.len() as f64)
    };
    let shown = served.iter().flatten().filter_map(|served| share(&served.list)).collect::<Vec<f64>>();
    let right = all.iter().flat_map(|(_, cases)| cases).filter_map(|case| share(&case.targets)).collect::<Vec<f64>>();
    for (name, values) in [("top_tenth_shown@10", shown), ("top_tenth_ordered", right)] {
        if !values.is_empty() {
            tuned.popularity.push(metric(name.to_owned(), &values, seed));
        }
    }
}
