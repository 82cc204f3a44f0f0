//! Who owns which field, as server-side apply means it: an apply takes its fields, gives up those that it no longer names, and meets a
//! conflict where another manager's value would change. Lists whose entries have names are owned entry by entry, other lists whole.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

/// A way to a leaf: `f:key` into a map, `k:name` to a list's entry.
type Path = Vec<String>;

const OWNED: [&str; 2] = ["spec", "metadata"];
/// Of the metadata only these are anybody's.
const OF_METADATA: [&str; 2] = ["labels", "annotations"];

/// The object after an apply, or the fields that it would take from others.
pub fn apply(old: Option<&Value>, wanted: &Value, manager: &str, force: bool) -> Result<Value, Vec<(String, String)>> {
    let mine = leaves(wanted);
    let mut owners = old.map(owners).unwrap_or_default();
    let mut conflicts = Vec::new();
    for (owner, _, fields) in owners.iter().filter(|(owner, _, _)| owner != manager) {
        for path in fields.intersection(&mine) {
            if old.and_then(|old| at(old, path)) != at(wanted, path) {
                conflicts.push((display(path), owner.clone()));
            }
        }
    }
    if !conflicts.is_empty() && !force {
        return Err(conflicts);
    }
    let mut new = old.cloned().unwrap_or_else(|| skeleton(wanted));
    let before: BTreeSet<Path> =
        owners.iter().filter(|(owner, _, _)| owner == manager).flat_map(|(_, _, fields)| fields.clone()).collect();
    let of_others: BTreeSet<Path> =
        owners.iter().filter(|(owner, _, _)| owner != manager).flat_map(|(_, _, fields)| fields.clone()).collect();
    let mut gone: Vec<&Path> = before.difference(&mine).filter(|path| !of_others.contains(*path)).collect();
    // An entry is found by its name, which therefore goes last.
    gone.sort_by_key(|path| path.last().is_some_and(|step| step == "f:name"));
    for path in gone {
        // An entry that nobody names any more goes whole, with what defaults put into it.
        let entry = path.split_last().filter(|(step, _)| *step == "f:name").map(|(_, entry)| entry);
        let is_nobodys = |entry: &&[String]| {
            entry.last().is_some_and(|step| step.starts_with("k:"))
                && !of_others.iter().chain(&mine).any(|other| other.starts_with(entry))
        };
        remove(&mut new, entry.filter(is_nobodys).unwrap_or(path));
    }
    for path in &mine {
        if let Some(value) = at(wanted, path) {
            put(&mut new, path, value.clone());
        }
    }
    reorder(&mut new, wanted);
    for (owner, _, fields) in &mut owners {
        if owner != manager && force {
            fields.retain(|path| !mine.contains(path) || old.and_then(|old| at(old, path)) == at(wanted, path));
        }
    }
    owners.retain(|(owner, _, fields)| owner != manager && !fields.is_empty());
    owners.push((manager.to_owned(), "Apply".to_owned(), mine));
    write_owners(&mut new, &owners);
    Ok(new)
}

/// Lists of named entries stand in the order of who applied them last; entries of others follow.
fn reorder(object: &mut Value, wanted: &Value) {
    match (object, wanted) {
        (Value::Object(map), Value::Object(wanted)) => {
            for (key, value) in map {
                if let Some(wanted) = wanted.get(key) {
                    reorder(value, wanted);
                }
            }
        }
        (Value::Array(list), Value::Array(wanted)) if named(wanted) => {
            let place = |entry: &Value| wanted.iter().position(|other| other.get("name") == entry.get("name"));
            list.sort_by_key(|entry| place(entry).unwrap_or(wanted.len()));
            for entry in list {
                if let Some(wanted) = place(entry).and_then(|place| wanted.get(place)) {
                    reorder(entry, wanted);
                }
            }
        }
        _ => {}
    }
}

/// The object after a merge patch; what changed is the manager's from now on.
pub fn update(old: &Value, patch: &Value, manager: &str) -> Value {
    let mut new = old.clone();
    merge(&mut new, patch);
    let changed: BTreeSet<Path> = leaves(&new).into_iter().filter(|path| at(old, path) != at(&new, path)).collect();
    let gone: BTreeSet<Path> = leaves(old).into_iter().filter(|path| at(&new, path).is_none()).collect();
    let mut owners = owners(old);
    for (_, _, fields) in &mut owners {
        fields.retain(|path| !changed.contains(path) && !gone.contains(path));
    }
    if let Some((_, _, fields)) = owners.iter_mut().find(|(owner, _, _)| owner == manager) {
        fields.extend(changed);
    } else if !changed.is_empty() {
        owners.push((manager.to_owned(), "Update".to_owned(), changed));
    }
    owners.retain(|(_, _, fields)| !fields.is_empty());
    write_owners(&mut new, &owners);
    new
}

