//! The judge: how likely a customer takes a suggestion.

use std::collections::BTreeMap;

use endcap_recommender::request::Placement;
use serde::{Deserialize, Serialize};

use super::{CustomerTruth, ProductNo, ProductTruth, Tastes, Truth};
use crate::dice::dot;

/// The circumstances of a suggestion.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    pub placement: Placement,
    /// Products in the cart (or just bought, or left behind, as the placement has it).
    pub cart: &'a [ProductNo],
    /// The product that is looked at.
    pub looking_at: Option<ProductNo>,
    /// Day of the period, from 0; may lie after its end.
    pub day: f64,
    /// Days since this customer bought the suggested product, where known.
    pub days_since_bought: Option<f64>,
}

/// How much a placement lets each cause count (0 to 1), and how willing a visitor is there at all.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pull {
    pub need: f64,
    pub habit: f64,
    pub complement: f64,
    pub substitute: f64,
    pub willing: f64,
}

/// What a new world's visitors are like, by placement. A world that is read has what its `world.json` says.
pub(crate) fn usual_pulls() -> BTreeMap<Placement, Pull> {
    let pull = |need, habit, complement, substitute, willing| Pull { need, habit, complement, substitute, willing };
    BTreeMap::from([
        (Placement::OrderEntry, pull(0.9, 1.0, 1.0, 0.0, 1.0)),
        (Placement::Cart, pull(0.6, 0.8, 1.0, 0.0, 0.9)),
        (Placement::Product, pull(0.5, 0.3, 1.0, 0.5, 0.8)),
        (Placement::Checkout, pull(0.4, 0.6, 0.9, 0.0, 0.6)),
        (Placement::PostPurchase, pull(0.3, 0.1, 1.0, 0.0, 0.5)),
        (Placement::AbandonedCart, pull(0.4, 0.4, 0.8, 0.4, 0.4)),
        (Placement::Home, pull(1.0, 1.0, 0.3, 0.0, 0.8)),
        (Placement::Email, pull(0.8, 0.8, 0.5, 0.0, 0.25)),
    ])
}

/// Whatever is shown is taken now and then.
const FLOOR: f64 = 0.002;
const CEILING: f64 = 0.95;

impl Truth {
    /// Probability that a customer who looks at a suggestion takes it, at the end of the period. An unknown customer is a stranger
    /// of mean tastes; an unknown product is never taken.
    pub fn acceptance(&self, customer: &str, product: &str, placement: Placement, cart: &[&str]) -> f64 {
        let Some(no) = self.product_no(product) else { return 0.0 };
        let cart: Vec<ProductNo> = cart.iter().filter_map(|id| self.product_no(id)).collect();
        let day = f64::from(self.spec.days);
        let situation = Situation { placement, cart: &cart, looking_at: None, day, days_since_bought: None };
        let customer = self.customer_no(customer).and_then(|no| self.customer(no));
        self.acceptance_in(customer, customer.map(|customer| &customer.tastes), no, &situation)
    }

    /// As [`Truth::acceptance`], for any tastes (after a change, say) and any day.
    pub fn acceptance_in(
        &self,
        customer: Option<&CustomerTruth<ProductNo>>,
        tastes: Option<&Tastes<ProductNo>>,
        product: ProductNo,
        situation: &Situation<'_>,
    ) -> f64 {
        let Some(item) = self.product(product) else { return 0.0 };
        if !item.on_sale(situation.day) || situation.cart.contains(&product) {
            return 0.0;
        }
        let Some(pull) = self.placements.get(&situation.placement) else { return 0.0 };
        let openness = customer.map_or(0.6, |customer| f64::from(customer.openness));
        let causes = [
            pull.need * Self::need_pull(tastes, product, item),
            pull.habit * habit_pull(tastes, product, situation.days_since_bought),
            pull.complement * self.complement_pull(customer, product, situation),
            pull.substitute * self.substitute_pull(product, situation),
        ];
        let none = causes.iter().map(|cause| 1.0 - cause.clamp(0.0, 1.0)).product::<f64>();
        let season = f64::from(item.season.factor(self.spec.day_of_year(situation.day))).clamp(0.1, 1.3);
        let dear = f64::from(item.price_cents as f32 / self.shelf.need_price(item.need)).ln().max(0.0);
        let price = (-customer.map_or(0.6, |customer| f64::from(customer.price_sensitivity)) * dear).exp();
        let already = if situation.placement == Placement::Product {
            false
        } else {
            self.stands_in_for_one_of(product, situation.cart)
        };
        let twice = if already { 0.25 } else { 1.0 };
        let stock = if item.out_of_stock(situation.day) { 0.1 } else { 1.0 };
        let craze = craze(tastes, product);
        ((FLOOR + (1.0 - none) * pull.willing * openness * season * price * twice * stock) * craze).min(CEILING)
    }

