//! Files of sources: where they lie, how they are read, and how they become tables that SQL can name.

mod csv;
mod fetch;
mod jsonl;
mod locate;
mod reader;
mod table;

pub use fetch::{InputFile, bring};
pub use locate::{SourceFile, files_at, named_files, same_name};
pub use reader::columns_of;
pub use table::{RawTable, TypeWatch, TypedColumn, TypedTable, names, typed_expressions};
