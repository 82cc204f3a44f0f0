//! The truth's own types. `P` names a product: by number in memory, by id in the files.

use endcap_recommender::request::Channel;
use serde::{Deserialize, Serialize};

use crate::words::Season;

/// Length of taste vectors.
pub const DIMENSIONS: usize = 6;

/// Whoever buys the one takes `product` too with probability `strength` (before the customer's own openness).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Complement<P> {
    pub product: P,
    pub strength: f32,
}

/// Days of the period, `[from, to)`, in which a product cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interruption {
    pub from_day: i32,
    pub to_day: i32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProductTruth<P> {
    pub product_id: String,
    /// Number of the subcategory in `world.json`.
    pub subcategory: u16,
    /// Products of one need can stand in for each other.
    pub need: u16,
    /// Number of the brand.
    pub brand: u16,
    /// Hundredths of the currency.
    pub price_cents: i64,
    pub pack: u32,
    /// Share-like weight within its subcategory.
    pub popularity: f32,
    /// Growth of the popularity a year, as a natural logarithm.
    pub trend: f32,
    pub season: Season,
    /// First day of sale; 0 or less: from the start.
    pub launched_day: i32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub retired_day: Option<i32>,
    pub interruptions: Vec<Interruption>,
    /// Whether it is taken on order while it is out of stock.
    pub backorders: bool,
    pub taste: [f32; DIMENSIONS],
    /// Strongest first.
    pub complements: Vec<Complement<P>>,
    pub substitutes: Vec<P>,
}

impl<P> ProductTruth<P> {
    /// Whether it is on sale (in stock or not).
    pub fn on_sale(&self, day: f64) -> bool {
        f64::from(self.launched_day) <= day && self.retired_day.is_none_or(|retired| day < f64::from(retired))
    }

    pub fn out_of_stock(&self, day: f64) -> bool {
        self.interruptions.iter().any(|gap| f64::from(gap.from_day) <= day && day < f64::from(gap.to_day))
    }

    pub(crate) fn try_map<Q, E>(self, mut name: impl FnMut(P) -> Result<Q, E>) -> Result<ProductTruth<Q>, E> {
        let complements = self
            .complements
            .into_iter()
            .map(|link| Ok(Complement { product: name(link.product)?, strength: link.strength }));
        let complements = complements.collect::<Result<_, E>>()?;
        let substitutes = self.substitutes.into_iter().map(&mut name).collect::<Result<_, E>>()?;
        Ok(ProductTruth {
            product_id: self.product_id,
            subcategory: self.subcategory,
            need: self.need,
            brand: self.brand,
            price_cents: self.price_cents,
            pack: self.pack,
            popularity: self.popularity,
            trend: self.trend,
            season: self.season,
            launched_day: self.launched_day,
            retired_day: self.retired_day,
            interruptions: self.interruptions,
            backorders: self.backorders,
            taste: self.taste,
            complements,
            substitutes,
        })
    }
}

/// A product that a customer comes back to within its need, with its weight among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Favourite<P> {
    pub product: P,
    pub weight: f32,
}

/// A product that a customer buys again when it is used up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Habit<P> {
    pub product: P,
    /// Median days between two purchases.
    pub interval_days: f32,
    pub quantity: u32,
}

/// What a customer likes and needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tastes<P> {
    pub taste: [f32; DIMENSIONS],
    /// (subcategory, share of the lines bought out of need), strongest first.
    pub needs: Vec<(u16, f32)>,
    pub favourites: Vec<Favourite<P>>,
    pub habits: Vec<Habit<P>>,
    /// Hardly anything else is looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exclusive: bool,
}

impl<P> Tastes<P> {
    pub(crate) fn try_map<Q, E>(self, mut name: impl FnMut(P) -> Result<Q, E>) -> Result<Tastes<Q>, E> {
        let favourites =
            self.favourites.into_iter().map(|one| Ok(Favourite { product: name(one.product)?, weight: one.weight }));
        let favourites = favourites.collect::<Result<_, E>>()?;
        let habits = self.habits.into_iter().map(|habit| {
            let Habit { product, interval_days, quantity } = habit;
            Ok(Habit { product: name(product)?, interval_days, quantity })
        });
        let habits = habits.collect::<Result<_, E>>()?;
        Ok(Tastes { taste: self.taste, needs: self.needs, favourites, habits, exclusive: self.exclusive })
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CustomerTruth<P> {
    pub customer_id: String,
    pub customer_type: String,
    pub age_band: String,
    /// Buys for resale or for a kitchen: in packs.
    pub trade: bool,
    /// Number of the city in the places table.
    pub city: u16,
    pub channel: Channel,
    /// First and last day with this shop.
    pub joined_day: f32,
    pub left_day: f32,
    /// Mean days between two visits that may end in an order.
    pub visit_interval_days: f32,
    /// Mean lines of a visit that are bought out of need (habits and complements come on top).
    pub basket_size: f32,
    pub price_sensitivity: f32,
    /// Probability to buy up to an offer that is near.
    pub offer_sensitivity: f32,
    /// Multiplies the strength of complements.
    pub complement_openness: f32,
    /// Multiplies what is bought because of a season.
    pub season_openness: f32,
    /// Multiplies every acceptance.
    pub openness: f32,
    #[serde(flatten)]
    pub tastes: Tastes<P>,
}

impl<P> CustomerTruth<P> {
    pub(crate) fn try_map<Q, E>(self, name: impl FnMut(P) -> Result<Q, E>) -> Result<CustomerTruth<Q>, E> {
        let tastes = self.tastes.try_map(name)?;
        Ok(CustomerTruth {
            customer_id: self.customer_id,
            customer_type: self.customer_type,
            age_band: self.age_band,
            trade: self.trade,
            city: self.city,
            channel: self.channel,
            joined_day: self.joined_day,
            left_day: self.left_day,
            visit_interval_days: self.visit_interval_days,
            basket_size: self.basket_size,
            price_sensitivity: self.price_sensitivity,
            offer_sensitivity: self.offer_sensitivity,
            complement_openness: self.complement_openness,
            season_openness: self.season_openness,
            openness: self.openness,
            tastes,
        })
    }
}

/// A subcategory with what draws customers to it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SubcategoryTruth {
    pub subcategory_id: String,
    pub category_id: String,
    pub name: String,
    /// Share of all needs before taste.
    pub weight: f32,
    pub taste: [f32; DIMENSIONS],
}

/// A customer whose habit stops just short of an offer's threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PlantedUpsell {
    pub customer_id: String,
    pub product_id: String,
    pub offer_id: String,
    pub habitual_quantity: u32,
    /// Quantity from which the offer gives something.
    pub threshold: u32,
    /// Probability that the customer takes the suggestion to buy up to it.
    pub probability: f32,
}
