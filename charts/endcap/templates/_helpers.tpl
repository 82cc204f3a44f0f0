{{- define "endcap.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride -}}
{{- else if contains "endcap" .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-endcap" (.Release.Name | trunc 33 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "endcap.operatorName" -}}
{{ include "endcap.fullname" . }}-operator
{{- end -}}

{{/* Cluster-scoped objects of two installations that share a cluster must not meet: the namespace goes into the name. */}}
{{- define "endcap.clusterName" -}}
{{- if eq .Values.rbac.scope "Namespaces" -}}
{{ include "endcap.fullname" . }}-{{ .Release.Namespace }}
{{- else -}}
{{ include "endcap.fullname" . }}
{{- end -}}
{{- end -}}

{{/* The operator's policies find its pods by name and component: both are fixed. */}}
{{- define "endcap.selector" -}}
app.kubernetes.io/name: endcap
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "endcap.labels" -}}
{{ include "endcap.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end -}}

{{- define "endcap.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "endcap.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{ .Values.serviceAccount.name | default (include "endcap.operatorName" .) }}
{{- else -}}
{{ .Values.serviceAccount.name | default "default" }}
{{- end -}}
{{- end -}}

{{- define "endcap.signingSecret" -}}
{{ .Values.signingKey.existingSecret | default (printf "%s-signing-key" (include "endcap.fullname" .)) }}
{{- end -}}

{{- define "endcap.metricsService" -}}
{{ include "endcap.operatorName" . }}-metrics
{{- end -}}

{{/* The restricted profile of pod security, for every pod of the chart. */}}
{{- define "endcap.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "endcap.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* A NetworkPolicy or admission binding that ends at the watched namespaces. */}}
{{- define "endcap.watchedNamespaces" -}}
{{- if .Values.watchNamespaces -}}
matchExpressions:
  - key: kubernetes.io/metadata.name
    operator: In
    values: {{ toJson .Values.watchNamespaces }}
{{- else -}}
{}
{{- end -}}
{{- end -}}

{{/* What the schema cannot say. */}}
{{- define "endcap.check" -}}
{{- if and (eq .Values.rbac.scope "Namespaces") (not .Values.watchNamespaces) -}}
{{- fail "rbac.scope is Namespaces, but watchNamespaces is empty: name the namespaces, e.g. --set 'watchNamespaces={shop,team-b}'" -}}
{{- end -}}
{{- if and (not .Values.serviceAccount.create) (not .Values.serviceAccount.name) -}}
{{- fail "serviceAccount.create is false, but serviceAccount.name is empty: name the service account of the operator" -}}
{{- end -}}
{{- end -}}
