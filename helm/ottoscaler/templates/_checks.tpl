{{- /* What cannot work together is refused, by the name of the value and with the way out. The schema has
       refused what is wrong by itself. */ -}}

{{- define "ottoscaler.checks" -}}
{{- include "ottoscaler.checks.labels" . -}}
{{- include "ottoscaler.checks.services" . -}}
{{- include "ottoscaler.checks.redis" . -}}
{{- include "ottoscaler.checks.routes" . -}}
{{- include "ottoscaler.checks.policies" . -}}
{{- include "ottoscaler.checks.workers" . -}}
{{- end -}}

{{- define "ottoscaler.checks.labels" -}}
{{- $fixed := list "app" "managed-by" "helm.sh/chart" "app.kubernetes.io/name" "app.kubernetes.io/instance" "app.kubernetes.io/component" "app.kubernetes.io/version" "app.kubernetes.io/part-of" "app.kubernetes.io/managed-by" -}}
{{- $places := dict "commonLabels" .Values.commonLabels "ottoscaler.podLabels" .Values.ottoscaler.podLabels "logIngest.podLabels" .Values.logIngest.podLabels -}}
{{- range $place, $labels := $places -}}
{{- range $name, $_ := $labels -}}
{{- if has $name $fixed -}}
{{- fail (printf "%s: the label %q cannot be set: Pods are found by it, or workers told from the rest. Choose another name." $place $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.services" -}}
{{- $scaler := .Values.ottoscaler -}}
{{- $ingest := .Values.logIngest -}}
{{- if not (or $scaler.enabled $ingest.enabled) -}}
{{- fail "ottoscaler.enabled and logIngest.enabled are both false: nothing is left to install. Set one of them to true." -}}
{{- end -}}
{{- if gt (int $ingest.replicas) 1 -}}
{{- fail (printf "logIngest.replicas: %d is more than log-ingest can be: its store is a directory that one process owns, and there is no shared store yet. Set it to 1; agents keep lines while it restarts." (int $ingest.replicas)) -}}
{{- end -}}
{{- if and $scaler.enabled (not $ingest.enabled) (not $scaler.ingestUrl) -}}
{{- fail "ottoscaler.ingestUrl: is needed where logIngest.enabled is false: workers would have nowhere to send their lines. Set it to the log-ingest that they are to use, such as http://log-ingest.logs.svc:50051." -}}
{{- end -}}
{{- $budget := $scaler.podDisruptionBudget -}}
{{- $least := ne (toString $budget.minAvailable) "" -}}
{{- $most := ne (toString $budget.maxUnavailable) "" -}}
{{- if and $budget.enabled $least $most -}}
{{- fail "ottoscaler.podDisruptionBudget: minAvailable and maxUnavailable cannot both be set. Set maxUnavailable to \"\" to use minAvailable." -}}
{{- end -}}
{{- if and $budget.enabled (not $least) (not $most) -}}
{{- fail "ottoscaler.podDisruptionBudget: neither minAvailable nor maxUnavailable is set. Set one, or enabled to false." -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true: everything would be counted twice. Set one of them to false." -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.redis" -}}
{{- $redis := .Values.redis -}}
{{- $sources := list -}}
{{- if $redis.url }}{{ $sources = append $sources "redis.url" }}{{ end -}}
{{- if $redis.existingSecret.name }}{{ $sources = append $sources "redis.existingSecret.name" }}{{ end -}}
{{- if $redis.bundled.enabled }}{{ $sources = append $sources "redis.bundled.enabled" }}{{ end -}}
{{- if and .Values.ottoscaler.enabled (not $sources) -}}
{{- fail "redis: ottoscaler needs one. Set redis.url, or redis.existingSecret.name to a Secret that holds a URL, or for a trial redis.bundled.enabled to true." -}}
{{- end -}}
{{- if gt (len $sources) 1 -}}
{{- fail (printf "redis: %s are set together, and only one can be meant. Leave one." (join " and " $sources)) -}}
{{- end -}}
{{- if hasPrefix "rediss://" $redis.url -}}
{{- fail "redis.url: rediss:// is Redis with TLS, which ottoscaler does not speak yet. Use redis:// to a Redis within the cluster, or to a TLS proxy beside the scaler (ottoscaler.extraContainers)." -}}
{{- end -}}
{{- if and $redis.url (not (hasPrefix "redis://" $redis.url)) -}}
{{- fail "redis.url: expected redis://[:PASSWORD@]HOST:PORT[/DATABASE]." -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.routes" -}}
{{- $routes := dict "ingress" .Values.ingress "httpRoute" .Values.httpRoute "grpcRoute" .Values.grpcRoute -}}
{{- range $name, $route := $routes -}}
{{- if and $route.enabled (not $.Values.logIngest.enabled) -}}
{{- fail (printf "%s.enabled: leads to log-ingest, and logIngest.enabled is false. Set one of the two otherwise." $name) -}}
{{- end -}}
{{- if and $route.enabled (ne $name "ingress") (not $route.parentRefs) -}}
{{- fail (printf "%s.parentRefs: a route needs the Gateway that it belongs to. Add one, such as {name: my-gateway, namespace: gateways}." $name) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- fail "ingress.hosts: an Ingress needs a name, or it would take every request of its controller. Add one, such as logs.example.com." -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.policies" -}}
{{- $workers := .Values.networkPolicy.workers -}}
{{- if and .Values.ottoscaler.enabled .Values.networkPolicy.enabled $workers.enabled .Values.ottoscaler.ingestUrl (not $workers.egress) (not $workers.internet) -}}
{{- fail "networkPolicy.workers.egress: ottoscaler.ingestUrl leads where the policy lets no worker go. Add an egress rule for it (or set networkPolicy.workers.enabled to false)." -}}
{{- end -}}
{{- end -}}

{{- /* The scaler refuses these as well, but only once it is installed. */ -}}
{{- define "ottoscaler.checks.workers" -}}
{{- include "ottoscaler.checks.template" (list "worker.podTemplate" .Values.worker.podTemplate) -}}
{{- range $name, $class := .Values.worker.resourceClasses -}}
{{- with $class -}}
{{- include "ottoscaler.checks.template" (list (printf "worker.resourceClasses.%s.podTemplate" $name) (default (dict) .podTemplate)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.template" -}}
{{- $place := index . 0 -}}
{{- $template := index . 1 -}}
{{- range $field := list "name" "generateName" "namespace" -}}
{{- if hasKey (default (dict) $template.metadata) $field -}}
{{- fail (printf "%s.metadata.%s: cannot be set: the scaler names workers." $place $field) -}}
{{- end -}}
{{- end -}}
{{- $spec := default (dict) $template.spec -}}
{{- if hasKey $spec "restartPolicy" -}}
{{- fail (printf "%s.spec.restartPolicy: cannot be set: a worker runs its command once." $place) -}}
{{- end -}}
{{- range $container := concat (default (list) $spec.containers) (default (list) $spec.initContainers) -}}
{{- if has $container.name (list "worker" "otto-agent") -}}
{{- range $field := list "command" "args" "image" "terminationMessagePath" "terminationMessagePolicy" -}}
{{- if hasKey $container $field -}}
{{- fail (printf "%s: container %s: %s cannot be set here: the event says what runs, and worker.agentImage where the agent comes from." $place $container.name $field) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
