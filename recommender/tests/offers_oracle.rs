//! The choice of offers equals brute force: every lawful subset of offers on every line is tried, in integers, by code that shares
//! nothing with the one under test.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod offers_support;

use std::collections::BTreeMap;

use endcap_recommender::offers::{AmountPer, Offer, Terms, price};
use offers_support::{Entry, carts, gift_price, line_terms, lines, offers, order_terms, setting, units};
use proptest::prelude::*;
use rust_decimal::prelude::ToPrimitive;

/// Quantity, unit price and price before offers, in units of 0.0001 where money.
struct Line {
    quantity: i128,
    price: i128,
    base: i128,
}

struct Oracle<'a> {
    cart: &'a [Entry],
    lines: Vec<Line>,
    offers: &'a [Offer],
}

fn about(offer: &Offer, entry: &Entry) -> bool {
    if let Terms::BundlePrice { products, .. } = &offer.terms {
        return products.contains_key(&entry.product);
    }
    let scope = &offer.scope;
    (scope.products.is_empty() || scope.products.contains(&entry.product))
        && (scope.categories.is_empty() || scope.categories.contains(entry.category.as_ref().unwrap()))
        && (scope.brands.is_empty() || scope.brands.contains(entry.brand.as_ref().unwrap()))
}

fn on_order(offer: &Offer) -> bool {
    matches!(offer.terms, Terms::GiftOverTotal { .. } | Terms::AmountOff { per: AmountPer::Order, .. })
}

impl<'a> Oracle<'a> {
    fn new(cart: &'a [Entry], offers: &'a [Offer]) -> Self {
        let lines = cart
            .iter()
            .map(|e| {
                let (quantity, price) = (e.quantity.to_i128().unwrap(), units(e.price));
                Line { quantity, price, base: quantity * price }
            })
            .collect();
        Self { cart, lines, offers }
    }

    fn worth(&self, product: &str) -> i128 {
        let held = self.cart.iter().position(|e| e.product.as_str() == product);
        held.map(|l| self.lines[l].price).or_else(|| gift_price(product).map(units)).unwrap_or(0)
    }

    /// What one use of a `BuyXGetY` on a line is worth.
    fn free_worth(&self, o: usize, l: usize) -> i128 {
        let Terms::BuyXGetY { get, get_products, .. } = &self.offers[o].terms else { return 0 };
        i128::from(*get) * get_products.first().map_or(self.lines[l].price, |p| self.worth(p))
    }

    /// Bundles that lines with the offer switched on make, and what each line saves.
    fn bundles(&self, o: usize, on: &dyn Fn(usize) -> bool) -> Vec<(usize, i128)> {
        let Terms::BundlePrice { products, price } = &self.offers[o].terms else { return Vec::new() };
        let mut count = i128::from(self.offers[o].max_per_order.unwrap_or(u32::MAX));
        let mut parts = Vec::new();
        for (product, &need) in products {
            let Some(l) = (0..self.cart.len()).find(|&l| self.cart[l].product == *product && on(l)) else {
                return Vec::new();
            };
            count = count.min(self.lines[l].quantity / i128::from(need));
            parts.push((l, i128::from(need) * self.lines[l].price));
        }
        let worth: i128 = parts.iter().map(|part| part.1).sum();
        let saving = worth - units(*price);
        if saving <= 0 || count <= 0 {
            return Vec::new();
        }
        // Whole hundredths by worth, rounded down; the rest to the dearest part.
        let mut shares: Vec<i128> = parts.iter().map(|part| saving * part.1 / worth / 100 * 100).collect();
        let dearest = (0..parts.len()).fold(0, |best, i| if parts[i].1 > parts[best].1 { i } else { best });
        shares[dearest] += saving - shares.iter().sum::<i128>();
        parts.iter().zip(shares).map(|(part, share)| (part.0, share * count)).collect()
    }

    fn after(&self, terms: &Terms, l: usize, amount: i128) -> i128 {
        let line = &self.lines[l];
        match terms {
            Terms::TierPrice { tiers } => {
                let tier = tiers.iter().rfind(|tier| i128::from(tier.min_quantity) <= line.quantity);
                tier.map_or(amount, |tier| amount.min(units(tier.unit_price) * line.quantity))
            }
            // half up
            Terms::PercentOff { percent } => (amount * (100 - percent.to_i128().unwrap()) * 2 + 100).div_euclid(200),
            Terms::AmountOff { amount: off, .. } => (amount - units(*off) * line.quantity).max(0),
            _ => amount,
        }
    }

