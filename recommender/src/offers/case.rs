//! One cart with the offers that bear on it, and what each offer does alone.

use rust_decimal::Decimal;

use super::book::Offers;
use super::money::{fits, times, total_floor, working};
use super::scope::{PricedLine, Setting, holds_for, in_force, is_on_order};
use super::terms::{AmountPer, Offer, Terms};
use crate::ids::ProductId;

/// A line with its nonsense (negative amounts) taken for 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line<'a> {
    pub product_id: &'a ProductId,
    pub quantity: Decimal,
    pub unit_price: Decimal,
    /// Price before offers, 4 digits.
    pub base: Decimal,
}

pub(super) struct Case<'a> {
    pub lines: Vec<Line<'a>>,
    /// In force, for this buyer, about at least one line; by id, each once.
    pub pool: Vec<&'a Offer>,
    /// Lines that each offer of the pool is about, rising.
    pub about: Vec<Vec<usize>>,
    setting: Setting<'a>,
}

impl<'a> Case<'a> {
    pub fn new<S: Offers + ?Sized>(cart: &'a [PricedLine<'a>], offers: &'a S, setting: &Setting<'a>) -> Self {
        let mut pairs: Vec<(&'a Offer, usize)> = Vec::new();
        for (l, line) in cart.iter().enumerate() {
            offers.about(line, &mut |offer| {
                if in_force(offer, setting.now) && holds_for(offer, &setting.buyer) {
                    pairs.push((offer, l));
                }
            });
        }
        // By id, so that the answer does not depend on the order in which offers are kept.
        pairs.sort_by(|a, b| a.0.offer_id.cmp(&b.0.offer_id).then(a.1.cmp(&b.1)));
        let mut pool: Vec<&Offer> = Vec::new();
        let mut about: Vec<Vec<usize>> = Vec::new();
        for (offer, l) in pairs {
            match (pool.last(), about.last_mut()) {
                (Some(last), Some(lines)) if last.offer_id == offer.offer_id => {
                    if lines.last() != Some(&l) {
                        lines.push(l);
                    }
                }
                _ => {
                    pool.push(offer);
                    about.push(vec![l]);
                }
            }
        }
        let lines = cart
            .iter()
            .map(|line| {
                let quantity = line.quantity.max(Decimal::ZERO);
                let unit_price = line.unit_price.max(Decimal::ZERO);
                Line { product_id: line.product_id, quantity, unit_price, base: times(quantity, unit_price) }
            })
            .collect();
        Self { lines, pool, about, setting: *setting }
    }

    /// What a unit of a gift is worth: its price in the cart, else in the shop, else 0.
    pub fn worth(&self, product: &str) -> Decimal {
        let in_cart = self.lines.iter().find(|line| line.product_id.as_str() == product).map(|line| line.unit_price);
        in_cart.or_else(|| (self.setting.price_of)(product)).unwrap_or_default().max(Decimal::ZERO)
    }

    /// What one use of a `BuyXGetY` on this line gives: product, units, worth.
    pub fn free_goods(&self, line: &Line<'a>, get: u32, get_products: &[ProductId]) -> (ProductId, Decimal, Decimal) {
        let units = Decimal::from(get);
        match get_products.first() {
            Some(product) => (product.clone(), units, times(units, self.worth(product))),
            None => (line.product_id.clone(), units, times(units, line.unit_price)),
        }
    }

    /// Uses and saving of an offer alone on a line; nothing where it has no effect. Bundles: see [`Self::bundle`].
    pub fn alone(&self, o: usize, l: usize) -> Option<(u64, Decimal)> {
        let (offer, line) = (*self.pool.get(o)?, self.lines.get(l)?);
        if let Terms::BuyXGetY { buy, get, get_products } = &offer.terms {
            let uses = fits(line.quantity, *buy).min(limit(offer));
            let worth = self.free_goods(line, *get, get_products).2;
            return (uses > 0).then(|| (uses, times(Decimal::from(uses), worth)));
        }
        let saving = line.base - cut(&offer.terms, line, line.base)?;
        (saving > Decimal::ZERO).then_some((1, saving))
    }

    /// The bundles that these lines make: how many, and what each line saves. Dearest units first; ends where a further bundle saves nothing.
    pub fn bundle(&self, o: usize, lines: &[usize]) -> Option<(u64, Vec<(usize, Decimal)>)> {
        let offer = *self.pool.get(o)?;
        let Terms::BundlePrice { products, price } = &offer.terms else { return None };
        // Per product: what one bundle needs, and (line, price, whole units left), dearest last so that it is popped first.
        let mut shelves: Vec<Shelf> = Vec::with_capacity(products.len());
        for (product, &need) in products {
            let mut units: Vec<(usize, Decimal, u64)> = lines
                .iter()
                .filter_map(|&l| self.lines.get(l).map(|line| (l, line)))
                .filter(|(_, line)| line.product_id == product)
                .map(|(l, line)| (l, line.unit_price, fits(line.quantity, 1)))
                .filter(|unit| unit.2 > 0)
                .collect();
            units.sort_by(|a, b| a.1.cmp(&b.1).then(b.0.cmp(&a.0)));
            shelves.push((u64::from(need.max(1)), units));
        }
        let mut left = limit(offer);
        let mut made = 0;
        let mut savings: Vec<(usize, Decimal)> = Vec::new();
        while left > 0 {
            let Some((parts, alike)) = take(&mut shelves, left) else { break };
            let worth: Decimal = parts.iter().map(|part| part.1).sum();
            let saving = working(worth - *price);
            if saving <= Decimal::ZERO {
                break;
            }
            for (l, share) in shares(&parts, worth, saving) {
                let all = times(share, Decimal::from(alike));
                match savings.iter_mut().find(|entry| entry.0 == l) {
                    Some(entry) => entry.1 += all,
                    None => savings.push((l, all)),
                }
            }
            made += alike;
            left -= alike;
        }
        (made > 0).then_some((made, savings))
    }

    pub fn is_line_offer(&self, o: usize) -> bool {
        self.pool.get(o).is_some_and(|offer| !is_on_order(offer))
    }
}

