//! Offers from the columns of a table: a type's name and two JSON texts, as `MV_Promotion` and the canonical `offers` table hold them.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use super::terms::{Offer, Scope, Terms};
use super::validate::validate;
use crate::ids::OfferId;
use crate::request::FieldError;

/// The columns of one offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts<'a> {
    pub offer_id: &'a str,
    /// `BuyXGetY`, `TierPrice`, `PercentOff`, `AmountOff`, `BundlePrice` or `GiftOverTotal`; case does not matter.
    pub offer_type: &'a str,
    /// JSON object of the type's terms.
    pub terms: &'a str,
    /// JSON object; nothing or an empty text holds for everything and everyone.
    pub scope: Option<&'a str>,
    pub valid_from: Option<Timestamp>,
    pub valid_to: Option<Timestamp>,
    /// 0 when missing.
    pub priority: Option<i64>,
    /// `false` when missing.
    pub stackable: Option<bool>,
    pub max_per_order: Option<i64>,
}

const TYPES: [(&str, &[&str]); 6] = [
    ("BuyXGetY", &["buy", "get", "get_products"]),
    ("TierPrice", &["tiers"]),
    ("PercentOff", &["percent"]),
    ("AmountOff", &["amount", "per"]),
    ("BundlePrice", &["products", "price"]),
    ("GiftOverTotal", &["min_total", "gift", "quantity"]),
];
const SCOPE: [&str; 6] = ["products", "categories", "brands", "customers", "segments", "channels"];

fn error(pointer: &str, detail: impl Into<String>) -> FieldError {
    FieldError { pointer: pointer.to_owned(), detail: detail.into() }
}

/// Reads a JSON object whose keys are all among `known`: a misspelt key would silently widen an offer.
fn object(pointer: &str, text: &str, known: &[&str]) -> Result<Map<String, Value>, Vec<FieldError>> {
    let value: Value = serde_json::from_str(text).map_err(|cause| {
        vec![error(pointer, format!("is no JSON ({cause}); write an object with {}", known.join(", ")))]
    })?;
    let Value::Object(map) = value else {
        return Err(vec![error(pointer, format!("is no JSON object; write one with {}", known.join(", ")))]);
    };
    let unknown: Vec<FieldError> = map
        .keys()
        .filter(|key| !known.contains(&key.as_str()))
        .map(|key| error(&format!("{pointer}/{key}"), format!("is not known here; use {}", known.join(", "))))
        .collect();
    if unknown.is_empty() { Ok(map) } else { Err(unknown) }
}

impl Offer {
    /// Reads and validates an offer. Errors name the column (`/type`, `/terms/...`, `/scope/...`) and the remedy.
    pub fn from_parts(parts: &Parts<'_>) -> Result<Self, Vec<FieldError>> {
        let Some((name, keys)) = TYPES.iter().find(|(name, _)| name.eq_ignore_ascii_case(parts.offer_type.trim()))
        else {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
            return Err(vec![error("/type", format!("is \"{}\"; use one of {}", parts.offer_type, names.join(", ")))]);
        };
        let mut errors = Vec::new();
        let terms: Option<Terms> = object("/terms", parts.terms, keys)
            .and_then(|terms| {
                serde_json::from_value(json!({"type": name, "terms": terms}))
                    .map_err(|cause| vec![error("/terms", format!("{cause}; {name} takes {}", keys.join(", ")))])
            })
            .map_err(|found| errors.extend(found))
            .ok();
        let scope: Option<Scope> = match parts.scope.map(str::trim).filter(|text| !text.is_empty() && *text != "null") {
            None => Some(Scope::default()),
            Some(text) => object("/scope", text, &SCOPE)
                .and_then(|scope| {
                    serde_json::from_value(Value::Object(scope))
                        .map_err(|cause| vec![error("/scope", format!("{cause}; write lists of texts"))])
                })
                .map_err(|found| errors.extend(found))
                .ok(),
        };
        let max_per_order = parts.max_per_order.map(u32::try_from).transpose().unwrap_or_else(|_| {
            errors.push(error("/max_per_order", "is out of range; write 1 or more, or leave it out for no limit"));
            None
        });
        let (Some(terms), Some(scope), true) = (terms, scope, errors.is_empty()) else { return Err(errors) };
        let offer = Self {
            offer_id: OfferId::from(parts.offer_id),
            terms,
            scope,
            valid_from: parts.valid_from,
            valid_to: parts.valid_to,
            priority: parts.priority.unwrap_or(0),
            stackable: parts.stackable.unwrap_or(false),
            max_per_order,
        };
        validate(&offer)?;
        Ok(offer)
    }
}
