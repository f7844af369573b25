{{- /* Parts of network policies. */ -}}

{{- /* To Kubernetes an empty list means all, here it means none. */ -}}
{{- define "ottoscaler.dnsEgress" -}}
{{- if and .Values.networkPolicy.dns .Values.networkPolicy.dnsPorts -}}
- to:
    {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    {{- range .Values.networkPolicy.dnsPorts }}
    - protocol: UDP
      port: {{ . }}
    - protocol: TCP
      port: {{ . }}
    {{- end }}
{{- end -}}
{{- end -}}

{{- /* Who may come in by a port: (list peers port). Nobody listed means nobody. */ -}}
{{- define "ottoscaler.ingressRule" -}}
{{- with index . 0 }}
- from:
    {{- toYaml . | nindent 4 }}
  ports:
    - protocol: TCP
      port: {{ index $ 1 }}
{{- end }}
{{- end -}}

{{- /* The Pods of a component as peers. */ -}}
{{- define "ottoscaler.peer" -}}
- podSelector:
    matchLabels:
      {{- include "ottoscaler.selector" . | nindent 6 }}
{{- end -}}
