//! The plugin as a person runs it: the real program, the real `kubectl proxy` on its socket, and `endcap up` as the API server behind it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use endcap::children::Running;
use endcap::client::{Client, Server};
use endcap_crds::Kind;
use endcap_simulator::{Preset, World, WorldSpec};
use serde_json::{Value, json};
use tokio::process::Command;

const DAYS: u32 = 180;

fn generate(folder: &Path) {
    let today = jiff::Zoned::now().with_time_zone(jiff::tz::TimeZone::UTC).date();
    let mut spec = WorldSpec::new(Preset::GiftShop, 400, 300, DAYS, 7);
    spec.start = today.checked_sub(jiff::Span::new().days(i64::from(DAYS))).unwrap();
    World::generate(&spec).unwrap().write(&folder.join("dataset"), &mut |_| {}).unwrap();
}

fn objects(folder: &Path) -> [Value; 2] {
    let uri = |name: &str| format!("file://{}", folder.join(name).display());
    [
        json!({
            "apiVersion": "endcap.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": "asked"},
            "spec": {
                "mode": "Manual", "offline": {"gates": []},
                "steps": [
                    {"name": "tenth", "weight": 10, "minDuration": "1s"},
                    {"name": "all", "weight": 100, "requireApproval": true}
                ],
                "online": {"interval": "10s", "minSamples": 0, "gates": []},
                "rollback": {"keepPreviousWarm": "1s"}
            }
        }),
        json!({
            "apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "metadata": {"name": "shop"},
            "spec": {
                "architecture": "Rules",
                "data": {
                    "sources": [{"name": "shop", "provides": ["Orders", "OrderLines", "Customers", "Products"],
                        "object": {"uri": uri("dataset"), "format": "Parquet"}}],
                    "minimum": {"activeCustomers": 10, "orders": 100, "products": 10}
                },
                "artifacts": {"uri": uri("artifacts")},
                "serving": {"replicas": 1},
                "routing": {"replicas": 1},
                "promotionPolicyRef": {"name": "asked"}
            }
        }),
    ]
}

struct Stage {
    folder: tempfile::TempDir,
    up: Running,
    client: Client,
}

