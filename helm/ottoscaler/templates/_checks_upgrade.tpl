{{- /* What of a running release must not change: by its scaler's Deployment and the claim of its logs, as they are in
       the cluster. Nothing is known of them where Helm asks no cluster (helm template). */ -}}

{{- define "ottoscaler.checks.upgrade" -}}
{{- if .Release.IsUpgrade -}}
{{- include "ottoscaler.checks.claim" . -}}
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

{{- /* What becomes of the claim of the logs. Only what whoever has made it may read is asked for: where log-ingest is off,
       nothing. */ -}}
{{- define "ottoscaler.checks.claim" -}}
{{- $persistence := .Values.logIngest.persistence -}}
{{- $name := include "ottoscaler.ingest.fullname" . -}}
{{- if .Values.logIngest.enabled -}}
{{- if and (include "ottoscaler.ingest.isKept" .) (not $persistence.existingClaim) -}}
{{- /* Refused by the API server as well, but then Helm 3 cannot go back: it would take away the class that the
       cluster has filled in. */ -}}
{{- $new := include "ottoscaler.storageClass" (list . $persistence.storageClass) | fromYaml -}}
{{- $old := default (dict) (lookup "v1" "PersistentVolumeClaim" .Release.Namespace $name).spec -}}
{{- if and (hasKey $new "storageClassName") (hasKey $old "storageClassName") (ne $new.storageClassName (toString $old.storageClassName)) -}}
{{- fail (printf "logIngest.persistence.storageClass, global.storageClass: persistentvolumeclaim/%s is of class %q, which cannot be changed to %q. Leave it, or make a claim as you want it, copy the logs, and set logIngest.persistence.existingClaim (docs/upgrade.md)." $name $old.storageClassName $new.storageClassName) -}}
{{- end -}}
{{- else -}}
{{- $pod := dig "spec" "template" "spec" (dict) (lookup "apps/v1" "StatefulSet" .Release.Namespace $name) -}}
{{- range $pod.volumes -}}
{{- if eq $name (toString (default (dict) .persistentVolumeClaim).claimName) -}}
{{- include "ottoscaler.checks.kept" (list $ $name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether a claim that the release would make no more stays: Helm asks its annotations. (list root name) */ -}}
{{- define "ottoscaler.checks.kept" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $claim := default (dict) (lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $name).metadata -}}
{{- $notes := default (dict) $claim.annotations -}}
{{- $isOurs := eq $root.Release.Name (toString (get $notes "meta.helm.sh/release-name")) -}}
{{- $isKept := eq "keep" (toString (get $notes "helm.sh/resource-policy")) -}}
{{- if and $isOurs (not $isKept) (not $claim.deletionTimestamp) -}}
{{- fail (printf "logIngest.persistence: with these values persistentvolumeclaim/%s is the release's no more, and Helm would delete it with its logs, as it was made with keep: false. First upgrade with logIngest.persistence.keep=true and nothing else new. If the logs are to go, delete the claim before (kubectl --namespace %s delete persistentvolumeclaim %s --wait=false)." $name $root.Release.Namespace $name) -}}
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
