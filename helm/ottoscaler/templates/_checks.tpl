{{- /* What cannot work together is refused, by the name of the value and with the way out. The schema has
       refused what is wrong by itself. */ -}}

{{- define "ottoscaler.checks" -}}
{{- include "ottoscaler.checks.upgrade" . -}}
{{- include "ottoscaler.checks.claim" . -}}
{{- include "ottoscaler.checks.labels" . -}}
{{- include "ottoscaler.checks.services" . -}}
{{- include "ottoscaler.checks.ports" . -}}
{{- include "ottoscaler.checks.rollout" . -}}
{{- include "ottoscaler.checks.accounts" . -}}
{{- include "ottoscaler.checks.variables" . -}}
{{- include "ottoscaler.checks.times" . -}}
{{- include "ottoscaler.checks.sizes" . -}}
{{- include "ottoscaler.checks.volume" . -}}
{{- include "ottoscaler.checks.memory" . -}}
{{- include "ottoscaler.checks.alerts" . -}}
{{- include "ottoscaler.checks.redis" . -}}
{{- include "ottoscaler.checks.streams" . -}}
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
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics.serviceMonitor.enabled and metrics.podMonitor.enabled are both true: everything would be counted twice. Set one of them to false." -}}
{{- end -}}
{{- end -}}

