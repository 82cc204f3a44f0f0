//! The objects of one machine, kept in files: with the validation of an API server (CEL included), its generations, resource versions,
//! field ownership and watches.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use endcap_crds::{API_VERSION, Kind, apply_defaults, validate};
use serde_json::{Map, Value, json};
use tokio::sync::broadcast;

use super::fields;

/// A kind, a namespace and a name.
pub type Key = (Kind, String, String);

/// Something that happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    pub revision: u64,
    /// ADDED, MODIFIED, DELETED
    pub what: &'static str,
    pub kind: Kind,
    pub namespace: String,
    pub object: Value,
}

/// Why something was refused, as a Kubernetes Status says it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    pub code: u16,
    pub reason: &'static str,
    pub message: String,
}

impl Refused {
    pub fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into() }
    }

    pub fn not_found(kind: Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{}.endcap.dev {name:?} not found", kind.plural()))
    }
}

/// Changes that a watch can go back to.
const REMEMBERED: usize = 4_096;

pub struct Objects {
    folder: PathBuf,
    state: Mutex<State>,
    changes: broadcast::Sender<Change>,
}

struct State {
    objects: BTreeMap<(String, String, String), Value>,
    revision: u64,
    recent: VecDeque<Change>,
}

fn place(kind: Kind, namespace: &str, name: &str) -> (String, String, String) {
    (kind.plural().to_owned(), namespace.to_owned(), name.to_owned())
}

/// A name that may be a file's.
pub(crate) fn is_safe(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 253
        && name.chars().all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-' || one == '.')
        && !name.starts_with('.')
}

impl Objects {
    pub fn open(folder: &Path) -> Result<Self> {
        let mut objects = BTreeMap::new();
        let mut revision = 0;
        for kind in Kind::ALL {
            let of_kind = folder.join(kind.plural());
            std::fs::create_dir_all(&of_kind)
                .with_context(|| format!("failed to make the folder {}", of_kind.display()))?;
            for namespace in std::fs::read_dir(&of_kind)?.flatten().filter(|entry| entry.path().is_dir()) {
                for file in std::fs::read_dir(namespace.path())?
                    .flatten()
                    .filter(|file| file.path().extension().is_some_and(|end| end == "json"))
                {
                    let text = std::fs::read(file.path())?;
                    let object: Value = serde_json::from_slice(&text).with_context(|| {
                        format!("failed to read the object {}; restore it or remove the file", file.path().display())
                    })?;
                    revision = revision.max(revision_of(&object));
                    let (space, name) = (text_at(&object, "/metadata/namespace"), text_at(&object, "/metadata/name"));
                    objects.insert(place(kind, &space, &name), object);
                }
            }
        }
        let (changes, _) = broadcast::channel(REMEMBERED);
        let state = State { objects, revision, recent: VecDeque::new() };
        Ok(Self { folder: folder.to_owned(), state: Mutex::new(state), changes })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, kind: Kind, namespace: &str, name: &str) -> Option<Value> {
        self.lock().objects.get(&place(kind, namespace, name)).cloned()
    }

    /// Objects of a kind, of one namespace or all, and the revision that the list stands for.
    pub fn list(&self, kind: Kind, namespace: Option<&str>) -> (Vec<Value>, u64) {
        let state = self.lock();
        let of = state.objects.iter().filter(|((plural, space, _), _)| {
            plural == kind.plural() && namespace.is_none_or(|wanted| wanted == space)
        });
        (of.map(|(_, object)| object.clone()).collect(), state.revision)
    }

    /// Changes after a revision, then those to come; none when the revision is too old to go back to.
    pub fn watch(&self, since: u64) -> Option<(Vec<Change>, broadcast::Receiver<Change>)> {
        let state = self.lock();
        let oldest = state.recent.front().map_or(state.revision, |change| change.revision - 1);
        if since < oldest && since != state.revision {
            return None;
        }
        let missed = state.recent.iter().filter(|change| change.revision > since).cloned().collect();
        Some((missed, self.changes.subscribe()))
    }

