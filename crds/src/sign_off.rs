//! A sign-off: a person's word that a version does what the business expects. `endcap validate` writes it, the annotation
//! `endcap.dev/sign-off` of a ModelVersion carries it, and a policy may ask for it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub const FORMAT: &str = "endcap.sign-off/v1";

/// A signed-off version. It holds for this artifact, these scenarios and these rules alone: another byte of any of them is another
/// digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignOff {
    pub format: String,
    pub signed_off_by: String,
    pub signed_off_at: Timestamp,
    /// Program and release that asked and judged.
    pub program: String,
    pub model: String,
    pub version: String,
    /// SHA-256 of the artifact's manifest: the identity that a ModelVersion has in `status.artifact.sha256`.
    pub artifact_sha256: String,
    /// SHA-256 of the scenario file.
    pub scenarios_sha256: String,
    /// SHA-256 of the rules as JSON.
    pub policy_sha256: String,
    pub results: Vec<Signed>,
}

/// What a scenario came to. All of them passed, or there would be no sign-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signed {
    pub name: String,
    pub expectations: usize,
    /// The list that came: product and kind.
    pub items: Vec<(String, String)>,
}

impl SignOff {
    /// Reads what `endcap validate` wrote; else what is wrong.
    pub fn read(text: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        if read.format == FORMAT {
            Ok(read)
        } else {
            Err(format!("its format is \"{}\", known is \"{FORMAT}\"", read.format))
        }
    }
}
