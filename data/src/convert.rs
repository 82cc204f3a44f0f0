//! From what a source wrote to canonical types: one value at a time for text, whole columns where Arrow can do it.
//!
//! A value that cannot be converted becomes NULL and is noted with its column, so that cleaning can reject its row and say why.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Decimal128Type, Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_decimal::Decimal;

/// What a canonical column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Text,
    /// `decimal(18,4)`
    Decimal,
    Int,
    /// UTC, microseconds
    Time,
    Bool,
}

impl Kind {
    /// The type of the column while it is being worked on: times are UTC without a zone, so that SQL literals compare with them.
    pub fn data_type(self) -> DataType {
        match self {
            Self::Text => DataType::Utf8,
            Self::Decimal => DataType::Decimal128(18, 4),
            Self::Int => DataType::Int64,
            Self::Time => DataType::Timestamp(TimeUnit::Microsecond, None),
            Self::Bool => DataType::Boolean,
        }
    }

    pub fn of(canonical: &DataType) -> Self {
        match canonical {
            DataType::Decimal128(..) => Self::Decimal,
            DataType::Int64 => Self::Int,
            DataType::Timestamp(..) => Self::Time,
            DataType::Boolean => Self::Bool,
            _ => Self::Text,
        }
    }

    pub fn sql(self) -> &'static str {
        match self {
            Self::Text => "VARCHAR",
            Self::Decimal => "DECIMAL(18,4)",
            Self::Int => "BIGINT",
            Self::Time => "TIMESTAMP(6)",
            Self::Bool => "BOOLEAN",
        }
    }

    pub fn expected(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Decimal => "a number with a decimal point such as 1234.50 (at most 14 digits before it)",
            Self::Int => "a whole number",
            Self::Time => "a time such as 2011-10-03, 2011-10-03 09:12:00 (UTC) or 2011-10-03T09:12:00+02:00",
            Self::Bool => "true or false",
        }
    }
}

/// A converted column and its rows that could not be converted.
pub struct Converted {
    pub array: ArrayRef,
    /// Row in the batch, and the value as the source wrote it.
    pub bad: Vec<(usize, String)>,
}

/// Converts a column; `None` when its type can never become `kind`.
pub fn convert(array: &ArrayRef, kind: Kind) -> Option<Converted> {
    let array = plain(array)?;
    match (array.data_type(), kind) {
        (DataType::Null, _) => {
            Some(Converted { array: arrow_array::new_null_array(&kind.data_type(), array.len()), bad: Vec::new() })
        }
        (DataType::Utf8, _) => Some(from_text(array.as_string::<i32>(), kind)),
        (found, Kind::Text) => to_text(&array, &found.clone()),
        (DataType::Timestamp(..) | DataType::Date32 | DataType::Date64, Kind::Time) => time_column(&array),
        (found, Kind::Time) if found.is_integer() => {
            let numbers = cast(&array, &DataType::Int64)?;
            let text = numbers.as_primitive::<Int64Type>().iter().map(|n| n.map(|n| n.to_string())).collect();
            Some(from_text(&text, kind))
        }
        (found, Kind::Decimal) if found.is_numeric() => {
            let array = without_nan(&array)?;
            let wanted = cast(&array, &kind.data_type())?;
            Some(compare(&array, wanted))
        }
        (found, Kind::Int) if found.is_integer() => {
            let wanted = cast(&array, &kind.data_type())?;
            Some(compare(&array, wanted))
        }
        (found, Kind::Int | Kind::Bool) if found.is_numeric() => {
            let text = to_text(&array, &found.clone())?;
            Some(from_text(text.array.as_string::<i32>(), kind))
        }
        (DataType::Boolean, Kind::Bool) => Some(Converted { array, bad: Vec::new() }),
        _ => None,
    }
}

/// Without dictionaries and the several kinds of text.
fn plain(array: &ArrayRef) -> Option<ArrayRef> {
    match array.data_type() {
        DataType::Dictionary(_, values) => plain(&cast(array, &values.as_ref().clone())?),
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Binary | DataType::LargeBinary => {
            cast(array, &DataType::Utf8)
        }
        _ => Some(array.clone()),
    }
}

