//! Numbers and messages as statuses hold them.

use endcap_crds::common::text::{DecimalText, MessageText};

/// A decimal as the schema allows it: at most nine places on either side.
pub fn decimal(value: f64) -> DecimalText {
    let bounded = if value.is_finite() { value.clamp(-999_999_999.0, 999_999_999.0) } else { 0.0 };
    let text = format!("{bounded:.6}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    DecimalText(if text == "-0" || text.is_empty() { "0".to_owned() } else { text.to_owned() })
}

/// What a decimal says; what an API server stored has been validated.
pub fn number(text: &DecimalText) -> Option<f64> {
    text.as_f64().ok()
}

/// A message, cut to what the schema allows.
pub fn message(text: impl Into<String>) -> MessageText {
    let mut text: String = text.into();
    if text.len() > MAX {
        let end = (0..=MAX - 3).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        text.truncate(end);
        text.push_str("...");
    }
    MessageText(text)
}

const MAX: usize = 1024;
