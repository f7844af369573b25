{{- /* What of a running release must not change while something runs: by its scaler's Deployment, as it is in the
       cluster. Nothing is known of it where Helm asks no cluster (helm template). */ -}}

{{- define "ottoscaler.checks.upgrade" -}}
{{- if and .Release.IsUpgrade .Values.ottoscaler.enabled -}}
{{- $deployments := lookup "apps/v1" "Deployment" .Release.Namespace "" -}}
{{- range default (list) $deployments.items -}}
{{- $labels := default (dict) .metadata.labels -}}
{{- $isOurs := and (eq (default "" (get $labels "app.kubernetes.io/component")) "scaler") (eq (default "" (get $labels "app.kubernetes.io/instance")) $.Release.Name) (eq (default "" (get $labels "app.kubernetes.io/part-of")) "ottoscaler") -}}
{{- /* With no scaler nothing new begins, and whoever has seen to it knows that nothing runs. */ -}}
{{- if and $isOurs (gt (int .spec.replicas) 0) -}}
{{- include "ottoscaler.checks.moved" (list $ .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether the new values would leave the workers of a scaler behind: (list root deployment). */ -}}
{{- define "ottoscaler.checks.moved" -}}
{{- $root := index . 0 -}}
{{- $deployment := index . 1 -}}
{{- $way := printf "Workers that run would be left behind, without a scaler, and without a network policy. Wait until /tasks shows none, upgrade with ottoscaler.replicas=0, and then with the new value and scalers (docs/upgrade.md)." -}}
{{- $names := dict "OTTO_NAMESPACE" "worker.namespace" "OTTO_INSTANCE" "ottoscaler.instance (by itself the full name: fullnameOverride, nameOverride)" -}}
{{- $new := dict -}}
{{- range include "ottoscaler.scaler.env" $root | fromYamlArray }}{{ $_ := set $new .name .value }}{{ end -}}
{{- range $container := $deployment.spec.template.spec.containers -}}
{{- if eq $container.name "ottoscaler" -}}
{{- range $container.env -}}
{{- if and (hasKey $names .name) (ne (default "" .value) (get $new .name)) -}}
{{- fail (printf "%s: is %q in the running release, and would become %q. %s" (get $names .name) .value (get $new .name) $way) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $name := include "ottoscaler.fullname" $root -}}
{{- if ne $deployment.metadata.name $name -}}
{{- fail (printf "fullnameOverride, nameOverride: the running release is called %q, and would become %q, with another log-ingest on another volume. %s" $deployment.metadata.name $name $way) -}}
{{- end -}}
{{- end -}}
