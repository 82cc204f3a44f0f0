//! Bounded strings: every text in a resource has a pattern and a longest length, because CEL's cost is
//! estimated from the longest text a schema admits, and because a refusal must say what to write instead.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// A kind of text: the pattern that the schema carries and what a person should write when it does not match.
#[derive(Debug, Clone, Copy)]
pub struct TextRule {
    /// What the text is, in a word or two.
    pub what: &'static str,
    /// Regular expression of the schema (understood alike by Go's RE2 and Rust's `regex`).
    pub pattern: &'static str,
    /// What to write instead, in words.
    pub remedy: &'static str,
}

macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident($what:literal) { min: $min:expr, max: $max:expr, pattern: $pattern:expr, remedy: $remedy:expr })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
            #[serde(transparent)]
            pub struct $name(pub String);

            impl $name {
                /// The pattern and the remedy of this kind of text.
                pub const RULE: TextRule = TextRule { what: $what, pattern: $pattern, remedy: $remedy };

                /// The text itself.
                pub fn as_str(&self) -> &str {
                    &self.0
                }
            }

            impl From<&str> for $name {
                fn from(text: &str) -> Self {
                    Self(text.to_owned())
                }
            }

            impl std::fmt::Display for $name {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str(&self.0)
                }
            }

            impl JsonSchema for $name {
                fn inline_schema() -> bool {
                    true
                }

                fn schema_name() -> Cow<'static, str> {
                    stringify!($name).into()
                }

                fn json_schema(_: &mut SchemaGenerator) -> Schema {
                    let mut schema = json_schema!({"type": "string", "maxLength": $max});
                    if !$pattern.is_empty() {
                        schema.insert("pattern".to_owned(), $pattern.into());
                    }
                    let min: u32 = $min;
                    if min > 0 {
                        schema.insert("minLength".to_owned(), min.into());
                    }
                    schema
                }
            }
        )*

        /// Every kind of text, so that a pattern in a schema finds its remedy.
        pub const TEXT_RULES: &[TextRule] = &[$($name::RULE),*];
    };
}

