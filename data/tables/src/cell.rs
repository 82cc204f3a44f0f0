//! One cell of a canonical table: how a Rust value stands in an Arrow column.

use std::sync::Arc;

use arrow_array::{
    Array, ArrayRef, BooleanArray, Decimal128Array, Float64Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow_schema::{DataType, TimeUnit};
use jiff::Timestamp;
use rust_decimal::Decimal;

/// Digits after the point of every decimal column.
pub(crate) const SCALE: u32 = 4;
const PRECISION: u8 = 18;

/// A Rust type that can be a column. `NULLABLE` columns may also be missing in a file.
pub(crate) trait Cell: Sized {
    const NULLABLE: bool;
    fn data_type() -> DataType;
    fn to_array<'a, I: Iterator<Item = &'a Self>>(values: I) -> ArrayRef
    where
        Self: 'a;
    /// Reads a column that has been checked to be of [`Cell::data_type`]; `None` at a row that has no value.
    fn from_array(array: &dyn Array) -> Option<Vec<Option<Self>>>;
}

fn utc() -> Arc<str> {
    Arc::from("UTC")
}

/// `decimal(18,4)` as its unscaled integer; more digits are rounded half to even.
pub(crate) fn unscaled(value: Decimal) -> i128 {
    let mut rounded = value.round_dp(SCALE);
    rounded.rescale(SCALE);
    rounded.mantissa()
}

pub(crate) fn scaled(value: i128) -> Decimal {
    Decimal::from_i128_with_scale(value, SCALE).normalize()
}

macro_rules! cell {
    ($type:ty, $array:ty, $data_type:expr, $to:expr, $from:expr, $finish:expr) => {
        impl Cell for $type {
            const NULLABLE: bool = false;
            fn data_type() -> DataType {
                $data_type
            }
            fn to_array<'a, I: Iterator<Item = &'a Self>>(values: I) -> ArrayRef {
                let array: $array = values.map(|value| Some($to(value))).collect();
                Arc::new($finish(array))
            }
            fn from_array(array: &dyn Array) -> Option<Vec<Option<Self>>> {
                let array = array.as_any().downcast_ref::<$array>()?;
                Some(array.iter().map(|value| value.map($from)).collect())
            }
        }
        impl Cell for Option<$type> {
            const NULLABLE: bool = true;
            fn data_type() -> DataType {
                $data_type
            }
            fn to_array<'a, I: Iterator<Item = &'a Self>>(values: I) -> ArrayRef {
                let array: $array = values.map(|value| value.as_ref().map($to)).collect();
                Arc::new($finish(array))
            }
            fn from_array(array: &dyn Array) -> Option<Vec<Option<Self>>> {
                let cells = <$type as Cell>::from_array(array)?;
                Some(cells.into_iter().map(Some).collect())
            }
        }
    };
}

cell!(String, StringArray, DataType::Utf8, |v: &'a String| v.as_str(), str::to_owned, |a| a);
cell!(i64, Int64Array, DataType::Int64, |v: &i64| *v, |v: i64| v, |a| a);
cell!(f64, Float64Array, DataType::Float64, |v: &f64| *v, |v: f64| v, |a| a);
cell!(bool, BooleanArray, DataType::Boolean, |v: &bool| *v, |v: bool| v, |a| a);
cell!(
    Decimal,
    Decimal128Array,
    DataType::Decimal128(PRECISION, SCALE as i8),
    |v: &Decimal| unscaled(*v),
    scaled,
    |a: Decimal128Array| a.with_data_type(<Decimal as Cell>::data_type())
);
cell!(
    Timestamp,
    TimestampMicrosecondArray,
    DataType::Timestamp(TimeUnit::Microsecond, Some(utc())),
    |v: &Timestamp| v.as_microsecond(),
    |v: i64| Timestamp::from_microsecond(v).unwrap_or(Timestamp::UNIX_EPOCH),
    |a: TimestampMicrosecondArray| a.with_timezone(utc())
);
