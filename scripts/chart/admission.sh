#!/usr/bin/env bash
# Who may promote, asked of a real API server where the chart is installed: scripts/chart/admission.sh KUBECONFIG
# Works in a namespace of its own, as people who exist only by impersonation: an editor (endcap-edit), a promoter (endcap-edit and
# endcap-promoter), one who may promote a single model, one who signs versions off (endcap-signer), and the operator's service account.
set -euo pipefail
export KUBECONFIG=${1:?which kubeconfig?}
[ -r "$KUBECONFIG" ] || { echo "failed to read the kubeconfig $KUBECONFIG" >&2; exit 1; }
space=endcap-admission-$$
operator=system:serviceaccount:endcap-system:endcap-operator
failed=0 asked=0
stamps=false
if kubectl get mutatingadmissionpolicies.admissionregistration.k8s.io endcap-promoted-by > /dev/null 2>&1; then stamps=true; fi

as() { local who=$1; shift; kubectl --as "$who" -n "$space" "$@"; }

# expect yes|no WHO WHAT [word of the refusal] -- arguments of kubectl
expect() {
  local wanted=$1 who=$2 what=$3 word=; shift 3
  [ "$1" = -- ] || { word=$1; shift; }
  shift
  asked=$((asked + 1))
  local answer got=yes
  answer=$(as "$who" "$@" 2>&1) || got=no
  if [ "$got" != "$wanted" ] || { [ "$wanted" = no ] && ! grep -qF -- "$word" <<< "$answer"; }; then
    failed=$((failed + 1)); printf '!! %s: %s: expected %s %s, got %s: %s\n' "$who" "$what" "$wanted" "${word:+($word)}" "$got" "$answer"
  else
    printf 'ok %-9s %-4s %s\n' "${who##*:}" "$wanted" "$what"
  fi
}

model() { # name, further lines of the spec
  printf 'apiVersion: endcap.dev/v1alpha1\nkind: RecommenderModel\nmetadata: {name: %s, namespace: %s}\nspec:\n' "$1" "$space"
  printf '  data: {sources: [{name: shop, object: {uri: "s3://shop/data"}}]}\n  artifacts: {uri: "s3://shop/models"}\n%s' "${2:-}"
}
experiment() {
  printf 'apiVersion: endcap.dev/v1alpha1\nkind: Experiment\nmetadata: {name: %s, namespace: %s}\nspec:\n  modelRef: {name: %s}\n' "$1" "$space" "$2"
  printf '  arms: [{name: a, versionRef: %s-v1, weight: 1, control: true}, {name: b, versionRef: %s-v2, weight: 1}]\n  primaryMetric: {name: Ctr, mde: "0.01"}\n' "$2" "$2"
}
version() { # model, further lines of the metadata
  printf 'apiVersion: endcap.dev/v1alpha1\nkind: ModelVersion\nmetadata:\n  name: %s-v1\n  namespace: %s\n%s' "$1" "$space" "${2:-}"
  printf 'spec:\n  modelRef: {name: %s}\n  modelUID: x\n  version: 1\n  architecture: Rules\n  seed: 1\n  trainingImage: x\n  servingImage: x\n' "$1"
  printf '  dataRef: {uri: "s3://shop/data", window: 24h}\n  trigger: {type: Initial}\n'
}
policy() { printf 'apiVersion: endcap.dev/v1alpha1\nkind: PromotionPolicy\nmetadata: {name: %s, namespace: %s}\nspec: {mode: %s}\n' "$1" "$space" "$2"; }
file() { local path; path=$(mktemp -p "$scratch"); cat > "$path"; printf '%s' "$path"; }
by() { kubectl -n "$space" get recm "$1" -o 'jsonpath={.metadata.annotations.endcap\.dev/promoted-by}'; }
scratch=$(mktemp -d)
# The namespace goes with all that is in it, and nothing waits for it.
trap 'rm -rf "$scratch"; kubectl delete namespace "$space" --ignore-not-found --wait=false > /dev/null' EXIT

kubectl create namespace "$space" > /dev/null
for who in editor promoter single; do kubectl -n "$space" create rolebinding "$who" --clusterrole=endcap-edit --user="$who" > /dev/null; done
kubectl -n "$space" create rolebinding signer --clusterrole=endcap-signer --user=signer > /dev/null
kubectl -n "$space" create rolebinding promoter-too --clusterrole=endcap-promoter --user=promoter > /dev/null
# kubectl reads a status before it patches it; the operator does not.
kubectl -n "$space" create rolebinding operator-reads --clusterrole=endcap-view --user="$operator" > /dev/null
kubectl -n "$space" create role single --verb=promote,experiment --resource=recommendermodels.endcap.dev --resource-name=feed > /dev/null 2>&1
kubectl -n "$space" create rolebinding single-too --role=single --user=single > /dev/null
# Policies come into force a moment after they were made: ask until one does.
for _ in $(seq 50); do
  as editor create --dry-run=server -f "$(model probe '  promotedVersion: probe-v1' | file)" 2>&1 | grep -q 'spec.promotedVersion' && break
  sleep 0.2
