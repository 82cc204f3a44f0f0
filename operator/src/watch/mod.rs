//! What is known of the cluster: one watch a kind, kept by the model that it belongs to. Reconciles read here and nowhere else.

pub mod child;
pub mod index;
pub mod packed;
pub mod pod;

use std::collections::HashSet;
use std::fmt::Debug;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use endcap_crds::{Experiment, ModelVersion, PromotionPolicy, RecommenderModel};
use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ApiResource, DynamicObject};
use kube::core::NamespaceResourceScope;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_kind};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;

use crate::queue::{Queue, Work};
use child::Child;
use index::Index;
use packed::PackedVersion;
use pod::PodFacts;

/// Objects of a list that are in memory at once, whole: a dozen watches are filled at the same time.
const PAGE: u32 = 200;

/// Namespace and name of a model.
pub type Key = (String, String);

/// Everything that is watched.
#[derive(Debug, Default)]
pub struct Caches {
    pub models: Index<RecommenderModel>,
    pub versions: Index<PackedVersion>,
    pub experiments: Index<Experiment>,
    /// By policy, not by model.
    pub policies: Index<PromotionPolicy>,
    pub children: Index<Child>,
    pub pods: Index<PodFacts>,
    /// Watches that have not been filled for the first time.
    unfilled: AtomicUsize,
}

impl Caches {
    pub fn is_filled(&self) -> bool {
        self.unfilled.load(Ordering::Acquire) == 0
    }

    /// Models of a namespace that name a policy.
    pub fn models_of_policy(&self, namespace: &str, policy: &str) -> Vec<Key> {
        self.models.filter(|key, model| {
            key.0 == namespace
                && model.spec.promotion_policy_ref.as_ref().is_some_and(|wanted| wanted.name.as_str() == policy)
        })
    }
}

/// What is kept of an object, with its model and its name.
type Kept<V> = (Key, String, V);

/// Where objects of a kind are kept, and whose turn it is when one changes.
struct Feed<K, V> {
    caches: Arc<Caches>,
    queue: Arc<Queue>,
    index: fn(&Caches) -> &Index<V>,
    /// Key, name and what is kept of an object of a kind (items of a list do not say theirs); nothing when it is nobody's.
    keep: fn(&str, K) -> Option<Kept<V>>,
    works: fn(&Caches, &Key, &str) -> Vec<Work>,
}

impl<K, V> Clone for Feed<K, V> {
    fn clone(&self) -> Self {
        Self { caches: self.caches.clone(), queue: self.queue.clone(), ..*self }
    }
}

/// Starts all watches; they go on until the program ends.
pub fn start(client: &Client, namespaces: &[String], caches: &Arc<Caches>, queue: &Arc<Queue>) {
    macro_rules! feed {
        ($index:ident, $keep:expr, $works:expr) => {
            Feed {
                caches: caches.clone(),
                queue: queue.clone(),
                index: |caches| &caches.$index,
                keep: $keep,
                works: $works,
            }
        };
    }
    let all = watcher::Config::default().page_size(PAGE);
    let own = watcher::Config::default().page_size(PAGE).labels(&format!("{}=endcap", crate::build::meta::MANAGED_BY));
    typed(client, namespaces, &all, &feed!(models, |_, model| whole_model(model), model_and_policies));
    typed(client, namespaces, &all, &feed!(versions, |_, version| version_of(&version), model_alone));
    typed(client, namespaces, &all, &feed!(experiments, |_, experiment| experiment_of(experiment), model_alone));
    typed(client, namespaces, &all, &feed!(policies, |_, policy| whole_policy(policy), policy_and_models));
    typed(client, namespaces, &own, &feed!(pods, |_, pod| pod_of(&pod), model_alone));
    for kind in child::KINDS {
        let resource = kind.resource();
        let feed: Feed<DynamicObject, Child> = feed!(children, |kind, object| child::keep(kind, &object), model_alone);
        each(namespaces, |namespace| {
            let api: Api<DynamicObject> = match namespace {
                Some(namespace) => Api::namespaced_with(client.clone(), namespace, &resource),
                None => Api::all_with(client.clone(), &resource),
            };
            spawn(api, &resource, kind.as_str(), namespace, own.clone(), feed.clone());
        });
    }
}

fn each(namespaces: &[String], start: impl Fn(Option<&str>)) {
    if namespaces.is_empty() {
        start(None);
    }
    for namespace in namespaces {
        start(Some(namespace));
    }
}

fn typed<K, V>(client: &Client, namespaces: &[String], config: &watcher::Config, feed: &Feed<K, V>)
where
    K: Resource<Scope = NamespaceResourceScope, DynamicType = ()>
        + Clone
        + Debug
        + DeserializeOwned
        + Send
        + Sync
        + 'static,
    V: Send + Sync + 'static,
{
    let resource = ApiResource::erase::<K>(&());
    each(namespaces, |namespace| {
        let api: Api<K> = match namespace {
            Some(namespace) => Api::namespaced(client.clone(), namespace),
            None => Api::all(client.clone()),
        };
        spawn(api, &resource, &resource.kind, namespace, config.clone(), feed.clone());
    });
}

