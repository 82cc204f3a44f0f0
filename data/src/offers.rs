//! Offers: `terms` and `scope` are JSON, which SQL does not look into. They are checked here and written in one form: money and
//! percents as decimal strings, quantities as whole numbers, ids as strings.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, Int64Array, RecordBatch, StringArray};
use arrow_schema::{DataType, Field, Schema, SchemaRef};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

use crate::DataError;
use crate::source::same_name;

const TYPES: &[(&str, &[&str])] = &[
    ("BuyXGetY", &["buy", "get", "get_products"]),
    ("TierPrice", &["tiers"]),
    ("PercentOff", &["percent"]),
    ("AmountOff", &["amount", "per"]),
    ("BundlePrice", &["products", "price"]),
    ("GiftOverTotal", &["min_total", "gift", "quantity"]),
];
const SCOPES: &[&str] = &["products", "categories", "brands", "customers", "segments", "channels"];

/// An offer as it will be written, or what is wrong with it.
struct Checked {
    offer_type: Option<String>,
    terms: Option<String>,
    scope: Option<String>,
    wrong: Option<(&'static str, String)>,
}

fn check(offer_type: &str, terms: &str, scope: Option<&str>) -> Checked {
    let fail = |reason, why: String| Checked {
        offer_type: Some(offer_type.to_owned()),
        terms: Some(terms.to_owned()),
        scope: scope.map(str::to_owned),
        wrong: Some((reason, why)),
    };
    let Some((name, _)) = TYPES.iter().find(|(known, _)| same_name(known, offer_type)) else {
        let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
        return fail("unknown_offer_type", format!("the types are {}", names.join(", ")));
    };
    let parsed: Map<String, Value> = match serde_json::from_str(terms) {
        Ok(parsed) => parsed,
        Err(error) => return fail("bad_terms", format!("terms are no JSON object: {error}")),
    };
    let terms = match normal_terms(name, &parsed) {
        Ok(terms) => terms.to_string(),
        Err(why) => return fail("bad_terms", format!("terms: {why}")),
    };
    let scope = match scope.map(normal_scope).transpose() {
        Ok(scope) => scope.map(|scope| scope.to_string()),
        Err(why) => return fail("bad_scope", format!("scope: {why}")),
    };
    Checked { offer_type: Some((*name).to_owned()), terms: Some(terms), scope, wrong: None }
}

/// The terms of one type in their one form; the error names the field.
fn normal_terms(name: &str, terms: &Map<String, Value>) -> Result<Value, String> {
    let text = |value: Decimal| value.normalize().to_string();
    let positive = |field: &str| above_zero(terms.get(field), field);
    let count = |field: &str| whole(terms.get(field), field);
    let known = TYPES.iter().find(|(known, _)| *known == name).map_or(&[] as &[&str], |(_, fields)| fields);
    if let Some(unknown) = terms.keys().find(|field| !known.contains(&field.as_str())) {
        return Err(format!("{unknown} is not one of {}", known.join(", ")));
    }
    Ok(match name {
        "BuyXGetY" => {
            let mut out = json!({"buy": count("buy")?, "get": count("get")?});
            if let (Some(products), Value::Object(out)) = (terms.get("get_products"), &mut out) {
                out.insert("get_products".to_owned(), ids(products, "get_products")?);
            }
            out
        }
        "TierPrice" => {
            let tiers = terms.get("tiers").and_then(Value::as_array).filter(|tiers| !tiers.is_empty());
            let tiers = tiers.ok_or("tiers must be a list with at least one tier")?;
            let mut out: Vec<(u32, Decimal)> = Vec::new();
            for tier in tiers {
                let quantity = whole(tier.get("min_quantity"), "tiers.min_quantity")?;
                out.push((quantity, above_zero(tier.get("unit_price"), "tiers.unit_price")?));
            }
            out.sort();
            let out: Vec<Value> = out
                .into_iter()
                .map(|(quantity, price)| json!({"min_quantity": quantity, "unit_price": text(price)}))
                .collect();
            json!({"tiers": out})
        }
        "PercentOff" => {
            let percent = positive("percent")?;
            if percent > Decimal::ONE_HUNDRED {
                return Err("percent must be at most 100".to_owned());
            }
            json!({"percent": text(percent)})
        }
        "AmountOff" => {
            let per = terms.get("per").and_then(Value::as_str).unwrap_or("order");
            if !matches!(per, "unit" | "order") {
                return Err("per must be unit or order".to_owned());
            }
            json!({"amount": text(positive("amount")?), "per": per})
        }
        "BundlePrice" => {
            let products = terms.get("products").and_then(Value::as_object).filter(|products| !products.is_empty());
            let products = products.ok_or("products must map product ids to quantities")?;
            let mut out = Map::new();
            for (id, quantity) in products {
                out.insert(id.clone(), json!(whole(Some(quantity), "products")?));
            }
            json!({"products": out, "price": text(positive("price")?)})
        }
        _ => {
            let gift = terms.get("gift").map(|gift| id(gift, "gift")).transpose()?.ok_or("gift must name a product")?;
            let quantity = if terms.contains_key("quantity") { count("quantity")? } else { 1 };
            json!({"min_total": text(positive("min_total")?), "gift": gift, "quantity": quantity})
        }
    })
}

fn above_zero(value: Option<&Value>, field: &str) -> Result<Decimal, String> {
    let value = decimal(value, field)?;
    if value > Decimal::ZERO { Ok(value) } else { Err(format!("{field} must be above 0")) }
}

fn whole(value: Option<&Value>, field: &str) -> Result<u32, String> {
    let value = above_zero(value, field)?;
    let whole = value.fract().is_zero().then(|| u32::try_from(value).ok()).flatten();
    whole.ok_or_else(|| format!("{field} must be a whole number"))
}

fn decimal(value: Option<&Value>, field: &str) -> Result<Decimal, String> {
    let text = match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(format!("{field} is missing or no number")),
    };
    text.trim().parse().map_err(|_| format!("{field} is {text:?}, expected a decimal such as \"2.50\""))
}

