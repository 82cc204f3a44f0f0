{{/*
What the operator may do, the same in a ClusterRole and in the Role of a watched namespace. No verb on Secrets: they are
mounted by name. No write of a user's spec either, but Kubernetes cannot say so: patch and update of models are for
finalizers, and the admission policies hold the operator to the same rule as everybody.
*/}}
{{- define "endcap.operatorRules" -}}
- apiGroups: [endcap.dev]
  resources: [recommendermodels, modelversions, promotionpolicies, experiments]
  verbs: [get, list, watch]
- apiGroups: [endcap.dev]
  resources: [recommendermodels]
  verbs: [patch, update]
- apiGroups: [endcap.dev]
  resources: [modelversions]
  verbs: [create, patch, update, delete]
- apiGroups: [endcap.dev]
  resources: [recommendermodels/status, modelversions/status, promotionpolicies/status, experiments/status]
  verbs: [update, patch]
- apiGroups: [endcap.dev]
  resources: [recommendermodels/finalizers, modelversions/finalizers]
  verbs: [update]
- apiGroups: [apps]
  resources: [deployments, statefulsets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [batch]
  resources: [jobs]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [services, configmaps]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [policy]
  resources: [poddisruptionbudgets]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [networking.k8s.io]
  resources: [networkpolicies]
  verbs: [get, list, watch, create, update, patch, delete]
- apiGroups: [""]
  resources: [pods]
  verbs: [get, list, watch, delete]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end -}}

{{- define "endcap.viewRules" -}}
- apiGroups: [endcap.dev]
  resources: [recommendermodels, modelversions, promotionpolicies, experiments]
  verbs: [get, list, watch]
- apiGroups: [endcap.dev]
  resources: [recommendermodels/status, modelversions/status, promotionpolicies/status, experiments/status, recommendermodels/scale]
  verbs: [get]
{{- end -}}

{{/*
services/proxy is how `kubectl endcap console` reaches routers and insights through the API server. It opens every Service
of the namespace, control ports included, as the built-in `edit` does; therefore it is not in the view.
*/}}
{{- define "endcap.editRules" -}}
{{ include "endcap.viewRules" . }}
- apiGroups: [endcap.dev]
  resources: [recommendermodels, promotionpolicies, experiments]
  verbs: [create, update, patch, delete, deletecollection]
# Annotate, pin and delete; only the operator makes them.
- apiGroups: [endcap.dev]
  resources: [modelversions]
  verbs: [update, patch, delete]
- apiGroups: [endcap.dev]
  resources: [recommendermodels/scale]
  verbs: [update, patch]
- apiGroups: [""]
  resources: [services/proxy]
  verbs: [get, create]
{{- end -}}

{{/* promote, experiment and sign-off are no verbs of the API: the admission policies ask for them. */}}
{{- define "endcap.promoterRules" -}}
{{ include "endcap.viewRules" . }}
- apiGroups: [endcap.dev]
  resources: [recommendermodels]
  verbs: [promote, experiment, update, patch]
- apiGroups: [endcap.dev]
  resources: [experiments]
  verbs: [create, update, patch, delete]
{{- end -}}

{{/* Who answers for what customers are told is rarely who promotes: a role of its own. */}}
{{- define "endcap.signerRules" -}}
{{ include "endcap.viewRules" . }}
- apiGroups: [endcap.dev]
  resources: [recommendermodels]
  verbs: [sign-off]
- apiGroups: [endcap.dev]
  resources: [modelversions]
  verbs: [update, patch]
{{- end -}}
