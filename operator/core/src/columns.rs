//! What `kubectl get` prints: never an empty cell.

use endcap_crds::common::columns::{Columns, NOTHING};
use endcap_crds::experiment::status::ExperimentStatus;
use endcap_crds::model_version::status::ModelVersionStatus;
use endcap_crds::recommender_model::status::{RecommenderModelStatus, RolloutPhase};

use crate::observed::Experiment;
use crate::plan::Plan;

/// Writes the columns of everything that a plan speaks of.
pub fn write(plan: &mut Plan, experiments: &[Experiment]) {
    plan.status.columns = model(&plan.status);
    for status in plan.versions.values_mut() {
        status.columns = version(status);
    }
    for (name, status) in &mut plan.experiments {
        if let Some(found) = experiments.iter().find(|one| &one.name == name) {
            status.columns = experiment(found, status);
        }
    }
}

fn columns<const N: usize>(cells: [(&str, Option<String>); N]) -> Columns {
    cells
        .map(|(name, cell)| {
            (name.to_owned(), cell.filter(|cell| !cell.is_empty()).unwrap_or_else(|| NOTHING.to_owned()))
        })
        .into()
}

fn model(status: &RecommenderModelStatus) -> Columns {
    let rollout = status.rollout.as_ref().filter(|rollout| rollout.phase != RolloutPhase::Cooling);
    let training = status.training.as_ref();
    let routing = status.routing.as_ref();
    columns([
        ("active", status.active_version.as_ref().map(ToString::to_string)),
        ("target", status.target_version.as_ref().map(ToString::to_string)),
        ("step", rollout.and_then(|rollout| rollout.step.as_ref()).map(ToString::to_string)),
        ("weight", rollout.map(|rollout| format!("{}%", rollout.weight))),
        (
            "training",
            training.map(|training| {
                training.progress_percent.map_or_else(|| "waiting".to_owned(), |percent| format!("{percent}%"))
            }),
        ),
        ("drift", status.drift.as_ref().and_then(|drift| drift.worst.as_ref()).map(|worst| worst.value.to_string())),
        ("latest", status.latest_version.as_ref().map(ToString::to_string)),
        ("routers", routing.map(|routing| format!("{}/{}", routing.routers_synced, routing.routers_total))),
    ])
}

fn version(status: &ModelVersionStatus) -> Columns {
    let metrics = status.metrics.as_deref().unwrap_or_default();
    let artifact = status.artifact.as_ref();
    columns([
        (
            "ndcg10",
            metrics.iter().find(|metric| metric.name.as_str() == "ndcg@10").map(|metric| metric.value.to_string()),
        ),
        ("size", artifact.map(|artifact| artifact.size_bytes.to_string())),
        ("sha256", artifact.map(|artifact| artifact.sha256.clone())),
        ("rows", status.dataset.as_ref().map(|dataset| dataset.rows.to_string())),
        ("job", status.job.as_ref().map(|job| job.name.to_string())),
    ])
}

fn experiment(experiment: &Experiment, status: &ExperimentStatus) -> Columns {
    let mut arms: Vec<_> = experiment.spec.arms.iter().collect();
    arms.sort_by_key(|arm| !arm.control);
    let names = arms.iter().map(|arm| arm.name.as_str()).collect::<Vec<_>>().join(",");
    columns([
        ("arms", Some(names)),
        ("lift", status.arms.iter().find_map(|arm| arm.lift.as_ref()).map(ToString::to_string)),
        ("p", status.arms.iter().find_map(|arm| arm.p_value.as_ref()).map(ToString::to_string)),
        ("srm", status.srm_p_value.as_ref().map(ToString::to_string)),
        ("ends", status.ends_at.as_ref().map(|time| time.0.strftime("%Y-%m-%d %H:%MZ").to_string())),
        ("winner", status.winner.as_ref().map(ToString::to_string)),
        ("conclusion", status.conclusion.map(|conclusion| format!("{conclusion:?}"))),
    ])
}
