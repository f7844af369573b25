{{- /* What Pods are made of. */ -}}

{{- /* A reference to an image: (list root image). A digest wins over a tag. */ -}}
{{- define "ottoscaler.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry (default (dict) $root.Values.global).imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- /* A value as the text of a variable: YAML reads a large number as a fraction. */ -}}
{{- define "ottoscaler.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- define "ottoscaler.pullSecrets" -}}
{{- with (default (dict) .Values.global).imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* Where Pods run: dict root component values. */ -}}
{{- define "ottoscaler.scheduling" -}}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .values.affinity }}
affinity:
  {{- toYaml .values.affinity | nindent 2 }}
{{- else if eq (default "none" .values.podAntiAffinity) "hard" }}
affinity:
  podAntiAffinity:
    requiredDuringSchedulingIgnoredDuringExecution:
      - topologyKey: kubernetes.io/hostname
        labelSelector:
          matchLabels:
            {{- include "ottoscaler.selector" (list .root .component) | nindent 12 }}
{{- else if eq (default "none" .values.podAntiAffinity) "soft" }}
affinity:
  podAntiAffinity:
    preferredDuringSchedulingIgnoredDuringExecution:
      - weight: 100
        podAffinityTerm:
          topologyKey: kubernetes.io/hostname
          labelSelector:
            matchLabels:
              {{- include "ottoscaler.selector" (list .root .component) | nindent 14 }}
{{- end }}
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- range . }}
  {{- $constraint := . }}
  {{- /* Merged with one of the operator's own it would count fewer Pods than were named. */}}
  {{- if not (hasKey . "labelSelector") }}
  {{- $selector := dict "matchLabels" (include "ottoscaler.selector" (list $.root $.component) | fromYaml) }}
  {{- $constraint = merge (dict "labelSelector" $selector) . }}
  {{- end }}
  - {{- toYaml $constraint | nindent 4 }}
  {{- end }}
{{- end }}
{{- end -}}

{{- /* Labels and annotations of Pods: dict root component values [annotations]. Ours win. */ -}}
{{- define "ottoscaler.podMetadata" -}}
labels:
  {{- $own := include "ottoscaler.labels" (list .root .component) | fromYaml }}
  {{- /* These change with each release of the chart, and would restart what has not changed. */}}
  {{- $own = omit $own "helm.sh/chart" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" }}
  {{- toYaml (merge (dict) $own (default (dict) .values.podLabels)) | nindent 2 }}
{{- with merge (dict) (default (dict) .annotations) (default (dict) .values.podAnnotations) }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* A Pod's security: (list root context). Numbers only where the platform has none of its own. */ -}}
{{- define "ottoscaler.podSecurity" -}}
{{- $context := default (dict) (index . 1) -}}
{{- if not (index . 0).Values.fixedIds }}{{ $context = omit $context "runAsUser" "runAsGroup" "fsGroup" }}{{ end -}}
{{- with $context }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The same, and that it needs no token, of Pods of the chart that hold one plain container: (list root id). */ -}}
{{- define "ottoscaler.plainPod" -}}
{{- $id := index . 1 -}}
automountServiceAccountToken: false
enableServiceLinks: false
{{ include "ottoscaler.podSecurity" (list (index . 0) (dict "runAsNonRoot" true "runAsUser" $id "runAsGroup" $id "fsGroup" $id "seccompProfile" (dict "type" "RuntimeDefault"))) | trim }}
{{- end -}}

{{- define "ottoscaler.plainContainer" -}}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Everything of a service's container that is the operator's to say. */ -}}
{{- define "ottoscaler.container" -}}
{{- with .securityContext }}
securityContext:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- range $probe := list "startupProbe" "livenessProbe" "readinessProbe" }}
{{- with get $ $probe }}
{{- /* Helm merges what an operator asks otherwise with our question, and a probe has one. */}}
{{- $asks := ternary (omit . "httpGet") . (gt (len (pick . "exec" "grpc" "tcpSocket")) 0) }}
{{ $probe }}:
  {{- toYaml $asks | nindent 2 }}
{{- end }}
{{- end }}
{{- with .extraArgs }}
args:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- /* The storage class that is named for a claim, `-` for none: (list root class). Nothing means the cluster's default. */ -}}
{{- define "ottoscaler.storageClassName" -}}
{{- default (default (dict) (index . 0).Values.global).storageClass (index . 1) -}}
{{- end -}}

{{- /* The same as a claim has it. */ -}}
{{- define "ottoscaler.storageClass" -}}
{{- with include "ottoscaler.storageClassName" . -}}
storageClassName: {{ ternary "" . (eq . "-") | quote }}
{{- end -}}
{{- end -}}
