{{- /* What objects are called, and what they are found by. */ -}}

{{- define "ottoscaler.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- $full := .Values.fullnameOverride -}}
{{- if not $full -}}
{{- $full = ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- end -}}
{{- /* A release's name may hold dots, a Service's may not. The longest name of ours has 20 characters more. */ -}}
{{- $full | replace "." "-" | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "ottoscaler.ingest.fullname" -}}
{{ include "ottoscaler.fullname" . }}-log-ingest
{{- end -}}

{{- define "ottoscaler.redis.fullname" -}}
{{ include "ottoscaler.fullname" . }}-redis
{{- end -}}

{{- define "ottoscaler.worker.fullname" -}}
{{ include "ottoscaler.fullname" . }}-worker
{{- end -}}

{{- define "ottoscaler.cleanup.fullname" -}}
{{ include "ottoscaler.fullname" . }}-cleanup
{{- end -}}

{{- define "ottoscaler.instance" -}}
{{ default (include "ottoscaler.fullname" .) .Values.ottoscaler.instance }}
{{- end -}}

{{- define "ottoscaler.worker.namespace" -}}
{{ default .Release.Namespace .Values.worker.namespace }}
{{- end -}}

{{- define "ottoscaler.serviceAccountName" -}}
{{- $account := .Values.ottoscaler.serviceAccount -}}
{{- default (ternary (include "ottoscaler.fullname" .) "default" $account.create) $account.name -}}
{{- end -}}

{{- define "ottoscaler.ingest.serviceAccountName" -}}
{{- $account := .Values.logIngest.serviceAccount -}}
{{- default (ternary (include "ottoscaler.ingest.fullname" .) "default" $account.create) $account.name -}}
{{- end -}}

{{- define "ottoscaler.worker.serviceAccountName" -}}
{{- $account := .Values.worker.serviceAccount -}}
{{- default (ternary (include "ottoscaler.worker.fullname" .) "default" $account.create) $account.name -}}
{{- end -}}

{{- /* Whether logs outlive their Pod: "true", or nothing. */ -}}
{{- define "ottoscaler.ingest.isKept" -}}
{{- if and .Values.logIngest.persistence.enabled (ne (default "disk" .Values.logIngest.config.store) "memory") }}true{{ end -}}
{{- end -}}

{{- /* Whether logs are on the disk of their Pod's node, and go with the Pod: "true", or nothing. */ -}}
{{- define "ottoscaler.ingest.isOnNode" -}}
{{- if and (not .Values.logIngest.persistence.enabled) (ne (default "disk" .Values.logIngest.config.store) "memory") }}true{{ end -}}
{{- end -}}

{{- /* Whether the claim of the logs is the chart's: "true", or nothing. */ -}}
{{- define "ottoscaler.ingest.makesClaim" -}}
{{- if and .Values.logIngest.enabled (include "ottoscaler.ingest.isKept" .) (not .Values.logIngest.persistence.existingClaim) }}true{{ end -}}
{{- end -}}

{{- define "ottoscaler.ingestUrl" -}}
{{- if .Values.ottoscaler.ingestUrl -}}
{{ .Values.ottoscaler.ingestUrl }}
{{- else -}}
http://{{ include "ottoscaler.ingest.fullname" . }}.{{ .Release.Namespace }}.svc:{{ .Values.logIngest.service.ports.grpc }}
{{- end -}}
{{- end -}}

{{- /* Labels by which the Pods of a component are found: (list root component). */ -}}
{{- define "ottoscaler.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: ottoscaler
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{- /* Labels of an object: (list root component). */ -}}
{{- define "ottoscaler.labels" -}}
{{- $root := index . 0 -}}
{{- with $root.Values.commonLabels }}
{{- toYaml . }}
{{ end -}}
{{ include "ottoscaler.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: ottoscaler
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- /* Name, namespace, labels and annotations of an object:
       dict root component name [namespace] [labels] [annotations]. */ -}}
{{- define "ottoscaler.metadata" -}}
{{- $root := .root -}}
name: {{ .name }}
namespace: {{ default $root.Release.Namespace .namespace }}
labels:
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- include "ottoscaler.labels" (list $root .component) | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) (default (dict) $root.Values.commonAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Labels that a worker's Pod has: the scaler's names.rs. */ -}}
{{- define "ottoscaler.worker.selector" -}}
managed-by: ottoscaler
app.kubernetes.io/component: worker
app.kubernetes.io/instance: {{ include "ottoscaler.instance" . }}
{{- end -}}

{{- /* The proven rules; the Lease in them is called as the installation is. */ -}}
{{- define "ottoscaler.rules" -}}
{{- $rules := list -}}
{{- range .Files.Get "files/scaler-rules.yaml" | fromYamlArray -}}
{{- if .resourceNames -}}
{{- $rules = append $rules (merge (dict "resourceNames" (list (include "ottoscaler.instance" $))) .) -}}
{{- else -}}
{{- $rules = append $rules . -}}
{{- end -}}
{{- end -}}
{{- toYaml $rules -}}
{{- end -}}
