//! What the tests of this crate share: the repository's files.

#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use endcap_crds::{Experiment, Kind, ModelVersion, PromotionPolicy, RecommenderModel};
use serde::Deserialize;
use serde_json::Value;

/// A path of the repository.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

/// All YAML files of a folder, sorted.
pub fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    files
}

/// All documents of a YAML file.
pub fn documents(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    serde_yaml::Deserializer::from_str(&text)
        .map(|document| Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
        .filter(|document| !document.is_null())
        .collect()
}

/// All objects of `examples/` with the file they come from.
pub fn examples() -> Vec<(PathBuf, Kind, Value)> {
    let mut found = Vec::new();
    for path in [yaml_files(&repository("examples")), yaml_files(&repository("examples/demo"))].concat() {
        for object in documents(&path) {
            let kind = object["kind"].as_str().unwrap().parse().unwrap();
            found.push((path.clone(), kind, object));
        }
    }
    found
}

/// A refused object.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub file: PathBuf,
    pub kind: Kind,
    pub path: String,
    pub rule: String,
    pub old: Option<Value>,
    pub new: Value,
}

/// All fixtures.
pub fn fixtures() -> Vec<Fixture> {
    let mut found = Vec::new();
    for kind in Kind::ALL {
        for file in yaml_files(&repository("crds/fixtures").join(kind.plural())) {
            let mut documents = documents(&file);
            assert_eq!(documents.len(), 1, "{}", file.display());
            let mut document = documents.remove(0);
            found.push(Fixture {
                kind,
                path: document["path"].as_str().unwrap().to_owned(),
                rule: document["rule"].as_str().unwrap().to_owned(),
                old: document.get("old").cloned(),
                new: document["new"].take(),
                file,
            });
        }
    }
    found
}

/// Reads an object as the kind's type and writes it again.
pub fn through_types(kind: Kind, object: &Value) -> Result<Value, serde_json::Error> {
    let object = object.clone();
    match kind {
        Kind::RecommenderModel => serde_json::to_value(serde_json::from_value::<RecommenderModel>(object)?),
        Kind::ModelVersion => serde_json::to_value(serde_json::from_value::<ModelVersion>(object)?),
        Kind::PromotionPolicy => serde_json::to_value(serde_json::from_value::<PromotionPolicy>(object)?),
        Kind::Experiment => serde_json::to_value(serde_json::from_value::<Experiment>(object)?),
    }
}