/// RFC 7396.
pub fn merge(to: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *to = patch.clone();
        return;
    };
    if !to.is_object() {
        *to = json!({});
    }
    if let Some(map) = to.as_object_mut() {
        for (key, value) in patch {
            if value.is_null() {
                map.remove(key);
            } else {
                merge(map.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

fn skeleton(wanted: &Value) -> Value {
    let metadata = wanted.get("metadata");
    let text = |key: &str| metadata.and_then(|metadata| metadata.get(key)).cloned().unwrap_or(Value::Null);
    json!({
        "apiVersion": wanted.get("apiVersion"), "kind": wanted.get("kind"),
        "metadata": {"name": text("name"), "namespace": text("namespace")}
    })
}

fn leaves(object: &Value) -> BTreeSet<Path> {
    let mut found = BTreeSet::new();
    for top in OWNED {
        let Some(value) = object.get(top) else { continue };
        if top == "metadata" {
            for part in OF_METADATA {
                if let Some(value) = value.get(part) {
                    walk(value, &mut vec!["f:metadata".to_owned(), format!("f:{part}")], &mut found);
                }
            }
        } else {
            walk(value, &mut vec![format!("f:{top}")], &mut found);
        }
    }
    found
}

fn named(list: &[Value]) -> bool {
    !list.is_empty() && list.iter().all(|entry| entry.get("name").is_some_and(Value::is_string))
}

fn walk(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                path.push(format!("f:{key}"));
                walk(value, path, found);
                path.pop();
            }
        }
        Value::Array(list) if named(list) => {
            for entry in list {
                path.push(format!("k:{}", entry.get("name").and_then(Value::as_str).unwrap_or_default()));
                walk(entry, path, found);
                path.pop();
            }
        }
        _ => {
            found.insert(path.clone());
        }
    }
}

fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(object, |value, step| match step.split_once(':') {
        Some(("f", key)) => value.get(key),
        Some((_, name)) => {
            value.as_array()?.iter().find(|entry| entry.get("name").and_then(Value::as_str) == Some(name))
        }
        None => None,
    })
}

fn put(object: &mut Value, path: &[String], new: Value) {
    let Some((step, rest)) = path.split_first() else {
        *object = new;
        return;
    };
    match step.split_once(':') {
        Some(("f", key)) => {
            if !object.is_object() {
                *object = json!({});
            }
            if let Some(map) = object.as_object_mut() {
                put(map.entry(key.to_owned()).or_insert(Value::Null), rest, new);
            }
        }
        Some((_, name)) => {
            if !object.is_array() {
                *object = json!([]);
            }
            let Some(list) = object.as_array_mut() else { return };
            let place = list.iter().position(|entry| entry.get("name").and_then(Value::as_str) == Some(name));
            let place = place.unwrap_or_else(|| {
                list.push(json!({"name": name}));
                list.len() - 1
            });
            if let Some(entry) = list.get_mut(place) {
                put(entry, rest, new);
            }
        }
        None => {}
    }
}

