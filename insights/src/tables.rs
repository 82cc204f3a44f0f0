//! The signed routing table as insights needs it: model, active version, arms, the experiment's shares. Verified as routers verify it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use endcap_serving::table::{ACTIVE, Envelope, EnvelopeError, Pack, Table, Trust};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use crate::keep::Keeper;

const TABLE: &str = "table.json";
const SHARES: &str = "experiments.json";
/// Experiments whose shares are remembered; then the oldest revision goes.
const MAX_REMEMBERED: usize = 64;

/// Why a table is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("revision {offered} is lower than {current}, which is in effect; raise the revision")]
    LowerRevision { offered: u64, current: u64 },
    #[error("revision {revision} is in effect with another content; raise the revision with every change")]
    SameRevision { revision: u64 },
    #[error("the table is for {offered}, this program serves {own}; send it to that model's insights")]
    OtherModel { offered: String, own: String },
}

/// Answer of `PUT` and `GET /control/table`: what is in effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Acknowledgement {
    pub revision: u64,
    /// SHA-256 of the signed payload.
    pub hash: String,
}

/// An arm's share of an experiment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Share {
    pub arm: String,
    pub version: String,
    /// Of the experiment's 10,000.
    pub buckets: u16,
}

/// The shares of an experiment, kept when it has left the table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// The newest table that named it.
    pub revision: u64,
    pub arms: Vec<Share>,
}

/// A table in effect.
#[derive(Debug)]
pub struct InEffect {
    pub table: Table,
    pub hash: String,
}

impl InEffect {
    pub fn active_version(&self) -> Option<&str> {
        self.table.arms.iter().find(|arm| arm.name == ACTIVE).map(|arm| arm.version.as_str())
    }
}

pub struct Tables {
    trust: Trust,
    /// `<namespace>/<model>`; taken from the first table when not given.
    own: Option<String>,
    keeper: Keeper,
    current: ArcSwapOption<InEffect>,
    shares: Mutex<BTreeMap<String, Shares>>,
    wanted: watch::Sender<Option<Pack>>,
}

impl Tables {
    /// With what was kept, if it still verifies.
    pub fn open(trust: Trust, own: Option<String>, keeper: Keeper) -> Self {
        let shares = keeper.read_json(SHARES).unwrap_or_default();
        let tables = Self {
            trust,
            own,
            keeper,
            current: ArcSwapOption::empty(),
            shares: Mutex::new(shares),
            wanted: watch::Sender::new(None),
        };
        if let Some(envelope) = tables.keeper.read_json::<Envelope>(TABLE)
            && let Err(error) = tables.take(&envelope)
        {
            tracing::error!(%error, "the kept table is refused");
        }
        tables
    }

    pub fn current(&self) -> Option<Arc<InEffect>> {
        self.current.load_full()
    }

    /// Where the active version's artifact lies, as tables come.
    pub fn wanted(&self) -> watch::Receiver<Option<Pack>> {
        self.wanted.subscribe()
    }

    pub fn shares(&self, experiment: &str) -> Option<Shares> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner).get(experiment).cloned()
    }

    /// Verifies a table, puts it in effect and keeps it. Blocking for the time of two small writes.
    pub fn take(&self, envelope: &Envelope) -> Result<Acknowledgement, TakeError> {
        let table = self.trust.verify(envelope)?;
        // One table is taken at a time.
        let mut shares = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        let name_of = |table: &Table| format!("{}/{}", table.namespace, table.model);
        let (offered, current) = (name_of(&table), self.current());
        let served = current.as_ref().map(|current| name_of(&current.table));
        if let Some(own) = self.own.clone().or(served)
            && own != offered
        {
            return Err(TakeError::OtherModel { offered, own });
        }
        let acknowledgement = Acknowledgement { revision: table.revision, hash: envelope.sha256.clone() };
        if let Some(current) = current {
            let (offered, in_effect) = (table.revision, current.table.revision);
            if offered < in_effect {
                return Err(TakeError::LowerRevision { offered, current: in_effect });
            }
            if offered == in_effect && current.hash != envelope.sha256 {
                return Err(TakeError::SameRevision { revision: offered });
            }
            if offered == in_effect {
                return Ok(acknowledgement);
            }
        }
        if remember(&mut shares, &table)
            && let Err(error) = self.keeper.write_json(SHARES, &*shares)
        {
            tracing::error!(%error, "the experiment's shares are not kept");
        }
        if let Err(error) = self.keeper.write_json(TABLE, envelope) {
            tracing::error!(%error, "the table is not kept; a restart would wait for the next one");
        }
        tracing::info!(revision = table.revision, hash = envelope.sha256, "table in effect");
        let pack = table.pack.clone();
        self.current.store(Some(Arc::new(InEffect { table, hash: envelope.sha256.clone() })));
        self.wanted.send_replace(Some(pack));
        Ok(acknowledgement)
    }

    pub fn acknowledgement(&self) -> Option<Acknowledgement> {
        let current = self.current()?;
        Some(Acknowledgement { revision: current.table.revision, hash: current.hash.clone() })
    }
}

/// Takes the shares of the table's experiment; whether that changes anything.
fn remember(shares: &mut BTreeMap<String, Shares>, table: &Table) -> bool {
    let Some(experiment) = &table.experiment else { return false };
    let arms = experiment
        .arms
        .iter()
        .map(|arm| Share { arm: arm.name.clone(), version: arm.version.clone(), buckets: arm.weight() })
        .collect();
    let new = Shares { revision: table.revision, arms };
    if shares.get(&experiment.name) == Some(&new) {
        return false;
    }
    shares.insert(experiment.name.clone(), new);
    while shares.len() > MAX_REMEMBERED {
        let oldest = shares.iter().min_by_key(|(_, shares)| shares.revision).map(|(name, _)| name.clone());
        let Some(oldest) = oldest else { break };
        shares.remove(&oldest);
    }
    true
}
