{{/*
Variables that models' policies share: what changed of the fields that promotion hangs on. A new model is compared with an
empty one, so that creating it with promotedVersion or rollout is a promotion, too. Empty values are no values.
*/}}
{{- define "endcap.promotionVariables" -}}
- name: creates
  expression: request.operation == 'CREATE'
- name: newVersion
  expression: object.spec.?promotedVersion.orValue('')
- name: oldVersion
  expression: "variables.creates ? '' : oldObject.spec.?promotedVersion.orValue('')"
- name: newPolicy
  expression: object.spec.?promotionPolicyRef.?name.orValue('')
# A new model may name any policy: it has no customers yet.
- name: oldPolicy
  expression: "variables.creates ? variables.newPolicy : oldObject.spec.?promotionPolicyRef.?name.orValue('')"
- name: newRollout
  expression: object.spec.?rollout.orValue({})
- name: oldRollout
  expression: "variables.creates ? {} : oldObject.spec.?rollout.orValue({})"
- name: rolloutChanges
  expression: >-
    variables.newRollout.filter(k, k in variables.oldRollout
      ? variables.newRollout[k] != variables.oldRollout[k]
      : !(variables.newRollout[k] in [dyn(false), dyn('')]))
    + variables.oldRollout.filter(k, !(k in variables.newRollout) && !(variables.oldRollout[k] in [dyn(false), dyn('')]))
- name: promotes
  expression: >-
    variables.newVersion != variables.oldVersion || variables.newPolicy != variables.oldPolicy
    || size(variables.rolloutChanges) > 0
{{- end -}}

{{/* Namespaces that are deleted and owners' garbage are cleared away by the cluster itself; it has no verb of ours. */}}
{{- define "endcap.cleanupVariable" -}}
- name: cleanup
  expression: >-
    request.operation == 'DELETE' && (request.userInfo.username in [
    'system:serviceaccount:kube-system:namespace-controller',
    'system:serviceaccount:kube-system:generic-garbage-collector',
    'system:kube-controller-manager'] || namespaceObject.metadata.?deletionTimestamp.hasValue())
{{- end -}}

{{/* Call with a dict: root, name. */}}
{{- define "endcap.admissionBinding" -}}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {{ .name }}
  labels:
    {{- include "endcap.labels" .root | nindent 4 }}
spec:
  policyName: {{ .name }}
  validationActions: {{ toJson .root.Values.admissionPolicy.validationActions }}
  {{- include "endcap.matchNamespaces" .root | nindent 2 }}
{{- end -}}

{{- define "endcap.matchNamespaces" -}}
matchResources:
  namespaceSelector:
    {{- include "endcap.watchedNamespaces" . | nindent 4 }}
{{- end -}}
