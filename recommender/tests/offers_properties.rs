//! What holds for every cart and every set of offers.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod offers_support;

use std::collections::{BTreeMap, BTreeSet};

use endcap_recommender::offers::{
    Offer, OfferBook, Pricing, Scope, Terms, Tier, applies_to, in_force, next_break, price, reach, validate,
};
use endcap_recommender::request::Channel;
use jiff::{SignedDuration, Timestamp};
use offers_support::{Entry, any_terms, carts, cents, line_terms, lines, now, offers, setting};
use proptest::prelude::*;
use rust_decimal::Decimal;

fn priced(cart: &[Entry], offers: &[Offer]) -> Pricing {
    price(&lines(cart), offers, &setting())
}

/// Savings on lines, 4 digits.
fn fine_saving(pricing: &Pricing) -> Decimal {
    pricing.lines.iter().flat_map(|line| &line.offers).map(|used| used.saving).sum()
}

fn by_id<'a>(offers: &'a [Offer], id: &str) -> &'a Offer {
    offers.iter().find(|offer| offer.offer_id.as_str() == id).unwrap()
}

fn with_quantity(cart: &[Entry], at: usize, quantity: i64) -> Vec<Entry> {
    let mut cart = cart.to_vec();
    cart[at].quantity = Decimal::from(quantity);
    cart
}

