//! How the serving programs are started on loopback: what `endcap serve` and `endcap up` have in common.

use std::path::Path;

/// A free port of this machine alone.
pub const ANY: &str = "127.0.0.1:0";

fn options(pairs: &[(&str, &str)]) -> Vec<String> {
    pairs.iter().flat_map(|(name, value)| [format!("--{name}"), (*value).to_owned()]).collect()
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

/// The event log of a model; where its customers begin comes from beside the artifact, and is kept beside the log.
pub fn eventlog(data: &Path, listen: &str, artifact: &str) -> Vec<String> {
    options(&[("data", &text(data)), ("listen", listen), ("metrics-listen", ANY), ("baseline-of", artifact)])
}

pub fn predictor(artifact: &str, digest: &str, eventlog: &str, listen: &str) -> Vec<String> {
    options(&[
        ("artifact", artifact),
        ("digest", digest),
        ("eventlog", eventlog),
        ("listen", listen),
        ("metrics-listen", ANY),
    ])
}

pub fn router(public_key: &str, table_cache: &Path, eventlog: &str, listen: &str) -> Vec<String> {
    options(&[
        ("public-key", public_key),
        ("table-cache", &text(table_cache)),
        ("eventlog", eventlog),
        ("listen", listen),
        ("control-listen", ANY),
        ("metrics-listen", ANY),
    ])
}

pub fn insights(public_key: &str, data: &Path, eventlog: &str) -> Vec<String> {
    options(&[
        ("eventlog", eventlog),
        ("data", &text(data)),
        ("public-key", public_key),
        ("listen", ANY),
        ("control-listen", ANY),
        ("metrics-listen", ANY),
    ])
}
