//! The shop as a customer meets it on a day: offers in force, what a basket costs, and how a customer reacts to what is near.

use std::sync::Arc;

use endcap_recommender::offers::{AmountPer, Offer, Terms};
use endcap_recommender::request::Channel;
use jiff::Timestamp;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

use crate::dice::{Dice, chance};
use crate::truth::{CustomerTruth, ProductNo, Truth};

/// Number of an offer in [`Market::offers`].
pub(crate) type OfferNo = u32;

#[derive(Debug)]
pub(crate) struct MarketOffer {
    pub offer: Offer,
    from_s: i64,
    to_s: i64,
}

#[derive(Debug)]
pub(crate) struct Market {
    pub truth: Arc<Truth>,
    pub offers: Vec<MarketOffer>,
    /// Offers on lines of a product.
    by_product: Vec<Vec<OfferNo>>,
    /// Offers on every line.
    on_any_line: Vec<OfferNo>,
    /// Bundles, gifts, and what is taken off the order.
    on_orders: Vec<OfferNo>,
}

/// One line of a basket. `quantity` holds what is free too; `discount_cents` is off the whole line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub product: ProductNo,
    pub quantity: u32,
    pub unit_cents: i64,
    pub discount_cents: i64,
    pub offer: Option<OfferNo>,
}

impl Line {
    pub fn cents(&self) -> i64 {
        i64::from(self.quantity) * self.unit_cents - self.discount_cents
    }
}

/// Who buys where and when.
#[derive(Clone, Copy)]
pub(crate) struct Purchase<'a> {
    pub customer: &'a CustomerTruth<ProductNo>,
    pub channel: Channel,
    pub at_s: i64,
}

fn cents(amount: Decimal) -> i64 {
    (amount * Decimal::ONE_HUNDRED).round().to_i64().unwrap_or(0)
}

impl Market {
    pub fn new(truth: Arc<Truth>, offers: Vec<Offer>) -> Self {
        let mut by_product = vec![Vec::new(); truth.products.len()];
        let (mut on_any_line, mut on_orders) = (Vec::new(), Vec::new());
        for (no, offer) in offers.iter().enumerate() {
            let no = no as OfferNo;
            match offer.terms {
                Terms::BundlePrice { .. }
                | Terms::GiftOverTotal { .. }
                | Terms::AmountOff { per: AmountPer::Order, .. } => on_orders.push(no),
                _ => match products_in_scope(&truth, offer) {
                    None => on_any_line.push(no),
                    Some(products) => {
                        for product in products {
                            if let Some(list) = by_product.get_mut(product as usize) {
                                list.push(no);
                            }
                        }
                    }
                },
            }
        }
        let offers = offers.into_iter().map(|offer| MarketOffer {
            from_s: offer.valid_from.map_or(i64::MIN, Timestamp::as_second),
            to_s: offer.valid_to.map_or(i64::MAX, Timestamp::as_second),
            offer,
        });
        let offers = offers.collect();
        Self { truth, offers, by_product, on_any_line, on_orders }
    }

    fn in_force(&self, no: OfferNo, purchase: &Purchase<'_>) -> Option<&Offer> {
        let MarketOffer { offer, from_s, to_s } = self.offers.get(no as usize)?;
        let scope = &offer.scope;
        let customer = purchase.customer;
        let holds = (*from_s..*to_s).contains(&purchase.at_s)
            && (scope.channels.is_empty() || scope.channels.contains(&purchase.channel))
            && (scope.customers.is_empty() || scope.customers.iter().any(|id| **id == *customer.customer_id))
            && (scope.segments.is_empty()
                || scope
                    .segments
                    .iter()
                    .any(|one| *one == customer.customer_type || (!customer.trade && *one == customer.age_band)));
        holds.then_some(offer)
    }

