//! Money and quantities on the wire: exact decimals.
//!
//! Money is a decimal string (`"2.95"`). A quantity is an integer where it is whole, else a decimal string. Both are read from a
//! string or a number.

use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serializer, de};

struct AmountVisitor;

impl de::Visitor<'_> for AmountVisitor {
    type Value = Decimal;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a decimal such as \"2.95\" or 6")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        Decimal::from_str_exact(text.trim()).map_err(|_| E::invalid_value(de::Unexpected::Str(text), &self))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
        Ok(Decimal::from(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
        Ok(Decimal::from(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Decimal, E> {
        // The shortest text that means this double is what the sender wrote.
        let text = value.to_string();
        Decimal::from_str_exact(&text).map_err(|_| E::invalid_value(de::Unexpected::Float(value), &self))
    }
}

fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    deserializer.deserialize_any(AmountVisitor)
}

#[derive(Deserialize)]
struct Amount(#[serde(deserialize_with = "read")] Decimal);

/// `#[serde(with = "amount::money")]`
pub mod money {
    use super::{Decimal, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&super::money_text(*value))
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        super::read(deserializer)
    }

    /// `#[serde(default, with = "amount::money::option", skip_serializing_if = "Option::is_none")]`
    pub mod option {
        use serde::Deserialize;

        use super::{Decimal, Deserializer, Serializer};

        pub fn serialize<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
            Ok(Option::<super::super::Amount>::deserialize(deserializer)?.map(|amount| amount.0))
        }
    }
}

/// `#[serde(with = "amount::quantity")]`
pub mod quantity {
    use super::{Decimal, Deserializer, Serializer, ToPrimitive};

    pub fn serialize<S: Serializer>(value: &Decimal, serializer: S) -> Result<S::Ok, S::Error> {
        match value.is_integer().then(|| value.to_i64()).flatten() {
            Some(whole) => serializer.serialize_i64(whole),
            None => serializer.collect_str(&value.normalize()),
        }
    }
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
        super::read(deserializer)
    }

    /// `#[serde(default, with = "amount::quantity::option", skip_serializing_if = "Option::is_none")]`
    pub mod option {
        use serde::Deserialize;

        use super::{Decimal, Deserializer, Serializer};

        pub fn serialize<S: Serializer>(value: &Option<Decimal>, serializer: S) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }
        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Decimal>, D::Error> {
            Ok(Option::<super::super::Amount>::deserialize(deserializer)?.map(|amount| amount.0))
        }
    }
}

/// Money as text: at least two digits after the point, no more than it has.
pub fn money_text(value: Decimal) -> String {
    let mut value = value.normalize();
    if value.scale() < 2 {
        value.rescale(2);
    }
    value.to_string()
}
