//! The smallest parts of a scenario file: texts that may look like numbers, amounts, ranges, and short forms of longer ones.

use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use endcap_recommender::amount;
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IntoDeserializer, MapAccess, Visitor};

/// A name or an id. Ids such as 22384 need no quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text(pub String);

impl Deref for Text {
    type Target = str;
    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl Visitor<'_> for TextVisitor {
            type Value = Text;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a name or an id (in quotes where it is no plain word or whole number)")
            }
            fn visit_str<E>(self, text: &str) -> Result<Text, E> {
                Ok(Text(text.trim().to_owned()))
            }
            fn visit_u64<E>(self, number: u64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Text, E> {
                Ok(Text(number.to_string()))
            }
        }
        deserializer.deserialize_any(TextVisitor)
    }
}

/// Money or a quantity, exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(pub Decimal);

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        amount::money::deserialize(deserializer).map(Self)
    }
}

/// What has a short form: one word in place of a mapping.
pub trait Short<S> {
    /// For messages, completing "expected".
    const EXPECTED: &'static str;
    fn of(short: S) -> Self;
}

/// A mapping, or its short form.
#[derive(Clone, Copy, Debug, Default)]
pub struct OneOr<T, S = Text>(pub T, PhantomData<S>);

impl<T, S> OneOr<T, S> {
    pub fn new(value: T) -> Self {
        Self(value, PhantomData)
    }
}

impl<T, S> Deref for OneOr<T, S> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T, S> DerefMut for OneOr<T, S> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.0
    }
}

impl<'de, T, S> Deserialize<'de> for OneOr<T, S>
where
    T: Deserialize<'de> + Short<S>,
    S: Deserialize<'de>,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FormVisitor<T, S>(PhantomData<(T, S)>);
        impl<'de, T: Deserialize<'de> + Short<S>, S: Deserialize<'de>> Visitor<'de> for FormVisitor<T, S> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
                S::deserialize(text.into_deserializer()).map(T::of)
            }
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<T, E> {
                S::deserialize(number.into_deserializer()).map(T::of)
            }
            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
                S::deserialize(number.into_deserializer()).map(T::of)
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
                S::deserialize(number.into_deserializer()).map(T::of)
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_any(FormVisitor(PhantomData)).map(Self::new)
    }
}

/// What a number must be; a number alone is exactly that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Bounds {
    #[serde(skip)]
    pub exactly: Option<Amount>,
    pub at_least: Option<Amount>,
    pub at_most: Option<Amount>,
}

pub type Range = OneOr<Bounds, Amount>;

impl Short<Amount> for Bounds {
    const EXPECTED: &'static str = "a number, or {at_least: 1, at_most: 5}";
    fn of(exactly: Amount) -> Self {
        Self { exactly: Some(exactly), ..Self::default() }
    }
}

impl Bounds {
    pub fn hold(&self, value: Decimal) -> bool {
        self.exactly.is_none_or(|exactly| value == exactly.0)
            && self.at_least.is_none_or(|least| value >= least.0)
            && self.at_most.is_none_or(|most| value <= most.0)
    }

    /// Whether any number can be within.
    pub fn is_possible(&self) -> bool {
        self.at_least.zip(self.at_most).is_none_or(|(least, most)| least <= most)
    }

    /// Whether it says anything.
    pub fn says_something(&self) -> bool {
        self.exactly.or(self.at_least).or(self.at_most).is_some()
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |amount: Amount| amount.0.normalize();
        match (self.exactly, self.at_least, self.at_most) {
            (Some(exactly), _, _) => write!(f, "{}", text(exactly)),
            (None, Some(least), Some(most)) => write!(f, "{} to {}", text(least), text(most)),
            (None, Some(least), None) => write!(f, "at least {}", text(least)),
            (None, None, Some(most)) => write!(f, "at most {}", text(most)),
            (None, None, None) => f.write_str("anything"),
        }
    }
}
