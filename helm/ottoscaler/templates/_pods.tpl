{{- /* What Pods are made of. */ -}}

{{- /* A reference to an image: (list root image). A digest wins over a tag. */ -}}
{{- define "ottoscaler.image" -}}
{{- $root := index . 0 -}}
{{- $image := index . 1 -}}
{{- $registry := default $image.registry $root.Values.global.imageRegistry -}}
{{- with $registry }}{{ . }}/{{ end -}}
{{- $image.repository -}}
{{- if $image.digest }}@{{ $image.digest }}{{ else }}:{{ default $root.Chart.AppVersion $image.tag }}{{ end -}}
{{- end -}}

{{- /* A value as the text of a variable: YAML reads a large number as a fraction. */ -}}
{{- define "ottoscaler.text" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end -}}
{{- end -}}

{{- /* The variable of each flag that is set: maxWorkers is OTTO_MAX_WORKERS. */ -}}
{{- define "ottoscaler.flags" -}}
{{- range $name, $value := . }}
{{- if not (kindIs "invalid" $value) }}
- name: OTTO_{{ $name | snakecase | upper }}
  value: {{ include "ottoscaler.text" $value | quote }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "ottoscaler.redis.env" -}}
- name: REDIS_URL
{{- if .Values.redis.bundled.enabled }}
  value: redis://{{ include "ottoscaler.redis.fullname" . }}.{{ .Release.Namespace }}.svc:6379
{{- else }}
  valueFrom:
    secretKeyRef:
      {{- with .Values.redis.existingSecret }}
      name: {{ default (include "ottoscaler.redis.fullname" $) .name }}
      key: {{ ternary .key "url" (ne .name "") }}
      {{- end }}
{{- end }}
{{- end -}}

{{- /* What `ottoscaler submit` has to know; a scaler's Pod has it all. */ -}}
{{- define "ottoscaler.clientEnv" -}}
{{ include "ottoscaler.redis.env" . }}
{{- with include "ottoscaler.flags" (pick .Values.ottoscaler.config "eventsStream" "statusStream" "dlqStream") | trim }}
{{ . }}
{{- end }}
- name: OTTO_INGEST_URL
  value: {{ include "ottoscaler.ingestUrl" . | quote }}
{{- end -}}

{{- define "ottoscaler.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
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
  {{- $own := dict "labelSelector" (dict "matchLabels" (include "ottoscaler.selector" (list $.root $.component) | fromYaml)) }}
  - {{- toYaml (merge (dict) . $own) | nindent 4 }}
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

{{- /* The Pod's own security, and that it needs no token: for Pods of the chart that hold one plain container. */ -}}
{{- define "ottoscaler.plainPod" -}}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  runAsUser: {{ . }}
  runAsGroup: {{ . }}
  fsGroup: {{ . }}
  seccompProfile: {type: RuntimeDefault}
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
{{ $probe }}:
  {{- toYaml . | nindent 2 }}
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

{{- /* Storage class of a claim: (list root class). Nothing means the cluster's default. */ -}}
{{- define "ottoscaler.storageClass" -}}
{{- with default (index . 0).Values.global.storageClass (index . 1) -}}
storageClassName: {{ ternary "" . (eq . "-") | quote }}
{{- end -}}
{{- end -}}