    /// What `kubectl apply --server-side` does.
    pub fn apply(&self, kind: Kind, mut wanted: Value, manager: &str, force: bool) -> Result<(Value, bool), Refused> {
        let namespace = namespace_of(&mut wanted);
        let name = text_at(&wanted, "/metadata/name");
        let mut state = self.lock();
        let old = state.objects.get(&place(kind, &namespace, &name)).cloned();
        if let Some(map) = wanted.as_object_mut() {
            map.remove("status");
        }
        let merged = fields::apply(old.as_ref(), &wanted, manager, force).map_err(|conflicts| {
            let list = conflicts
                .iter()
                .map(|(path, owner)| format!("{path} (owned by {owner})"))
                .collect::<Vec<_>>()
                .join(", ");
            Refused::new(
                409,
                "Conflict",
                format!(
                    "apply would change fields of other managers: {list}; leave them out, or use --force-conflicts"
                ),
            )
        })?;
        self.store(&mut state, kind, &namespace, &name, old, merged)
    }

    /// A merge patch (RFC 7396) of what users own.
    pub fn patch(
        &self,
        kind: Kind,
        namespace: &str,
        name: &str,
        patch: &Value,
        manager: &str,
    ) -> Result<Value, Refused> {
        let mut state = self.lock();
        let old =
            state.objects.get(&place(kind, namespace, name)).cloned().ok_or_else(|| Refused::not_found(kind, name))?;
        if let Some(expected) = patch.pointer("/metadata/resourceVersion").and_then(Value::as_str)
            && expected != text_at(&old, "/metadata/resourceVersion")
        {
            return Err(Refused::new(409, "Conflict", format!("{name} was changed meanwhile: read it again")));
        }
        let mut patch = patch.clone();
        // Of the metadata only labels and annotations are anybody's to change.
        if let Some(map) = patch.as_object_mut() {
            map.retain(|key, _| key == "spec" || key == "metadata");
            if let Some(metadata) = map.get_mut("metadata").and_then(Value::as_object_mut) {
                metadata.retain(|key, _| key == "labels" || key == "annotations");
            }
        }
        let merged = fields::update(&old, &patch, manager);
        Ok(self.store(&mut state, kind, namespace, name, Some(old), merged)?.0)
    }

    /// Writes the status alone; nothing happens when it is the same.
    pub fn put_status(&self, kind: Kind, namespace: &str, name: &str, status: Value) -> Result<(), Refused> {
        let mut state = self.lock();
        let Some(old) = state.objects.get(&place(kind, namespace, name)).cloned() else { return Ok(()) };
        if old.get("status") == Some(&status) {
            return Ok(());
        }
        let mut new = old.clone();
        if let Some(map) = new.as_object_mut() {
            map.insert("status".to_owned(), status);
        }
        self.store(&mut state, kind, namespace, name, Some(old), new)?;
        Ok(())
    }

    pub fn delete(&self, kind: Kind, namespace: &str, name: &str) -> Result<Value, Refused> {
        let mut state = self.lock();
        let object =
            state.objects.remove(&place(kind, namespace, name)).ok_or_else(|| Refused::not_found(kind, name))?;
        let path = self.folder.join(kind.plural()).join(namespace).join(format!("{name}.json"));
        std::fs::remove_file(&path).map_err(|error| {
            Refused::new(500, "InternalError", format!("failed to remove {}: {error}", path.display()))
        })?;
        self.tell(&mut state, "DELETED", kind, namespace, object.clone());
        Ok(object)
    }

