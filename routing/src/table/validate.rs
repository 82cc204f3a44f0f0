//! What is wrong with a table: everything at once, each with its place and remedy.

use std::collections::HashSet;

use endcap_recommender::Policy;
use endcap_recommender::request::FieldError;
use http::{HeaderName, Uri};

use super::{ACTIVE, Arm, Table};
use crate::assign::BUCKETS;

const MAX_ARMS: usize = 16;
const MAX_ENDPOINTS: usize = 1_000;

struct Check {
    errors: Vec<FieldError>,
}

impl Check {
    fn wrong(&mut self, pointer: impl Into<String>, detail: impl Into<String>) {
        self.errors.push(FieldError { pointer: pointer.into(), detail: detail.into() });
    }

    fn name(&mut self, pointer: String, text: &str) {
        if text.is_empty() || text.len() > 253 || HeaderName::from_bytes(text.as_bytes()).is_err() {
            self.wrong(pointer, "must be 1 to 253 letters, digits, '-' or '.'; it travels in headers");
        }
    }

    fn digest(&mut self, pointer: String, text: &str) {
        if text.len() != 64 || !text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            self.wrong(pointer, "must be the SHA-256 of the artifact's manifest as 64 small hexadecimal digits");
        }
    }

    fn arms(&mut self, at: &str, arms: &[Arm]) {
        if arms.is_empty() || arms.len() > MAX_ARMS {
            self.wrong(at, format!("must have 1 to {MAX_ARMS} arms"));
        }
        let mut names = HashSet::new();
        let mut owner = vec![false; usize::from(BUCKETS)];
        for (index, arm) in arms.iter().enumerate() {
            let at = format!("{at}/{index}");
            self.name(format!("{at}/name"), &arm.name);
            self.name(format!("{at}/version"), &arm.version);
            self.digest(format!("{at}/artifactDigest"), &arm.artifact_digest);
            if !names.insert(arm.name.as_str()) {
                self.wrong(format!("{at}/name"), "is another arm's name too");
            }
            if arm.endpoints.len() > MAX_ENDPOINTS {
                self.wrong(format!("{at}/endpoints"), format!("has more than {MAX_ENDPOINTS}"));
            }
            for (place, endpoint) in arm.endpoints.iter().enumerate() {
                let is_good = endpoint.parse::<Uri>().is_ok_and(|uri| {
                    uri.scheme_str() == Some("http") && uri.authority().is_some() && matches!(uri.path(), "" | "/")
                });
                if !is_good {
                    self.wrong(format!("{at}/endpoints/{place}"), "must be like http://10.0.0.7:8080");
                }
            }
            for (place, range) in arm.ranges.iter().enumerate() {
                let at = format!("{at}/ranges/{place}");
                if range.from >= range.to || range.to > BUCKETS {
                    self.wrong(at, format!("must be [from, to] with 0 <= from < to <= {BUCKETS}"));
                    continue;
                }
                let buckets = owner.get_mut(usize::from(range.from)..usize::from(range.to)).unwrap_or_default();
                if buckets.iter().any(|taken| *taken) {
                    self.wrong(at, "overlaps another range; a bucket belongs to one arm");
                }
                buckets.fill(true);
            }
        }
    }
}

impl Table {
    pub fn validate(&self) -> Result<(), Vec<FieldError>> {
        let mut check = Check { errors: Vec::new() };
        check.name("/model".to_owned(), &self.model);
        check.name("/namespace".to_owned(), &self.namespace);
        if self.revision == 0 {
            check.wrong("/revision", "must be at least 1");
        }
        if self.salt.is_empty() || self.salt.len() > 512 {
            check.wrong("/salt", "must have 1 to 512 bytes");
        }
        for (pointer, header) in [("/unit/header", &self.unit.header), ("/overrideHeader", &self.override_header)] {
            if HeaderName::from_bytes(header.as_bytes()).is_err() {
                check.wrong(pointer, "is no header name");
            }
        }
        for (index, pointer) in self.unit.json_pointers.iter().enumerate() {
            if !pointer.starts_with('/') {
                check.wrong(format!("/unit/jsonPointers/{index}"), "must be a JSON pointer such as /customer_id");
            }
        }
        check.arms("/arms", &self.arms);
        if !self.arms.iter().any(|arm| arm.name == ACTIVE) {
            check.wrong("/arms", "must have one named active");
        }
        if let Some(experiment) = &self.experiment {
            check.name("/experiment/name".to_owned(), &experiment.name);
            if experiment.salt.is_empty() || experiment.salt == self.salt {
                check.wrong(
                    "/experiment/salt",
                    "must differ from the table's salt, so that the cohorts are independent",
                );
            }
            check.arms("/experiment/arms", &experiment.arms);
        }
        if let Err(source) = serde_json::from_value::<Policy>(self.policy.clone()) {
            check.wrong("/policy", format!("is no spec.recommendation: {source}"));
        }
        if !(10..=60_000).contains(&self.request_timeout_ms) {
            check.wrong("/requestTimeoutMs", "must be 10 to 60000");
        }
        check.digest("/pack/digest".to_owned(), &self.pack.digest);
        if check.errors.is_empty() { Ok(()) } else { Err(check.errors) }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::table::{Pack, Range};

    #[test]
    fn every_mistake_is_named_at_once() {
        let pack = Pack { uri: "file:///a".to_owned(), digest: "0".repeat(64) };
        let good = Table::single("shop", "m", 1, "m-v1", vec!["http://127.0.0.1:80".to_owned()], pack);
        assert_eq!(good.validate(), Ok(()));
        let mut bad = good.clone();
        bad.revision = 0;
        bad.request_timeout_ms = 1;
        bad.policy = serde_json::json!({"upsellMode": "Nonsense"});
        bad.pack.digest = "abc".to_owned();
        let mut second = good.arms.first().unwrap().clone();
        second.ranges = vec![Range { from: 100, to: 100 }, Range { from: 5, to: 6 }];
        second.endpoints = vec!["https://host".to_owned()];
        bad.arms.push(second);
        let errors = bad.validate().unwrap_err();
        let pointers: Vec<&str> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(
            pointers,
            [
                "/revision",
                "/arms/1/name",
                "/arms/1/endpoints/0",
                "/arms/1/ranges/0",
                "/arms/1/ranges/1",
                "/policy",
                "/requestTimeoutMs",
                "/pack/digest"
            ]
        );
    }
}
