//! Who may talk to whom: a policy a component, everything else is closed. Each rule is a line of [`FLOWS`]; a test compares the
//! connections that are really seen with these.

use endcap_crds::common::peers::Peer;
use serde_json::{Value, json};

use super::meta::{COMPONENT, Component, Desired, NAME, selector};
use super::{API, CONTROL, Input, METRICS, QA};
use crate::watch::child::ChildKind;

/// One end calls the other on a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    Of(Component),
    /// `networkPolicy.allowFrom`: where the OMS lives.
    Callers,
    /// `routing.overrideFrom`.
    Testers,
    Operator,
    /// `--metrics-from`.
    Scrapers,
}

/// All connections of the data plane, from whom to whom on which port.
pub const FLOWS: [(End, Component, u16); 16] = [
    (End::Callers, Component::Router, API),
    (End::Testers, Component::Router, QA),
    (End::Operator, Component::Router, CONTROL),
    (End::Scrapers, Component::Router, METRICS),
    (End::Of(Component::Router), Component::Predictor, API),
    (End::Scrapers, Component::Predictor, METRICS),
    (End::Of(Component::Router), Component::Eventlog, API),
    (End::Of(Component::Predictor), Component::Eventlog, API),
    (End::Of(Component::Insights), Component::Eventlog, API),
    (End::Operator, Component::Eventlog, METRICS),
    (End::Scrapers, Component::Eventlog, METRICS),
    (End::Operator, Component::Insights, API),
    (End::Operator, Component::Insights, CONTROL),
    (End::Scrapers, Component::Insights, METRICS),
    (End::Operator, Component::Training, METRICS),
    (End::Scrapers, Component::Training, METRICS),
];

/// Components that a model's policies speak of.
const COMPONENTS: [Component; 6] = [
    Component::Router,
    Component::Predictor,
    Component::Eventlog,
    Component::Insights,
    Component::Training,
    Component::Deletion,
];

pub fn build(input: &Input<'_>) -> Vec<Desired> {
    COMPONENTS.into_iter().map(|component| policy(input, component)).collect()
}

fn policy(input: &Input<'_>, component: Component) -> Desired {
    let ingress: Vec<Value> = FLOWS
        .iter()
        .filter(|(_, to, _)| *to == component)
        .filter_map(|(from, _, port)| {
            let from = peers(input, *from);
            // An empty list would mean everybody.
            (!from.is_empty()).then(|| json!({"from": from, "ports": [{"port": port, "protocol": "TCP"}]}))
        })
        .collect();
    let mut egress = vec![json!({"ports": [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]})];
    for (_, to, port) in FLOWS.iter().filter(|(from, _, _)| *from == End::Of(component)) {
        let to = json!({"podSelector": {"matchLabels": selector(input.name(), *to, None)}});
        egress.push(json!({"to": [to], "ports": [{"port": port, "protocol": "TCP"}]}));
    }
    match &input.options.store_egress {
        Some(rules) => egress.extend(rules.0.iter().filter_map(|rule| serde_json::to_value(rule).ok())),
        None => egress.push(json!({"ports": [{"port": 443, "protocol": "TCP"}]})),
    }
    let spec = json!({
        "podSelector": {"matchLabels": selector(input.name(), component, None)},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": ingress,
        "egress": egress,
    });
    let inputs = spec.clone();
    input.child_of(ChildKind::NetworkPolicy, component.of(input.name()), component, json!({"spec": spec}), inputs)
}

fn peers(input: &Input<'_>, end: End) -> Vec<Value> {
    match end {
        End::Of(component) => vec![json!({"podSelector": {"matchLabels": selector(input.name(), component, None)}})],
        End::Callers => {
            let allowed = &input.model.spec.network_policy.allow_from;
            // Nobody is named: the model's own namespace.
            if allowed.is_empty() { vec![json!({"podSelector": {}})] } else { allowed.iter().map(peer).collect() }
        }
        End::Testers => input.model.spec.routing.override_from.iter().map(peer).collect(),
        End::Operator => vec![json!({
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": input.options.operator_namespace}},
            "podSelector": {"matchLabels": {(NAME): "endcap", (COMPONENT): "operator"}},
        })],
        End::Scrapers => {
            let scrapers = input.options.metrics_from.as_ref().map(|peers| peers.0.as_slice()).unwrap_or_default();
            scrapers.iter().filter_map(|peer| serde_json::to_value(peer).ok()).collect()
        }
    }
}

fn peer(peer: &Peer) -> Value {
    serde_json::to_value(peer).unwrap_or_default()
}
