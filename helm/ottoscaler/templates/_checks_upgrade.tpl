{{- /* What of a running release must not change: by its scaler's Deployment, log-ingest's StatefulSet and the claim of its
       logs, as they are in the cluster. Nothing is known of them where Helm asks no cluster (helm template). */ -}}

{{- define "ottoscaler.checks.upgrade" -}}
{{- if .Release.IsUpgrade -}}
{{- /* By its name, which needs no right to list; by its labels only where it has another or none. */ -}}
{{- $found := list (lookup "apps/v1" "Deployment" .Release.Namespace (include "ottoscaler.fullname" .)) -}}
{{- $isNamed := include "ottoscaler.isPart" (list . (first $found) "scaler") -}}
{{- if not $isNamed -}}
{{- $found = default (list) (lookup "apps/v1" "Deployment" .Release.Namespace "").items -}}
{{- end -}}
{{- include "ottoscaler.checks.dropped" (list . $isNamed) -}}
{{- range $found -}}
{{- /* With no scaler nothing new begins, and whoever has seen to it knows that nothing runs. */ -}}
{{- if and (include "ottoscaler.isPart" (list $ . "scaler")) (gt (int .spec.replicas) 0) -}}
{{- include "ottoscaler.checks.moved" (list $ .) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What cannot be had of the claim of the logs, which may be there before the release is: an earlier one has left it. */ -}}
{{- define "ottoscaler.checks.claim" -}}
{{- if include "ottoscaler.ingest.makesClaim" . -}}
{{- $name := include "ottoscaler.ingest.fullname" . -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" .Release.Namespace $name -}}
{{- if $claim -}}
{{- include "ottoscaler.checks.class" (list . $claim) -}}
{{- include "ottoscaler.checks.shrunk" (list . $claim) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Refused by the API server as well, but then Helm 3 cannot go back: it would take away the class that the cluster
       has filled in. (list root claim) */ -}}
{{- define "ottoscaler.checks.class" -}}
{{- $root := index . 0 -}}
{{- $claim := index . 1 -}}
{{- $values := "logIngest.persistence.storageClass, global.storageClass" -}}
{{- $way := "or make a claim as you want it, copy the logs, and set logIngest.persistence.existingClaim (docs/upgrade.md)" -}}
{{- $notes := default (dict) $claim.metadata.annotations -}}
{{- $named := get $notes "ottoscaler.dev/storage-class" -}}
{{- $isUnnamed := and (hasKey $notes "ottoscaler.dev/storage-class") (not $named) -}}
{{- $new := include "ottoscaler.storageClass" (list $root $root.Values.logIngest.persistence.storageClass) | fromYaml -}}
{{- if hasKey $new "storageClassName" -}}
{{- if and (hasKey $claim.spec "storageClassName") (ne $new.storageClassName (toString $claim.spec.storageClassName)) -}}
{{- fail (printf "%s: persistentvolumeclaim/%s is of class %q, which cannot be changed to %q. Leave it, %s." $values $claim.metadata.name $claim.spec.storageClassName $new.storageClassName $way) -}}
{{- end -}}
{{- if and $isUnnamed $root.Release.IsUpgrade (hasPrefix "v3." $root.Capabilities.HelmVersion.Version) -}}
{{- /* To go back, Helm 3 would take the class away again, which the API server refuses. */ -}}
{{- fail (printf "%s: persistentvolumeclaim/%s was made without a class named, and has the cluster's, %q: once that is named, Helm 3 cannot roll back past it. Leave it out." $values $claim.metadata.name $new.storageClassName) -}}
{{- end -}}
{{- else if $named -}}
{{- fail (printf "%s: persistentvolumeclaim/%s was made with the class %q named, which cannot be taken away. Name it, %s." $values $claim.metadata.name $named $way) -}}
{{- end -}}
{{- end -}}

{{- /* Volumes do not shrink. Where one could not grow, Kubernetes takes less than was asked for, but more than there is.
       (list root claim) */ -}}
{{- define "ottoscaler.checks.shrunk" -}}
{{- $size := (index . 0).Values.logIngest.persistence.size -}}
{{- $claim := index . 1 -}}
{{- $asked := dig "resources" "requests" "storage" "0" $claim.spec -}}
{{- $there := dig "capacity" "storage" $asked (default (dict) $claim.status) -}}
{{- $bytes := include "ottoscaler.bytes" $size | int64 -}}
{{- if and (lt $bytes (include "ottoscaler.bytes" $asked | int64)) (le $bytes (include "ottoscaler.bytes" $there | int64)) -}}
{{- fail (printf "logIngest.persistence.size: %s is less than the %s of persistentvolumeclaim/%s, and volumes do not shrink. Set it to %s." (include "ottoscaler.text" $size) $asked $claim.metadata.name $asked) -}}
{{- end -}}
{{- end -}}

{{- /* Whether an object is this component of this release: "true", or nothing. (list root object component) */ -}}
{{- define "ottoscaler.isPart" -}}
{{- $labels := default (dict) (default (dict) (index . 1).metadata).labels -}}
{{- $ours := dict "app.kubernetes.io/component" (index . 2) "app.kubernetes.io/instance" (index . 0).Release.Name "app.kubernetes.io/part-of" "ottoscaler" -}}
{{- if eq (toJson (pick $labels "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/part-of")) (toJson $ours) }}true{{ end -}}
{{- end -}}

{{- /* Claims of logs that the release has made and would make no more. Only what whoever has made it may read is asked
       for: where log-ingest is off, nothing; where a claim of the operator's is mounted already, not that. (list root
       whether-the-name-is-known-to-stay) */ -}}
{{- define "ottoscaler.checks.dropped" -}}
{{- $root := index . 0 -}}
{{- $persistence := $root.Values.logIngest.persistence -}}
{{- $name := include "ottoscaler.ingest.fullname" $root -}}
{{- if $root.Values.logIngest.enabled -}}
{{- $found := list (lookup "apps/v1" "StatefulSet" $root.Release.Namespace $name) -}}
{{- if not (or (index . 1) (first $found)) -}}
{{- $found = default (list) (lookup "apps/v1" "StatefulSet" $root.Release.Namespace "").items -}}
{{- end -}}
{{- $given := list -}}
{{- if include "ottoscaler.ingest.isKept" $root -}}
{{- $given = append $given $persistence.existingClaim -}}
{{- end -}}
{{- $made := list -}}
{{- range $set := $found -}}
{{- range (dig "spec" "template" "spec" (dict) $set).volumes -}}
{{- $claim := toString (default (dict) .persistentVolumeClaim).claimName -}}
{{- /* One of the chart's is called as the StatefulSet is. */ -}}
{{- if and (eq $claim $set.metadata.name) (include "ottoscaler.isPart" (list $root $set "log-ingest")) -}}
{{- $made = append $made $claim -}}
{{- else if eq $set.metadata.name $name -}}
{{- $given = without $given $claim -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if include "ottoscaler.ingest.makesClaim" $root }}{{ $made = without $made $name }}{{ end -}}
{{- range concat $made (compact $given) | uniq -}}
{{- include "ottoscaler.checks.kept" (list $root .) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Whether a claim that the release would make no more stays: Helm asks its annotations. (list root name) */ -}}
{{- define "ottoscaler.checks.kept" -}}
{{- $root := index . 0 -}}
{{- $name := index . 1 -}}
{{- $claim := lookup "v1" "PersistentVolumeClaim" $root.Release.Namespace $name -}}
{{- $metadata := default (dict) $claim.metadata -}}
{{- $notes := default (dict) $metadata.annotations -}}
{{- /* One of the operator's may be of the same release: extraObjects. */ -}}
{{- $isOurs := and (include "ottoscaler.isPart" (list $root $claim "log-ingest")) (eq $root.Release.Name (toString (get $notes "meta.helm.sh/release-name"))) -}}
{{- $isKept := eq "keep" (toString (get $notes "helm.sh/resource-policy")) -}}
{{- if and $isOurs (not $isKept) (not $metadata.deletionTimestamp) -}}
{{- fail (printf "logIngest.persistence: with these values persistentvolumeclaim/%s is the release's no more, and Helm would delete it with its logs, as it was made with keep: false. First upgrade with logIngest.persistence.keep=true and nothing else new. If the logs are to go, delete the claim before (kubectl --namespace %s delete persistentvolumeclaim %s --wait=false)." $name $root.Release.Namespace $name) -}}
{{- end -}}
{{- end -}}

{{- /* Whether the new values would leave the workers of a scaler behind: (list root deployment). */ -}}
{{- define "ottoscaler.checks.moved" -}}
{{- $root := index . 0 -}}
{{- $deployment := index . 1 -}}
{{- $name := include "ottoscaler.fullname" $root -}}
{{- $isRenamed := ne $deployment.metadata.name $name -}}
{{- $way := printf "Workers that run would be left behind, without a scaler, and without a network policy. Wait until /tasks shows none, take the scalers away (kubectl --namespace %s delete deployment %s --cascade=foreground), and upgrade again (docs/upgrade.md)." $root.Release.Namespace $deployment.metadata.name -}}
{{- if and $isRenamed $root.Values.logIngest.enabled -}}
{{- $way = printf "%s Log-ingest gets another name as well: if its logs are not kept, first upgrade with logIngest.persistence.keep=true and nothing else new, or Helm deletes their claim." $way -}}
{{- end -}}
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
{{- if $isRenamed -}}
{{- fail (printf "fullnameOverride, nameOverride: the running release is called %q, and would become %q, with another log-ingest on another volume. %s" $deployment.metadata.name $name $way) -}}
{{- end -}}
{{- end -}}
