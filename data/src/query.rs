//! Ad hoc SQL over a canonical dataset.

use std::path::Path;

use arrow_array::RecordBatch;
use datafusion::arrow::util::pretty::pretty_format_batches_with_schema;
use tokio_util::sync::CancellationToken;

use crate::engine::Limits;
use crate::{DataError, report};

/// An answer is for reading, so it is cut off here.
pub const MAX_ROWS: usize = 10_000;

/// Runs one query and returns its answer as a table, and whether rows were cut off.
pub async fn table(
    dir: &Path,
    sql: &str,
    limits: Limits,
    cancel: &CancellationToken,
) -> Result<(String, bool), DataError> {
    let work = tempfile::tempdir().map_err(|source| DataError::Write { path: std::env::temp_dir(), source })?;
    let engine = report::over_dataset(dir, work.path(), limits, cancel).await?;
    let mut stream = engine.read_only(sql).await?;
    let schema = stream.schema();
    let mut rows = 0;
    let mut batches: Vec<RecordBatch> = Vec::new();
    while let Some(batch) = engine.next(&mut stream).await? {
        let room = MAX_ROWS - rows;
        rows += batch.num_rows().min(room);
        batches.push(batch.slice(0, batch.num_rows().min(room)));
        if batch.num_rows() > room {
            break;
        }
    }
    let cut = rows == MAX_ROWS;
    let text =
        pretty_format_batches_with_schema(schema, &batches).map_err(|error| DataError::Sql(error.to_string()))?;
    Ok((text.to_string(), cut))
}
