{{- /* The file that OTTO_WORKER_CONFIG names: what every worker's Pod is merged with, and classes. */ -}}

{{- define "ottoscaler.worker.config" -}}
{{- $classes := dict -}}
{{- range $name, $class := .Values.worker.resourceClasses -}}
{{- /* One without anything is a class, too; null takes one away. */ -}}
{{- if kindIs "map" $class -}}
{{- $_ := set $classes $name (include "ottoscaler.worker.class" $class | fromYaml) -}}
{{- end -}}
{{- end -}}
{{- dict "podTemplate" (include "ottoscaler.worker.template" . | fromYaml) "resourceClasses" $classes | toYaml -}}
{{- end -}}

{{- /* What values of their own say; worker.podTemplate wins over them. */ -}}
{{- define "ottoscaler.worker.template" -}}
{{- $worker := .Values.worker -}}
{{- $spec := dict "serviceAccountName" (include "ottoscaler.worker.serviceAccountName" .) -}}
{{- range $field := list "priorityClassName" "nodeSelector" "tolerations" -}}
{{- with get $worker $field }}{{ $_ := set $spec $field . }}{{ end -}}
{{- end -}}
{{- with (default (dict) .Values.global).imagePullSecrets }}{{ $_ := set $spec "imagePullSecrets" . }}{{ end -}}
{{- $agent := dict "name" "otto-agent" "imagePullPolicy" $worker.agentImage.pullPolicy -}}
{{- with $worker.agentResources }}{{ $_ := set $agent "resources" . }}{{ end -}}
{{- $given := deepCopy (default (dict) $worker.podTemplate) -}}
{{- $theirs := default (list) (default (dict) $given.spec).initContainers -}}
{{- $rest := list -}}
{{- range $theirs -}}
{{- if eq .name "otto-agent" }}{{ $agent = mergeOverwrite $agent . }}{{ else }}{{ $rest = append $rest . }}{{ end -}}
{{- end -}}
{{- $merged := mergeOverwrite (dict "spec" $spec) $given -}}
{{- $_ := set $merged.spec "initContainers" (prepend $rest $agent) -}}
{{- toYaml $merged -}}
{{- end -}}

{{- /* Whether a class says how much memory its workers may use at most, or all of them have to keep to it: (list root
       class). A container or the Pod may say so. */ -}}
{{- define "ottoscaler.worker.isLimited" -}}
{{- $class := index . 1 -}}
{{- $said := list $class.resources -}}
{{- range $template := list (index . 0).Values.worker.podTemplate $class.podTemplate -}}
{{- $spec := default (dict) (default (dict) $template).spec -}}
{{- $said = append $said $spec.resources -}}
{{- range default (list) $spec.containers }}{{ if eq .name "worker" }}{{ $said = append $said .resources }}{{ end }}{{ end -}}
{{- end -}}
{{- range $said }}{{ if (default (dict) (default (dict) .).limits).memory }}true{{ end }}{{ end -}}
{{- end -}}

{{- /* A class; its `resources` are those of the container of the command. */ -}}
{{- define "ottoscaler.worker.class" -}}
{{- $class := dict -}}
{{- with .security }}{{ $_ := set $class "security" . }}{{ end -}}
{{- $template := deepCopy (default (dict) .podTemplate) -}}
{{- if .resources -}}
{{- $spec := default (dict) $template.spec -}}
{{- $command := dict "name" "worker" "resources" .resources -}}
{{- $rest := list -}}
{{- range default (list) $spec.containers -}}
{{- if eq .name "worker" }}{{ $command = mergeOverwrite $command . }}{{ else }}{{ $rest = append $rest . }}{{ end -}}
{{- end -}}
{{- $_ := set $spec "containers" (prepend $rest $command) -}}
{{- $_ := set $template "spec" $spec -}}
{{- end -}}
{{- with $template }}{{ $_ := set $class "podTemplate" . }}{{ end -}}
{{- toYaml $class -}}
{{- end -}}