{{- /* A Service has a port once. */ -}}
{{- define "ottoscaler.checks.ports" -}}
{{- range $service := list "ottoscaler" "logIngest" -}}
{{- $values := get $.Values $service -}}
{{- $taken := dict -}}
{{- range $name, $port := $values.service.ports -}}
{{- $number := int $port | toString -}}
{{- if and $values.enabled (hasKey $taken $number) -}}
{{- fail (printf "%s.service.ports: %s and %s are both %s. Give each a port of its own." $service (get $taken $number) $name $number) -}}
{{- end -}}
{{- $_ := set $taken $number $name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.rollout" -}}
{{- $scaler := .Values.ottoscaler -}}
{{- $budget := $scaler.podDisruptionBudget -}}
{{- $least := ne (toString $budget.minAvailable) "" -}}
{{- $most := ne (toString $budget.maxUnavailable) "" -}}
{{- if and $budget.enabled $least $most -}}
{{- fail "ottoscaler.podDisruptionBudget: minAvailable and maxUnavailable cannot both be set. Set maxUnavailable to \"\" to use minAvailable." -}}
{{- end -}}
{{- if and $budget.enabled (not $least) (not $most) -}}
{{- fail "ottoscaler.podDisruptionBudget: neither minAvailable nor maxUnavailable is set. Set one, or enabled to false." -}}
{{- end -}}
{{- $strategy := default (dict) $scaler.strategy -}}
{{- $rolling := default (dict) $strategy.rollingUpdate -}}
{{- $isRolling := eq (default "RollingUpdate" $strategy.type) "RollingUpdate" -}}
{{- $isHard := and (eq $scaler.podAntiAffinity "hard") (not $scaler.affinity) -}}
{{- /* With no surge at all Kubernetes lets one go whatever a percentage comes to. */ -}}
{{- $surges := not (has (toString $rolling.maxSurge) (list "0" "0%")) -}}
{{- $goes := include "ottoscaler.share" (list $rolling.maxUnavailable $scaler.replicas) | int -}}
{{- /* None waits for nobody, and one has another node where there is any. */ -}}
{{- $many := gt (int $scaler.replicas) 1 -}}
{{- if and $isRolling $isHard $surges $many (eq $goes 0) -}}
{{- fail "ottoscaler.strategy.rollingUpdate: where podAntiAffinity is hard, a new scaler has no node until an old one has gone, and none may go, so that an upgrade would wait for ever. Set {maxSurge: 0, maxUnavailable: 1}, or podAntiAffinity to soft." -}}
{{- end -}}
{{- if and $isRolling (not $surges) (has (toString $rolling.maxUnavailable) (list "0" "0%")) -}}
{{- fail "ottoscaler.strategy.rollingUpdate: maxSurge and maxUnavailable are both 0, so that no Pod could ever be replaced. Set maxSurge to 1." -}}
{{- end -}}
{{- end -}}

{{- /* What a number or a percentage of so many comes to, rounded down as Kubernetes does: (list amount of). By itself
       it takes a quarter. */ -}}
{{- define "ottoscaler.share" -}}
{{- $amount := toString (default "25%" (index . 0)) -}}
{{- if eq (toString (index . 0)) "0" }}{{ $amount = "0" }}{{ end -}}
{{- if hasSuffix "%" $amount }}{{ div (mul (trimSuffix "%" $amount | int) (index . 1 | int)) 100 }}{{ else }}{{ $amount }}{{ end -}}
{{- end -}}

{{- /* Who may create Pods is one account, of nobody else. */ -}}
{{- define "ottoscaler.checks.accounts" -}}
{{- if .Values.ottoscaler.enabled -}}
{{- $scaler := include "ottoscaler.serviceAccountName" . -}}
{{- $taken := dict (include "ottoscaler.cleanup.fullname" .) "the Job of `cleanup`" -}}
{{- if .Values.logIngest.enabled }}{{ $_ := set $taken (include "ottoscaler.ingest.serviceAccountName" .) "logIngest.serviceAccount.name" }}{{ end -}}
{{- $worker := include "ottoscaler.worker.serviceAccountName" . -}}
{{- if eq (include "ottoscaler.worker.namespace" .) .Release.Namespace -}}
{{- if and (hasKey $taken $worker) .Values.worker.serviceAccount.create -}}
{{- fail (printf "worker.serviceAccount.name: %s is %s, too. Choose another name." $worker (get $taken $worker)) -}}
{{- end -}}
{{- $_ := set $taken $worker "worker.serviceAccount.name" -}}
{{- end -}}
{{- if eq $scaler "default" -}}
{{- fail "ottoscaler.serviceAccount.name: is needed where ottoscaler.serviceAccount.create is false: `default` is everybody's in the namespace, and it would get the scaler's right to create Pods. Name an account of the scaler's own." -}}
{{- end -}}
{{- if hasKey $taken $scaler -}}
{{- fail (printf "ottoscaler.serviceAccount.name: %s is %s, too, which would get the scaler's right to create Pods. Choose another name." $scaler (get $taken $scaler)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* The API server takes a variable once. */ -}}
{{- define "ottoscaler.checks.variables" -}}
{{- $services := dict -}}
{{- if .Values.ottoscaler.enabled }}{{ $_ := set $services "ottoscaler" "ottoscaler.scaler.env" }}{{ end -}}
{{- if .Values.logIngest.enabled }}{{ $_ := set $services "logIngest" "ottoscaler.ingest.env" }}{{ end -}}
{{- range $service, $env := $services -}}
{{- $taken := list -}}
{{- range include $env $ | fromYamlArray }}{{ $taken = append $taken .name }}{{ end -}}
{{- range (get $.Values $service).extraEnv -}}
{{- if has .name $taken -}}
{{- fail (printf "%s.extraEnv: %s is set already. Flags are in %s.config, the filter of its log is %s.logFilter, and what it listens on is said by %s.extraArgs." $service .name $service $service $service) -}}
{{- end -}}
{{- $taken = append $taken .name -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.alerts" -}}
{{- $known := list -}}
{{- range .Files.Get "files/alerts.yaml" | fromYaml }}{{ range . }}{{ $known = append $known .alert }}{{ end }}{{ end -}}
{{- range .Values.metrics.rules.disabled -}}
{{- if not (has . $known) -}}
{{- fail (printf "metrics.rules.disabled: there is no alert %s. There are: %s." . (join ", " $known)) -}}
{{- end -}}
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
{{- /* Made for redis.url, and taken away by the upgrade that leaves it for this name. */ -}}
{{- if eq $redis.existingSecret.name (include "ottoscaler.redis.fullname" .) -}}
{{- fail (printf "redis.existingSecret.name: %s is what the chart calls the Secret that it makes of redis.url, and removes with it. Make one of another name, such as my-redis." $redis.existingSecret.name) -}}
{{- end -}}
{{- if and $redis.bundled.enabled (not .Values.ottoscaler.enabled) -}}
{{- fail "redis.bundled.enabled: is the scaler's, and ottoscaler.enabled is false: log-ingest needs no Redis. Set one of the two otherwise." -}}
{{- end -}}
{{- $limit := (default (dict) (default (dict) $redis.bundled.resources).limits).memory -}}
{{- if and $redis.bundled.enabled $limit (ge (include "ottoscaler.redis.maxMemory" . | int64) (include "ottoscaler.bytes" $limit | int64)) -}}
{{- fail (printf "redis.bundled.maxMemory: %v is not below redis.bundled.resources.limits.memory (%v): Redis would be killed before it refuses a write. Leave half of the limit for rewriting its file." $redis.bundled.maxMemory $limit) -}}
{{- end -}}
{{- if hasPrefix "rediss://" $redis.url -}}
{{- fail "redis.url: rediss:// is Redis with TLS, which ottoscaler does not speak yet. Use redis:// to a Redis within the cluster, or to a TLS proxy beside the scaler (ottoscaler.extraContainers)." -}}
{{- end -}}
{{- if and $redis.url (not (hasPrefix "redis://" $redis.url)) -}}
{{- fail "redis.url: expected redis://[:PASSWORD@]HOST:PORT[/DATABASE]." -}}
{{- end -}}
{{- end -}}

{{- /* What the scaler writes it would read back as what it was asked, and it ends with that. */ -}}
{{- define "ottoscaler.checks.streams" -}}
{{- $taken := dict -}}
{{- $byItself := dict "eventsStream" "otto:scale:events" "dlqStream" "otto:scale:events:dlq" "statusStream" "otto:scale:status" -}}
{{- range $flag, $name := $byItself -}}
{{- $stream := default $name (get $.Values.ottoscaler.config $flag) -}}
{{- if and $.Values.ottoscaler.enabled (hasKey $taken $stream) -}}
{{- fail (printf "ottoscaler.config: %s and %s are both %s. Give each a stream of its own." (get $taken $stream) $flag $stream) -}}
{{- end -}}
{{- $_ := set $taken $stream $flag -}}
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
{{- /* The page asks for what it loads from the root on, and log-ingest answers there alone; its API can be let out by
       itself. A controller of its own kind may need the asterisk. */ -}}
{{- $prefix := "^/(api(/[^*]*)?)?$" -}}
{{- $ingress := ternary "^/([*]|api(/.*)?)?$" $prefix (eq .Values.ingress.pathType "ImplementationSpecific") -}}
{{- $told := "the page is at / alone, its API at /api, and not below" -}}
{{- if and .Values.ingress.enabled (not (regexMatch $ingress .Values.ingress.path)) -}}
{{- fail (printf "ingress.path: %s %s. Set it to /, and pathType to Prefix, and give log-ingest a host of its own." $told .Values.ingress.path) -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not (regexMatch $prefix .Values.httpRoute.path)) -}}
{{- fail (printf "httpRoute.path: %s %s. Set it to /, and give log-ingest a host of its own." $told .Values.httpRoute.path) -}}
{{- end -}}
{{- if and .Values.ingress.enabled (eq .Values.ingress.pathType "Exact") -}}
{{- fail (printf "ingress.pathType: Exact lets %s through and nothing else that is needed. Set it to Prefix." .Values.ingress.path) -}}
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
{{- include "ottoscaler.checks.command" . -}}
{{- include "ottoscaler.checks.template" (list "worker.podTemplate" (default (dict) .Values.worker.podTemplate)) -}}
{{- range $name, $class := .Values.worker.resourceClasses -}}
{{- with $class -}}
{{- include "ottoscaler.checks.template" (list (printf "worker.resourceClasses.%s.podTemplate" $name) (default (dict) .podTemplate)) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "ottoscaler.checks.command" -}}
{{- $command := default "" .Values.ottoscaler.config.workerCommand -}}
{{- if and .Values.ottoscaler.enabled (hasPrefix "[" $command) -}}
{{- /* In a list of its own: where that is no JSON, Helm gives a list of what is wrong. */ -}}
{{- $read := printf "[%s]" $command | fromJsonArray -}}
{{- $words := ternary (first $read) list (and (eq (len $read) 1) (kindIs "slice" (first $read))) -}}
{{- $isOfText := true -}}
{{- range $words }}{{ if not (kindIs "string" .) }}{{ $isOfText = false }}{{ end }}{{ end -}}
{{- if not (and $words $isOfText (first $words)) -}}
{{- fail "ottoscaler.config.workerCommand: starts with [ and is no JSON array of strings that names a program; a shell command may start with a space." -}}
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
