//! What goes with what, and what can stand in for what.
//!
//! Complements follow the words only in part: a quarter of what the words suggest is not so, and some true pairs no word would
//! suggest. They are drawn without regard to popularity.

use crate::catalogue::Catalogue;
use crate::dice::{Dice, Stream, below, between, chance, dice, tidy};
use crate::spec::WorldSpec;
use crate::truth::{Complement, ProductNo, ProductTruth};

const MOST_COMPLEMENTS: usize = 6;
const MOST_SUBSTITUTES: usize = 8;

pub(crate) fn relate(spec: &WorldSpec, catalogue: &mut Catalogue) {
    let nouns = catalogue.words.nouns;
    let mut by_need: Vec<Vec<ProductNo>> = vec![Vec::new(); nouns.len()];
    for (no, product) in catalogue.products.iter().enumerate() {
        if let Some(list) = by_need.get_mut(usize::from(product.need)) {
            list.push(no as ProductNo);
        }
    }
    let need_of = |name: &str| nouns.iter().position(|noun| noun.name == name);
    let partners: Vec<Vec<usize>> =
        nouns.iter().map(|noun| noun.goes_with.iter().filter_map(|name| need_of(name)).collect()).collect();

    let products = &catalogue.products;
    let mut complements: Vec<Vec<Complement<ProductNo>>> = vec![Vec::new(); products.len()];
    for (no, product) in products.iter().enumerate() {
        let mut roll = dice(spec.seed, Stream::Relations, no as u64);
        for &need in partners.get(usize::from(product.need)).into_iter().flatten() {
            if chance(&mut roll, 0.25) {
                continue;
            }
            let candidates = by_need.get(need).map_or(&[][..], Vec::as_slice);
            let Some((other, same_range)) = partner(products, product, candidates, &mut roll) else { continue };
            let strength = if same_range { between(&mut roll, 0.18, 0.45) } else { between(&mut roll, 0.10, 0.30) };
            link(&mut complements, no as ProductNo, other, strength);
            if chance(&mut roll, 0.4) {
                link(&mut complements, other, no as ProductNo, strength * between(&mut roll, 0.3, 0.8));
            }
        }
        if chance(&mut roll, 0.5) {
            let other = below(&mut roll, products.len());
            if products.get(other).is_some_and(|other| other.need != product.need) {
                link(&mut complements, no as ProductNo, other as ProductNo, between(&mut roll, 0.12, 0.35));
            }
        }
    }
    let substitutes: Vec<Vec<ProductNo>> =
        products.iter().enumerate().map(|(no, product)| substitutes(catalogue, &by_need, no, product)).collect();
    for ((product, mut links), others) in catalogue.products.iter_mut().zip(complements).zip(substitutes) {
        links.sort_by(|a, b| b.strength.total_cmp(&a.strength).then(a.product.cmp(&b.product)));
        links.truncate(MOST_COMPLEMENTS);
        product.complements = links;
        product.substitutes = others;
    }
}

fn partner(
    products: &[ProductTruth<ProductNo>],
    product: &ProductTruth<ProductNo>,
    candidates: &[ProductNo],
    roll: &mut Dice,
) -> Option<(ProductNo, bool)> {
    let of_range = |no: &&ProductNo| products.get(**no as usize).is_some_and(|other| other.brand == product.brand);
    let same: Vec<ProductNo> = candidates.iter().filter(of_range).copied().collect();
    let (from, same_range) = if same.is_empty() { (candidates, false) } else { (same.as_slice(), true) };
    from.get(below(roll, from.len())).map(|&other| (other, same_range))
}

fn link(complements: &mut [Vec<Complement<ProductNo>>], from: ProductNo, to: ProductNo, strength: f32) {
    let Some(links) = complements.get_mut(from as usize) else { return };
    if from == to || links.iter().any(|link| link.product == to) {
        return;
    }
    links.push(Complement { product: to, strength: tidy(strength) });
}

/// Products of the same need at a price that is not far away, variants first, then the nearest price.
fn substitutes(
    catalogue: &Catalogue,
    by_need: &[Vec<ProductNo>],
    no: usize,
    product: &ProductTruth<ProductNo>,
) -> Vec<ProductNo> {
    let variant_of = |no: usize| catalogue.rows.get(no).and_then(|row| row.variant_of.as_deref());
    let mine = variant_of(no);
    let candidates = by_need.get(usize::from(product.need)).map_or(&[][..], Vec::as_slice);
    // A shop of a million products has thousands of one need: those near it in the list stand in for all.
    let at = candidates.partition_point(|&other| (other as usize) < no);
    let window = candidates.get(at.saturating_sub(40)..(at + 40).min(candidates.len())).unwrap_or_default();
    let mut ranked: Vec<(bool, f32, ProductNo)> = window
        .iter()
        .filter(|&&other| other as usize != no)
        .filter_map(|&other| {
            let there = catalogue.products.get(other as usize)?;
            let apart = (there.price_cents as f32 / product.price_cents as f32).ln().abs();
            let variant = mine.is_some() && mine == variant_of(other as usize);
            (apart < 0.6).then_some((!variant, tidy(apart), other))
        })
        .collect();
    ranked.sort_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)).then(a.2.cmp(&b.2)));
    ranked.into_iter().take(MOST_SUBSTITUTES).map(|(_, _, other)| other).collect()
}
