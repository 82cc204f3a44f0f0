//! A version as the cache keeps it: its compressed text. There are many of them, most at rest for months, and an object takes several times the room.

use std::io::{Read, Write};
use std::sync::Arc;

use endcap_crds::ModelVersion;
use endcap_crds::model_version::status::VersionPhase;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use kube::ResourceExt;

/// A version's text, and what is asked of all versions at once.
#[derive(Debug)]
pub struct PackedVersion {
    text: Box<[u8]>,
    pub name: String,
    pub model_uid: String,
    pub phase: VersionPhase,
    pub is_deleting: bool,
}

impl PackedVersion {
    pub fn pack(version: &ModelVersion) -> Option<Self> {
        let text = match deflate(version) {
            Ok(text) => text,
            Err(error) => {
                tracing::error!(version = version.name_any(), "failed to keep a version: {error}");
                return None;
            }
        };
        Some(Self {
            text,
            name: version.name_any(),
            model_uid: version.spec.model_uid.to_string(),
            phase: version.status.as_ref().and_then(|status| status.phase).unwrap_or(VersionPhase::Pending),
            is_deleting: version.metadata.deletion_timestamp.is_some(),
        })
    }

    /// The object that was packed.
    pub fn open(&self) -> Option<Arc<ModelVersion>> {
        match inflate(&self.text) {
            Ok(version) => Some(Arc::new(version)),
            Err(error) => {
                tracing::error!(version = self.name, "failed to read a version that was kept: {error}");
                None
            }
        }
    }
}

fn deflate(version: &ModelVersion) -> std::io::Result<Box<[u8]>> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(&serde_json::to_vec(version)?)?;
    Ok(encoder.finish()?.into_boxed_slice())
}

fn inflate(text: &[u8]) -> std::io::Result<ModelVersion> {
    let mut plain = Vec::new();
    DeflateDecoder::new(text).read_to_end(&mut plain)?;
    Ok(serde_json::from_slice(&plain)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_opened_unchanged() {
        let version: ModelVersion = serde_json::from_value(serde_json::json!({
            "apiVersion": "endcap.dev/v1alpha1",
            "kind": "ModelVersion",
            "metadata": {"name": "feed-v3", "namespace": "shop", "uid": "1", "resourceVersion": "17", "finalizers": ["endcap.dev/artifact"]},
            "spec": {
                "modelRef": {"name": "feed"}, "modelUID": "2", "version": 3, "trigger": {"type": "Manual", "token": "a"},
                "architecture": "Rules", "seed": 42, "trainingImage": "image", "servingImage": "image",
                "dataRef": {"uri": "s3://bucket/data", "window": "17520h"}
            },
            "status": {"phase": "Ready", "metrics": [{"name": "ndcg@10", "value": "0.18", "split": "Test"}]}
        }))
        .expect("a version");
        let packed = PackedVersion::pack(&version).expect("packed");
        let opened = packed.open().expect("opened");
        assert_eq!(serde_json::to_value(&*opened).expect("JSON"), serde_json::to_value(&version).expect("JSON"));
        assert_eq!((packed.name.as_str(), packed.model_uid.as_str(), packed.is_deleting), ("feed-v3", "2", false));
        assert_eq!(packed.phase, VersionPhase::Ready);
    }
}