    fn acts_alone(&self, o: usize, l: usize) -> bool {
        match &self.offers[o].terms {
            Terms::BuyXGetY { buy, .. } => self.lines[l].quantity >= i128::from(*buy),
            Terms::BundlePrice { .. } => !self.bundles(o, &|_| true).is_empty(),
            terms => self.after(terms, l, self.lines[l].base) < self.lines[l].base,
        }
    }

    /// Saving per priority, highest first, of a choice of offers (bit o of `masks[l]`); nothing if it is not lawful.
    fn value(&self, masks: &[u32], levels: &[i64]) -> Option<Vec<i128>> {
        let on = |o: usize, l: usize| masks[l] >> o & 1 == 1;
        let count = self.offers.len();
        for l in 0..masks.len() {
            let chosen: Vec<&Offer> = (0..count).filter(|&o| on(o, l)).map(|o| &self.offers[o]).collect();
            if chosen.len() > 1 && chosen.iter().any(|offer| !offer.stackable) {
                return None;
            }
        }
        let mut left: Vec<i128> = self.lines.iter().map(|line| line.base).collect();
        let mut free = vec![0i128; masks.len()];
        let level: Vec<i64> = (0..masks.len())
            .map(|l| match (0..count).find(|&o| on(o, l) && !self.offers[o].stackable) {
                Some(o) => self.offers[o].priority,
                None => (0..count)
                    .filter(|&o| {
                        self.offers[o].stackable && about(&self.offers[o], &self.cart[l]) && self.acts_alone(o, l)
                    })
                    .map(|o| self.offers[o].priority)
                    .max()
                    .unwrap_or(i64::MIN),
            })
            .collect();
        for kind in 0..5 {
            for (o, offer) in self.offers.iter().enumerate() {
                let of_kind = match offer.terms {
                    Terms::TierPrice { .. } => 0,
                    Terms::PercentOff { .. } => 1,
                    Terms::AmountOff { .. } => 2,
                    Terms::BundlePrice { .. } => 3,
                    _ => 4,
                };
                if of_kind != kind {
                    continue;
                }
                let most = offer.max_per_order.map_or(i128::MAX, i128::from);
                match &offer.terms {
                    Terms::BundlePrice { .. } => {
                        for (l, share) in self.bundles(o, &|l| on(o, l)) {
                            left[l] = (left[l] - share).max(0);
                        }
                    }
                    Terms::BuyXGetY { buy, .. } => {
                        // One use at a time, the most valued one first.
                        let mut earned: Vec<(i64, i128, usize)> = (0..masks.len())
                            .filter(|&l| on(o, l))
                            .flat_map(|l| {
                                let uses = self.lines[l].quantity / i128::from(*buy);
                                (0..uses).map(move |_| l)
                            })
                            .map(|l| (level[l], self.free_worth(o, l), l))
                            .collect();
                        earned
                            .sort_by_key(|&(level, worth, l)| (std::cmp::Reverse(level), std::cmp::Reverse(worth), l));
                        for (_, worth, l) in earned.into_iter().take(usize::try_from(most).unwrap_or(usize::MAX)) {
                            free[l] += worth;
                        }
                    }
                    terms => {
                        let users: Vec<usize> = (0..masks.len()).filter(|&l| on(o, l)).collect();
                        if i128::try_from(users.len()).unwrap() > most {
                            return None;
                        }
                        for l in users {
                            left[l] = self.after(terms, l, left[l]);
                        }
                    }
                }
            }
        }
        let mut value = vec![0; levels.len()];
        for l in 0..masks.len() {
            let saving = self.lines[l].base - left[l] + free[l];
            match levels.iter().position(|&known| known == level[l]) {
                Some(at) => value[at] += saving,
                None => assert_eq!(saving, 0, "a saving without an offer"),
            }
        }
        Some(value)
    }