fn cast(array: &ArrayRef, to: &DataType) -> Option<ArrayRef> {
    cast_with_options(array, to, &CastOptions { safe: true, ..CastOptions::default() }).ok()
}

/// What was there before and is not any more could not be converted.
fn compare(before: &ArrayRef, after: ArrayRef) -> Converted {
    let bad = (0..before.len())
        .filter(|row| before.is_valid(*row) && after.is_null(*row))
        .map(|row| (row, arrow_cast::display::array_value_to_string(before, row).unwrap_or_default()))
        .collect();
    Converted { array: after, bad }
}

/// Some writers have no NULL for numbers and write NaN.
fn without_nan(array: &ArrayRef) -> Option<ArrayRef> {
    if !array.data_type().is_floating() {
        return Some(array.clone());
    }
    let floats = cast(array, &DataType::Float64)?;
    let floats: arrow_array::Float64Array =
        floats.as_primitive::<Float64Type>().iter().map(|value| value.filter(|value| !value.is_nan())).collect();
    Some(Arc::new(floats))
}

fn time_column(array: &ArrayRef) -> Option<Converted> {
    let zone = match array.data_type() {
        DataType::Timestamp(_, zone) => zone.clone(),
        _ => None,
    };
    let micros = cast(array, &DataType::Timestamp(TimeUnit::Microsecond, zone))?;
    let micros = micros.as_any().downcast_ref::<TimestampMicrosecondArray>()?;
    // The result carries no zone: what it counts from is UTC already.
    let micros: TimestampMicrosecondArray = micros.unary(|micros| micros.min(LAST_MICROSECOND));
    Some(compare(array, Arc::new(micros)))
}

/// Ids that were numbers: without a point when they are whole, without trailing zeros otherwise.
fn to_text(array: &ArrayRef, found: &DataType) -> Option<Converted> {
    let text: StringArray = match found {
        found if found.is_floating() => {
            let floats = without_nan(array)?;
            floats.as_primitive::<Float64Type>().iter().map(|value| value.map(|value| value.to_string())).collect()
        }
        DataType::Decimal128(_, scale) if *scale >= 0 => {
            let scale = u32::from(scale.unsigned_abs());
            array
                .as_primitive::<Decimal128Type>()
                .iter()
                .map(|value| {
                    let value = Decimal::try_from_i128_with_scale(value?, scale).ok()?;
                    Some(value.normalize().to_string())
                })
                .collect()
        }
        found if found.is_nested() => return None,
        _ => cast(array, &DataType::Utf8)?.as_string::<i32>().clone(),
    };
    Some(from_text(&text, Kind::Text))
}

fn from_text(text: &StringArray, kind: Kind) -> Converted {
    fn each<'a, T, A: FromIterator<Option<T>>>(
        text: &'a StringArray,
        bad: &mut Vec<(usize, String)>,
        parse: impl Fn(&'a str) -> Option<T>,
    ) -> A {
        text.iter()
            .enumerate()
            .map(|(row, value)| {
                let value = value.map(str::trim).filter(|value| !is_absent(value))?;
                let parsed = parse(value);
                if parsed.is_none() {
                    bad.push((row, value.to_owned()));
                }
                parsed
            })
            .collect()
    }
    let mut bad = Vec::new();
    let array: ArrayRef = match kind {
        Kind::Text => Arc::new(each::<_, StringArray>(text, &mut bad, Some)),
        Kind::Decimal => {
            let values: Decimal128Array = each(text, &mut bad, decimal);
            Arc::new(values.with_data_type(kind.data_type()))
        }
        Kind::Int => Arc::new(each::<_, Int64Array>(text, &mut bad, int)),
        Kind::Time => Arc::new(each::<_, TimestampMicrosecondArray>(text, &mut bad, |t| {
            time(t).map(jiff::Timestamp::as_microsecond)
        })),
        Kind::Bool => Arc::new(each::<_, BooleanArray>(text, &mut bad, boolean)),
    };
    Converted { array, bad }
}

/// How sources write "nothing" in text: empty, `NULL`, `\N`.
fn is_absent(text: &str) -> bool {
    text.is_empty() || text == "NULL" || text == "null" || text == "\\N"
}

