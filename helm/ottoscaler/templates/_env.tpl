{{- /* The variables of both services: their flags. */ -}}

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

{{- define "ottoscaler.scaler.env" -}}
{{ include "ottoscaler.redis.env" . }}
- name: OTTO_RUNTIME
  value: kubernetes
- name: OTTO_NAMESPACE
  value: {{ include "ottoscaler.worker.namespace" . | quote }}
- name: OTTO_INSTANCE
  value: {{ include "ottoscaler.instance" . | quote }}
- name: OTTO_INGEST_URL
  value: {{ include "ottoscaler.ingestUrl" . | quote }}
- name: OTTO_AGENT_IMAGE
  value: {{ include "ottoscaler.image" (list . .Values.worker.agentImage) | quote }}
- name: OTTO_WORKER_CONFIG
  value: /etc/ottoscaler/workers.yaml
- name: OTTO_GRPC_ADDR
  value: 0.0.0.0:9090
- name: OTTO_ADMIN_ADDR
  value: 0.0.0.0:9091
- name: RUST_LOG
  value: {{ .Values.ottoscaler.logFilter | quote }}
{{- $config := deepCopy .Values.ottoscaler.config }}
{{- range $name, $limit := include "ottoscaler.redis.limits" . | fromYaml }}
{{- if not (get $config $name) }}{{ $_ := set $config $name $limit }}{{ end }}
{{- end }}
{{- with include "ottoscaler.flags" $config | trim }}
{{ . }}
{{- end }}
{{- end -}}

{{- define "ottoscaler.ingest.env" -}}
- name: OTTO_GRPC_ADDR
  value: 0.0.0.0:50051
- name: OTTO_HTTP_ADDR
  value: 0.0.0.0:8080
- name: OTTO_ADMIN_ADDR
  value: 0.0.0.0:9092
- name: OTTO_DATA_DIR
  value: /var/lib/otto
- name: RUST_LOG
  value: {{ .Values.logIngest.logFilter | quote }}
{{- $config := deepCopy .Values.logIngest.config }}
{{- if not $config.retainBytes }}
{{- with include "ottoscaler.ingest.retainBytes" . }}{{ $_ := set $config "retainBytes" . }}{{ end }}
{{- end }}
{{- with include "ottoscaler.flags" $config | trim }}
{{ . }}
{{- end }}
{{- end -}}