/// Takes a leaf away, and what is empty without it.
fn remove(object: &mut Value, path: &[String]) -> bool {
    let Some((step, rest)) = path.split_first() else { return true };
    match step.split_once(':') {
        Some(("f", key)) => {
            if let Some(map) = object.as_object_mut()
                && map.get_mut(key).is_some_and(|value| remove(value, rest))
            {
                map.remove(key);
            }
        }
        Some((_, name)) => {
            if let Some(list) = object.as_array_mut() {
                list.retain_mut(|entry| {
                    entry.get("name").and_then(Value::as_str) != Some(name) || !remove(entry, rest)
                });
            }
        }
        None => {}
    }
    match object {
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn display(path: &[String]) -> String {
    path.iter()
        .map(|step| {
            step.split_once(':').map_or_else(String::new, |(how, name)| {
                if how == "f" { format!(".{name}") } else { format!("[{name}]") }
            })
        })
        .collect()
}

/// Manager, operation, fields.
type Owner = (String, String, BTreeSet<Path>);

fn owners(object: &Value) -> Vec<Owner> {
    let list = object.pointer("/metadata/managedFields").and_then(Value::as_array).cloned().unwrap_or_default();
    let one = |entry: &Value| {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut found = BTreeSet::new();
        read_fields(entry.get("fieldsV1").unwrap_or(&Value::Null), &mut Vec::new(), &mut found);
        (text("manager"), text("operation"), found)
    };
    list.iter().map(one).collect()
}

fn read_fields(value: &Value, path: &mut Path, found: &mut BTreeSet<Path>) {
    match value.as_object().filter(|map| !map.is_empty()) {
        Some(map) => {
            for (key, value) in map {
                path.push(key.clone());
                read_fields(value, path, found);
                path.pop();
            }
        }
        None if !path.is_empty() => {
            found.insert(path.clone());
        }
        None => {}
    }
}

fn write_owners(object: &mut Value, owners: &[Owner]) {
    let list = owners.iter().map(|(manager, operation, fields)| {
        let mut tree = Value::Object(Map::new());
        for path in fields {
            let mut at = &mut tree;
            for step in path {
                if !at.is_object() {
                    *at = json!({});
                }
                let Some(map) = at.as_object_mut() else { break };
                at = map.entry(step.clone()).or_insert_with(|| json!({}));
            }
        }
        json!({"manager": manager, "operation": operation, "apiVersion": endcap_crds::API_VERSION, "fieldsType": "FieldsV1", "fieldsV1": tree})
    });
    let list: Vec<Value> = list.collect();
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.insert("managedFields".to_owned(), Value::Array(list));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    fn policy(spec: &Value) -> Value {
        json!({"apiVersion": "endcap.dev/v1alpha1", "kind": "PromotionPolicy", "metadata": {"name": "p", "namespace": "default"}, "spec": spec})
    }

    #[test]
    fn an_entry_that_nobody_names_goes_with_its_defaults() {
        let both = policy(&json!({"steps": [{"name": "a", "weight": 1}, {"name": "b", "weight": 100}]}));
        let mut first = apply(None, &both, "git", false).unwrap();
        // What the schema's defaults add is nobody's.
        first["spec"]["steps"][0]["requireApproval"] = json!(false);
        let second =
            apply(Some(&first), &policy(&json!({"steps": [{"name": "b", "weight": 100}]})), "git", false).unwrap();
        assert_eq!(second["spec"]["steps"], json!([{"name": "b", "weight": 100}]));
    }

    #[test]
    fn named_entries_stand_in_the_order_of_the_apply() {
        let steps =
            json!([{"name": "ten", "weight": 10}, {"name": "half", "weight": 50}, {"name": "all", "weight": 100}]);
        let first = apply(None, &policy(&json!({"steps": steps.clone()})), "git", false).unwrap();
        assert_eq!(first["spec"]["steps"], steps);
        let turned =
            json!([{"name": "half", "weight": 10}, {"name": "ten", "weight": 50}, {"name": "all", "weight": 100}]);
        let second = apply(Some(&first), &policy(&json!({"steps": turned.clone()})), "git", false).unwrap();
        assert_eq!(second["spec"]["steps"], turned);
    }

    #[test]
    fn what_an_apply_no_longer_names_goes_unless_another_owns_it() {
        let first = apply(
            None,
            &policy(&json!({"mode": "Manual", "steps": [{"name": "a", "weight": 1}, {"name": "b", "weight": 100}]})),
            "git",
            false,
        )
        .unwrap();
        let patched = update(&first, &json!({"spec": {"progressDeadline": "5m"}}), "kubectl-patch");
        let second =
            apply(Some(&patched), &policy(&json!({"steps": [{"name": "b", "weight": 100}]})), "git", false).unwrap();
        assert_eq!(second["spec"], json!({"steps": [{"name": "b", "weight": 100}], "progressDeadline": "5m"}));
    }

    #[test]
    fn another_managers_value_is_a_conflict_until_forced() {
        let first = apply(None, &policy(&json!({"mode": "Manual"})), "git", false).unwrap();
        let patched = update(&first, &json!({"spec": {"mode": "Automatic"}}), "console");
        let conflicts = apply(Some(&patched), &policy(&json!({"mode": "Manual"})), "git", false).unwrap_err();
        assert_eq!(conflicts, [(".spec.mode".to_owned(), "console".to_owned())]);
        // The same value is no conflict, and both own it.
        apply(Some(&patched), &policy(&json!({"mode": "Automatic"})), "git", false).unwrap();
        let forced = apply(Some(&patched), &policy(&json!({"mode": "Manual"})), "git", true).unwrap();
        assert_eq!(forced["spec"]["mode"], "Manual");
    }

    #[test]
    fn merge_patches_are_those_of_the_rfc() {
        let mut object = json!({"a": {"b": 1, "c": [1]}, "d": 2});
        merge(&mut object, &json!({"a": {"b": null, "c": [2, 3]}, "e": {"f": 1}}));
        assert_eq!(object, json!({"a": {"c": [2, 3]}, "d": 2, "e": {"f": 1}}));
    }
}