texts! {
    /// A span of time as Go and CEL write it: hours, minutes, seconds and milliseconds, in this order, none twice.
    /// A day is `24h`. The digits are bounded so that the sum never overflows.
    DurationText("duration") {
        min: 2, max: 32,
        pattern: r"^([0-9]{1,6}h)?([0-9]{1,6}m)?([0-9]{1,6}s)?([0-9]{1,6}ms)?$",
        remedy: "write a duration such as 150ms, 30s, 15m, 6h or 1h30m; write days as hours (7 days = 168h)"
    }
    /// An exact decimal number as text. Metrics, thresholds and money are never binary floats in a resource.
    DecimalText("decimal in quotes") {
        min: 1, max: 20,
        pattern: r"^-?[0-9]{1,9}(\.[0-9]{1,9})?$",
        remedy: "write a decimal number in quotes, such as \"0.995\" or \"150\", at most 9 digits on either side of the point"
    }
    /// A name that can be a DNS label and a label value.
    DnsLabel("name") {
        min: 1, max: 63,
        pattern: r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$",
        remedy: "use at most 63 lower-case letters, digits and '-', beginning and ending with a letter or digit"
    }
    /// The name of another object in the same namespace.
    ObjectName("name of an object") {
        min: 1, max: 253,
        pattern: r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        remedy: "use the object's name: lower-case letters, digits, '-' and '.', beginning and ending with a letter or digit"
    }
    /// The name of a ModelVersion, or nothing.
    VersionName("name of a version") {
        min: 0, max: 63,
        pattern: r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
        remedy: "name a ModelVersion, such as feed-v12 (`kubectl get modelversions` lists them)"
    }
    /// The name of an HTTP header.
    HeaderName("header name") {
        min: 1, max: 64,
        pattern: r"^[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?$",
        remedy: "use letters, digits and '-', such as x-endcap-unit"
    }
    /// A container image.
    ImageRef("image") {
        min: 1, max: 512,
        pattern: r"^[A-Za-z0-9][A-Za-z0-9._:/@-]*$",
        remedy: "write an image reference such as registry.example/endcap:0.1.0 or one by digest, without spaces"
    }
    /// Where objects lie: a prefix or an object of a store.
    StoreUri("URI of a store") {
        min: 8, max: 1024,
        pattern: r"^(s3|gs|az|file)://[^\s]+$",
        remedy: "write s3://bucket/prefix, gs://bucket/prefix, az://container/prefix or file:///absolute/path"
    }
    /// A token: any change of it asks for one action.
    Token("token") {
        min: 0, max: 64,
        pattern: r"^[A-Za-z0-9._:+-]*$",
        remedy: "use letters, digits and . _ : + -, such as 2026-09-01a"
    }
    /// A cron expression; its five fields are checked by a rule.
    CronText("cron") {
        min: 1, max: 64,
        pattern: r"^[0-9A-Za-z*,/ -]+$",
        remedy: "write five fields separated by single spaces (minute hour day month weekday), such as 0 3 * * *"
    }
    /// An IANA time zone.
    TimeZone("time zone") {
        min: 1, max: 64,
        pattern: r"^[A-Za-z0-9_+-]+(/[A-Za-z0-9_+-]+)*$",
        remedy: "write an IANA time zone such as Etc/UTC or Europe/Berlin"
    }
    /// The name of a metric: `ndcg@10`, `recall@20`, `coverage@100`, `mrr`.
    MetricName("name of a metric") {
        min: 1, max: 63,
        pattern: r"^[A-Za-z][A-Za-z0-9_@.-]*$",
        remedy: "write a metric's name such as ndcg@10, recall@20 or mrr"
    }
    /// A name that shops give to columns, features and custom metrics.
    Identifier("name") {
        min: 1, max: 63,
        pattern: r"^[A-Za-z_][A-Za-z0-9_.-]*$",
        remedy: "use letters, digits and _ . -, beginning with a letter"
    }
    /// A JSON pointer (RFC 6901) into a request body.
    JsonPointer("JSON pointer") {
        min: 1, max: 128,
        pattern: r"^(/[^/\s]+)+$",
        remedy: "write a JSON pointer such as /customer_id or /context/device"
    }
    /// A key or a value of labels.
    LabelText("label text") {
        min: 0, max: 317,
        pattern: r"^[A-Za-z0-9./_-]*$",
        remedy: "write a Kubernetes label key or value, such as kubernetes.io/arch or gpu"
    }
    /// An id of the shop's own world: product, category, brand.
    ShopId("id") {
        min: 1, max: 128,
        pattern: r"^[^\s](.*[^\s])?$",
        remedy: "write the id as the source data spells it, without spaces around it"
    }
    /// A SQL expression over the columns of one source.
    SqlText("SQL expression") {
        min: 1, max: 2048,
        pattern: r"^[^;]+$",
        remedy: "write one SQL expression over the source's columns, without ';'"
    }
    /// A value of a hyperparameter.
    HyperValue("text") {
        min: 0, max: 256,
        pattern: r"^[^\n]*$",
        remedy: "write a value of at most 256 characters on one line"
    }
    /// A short text for people or machines, on one line.
    ShortText("text") {
        min: 0, max: 256,
        pattern: r"^[^\n]*$",
        remedy: "write at most 256 characters on one line"
    }
    /// A message for people.
    MessageText("text") {
        min: 0, max: 4096,
        pattern: "",
        remedy: "write at most 4096 characters"
    }
    /// A SHA-256 digest in lower-case hexadecimal.
    Sha256Text("SHA-256") {
        min: 64, max: 64,
        pattern: r"^[a-f0-9]{64}$",
        remedy: "write the 64 lower-case hexadecimal digits of a SHA-256"
    }
}

/// A duration whose text is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read the duration {text:?}: {}", DurationText::RULE.remedy)]
pub struct DurationError {
    text: String,
}

