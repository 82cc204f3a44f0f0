//! What a predictor's last words say of its artifact.

const MARKS: [&str; 4] = ["corrupt", "expected SHA-256", "its manifest says", "has digest"];

/// Whether a line says that an artifact is not what it must be. One that is not there is no failure of integrity: a store may be away.
pub fn is_failure(line: &str) -> bool {
    MARKS.iter().any(|mark| line.contains(mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_object_is_a_failure_and_a_store_that_is_away_is_none() {
        assert!(is_failure("error: object objects/9 (rules) is corrupt: expected SHA-256 a, found b"));
        assert!(is_failure("error: object objects/9 (rules) has 3 bytes, its manifest says 7"));
        assert!(!is_failure("error: failed to read s3://bucket/models: connection refused"));
    }
}
