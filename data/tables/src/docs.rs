//! The part of docs/data.md that says what the canonical tables are: columns, types, and a sample row as JSON and CSV.

use std::fmt::Write;

use arrow_schema::DataType;
use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use crate::{
    Brand, Cancellation, Category, Customer, Identity, Interaction, Offer, Order, OrderLine, Place, Product, Row, Stock,
};

/// Every canonical table in Markdown. docs/data.md carries it; a test holds both together.
pub fn markdown() -> String {
    let mut out = String::new();
    for sample in [
        table(&customer()),
        table(&Identity {
            source: "pos".into(),
            source_id: "L-0042".into(),
            customer_id: "17850".into(),
            since: at("2023-02-01T00:00:00Z"),
        }),
        table(&Place {
            city_id: "38".into(),
            city_name: text("Leeds"),
            area_id: text("11"),
            area_name: text("Yorkshire"),
            country: text("GB"),
        }),
        table(&product()),
        table(&Category { category_id: "12".into(), name: text("Mugs"), parent_id: text("4") }),
        table(&Brand { brand_id: "7".into(), name: text("Polkadot") }),
        table(&order()),
        table(&OrderLine {
            order_id: "536365".into(),
            line_no: 1,
            product_id: "85123A".into(),
            quantity: Decimal::from(6),
            unit_price: Decimal::new(255, 2),
            discount: None,
            offer_id: None,
        }),
        table(&Cancellation {
            cancel_order_id: "C536379".into(),
            cancel_line_no: 1,
            product_id: "85123A".into(),
            order_id: text("536365"),
            line_no: Some(1),
            quantity: Decimal::from(2),
            cancelled_at: Timestamp::from_second(1_291_282_860).unwrap_or_default(),
        }),
        table(&offer()),
        table(&Stock {
            product_id: "85123A".into(),
            city_id: None,
            on_hand: Decimal::from(240),
            on_order: Some(Decimal::from(500)),
            backordered: None,
            lead_time_days: Some(7),
            as_of: Timestamp::from_second(1_320_105_600).unwrap_or_default(),
        }),
        table(&interaction()),
    ] {
        out.push_str(&sample);
    }
    out
}

#[allow(clippy::unnecessary_wraps)] // reads as the optional cell that it fills
fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

fn at(value: &str) -> Option<Timestamp> {
    value.parse().ok()
}

fn customer() -> Customer {
    Customer {
        customer_id: "17850".into(),
        customer_type: text("Trade"),
        gender: None,
        age_band: text("35-44"),
        income_band: None,
        household: None,
        city_id: text("38"),
        area_id: text("11"),
        country: text("GB"),
        first_seen: at("2010-12-01T08:26:00Z"),
        email: text("buyer@example.org"),
        phone: None,
        push_token: None,
        consent_email: Some(true),
        consent_phone: Some(false),
        consent_push: Some(false),
    }
}

fn product() -> Product {
    Product {
        product_id: "85123A".into(),
        name: text("WHITE HANGING HEART T-LIGHT HOLDER"),
        text: text("Holder for one tea light, white metal"),
        category_id: text("4"),
        subcategory_id: text("12"),
        brand_id: text("7"),
        variant_of: text("85123"),
        unit: text("piece"),
        pack_size: Some(Decimal::from(6)),
        list_price: Some(Decimal::new(295, 2)),
        cost: Some(Decimal::new(121, 2)),
        active: true,
    }
}

fn order() -> Order {
    Order {
        order_id: "536365".into(),
        customer_id: text("17850"),
        ordered_at: Timestamp::from_second(1_291_191_960).unwrap_or_default(),
        channel: text("back_office"),
        city_id: text("38"),
        area_id: text("11"),
        country: text("GB"),
        status: "placed".into(),
        total: Some(Decimal::new(1530, 2)),
        currency: text("GBP"),
    }
}

fn offer() -> Offer {
    Offer {
        offer_id: "TP-10135-0".into(),
        offer_type: "TierPrice".into(),
        scope: text(r#"{"products":["10135"]}"#),
        terms: r#"{"tiers":[{"min_quantity":20,"unit_price":"0.42"}]}"#.into(),
        valid_from: at("2010-12-01T00:00:00Z"),
        valid_to: at("2011-12-31T23:59:59.999999Z"),
        priority: Some(0),
        stackable: Some(false),
        max_per_order: None,
    }
}

fn interaction() -> Interaction {
    Interaction {
        event_id: "s-1-3".into(),
        ts: Timestamp::from_second(1_317_633_120).unwrap_or_default(),
        customer_id: text("17850"),
        session_id: text("s-1"),
        event_type: "view_item".into(),
        product_id: text("85123A"),
        quantity: None,
        value: None,
        placement: None,
        request_id: None,
        context: text(r#"{"device":"desktop"}"#),
    }
}

fn table<R: Row + Serialize>(row: &R) -> String {
    let mut out = format!(
        "### {}\n\n{}\n\n| column | type | may be empty | |\n| --- | --- | --- | --- |\n",
        R::TABLE,
        R::ABOUT.trim()
    );
    for (field, about) in R::schema().fields().iter().zip(R::column_docs()) {
        let kind = match field.data_type() {
            DataType::Utf8 => "text".to_owned(),
            DataType::Int64 => "int64".to_owned(),
            DataType::Boolean => "boolean".to_owned(),
            DataType::Decimal128(precision, scale) => format!("decimal({precision},{scale})"),
            DataType::Timestamp(..) => "timestamp, microseconds, UTC".to_owned(),
            other => other.to_string(),
        };
        let nullable = if field.is_nullable() { "yes" } else { "no" };
        let _ = writeln!(out, "| {} | {kind} | {nullable} | {} |", field.name(), about.trim());
    }
    let json = serde_json::to_value(row).unwrap_or_default();
    let Value::Object(cells) = &json else { return out };
    let names: Vec<&str> = cells.keys().map(String::as_str).collect();
    let values: Vec<String> = cells.values().map(csv_cell).collect();
    let _ = writeln!(out, "\n```json\n{json}\n```\n\n```csv\n{}\n{}\n```\n", names.join(","), values.join(","));
    out
}

fn csv_cell(value: &Value) -> String {
    let text = match value {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.contains([',', '"', '\n']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