fn id(value: &Value, field: &str) -> Result<String, String> {
    match value {
        Value::String(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(format!("{field} holds {value}, expected ids")),
    }
}

fn ids(value: &Value, field: &str) -> Result<Value, String> {
    let list = value.as_array().ok_or_else(|| format!("{field} must be a list"))?;
    list.iter().map(|each| id(each, field)).collect::<Result<Vec<_>, _>>().map(|ids| json!(ids))
}

fn normal_scope(text: &str) -> Result<Value, String> {
    let parsed: Map<String, Value> = serde_json::from_str(text).map_err(|error| format!("no JSON object: {error}"))?;
    let mut out = Map::new();
    for (name, value) in &parsed {
        if !SCOPES.contains(&name.as_str()) {
            return Err(format!("{name} is not one of {}", SCOPES.join(", ")));
        }
        if value.as_array().is_some_and(|list| !list.is_empty()) || !(value.is_null() || value.is_array()) {
            out.insert(name.clone(), ids(value, name)?);
        }
    }
    Ok(Value::Object(out))
}

/// The columns of the staged table `checked_offers`.
pub fn schema() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let int = |name: &str| Field::new(name, DataType::Int64, true);
    Arc::new(Schema::new(vec![
        int("_source"),
        text("_file"),
        int("_row"),
        text("offer_type"),
        text("terms"),
        text("scope"),
        text("_reason"),
        text("_why"),
    ]))
}

