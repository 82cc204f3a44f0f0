//! Policies say what was understood of them, and how many models follow them.

use std::time::Duration;

use endcap_crds::PromotionPolicy;
use endcap_crds::promotion_policy::status::PromotionPolicyStatus;
use jiff::Timestamp;
use kube::Api;
use kube::api::PostParams;

use crate::context::Context;
use crate::watch::Key;

pub async fn reconcile(cx: &Context, key: &Key) -> Result<Option<Duration>, kube::Error> {
    let Some(policy) = cx.caches.policies.get(key) else { return Ok(None) };
    let used = cx.caches.models_of_policy(&key.0, &key.1).len();
    let weights = policy.spec.steps.iter().map(|step| step.weight.to_string()).collect::<Vec<_>>().join(",");
    let known = policy.status.clone().unwrap_or_default();
    let mut conditions = known.conditions.clone();
    let generation = policy.metadata.generation;
    let said = endcap_operator_core::accepted(&policy.spec);
    endcap_operator_core::set_condition(&mut conditions, &said, generation.unwrap_or(1), Timestamp::now());
    let status = PromotionPolicyStatus {
        observed_generation: generation,
        conditions,
        referenced_by: i32::try_from(used).ok(),
        step_weights: Some(weights.as_str().into()),
    };
    if status != known {
        let api: Api<PromotionPolicy> = Api::namespaced(cx.client.clone(), &key.0);
        let mut object = policy.as_ref().clone();
        object.status = Some(status);
        api.replace_status(&key.1, &PostParams::default(), &object).await?;
    }
    Ok(None)
}
