{{- define "constellation.name" -}}
{{- if contains "constellation" .Release.Name }}{{ .Release.Name }}{{ else }}{{ printf "%s-constellation" .Release.Name }}{{ end }}
{{- end }}

{{- define "constellation.postgresql" -}}
{{ include "constellation.name" . }}-postgresql
{{- end }}

{{- define "constellation.selector" -}}
app.kubernetes.io/name: constellation
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: mothership
{{- end }}

{{- define "constellation.postgresqlSelector" -}}
app.kubernetes.io/name: constellation
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: postgresql
{{- end }}

{{- define "constellation.labels" -}}
{{ include "constellation.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name (.Chart.Version | replace "+" "_") }}
{{- end }}

{{- define "constellation.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion | replace "+" "-" }}
{{- end }}
{{- end }}

{{- define "constellation.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "constellation.name" .) "default" .Values.serviceAccount.create) }}
{{- end }}

{{- define "constellation.claim" -}}
{{- .Values.storage.volume.existingClaim | default (printf "%s-images" (include "constellation.name" .)) }}
{{- end }}
