//! What an API server cannot refuse, because it spans objects or depends on where it runs. What is refused here starts nothing new; what
//! runs goes on.

use endcap_crds::RecommenderModel;

/// What is wrong with a model's spec in a cluster: the field and the remedy.
pub fn refusal(model: &RecommenderModel) -> Option<String> {
    let spec = &model.spec;
    let artifacts = &spec.artifacts;
    let sources = spec.data.sources.iter().filter_map(|source| source.object.as_ref()).map(|object| &object.uri);
    for uri in std::iter::once(&artifacts.uri).chain(sources) {
        if !["file://", "s3://"].iter().any(|known| uri.as_str().starts_with(known)) {
            return Some(format!(
                "{uri} is in a store that is not built in: use s3://bucket/prefix (any S3-compatible store) or file:/// with a volume"
            ));
        }
    }
    if artifacts.uri.as_str().starts_with("file://") && artifacts.persistent_volume_claim.is_none() {
        return Some(format!(
            "spec.artifacts.uri is {}, a folder that no pod has: name a volume in spec.artifacts.persistentVolumeClaim, or use an object store such as s3://bucket/prefix",
            artifacts.uri
        ));
    }
    if !artifacts.uri.as_str().starts_with("file://") && artifacts.persistent_volume_claim.is_some() {
        return Some(
            "spec.artifacts.persistentVolumeClaim is only for a file:/// address in spec.artifacts.uri: remove one of the two"
                .to_owned(),
        );
    }
    let mut objects = 0;
    for (at, source) in spec.data.sources.iter().enumerate() {
        let Some(object) = &source.object else { continue };
        objects += 1;
        let is_file = object.uri.as_str().starts_with("file://");
        let is_on_artifacts = artifacts.persistent_volume_claim.is_some()
            && object.uri.as_str().starts_with(artifacts.uri.as_str().trim_end_matches('/'));
        if is_file && object.persistent_volume_claim.is_none() && !is_on_artifacts {
            return Some(format!(
                "spec.data.sources[{at}].object.uri is {}, a folder that no pod has: name a volume in persistentVolumeClaim beside it, or use an object store",
                object.uri
            ));
        }
    }
    if objects == 0 {
        return Some(
            "spec.data.sources names no object: a training needs at least the products and orders that a source with `object` holds"
                .to_owned(),
        );
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn model(artifacts: &serde_json::Value, object: &serde_json::Value) -> RecommenderModel {
        serde_json::from_value(
            json!({"apiVersion": "endcap.dev/v1alpha1", "kind": "RecommenderModel", "metadata": {"name": "shop"},
            "spec": {"artifacts": artifacts, "data": {"sources": [{"name": "shop", "object": object}]}}}),
        )
        .unwrap()
    }

    #[test]
    fn a_folder_needs_a_volume() {
        let s3 = json!({"uri": "s3://bucket/models"});
        let claimed = json!({"uri": "file:///models", "persistentVolumeClaim": {"claimName": "models"}});
        let data = json!({"uri": "s3://bucket/data"});
        assert_eq!(refusal(&model(&s3, &data)), None);
        assert_eq!(refusal(&model(&claimed, &data)), None);
        assert_eq!(refusal(&model(&claimed, &json!({"uri": "file:///models/data"}))), None);
        let text = refusal(&model(&json!({"uri": "file:///models"}), &data)).unwrap();
        assert!(text.contains("spec.artifacts.persistentVolumeClaim"), "{text}");
        let text = refusal(&model(&s3, &json!({"uri": "file:///data"}))).unwrap();
        assert!(text.contains("spec.data.sources[0].object.uri"), "{text}");
    }
}