    fn need_pull(tastes: Option<&Tastes<ProductNo>>, product: ProductNo, item: &ProductTruth<ProductNo>) -> f64 {
        // A stranger takes what many take.
        let popular = f64::from(item.popularity / (item.popularity + 3.0));
        let Some(tastes) = tastes else { return 0.12 * popular };
        let most = tastes.needs.first().map_or(1.0, |need| f64::from(need.1)).max(1e-6);
        let need =
            tastes.needs.iter().find(|need| need.0 == item.subcategory).map_or(0.0, |need| f64::from(need.1) / most);
        let fit = 1.0 / (1.0 + (-3.0 * f64::from(dot(&tastes.taste, &item.taste))).exp());
        let favourite = if tastes.favourites.iter().any(|one| one.product == product) { 0.22 } else { 0.0 };
        1.0 - (1.0 - need * fit * (0.08 + 0.14 * popular)) * (1.0 - favourite)
    }

    fn complement_pull(
        &self,
        customer: Option<&CustomerTruth<ProductNo>>,
        product: ProductNo,
        situation: &Situation<'_>,
    ) -> f64 {
        let open = customer.map_or(0.85, |customer| f64::from(customer.complement_openness));
        let around = situation.cart.iter().copied().chain(situation.looking_at);
        let mut none = 1.0;
        for other in around {
            let link =
                self.product(other).and_then(|other| other.complements.iter().find(|link| link.product == product));
            // Being reminded makes it half as likely again as finding it alone.
            none *= 1.0 - (link.map_or(0.0, |link| f64::from(link.strength)) * open * 1.5).min(0.9);
        }
        1.0 - none
    }

    fn substitute_pull(&self, product: ProductNo, situation: &Situation<'_>) -> f64 {
        let looked_at = situation.looking_at.and_then(|no| self.product(no));
        if looked_at.is_some_and(|other| other.substitutes.contains(&product)) { 0.15 } else { 0.0 }
    }

    fn stands_in_for_one_of(&self, product: ProductNo, cart: &[ProductNo]) -> bool {
        let others = self.product(product).map_or(&[][..], |item| &item.substitutes);
        others.iter().any(|other| cart.contains(other))
    }

    /// Probability that a customer with `in_cart` of a product takes the suggestion to make it `suggested`. Near is easier than
    /// far, and an offer is what makes it worth while.
    pub fn upsell_acceptance(
        customer: &CustomerTruth<ProductNo>,
        in_cart: f32,
        suggested: f32,
        has_offer: bool,
    ) -> f64 {
        if suggested <= in_cart || in_cart <= 0.0 {
            return 0.0;
        }
        let near = f64::from(((in_cart / suggested - 0.3) / 0.5).clamp(0.0, 1.0));
        let worth = if has_offer { 1.0 } else { 0.3 };
        (f64::from(customer.offer_sensitivity) * near * worth).min(CEILING)
    }

    /// Probability that a customer takes `better` in place of `instead_of`, which they have or look at.
    pub fn upgrade_acceptance(
        &self,
        customer: Option<&CustomerTruth<ProductNo>>,
        tastes: Option<&Tastes<ProductNo>>,
        better: ProductNo,
        instead_of: ProductNo,
    ) -> f64 {
        let (Some(new), Some(old)) = (self.product(better), self.product(instead_of)) else { return 0.0 };
        if !old.substitutes.contains(&better) {
            return FLOOR;
        }
        let fit = tastes.map_or(0.0, |tastes| f64::from(dot(&tastes.taste, &new.taste)));
        let sensitive = customer.map_or(0.6, |customer| f64::from(customer.price_sensitivity));
        let dearer = f64::from(new.price_cents as f32 / old.price_cents as f32).ln().max(0.0);
        let openness = customer.map_or(0.6, |customer| f64::from(customer.openness));
        let craze = craze(tastes, better);
        ((FLOOR + 0.3 * openness * (fit * 0.7).exp() * (-1.5 * sensitive * dearer).exp()) * craze).min(CEILING)
    }

    /// Probability that an item at a rank (from 1) is looked at at all.
    pub fn attention(rank: u32) -> f64 {
        0.93_f64.powi(rank.saturating_sub(1).min(200) as i32)
    }
}

/// Who is after a few things only takes those the more readily, and hardly looks at anything else.
fn craze(tastes: Option<&Tastes<ProductNo>>, product: ProductNo) -> f64 {
    let Some(tastes) = tastes.filter(|tastes| tastes.exclusive) else { return 1.0 };
    if tastes.favourites.iter().any(|one| one.product == product) { 3.0 } else { 0.1 }
}

/// A habit pulls when what was bought is used up.
fn habit_pull(tastes: Option<&Tastes<ProductNo>>, product: ProductNo, days_since_bought: Option<f64>) -> f64 {
    let Some(habit) = tastes.and_then(|tastes| tastes.habits.iter().find(|habit| habit.product == product)) else {
        return 0.0;
    };
    let due = days_since_bought
        .map_or(0.6, |days| 1.0 / (1.0 + (-6.0 * (days / f64::from(habit.interval_days) - 0.85)).exp()));
    0.75 * due
}
