//! EASE: a linear autoencoder in closed form (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW 2019).

use endcap_recommender::fitted::{Rows, Weighted};
use faer::linalg::solvers::DenseSolveCore;
use faer::{Mat, Side};
use rayon::prelude::*;

use super::associations::{Baskets, Counter};
use super::similar::strongest;
use crate::TrainError;

/// `B = I - P / diag(P)` with `P = (G + ridge I)^-1` and `G` the counts of baskets with both; the `keep` strongest weights of each
/// row. Products in fewer than two baskets stay out: nothing can be learned of them here.
pub(crate) fn ease(baskets: &Baskets, ridge: f32, keep: usize) -> Result<Rows<Weighted>, TrainError> {
    let products = baskets.products() as u32;
    let sold: Vec<u32> = (0..products).filter(|product| baskets.item_orders(*product) > 1).collect();
    if sold.is_empty() {
        return Ok(Rows::from_rows((0..products).map(|_| Vec::new())));
    }
    let mut place = vec![u32::MAX; products as usize];
    for (at, product) in (0u32..).zip(&sold) {
        if let Some(slot) = place.get_mut(*product as usize) {
            *slot = at;
        }
    }
    let counted: Vec<Vec<(u32, u32)>> =
        sold.par_iter().map_init(Counter::default, |counter, product| baskets.count(*product, counter)).collect();
    let mut gram = Mat::<f32>::zeros(sold.len(), sold.len());
    for (at, (product, partners)) in sold.iter().zip(&counted).enumerate() {
        gram[(at, at)] = baskets.item_orders(*product) as f32 + ridge;
        for (partner, both) in partners {
            let other = place.get(*partner as usize).copied().unwrap_or(u32::MAX);
            if other != u32::MAX {
                gram[(at, other as usize)] = *both as f32;
            }
        }
    }
    drop(counted);
    let factor = gram.llt(Side::Lower).map_err(|error| TrainError::Solve {
        what: "EASE",
        why: format!("{error:?}; a larger basket_ridge or customer_ridge makes it solvable"),
    })?;
    drop(gram);
    let inverse = factor.inverse();
    drop(factor);
    let rows: Vec<Vec<Weighted>> = (0..products)
        .into_par_iter()
        .map(|product| {
            let at = place.get(product as usize).copied().unwrap_or(u32::MAX) as usize;
            if at >= sold.len() {
                return Vec::new();
            }
            let others = sold.iter().enumerate().filter(|(other, _)| *other != at);
            strongest(others.map(|(other, id)| (*id, -inverse[(at, other)] / inverse[(other, other)])), keep)
        })
        .collect();
    Ok(Rows::from_rows(rows))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    /// Three products by hand: inverse of a 3 x 3 matrix by cofactors.
    #[test]
    fn weights_by_hand() {
        let baskets = Baskets::new(
            [vec![0, 1], vec![0, 1], vec![0, 1, 2], vec![2], vec![1, 2]].into_iter(),
            [(0, 0); 5].into_iter(),
            4,
            10,
        );
        let rows = ease(&baskets, 1.0, 10).unwrap();
        let g = [[4.0f64, 3.0, 1.0], [3.0, 5.0, 2.0], [1.0, 2.0, 4.0]];
        let cofactor = |i: usize, j: usize| {
            let rows: Vec<usize> = (0..3).filter(|r| *r != j).collect();
            let cols: Vec<usize> = (0..3).filter(|c| *c != i).collect();
            let minor = g[rows[0]][cols[0]] * g[rows[1]][cols[1]] - g[rows[0]][cols[1]] * g[rows[1]][cols[0]];
            if (i + j).is_multiple_of(2) { minor } else { -minor }
        };
        for from in 0..3u32 {
            for entry in rows.row(from) {
                let to = entry.product as usize;
                let expected = -cofactor(from as usize, to) / cofactor(to, to);
                assert!((f64::from(entry.weight) - expected).abs() < 1e-5, "{from} {to}");
            }
            assert_eq!(rows.row(from).len(), 2);
        }
        assert!(rows.row(3).is_empty());
    }
}
