//! `spec.recommendation` is declared by the custom resource and obeyed by the recommender: both read the same JSON the same way.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use endcap_recommender::Policy;
use serde_json::json;

fn with_defaults(recommendation: &serde_json::Value) -> serde_json::Value {
    let mut model = json!({
        "apiVersion": "endcap.dev/v1alpha1",
        "kind": "RecommenderModel",
        "metadata": {"name": "shop", "namespace": "default"},
        "spec": {
            "architecture": "Rules",
            "data": {"sources": [{"name": "sales", "provides": ["Orders", "OrderLines"], "object": {"uri": "s3://sales/tables"}}]},
            "artifacts": {"uri": "s3://models/shop"},
            "recommendation": recommendation,
        },
    });
    endcap_crds::apply_defaults(endcap_crds::Kind::RecommenderModel, &mut model);
    let errors = endcap_crds::validate(endcap_crds::Kind::RecommenderModel, &model, None);
    assert!(errors.is_empty(), "{errors:?}");
    model["spec"]["recommendation"].clone()
}

#[test]
fn the_resources_defaults_are_the_recommenders() {
    let mut declared: Policy = serde_json::from_value(with_defaults(&json!({}))).unwrap();
    // The resource names the eight placements; one that says nothing more has its own mix, as one that is not named.
    assert_eq!(declared.placements.len(), 8);
    declared.placements.retain(|placement| {
        !placement.kinds.is_empty()
            || placement.limit.is_some()
            || placement.cross_category
            || !placement.weights.is_empty()
    });
    assert_eq!(declared, Policy::default());
}

#[test]
fn a_full_policy_survives_the_way_through_the_resource() {
    let full = json!({
        "upsellMode": "Behaviour", "objective": "Margin", "historyOrders": 7,
        "placements": [{"name": "cart", "kinds": ["cross_sell", "upsell_quantity"], "limit": 5, "crossCategory": true, "weights": {"excess": "2.5"}}],
        "stock": {"outOfStock": "Exclude", "backordered": "Exclude", "staleAfter": "12h", "whenStale": "Exclude"},
        "overPromotion": {"maxOfferItems": 1, "declineLimit": 2, "declineWindow": "48h", "frequencyCap": 4},
        "blocklist": {"products": ["A"], "categories": ["C"], "brands": ["B"], "pairs": [{"a": "A", "b": "B"}]},
    });
    let through: Policy = serde_json::from_value(with_defaults(&full)).unwrap();
    let direct: Policy = serde_json::from_value(full).unwrap();
    assert_eq!(through, direct);
    assert_ne!(through, Policy::default());
}
