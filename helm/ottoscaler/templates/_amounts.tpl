{{- /* Amounts with units, as numbers, and what is counted from them. */ -}}

{{- /* Bytes of a quantity of Kubernetes (1Gi, 500M) or of a size of the programs (1GiB, 500MB). */ -}}
{{- define "ottoscaler.bytes" -}}
{{- $units := dict "" 1 "m" 0.001 "k" 1000 "ki" 1024 "M" 1000000 "Mi" 1048576 "G" 1000000000 "Gi" 1073741824 "T" 1000000000000 "Ti" 1099511627776 "P" 1000000000000000 "Pi" 1125899906842624 "E" 1000000000000000000 "Ei" 1152921504606846976 -}}
{{- $text := include "ottoscaler.text" . -}}
{{- /* Kubernetes writes some quantities with an exponent (1e9). */ -}}
{{- $number := regexFind "^[0-9.]+([eE][-+]?[0-9]+)?" $text -}}
{{- $unit := trimPrefix $number $text | trim | trimSuffix "B" | replace "K" "k" -}}
{{- mulf (float64 $number) (get $units $unit) | int64 -}}
{{- end -}}

{{- /* Milliseconds of a time of the programs: 1h 30m, 500ms. */ -}}
{{- define "ottoscaler.millis" -}}
{{- $units := dict "w" 604800000 "d" 86400000 "h" 3600000 "m" 60000 "s" 1000 "ms" 1 -}}
{{- $sum := 0.0 -}}
{{- range regexFindAll "[0-9.]+ ?[a-z]+" . -1 -}}
{{- $number := regexFind "^[0-9.]+" . -}}
{{- $name := trimPrefix $number . | trim -}}
{{- $unit := ternary "ms" (substr 0 1 $name) (or (hasPrefix "ms" $name) (hasPrefix "mil" $name)) -}}
{{- $sum = addf $sum (mulf (float64 $number) (get $units $unit)) -}}
{{- end -}}
{{- int64 $sum -}}
{{- end -}}

{{- /* How large the store may grow, where the size of its volume is known and nobody has said it: a file system
       takes some of a volume for itself. */ -}}
{{- define "ottoscaler.ingest.retainBytes" -}}
{{- $ingest := .Values.logIngest -}}
{{- if or (include "ottoscaler.ingest.makesClaim" .) (include "ottoscaler.ingest.isOnNode" .) -}}
{{- $size := include "ottoscaler.ingest.size" . | include "ottoscaler.bytes" | int64 -}}
{{- $reserve := include "ottoscaler.bytes" (include "ottoscaler.ingest.reserve" .) | int64 -}}
{{- $room := sub (div (mul $size 9) 10) $reserve -}}
{{ div $room 1048576 }}MiB
{{- end -}}
{{- end -}}

{{- /* What logs may take: of their volume, or of a node's disk, where a Pod has to keep to its own limit as well. */ -}}
{{- define "ottoscaler.ingest.size" -}}
{{- $size := .Values.logIngest.persistence.size -}}
{{- $limit := get (default (dict) (default (dict) .Values.logIngest.resources).limits) "ephemeral-storage" -}}
{{- $isLess := and $limit (include "ottoscaler.ingest.isOnNode" .) (lt (include "ottoscaler.bytes" $limit | int64) (include "ottoscaler.bytes" $size | int64)) -}}
{{- ternary $limit $size (not (not $isLess)) | include "ottoscaler.text" -}}
{{- end -}}

{{- /* What of persistence.size is no room for logs: what is kept free on a volume, or of a node's disk, whose own
       room diskReserve is about, what comes before the oldest lines go. */ -}}
{{- define "ottoscaler.ingest.reserve" -}}
{{- $isVolume := include "ottoscaler.ingest.isKept" . -}}
{{- ternary (default "256MiB" .Values.logIngest.config.diskReserve | include "ottoscaler.text") "256MiB" (ne $isVolume "") -}}
{{- end -}}

{{- /* How long the Job at the end may take: for the commands, and to be scheduled and pulled, and again. */ -}}
{{- define "ottoscaler.cleanup.seconds" -}}
{{ add 180 (div (include "ottoscaler.millis" .Values.cleanup.gracePeriod | int64) 1000) }}
{{- end -}}

{{- /* How long both tasks of `helm test` may take. */ -}}
{{- define "ottoscaler.test.seconds" -}}
{{ div (include "ottoscaler.millis" .Values.test.timeout | int64) 500 }}
{{- end -}}

{{- /* Flags of the scaler that the size of the bundled Redis bounds, as YAML: dead letters of 64 KB each take half of it,
       notifications a twentieth. Nothing where Redis is somebody else's. */ -}}
{{- define "ottoscaler.redis.limits" -}}
{{- if .Values.redis.bundled.enabled -}}
{{- $bytes := include "ottoscaler.redis.maxMemory" . | int64 -}}
dlqLimit: {{ div $bytes 131072 | max 1 | min 100000 }}
statusLimit: {{ div $bytes 4096 | max 1 | min 100000 }}
{{- end -}}
{{- end -}}

{{- /* So much data the bundled Redis takes. To rewrite its file it forks, which may take as much again. */ -}}
{{- define "ottoscaler.redis.maxMemory" -}}
{{- with .Values.redis.bundled -}}
{{- $limit := default "256Mi" (default (dict) (default (dict) .resources).limits).memory -}}
{{- if .maxMemory }}{{ include "ottoscaler.bytes" .maxMemory }}{{ else }}{{ div (include "ottoscaler.bytes" $limit | int64) 2 }}{{ end -}}
{{- end -}}
{{- end -}}
