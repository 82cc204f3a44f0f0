//! Stable names that programs may rely on: condition types, their reasons, events, labels, annotations, finalizers.

/// Types of conditions.
pub mod condition {
    pub const READY: &str = "Ready";
    pub const PROGRESSING: &str = "Progressing";
    pub const DEGRADED: &str = "Degraded";
    pub const PROMOTION_COMPLETE: &str = "PromotionComplete";
    pub const TRAFFIC_SYNCED: &str = "TrafficSynced";
    pub const LATEST_VERSION_READY: &str = "LatestVersionReady";
    pub const DRIFT_DETECTED: &str = "DriftDetected";
    pub const RETRAINING_SUSPENDED: &str = "RetrainingSuspended";
    pub const ACCEPTED: &str = "Accepted";
    pub const DATA_COVERED: &str = "DataCovered";
    pub const PAUSED: &str = "Paused";

    /// Of a ModelVersion.
    pub const TRAINED: &str = "Trained";
    pub const ARTIFACT_VERIFIED: &str = "ArtifactVerified";
    pub const GATES_PASSED: &str = "GatesPassed";
    pub const IN_USE: &str = "InUse";
    pub const RETAINED: &str = "Retained";

    /// Of an Experiment.
    pub const RUNNING: &str = "Running";
    pub const SAMPLE_RATIO_HEALTHY: &str = "SampleRatioHealthy";
    pub const GUARDRAILS_HEALTHY: &str = "GuardrailsHealthy";
    pub const CONCLUSIVE: &str = "Conclusive";
    pub const COMPLETE: &str = "Complete";
}

/// Reasons of conditions.
pub mod reason {
    pub const SERVING: &str = "Serving";
    pub const NO_VERSION_YET: &str = "NoVersionYet";
    pub const NO_READY_REPLICAS: &str = "NoReadyReplicas";
    pub const ROUTER_UNAVAILABLE: &str = "RouterUnavailable";

    pub const TRAINING: &str = "Training";
    pub const WAITING_FOR_REPLICAS: &str = "WaitingForReplicas";
    pub const STEP_WEIGHT: &str = "StepWeight";
    pub const WAITING_FOR_APPROVAL: &str = "WaitingForApproval";
    pub const WAITING_FOR_SAMPLES: &str = "WaitingForSamples";
    pub const FROZEN: &str = "Frozen";
    pub const EXPERIMENT_RUNNING: &str = "ExperimentRunning";

    pub const PROMOTION_ROLLED_BACK: &str = "PromotionRolledBack";
    pub const PROMOTION_ABORTED: &str = "PromotionAborted";
    pub const TRAINING_FAILED: &str = "TrainingFailed";
    pub const ARTIFACT_CORRUPT: &str = "ArtifactCorrupt";
    pub const GATE_FAILED: &str = "GateFailed";
    pub const SIGN_OFF_MISSING: &str = "SignOffMissing";
    pub const DEADLINE_EXCEEDED: &str = "DeadlineExceeded";
    pub const TRAFFIC_NOT_SYNCED: &str = "TrafficNotSynced";

    pub const PROMOTED: &str = "Promoted";
    pub const ROLLED_BACK: &str = "RolledBack";
    pub const ABORTED: &str = "Aborted";
    pub const IN_PROGRESS: &str = "InProgress";

    pub const SYNCED: &str = "Synced";
    pub const ROUTERS_LAGGING: &str = "RoutersLagging";

    pub const COOLDOWN_ACTIVE: &str = "CooldownActive";
    pub const BUDGET_EXHAUSTED: &str = "BudgetExhausted";
    pub const CIRCUIT_OPEN: &str = "CircuitOpen";

    pub const POLICY_NOT_FOUND: &str = "PolicyNotFound";
    pub const INVALID_COMBINATION: &str = "InvalidCombination";

    pub const COVERED: &str = "Covered";
    pub const BELOW_MINIMUM: &str = "BelowMinimum";
    pub const DATA_QUALITY: &str = "DataQuality";
}

/// Reasons of events.
pub mod event {
    pub const TRAINING_STARTED: &str = "TrainingStarted";
    pub const TRAINING_SUCCEEDED: &str = "TrainingSucceeded";
    pub const TRAINING_FAILED: &str = "TrainingFailed";
    pub const VERSION_READY: &str = "VersionReady";
    pub const VERSION_REJECTED: &str = "VersionRejected";
    pub const PROMOTION_STARTED: &str = "PromotionStarted";
    pub const STEP_ADVANCED: &str = "StepAdvanced";
    pub const GATE_PASSED: &str = "GatePassed";
    pub const GATE_FAILED: &str = "GateFailed";
    pub const GATE_INCONCLUSIVE: &str = "GateInconclusive";
    pub const HELD: &str = "Held";
    pub const APPROVED: &str = "Approved";
    pub const ROLLBACK_STARTED: &str = "RollbackStarted";
    pub const ROLLBACK_FINISHED: &str = "RollbackFinished";
    pub const ABORTED: &str = "Aborted";
    pub const EXPERIMENT_STARTED: &str = "ExperimentStarted";
    pub const EXPERIMENT_CONCLUDED: &str = "ExperimentConcluded";
    pub const SAMPLE_RATIO_MISMATCH: &str = "SampleRatioMismatch";
    pub const DRIFT_DETECTED: &str = "DriftDetected";
    pub const RETRAIN_TRIGGERED: &str = "RetrainTriggered";
    pub const RETRAIN_SKIPPED: &str = "RetrainSkipped";
    pub const ARTIFACT_DELETED: &str = "ArtifactDeleted";
    pub const ARTIFACT_ORPHANED: &str = "ArtifactOrphaned";
    pub const INTEGRITY_FAILURE: &str = "IntegrityFailure";
}

/// Labels of versions, for selection.
pub mod label {
    pub const MODEL: &str = "endcap.dev/model";
    pub const VERSION: &str = "endcap.dev/version";
    pub const TRIGGER: &str = "endcap.dev/trigger";
}

/// Annotations that people and the operator set.
pub mod annotation {
    /// `"true"` keeps a version's artifact.
    pub const PIN: &str = "endcap.dev/pin";
    /// `"true"` deletes a version without deleting its data.
    pub const FORCE_DELETE: &str = "endcap.dev/force-delete";
    /// Of a version: what `endcap validate --sign-off-by` wrote.
    pub const SIGN_OFF: &str = "endcap.dev/sign-off";
    /// Who asked for the promotion.
    pub const PROMOTED_BY: &str = "endcap.dev/promoted-by";
}

/// Finalizer of a ModelVersion whose artifact is to be deleted.
pub const ARTIFACT_FINALIZER: &str = "endcap.dev/artifact";
/// Field manager of everything that the operator applies.
pub const FIELD_MANAGER: &str = "endcap";
