//! What makes a struct a canonical table, and the list of all of them.

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;

use crate::{TableError, rows};

/// A row of a canonical table.
pub trait Row: Sized + Send + Sync + 'static {
    /// The table's name, which is also its file's: `<TABLE>.parquet`.
    const TABLE: &'static str;
    /// What the table holds, in one line.
    const ABOUT: &'static str;
    /// What each column means, in the order of the schema; empty where its name says it.
    fn column_docs() -> Vec<&'static str>;
    fn schema() -> SchemaRef;
    fn encode(rows: &[Self]) -> Result<RecordBatch, TableError>;
    /// Reads a batch by column name. Columns that may be empty may also be missing; unknown columns are ignored.
    fn decode(batch: &RecordBatch) -> Result<Vec<Self>, TableError>;
}

/// Declares a canonical table: the row struct, its Arrow schema, and both directions between them.
macro_rules! table {
    ($(#[doc = $about:literal])+ $table:literal $name:ident { $($(#[doc = $doc:literal])* $field:ident : $type:ty),+ $(,)? }) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name { $($(#[doc = $doc])* pub $field: $type),+ }

        impl $crate::table::Row for $name {
            const TABLE: &'static str = $table;
            const ABOUT: &'static str = concat!($($about),+);
            fn column_docs() -> Vec<&'static str> {
                vec![$(concat!("", $($doc),*)),+]
            }
            fn schema() -> arrow_schema::SchemaRef {
                std::sync::Arc::new(arrow_schema::Schema::new(vec![
                    $(arrow_schema::Field::new(
                        stringify!($field),
                        <$type as $crate::cell::Cell>::data_type(),
                        <$type as $crate::cell::Cell>::NULLABLE,
                    )),+
                ]))
            }
            fn encode(rows: &[Self]) -> Result<arrow_array::RecordBatch, $crate::TableError> {
                let columns = vec![$(<$type as $crate::cell::Cell>::to_array(rows.iter().map(|row| &row.$field))),+];
                arrow_array::RecordBatch::try_new(Self::schema(), columns)
                    .map_err(|source| $crate::TableError::Encode { table: $table, source: source.into() })
            }
            fn decode(batch: &arrow_array::RecordBatch) -> Result<Vec<Self>, $crate::TableError> {
                $(let mut $field = $crate::table::column::<$type>(batch, $table, stringify!($field))?.into_iter();)+
                (0..batch.num_rows())
                    .map(|row| Ok(Self { $($field: $crate::table::value($field.next(), $table, stringify!($field), row)?),+ }))
                    .collect()
            }
        }
    };
}
pub(crate) use table;

pub(crate) fn column<T: crate::cell::Cell>(
    batch: &RecordBatch,
    table: &'static str,
    column: &'static str,
) -> Result<Vec<Option<T>>, TableError> {
    let expected = || T::data_type().to_string();
    let Some(array) = batch.column_by_name(column) else {
        if T::NULLABLE {
            let empty = arrow_array::new_null_array(&T::data_type(), batch.num_rows());
            return T::from_array(&empty).ok_or_else(|| TableError::MissingColumn {
                table,
                column,
                expected: expected(),
            });
        }
        return Err(TableError::MissingColumn { table, column, expected: expected() });
    };
    let wrong = || TableError::WrongType { table, column, found: array.data_type().to_string(), expected: expected() };
    if *array.data_type() != T::data_type() {
        return Err(wrong());
    }
    T::from_array(array).ok_or_else(wrong)
}

pub(crate) fn value<T>(
    cell: Option<Option<T>>,
    table: &'static str,
    column: &'static str,
    row: usize,
) -> Result<T, TableError> {
    cell.flatten().ok_or(TableError::Null { table, column, row })
}

/// Every canonical table with its schema and what it holds, in the order of `docs/data.md`.
pub fn all_schemas() -> Vec<(&'static str, &'static str, SchemaRef)> {
    macro_rules! list { ($($row:ident),+) => { vec![$((rows::$row::TABLE, rows::$row::ABOUT.trim(), rows::$row::schema())),+] }; }
    list!(
        Customer,
        Identity,
        Place,
        Product,
        Category,
        Brand,
        Order,
        OrderLine,
        Cancellation,
        Offer,
        Stock,
        Interaction
    )
}
