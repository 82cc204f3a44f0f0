//! What serves: the routing table, and predictors by version.

use std::collections::BTreeMap;

use endcap_crds::experiment::status::{ExperimentPhase, ExperimentStatus};
use endcap_crds::recommender_model::serving::Fallback as WantedFallback;
use endcap_crds::recommender_model::status::{ArmTraffic, RecommenderModelStatus, RolloutPhase, RoutingStatus};
use endcap_routing::assign::{BUCKETS, candidate_ranges, complement};
use endcap_routing::table::{ACTIVE, Arm, CANDIDATE, Experiment, Fallback, Pack, Range, Table, Unit};

use crate::observed::{self, Observed};
use crate::rollout::replicas_for;

/// The table that a status asks for; none while nothing is ready to serve. Its revision is the one that is in force when nothing but
/// endpoints and shares stayed the same, else the next.
pub fn table(
    seen: &Observed,
    status: &RecommenderModelStatus,
    experiments: &BTreeMap<String, ExperimentStatus>,
) -> Option<Table> {
    let rollout = status.rollout.as_ref();
    let first = rollout.filter(|rollout| rollout.from.is_none() && rollout.phase == RolloutPhase::Promoting);
    let active = status.active_version.as_ref().or(first.map(|rollout| &rollout.version))?.to_string();
    let spec = &seen.model.spec;
    let salt = spec
        .routing
        .salt
        .as_ref()
        .map_or_else(|| format!("{}/{}", seen.model.namespace, seen.model.name), ToString::to_string);
    let mut arms = Vec::new();
    let candidate = rollout.filter(|rollout| rollout.version.as_str() != active).and_then(|rollout| {
        let weight = match rollout.phase {
            RolloutPhase::Stepping | RolloutPhase::Promoting => rollout.weight,
            RolloutPhase::Preparing => 0,
            RolloutPhase::Cooling | RolloutPhase::RollingBack => return None,
        };
        let count = u16::try_from(weight.clamp(0, 100)).unwrap_or(0) * (BUCKETS / 100);
        let ranges = candidate_ranges(&salt, rollout.version.as_str(), count);
        let arm = arm(seen, CANDIDATE, rollout.version.as_str(), ranges)?;
        // Without predictors and without a share there is nothing to say of it.
        (weight > 0 || !arm.endpoints.is_empty()).then_some(arm)
    });
    let taken: Vec<Range> = candidate.iter().flat_map(|arm| arm.ranges.clone()).collect();
    let own = arm(seen, ACTIVE, &active, complement(&taken))?;
    let pack = pack(seen, &active)?;
    arms.push(own);
    arms.extend(candidate);
    let running = seen.experiments.iter().find_map(|experiment| {
        let status = experiments.get(&experiment.name)?;
        (status.phase == Some(ExperimentPhase::Running)).then_some((experiment, status))
    });
    let experiment = running.map(|(experiment, status)| self::experiment(seen, experiment, status));
    let pointers = spec.routing.unit.json_pointer.as_ref().map(|pointer| vec![pointer.to_string()]);
    let mut table = Table {
        model: seen.model.name.clone(),
        namespace: seen.model.namespace.clone(),
        revision: 0,
        salt,
        unit: Unit {
            header: spec.routing.unit.header.to_string(),
            json_pointers: pointers.unwrap_or_else(|| Unit::default().json_pointers),
        },
        arms,
        experiment,
        policy: serde_json::to_value(&spec.recommendation).unwrap_or_default(),
        request_timeout_ms: spec
            .serving
            .request_timeout
            .as_millis()
            .ok()
            .and_then(|ms| u32::try_from(ms).ok())
            .unwrap_or(150),
        fallback: match spec.serving.fallback {
            WantedFallback::None => Fallback::None,
            WantedFallback::Stable => Fallback::Stable,
            WantedFallback::StableThenPopularity => Fallback::StableThenPopularity,
        },
        pack,
        override_header: spec.routing.override_header.to_string(),
    };
    table.revision = revision(seen, &table);
    Some(table)
}

/// Equal content keeps its revision. What routers hold may be newer than what we know, after a loss.
fn revision(seen: &Observed, table: &Table) -> u64 {
    let held = seen.routers.iter().filter_map(|router| router.revision).max().unwrap_or(0);
    let known = seen.table.as_ref().map_or(0, |known| known.revision);
    if seen.table.as_ref().is_some_and(|known| same(known, table)) && held <= known {
        known
    } else {
        known.max(held) + 1
    }
}

/// Whether two tables route alike.
pub fn same(one: &Table, other: &Table) -> bool {
    Table { revision: 0, ..one.clone() } == Table { revision: 0, ..other.clone() }
}

fn arm(seen: &Observed, name: &str, version: &str, ranges: Vec<Range>) -> Option<Arm> {
    let artifact = seen.version(version)?.status.artifact.as_ref()?;
    Some(Arm {
        name: name.to_owned(),
        version: version.to_owned(),
        endpoints: seen.arm(version).endpoints,
        ranges,
        artifact_digest: artifact.manifest_sha256.to_string(),
    })
}

fn pack(seen: &Observed, version: &str) -> Option<Pack> {
    let artifact = seen.version(version)?.status.artifact.as_ref()?;
    Some(Pack { uri: artifact.uri.to_string(), digest: artifact.manifest_sha256.to_string() })
}

