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

{{- /* Where the volume is full, lines wait with their agents, and then get lost: the oldest have to go before. A Pod that
       takes more of its node's disk than it may is evicted, and all go. */ -}}
{{- define "ottoscaler.checks.volume" -}}
{{- $ingest := .Values.logIngest -}}
{{- $default := include "ottoscaler.ingest.retainBytes" . -}}
{{- if and $ingest.enabled $default -}}
{{- $onNode := include "ottoscaler.ingest.isOnNode" . -}}
{{- $size := include "ottoscaler.ingest.size" . -}}
{{- $reserve := include "ottoscaler.ingest.reserve" . -}}
{{- $kept := default $default $ingest.config.retainBytes | include "ottoscaler.text" -}}
{{- $room := sub (include "ottoscaler.bytes" $size | int64) (include "ottoscaler.bytes" $reserve | int64) -}}
{{- $isTooSmall := lt (include "ottoscaler.bytes" $default | int64) 67108864 -}}
{{- $isTooMuch := gt (include "ottoscaler.bytes" $kept | int64) $room -}}
{{- if and $isTooSmall $onNode -}}
{{- fail (printf "logIngest.persistence.size, logIngest.resources.limits.ephemeral-storage: of %s, which without a volume is what logs may take of their node's disk, %s are for what comes before the oldest go, and what is left is no room for logs. Enlarge it." $size $reserve) -}}
{{- else if $isTooSmall -}}
{{- fail (printf "logIngest.config.diskReserve: %s of persistence.size (%s) is kept free, and what is left is no room for logs. Enlarge the one, or lower the other." $reserve $size) -}}
{{- else if and $isTooMuch $onNode -}}
{{- fail (printf "logIngest.config.retainBytes: %s and %s for what comes before the oldest lines go are more than persistence.size, or limits.ephemeral-storage if that is less (%s), which without a volume is what logs may take of their node's disk: log-ingest would be evicted, and all logs with it. Enlarge the size; nine tenths of it less %s is right here, and the default." $kept $reserve $size $reserve) -}}
{{- else if $isTooMuch -}}
{{- fail (printf "logIngest.config.retainBytes: %s and diskReserve (%s) are more than persistence.size (%s): the volume would be full before the oldest lines go, and then new ones get lost. Nine tenths of the size less the reserve is right, and the default." $kept $reserve $size) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- /* What log-ingest takes of its memory in any case has to fit: beyond its limit it is killed. Readers, and what it takes
       for itself, come on top. */ -}}
{{- define "ottoscaler.checks.memory" -}}
{{- $ingest := .Values.logIngest -}}
{{- $limit := (default (dict) (default (dict) $ingest.resources).limits).memory -}}
{{- if and $ingest.enabled $limit -}}
{{- $most := include "ottoscaler.bytes" $limit | int64 -}}
{{- $queue := default "64MiB" $ingest.config.queueLimit | include "ottoscaler.text" -}}
{{- $queued := include "ottoscaler.bytes" $queue | int64 -}}
{{- $kept := default "256MiB" $ingest.config.retainBytes | include "ottoscaler.text" -}}
{{- $way := printf "all of logIngest.resources.limits.memory (%s): log-ingest would be killed before it is full. Lower it, or raise the limit, which has to have room for 64MiB and 1MiB for each reader beside (docs/sizing.md)." (include "ottoscaler.text" $limit) -}}
{{- if ge $queued $most -}}
{{- fail (printf "logIngest.config.queueLimit: %s takes up %s" $queue $way) -}}
{{- end -}}
{{- $inMemory := eq "memory" (default "disk" $ingest.config.store) -}}
{{- if and $inMemory (ge (add $queued (include "ottoscaler.bytes" $kept | int64)) $most) -}}
{{- fail (printf "logIngest.config.retainBytes: %s in memory (store) and queueLimit (%s) take up %s" $kept $queue $way) -}}
{{- end -}}
{{- end -}}
{{- end -}}