impl DurationText {
    /// Milliseconds of the span.
    ///
    /// # Errors
    /// When the text is not of the pattern (an object that was not validated).
    pub fn as_millis(&self) -> Result<u64, DurationError> {
        let refuse = || DurationError { text: self.0.clone() };
        let mut rest = self.0.as_str();
        let mut total: u64 = 0;
        let mut last_unit = 0;
        if rest.is_empty() {
            return Err(refuse());
        }
        while !rest.is_empty() {
            let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(refuse)?;
            let (number, tail) = rest.split_at(digits);
            if digits == 0 || digits > 6 {
                return Err(refuse());
            }
            let (unit, millis, tail) = if let Some(tail) = tail.strip_prefix("ms") {
                (4, 1, tail)
            } else if let Some(tail) = tail.strip_prefix('h') {
                (1, 3_600_000, tail)
            } else if let Some(tail) = tail.strip_prefix('m') {
                (2, 60_000, tail)
            } else if let Some(tail) = tail.strip_prefix('s') {
                (3, 1_000, tail)
            } else {
                return Err(refuse());
            };
            if unit <= last_unit {
                return Err(refuse());
            }
            last_unit = unit;
            total += number.parse::<u64>().map_err(|_| refuse())? * millis;
            rest = tail;
        }
        Ok(total)
    }

    /// The span.
    ///
    /// # Errors
    /// As [`DurationText::as_millis`].
    pub fn as_duration(&self) -> Result<std::time::Duration, DurationError> {
        self.as_millis().map(std::time::Duration::from_millis)
    }
}

/// A decimal whose text is not one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("failed to read the decimal number {text:?}: {}", DecimalText::RULE.remedy)]
pub struct DecimalError {
    text: String,
}

impl DecimalText {
    /// The number as a float, for statistics. Money stays text or becomes an exact decimal elsewhere.
    ///
    /// # Errors
    /// When the text is no number (an object that was not validated).
    pub fn as_f64(&self) -> Result<f64, DecimalError> {
        self.0
            .parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .ok_or_else(|| DecimalError { text: self.0.clone() })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn durations_are_read_exactly_or_refused() {
        for (text, millis) in [
            ("0s", 0),
            ("150ms", 150),
            ("1h30m", 5_400_000),
            ("168h", 604_800_000),
            ("1m500ms", 60_500),
            ("999999h999999m999999s999999ms", 3_600_000 * 999_999 + 60_000 * 999_999 + 1_000 * 999_999 + 999_999),
        ] {
            assert_eq!(DurationText::from(text).as_millis(), Ok(millis), "{text}");
        }
        for text in ["", "1", "h", "1d", "1h1h", "1s1m", "-1s", "1.5h", "1 h", "1234567h"] {
            let refused = DurationText::from(text).as_millis().unwrap_err();
            assert!(refused.to_string().contains("30s"), "{refused}");
        }
    }

    #[test]
    fn what_the_pattern_admits_is_what_is_read() {
        let pattern = regex::Regex::new(DurationText::RULE.pattern).unwrap();
        for text in ["0s", "150ms", "1h30m", "90m", "1d", "1s1m", "5", "1h1h", "-1s", "1.5h", "10m5s1ms", "1234567s"] {
            assert_eq!(pattern.is_match(text), DurationText::from(text).as_millis().is_ok(), "{text}");
        }
    }

    #[test]
    fn every_pattern_compiles_and_is_anchored() {
        for rule in TEXT_RULES {
            assert!(regex::Regex::new(rule.pattern).is_ok(), "{}", rule.pattern);
            assert!(
                rule.pattern.is_empty() || rule.pattern.starts_with('^') && rule.pattern.ends_with('$'),
                "{}",
                rule.pattern
            );
        }
    }

    #[test]
    fn decimals_are_numbers() {
        assert_eq!(DecimalText::from("-0.125").as_f64(), Ok(-0.125));
        assert!(DecimalText::from("NaN").as_f64().is_err());
        assert!(DecimalText::from("inf").as_f64().is_err());
    }
}