    fn line_offers<'a>(
        &'a self,
        product: ProductNo,
        purchase: &'a Purchase<'a>,
    ) -> impl Iterator<Item = (OfferNo, &'a Offer)> {
        let of_product = self.by_product.get(product as usize).into_iter().flatten();
        of_product.chain(&self.on_any_line).filter_map(|&no| Some((no, self.in_force(no, purchase)?)))
    }

    /// Customers whose quantity is near to an offer's threshold buy up to it, some of them.
    pub fn react(&self, purchase: &Purchase<'_>, product: ProductNo, quantity: u32, dice: &mut Dice) -> u32 {
        let reached = |offer: &Offer| match &offer.terms {
            Terms::BuyXGetY { buy, .. } => (quantity < *buy).then_some(*buy),
            Terms::TierPrice { tiers } => {
                tiers.iter().map(|tier| tier.min_quantity).filter(|&least| least > quantity).min()
            }
            _ => None,
        };
        let next = self.line_offers(product, purchase).filter_map(|(_, offer)| reached(offer)).min();
        let Some(next) = next.filter(|&next| quantity * 2 >= next) else { return quantity };
        let likely = Truth::upsell_acceptance(purchase.customer, quantity as f32, next as f32, true);
        if chance(dice, 0.8 * likely as f32) { next } else { quantity }
    }

    /// What the lines cost: at most one offer a line, the one of the highest priority, then of the greatest saving; then those on
    /// the whole order.
    pub fn price(&self, purchase: &Purchase<'_>, wanted: &[(ProductNo, u32)]) -> Vec<Line> {
        let mut lines: Vec<Line> =
            wanted.iter().filter_map(|&(product, quantity)| self.price_line(purchase, product, quantity)).collect();
        for &no in &self.on_orders {
            if let Some(offer) = self.in_force(no, purchase) {
                self.price_order(no, offer, &mut lines);
            }
        }
        lines
    }

    fn price_line(&self, purchase: &Purchase<'_>, product: ProductNo, quantity: u32) -> Option<Line> {
        let unit_cents = self.truth.product(product)?.price_cents;
        let plain = Line { product, quantity, unit_cents, discount_cents: 0, offer: None };
        let units = i64::from(quantity);
        let best = self.line_offers(product, purchase).filter_map(|(no, offer)| {
            let mut line = plain.clone();
            line.offer = Some(no);
            match &offer.terms {
                Terms::BuyXGetY { buy, get, .. } => {
                    let free = quantity / (*buy).max(1) * get;
                    line.quantity += free;
                    line.discount_cents = i64::from(free) * unit_cents;
                }
                Terms::TierPrice { tiers } => {
                    let tier = tiers
                        .iter()
                        .filter(|tier| tier.min_quantity <= quantity)
                        .max_by_key(|tier| tier.min_quantity)?;
                    line.unit_cents = cents(tier.unit_price);
                }
                Terms::PercentOff { percent } => {
                    line.discount_cents = cents(Decimal::new(unit_cents * units, 2) * percent / Decimal::ONE_HUNDRED);
                }
                Terms::AmountOff { amount, .. } => {
                    line.discount_cents = (cents(*amount) * units).min(unit_cents * units);
                }
                Terms::BundlePrice { .. } | Terms::GiftOverTotal { .. } => return None,
            }
            let saved = i64::from(line.quantity) * unit_cents - line.cents();
            (saved > 0).then_some((offer.priority, saved, line))
        });
        Some(
            best.max_by_key(|(priority, saved, line)| (*priority, *saved, line.offer))
                .map_or(plain, |(_, _, line)| line),
        )
    }

    fn price_order(&self, no: OfferNo, offer: &Offer, lines: &mut Vec<Line>) {
        match &offer.terms {
            Terms::BundlePrice { products, price } => {
                let find = |lines: &[Line], id: &str| {
                    let no = self.truth.product_no(id)?;
                    lines.iter().position(|line| line.product == no && line.offer.is_none())
                };
                let parts: Option<Vec<(usize, u32)>> =
                    products.iter().map(|(id, &count)| Some((find(lines, id)?, count.max(1)))).collect();
                let Some(parts) = parts else { return };
                let part = |&(at, count): &(usize, u32)| {
                    lines.get(at).map_or((0, 0), |line| (line.quantity / count, line.unit_cents * i64::from(count)))
                };
                let times = i64::from(parts.iter().map(|one| part(one).0).min().unwrap_or(0));
                let saved = (parts.iter().map(|one| part(one).1).sum::<i64>() - cents(*price)) * times;
                // What is saved stands on the dearest part, which always costs more than that.
                let dearest = parts.iter().max_by_key(|&&(at, _)| lines.get(at).map(Line::cents));
                let Some(dearest) = dearest.filter(|_| saved > 0).and_then(|&(at, _)| lines.get_mut(at)) else {
                    return;
                };
                dearest.discount_cents = saved.min(dearest.cents());
                for (at, _) in parts {
                    if let Some(line) = lines.get_mut(at) {
                        line.offer = Some(no);
                    }
                }
            }
            Terms::AmountOff { amount, .. } => {
                if let Some(line) = lines.iter_mut().filter(|line| line.offer.is_none()).max_by_key(|line| line.cents())
                {
                    line.discount_cents = cents(*amount).min(line.cents());
                    line.offer = Some(no);
                }
            }
            Terms::GiftOverTotal { min_total, gift, quantity } => {
                let total: i64 = lines.iter().map(Line::cents).sum();
                let Some(product) = self.truth.product_no(gift) else { return };
                let Some(item) = self.truth.product(product) else { return };
                if total >= cents(*min_total) && lines.iter().all(|line| line.product != product) {
                    let worth = item.price_cents * i64::from(*quantity);
                    lines.push(Line {
                        product,
                        quantity: *quantity,
                        unit_cents: item.price_cents,
                        discount_cents: worth,
                        offer: Some(no),
                    });
                }
            }
            _ => {}
        }
    }

    /// The other half of a bundle that is in force, for someone who has one half.
    pub fn bundle_partner(&self, purchase: &Purchase<'_>, product: ProductNo) -> Option<ProductNo> {
        let id = self.truth.id(product)?;
        self.on_orders.iter().find_map(|&no| match &self.in_force(no, purchase)?.terms {
            Terms::BundlePrice { products, .. } if products.keys().any(|one| **one == *id) => {
                products.keys().find(|one| ***one != *id).and_then(|other| self.truth.product_no(other))
            }
            _ => None,
        })
    }

    /// How many cents are missing to a gift that is in force, if some are.
    pub fn missing_to_gift(&self, purchase: &Purchase<'_>, total_cents: i64) -> Option<(i64, i64)> {
        self.on_orders.iter().find_map(|&no| match &self.in_force(no, purchase)?.terms {
            Terms::GiftOverTotal { min_total, .. } => {
                let least = cents(*min_total);
                (total_cents < least).then_some((least - total_cents, least))
            }
            _ => None,
        })
    }
}

/// The products that an offer is limited to; `None` when it is for all.
fn products_in_scope(truth: &Truth, offer: &Offer) -> Option<Vec<ProductNo>> {
    let scope = &offer.scope;
    if scope.products.is_empty() && scope.categories.is_empty() && scope.brands.is_empty() {
        return None;
    }
    let named = scope.products.iter().filter_map(|id| truth.product_no(id));
    if scope.categories.is_empty() && scope.brands.is_empty() {
        return Some(named.collect());
    }
    let named: Vec<ProductNo> = named.collect();
    let fit = |(no, product): (usize, &crate::truth::ProductTruth<ProductNo>)| {
        let no = no as ProductNo;
        let place = truth.subcategories.get(usize::from(product.subcategory));
        let in_category = scope.categories.is_empty()
            || place.is_some_and(|place| {
                scope.categories.iter().any(|id| *id == place.subcategory_id || *id == place.category_id)
            });
        let of_brand =
            scope.brands.is_empty() || scope.brands.iter().any(|id| *id == format!("B{:03}", product.brand + 1));
        (in_category && of_brand && (named.is_empty() || named.contains(&no))).then_some(no)
    };
    Some(truth.products.iter().enumerate().filter_map(fit).collect())
}