    /// The best over all lawful choices.
    fn best(&self, levels: &[i64]) -> Vec<i128> {
        let allowed: Vec<Vec<u32>> = self
            .cart
            .iter()
            .map(|entry| {
                let relevant: u32 = (0..self.offers.len())
                    .filter(|&o| !on_order(&self.offers[o]) && about(&self.offers[o], entry))
                    .map(|o| 1 << o)
                    .sum();
                (0..1u32 << self.offers.len()).filter(|mask| mask & !relevant == 0).collect()
            })
            .collect();
        let mut best = vec![0; levels.len()];
        let mut masks = vec![0; self.cart.len()];
        each(&allowed, 0, &mut masks, &mut |masks| {
            if let Some(value) = self.value(masks, levels) {
                best = best.clone().max(value);
            }
        });
        best
    }
}

/// Every combination of one mask per line.
fn each(allowed: &[Vec<u32>], l: usize, masks: &mut Vec<u32>, visit: &mut dyn FnMut(&[u32])) {
    if l == masks.len() {
        return visit(masks);
    }
    for &mask in &allowed[l] {
        masks[l] = mask;
        each(allowed, l + 1, masks, visit);
    }
}

fn savings_on_lines(cart: &[Entry], offers: &[Offer]) -> i128 {
    let priced = price(&lines(cart), offers, &setting());
    priced.lines.iter().flat_map(|line| &line.offers).map(|used| units(used.saving)).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    /// Offers of one priority: nothing lawful saves more, and what is claimed is reached by something lawful.
    #[test]
    fn lines_equal_brute_force_at_one_priority(cart in carts(3), offers in offers(line_terms().boxed(), 4, 1)) {
        let best = Oracle::new(&cart, &offers).best(&[0]);
        prop_assert_eq!(savings_on_lines(&cart, &offers), best[0]);
    }

    /// Four lines, three offers: more coupling by bundles and scarce uses.
    #[test]
    fn four_lines_equal_brute_force(cart in carts(4), offers in offers(line_terms().boxed(), 3, 1)) {
        let best = Oracle::new(&cart, &offers).best(&[0]);
        prop_assert_eq!(savings_on_lines(&cart, &offers), best[0]);
    }

    /// Two priorities: the same total as the best by priority, highest first.
    #[test]
    fn lines_equal_brute_force_by_priority(cart in carts(3), offers in offers(line_terms().boxed(), 4, 2)) {
        let best = Oracle::new(&cart, &offers).best(&[1, 0]);
        prop_assert_eq!(savings_on_lines(&cart, &offers), best.iter().sum::<i128>());
    }

    /// Offers on the order: every lawful set is tried on the priced lines.
    #[test]
    fn order_offers_equal_brute_force(cart in carts(3), offers in offers(order_terms().boxed(), 4, 1)) {
        let priced = price(&lines(&cart), offers.as_slice(), &setting());
        let saving = units(priced.saving());
        let oracle = Oracle::new(&cart, &offers);
        let mut best = 0;
        for set in 0u32..1 << offers.len() {
            let chosen: Vec<&Offer> = (0..offers.len()).filter(|o| set >> o & 1 == 1).map(|o| &offers[o]).collect();
            if chosen.len() > 1 && chosen.iter().any(|offer| !offer.stackable) {
                continue;
            }
            let mut left: BTreeMap<usize, i128> = oracle.lines.iter().map(|line| line.base).enumerate().collect();
            let mut value = 0;
            for offer in chosen {
                let mine: Vec<usize> = (0..cart.len()).filter(|&l| about(offer, &cart[l])).collect();
                match &offer.terms {
                    Terms::AmountOff { amount, .. } => {
                        let mut open = units(*amount);
                        for l in mine {
                            let part = open.min(left[&l]);
                            open -= part;
                            *left.get_mut(&l).unwrap() -= part;
                            value += part;
                        }
                    }
                    Terms::GiftOverTotal { min_total, gift, quantity } => {
                        let worth: i128 = mine.iter().map(|&l| oracle.lines[l].base).sum();
                        if !mine.is_empty() && worth >= units(*min_total) {
                            value += i128::from(*quantity) * oracle.worth(gift);
                        }
                    }
                    _ => unreachable!(),
                }
            }
            best = best.max(value);
        }
        prop_assert_eq!(saving, best);
    }
}