impl Stage {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        generate(folder.path());
        let state = folder.path().join("state").display().to_string();
        let args = ["up", "--state", &state, "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"];
        let up = Running::start("endcap", "up", &args.map(str::to_owned), folder.path()).await.unwrap();
        let server = up.url("console").unwrap();
        let config = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "up",
            "clusters": [{"name": "up", "cluster": {"server": server}}],
            "users": [{"name": "me", "user": {}}],
            "contexts": [{"name": "up", "context": {"cluster": "up", "user": "me", "namespace": "default"}}]
        });
        std::fs::write(folder.path().join("kubeconfig"), config.to_string()).unwrap();
        std::fs::create_dir(folder.path().join("tmp")).unwrap();
        let client = Client::new(&Server { server, namespace: "default".to_owned() }).unwrap();
        for object in objects(folder.path()) {
            client.apply(object, "test", true).await.unwrap();
        }
        let stage = Self { folder, up, client };
        stage.active("shop-v1").await;
        stage
    }

    async fn active(&self, version: &str) {
        let until = Instant::now() + Duration::from_secs(120);
        loop {
            let model = self.client.get(Kind::RecommenderModel, "shop").await.unwrap();
            if model.pointer("/status/activeVersion") == Some(&json!(version)) {
                return;
            }
            assert!(Instant::now() < until, "{version} does not serve: {model:#}");
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-endcap"));
        command
            .args(args)
            .env("KUBECONFIG", self.folder.path().join("kubeconfig"))
            .env("TMPDIR", self.tmp())
            .env_remove("XDG_RUNTIME_DIR")
            .stdin(Stdio::null());
        command
    }

    fn tmp(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// Runs the plugin; its exit code and all that it said.
    async fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let Output { status, stdout, stderr } = self.command(args).output().await.unwrap();
        let text = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        println!("$ kubectl endcap {}\n{text}", args.join(" "));
        (status.code(), text)
    }

    /// The proxy of a plugin that has ended goes within a moment, with its socket and folder.
    async fn nothing_is_left(&self) {
        let until = Instant::now() + Duration::from_secs(10);
        while std::fs::read_dir(self.tmp()).unwrap().next().is_some() {
            assert!(Instant::now() < until, "a socket is left in {}", self.tmp().display());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_model_is_steered_through_kubectl() {
    if Command::new("kubectl").arg("version").arg("--client").output().await.is_err() {
        println!("NOT RUN: kubectl is not in PATH");
        return;
    }
    let stage = Stage::start().await;

    // Nobody has asked the shop anything yet: the training has no events to read, and does without.
    let (code, said) = stage.run(&["retrain", "shop", "--wait", "--timeout", "3m"]).await;
    assert!(code == Some(0) && said.contains("shop-v2 is Ready"), "{said}");
    let (_, said) = stage.run(&["versions", "shop"]).await;
    assert!(said.lines().nth(1).is_some_and(|line| line.starts_with("shop-v2   Ready")), "{said}");
    let (_, said) = stage.run(&["diff", "shop", "1", "v2"]).await;
    assert!(said.contains("ndcg@10 (validation)"), "{said}");

    // The last step waits for a person: the time is up before.
    let (code, said) = stage.run(&["promote", "shop", "2", "--wait", "--timeout", "5s"]).await;
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains(r#"kubectl patch recm shop -n default --type=merge -p '{"spec":{"promotedVersion":"shop-v2"}}'"#),
        "{said}"
    );
    let (_, said) = stage.run(&["status"]).await;
    assert!(said.contains("shop-v1 -> shop-v2") && said.contains("10 % on the wire"), "{said}");
    let (code, said) = stage.run(&["rollback", "shop"]).await;
    assert!(code == Some(3) && said.contains("`abort shop`"), "{said}");
    let (code, said) = stage.run(&["approve", "shop"]).await;
    assert!(code == Some(0) && said.contains("Step all of shop-v2 is approved"), "{said}");
    let (code, said) = stage.run(&["promote", "shop-v2", "--wait", "--timeout", "2m"]).await;
    assert_eq!(code, Some(0), "{said}");
    stage.active("shop-v2").await;

    let (code, said) = stage.run(&["rollback", "shop", "--wait", "--timeout", "2m"]).await;
    assert!(code == Some(0) && said.contains("shop-v1 takes the place of shop-v2"), "{said}");
    stage.active("shop-v1").await;
    let (_, said) = stage.run(&["history", "shop"]).await;
    assert_eq!(said.matches("Promoted").count(), 3, "{said}");

    // A new version waits for its approval, and is aborted meanwhile.
    let (_, said) = stage.run(&["retrain", "shop", "--wait", "--timeout", "3m"]).await;
    assert!(said.contains("shop-v3 is Ready"), "{said}");
    let promoting = stage.run(&["promote", "shop", "3", "--wait", "--timeout", "2m"]);
    let aborting = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stage.run(&["abort", "shop-v3"]).await
    };
    let ((code, said), _) = tokio::join!(promoting, aborting);
    assert!(code == Some(1) && said.contains("aborted"), "{said}");
    let (code, said) = stage.run(&["retry", "shop"]).await;
    assert!(code == Some(0) && said.contains("shop-v3 may be tried again"), "{said}");

    // What is wrong is said, with exit codes that no --wait has.
    let (code, said) = stage.run(&["promote", "shop", "9"]).await;
    assert!(code == Some(3) && said.contains("shop has shop-v1, shop-v2, shop-v3"), "{said}");
    assert_eq!(stage.run(&["--context", "nowhere", "status"]).await.0, Some(3));
    assert_eq!(stage.run(&["promote"]).await.0, Some(64));

    // However it ends, kubectl ends with it.
    let mut console = stage.command(&["console", "--port", "0"]).stdout(Stdio::null()).spawn().unwrap();
    let until = Instant::now() + Duration::from_secs(20);
    while std::fs::read_dir(stage.tmp()).unwrap().next().is_none() {
        assert!(Instant::now() < until, "no socket appeared");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    console.kill().await.unwrap();
    stage.nothing_is_left().await;
    stage.up.stop().await.unwrap();
}
