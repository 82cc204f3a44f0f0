//! What goes with the cart and with what was viewed.

use rust_decimal::prelude::ToPrimitive;

use super::{Candidate, Detail, Question, Scratch, Signal};
use crate::fitted::{Associations, Model, NONE, Rows, Weighted};

/// Share of the orders with `product` that also hold its partner, believed the more the more orders there are.
pub fn confidence(associations: &Associations, shrinkage: f32, product: u32, both: u32, partner_share: f32) -> f32 {
    (both as f32 + shrinkage * partner_share) / (associations.item_orders(product) as f32 + shrinkage)
}

/// How much more often than by chance two products are bought together, as a cosine; 0 where it is not more.
pub fn excess(
    associations: &Associations,
    shrinkage: f32,
    product: u32,
    partner: u32,
    both: u32,
    expected: f32,
) -> f32 {
    let one = associations.item_orders(product) as f32 + shrinkage;
    let other = associations.item_orders(partner) as f32 + shrinkage;
    // One standard deviation of a Poisson count is taken off, so that a single order proves nothing.
    ((both as f32 - expected - expected.max(1.0).sqrt()) / (one * other).sqrt()).max(0.0)
}

pub(super) fn associations(model: &Model, anchors: &[u32], scratch: &mut Scratch) {
    let shrinkage = model.settings.confidence_shrinkage;
    let each = 1.0 / (anchors.len().max(1) as f32);
    let with_details = model.ranker.is_some();
    for anchor in anchors {
        for neighbour in model.associations.neighbours.row(*anchor) {
            let (partner, both) = (neighbour.product, neighbour.both);
            let share = model.popularity.share(partner);
            // What the product's popularity alone would give is `recent`'s business.
            let confidence = confidence(&model.associations, shrinkage, *anchor, both, share);
            scratch.add(partner, Signal::Confidence, each * confidence);
            let excess = excess(&model.associations, shrinkage, *anchor, partner, both, neighbour.expected);
            scratch.add(partner, Signal::Excess, excess * each.sqrt());
            if with_details {
                scratch.raise_detail(partner, Detail::ConfidenceMost, confidence);
            }
        }
    }
}

pub(super) fn viewed(model: &Model, viewed: &[u32], scratch: &mut Scratch) {
    let shrinkage = model.settings.confidence_shrinkage;
    let mut weight = 1.0;
    for product in viewed.iter().rev().take(10) {
        scratch.add(*product, Signal::Viewed, weight);
        for neighbour in model.associations.neighbours.row(*product) {
            let excess =
                excess(&model.associations, shrinkage, *product, neighbour.product, neighbour.both, neighbour.expected);
            scratch.add(neighbour.product, Signal::Viewed, weight * excess);
        }
        weight *= 0.7;
    }
}

/// A line's weight against the next newer one's, where newer lines count more.
const LINE_DECAY: f32 = 0.8;
/// Newest lines that `follows` looks at.
const FOLLOWED_LINES: usize = 3;
/// Products of a history whose look-alikes count.
const HISTORY_PRODUCTS: usize = 60;

/// The learned item-to-item tables, from the cart (newest first).
pub(super) fn learned(model: &Model, question: &Question, scratch: &mut Scratch) {
    let similar = &model.similar;
    let anchors = &question.anchors;
    let each = 1.0 / (anchors.len().max(1) as f32);
    let mut decay = 1.0;
    for (at, anchor) in anchors.iter().enumerate() {
        let is_new = at < FOLLOWED_LINES;
        for entry in similar.baskets.row(*anchor) {
            scratch.add(entry.product, Signal::Similar, decay * entry.weight);
            scratch.add_detail(entry.product, Detail::SimilarEven, entry.weight);
        }
        for entry in similar.follows.row(*anchor) {
            if is_new {
                scratch.add(entry.product, Signal::Follows, entry.weight);
            }
            if at == 0 {
                scratch.add_detail(entry.product, Detail::FollowsLast, entry.weight);
            }
            scratch.add_detail(entry.product, Detail::FollowsAll, each * entry.weight);
        }
        for entry in similar.content.row(*anchor) {
            scratch.raise(entry.product, Signal::Content, entry.weight);
            if is_new {
                scratch.raise_detail(entry.product, Detail::ContentLast, entry.weight);
            }
        }
        decay *= LINE_DECAY;
    }
    let lines = question.history.iter().rev().flat_map(|order| order.lines.iter()).take(HISTORY_PRODUCTS);
    for (product, _) in lines {
        look_alikes(&similar.content, *product, anchors.is_empty(), scratch);
    }
}

fn look_alikes(content: &Rows<Weighted>, product: u32, is_signal: bool, scratch: &mut Scratch) {
    for entry in content.row(product) {
        if is_signal {
            scratch.raise(entry.product, Signal::Content, entry.weight);
        }
        scratch.raise_detail(entry.product, Detail::ContentHistory, entry.weight);
    }
}

/// The natural logarithm of a product's list price.
pub(crate) fn log_price(model: &Model, product: u32) -> Option<f32> {
    model.catalogue.list_price(product).and_then(|price| price.to_f32()).filter(|price| *price > 0.0).map(f32::ln)
}

/// How a candidate's category and price stand to the cart's.
pub(super) fn cart_details(model: &Model, anchors: &[u32], found: &mut [Candidate]) {
    if anchors.is_empty() {
        return;
    }
    let each = 1.0 / anchors.len() as f32;
    let mut shares: Vec<(u32, f32)> = Vec::new();
    for subcategory in anchors.iter().map(|anchor| model.catalogue.subcategory(*anchor)).filter(|at| *at != NONE) {
        match shares.iter_mut().find(|(seen, _)| *seen == subcategory) {
            Some((_, share)) => *share += each,
            None => shares.push((subcategory, each)),
        }
    }
    let prices: Vec<f32> = anchors.iter().filter_map(|anchor| log_price(model, *anchor)).collect();
    let mean = prices.iter().sum::<f32>() / prices.len().max(1) as f32;
    for candidate in found {
        let subcategory = model.catalogue.subcategory(candidate.product);
        let share = shares.iter().find(|(seen, _)| *seen == subcategory).map_or(0.0, |(_, share)| *share);
        let price = log_price(model, candidate.product).filter(|_| !prices.is_empty());
        let values =
            [(Detail::CartCategory, share), (Detail::PriceDistance, price.map_or(0.0, |price| (price - mean).abs()))];
        for (detail, value) in values {
            if let Some(slot) = candidate.details.get_mut(detail as usize) {
                *slot = value;
            }
        }
    }
}
