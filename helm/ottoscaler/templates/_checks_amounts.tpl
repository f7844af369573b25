{{- /* Amounts that cannot work, by themselves or beside others. */ -}}

{{- define "ottoscaler.checks.times" -}}
{{- $config := .Values.ottoscaler.config -}}
{{- if .Values.ottoscaler.enabled -}}
{{- with $config.leaseDuration -}}
{{- $lease := include "ottoscaler.millis" . | int64 -}}
{{- if or (ne (mod $lease 1000) 0) (lt $lease 2000) (gt $lease 600000) -}}
{{- fail (printf "ottoscaler.config.leaseDuration: %s is not in whole seconds from 2s to 10min, as a Lease counts." .) -}}
{{- end -}}
{{- end -}}
{{- $kept := default "1h" $config.keepEnded -}}
{{- $known := default "24h" $config.dedupePeriod -}}
{{- if gt (include "ottoscaler.millis" $kept | int64) (include "ottoscaler.millis" $known | int64) -}}
{{- fail (printf "ottoscaler.config.keepEnded: %s is longer than dedupePeriod (%s): a worker must not outlive its record. Raise dedupePeriod, or keep Pods for less." $kept $known) -}}
{{- end -}}
{{- end -}}
{{- range $service := list "ottoscaler" "logIngest" -}}
{{- $values := get $.Values $service -}}
{{- $shutdown := default "10s" $values.config.shutdownTimeout -}}
{{- $grace := mul $values.terminationGracePeriodSeconds 1000 -}}
{{- if and $values.enabled (ge (include "ottoscaler.millis" $shutdown | int64) $grace) -}}
{{- fail (printf "%s.terminationGracePeriodSeconds: %v is not longer than config.shutdownTimeout (%s): it would be killed while it shuts down. Raise it." $service $values.terminationGracePeriodSeconds $shutdown) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Bounds that log-ingest has itself, and would end with. */ -}}
{{- define "ottoscaler.checks.sizes" -}}
{{- $mib := 1048576 -}}
{{- $least := dict "retainBytes" (mul 16 $mib) "retainTaskBytes" (mul 16 $mib) "maxLine" 1 "queueLimit" 1 -}}
{{- $most := dict "maxLine" $mib "queueLimit" (mul 1024 $mib) -}}
{{- $told := dict "retainBytes" "16MiB or more" "retainTaskBytes" "16MiB or more" "maxLine" "from 1 B to 1MiB" "queueLimit" "from 1 B to 1GiB" -}}
{{- if .Values.logIngest.enabled -}}
{{- range $name, $value := pick .Values.logIngest.config "retainBytes" "retainTaskBytes" "maxLine" "queueLimit" -}}
{{- if not (kindIs "invalid" $value) -}}
{{- $bytes := include "ottoscaler.bytes" $value | int64 -}}
{{- if or (lt $bytes (get $least $name | int64)) (gt $bytes (default $bytes (get $most $name) | int64)) -}}
{{- fail (printf "logIngest.config.%s: %s is not %s." $name (include "ottoscaler.text" $value) (get $told $name)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* Where the volume is full, lines wait with their agents, and then get lost: the oldest have to go before. */ -}}
{{- define "ottoscaler.checks.volume" -}}
{{- $ingest := .Values.logIngest -}}
{{- if and $ingest.enabled (include "ottoscaler.ingest.retainBytes" .) -}}
{{- $size := include "ottoscaler.bytes" $ingest.persistence.size | int64 -}}
{{- $reserve := default "256MiB" $ingest.config.diskReserve -}}
{{- $kept := default (include "ottoscaler.ingest.retainBytes" .) $ingest.config.retainBytes -}}
{{- $room := sub $size (include "ottoscaler.bytes" $reserve | int64) -}}
{{- if lt (include "ottoscaler.bytes" (include "ottoscaler.ingest.retainBytes" .) | int64) 67108864 -}}
{{- fail (printf "logIngest.config.diskReserve: %v of persistence.size (%v) is kept free, and what is left is no room for logs. Enlarge the one, or lower the other." $reserve $ingest.persistence.size) -}}
{{- end -}}
{{- if gt (include "ottoscaler.bytes" $kept | int64) $room -}}
{{- fail (printf "logIngest.config.retainBytes: %v and diskReserve (%v) are more than persistence.size (%v): the volume would be full before the oldest lines go, and then new ones get lost. Nine tenths of the size less the reserve is right, and the default." $kept $reserve $ingest.persistence.size) -}}
{{- end -}}
{{- end -}}
{{- end -}}
