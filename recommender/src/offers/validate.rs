//! What the types of an offer cannot refuse.

use rust_decimal::Decimal;

use super::terms::{Offer, Scope, Terms, Tier};
use crate::request::{FieldError, MAX_ID_BYTES};

/// The largest quantity that terms may name.
pub const MAX_QUANTITY: u32 = 1_000_000;
/// The largest amount of money that terms may name.
pub const MAX_MONEY: u32 = 1_000_000_000;

struct Errors(Vec<FieldError>);

impl Errors {
    fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.0.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    fn id(&mut self, pointer: &str, id: &str) {
        if id.is_empty() || id.len() > MAX_ID_BYTES {
            self.wrong(pointer, format!("must have 1 to {MAX_ID_BYTES} bytes"));
        }
    }

    fn quantity(&mut self, pointer: &str, quantity: u32) {
        if quantity == 0 || quantity > MAX_QUANTITY {
            self.wrong(pointer, format!("is {quantity}; write a whole number from 1 to {MAX_QUANTITY}"));
        }
    }

    fn money(&mut self, pointer: &str, money: Decimal) {
        if money <= Decimal::ZERO || money > Decimal::from(MAX_MONEY) {
            self.wrong(
                pointer,
                format!("is {money}; write an amount above 0 and at most {MAX_MONEY}, such as \"2.00\""),
            );
        } else if money.normalize().scale() > 4 {
            self.wrong(pointer, format!("is {money}; write at most 4 digits after the point"));
        }
    }
}

/// Checks an offer: every mistake at once, each with its JSON pointer and what to write instead.
pub fn validate(offer: &Offer) -> Result<(), Vec<FieldError>> {
    let mut errors = Errors(Vec::new());
    errors.id("/offer_id", &offer.offer_id);
    if let (Some(from), Some(to)) = (offer.valid_from, offer.valid_to)
        && from >= to
    {
        errors.wrong(
            "/valid_to",
            format!("is {to}, not after valid_from {from}; write a later moment (valid_to itself is excluded)"),
        );
    }
    if offer.max_per_order == Some(0) {
        errors.wrong(
            "/max_per_order",
            "is 0, so that the offer could never be used; write 1 or more, or leave it out for no limit",
        );
    }
    terms(&offer.terms, &mut errors);
    scope(&offer.scope, &offer.terms, &mut errors);
    if errors.0.is_empty() { Ok(()) } else { Err(errors.0) }
}

fn terms(terms: &Terms, errors: &mut Errors) {
    match terms {
        Terms::BuyXGetY { buy, get, get_products } => {
            errors.quantity("/terms/buy", *buy);
            errors.quantity("/terms/get", *get);
            for (i, product) in get_products.iter().enumerate() {
                errors.id(&format!("/terms/get_products/{i}"), product);
            }
        }
        Terms::TierPrice { tiers } => tier_list(tiers, errors),
        Terms::PercentOff { percent } => {
            if *percent <= Decimal::ZERO || *percent > Decimal::ONE_HUNDRED {
                errors.wrong(
                    "/terms/percent",
                    format!("is {percent}; write a percentage above 0 and at most 100, such as \"15\""),
                );
            } else if percent.normalize().scale() > 4 {
                errors.wrong("/terms/percent", format!("is {percent}; write at most 4 digits after the point"));
            }
        }
        Terms::AmountOff { amount, .. } => errors.money("/terms/amount", *amount),
        Terms::BundlePrice { products, price } => {
            errors.money("/terms/price", *price);
            let units: u64 = products.values().map(|&quantity| u64::from(quantity)).sum();
            if units < 2 {
                errors.wrong(
                    "/terms/products",
                    "holds fewer than 2 units; name at least two products, or one with a quantity of 2 or more",
                );
            }
            for (product, &quantity) in products {
                let pointer = format!("/terms/products/{}", escape(product));
                errors.id(&pointer, product);
                errors.quantity(&pointer, quantity);
            }
        }
        Terms::GiftOverTotal { min_total, gift, quantity } => {
            errors.money("/terms/min_total", *min_total);
            errors.id("/terms/gift", gift);
            errors.quantity("/terms/quantity", *quantity);
        }
    }
}

fn tier_list(tiers: &[Tier], errors: &mut Errors) {
    if tiers.is_empty() {
        errors.wrong("/terms/tiers", "is empty; write at least one {\"min_quantity\", \"unit_price\"}");
    }
    for (i, tier) in tiers.iter().enumerate() {
        errors.quantity(&format!("/terms/tiers/{i}/min_quantity"), tier.min_quantity);
        errors.money(&format!("/terms/tiers/{i}/unit_price"), tier.unit_price);
    }
    for (i, (lower, upper)) in tiers.iter().zip(tiers.iter().skip(1)).enumerate() {
        let i = i + 1;
        if upper.min_quantity <= lower.min_quantity {
            errors.wrong(
                format!("/terms/tiers/{i}/min_quantity"),
                format!(
                    "is {}, not above {} of the tier before; order tiers by rising quantity",
                    upper.min_quantity, lower.min_quantity
                ),
            );
        }
        if upper.unit_price >= lower.unit_price {
            errors.wrong(
                format!("/terms/tiers/{i}/unit_price"),
                format!(
                    "is {}, not below {} of the tier before; a higher quantity must cost less per unit",
                    upper.unit_price, lower.unit_price
                ),
            );
        }
    }
}

fn scope(scope: &Scope, terms: &Terms, errors: &mut Errors) {
    let empty = |list: &[String]| list.iter().position(String::is_empty);
    for (name, list) in [("categories", &scope.categories), ("brands", &scope.brands), ("segments", &scope.segments)] {
        if let Some(i) = empty(list) {
            errors.wrong(format!("/scope/{name}/{i}"), "is empty; name one, or take it out of the list");
        }
    }
    for (i, product) in scope.products.iter().enumerate() {
        errors.id(&format!("/scope/products/{i}"), product);
    }
    for (i, customer) in scope.customers.iter().enumerate() {
        errors.id(&format!("/scope/customers/{i}"), customer);
    }
    if matches!(terms, Terms::BundlePrice { .. }) {
        for (name, used) in [
            ("products", !scope.products.is_empty()),
            ("categories", !scope.categories.is_empty()),
            ("brands", !scope.brands.is_empty()),
        ] {
            if used {
                errors.wrong(
                    format!("/scope/{name}"),
                    "is not for bundles; leave it empty, /terms/products names what the bundle is about",
                );
            }
        }
    }
}

/// A key as a segment of a JSON pointer (RFC 6901).
fn escape(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}