    fn store(
        &self,
        state: &mut State,
        kind: Kind,
        namespace: &str,
        name: &str,
        old: Option<Value>,
        mut new: Value,
    ) -> Result<(Value, bool), Refused> {
        if !is_safe(name) || !is_safe(namespace) {
            return Err(Refused::new(
                422,
                "Invalid",
                "metadata.name and metadata.namespace must be lower-case letters, digits, - and .",
            ));
        }
        apply_defaults(kind, &mut new);
        let wrong = validate(kind, &new, old.as_ref());
        if !wrong.is_empty() {
            let list = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
            return Err(Refused::new(422, "Invalid", format!("{kind} {name:?} is invalid: {list}")));
        }
        if old.as_ref().is_some_and(|old| without_revision(old) == without_revision(&new)) {
            return Ok((old.unwrap_or(new), false));
        }
        let generation =
            old.as_ref().map_or(0, |old| old.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or(0));
        let is_new_spec = old.as_ref().is_none_or(|old| old.get("spec") != new.get("spec"));
        state.revision += 1;
        let revision = state.revision;
        if let Some(metadata) = new.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".to_owned(), json!(revision.to_string()));
            metadata.insert("generation".to_owned(), json!(generation + i64::from(is_new_spec)));
            metadata.entry("uid").or_insert_with(|| json!(uuid::Uuid::new_v4().to_string()));
            let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            metadata.entry("creationTimestamp").or_insert_with(|| json!(now));
        }
        self.write(kind, namespace, name, &new)
            .map_err(|error| Refused::new(500, "InternalError", format!("failed to keep {name}: {error:#}")))?;
        state.objects.insert(place(kind, namespace, name), new.clone());
        let what = if old.is_none() { "ADDED" } else { "MODIFIED" };
        self.tell(state, what, kind, namespace, new.clone());
        Ok((new, true))
    }

    fn tell(&self, state: &mut State, what: &'static str, kind: Kind, namespace: &str, object: Value) {
        if what == "DELETED" {
            state.revision += 1;
        }
        let change = Change { revision: state.revision, what, kind, namespace: namespace.to_owned(), object };
        state.recent.push_back(change.clone());
        if state.recent.len() > REMEMBERED {
            state.recent.pop_front();
        }
        // Nobody may be watching.
        let _ = self.changes.send(change);
    }

    fn write(&self, kind: Kind, namespace: &str, name: &str, object: &Value) -> Result<()> {
        let folder = self.folder.join(kind.plural()).join(namespace);
        std::fs::create_dir_all(&folder)?;
        write_whole(&folder.join(format!("{name}.json")), &serde_json::to_vec_pretty(object)?)
    }
}

/// Either the old file or the new one is there, whatever happens.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    use std::io::Write;
    let beside = path.with_extension("tmp");
    let mut file = std::fs::File::create(&beside).with_context(|| format!("failed to write {}", beside.display()))?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, path).with_context(|| format!("failed to write {}", path.display()))?;
    if let Some(folder) = path.parent() {
        std::fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
}

pub fn text_at(object: &Value, pointer: &str) -> String {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What one condition of an object says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition<'a> {
    pub status: &'a str,
    pub reason: &'a str,
    pub message: &'a str,
    /// Since when it has this status.
    pub since: &'a str,
    /// The generation that it speaks of.
    pub generation: Option<i64>,
}

pub fn condition<'a>(object: &'a Value, type_: &str) -> Option<Condition<'a>> {
    let list = object.pointer("/status/conditions")?.as_array()?;
    let found = list.iter().find(|one| one.get("type").and_then(Value::as_str) == Some(type_))?;
    let text = |key: &str| found.get(key).and_then(Value::as_str).unwrap_or_default();
    Some(Condition {
        status: text("status"),
        reason: text("reason"),
        message: text("message"),
        since: text("lastTransitionTime"),
        generation: found.get("observedGeneration").and_then(Value::as_i64),
    })
}

fn revision_of(object: &Value) -> u64 {
    text_at(object, "/metadata/resourceVersion").parse().unwrap_or(0)
}

fn without_revision(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("resourceVersion");
        metadata.remove("managedFields");
        metadata.remove("generation");
    }
    object
}

/// The namespace that an object names, `default` when it names none.
pub fn namespace_of(object: &mut Value) -> String {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        return metadata
            .entry("namespace")
            .or_insert_with(|| json!("default"))
            .as_str()
            .unwrap_or("default")
            .to_owned();
    }
    "default".to_owned()
}

/// An object as a create writes it.
pub fn object(kind: Kind, namespace: &str, name: &str, labels: &Map<String, Value>, spec: &Value) -> Value {
    json!({
        "apiVersion": API_VERSION,
        "kind": kind.as_str(),
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": spec,
    })
}
