{{- /* What of a running release must not change while something runs: by its scaler's Deployment, as it is in the
       cluster. Nothing is known of it where Helm asks no cluster (helm template). */ -}}

{{- define "ottoscaler.checks.upgrade" -}}
{{- if .Release.IsUpgrade -}}
{{- /* By its name, which needs no right to list; by its labels only where it has another or none. */ -}}
{{- $found := list (lookup "apps/v1" "Deployment" .Release.Namespace (include "ottoscaler.fullname" .)) -}}
{{- if not (include "ottoscaler.isScaler" (list . (first $found))) -}}
{{- $found = default (list) (lookup "apps/v1" "Deployment" .Release.Namespace "").items -}}
{{- end -}}
{{- range $found -}}
{{- /* With no scaler nothing new begins, and whoever has seen to it knows that nothing runs. */ -}}
{{- if and (include "ottoscaler.isScaler" (list $ .)) (gt (int .spec.replicas) 0) -}}
{{- include "ottoscaler.checks.moved" (list $ .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether a Deployment is this release's scaler: "true", or nothing. (list root deployment) */ -}}
{{- define "ottoscaler.isScaler" -}}
{{- $labels := default (dict) (default (dict) (index . 1).metadata).labels -}}
{{- $ours := dict "app.kubernetes.io/component" "scaler" "app.kubernetes.io/instance" (index . 0).Release.Name "app.kubernetes.io/part-of" "ottoscaler" -}}
{{- if eq (toJson (pick $labels "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/part-of")) (toJson $ours) }}true{{ end -}}
{{- end -}}

{{- /* Whether the new values would leave the workers of a scaler behind: (list root deployment). */ -}}
{{- define "ottoscaler.checks.moved" -}}
{{- $root := index . 0 -}}
{{- $deployment := index . 1 -}}
{{- $way := printf "Workers that run would be left behind, without a scaler, and without a network policy. Wait until /tasks shows none, take the scalers away (kubectl --namespace %s delete deployment %s --cascade=foreground), and upgrade again (docs/upgrade.md)." $root.Release.Namespace $deployment.metadata.name -}}
{{- if not $root.Values.ottoscaler.enabled -}}
{{- fail (printf "ottoscaler.enabled: the running release has a scaler, and would have none. %s" $way) -}}
{{- end -}}
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