/// How often one order may use an offer.
pub(super) fn limit(offer: &Offer) -> u64 {
    offer.max_per_order.map_or(u64::MAX, u64::from)
}

/// What a line of which `amount` is left to pay costs under terms that cut prices; nothing for terms that do something else.
pub(super) fn cut(terms: &Terms, line: &Line<'_>, amount: Decimal) -> Option<Decimal> {
    match terms {
        Terms::TierPrice { tiers } => {
            let price = tiers
                .iter()
                .filter(|tier| Decimal::from(tier.min_quantity) <= line.quantity)
                .map(|tier| tier.unit_price)
                .min();
            let off = price.map_or(Decimal::ZERO, |price| (line.unit_price - price).max(Decimal::ZERO));
            Some(amount.min((line.base - times(line.quantity, off)).max(Decimal::ZERO)))
        }
        Terms::PercentOff { percent } => {
            let kept = (Decimal::ONE_HUNDRED - *percent).max(Decimal::ZERO) / Decimal::ONE_HUNDRED;
            Some(times(amount, kept))
        }
        Terms::AmountOff { amount: off, per: AmountPer::Unit } => {
            Some((amount - times(line.quantity, *off)).max(Decimal::ZERO))
        }
        _ => None,
    }
}

/// What one bundle needs of a product, and the lines that hold it: line, unit price, whole units left; dearest last.
type Shelf = (u64, Vec<(usize, Decimal, u64)>);

/// Takes the next bundle off the shelves, and as many alike as stand on the same lines (at most `most`): its parts (line, worth) and how
/// many. Nothing when a product has run out.
fn take(shelves: &mut [Shelf], most: u64) -> Option<(Vec<(usize, Decimal)>, u64)> {
    if shelves.iter().any(|(need, units)| units.iter().map(|unit| unit.2).fold(0, u64::saturating_add) < *need) {
        return None;
    }
    let on_top = |shelf: &Shelf| shelf.1.last().map_or(0, |unit| unit.2.checked_div(shelf.0).unwrap_or(0));
    // 0: some product is spread over lines, so take one bundle piece by piece.
    let alike = shelves.iter().map(on_top).min().unwrap_or(0).min(most).max(1);
    let mut parts = Vec::with_capacity(shelves.len());
    for (need, units) in shelves.iter_mut() {
        let mut wanted = need.saturating_mul(alike);
        while wanted > 0
            && let Some((l, price, left)) = units.last_mut()
        {
            let taken = wanted.min(*left);
            parts.push((*l, times(Decimal::from(taken.checked_div(alike).unwrap_or(taken)), *price)));
            wanted -= taken;
            *left -= taken;
            if *left == 0 {
                units.pop();
            }
        }
    }
    Some((parts, alike))
}

/// Shares out a saving by worth, in whole hundredths; the rest goes to the part that is worth most.
fn shares(parts: &[(usize, Decimal)], worth: Decimal, saving: Decimal) -> Vec<(usize, Decimal)> {
    let mut shares: Vec<(usize, Decimal)> =
        parts.iter().map(|&(l, part)| (l, total_floor(saving.saturating_mul(part) / worth))).collect();
    let given: Decimal = shares.iter().map(|share| share.1).sum();
    let mut dearest = 0;
    for (i, part) in parts.iter().enumerate() {
        if parts.get(dearest).is_some_and(|best| part.1 > best.1) {
            dearest = i;
        }
    }
    if let Some(share) = shares.get_mut(dearest) {
        share.1 += saving - given;
    }
    shares
}