/// Checks a batch of `_source, _file, _row, offer_type, terms, scope` of the offers that were read.
pub fn check_batch(batch: &RecordBatch) -> Result<RecordBatch, DataError> {
    let wrong = |why: String| DataError::Sql(why);
    let column = |name: &str| batch.column_by_name(name).ok_or_else(|| wrong(format!("no column {name}")));
    let (types, terms, scopes) = (
        column("offer_type")?.as_string::<i32>(),
        column("terms")?.as_string::<i32>(),
        column("scope")?.as_string::<i32>(),
    );
    let checked: Vec<Checked> = (0..batch.num_rows())
        .map(|row| {
            if types.is_null(row) || terms.is_null(row) {
                return Checked { offer_type: None, terms: None, scope: None, wrong: None };
            }
            check(types.value(row), terms.value(row), scopes.is_valid(row).then(|| scopes.value(row)))
        })
        .collect();
    let text = |each: &dyn Fn(&Checked) -> Option<String>| -> ArrayRef {
        Arc::new(checked.iter().map(each).collect::<StringArray>())
    };
    let sources: Int64Array = column("_source")?.as_primitive::<Int64Type>().clone();
    let columns: Vec<ArrayRef> = vec![
        Arc::new(sources),
        column("_file")?.clone(),
        column("_row")?.clone(),
        text(&|row| row.offer_type.clone()),
        text(&|row| row.terms.clone()),
        text(&|row| row.scope.clone()),
        text(&|row| row.wrong.as_ref().map(|(reason, _)| (*reason).to_owned())),
        text(&|row| row.wrong.as_ref().map(|(_, why)| why.clone())),
    ];
    RecordBatch::try_new(schema(), columns).map_err(|source| wrong(source.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn terms_have_one_form() {
        for (offer_type, terms, expected) in [
            ("buy_x_get_y", r#"{"buy": "7", "get": 2}"#, r#"{"buy":7,"get":2}"#),
            (
                "TierPrice",
                r#"{"tiers": [{"min_quantity": 50, "unit_price": 0.3}, {"min_quantity": "20.0", "unit_price": "0.420"}]}"#,
                r#"{"tiers":[{"min_quantity":20,"unit_price":"0.42"},{"min_quantity":50,"unit_price":"0.3"}]}"#,
            ),
            ("PercentOff", r#"{"percent": 15}"#, r#"{"percent":"15"}"#),
            ("AmountOff", r#"{"amount": "2.00", "per": "unit"}"#, r#"{"amount":"2","per":"unit"}"#),
            (
                "BundlePrice",
                r#"{"products": {"A": 1, "B": "2"}, "price": 9.99}"#,
                r#"{"products":{"A":1,"B":2},"price":"9.99"}"#,
            ),
            (
                "GiftOverTotal",
                r#"{"min_total": "50.00", "gift": 22384}"#,
                r#"{"min_total":"50","gift":"22384","quantity":1}"#,
            ),
        ] {
            let checked = check(offer_type, terms, Some(r#"{"products": [1], "brands": []}"#));
            assert_eq!(checked.wrong, None, "{offer_type}");
            let (terms, scope) = (checked.terms.unwrap(), checked.scope.unwrap());
            assert_eq!(terms, expected);
            assert_eq!(scope, r#"{"products":["1"]}"#);
            // What is let through here, the recommender must be able to read.
            let offer_type = checked.offer_type.unwrap();
            let parts = endcap_recommender::offers::Parts {
                offer_id: "o",
                offer_type: &offer_type,
                terms: &terms,
                // A bundle names its products in its terms alone.
                scope: Some(&scope).filter(|_| offer_type != "BundlePrice").map(String::as_str),
                ..endcap_recommender::offers::Parts::default()
            };
            let read = endcap_recommender::offers::Offer::from_parts(&parts);
            assert!(read.is_ok(), "{terms}: {read:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (offer_type, terms, scope, reason, expected) in [
            ("Lottery", "{}", None, "unknown_offer_type", "BuyXGetY"),
            ("TierPrice", "[]", None, "bad_terms", "no JSON object"),
            ("TierPrice", r#"{"tiers": []}"#, None, "bad_terms", "at least one tier"),
            ("PercentOff", r#"{"percent": "150"}"#, None, "bad_terms", "at most 100"),
            ("TierPrice", r#"{"tiers": [{"min_quantity": 1.5, "unit_price": 1}]}"#, None, "bad_terms", "whole number"),
            ("PercentOff", r#"{"percent": "5", "until": 3}"#, None, "bad_terms", "until is not one of"),
            ("BuyXGetY", r#"{"buy": 1.5, "get": 1}"#, None, "bad_terms", "whole number"),
            ("AmountOff", r#"{"amount": "-1"}"#, None, "bad_terms", "above 0"),
            ("GiftOverTotal", r#"{"min_total": "5"}"#, None, "bad_terms", "gift"),
            ("PercentOff", r#"{"percent": "5"}"#, Some(r#"{"product": []}"#), "bad_scope", "product is not one of"),
            ("PercentOff", r#"{"percent": "5"}"#, Some(r#"{"products": "A"}"#), "bad_scope", "must be a list"),
        ] {
            let (found, why) = check(offer_type, terms, scope).wrong.unwrap();
            assert_eq!(found, reason, "{terms}");
            assert!(why.contains(expected), "{why}");
        }
    }
}
