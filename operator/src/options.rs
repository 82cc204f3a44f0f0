//! The command line; each option is also an environment variable.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use endcap_crds::common::text::DurationText;
use k8s_openapi::api::networking::v1::{NetworkPolicyEgressRule, NetworkPolicyPeer};

/// Carries out, on Kubernetes, what RecommenderModels ask for.
#[derive(Debug, Parser)]
#[command(name = "endcap-operator", version)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Option<Command>,
    #[command(flatten)]
    pub options: Options,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Ask a URL until it answers with success; the chart's `helm test` uses it
    Check {
        #[arg(long)]
        url: String,
        /// Seconds to go on asking
        #[arg(long, default_value_t = 60)]
        timeout: u64,
    },
}

#[derive(Debug, Clone, Args)]
pub struct Options {
    /// The release's image: recorded on new versions, used by every child
    #[arg(long, env = "ENDCAP_IMAGE", default_value = concat!("localhost/endcap:", env!("CARGO_PKG_VERSION")))]
    pub image: String,
    /// Image for `device: Gpu`; that of --image with `-gpu` after its tag when missing
    #[arg(long, env = "ENDCAP_GPU_IMAGE")]
    pub gpu_image: Option<String>,
    /// When nodes pull images: IfNotPresent, Always or Never
    #[arg(long, env = "ENDCAP_IMAGE_PULL_POLICY", default_value = "IfNotPresent", value_parser = ["IfNotPresent", "Always", "Never"])]
    pub image_pull_policy: String,
    /// Namespaces to look after; all of them when none is named
    #[arg(long, env = "ENDCAP_WATCH_NAMESPACES", value_delimiter = ',')]
    pub watch_namespaces: Vec<String>,
    /// Secret key that signs routing tables: ed25519 as PKCS8 PEM or 64 hex digits
    #[arg(long, env = "ENDCAP_SIGNING_KEY", value_name = "FILE")]
    pub signing_key: Option<PathBuf>,
    /// Another public key that routers trust while keys are exchanged
    #[arg(long, env = "ENDCAP_TRUSTED_KEY", value_name = "HEX|FILE")]
    pub trusted_key: Option<String>,
    /// Namespace of the Lease; that of the operator when missing
    #[arg(long, env = "ENDCAP_LEASE_NAMESPACE")]
    pub lease_namespace: Option<String>,
    #[arg(long, env = "ENDCAP_LEASE_NAME", default_value = "endcap-operator")]
    pub lease_name: String,
    /// Who this program is in the Lease; its host's name when missing
    #[arg(long, env = "ENDCAP_IDENTITY")]
    pub identity: Option<String>,
    /// Reconcile without a Lease: only when nothing else does
    #[arg(long, env = "ENDCAP_NO_LEADER_ELECTION")]
    pub no_leader_election: bool,
    /// Where the operator's own pods are: NetworkPolicies let them in
    #[arg(long, env = "ENDCAP_OPERATOR_NAMESPACE", default_value = "endcap-system")]
    pub operator_namespace: String,
    /// Trainings that may run at once, over all models
    #[arg(long, env = "ENDCAP_MAX_CONCURRENT_TRAININGS", default_value_t = 10)]
    pub max_concurrent_trainings: u32,
    /// Who may scrape metrics ports: a JSON list of NetworkPolicyPeers
    #[arg(long, env = "ENDCAP_METRICS_FROM", value_parser = json::<Peers>)]
    pub metrics_from: Option<Peers>,
    /// Where pods find object stores: a JSON list of NetworkPolicyEgressRules; anywhere on 443 when missing
    #[arg(long, env = "ENDCAP_STORE_EGRESS", value_parser = json::<Egress>)]
    pub store_egress: Option<Egress>,
    /// How long a deletion waits for an object store that is away
    #[arg(long, env = "ENDCAP_DELETION_BOUND", default_value = "10m", value_parser = duration)]
    pub deletion_bound: Duration,
    /// How long finished Jobs stay, for their logs
    #[arg(long, env = "ENDCAP_JOB_TTL", default_value = "1h", value_parser = duration)]
    pub job_ttl: Duration,
    /// Reconciles that run at once
    #[arg(long, env = "ENDCAP_WORKERS", default_value_t = 8)]
    pub workers: usize,
    #[arg(long, env = "ENDCAP_METRICS_LISTEN", default_value = "0.0.0.0:9090")]
    pub metrics_listen: SocketAddr,
    /// End when standard input is closed
    #[arg(long)]
    pub exit_with_stdin: bool,
}

/// A JSON list of peers.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Peers(pub Vec<NetworkPolicyPeer>);

/// A JSON list of rules.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(transparent)]
pub struct Egress(pub Vec<NetworkPolicyEgressRule>);

fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_str(text).map_err(|error| format!("write a JSON list as in a NetworkPolicy: {error}"))
}

fn duration(text: &str) -> Result<Duration, String> {
    DurationText::from(text).as_millis().map(Duration::from_millis).map_err(|error| error.to_string())
}

impl Options {
    /// The image for pods with a GPU.
    pub fn gpu_image(&self) -> String {
        self.gpu_image.clone().unwrap_or_else(|| {
            let image = self.image.split('@').next().unwrap_or(&self.image);
            let has_tag = image.rsplit('/').next().is_some_and(|last| last.contains(':'));
            if has_tag { format!("{image}-gpu") } else { format!("{image}:latest-gpu") }
        })
    }
}
