//! Leader election on a Lease: who holds it writes, all others only watch. A holder that cannot renew in time ends its program before
//! anybody else may take over, so that there are never two.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};

/// Others may take over when the holder was silent for so long.
const HELD_FOR: Duration = Duration::from_secs(15);
/// The holder gives up when it could not renew for so long.
const RENEW_WITHIN: Duration = Duration::from_secs(10);
/// How often it is renewed, or asked for.
const EVERY: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub struct Election {
    api: Api<Lease>,
    name: String,
    identity: String,
}

/// What the others' silence is measured with: their clocks are not ours, so only changes count.
#[derive(Debug)]
struct Seen {
    version: Option<String>,
    since: tokio::time::Instant,
}

impl Election {
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        Self { api: Api::namespaced(client, namespace), name: name.to_owned(), identity: identity.to_owned() }
    }

    /// Returns when this program holds the Lease.
    pub async fn acquire(&self) {
        let mut seen = Seen { version: None, since: tokio::time::Instant::now() };
        loop {
            match self.try_acquire(&mut seen).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(error) => tracing::warn!("failed to ask for the Lease {}: {error:#}", self.name),
            }
            tokio::time::sleep(EVERY).await;
        }
    }

    async fn try_acquire(&self, seen: &mut Seen) -> Result<bool> {
        let Some(lease) = self.api.get_opt(&self.name).await.context("failed to read the Lease")? else {
            let fresh = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.held(None)),
            };
            self.api.create(&PostParams::default(), &fresh).await.context("failed to create the Lease")?;
            return Ok(true);
        };
        let spec = lease.spec.clone().unwrap_or_default();
        if seen.version != lease.metadata.resource_version {
            *seen = Seen { version: lease.metadata.resource_version.clone(), since: tokio::time::Instant::now() };
        }
        let is_free = spec.holder_identity.as_deref().is_none_or(str::is_empty);
        let is_own = spec.holder_identity.as_deref() == Some(&self.identity);
        let lasts = spec.lease_duration_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = lasts.map_or(HELD_FOR, Duration::from_secs);
        if !is_free && !is_own && seen.since.elapsed() < lasts {
            return Ok(false);
        }
        let mut wanted = lease;
        wanted.spec = Some(self.held(Some(&spec)));
        // The resource version is in it: of several that try, one succeeds.
        self.api.replace(&self.name, &PostParams::default(), &wanted).await.context("failed to take the Lease")?;
        Ok(true)
    }

    fn held(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
        let is_own = before.and_then(|spec| spec.holder_identity.as_deref()) == Some(&self.identity);
        let transitions = before.and_then(|spec| spec.lease_transitions).unwrap_or(0);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(HELD_FOR.as_secs()).ok(),
            acquire_time: if is_own { before.and_then(|spec| spec.acquire_time.clone()) } else { Some(now.clone()) },
            renew_time: Some(now),
            lease_transitions: Some(if is_own || before.is_none() { transitions } else { transitions + 1 }),
            ..LeaseSpec::default()
        }
    }

    /// Renews for as long as it can; returns why it no longer holds the Lease.
    pub async fn hold(&self) -> anyhow::Error {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::time::sleep(EVERY).await;
            let left = RENEW_WITHIN.saturating_sub(renewed.elapsed());
            let began = tokio::time::Instant::now();
            match tokio::time::timeout(left.max(Duration::from_millis(1)), self.renew()).await {
                Ok(Ok(())) => renewed = began,
                Ok(Err(error)) if error.downcast_ref::<Lost>().is_some() => return error,
                Ok(Err(error)) => tracing::warn!("failed to renew the Lease {}: {error:#}", self.name),
                Err(_) => {}
            }
            if renewed.elapsed() >= RENEW_WITHIN {
                return anyhow::anyhow!(
                    "the Lease {} could not be renewed for {} s",
                    self.name,
                    RENEW_WITHIN.as_secs()
                );
            }
        }
    }

    async fn renew(&self) -> Result<()> {
        let lease = self.api.get(&self.name).await.context("failed to read the Lease")?;
        let spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() != Some(&self.identity) {
            bail!(Lost(spec.holder_identity.unwrap_or_default()));
        }
        let mut wanted = lease;
        wanted.spec = Some(self.held(Some(&spec)));
        self.api.replace(&self.name, &PostParams::default(), &wanted).await.context("failed to write the Lease")?;
        Ok(())
    }

    /// Lets go, so that the next one need not wait.
    pub async fn release(&self) -> Result<()> {
        let Some(lease) = self.api.get_opt(&self.name).await? else { return Ok(()) };
        let mut spec = lease.spec.clone().unwrap_or_default();
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = None;
            spec.renew_time = Timestamp::now().checked_sub(SignedDuration::from_secs(60)).ok().map(MicroTime);
            self.api.replace(&self.name, &PostParams::default(), &Lease { spec: Some(spec), ..lease }).await?;
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the Lease is held by {0:?} now")]
struct Lost(String);
