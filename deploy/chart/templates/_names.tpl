{{- define "name" }}{{ if .Values.fullnameOverride }}{{ .Values.fullnameOverride }}{{ else }}{{ .Release.Name }}{{ end }}{{ end }}
{{- define "selector" }}app.kubernetes.io/name: pinrelay, app.kubernetes.io/instance: {{ .Release.Name }}{{ end }}
{{- define "labels" }}{{ include "selector" . }}, app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}, app.kubernetes.io/managed-by: {{ .Release.Service }}{{ end }}
{{- define "image" }}{{ .Values.image.repository }}{{ if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ if .Values.image.tag }}{{ .Values.image.tag }}{{ else }}{{ .Chart.AppVersion }}{{ end }}{{ end }}{{ end }}
