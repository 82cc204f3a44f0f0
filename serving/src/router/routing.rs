//! A table made ready for requests, and which arm a request belongs to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::body::Bytes;
use endcap_recommender::{Policy, RecommendationRequest};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use super::counters::{ArmCounts, ArmKey, Counters};
use super::endpoint::{Endpoint, Endpoints, Target, pick};
use crate::assign::{BUCKETS, Salt};
use crate::table::{ACTIVE, Arm, Table};

pub struct RoutedArm {
    pub name: String,
    pub version: String,
    pub experiment: Option<String>,
    targets: Vec<Arc<Target>>,
    pub counts: Arc<ArmCounts>,
    arm: Arm,
    turn: AtomicUsize,
    pub name_header: Option<HeaderValue>,
    pub experiment_header: Option<HeaderValue>,
}

impl RoutedArm {
    fn new(arm: &Arm, experiment: Option<&str>, endpoints: &Endpoints, counters: &Counters) -> Self {
        let experiment = experiment.map(str::to_owned);
        let key = ArmKey { version: arm.version.clone(), arm: arm.name.clone(), experiment: experiment.clone() };
        Self {
            name: arm.name.clone(),
            version: arm.version.clone(),
            targets: arm.endpoints.iter().filter_map(|url| endpoints.target(url)).collect(),
            counts: counters.arm(key),
            name_header: HeaderValue::from_str(&arm.name).ok(),
            experiment_header: experiment.as_deref().and_then(|name| HeaderValue::from_str(name).ok()),
            experiment,
            arm: arm.clone(),
            turn: AtomicUsize::new(0),
        }
    }

    pub fn pick(&self, not: Option<&Arc<Endpoint>>) -> Option<Arc<Endpoint>> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        match self.targets.as_slice() {
            [one] => pick(&one.endpoints(), not, turn),
            _ => pick(&self.endpoints(), not, turn),
        }
    }

    /// All its predictors.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        self.targets.iter().flat_map(|target| target.endpoints().iter().cloned().collect::<Vec<_>>()).collect()
    }

    fn owns(&self, bucket: u16) -> bool {
        self.arm.ranges.iter().any(|range| range.contains(bucket))
    }
}

/// A table in effect.
pub struct Routing {
    pub table: Table,
    /// SHA-256 of its signed payload.
    pub hash: String,
    pub policy: Policy,
    pub policy_text: Bytes,
    pub policy_hash: HeaderValue,
    pub timeout: Duration,
    pub override_header: HeaderName,
    unit_header: HeaderName,
    salt: Salt,
    arms: Vec<Arc<RoutedArm>>,
    active: Arc<RoutedArm>,
    experiment: Option<(Salt, Vec<Arc<RoutedArm>>)>,
}

#[derive(Debug, thiserror::Error)]
#[error("failed to make the table ready: {0}")]
pub struct RoutingError(String);

impl Routing {
    pub fn new(table: Table, hash: String, endpoints: &Endpoints, counters: &Counters) -> Result<Self, RoutingError> {
        let wrong = |error: &dyn std::fmt::Display| RoutingError(error.to_string());
        let make = |arm: &Arm, experiment: Option<&str>| Arc::new(RoutedArm::new(arm, experiment, endpoints, counters));
        let arms: Vec<Arc<RoutedArm>> = table.arms.iter().map(|arm| make(arm, None)).collect();
        let active = arms.iter().find(|arm| arm.name == ACTIVE).cloned();
        let active = active.ok_or_else(|| RoutingError("it has no arm named active".to_owned()))?;
        let experiment = table.experiment.as_ref().map(|experiment| {
            let arms = experiment.arms.iter().map(|arm| make(arm, Some(&experiment.name))).collect();
            (Salt::new(&experiment.salt), arms)
        });
        let policy_text = serde_json::to_vec(&table.policy).map_err(|error| wrong(&error))?;
        let header = |name: &str| HeaderName::from_bytes(name.as_bytes()).map_err(|error| wrong(&error));
        Ok(Self {
            hash,
            policy: serde_json::from_value(table.policy.clone()).map_err(|error| wrong(&error))?,
            policy_hash: HeaderValue::from_str(&endcap_store::sha256_hex(&policy_text))
                .map_err(|error| wrong(&error))?,
            policy_text: Bytes::from(policy_text),
            timeout: Duration::from_millis(u64::from(table.request_timeout_ms)),
            override_header: header(&table.override_header)?,
            unit_header: header(&table.unit.header)?,
            salt: Salt::new(&table.salt),
            arms,
            active,
            experiment,
            table,
        })
    }