done

expect yes editor 'creates a model' -- create -f "$(model feed | file)"
expect yes editor 'creates another' -- create -f "$(model other | file)"
expect no editor 'creates one that is promoted' 'spec.promotedVersion: changing it needs verb' -- create -f "$(model new '  promotedVersion: new-v1' | file)"
expect no editor 'creates one that aborts' 'spec.rollout.abortVersion' -- create -f "$(model new '  rollout: {abortVersion: new-v1}' | file)"
expect no editor 'creates one that is held' 'spec.rollout.paused' -- create -f "$(model new '  rollout: {paused: true}' | file)"
expect yes editor 'creates one with an empty rollout' -- create --dry-run=server -f "$(model new '  rollout: {paused: false, abortVersion: ""}' | file)"
expect yes editor 'creates one that names a policy' -- create --dry-run=server -f "$(model new '  promotionPolicyRef: {name: quick}' | file)"
expect yes promoter 'creates one that is promoted' -- create --dry-run=server -f "$(model new '  promotedVersion: new-v1' | file)"

for change in 'spec.promotedVersion={"promotedVersion":"feed-v2"}' 'spec.promotionPolicyRef.name={"promotionPolicyRef":{"name":"quick"}}' \
  'spec.rollout.paused={"rollout":{"paused":true}}' 'spec.rollout.abortVersion={"rollout":{"abortVersion":"feed-v1"}}' \
  'spec.rollout.retryToken={"rollout":{"retryToken":"a"}}' 'spec.rollout.approvedStep={"rollout":{"approvedStep":{"version":"feed-v2","step":"half"}}}'; do
  field=${change%%=*} spec=${change#*=}
  expect no editor "changes $field" "$field: changing it needs verb 'promote' on recommendermodels/feed in namespace $space" -- patch recm feed --type=merge -p "{\"spec\":$spec}"
  expect no "$operator" "changes $field" "$field" -- patch recm feed --type=merge -p "{\"spec\":$spec}"
  expect yes single "changes $field" -- patch recm feed --type=merge --dry-run=server -p "{\"spec\":$spec}"
done
expect no single 'promotes another model' 'recommendermodels/other' -- patch recm other --type=merge -p '{"spec":{"promotedVersion":"other-v2"}}'
expect yes promoter 'promotes' -- patch recm feed --type=merge -p '{"spec":{"promotedVersion":"feed-v2"}}'
expect no editor 'takes the promotion back' 'spec.promotedVersion' -- patch recm feed --type=merge -p '{"spec":{"promotedVersion":null}}'
expect no editor 'applies with two of them' 'spec.promotedVersion' -- apply --server-side --force-conflicts --field-manager x \
  -f "$(model feed $'  promotedVersion: feed-v3\n  rollout: {paused: true}' | file)"
expect yes editor 'retrains' -- patch recm feed --type=merge -p '{"spec":{"retraining":{"trigger":"now"}}}'
expect yes editor 'scales' -- scale recm/feed --replicas=3
expect yes editor 'labels' -- label recm feed team=shop
expect yes "$operator" 'writes a finalizer' -- patch recm feed --type=merge -p '{"metadata":{"finalizers":["endcap.dev/test"]}}'
expect yes "$operator" 'takes it away' -- patch recm feed --type=merge -p '{"metadata":{"finalizers":[]}}'
expect yes "$operator" 'writes status' -- patch recm feed --subresource=status --type=merge -p '{"status":{"observedGeneration":1}}'
expect no editor 'writes status' 'forbidden' -- patch recm feed --subresource=status --type=merge -p '{"status":{"observedGeneration":2}}'

asked=$((asked + 1))
if [ "$stamps" = true ]; then wanted=promoter; else wanted=; fi
if [ "$(by feed)" = "$wanted" ]; then echo "ok promoted-by is '$wanted'"; else failed=$((failed + 1)); echo "!! promoted-by is '$(by feed)', expected '$wanted'"; fi
note=metadata.annotations
expect no editor 'signs as somebody else' "$note" -- annotate recm feed --overwrite endcap.dev/promoted-by=carol
expect no promoter 'signs as somebody else' "$note" -- annotate recm feed --overwrite endcap.dev/promoted-by=carol
expect no editor 'signs without having promoted' "$note" -- annotate recm feed --overwrite endcap.dev/promoted-by=editor
expect yes promoter 'signs' -- annotate recm feed --overwrite endcap.dev/promoted-by=promoter
expect no editor 'takes the name away' "$note" -- annotate recm feed endcap.dev/promoted-by-
expect yes promoter 'promotes and signs in one' -- patch recm feed --type=merge -p '{"metadata":{"annotations":{"endcap.dev/promoted-by":"promoter"}},"spec":{"promotedVersion":"feed-v4"}}'
if [ "$stamps" = true ]; then
  expect yes single 'holds' -- patch recm feed --type=merge -p '{"spec":{"rollout":{"paused":true}}}'
  asked=$((asked + 1)); [ "$(by feed)" = single ] || { failed=$((failed + 1)); echo "!! promoted-by is '$(by feed)', expected 'single'"; }
fi

expect yes editor 'makes a policy' -- create -f "$(policy quick Manual | file)"
expect yes editor 'changes one that nobody uses' -- patch recpp quick --type=merge -p '{"spec":{"progressDeadline":"10m"}}'
expect no editor 'writes its count' 'forbidden' -- patch recpp quick --subresource=status --type=merge -p '{"status":{"referencedBy":0}}'
expect yes "$operator" 'counts its users' -- patch recpp quick --subresource=status --type=merge -p '{"status":{"referencedBy":2}}'
expect no editor 'changes one that is used' "spec: changing a promotion policy that 2 model(s) use needs verb 'promote'" -- patch recpp quick --type=merge -p '{"spec":{"mode":"Automatic"}}'
expect no single 'changes one that is used' 'spec: changing' -- patch recpp quick --type=merge -p '{"spec":{"mode":"Automatic"}}'
expect no editor 'deletes one that is used' 'deleting a promotion policy' -- delete recpp quick
expect yes editor 'labels one that is used' -- label recpp quick team=shop
expect yes promoter 'changes one that is used' -- patch recpp quick --type=merge -p '{"spec":{"mode":"Automatic"}}'

expect no editor 'makes an experiment' "spec.modelRef.name: creating an experiment on model feed needs verb 'experiment'" -- create -f "$(experiment e feed | file)"
expect no single 'makes one on another model' 'model other' -- create -f "$(experiment e other | file)"
expect yes single 'makes one on its model' -- create -f "$(experiment e feed | file)"
expect no editor 'stops it' 'spec: changing an experiment' -- patch recexp e --type=merge -p '{"spec":{"stop":true}}'
expect yes editor 'labels it' -- label recexp e team=shop
expect no editor 'deletes it' 'deleting an experiment' -- delete recexp e
expect no editor 'deletes them all' 'deleting an experiment' -- delete recexp --all
expect yes single 'stops it' -- patch recexp e --type=merge -p '{"spec":{"stop":true}}'
expect yes promoter 'deletes it' -- delete recexp e
expect yes promoter 'makes one' -- create -f "$(experiment f feed | file)"
expect no "$operator" 'makes a signed version' 'endcap.dev/sign-off' -- create -f "$(version feed $'  annotations: {endcap.dev/sign-off: "{}"}\n' | file)"
expect yes "$operator" 'makes a version' -- create -f "$(version feed | file)"
for who in editor promoter single "$operator"; do
  expect no "$who" 'signs a version off' "changing it needs verb 'sign-off' on recommendermodels/feed in namespace $space" -- annotate recmv feed-v1 endcap.dev/sign-off=yes
done
expect yes signer 'signs a version off' -- annotate recmv feed-v1 endcap.dev/sign-off=yes
expect no editor 'signs otherwise' 'endcap.dev/sign-off' -- annotate recmv feed-v1 --overwrite endcap.dev/sign-off=no
expect no editor 'takes the sign-off away' 'endcap.dev/sign-off' -- annotate recmv feed-v1 endcap.dev/sign-off-
expect yes editor 'pins the signed version' -- annotate recmv feed-v1 endcap.dev/pin=true
expect yes "$operator" 'labels the signed version' -- label recmv feed-v1 team=shop
expect no signer 'promotes' 'forbidden' -- patch recm feed --type=merge -p '{"spec":{"promotedVersion":"feed-v1"}}'
expect yes signer 'takes the sign-off back' -- annotate recmv feed-v1 endcap.dev/sign-off-

# What the cluster itself clears away (--as: the account needs a right, which a real cluster gives it).
kubectl -n "$space" create rolebinding cleaner --clusterrole=endcap-edit --serviceaccount=kube-system:namespace-controller > /dev/null
expect yes system:serviceaccount:kube-system:namespace-controller 'clears away' -- delete recexp f
expect yes editor 'deletes a model that serves' -- delete recm feed --wait=false

echo "$asked asked, $failed otherwise than expected"
[ "$failed" = 0 ]