/// Unscaled `decimal(18,4)`: digits with an optional sign, point and exponent; thousands may be set off by commas in groups of three.
fn decimal(text: &str) -> Option<i128> {
    const LIMIT: i128 = 10_i128.pow(18);
    let grouped;
    let text = if text.contains(',') {
        grouped = ungroup(text)?;
        grouped.as_str()
    } else {
        text
    };
    let value: Decimal =
        if text.contains(['e', 'E']) { Decimal::from_scientific(text).ok()? } else { text.parse().ok()? };
    let mut value = value.round_dp(4);
    value.rescale(4);
    let unscaled = value.mantissa();
    (value.scale() == 4 && -LIMIT < unscaled && unscaled < LIMIT).then_some(unscaled)
}

/// `1,234.50` -> `1234.50`. A comma that does not set off three digits (`2,55`) is refused: it could mean two things.
fn ungroup(text: &str) -> Option<String> {
    let unsigned = text.trim_start_matches(['+', '-']);
    let (whole, _) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut groups = whole.split(',');
    let first = groups.next()?;
    let first_is_right = (1..=3).contains(&first.len()) && first != "0";
    let rest_is_right = groups.all(|group| group.len() == 3);
    (first_is_right && rest_is_right && unsigned.matches(',').count() >= 1).then(|| text.replace(',', ""))
}

fn int(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        let unscaled = decimal(text)?;
        (unscaled % 10_000 == 0).then(|| i64::try_from(unscaled / 10_000).ok()).flatten()
    })
}

fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "t" | "yes" | "y" | "1" | "active" | "on" => Some(true),
        "false" | "f" | "no" | "n" | "0" | "inactive" | "off" => Some(false),
        _ => None,
    }
}

/// `9999-12-30T22:00:00Z`: how the end of time is kept, which many systems write as 9999-12-31.
const LAST_MICROSECOND: i64 = 253_402_207_200_000_000;