/// The library's patience, cut: after an API server was away, a watch would stay blind for half a minute.
struct Patience(watcher::DefaultBackoff);

const BLIND_AT_MOST: Duration = Duration::from_secs(5);

impl Iterator for Patience {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        self.0.next().map(|wait| wait.min(BLIND_AT_MOST))
    }
}

impl Backoff for Patience {
    fn reset(&mut self) {
        self.0.reset();
    }
}

/// One watch. After an error it is taken up again, later and later; after a gap everything is listed anew.
fn spawn<K, V>(
    api: Api<K>,
    resource: &ApiResource,
    kind: &str,
    namespace: Option<&str>,
    config: watcher::Config,
    feed: Feed<K, V>,
) where
    K: Resource + Clone + Debug + DeserializeOwned + Send + Sync + 'static,
    V: Send + Sync + 'static,
{
    let (kind, path) = (kind.to_owned(), resource.plural.clone());
    // Several kinds may share an index: what one watch lists anew says nothing of the others' objects.
    let scope = format!("{path}/{}", namespace.unwrap_or_default());
    feed.caches.unfilled.fetch_add(1, Ordering::AcqRel);
    tokio::spawn(async move {
        let mut stream = pin!(watch_kind(api, config).backoff(Patience(watcher::DefaultBackoff::default())));
        let mut listed: HashSet<(Key, String)> = HashSet::new();
        let mut is_first = true;
        while let Some(event) = stream.next().await {
            match event {
                Ok(Event::Init) => listed.clear(),
                Ok(Event::InitApply(object)) => {
                    if let Some((key, name)) = feed.apply(&scope, &kind, object) {
                        listed.insert((key, name));
                    }
                }
                Ok(Event::InitDone) => {
                    for (key, name) in (feed.index)(&feed.caches).retain(&scope, &listed) {
                        feed.wake(&key, &name);
                    }
                    listed = HashSet::new();
                    if std::mem::take(&mut is_first) {
                        feed.caches.unfilled.fetch_sub(1, Ordering::AcqRel);
                    }
                }
                Ok(Event::Apply(object)) => {
                    feed.apply(&scope, &kind, object);
                }
                Ok(Event::Delete(object)) => {
                    if let Some((key, name, _)) = (feed.keep)(&kind, object) {
                        (feed.index)(&feed.caches).remove(&scope, &key, &name);
                        feed.wake(&key, &name);
                    }
                }
                Err(error) => tracing::warn!(kind, "a watch was interrupted: {error}"),
            }
        }
    });
}

impl<K: ResourceExt, V> Feed<K, V> {
    fn apply(&self, scope: &str, kind: &str, mut object: K) -> Option<(Key, String)> {
        // Nobody here reads who wrote which field; it is half of every object.
        object.managed_fields_mut().clear();
        let (key, name, value) = (self.keep)(kind, object)?;
        (self.index)(&self.caches).put(scope, key.clone(), name.clone(), value);
        self.wake(&key, &name);
        Some((key, name))
    }
}

impl<K, V> Feed<K, V> {
    fn wake(&self, key: &Key, name: &str) {
        for work in (self.works)(&self.caches, key, name) {
            self.queue.wake(work);
        }
    }
}

fn whole_model(model: RecommenderModel) -> Option<(Key, String, RecommenderModel)> {
    let key = (model.namespace()?, model.name_any());
    Some((key.clone(), key.1, model))
}

fn version_of(version: &ModelVersion) -> Option<(Key, String, PackedVersion)> {
    let key = (version.namespace()?, version.spec.model_ref.name.to_string());
    Some((key, version.name_any(), PackedVersion::pack(version)?))
}

fn experiment_of(experiment: Experiment) -> Option<(Key, String, Experiment)> {
    Some(((experiment.namespace()?, experiment.spec.model_ref.name.to_string()), experiment.name_any(), experiment))
}

fn whole_policy(policy: PromotionPolicy) -> Option<(Key, String, PromotionPolicy)> {
    let key = (policy.namespace()?, policy.name_any());
    Some((key.clone(), key.1, policy))
}

fn pod_of(pod: &Pod) -> Option<(Key, String, PodFacts)> {
    let model = pod.labels().get(endcap_crds::reasons::label::MODEL)?.clone();
    Some(((pod.namespace()?, model), pod.name_any(), PodFacts::of(pod)))
}

fn model_alone(_: &Caches, key: &Key, _: &str) -> Vec<Work> {
    vec![Work::Model(key.clone())]
}

/// A model that comes, goes or changes its policy changes how many use that policy.
fn model_and_policies(caches: &Caches, key: &Key, _: &str) -> Vec<Work> {
    let policies = caches.policies.filter(|policy, _| policy.0 == key.0).into_iter().map(Work::Policy);
    std::iter::once(Work::Model(key.clone())).chain(policies).collect()
}

fn policy_and_models(caches: &Caches, key: &Key, _: &str) -> Vec<Work> {
    let models = caches.models_of_policy(&key.0, &key.1).into_iter().map(Work::Model);
    std::iter::once(Work::Policy(key.clone())).chain(models).collect()
}
