//! What is really so: who needs what, what goes with what, and how likely a suggestion is taken. Never read by training.

mod files;
mod judge;
mod model;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

pub(crate) use judge::usual_pulls;
pub use judge::{Pull, Situation};
pub use model::{
    Complement, CustomerTruth, DIMENSIONS, Favourite, Habit, Interruption, PlantedUpsell, ProductTruth,
    SubcategoryTruth, Tastes,
};

use endcap_recommender::request::Placement;

use crate::SimulatorError;
use crate::people;
use crate::shelf::Shelf;
use crate::spec::{TasteChange, WorldSpec};

/// Number of a product in [`Truth::products`].
pub type ProductNo = u32;
/// Number of a customer in [`Truth::customers`].
pub type CustomerNo = u32;

/// The hidden truth of a world, with the questions that a judge is asked.
#[derive(Debug)]
pub struct Truth {
    pub spec: WorldSpec,
    /// How willing visitors are, by placement.
    pub placements: BTreeMap<Placement, Pull>,
    pub subcategories: Vec<SubcategoryTruth>,
    /// Tastes around which customers gather, by segment of the profile.
    pub segments: Vec<[f32; DIMENSIONS]>,
    pub products: Vec<ProductTruth<ProductNo>>,
    pub customers: Vec<CustomerTruth<ProductNo>>,
    pub planted: Vec<PlantedUpsell>,
    product_numbers: HashMap<String, ProductNo>,
    customer_numbers: HashMap<String, CustomerNo>,
    pub(crate) shelf: Shelf,
}

impl PartialEq for Truth {
    fn eq(&self, other: &Self) -> bool {
        // The rest is made from these.
        self.spec == other.spec
            && self.placements == other.placements
            && self.subcategories == other.subcategories
            && self.segments == other.segments
            && self.products == other.products
            && self.customers == other.customers
            && self.planted == other.planted
    }
}

impl Truth {
    pub(crate) fn new(
        spec: WorldSpec,
        placements: BTreeMap<Placement, Pull>,
        subcategories: Vec<SubcategoryTruth>,
        segments: Vec<[f32; DIMENSIONS]>,
        products: Vec<ProductTruth<ProductNo>>,
        customers: Vec<CustomerTruth<ProductNo>>,
        planted: Vec<PlantedUpsell>,
    ) -> Self {
        let number = |(no, id): (usize, &String)| (id.clone(), no as u32);
        let product_numbers = products.iter().map(|product| &product.product_id).enumerate().map(number).collect();
        let customer_numbers = customers.iter().map(|customer| &customer.customer_id).enumerate().map(number).collect();
        let shelf = Shelf::new(&spec, &subcategories, &products);
        Self {
            spec,
            placements,
            subcategories,
            segments,
            products,
            customers,
            planted,
            product_numbers,
            customer_numbers,
            shelf,
        }
    }

    pub(crate) fn set_customers(&mut self, customers: Vec<CustomerTruth<ProductNo>>) {
        self.customer_numbers = customers
            .iter()
            .enumerate()
            .map(|(no, customer)| (customer.customer_id.clone(), no as CustomerNo))
            .collect();
        self.customers = customers;
    }

    /// Reads the truth that lies beside a dataset (`<dir>/truth`).
    pub fn load(dir: &Path) -> Result<Self, SimulatorError> {
        files::load(dir)
    }

    /// Writes the truth beside a dataset (`<dir>/truth`).
    pub(crate) fn save(&self, dir: &Path) -> Result<(), SimulatorError> {
        files::save(self, dir)
    }

    pub fn product_no(&self, product: &str) -> Option<ProductNo> {
        self.product_numbers.get(product).copied()
    }

    pub fn customer_no(&self, customer: &str) -> Option<CustomerNo> {
        self.customer_numbers.get(customer).copied()
    }

    pub fn product(&self, product: ProductNo) -> Option<&ProductTruth<ProductNo>> {
        self.products.get(product as usize)
    }

    pub fn customer(&self, customer: CustomerNo) -> Option<&CustomerTruth<ProductNo>> {
        self.customers.get(customer as usize)
    }

    /// What really goes with a product, strongest first: (product, probability that a buyer of the one takes the other too).
    pub fn true_complements(&self, product: &str) -> Vec<(&str, f64)> {
        self.product_no(product)
            .and_then(|no| self.product(no))
            .map(|product| {
                product
                    .complements
                    .iter()
                    .filter_map(|link| Some((self.id(link.product)?, f64::from(link.strength))))
                    .collect()
            })
            .unwrap_or_default()
    }

    /// What really goes with a whole cart and is not in it, strongest first: the probability that at least one of its products
    /// draws it in.
    pub fn true_complements_of_cart(&self, cart: &[&str]) -> Vec<(&str, f64)> {
        let mut none: BTreeMap<&str, f64> = BTreeMap::new();
        for (product, strength) in cart.iter().flat_map(|id| self.true_complements(id)) {
            if !cart.contains(&product) {
                *none.entry(product).or_insert(1.0) *= 1.0 - strength;
            }
        }
        let mut found: Vec<(&str, f64)> = none.into_iter().map(|(product, none)| (product, 1.0 - none)).collect();
        found.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        found
    }

    /// What can stand in for a product.
    pub fn true_substitutes(&self, product: &str) -> Vec<&str> {
        self.product_no(product)
            .and_then(|no| self.product(no))
            .map(|product| product.substitutes.iter().filter_map(|&other| self.id(other)).collect())
            .unwrap_or_default()
    }

    /// The subcategories that a customer needs, strongest first, with their share of what is bought out of need.
    pub fn true_needs(&self, customer: &str) -> Vec<(&str, f64)> {
        self.customer_no(customer)
            .and_then(|no| self.customer(no))
            .map(|customer| {
                let needs = customer.tastes.needs.iter();
                needs
                    .filter_map(|&(no, share)| {
                        Some((self.subcategories.get(no as usize)?.subcategory_id.as_str(), f64::from(share)))
                    })
                    .collect()
            })
            .unwrap_or_default()
    }

    /// The products that a customer buys again and again: (product, median days between, usual quantity).
    pub fn true_habits(&self, customer: &str) -> Vec<(&str, f64, u32)> {
        self.customer_no(customer)
            .and_then(|no| self.customer(no))
            .map(|customer| {
                let habits = customer.tastes.habits.iter();
                habits
                    .filter_map(|habit| Some((self.id(habit.product)?, f64::from(habit.interval_days), habit.quantity)))
                    .collect()
            })
            .unwrap_or_default()
    }

    pub(crate) fn id(&self, product: ProductNo) -> Option<&str> {
        self.product(product).map(|product| product.product_id.as_str())
    }

    /// Whether a customer is among the `share` whose taste changes.
    pub fn changes_taste(&self, customer: CustomerNo, change: &TasteChange) -> bool {
        people::changes_taste(self.spec.seed, customer, change.share)
    }

    /// What everybody likes once a fashion has come.
    pub fn fashionable_tastes(&self) -> Tastes<ProductNo> {
        people::fashionable_tastes(self)
    }

    /// What a customer likes after their taste has changed.
    pub fn changed_tastes(&self, customer: CustomerNo) -> Option<Tastes<ProductNo>> {
        let customer_truth = self.customer(customer)?;
        Some(people::second_tastes(self, customer, customer_truth))
    }
}
