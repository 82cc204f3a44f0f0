//! What a router knows: the table in effect and how a new one is taken.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use utoipa::ToSchema;

use super::counters::Counters;
use super::endpoint::Endpoints;
use super::routing::{Routing, RoutingError};
use crate::table::{ArmWeight, Envelope, EnvelopeError, Pack, Trust};

/// Why a table is not taken.
#[derive(Debug, thiserror::Error)]
pub enum TakeError {
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    #[error("revision {offered} is lower than {current}, which is in effect; raise the revision")]
    LowerRevision { offered: u64, current: u64 },
    #[error("revision {revision} is in effect with another content; raise the revision with every change")]
    SameRevision { revision: u64 },
    #[error("the table is for {offered}, this router serves {own}; send it to that model's routers")]
    OtherModel { offered: String, own: String },
    #[error(transparent)]
    Routing(#[from] RoutingError),
}

/// Answer of `PUT` and `GET /control/table`: the acknowledgement, which says what is in effect, not what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TableReport {
    pub revision: u64,
    /// SHA-256 of the signed payload.
    pub hash: String,
    pub weights: Vec<ArmWeight>,
    /// Digest of the pack that is loaded; it follows the table within seconds.
    pub pack: Option<String>,
    /// Whether the table was written to this machine's disk too.
    pub persisted: bool,
    pub start_id: String,
}

pub struct Tables {
    trust: Trust,
    /// `<namespace>/<model>` that this router serves; taken from the first table when not given.
    own: Option<String>,
    cache: Option<PathBuf>,
    pub endpoints: Arc<Endpoints>,
    pub counters: Arc<Counters>,
    current: ArcSwapOption<Routing>,
    /// One table is taken at a time.
    taking: Mutex<()>,
    wanted_pack: watch::Sender<Option<Pack>>,
}

impl Tables {
    pub fn new(trust: Trust, own: Option<String>, cache: Option<PathBuf>, counters: Arc<Counters>) -> Self {
        Self {
            trust,
            own,
            cache,
            endpoints: Arc::default(),
            counters,
            current: ArcSwapOption::empty(),
            taking: Mutex::new(()),
            wanted_pack: watch::Sender::new(None),
        }
    }

    pub fn current(&self) -> Option<Arc<Routing>> {
        self.current.load_full()
    }

    pub fn wanted_pack(&self) -> watch::Receiver<Option<Pack>> {
        self.wanted_pack.subscribe()
    }

    /// Verifies a table, puts it in effect, and keeps it on disk. Blocking for the time of one small write.
    /// `Ok(false)`: in effect, but not kept.
    pub fn take(&self, envelope: &Envelope) -> Result<bool, TakeError> {
        let table = self.trust.verify(envelope)?;
        let _one_at_a_time = self.taking.lock().unwrap_or_else(PoisonError::into_inner);
        let offered = format!("{}/{}", table.namespace, table.model);
        let current = self.current();
        let served = current.as_ref().map(|routing| format!("{}/{}", routing.table.namespace, routing.table.model));
        if let Some(own) = self.own.clone().or(served)
            && own != offered
        {
            return Err(TakeError::OtherModel { offered, own });
        }
        if let Some(current) = current {
            let (offered, current_revision) = (table.revision, current.table.revision);
            if offered < current_revision {
                return Err(TakeError::LowerRevision { offered, current: current_revision });
            }
            if offered == current_revision && current.hash != envelope.sha256 {
                return Err(TakeError::SameRevision { revision: offered });
            }
            if offered == current_revision {
                return Ok(self.keep(envelope));
            }
        }
        let pack = table.pack.clone();
        let routing = Routing::new(table, envelope.sha256.clone(), &self.endpoints, &self.counters)?;
        tracing::info!(revision = routing.table.revision, hash = routing.hash, "table in effect");
        self.current.store(Some(Arc::new(routing)));
        let kept = self.keep(envelope);
        self.wanted_pack.send_replace(Some(pack));
        Ok(kept)
    }

    fn keep(&self, envelope: &Envelope) -> bool {
        let Some(path) = &self.cache else { return false };
        let written =
            serde_json::to_vec_pretty(envelope).map_err(std::io::Error::other).and_then(|text| replace(path, &text));
        if let Err(error) = &written {
            tracing::error!(path = %path.display(), %error, "failed to keep the table; a restart would start from --table");
        }
        written.is_ok()
    }

    /// Takes the table of a file, if there is one. What is wrong with it is logged: another source may be good.
    pub fn take_file(&self, path: &Path) -> bool {
        let text = match std::fs::read(path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return false,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "failed to read the table");
                return false;
            }
        };
        let taken = serde_json::from_slice::<Envelope>(&text)
            .map_err(|error| TakeError::Envelope(EnvelopeError::NotAnEnvelope(error.to_string())))
            .and_then(|envelope| self.take(&envelope));
        match taken {
            Ok(_) => true,
            // The other source was newer.
            Err(TakeError::LowerRevision { .. }) => false,
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the table is refused");
                false
            }
        }
    }

    pub fn report(&self, pack: Option<String>, persisted: bool) -> Option<TableReport> {
        let routing = self.current()?;
        Some(TableReport {
            revision: routing.table.revision,
            hash: routing.hash.clone(),
            weights: routing.table.weights(),
            pack,
            persisted,
            start_id: self.counters.start_id.clone(),
        })
    }
}

/// Writes a file so that either the old or the new one is there, whatever happens.
fn replace(path: &Path, text: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let temporary = path.with_extension("new");
    let mut file = std::fs::File::create(&temporary)?;
    file.write_all(text)?;
    file.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(folder)?.sync_all()
}
