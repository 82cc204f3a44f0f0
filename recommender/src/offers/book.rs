//! Where offers are found: a list, or an index for many.

use std::collections::HashMap;

use super::scope::{PricedLine, covers};
use super::terms::{Offer, Terms};
use crate::ids::{OfferId, ProductId};

/// A collection of offers that can be asked by line.
pub trait Offers {
    /// Calls `found` with every offer that is about this line's product ([`covers`]); an offer may come more than once.
    fn about<'a>(&'a self, line: &PricedLine<'_>, found: &mut dyn FnMut(&'a Offer));
}

impl Offers for [&Offer] {
    fn about<'a>(&'a self, line: &PricedLine<'_>, found: &mut dyn FnMut(&'a Offer)) {
        self.iter().copied().filter(|offer| covers(offer, line)).for_each(found);
    }
}

impl Offers for [Offer] {
    fn about<'a>(&'a self, line: &PricedLine<'_>, found: &mut dyn FnMut(&'a Offer)) {
        self.iter().filter(|offer| covers(offer, line)).for_each(found);
    }
}

/// Offers by what they are about: asking for a line costs what applies to it, not how many offers there are. Each offer stands
/// under the narrowest list of its scope: products (or the bundle's), else categories, else brands, else under everything.
#[derive(Clone, Debug, Default)]
pub struct OfferBook {
    offers: HashMap<OfferId, Offer>,
    by_product: HashMap<ProductId, Vec<OfferId>>,
    by_category: HashMap<String, Vec<OfferId>>,
    by_brand: HashMap<String, Vec<OfferId>>,
    about_all: Vec<OfferId>,
}

impl OfferBook {
    /// Indexes offers; of several with one id the last counts.
    pub fn new(offers: impl IntoIterator<Item = Offer>) -> Self {
        let mut book = Self::default();
        for offer in offers {
            book.insert(offer);
        }
        book
    }

    pub fn len(&self) -> usize {
        self.offers.len()
    }

    pub fn is_empty(&self) -> bool {
        self.offers.is_empty()
    }

    pub fn get(&self, id: &str) -> Option<&Offer> {
        self.offers.get(id)
    }

    /// All offers, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = &Offer> {
        self.offers.values()
    }

    /// Adds an offer, or puts it in the place of the one with its id.
    pub fn insert(&mut self, offer: Offer) {
        self.remove(&offer.offer_id.clone());
        let id = offer.offer_id.clone();
        self.shelves(&offer, |list| list.push(id.clone()));
        self.offers.insert(offer.offer_id.clone(), offer);
    }

    pub fn remove(&mut self, id: &str) -> Option<Offer> {
        let offer = self.offers.remove(id)?;
        self.shelves(&offer, |list| list.retain(|entry| entry.as_str() != id));
        self.by_product.retain(|_, list| !list.is_empty());
        self.by_category.retain(|_, list| !list.is_empty());
        self.by_brand.retain(|_, list| !list.is_empty());
        Some(offer)
    }

    /// Visits the lists under which an offer stands.
    fn shelves(&mut self, offer: &Offer, mut visit: impl FnMut(&mut Vec<OfferId>)) {
        let scope = &offer.scope;
        let products: Vec<&ProductId> = match &offer.terms {
            Terms::BundlePrice { products, .. } => products.keys().collect(),
            _ => scope.products.iter().collect(),
        };
        if !products.is_empty() {
            for product in products {
                visit(self.by_product.entry(product.clone()).or_default());
            }
        } else if !scope.categories.is_empty() {
            for name in &scope.categories {
                visit(self.by_category.entry(name.clone()).or_default());
            }
        } else if !scope.brands.is_empty() {
            for name in &scope.brands {
                visit(self.by_brand.entry(name.clone()).or_default());
            }
        } else {
            visit(&mut self.about_all);
        }
    }
}

impl Offers for OfferBook {
    fn about<'a>(&'a self, line: &PricedLine<'_>, found: &mut dyn FnMut(&'a Offer)) {
        let category = |name: Option<&str>| name.and_then(|name| self.by_category.get(name));
        let lists = [
            self.by_product.get(line.product_id),
            category(line.category),
            category(line.subcategory),
            line.brand.and_then(|name| self.by_brand.get(name)),
            Some(&self.about_all),
        ];
        lists
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|id| self.offers.get(id))
            .filter(|offer| covers(offer, line))
            .for_each(found);
    }
}
