{{- /* What works and may still be a bad idea: a line each. */ -}}

{{- define "ottoscaler.warnings" -}}
{{- $policy := .Values.networkPolicy -}}
{{- if .Values.redis.bundled.enabled }}
  - redis.bundled is for trials: one Redis without a password, a replica or a backup.
{{- end }}
{{- if .Values.redis.url }}
  - redis.url is kept in the release's own record, too. redis.existingSecret is not.
{{- end }}
{{- if and .Values.logIngest.enabled (not (include "ottoscaler.ingest.isKept" .)) }}
  - Logs are not kept: each restart of log-ingest forgets them, acknowledged lines included.
{{- end }}
{{- if and .Values.logIngest.enabled (include "ottoscaler.ingest.isKept" .) .Values.logIngest.persistence.existingClaim (not .Values.logIngest.config.retainBytes) }}
  - How large {{ .Values.logIngest.persistence.existingClaim }} is, the chart does not know, so it will be full one day: logIngest.config.retainBytes.
{{- end }}
{{- if and .Values.logIngest.enabled (or .Values.ingress.enabled .Values.httpRoute.enabled .Values.grpcRoute.enabled (ne .Values.logIngest.service.type "ClusterIP")) }}
  - log-ingest is reachable from outside and asks nobody for a password: put something before it that does.
{{- if and $policy.enabled $policy.logIngest.enabled (eq (toJson $policy.logIngest.http) "[{\"podSelector\":{}}]") }}
  - networkPolicy.logIngest.http lets Pods of {{ .Release.Namespace }} in, and nobody else: add your ingress controller or gateway.
{{- end }}
{{- end }}
{{- if .Values.ottoscaler.enabled }}
{{- $replicas := int .Values.ottoscaler.replicas }}
{{- if eq $replicas 0 }}
  - ottoscaler.replicas is 0: no worker is made, and events wait.
{{- else if eq $replicas 1 }}
  - ottoscaler.replicas is {{ .Values.ottoscaler.replicas }}: while its node is away, no worker is made.
{{- end }}
{{- $budget := .Values.ottoscaler.podDisruptionBudget }}
{{- /* Kubernetes rounds up what stays. */}}
{{- $least := toString $budget.minAvailable }}
{{- $stay := ternary (div (add (mul (trimSuffix "%" $least | int) $replicas) 99) 100) (int $least) (hasSuffix "%" $least) }}
{{- $none := or (ge (int $stay) $replicas) (has (toString $budget.maxUnavailable) (list "0" "0%")) }}
{{- if and $budget.enabled $none (gt $replicas 1) }}
  - ottoscaler.podDisruptionBudget lets none of {{ $replicas }} scalers go, so that every drain of a node of theirs waits for ever.
{{- end }}
{{- if not (and $policy.enabled $policy.workers.enabled) }}
  - No network policy holds workers: their commands reach whatever Pods can.
{{- else if not (or $policy.workers.egress $policy.workers.internet) }}
  - Workers reach log-ingest and DNS, nothing else, if the cluster enforces policies: networkPolicy.workers.internet, .egress.
{{- end }}
{{- if not .Values.ottoscaler.rbac.create }}
  - ottoscaler.rbac.create is false: bind the rules of files/scaler-rules.yaml to {{ include "ottoscaler.serviceAccountName" . }} yourself.
{{- end }}
{{- range $name, $class := .Values.worker.resourceClasses }}
{{- if kindIs "map" $class }}
{{- if eq (default "restricted" $class.security) "baseline" }}
  - Workers of resource class {{ $name }} may run as root in their containers.
{{- end }}
{{- if not (include "ottoscaler.worker.isLimited" (list $ $class)) }}
  - Workers of resource class {{ $name }} may use all of their node's memory: worker.resourceClasses.{{ $name }}.resources.limits.
{{- end }}
{{- end }}
{{- end }}
{{- if not (kindIs "map" (default (dict) .Values.worker.resourceClasses).default) }}
{{- if not (include "ottoscaler.worker.isLimited" (list . (dict))) }}
  - Workers whose event names no resource class may use all of their node's memory: worker.resourceClasses.default.resources.limits.
{{- end }}
{{- end }}
{{- if and .Values.cleanup.enabled .Values.ottoscaler.rbac.create }}
{{- $seconds := include "ottoscaler.cleanup.seconds" . | int }}
{{- if ge $seconds 300 }}
  - cleanup.gracePeriod is longer than Helm waits by itself: helm uninstall --timeout {{ add 60 $seconds }}s.
{{- end }}
{{- end }}
{{- $test := include "ottoscaler.test.seconds" . | int }}
{{- if and .Values.test.enabled (ge $test 300) }}
  - Two tasks of test.timeout are longer than Helm waits by itself: helm test --timeout {{ add 60 $test }}s.
{{- end }}
{{- end }}
{{- if semverCompare ">=1.38.0-0" .Capabilities.KubeVersion.Version }}
  - Kubernetes {{ .Capabilities.KubeVersion.Version }} is newer than this version of the chart.
{{- end }}
{{- end -}}
