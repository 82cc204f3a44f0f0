//! What `kubectl get` prints, as text: a cell of a column that shows a field which is not there would be empty.

use std::collections::BTreeMap;

use schemars::{Schema, SchemaGenerator, json_schema};

/// By column.
pub type Columns = BTreeMap<String, String>;

/// What stands where there is nothing to show.
pub const NOTHING: &str = "-";

/// Schema of the text of columns; `names` are set by the operator alone.
pub fn columns(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": 16,
        "additionalProperties": {"type": "string", "maxLength": 128},
    })
}
