//! What a customer wants on one visit, and why. History and live shopping draw from here alike.

use crate::dice::{Dice, chance, dot, lognormal, pick_weighted, poisson, unit};
use crate::market::{Market, Purchase};
use crate::people::usual_quantity;
use crate::truth::{CustomerTruth, ProductNo, Tastes};

/// Most lines of a visit.
const MOST_LINES: usize = 120;
/// Lines of a visit that follow the month's flyer and the season, whatever the customer needs.
const FLYER_SHARE: f32 = 0.22;
const SEASON_SHARE: f32 = 0.28;

/// Why something is in a basket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    Habit,
    Need,
    Flyer,
    Season,
    Complement,
    Substitute,
    Offer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    pub product: ProductNo,
    pub quantity: u32,
    pub why: Why,
}

/// A customer on a visit. `last_bought` has the day of the last purchase for every habit of `tastes`.
pub(crate) struct Visitor<'a> {
    pub customer: &'a CustomerTruth<ProductNo>,
    pub tastes: &'a Tastes<ProductNo>,
    pub last_bought: &'a [f64],
    pub day: f64,
}

struct Basket<'a> {
    market: &'a Market,
    visitor: &'a Visitor<'a>,
    wishes: Vec<Wish>,
}

impl Basket<'_> {
    fn holds(&self, product: ProductNo) -> bool {
        self.wishes.iter().any(|wish| wish.product == product)
    }

    /// Puts a product in, or what stands in for it while it is out of stock.
    fn add(&mut self, product: ProductNo, quantity: Option<u32>, why: Why, dice: &mut Dice) {
        let truth = &self.market.truth;
        let day = self.visitor.day;
        let Some(item) = truth.product(product) else { return };
        if !item.on_sale(day) || self.holds(product) || self.wishes.len() >= MOST_LINES {
            return;
        }
        if !item.out_of_stock(day) || (item.backorders && chance(dice, 0.35)) {
            let quantity = quantity
                .unwrap_or_else(|| usual_quantity(self.visitor.customer.trade, item.pack, item.price_cents, dice));
            self.wishes.push(Wish { product, quantity, why });
        } else if chance(dice, 0.5) {
            let available = |&&other: &&ProductNo| {
                truth.product(other).is_some_and(|other| other.on_sale(day) && !other.out_of_stock(day))
                    && !self.holds(other)
            };
            if let Some(&other) = item.substitutes.iter().find(available) {
                let quantity = quantity.unwrap_or(1);
                self.wishes.push(Wish { product: other, quantity, why: Why::Substitute });
            }
        }
    }
}

/// Draws the wishes of a visit, in the order in which they come to mind.
pub(crate) fn plan(market: &Market, visitor: &Visitor<'_>, purchase: &Purchase<'_>, dice: &mut Dice) -> Vec<Wish> {
    let truth = &market.truth;
    let (customer, tastes, day) = (visitor.customer, visitor.tastes, visitor.day);
    let day_of_year = truth.spec.day_of_year(day);
    let mut basket = Basket { market, visitor, wishes: Vec::new() };

    for (habit, &last) in tastes.habits.iter().zip(visitor.last_bought) {
        let due = day - last >= f64::from(habit.interval_days * lognormal(dice, 0.9, 0.2));
        if due {
            // The habit's own quantity, or one pack more or less.
            let step = truth
                .product(habit.product)
                .map_or(1, |item| if item.pack > 1 && habit.quantity > item.pack { item.pack } else { 1 });
            let quantity = match unit(dice) {
                part if part < 0.8 => habit.quantity,
                part if part < 0.9 => habit.quantity + step,
                _ => habit.quantity.saturating_sub(step).max(1),
            };
            basket.add(habit.product, Some(quantity), Why::Habit, dice);
        }
    }
    let lines = poisson(dice, customer.basket_size).max(usize::from(basket.wishes.is_empty()));
    for _ in 0..lines {
        if let Some(product) = needed(market, visitor, day_of_year, dice) {
            basket.add(product, None, Why::Need, dice);
        }
    }
    for _ in 0..poisson(dice, customer.basket_size * FLYER_SHARE) {
        if let Some(product) = truth.shelf.pick_flyer(day, dice) {
            basket.add(product, None, Why::Flyer, dice);
        }
    }
    for _ in 0..poisson(dice, customer.basket_size * SEASON_SHARE * customer.season_openness) {
        if let Some(product) = truth.shelf.pick_seasonal(day_of_year, dice) {
            basket.add(product, None, Why::Season, dice);
        }
    }
    complements(market, &mut basket, dice);
    offers(market, &mut basket, purchase, dice);
    basket.wishes
}

/// A product for a need: often a favourite, else what the shelf suggests and is to the taste.
fn needed(market: &Market, visitor: &Visitor<'_>, day_of_year: f32, dice: &mut Dice) -> Option<ProductNo> {
    let truth = &market.truth;
    let tastes = visitor.tastes;
    if tastes.exclusive || chance(dice, 0.45) {
        let in_season = |product: ProductNo| truth.product(product).map_or(0.0, |item| item.season.factor(day_of_year));
        return pick_weighted(dice, &tastes.favourites, |one| one.weight * in_season(one.product))
            .map(|one| one.product);
    }
    let subcategory = pick_weighted(dice, &tastes.needs, |need| need.1)?.0;
    let mut last = None;
    for _ in 0..4 {
        let product = truth.shelf.pick(subcategory, visitor.day, dice)?;
        last = Some(product);
        let fit = truth.product(product).map_or(0.0, |item| dot(&tastes.taste, &item.taste));
        if unit(dice) < (1.6 * (fit - 1.0)).exp() {
            break;
        }
    }
    last
}

/// Whoever has the one takes the other too: once for every thing that came in for another cause.
fn complements(market: &Market, basket: &mut Basket<'_>, dice: &mut Dice) {
    let causes: Vec<ProductNo> = basket.wishes.iter().map(|wish| wish.product).collect();
    for product in causes {
        let Some(item) = market.truth.product(product) else { continue };
        for link in &item.complements {
            if chance(dice, link.strength * basket.visitor.customer.complement_openness) {
                basket.add(link.product, None, Why::Complement, dice);
            }
        }
    }
}

/// Buys up to offers that are near: quantities, the other half of a bundle, what is missing to a gift.
fn offers(market: &Market, basket: &mut Basket<'_>, purchase: &Purchase<'_>, dice: &mut Dice) {
    let sensitive = basket.visitor.customer.offer_sensitivity;
    for wish in &mut basket.wishes {
        wish.quantity = market.react(purchase, wish.product, wish.quantity, dice);
    }
    let partners: Vec<ProductNo> =
        basket.wishes.iter().filter_map(|wish| market.bundle_partner(purchase, wish.product)).collect();
    for partner in partners {
        if chance(dice, 0.5 * sensitive) {
            basket.add(partner, Some(1), Why::Offer, dice);
        }
    }
    let wanted: Vec<(ProductNo, u32)> = basket.wishes.iter().map(|wish| (wish.product, wish.quantity)).collect();
    let total = market.price(purchase, &wanted).iter().map(crate::market::Line::cents).sum();
    if let Some((missing, least)) = market.missing_to_gift(purchase, total)
        && missing * 5 <= least
        && chance(dice, 0.6 * sensitive)
    {
        let subcategory = basket.visitor.tastes.needs.first().map_or(0, |need| need.0);
        if let Some(product) = market.truth.shelf.pick(subcategory, basket.visitor.day, dice) {
            basket.add(product, None, Why::Offer, dice);
        }
    }
}