/// Every offer that a pricing used, with how often.
fn uses(offers: &[Offer], pricing: &Pricing) -> BTreeMap<String, u64> {
    let mut uses = BTreeMap::new();
    for used in pricing.lines.iter().flat_map(|line| &line.offers) {
        let count = uses.entry(used.offer_id.to_string()).or_insert(0);
        // A bundle is told on each of its lines.
        let bundle = matches!(by_id(offers, &used.offer_id).terms, Terms::BundlePrice { .. });
        *count = if bundle { used.times.max(*count) } else { *count + used.times };
    }
    for id in pricing
        .order_discounts
        .iter()
        .map(|x| &x.offer_id)
        .chain(pricing.gifts.iter().filter(|x| x.line.is_none()).map(|x| &x.offer_id))
    {
        *uses.entry(id.to_string()).or_insert(0) += 1;
    }
    uses
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_negative_and_sums_agree(cart in carts(4), offers in offers(any_terms(), 6, 3)) {
        let p = priced(&cart, &offers);
        prop_assert_eq!(p.lines.len(), cart.len());
        for (line, entry) in p.lines.iter().zip(&cart) {
            prop_assert_eq!(line.subtotal, entry.quantity * entry.price);
            prop_assert!(line.total >= Decimal::ZERO && line.discount >= Decimal::ZERO);
            prop_assert_eq!(line.subtotal - line.discount, line.total);
            prop_assert!(line.total.scale() <= 2);
            prop_assert!(line.offers.iter().all(|used| used.saving >= Decimal::ZERO && used.times > 0));
        }
        let off: Decimal = p.order_discounts.iter().map(|x| x.amount).sum();
        prop_assert_eq!(p.total, p.lines.iter().map(|line| line.total).sum::<Decimal>() - off);
        prop_assert_eq!(p.total_before, p.lines.iter().map(|line| line.subtotal).sum::<Decimal>());
        prop_assert!(p.total >= Decimal::ZERO && p.saving() >= Decimal::ZERO);
        prop_assert!(p.gifts.iter().all(|gift| gift.quantity > Decimal::ZERO && gift.value >= Decimal::ZERO));
    }

    /// Nonsense lines (negative or split quantities, many digits) break nothing.
    #[test]
    fn odd_lines_are_never_negative(
        rows in prop::collection::vec((-20_000i64..200_000, -5_000i64..2_000_000, 0u32..5, 0u32..7, 0usize..3), 0..5),
        offers in offers(any_terms(), 5, 2),
    ) {
        let cart: Vec<Entry> = rows.into_iter().map(|(q, p, q_scale, p_scale, product)| Entry {
            product: ["A", "B", "C"][product].into(), quantity: Decimal::new(q, q_scale), price: Decimal::new(p, p_scale), category: None, brand: None,
        }).collect();
        let p = priced(&cart, &offers);
        for line in &p.lines {
            prop_assert!(line.total >= Decimal::ZERO && line.discount >= Decimal::ZERO && line.subtotal >= line.total);
        }
        prop_assert!(p.total >= Decimal::ZERO && p.saving() >= Decimal::ZERO);
    }

    #[test]
    fn stacking_is_lawful(cart in carts(4), offers in offers(any_terms(), 6, 3)) {
        let p = priced(&cart, &offers);
        let on_order: Vec<&str> = p.order_discounts.iter().map(|x| x.offer_id.as_str())
            .chain(p.gifts.iter().filter(|x| x.line.is_none()).map(|x| x.offer_id.as_str())).collect();
        let sets = p.lines.iter().map(|line| line.offers.iter().map(|used| used.offer_id.as_str()).collect::<Vec<_>>()).chain([on_order]);
        for set in sets {
            prop_assert_eq!(set.iter().collect::<BTreeSet<_>>().len(), set.len());
            prop_assert!(set.len() < 2 || set.iter().all(|id| by_id(&offers, id).stackable), "{:?}", set);
        }
        for (id, count) in uses(&offers, &p) {
            let most = by_id(&offers, &id).max_per_order.map_or(u64::MAX, u64::from);
            prop_assert!(count <= most, "{} is used {} times, allowed {}", id, count, most);
        }
    }

    /// Together never more than the sum of each alone (within a rounding of each), and with offers that do not stack a line saves what one
    /// of them alone would give it.
    #[test]
    fn never_better_than_stacking_allows(cart in carts(4), offers in offers(any_terms(), 6, 1)) {
        let together = priced(&cart, &offers).saving();
        let apart: Decimal = offers.iter().map(|offer| priced(&cart, std::slice::from_ref(offer)).saving()).sum();
        let rounding = Decimal::new(1, 2) * Decimal::from(cart.len());
        prop_assert!(together <= apart + rounding, "{} > {}", together, apart);

        let apart: Vec<Offer> = offers.into_iter().map(|offer| Offer { stackable: false, ..offer }).collect();
        for line in priced(&cart, &apart).lines {
            prop_assert!(line.offers.len() <= 1);
        }
    }

    #[test]
    fn offers_alone_save_more_with_more(cart in carts(3), offers in offers(any_terms(), 1, 1), at in 0usize..3, more in 1i64..8) {
        let at = at % cart.len();
        let quantity = i64::try_from(cart[at].quantity).unwrap();
        let (less, more) = (priced(&cart, &offers), priced(&with_quantity(&cart, at, quantity + more), &offers));
        prop_assert!(fine_saving(&more) >= fine_saving(&less));
        prop_assert!(more.saving() >= less.saving(), "{:?} {:?}", less, more);
        let free = |p: &Pricing| p.gifts.iter().map(|gift| gift.quantity).sum::<Decimal>();
        prop_assert!(free(&more) >= free(&less));
    }

    #[test]
    fn the_best_choice_saves_more_with_more(cart in carts(3), offers in offers(line_terms().boxed(), 4, 1), at in 0usize..3, more in 1i64..8) {
        let at = at % cart.len();
        let quantity = i64::try_from(cart[at].quantity).unwrap();
        let (less, more) = (priced(&cart, &offers), priced(&with_quantity(&cart, at, quantity + more), &offers));
        prop_assert!(fine_saving(&more) >= fine_saving(&less), "{:?} {:?}", less, more);
    }

    /// Across priorities the savings by priority, compared from the highest, never fall (offers that do not stack, so that each saving has one).
    #[test]
    fn savings_by_priority_never_fall(cart in carts(3), offers in offers(line_terms().boxed(), 4, 3), at in 0usize..3, more in 1i64..8) {
        let offers: Vec<Offer> = offers.into_iter().map(|offer| Offer { stackable: false, ..offer }).collect();
        let by_priority = |p: &Pricing| {
            let mut sums = [Decimal::ZERO; 3];
            for used in p.lines.iter().flat_map(|line| &line.offers) {
                sums[usize::try_from(2 - by_id(&offers, &used.offer_id).priority).unwrap()] += used.saving;
            }
            sums
        };
        let at = at % cart.len();
        let quantity = i64::try_from(cart[at].quantity).unwrap();
        let (less, more) = (priced(&cart, &offers), priced(&with_quantity(&cart, at, quantity + more), &offers));
        prop_assert!(by_priority(&more) >= by_priority(&less));
    }

    /// The unit price that a tier gives never rises with the quantity.
    #[test]
    fn tier_prices_never_rise(list in 1i64..900, first in 1u32..9, second in 1u32..9, one in 1i64..900, off in 1i64..900, quantity in 1i64..30) {
        let mut tiers = vec![Tier { min_quantity: first, unit_price: cents(one) }];
        if one > off {
            tiers.push(Tier { min_quantity: first + second, unit_price: cents(one - off) });
        }
        let offer = Offer { terms: Terms::TierPrice { tiers: tiers.clone() }, ..offers_support::offer("T", "PercentOff", r#"{"percent": "1"}"#) };
        prop_assert!(validate(&offer).is_ok());
        let cart = |quantity: i64| vec![Entry { quantity: Decimal::from(quantity), price: cents(list), ..offers_support::entry("A", "1", "1") }];
        let unit = |quantity: i64| priced(&cart(quantity), std::slice::from_ref(&offer)).total / Decimal::from(quantity);
        prop_assert!(unit(quantity + 1) <= unit(quantity));
        // The helper for real breaks names the first quantity at which that price falls.
        if let Some(step) = next_break(&tiers, Decimal::from(quantity), cents(list)) {
                let needed = i64::try_from(step.needed).unwrap();
                prop_assert!(unit(needed) == step.unit_price && unit(needed) < unit(quantity));
                prop_assert!(unit(needed - 1) == unit(quantity));
                prop_assert_eq!(step.saves, (unit(quantity) - step.unit_price) * step.needed);
        }
        else {
            prop_assert_eq!(unit(quantity + 100), unit(quantity));
        }
    }

    #[test]
    fn the_order_of_offers_and_the_index_change_nothing(cart in carts(4), offers in offers(any_terms(), 6, 2), turn in 0usize..6) {
        let expected = priced(&cart, &offers);
        let mut turned = offers.clone();
        turned.rotate_left(turn % offers.len().max(1));
        prop_assert_eq!(&priced(&cart, &turned), &expected);
        let refs: Vec<&Offer> = turned.iter().rev().collect();
        prop_assert_eq!(&price(&lines(&cart), refs.as_slice(), &setting()), &expected);
        let mut book = OfferBook::new(turned);
        prop_assert_eq!(&price(&lines(&cart), &book, &setting()), &expected);
        // Taking an offer out and putting it back, and an offer that is replaced.
        if let Some(offer) = offers.first() {
            let removed = book.remove(&offer.offer_id);
            prop_assert_eq!(removed.as_ref(), Some(offer));
            prop_assert_eq!(price(&lines(&cart), &book, &setting()), priced(&cart, &offers[1..]));
            book.insert(Offer { scope: Scope { products: vec!["none".into()], ..Scope::default() }, ..offer.clone() });
            book.insert(offer.clone());
            prop_assert_eq!(book.len(), offers.len());
            prop_assert_eq!(&price(&lines(&cart), &book, &setting()), &expected);
        }
    }

    /// Windows and scopes: whatever was used was in force and meant for this line and buyer.
    #[test]
    fn only_offers_in_force_and_in_scope_act(
        cart in carts(3),
        offers in offers(any_terms(), 6, 2),
        windows in prop::collection::vec((prop::option::of(-2i64..=2), prop::option::of(-2i64..=2), 0u8..8), 6),
        buyer in 0u8..8,
    ) {
        let moment = |hours: i64| now() + SignedDuration::from_hours(hours);
        let offers: Vec<Offer> = offers.into_iter().zip(windows).map(|(mut offer, (from, to, who))| {
            offer.valid_from = from.map(moment);
            offer.valid_to = to.map(moment);
            if who & 1 == 1 { offer.scope.customers = vec!["c1".into()]; }
            if who & 2 == 2 { offer.scope.segments = vec!["trade".to_owned()]; }
            if who & 4 == 4 { offer.scope.channels = vec![Channel::Web, Channel::Mobile]; }
            offer
        }).collect();
        let mut setting = setting();
        setting.buyer.customer_id = (buyer & 1 == 1).then_some("c1");
        setting.buyer.segments = if buyer & 2 == 2 { &["25-34", "trade"] } else { &[] };
        setting.buyer.channel = (buyer & 4 == 4).then_some(Channel::Web);
        let cart_lines = lines(&cart);
        let p = price(&cart_lines, offers.as_slice(), &setting);
        for (line, priced) in cart_lines.iter().zip(&p.lines) {
            for used in &priced.offers {
                let offer = by_id(&offers, &used.offer_id);
                prop_assert!(in_force(offer, now()) && applies_to(offer, line, &setting.buyer), "{:?}", offer);
            }
        }
        for id in uses(&offers, &p).keys() {
            let offer = by_id(&offers, id);
            prop_assert!(offer.valid_from.is_none_or(|from| from <= now()) && offer.valid_to.is_none_or(|to| now() < to));
            prop_assert!(offer.scope.customers.is_empty() || buyer & 1 == 1);
            prop_assert!(offer.scope.segments.is_empty() || buyer & 2 == 2);
            prop_assert!(offer.scope.channels.is_empty() || buyer & 4 == 4);
        }
        // And no other offer would have been missed: dropping those that cannot act changes nothing.
        let able: Vec<Offer> = offers.iter().filter(|o| in_force(o, now())).cloned().collect();
        prop_assert_eq!(price(&cart_lines, able.as_slice(), &setting), p);
    }

    /// What is promised is what the cart then costs, and nothing smaller would have done it.
    #[test]
    fn promises_are_kept(cart in carts(3), offers in offers(any_terms(), 4, 2), at in 0usize..3) {
        let at = at % cart.len();
        let cart_lines = lines(&cart);
        let before = priced(&cart, &offers);
        for found in reach(&cart_lines, &cart_lines[at], offers.as_slice(), &setting(), Decimal::from(12)) {
            prop_assert!(found.add > Decimal::ZERO && found.add <= Decimal::from(12));
            prop_assert_eq!(found.needed - found.add, cart[at].quantity);
            let then = priced(&with_quantity(&cart, at, i64::try_from(found.needed).unwrap()), &offers);
            prop_assert!(uses(&offers, &then).contains_key(found.offer_id.as_str()));
            prop_assert_eq!(then.saving() - before.saving(), found.gain);
            prop_assert!(found.saves >= Decimal::ZERO && found.gain >= Decimal::ZERO);
        }
    }

    /// One offer alone: the step is the smallest one that saves more.
    #[test]
    fn steps_are_the_smallest(cart in carts(3), offers in offers(any_terms(), 1, 1), at in 0usize..3) {
        let at = at % cart.len();
        let thresholds = offers.first().is_some_and(|offer| matches!(offer.terms, Terms::BuyXGetY { .. } | Terms::TierPrice { .. } | Terms::BundlePrice { .. } | Terms::GiftOverTotal { .. }));
        if !thresholds {
            return Ok(());
        }
        let tier = matches!(offers[0].terms, Terms::TierPrice { .. });
        // With fewer uses than lines, growing a line may draw the use to it, which is no step of the terms.
        let mut offers = offers;
        if tier { offers[0].max_per_order = None; }
        let cart_lines = lines(&cart);
        let quantity = i64::try_from(cart[at].quantity).unwrap();
        let found = reach(&cart_lines, &cart_lines[at], offers.as_slice(), &setting(), Decimal::from(15));
        // A tier that is reached saves more with every unit: what counts there is the saving per unit.
        let value = |more: i64| {
            let p = priced(&with_quantity(&cart, at, quantity + more), &offers);
            let quantity = Decimal::from((quantity + more).max(1));
            let free = p.gifts.iter().map(|gift| gift.quantity).sum::<Decimal>();
            if tier { (p.lines[at].discount / quantity, free) } else { (p.saving(), free) }
        };
        let first = (1..=15).find(|&more| value(more) > value(0));
        prop_assert_eq!(found.first().map(|found| found.add), first.map(Decimal::from), "{:?}", found);
    }
}

#[test]
fn the_window_holds_its_start_and_not_its_end() {
    let mut offer = offers_support::offer("W", "PercentOff", r#"{"percent": "10"}"#);
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    offer.valid_from = Some(at(100));
    offer.valid_to = Some(at(200));
    let inside: Vec<bool> = [99, 100, 199, 200].map(|second| in_force(&offer, at(second))).to_vec();
    assert_eq!(inside, [false, true, true, false]);
}
