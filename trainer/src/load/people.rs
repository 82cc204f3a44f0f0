//! Customers' traits, ratings and declines. Contacts and consents are never taken out of the table.

use std::collections::HashMap;

use endcap_recommender::fitted::NONE;
use endcap_tables::{Customer, Interaction};
use rust_decimal::prelude::ToPrimitive;

use super::catalogue::Products;
use super::labels::Texts;
use super::{Labels, Tables};
use crate::TrainError;

/// What is known of a customer, by the names of a live profile.
pub const TRAITS: [&str; 7] = ["customer_type", "gender", "age_band", "income_band", "city_id", "area_id", "country"];

/// A trait's place in [`TRAITS`].
pub type Trait = usize;

/// By trait, the number of its text in [`People::texts`].
type Values = [u32; TRAITS.len()];

pub(super) struct People {
    by_id: HashMap<String, Values>,
    texts: Texts,
}

impl People {
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.by_id.keys().map(String::as_str)
    }

    /// Distinct values of traits.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.texts.iter()
    }

    /// What is known of a customer under the name of a trait.
    pub fn value(&self, id: &str, name: &str) -> Option<&str> {
        let at = TRAITS.iter().position(|known| *known == name)?;
        self.texts.get(*self.by_id.get(id)?.get(at)?)
    }

    pub fn traits_of(&self, customers: &Labels, labels: &Labels) -> Vec<[u32; TRAITS.len()]> {
        let places = self.texts.places(labels);
        let place = |number: u32| places.get(number as usize).copied().unwrap_or(NONE);
        customers.iter().map(|id| self.by_id.get(id).map_or([NONE; TRAITS.len()], |own| own.map(place))).collect()
    }
}

pub(super) fn read(tables: &mut Tables<'_>) -> Result<People, TrainError> {
    let mut by_id = HashMap::new();
    let mut texts = Texts::default();
    let mut duplicates = 0;
    tables.each(|row: Customer| {
        let values =
            [row.customer_type, row.gender, row.age_band, row.income_band, row.city_id, row.area_id, row.country];
        let values = values.map(|value| texts.number(value.as_deref().filter(|text| !text.is_empty())));
        duplicates += u64::from(by_id.insert(row.customer_id, values).is_some());
    })?;
    tables.reject("customers", "duplicate_key", duplicates);
    Ok(People { by_id, texts })
}

/// A customer's newest rating of a product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rated {
    pub customer: u32,
    pub product: u32,
    pub at_s: i64,
    /// 1 to 5
    pub value: f32,
}

/// A recommendation that a customer declined.
#[derive(Clone, Debug, PartialEq)]
pub struct Declined {
    pub customer: u32,
    pub product: Option<u32>,
    pub offer_id: Option<String>,
    pub at_s: i64,
}

pub(super) fn interactions(
    tables: &mut Tables<'_>,
    customers: &Labels,
    products: &Products,
    cut: Option<super::Cut>,
) -> Result<(Vec<Rated>, Vec<Declined>), TrainError> {
    let (mut ratings, mut declines) = (Vec::new(), Vec::new());
    let mut bad_ratings = 0;
    tables.each(|row: Interaction| {
        if cut.is_some_and(|cut| row.ts.as_second() >= cut.from_s) {
            return;
        }
        let Some(customer) = row.customer_id.as_deref().and_then(|id| customers.find(id)) else { return };
        let product = row.product_id.as_deref().and_then(|id| products.catalogue.find(id));
        let at_s = row.ts.as_second();
        match row.event_type.as_str() {
            "rate" => {
                let value = row.value.and_then(|value| value.to_f32()).filter(|value| (1.0..=5.0).contains(value));
                match (product, value) {
                    (Some(product), Some(value)) => ratings.push(Rated { customer, product, at_s, value }),
                    _ => bad_ratings += 1,
                }
            }
            "recommendation_declined" => {
                let offer_id = row.context.as_deref().and_then(offer_of);
                if product.is_some() || offer_id.is_some() {
                    declines.push(Declined { customer, product, offer_id, at_s });
                }
            }
            _ => {}
        }
    })?;
    tables.reject("interactions", "bad_rating", bad_ratings);
    ratings.sort_by_key(|rated: &Rated| (rated.customer, rated.product, rated.at_s));
    declines.sort_by(|a: &Declined, b| {
        (a.customer, a.product, &a.offer_id, a.at_s).cmp(&(b.customer, b.product, &b.offer_id, b.at_s))
    });
    Ok((ratings, declines))
}

fn offer_of(context: &str) -> Option<String> {
    let context: serde_json::Value = serde_json::from_str(context).ok()?;
    context.get("offer_id")?.as_str().map(str::to_owned)
}
