//! Conditions: each carries the generation it speaks of and a message with numbers; its time changes only with its status.

use endcap_crds::common::conditions::Conditions;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// What is to be said.
#[derive(Debug, Clone)]
pub struct Said {
    type_: &'static str,
    is_true: bool,
    reason: &'static str,
    message: String,
}

impl Said {
    pub fn new(type_: &'static str, is_true: bool, reason: &'static str, message: impl Into<String>) -> Self {
        Self { type_, is_true, reason, message: message.into() }
    }
}

pub fn find<'a>(conditions: &'a Conditions, type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

pub fn is_true(conditions: &Conditions, type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

pub fn set(conditions: &mut Conditions, said: &Said, generation: i64, now: Timestamp) {
    let status = if said.is_true { "True" } else { "False" };
    let same =
        find(conditions, said.type_).filter(|old| old.status == status).map(|old| old.last_transition_time.clone());
    let condition = Condition {
        type_: said.type_.to_owned(),
        status: status.to_owned(),
        reason: said.reason.to_owned(),
        message: said.message.chars().take(4_096).collect(),
        observed_generation: Some(generation),
        last_transition_time: same.unwrap_or(Time(now)),
    };
    match conditions.iter_mut().find(|old| old.type_ == said.type_) {
        Some(old) => *old = condition,
        None => conditions.push(condition),
    }
}
