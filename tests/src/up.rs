//! `endcap up` as a child of a test: a generated shop, a model of rules, steps of seconds.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use endcap::children::Running;
use endcap::client::{Client, Server};
use endcap_crds::Kind;
use endcap_simulator::{Preset, World, WorldSpec};
use serde_json::{Value, json};

pub const MODEL: &str = "shop";

/// A shop's tables, whose last day was yesterday.
pub fn generate(folder: &Path, seed: u64, customers: u32, products: u32) -> Result<PathBuf> {
    const DAYS: u32 = 180;
    let dataset = folder.join("dataset");
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let mut spec = WorldSpec::new(Preset::GiftShop, customers, products, DAYS, seed);
    spec.start = today.checked_sub(jiff::Span::new().days(i64::from(DAYS)))?;
    World::generate(&spec)?.write(&dataset, &mut |_| {})?;
    Ok(dataset)
}

/// The model, with what a test wants otherwise.
pub fn model(folder: &Path, changes: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "metadata": {"name": MODEL},
        "spec": {
            "architecture": "Rules",
            "data": {
                "sources": [{
                    "name": "shop", "provides": ["Orders", "OrderLines", "Customers", "Products"],
                    "object": {"uri": format!("file://{}", folder.join("dataset").display()), "format": "Parquet"}
                }],
                "minimum": {"activeCustomers": 10, "orders": 100, "products": 10}
            },
            "artifacts": {"uri": format!("file://{}", folder.join("artifacts").display())},
            "serving": {"replicas": 1},
            "routing": {"replicas": 2},
            "promotionPolicyRef": {"name": "quick"}
        }
    });
    endcap::up::fields::merge(&mut object, changes);
    object
}

/// Every version is promoted by itself; two steps, and the rest.
pub fn policy(changes: &Value) -> Value {
    let mut object = json!({
        "apiVersion": "endcap.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": "quick"},
        "spec": {
            "mode": "Automatic",
            "offline": {"gates": []},
            "steps": [
                {"name": "tenth", "weight": 10, "minDuration": "2s"},
                {"name": "half", "weight": 50, "minDuration": "2s"},
                {"name": "all", "weight": 100}
            ],
            "online": {"interval": "10s", "minSamples": 0, "gates": []},
            "rollback": {"keepPreviousWarm": "2s"}
        }
    });
    endcap::up::fields::merge(&mut object, changes);
    object
}

pub struct Up {
    running: Running,
    pub client: Client,
    folder: PathBuf,
    console: String,
}

impl Up {
    /// Starts it on a folder; the console keeps its port over restarts.
    pub async fn start(folder: &Path) -> Result<Self> {
        let console = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        Self::on(folder, console).await
    }

    async fn on(folder: &Path, console: String) -> Result<Self> {
        let state = folder.join("state").display().to_string();
        let args = ["up", "--state", &state, "--listen", "127.0.0.1:0", "--console", &console];
        let running = Running::start("endcap", "up", &args.map(str::to_owned), folder).await?;
        let server = running.url("console")?;
        let client = Client::new(&Server { server, namespace: "default".to_owned() })?;
        Ok(Self { running, client, folder: folder.to_owned(), console })
    }

    pub async fn stop(self) -> Result<()> {
        self.running.stop().await
    }

    /// kill -9, then start again as a supervisor would.
    pub async fn kill(&mut self) -> Result<()> {
        self.running.kill().await?;
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            match Self::on(&self.folder, self.console.clone()).await {
                Ok(again) => {
                    *self = again;
                    return Ok(());
                }
                // Its children notice within a moment that it is gone.
                Err(error) if Instant::now() > until => return Err(error),
                Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
            }
        }
    }

    pub async fn apply(&self, object: Value) -> Result<()> {
        self.client.apply(object, "test", true).await?;
        Ok(())
    }

    pub async fn patch(&self, patch: &Value) -> Result<()> {
        self.client.patch(Kind::RecommenderModel, MODEL, patch).await?;
        Ok(())
    }

    pub async fn retrain(&self, token: &str) -> Result<()> {
        self.patch(&json!({"spec": {"retraining": {"trigger": token}}})).await
    }

    pub async fn abort(&self, version: &str) -> Result<()> {
        self.patch(&json!({"spec": {"rollout": {"abortVersion": version}}})).await
    }

    pub async fn model(&self) -> Result<Value> {
        self.client.get(Kind::RecommenderModel, MODEL).await
    }

    /// Looks at the model until something is so.
    pub async fn until<T>(&self, what: &str, limit: Duration, is_so: impl Fn(&Value) -> Option<T>) -> Result<T> {
        let until = Instant::now() + limit;
        let mut last = Value::Null;
        loop {
            if let Ok(model) = self.model().await {
                if let Some(found) = is_so(&model) {
                    return Ok(found);
                }
                last = model;
            }
            if Instant::now() > until {
                bail!("not within {} s: {what}; {:#}", limit.as_secs(), last.get("status").unwrap_or(&Value::Null));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub async fn ready(&self) -> Result<String> {
        self.until("the model is ready", Duration::from_secs(120), |model| {
            (condition(model, "Ready") == Some("True")).then(|| text(model, "/status/url"))
        })
        .await
    }

    pub async fn serves(&self, version: &str) -> Result<()> {
        self.until(&format!("{version} serves"), Duration::from_secs(180), |model| {
            let is_over = model.pointer("/status/rollout").is_none_or(Value::is_null);
            (text(model, "/status/activeVersion") == version && is_over).then_some(())
        })
        .await
    }

    /// The version stands on a step of so many percent.
    pub async fn stands_at(&self, version: &str, weight: i64) -> Result<()> {
        self.until(&format!("{version} has {weight}%"), Duration::from_secs(120), |model| {
            let now = model.pointer("/status/rollout/weight").and_then(Value::as_i64);
            (text(model, "/status/rollout/version") == version && now == Some(weight)).then_some(())
        })
        .await
    }

    /// Process ids by program, such as `router-0`, `predictor shop-v1`.
    pub async fn pids(&self) -> Result<Vec<(String, u32)>> {
        let url = format!("{}/console/programs", self.client.server);
        let body = self.client.send(self.client.http.get(url)).await?;
        let programs = body.pointer("/0/programs").and_then(Value::as_array).cloned().unwrap_or_default();
        let one =
            |program: &Value| Some((text(program, "/program"), u32::try_from(program.get("pid")?.as_u64()?).ok()?));
        Ok(programs.iter().filter_map(one).collect())
    }

    pub async fn pid(&self, program: &str) -> Result<u32> {
        let pids = self.pids().await?;
        let found = pids.iter().find(|(name, _)| name.starts_with(program)).map(|(_, pid)| *pid);
        found.with_context(|| format!("{program} does not run; there are {pids:?}"))
    }
}

/// Sends a signal to a process that a test started.
pub fn signal(pid: u32, name: &str) -> Result<()> {
    let status = std::process::Command::new("kill").args([&format!("-{name}"), &pid.to_string()]).status()?;
    anyhow::ensure!(status.success(), "kill -{name} {pid} ended with {status}");
    Ok(())
}

pub fn text(object: &Value, pointer: &str) -> String {
    endcap::up::objects::text_at(object, pointer)
}

pub fn condition<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    let list = object.pointer("/status/conditions")?.as_array()?;
    list.iter().find(|one| one.get("type").and_then(Value::as_str) == Some(name))?.get("status")?.as_str()
}