    pub fn active(&self) -> &Arc<RoutedArm> {
        &self.active
    }

    /// The arm of a version, for the QA override.
    pub fn of_version(&self, version: &str) -> Option<&Arc<RoutedArm>> {
        let experimental = self.experiment.iter().flat_map(|(_, arms)| arms);
        self.arms.iter().chain(experimental).find(|arm| arm.version == version)
    }

    /// All predictors of all arms.
    pub fn endpoints(&self) -> Vec<Arc<Endpoint>> {
        let experimental = self.experiment.iter().flat_map(|(_, arms)| arms);
        self.arms.iter().chain(experimental).flat_map(|arm| arm.endpoints()).collect()
    }

    pub fn versions(&self) -> Vec<&str> {
        let experimental = self.experiment.iter().flat_map(|(_, arms)| arms);
        let mut versions: Vec<&str> = self.arms.iter().chain(experimental).map(|arm| arm.version.as_str()).collect();
        versions.sort_unstable();
        versions.dedup();
        versions
    }

    /// The unit of a request: the header, else the first pointer that finds something.
    pub fn unit(&self, headers: &HeaderMap, request: &RecommendationRequest, body: &[u8]) -> Option<String> {
        let header = headers.get(&self.unit_header).and_then(|value| value.to_str().ok()).map(str::trim);
        if let Some(unit) = header.filter(|unit| !unit.is_empty()) {
            return Some(unit.to_owned());
        }
        let mut whole: Option<Value> = None;
        for pointer in &self.table.unit.json_pointers {
            let found = match pointer.as_str() {
                "/customer_id" => request.customer_id.as_deref().map(str::to_owned),
                "/session_id" => request.session_id.as_deref().map(str::to_owned),
                // Rare: the body is read a second time.
                pointer => {
                    let whole = whole.get_or_insert_with(|| serde_json::from_slice(body).unwrap_or_default());
                    match whole.pointer(pointer) {
                        Some(Value::String(text)) => Some(text.clone()),
                        Some(Value::Number(number)) => Some(number.to_string()),
                        _ => None,
                    }
                }
            };
            if let Some(unit) = found.filter(|unit| !unit.is_empty()) {
                return Some(unit);
            }
        }
        None
    }

    /// The arm of a unit: a function of salt, unit and table alone.
    pub fn assign(&self, unit: &str) -> &Arc<RoutedArm> {
        let experimental = self.experiment.as_ref().and_then(|(salt, arms)| owner(arms, salt.bucket(unit)));
        experimental.unwrap_or_else(|| self.assign_bucket(self.salt.bucket(unit)))
    }

    /// The arm of a request without a unit. Experiments are for known units only.
    pub fn assign_by_chance(&self) -> &Arc<RoutedArm> {
        self.assign_bucket(rand::random_range(0..BUCKETS))
    }

    fn assign_bucket(&self, bucket: u16) -> &Arc<RoutedArm> {
        owner(&self.arms, bucket).unwrap_or(&self.active)
    }
}

fn owner(arms: &[Arc<RoutedArm>], bucket: u16) -> Option<&Arc<RoutedArm>> {
    arms.iter().find(|arm| arm.owns(bucket))
}