fn experiment(seen: &Observed, experiment: &observed::Experiment, status: &ExperimentStatus) -> Experiment {
    let arms = experiment.spec.arms.iter().filter_map(|wanted| {
        let ranges = status.buckets.iter().filter(|owned| owned.arm == wanted.name).map(|owned| Range {
            from: u16::try_from(owned.from).unwrap_or(0),
            to: u16::try_from(owned.to).unwrap_or(0),
        });
        arm(seen, wanted.name.as_str(), wanted.version_ref.as_str(), ranges.collect())
    });
    let salt = experiment.spec.salt.as_ref().map_or_else(|| experiment.uid.clone(), ToString::to_string);
    Experiment { name: experiment.name.clone(), salt, arms: arms.collect() }
}

/// Whether every live router serves that table.
pub fn is_synced(seen: &Observed, table: Option<&Table>) -> bool {
    let (Some(table), Some(signed)) = (table, &seen.table) else { return false };
    let mut live = seen.routers.iter().filter(|router| router.ready).peekable();
    same(table, signed) && live.peek().is_some() && live.all(|router| router.revision == Some(signed.revision))
}

/// Predictors to keep by version.
pub fn replicas(
    seen: &Observed,
    status: &RecommenderModelStatus,
    experiments: &BTreeMap<String, ExperimentStatus>,
    next_weight: impl Fn(i32) -> i32,
) -> BTreeMap<String, i32> {
    let wanted = seen.model.spec.serving.replicas;
    let mut kept: BTreeMap<String, i32> = BTreeMap::new();
    let mut keep = |version: &str, replicas: i32| {
        let slot = kept.entry(version.to_owned()).or_insert(0);
        *slot = (*slot).max(replicas);
    };
    if let Some(active) = &status.active_version {
        keep(active.as_str(), wanted.max(1));
    }
    if let Some(rollout) = &status.rollout {
        match rollout.phase {
            RolloutPhase::Preparing | RolloutPhase::Stepping | RolloutPhase::Promoting => {
                let weight = if rollout.restoring { 100 } else { next_weight(rollout.weight) };
                keep(rollout.version.as_str(), replicas_for(wanted, weight));
            }
            RolloutPhase::Cooling => {}
            // It drains until no router sends it anything.
            RolloutPhase::RollingBack => {
                keep(rollout.version.as_str(), seen.arm(rollout.version.as_str()).replicas.clamp(1, wanted.max(1)));
            }
        }
        if let Some(from) = &rollout.from {
            keep(from.as_str(), wanted.max(1));
        }
    }
    for experiment in &seen.experiments {
        let phase = experiments.get(&experiment.name).and_then(|status| status.phase);
        let is_wanted = match phase {
            Some(ExperimentPhase::Running | ExperimentPhase::Stopping) => true,
            Some(ExperimentPhase::Pending) => crate::experiment::is_due(experiment, status),
            _ => false,
        };
        if is_wanted && !experiment.deleting {
            let sum: i32 = experiment.spec.arms.iter().map(|arm| arm.weight).sum();
            for arm in &experiment.spec.arms {
                let share = experiment.spec.traffic_percent * arm.weight / sum.max(1);
                keep(arm.version_ref.as_str(), replicas_for(wanted, share.max(1)));
            }
        }
    }
    kept
}

/// What is on the wire, as routers acknowledged it.
pub fn traffic(seen: &Observed, table: Option<&Table>) -> (Vec<ArmTraffic>, Option<RoutingStatus>) {
    let Some(table) = table else { return (Vec::new(), None) };
    let live: Vec<&observed::Router> = seen.routers.iter().filter(|router| router.ready).collect();
    let acked = |arm: &str, version: &str, experiment: Option<&str>| {
        let of = live.iter().map(|router| {
            let found = router
                .weights
                .iter()
                .find(|one| one.arm == arm && one.version == version && one.experiment.as_deref() == experiment);
            found.map_or(0, |one| i32::from(one.buckets))
        });
        of.min().unwrap_or(0)
    };
    let traffic = table.weights().into_iter().map(|one| ArmTraffic {
        weight: i32::from(one.buckets),
        ready_replicas: seen.arm(&one.version).ready,
        acked_weight: acked(&one.arm, &one.version, one.experiment.as_deref()),
        version: one.version.as_str().into(),
        arm: one.arm.as_str().into(),
    });
    let signed = seen.table.as_ref().filter(|signed| same(signed, table)).map(|signed| signed.revision);
    let synced = live.iter().filter(|router| signed.is_some() && router.revision == signed).count();
    let routing = RoutingStatus {
        revision: i64::try_from(table.revision).unwrap_or(i64::MAX),
        hash: hash(table).as_str().into(),
        routers_synced: i32::try_from(synced).unwrap_or(0),
        routers_total: i32::try_from(live.len()).unwrap_or(0),
    };
    (traffic.take(8).collect(), Some(routing))
}

/// SHA-256 of the table as it is signed.
fn hash(table: &Table) -> String {
    use sha2::{Digest, Sha256};
    hex::encode(Sha256::digest(serde_json::to_vec(table).unwrap_or_default()))
}
