//! A refusal for want of a right: which one, and who can give it.

use serde_json::{Value, json};

use super::api::{Client, Refusal};
use super::names::quoted;

/// What the server knows the user as; none where it does not say.
pub async fn who(client: &Client) -> Option<String> {
    let url = format!("{}/apis/authentication.k8s.io/v1/selfsubjectreviews", client.server);
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let answer = client.send(client.http.post(url).json(&review)).await.ok()?;
    Some(answer.pointer("/status/userInfo/username")?.as_str()?.to_owned())
}

/// Whether the user may do something; None where the server does not say.
pub async fn may(client: &Client, group: &str, resource: &str, verb: &str) -> Option<bool> {
    let url = format!("{}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", client.server);
    let (resource, sub) = resource.split_once('/').unwrap_or((resource, ""));
    let attributes =
        json!({"namespace": client.namespace, "group": group, "resource": resource, "subresource": sub, "verb": verb});
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}});
    let answer = client.send(client.http.post(url).json(&review)).await.ok()?;
    answer.pointer("/status/allowed").and_then(Value::as_bool)
}

/// Remedies for a change of a model that was refused; none when the refusal is about something else.
pub fn remedy(refusal: &Refusal, namespace: &str, model: &str, user: Option<&str>) -> Option<String> {
    if refusal.code == 401 {
        return Some(
            "The API server does not know who you are: log in again, or see `kubectl config view`.".to_owned(),
        );
    }
    if refusal.code != 403 {
        return None;
    }
    let known = user.map_or_else(
        || "the server's user of your kubeconfig".to_owned(),
        |user| format!("{user}, as the server knows you,"),
    );
    // The admission policy of the chart names the verb and the role.
    let (verb, resource, role) = if refusal.message.contains("verb 'promote'") {
        (
            "promote",
            format!("recommendermodels.endcap.dev/{model}"),
            role_of(&refusal.message).unwrap_or("endcap-promoter"),
        )
    } else if refusal.message.contains("recommendermodels") {
        ("patch", format!("recommendermodels.endcap.dev/{model}"), "endcap-promoter")
    } else {
        return None;
    };
    let subject = match user.and_then(|user| user.strip_prefix("system:serviceaccount:")) {
        Some(account) => format!("--serviceaccount={}", quoted(account)),
        None => format!("--user={}", quoted(user.unwrap_or("YOU"))),
    };
    Some(format!(
        "Missing: verb `{verb}` on {resource} in namespace {namespace}, for {known} from a binding to role {role}.\n\
         Who may bind roles in {namespace} can give it:\n  \
         kubectl create rolebinding {role} -n {namespace} --clusterrole={role} {subject}\n\
         (--role={role} where the chart was installed with rbac.scope=Namespaces.) Then it says yes:\n  \
         kubectl auth can-i {verb} {resource} -n {namespace}"
    ))
}

/// The same for what was only to be read.
pub fn reading(refusal: &Refusal) -> Option<&'static str> {
    match refusal.code {
        401 => Some("The API server does not know who you are: log in again, or see `kubectl config view`."),
        403 if refusal.message.contains("endcap.dev") => {
            Some("Role endcap-view holds what is missing; who may bind roles in the namespace can give it.")
        }
        _ => None,
    }
}

/// `... a binding to role NAME, or ...`
fn role_of(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("binding to role ")?;
    rest.split([',', ' ']).next().filter(|role| !role.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(message: &str) -> Refusal {
        Refusal { code: 403, message: message.to_owned() }
    }

    #[test]
    fn a_refusal_names_the_right_and_its_giver() {
        let policy = refusal(
            "recommendermodels.endcap.dev \"feed\" is forbidden: ValidatingAdmissionPolicy 'endcap-models' denied request: spec.promotedVersion: changing it needs verb 'promote' on recommendermodels/feed in namespace shop: ask for a binding to role rec-promoter, or let somebody make the change who has it",
        );
        let text = remedy(&policy, "shop", "feed", Some("alice")).unwrap_or_default();
        assert!(text.contains("verb `promote` on recommendermodels.endcap.dev/feed in namespace shop"), "{text}");
        assert!(
            text.contains("kubectl create rolebinding rec-promoter -n shop --clusterrole=rec-promoter --user='alice'"),
            "{text}"
        );
        let rbac = refusal(
            "recommendermodels.endcap.dev \"feed\" is forbidden: User \"x\" cannot patch resource \"recommendermodels\" in API group \"endcap.dev\" in the namespace \"shop\"",
        );
        let text = remedy(&rbac, "shop", "feed", Some("system:serviceaccount:ci:robot")).unwrap_or_default();
        assert!(text.contains("verb `patch`") && text.contains("--serviceaccount='ci:robot'"), "{text}");
        assert_eq!(remedy(&Refusal { code: 422, message: "recommendermodels".to_owned() }, "shop", "feed", None), None);
    }
}