/// ISO 8601 with or without time and offset (UTC without), `20111003`, `03.10.2011`, `03-Oct-2011`, seconds, milliseconds or
/// microseconds since 1970. `10/03/2011` is refused: it could mean two days.
pub fn time(text: &str) -> Option<Timestamp> {
    let utc = |civil: DateTime| {
        let last = || (civil.year() == 9999).then(|| Timestamp::from_microsecond(LAST_MICROSECOND).ok()).flatten();
        civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp()).or_else(last)
    };
    if text.bytes().all(|byte| byte.is_ascii_digit()) {
        let number: i64 = text.parse().ok()?;
        return match text.len() {
            8 => jiff::civil::Date::strptime("%Y%m%d", text)
                .ok()
                .and_then(|date| utc(date.to_datetime(jiff::civil::Time::midnight()))),
            9..=10 => Timestamp::from_second(number).ok(),
            12..=13 => Timestamp::from_millisecond(number).ok(),
            15..=16 => Timestamp::from_microsecond(number).ok(),
            _ => None,
        };
    }
    let year_first = text
        .as_bytes()
        .get(..5)
        .is_some_and(|start| start.iter().take(4).all(u8::is_ascii_digit) && matches!(start.last(), Some(b'-' | b'/')));
    if year_first {
        let text = text.trim_end_matches(" UTC");
        let dashed;
        let text = if text.as_bytes().get(4) == Some(&b'/') {
            dashed = text.replace('/', "-");
            dashed.as_str()
        } else {
            text
        };
        let tail = text.get(10..).unwrap_or_default();
        return if tail.contains(['+', '-', 'Z', 'z']) {
            text.parse::<Timestamp>().ok().or_else(|| {
                // PostgreSQL writes the offset of whole hours with two digits.
                format!("{text}:00").parse().ok()
            })
        } else {
            text.parse::<DateTime>().ok().and_then(utc)
        };
    }
    ["%d.%m.%Y", "%d-%b-%Y"].iter().find_map(|date| {
        let full = [format!("{date} %H:%M:%S%.f"), format!("{date} %H:%M")];
        let with_time = full.iter().find_map(|format| DateTime::strptime(format, text).ok());
        let civil = with_time.or_else(|| {
            let date = jiff::civil::Date::strptime(date, text).ok()?;
            Some(date.to_datetime(jiff::civil::Time::midnight()))
        })?;
        utc(civil)
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use arrow_array::types::TimestampMicrosecondType;

    fn at(text: &str) -> Option<String> {
        time(text).map(|time| time.to_string())
    }

    #[test]
    fn times_in_usual_forms_mean_one_moment() {
        let noon = Some("2011-10-03T12:05:00Z".to_owned());
        for text in [
            "2011-10-03 12:05:00",
            "2011-10-03 12:05",
            "2011-10-03T12:05:00Z",
            "2011-10-03T12:05:00.000Z",
            "2011-10-03 12:05:00 UTC",
            "2011-10-03T14:05:00+02:00",
            "2011-10-03 14:05:00+02",
            "2011-10-03T10:05:00-02:00",
            "2011/10/03 12:05:00",
            "03.10.2011 12:05",
            "03.10.2011 12:05:00",
            "03-Oct-2011 12:05:00",
            "1317643500",
            "1317643500000",
            "1317643500000000",
        ] {
            assert_eq!(at(text), noon, "{text}");
        }
        for text in ["2011-10-03", "20111003", "03.10.2011", "2011/10/03"] {
            assert_eq!(at(text), Some("2011-10-03T00:00:00Z".to_owned()), "{text}");
        }
        for text in ["10/03/2011", "2011-13-01", "2011-02-30", "soon", "12", "2011-10-03T25:00:00"] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    #[test]
    fn the_end_of_time_is_kept_as_late_as_it_can_be() {
        assert_eq!(at("9999-12-31").unwrap(), "9999-12-30T22:00:00Z");
        let never: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![LAST_MICROSECOND + 1, 7]));
        let kept = convert(&never, Kind::Time).unwrap();
        assert_eq!(kept.array.as_primitive::<TimestampMicrosecondType>().values().as_ref(), [LAST_MICROSECOND, 7]);
    }

    #[test]
    fn numbers_are_exact_or_refused() {
        for (text, unscaled) in [
            ("2.55", 25_500),
            ("-6", -60_000),
            ("+1", 10_000),
            ("1,234.5", 12_345_000),
            ("1e3", 10_000_000),
            (".5", 5_000),
            ("0.00005", 0),
            ("0.00015", 2),
            ("99999999999999.9999", 999_999_999_999_999_999),
        ] {
            assert_eq!(decimal(text), Some(unscaled), "{text}");
        }
        for text in ["2,55", "1,23,456", "abc", "1.2.3", "100000000000000", "£2.55", "0,123", "1e40"] {
            assert_eq!(decimal(text), None, "{text}");
        }
        assert_eq!(int("7.0"), Some(7));
        assert_eq!(int("7.5"), None);
        assert_eq!(boolean("Yes"), Some(true));
        assert_eq!(boolean("maybe"), None);
    }

    #[test]
    fn columns_of_every_type_convert_and_note_what_does_not() {
        let text: ArrayRef = Arc::new(StringArray::from(vec![Some("6"), Some(" "), Some("six"), None]));
        let converted = convert(&text, Kind::Decimal).unwrap();
        assert_eq!(converted.bad, [(2, "six".to_owned())]);
        assert_eq!(converted.array.null_count(), 3);

        let floats: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![17850.0, f64::NAN, 2.55]));
        let ids = convert(&floats, Kind::Text).unwrap();
        assert_eq!(ids.array.as_string::<i32>().iter().collect::<Vec<_>>(), [Some("17850"), None, Some("2.55")]);
        let prices = convert(&floats, Kind::Decimal).unwrap();
        assert_eq!(prices.array.as_primitive::<Decimal128Type>().value(2), 25_500);
        assert!(prices.bad.is_empty());

        let huge: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![1e15]));
        assert_eq!(convert(&huge, Kind::Decimal).unwrap().bad.len(), 1);

        let zoned: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0]).with_timezone("+02:00"));
        let times = convert(&zoned, Kind::Time).unwrap();
        assert_eq!(times.array.as_any().downcast_ref::<TimestampMicrosecondArray>().unwrap().value(0), 0);

        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true]));
        assert!(convert(&flags, Kind::Decimal).is_none());
        assert!(convert(&flags, Kind::Time).is_none());
        assert_eq!(convert(&flags, Kind::Text).unwrap().array.as_string::<i32>().value(0), "true");
    }
}
