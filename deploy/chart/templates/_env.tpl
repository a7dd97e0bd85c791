{{/* One variable of the environment, unless it has no value. */}}
{{- define "constellation.variable" -}}
{{- $value := index . 1 }}
{{- if kindIs "slice" $value }}{{ $value = join "," $value }}{{ end }}
{{- if ne (toString $value) "" }}
- name: {{ index . 0 }}
  value: {{ toString $value | quote }}
{{- end }}
{{- end }}

{{- define "constellation.env" -}}
{{- with .Values }}
- name: CONSTELLATION_LISTEN
  value: ":8080"
- name: CONSTELLATION_DATA_DIR
  value: /var/lib/constellation
- name: CONSTELLATION_PUBLIC_URL
  value: {{ .publicURL | quote }}
{{- include "constellation.variable" (list "CONSTELLATION_REGISTRY_HOST" .registryHost) }}
- name: CONSTELLATION_SECRET_KEY_FILE
  value: /run/constellation/secret-key/secret.key
- name: CONSTELLATION_STORAGE
  value: {{ .storage.url | default "file:///srv/images" | quote }}
{{- if .postgresql.enabled }}
- name: DATABASE_URL
  value: postgres://constellation@{{ include "constellation.postgresql" $ }}/constellation?sslmode=disable
- name: PGPASSWORD
  valueFrom:
    secretKeyRef: {name: {{ .postgresql.existingSecret }}, key: {{ .postgresql.key | quote }}}
{{- else }}
- name: DATABASE_URL
  valueFrom:
    secretKeyRef: {name: {{ .database.existingSecret }}, key: {{ .database.key | quote }}}
{{- if .database.caConfigMap }}
- name: PGSSLROOTCERT
  value: /run/constellation/database-ca/ca.crt
{{- end }}
{{- end }}
{{- if .storage.redirect }}
- name: CONSTELLATION_STORAGE_REDIRECT
  value: "true"
{{- end }}
{{- if or .backup.url .backup.existingClaim }}
- name: CONSTELLATION_BACKUP
  value: {{ .backup.url | default "/srv/backups" | quote }}
{{- include "constellation.variable" (list "CONSTELLATION_BACKUP_SCHEDULE" .backup.schedule) }}
{{- include "constellation.variable" (list "CONSTELLATION_BACKUP_KEEP" (int .backup.keep)) }}
{{- include "constellation.variable" (list "CONSTELLATION_BACKUP_VERIFY" .backup.verify) }}
{{- end }}
{{- include "constellation.variable" (list "CONSTELLATION_TRUSTED_PROXY" .trustedProxies) }}
{{- if .oidc.issuer }}
- name: CONSTELLATION_OIDC_ISSUER
  value: {{ .oidc.issuer | quote }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_CLIENT_ID" .oidc.clientID) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_NAME" .oidc.name) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_LABEL" .oidc.label) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_SCOPES" .oidc.scopes) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_USERNAME_CLAIM" .oidc.usernameClaim) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_GROUPS_CLAIM" .oidc.groupsClaim) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_ROLE" .oidc.roles) }}
{{- include "constellation.variable" (list "CONSTELLATION_OIDC_SIGN_UP" .oidc.signUp) }}
{{- if .oidc.existingSecret }}
- name: CONSTELLATION_OIDC_CLIENT_SECRET_FILE
  value: /run/constellation/oidc/client-secret
{{- end }}
{{- if .oidc.caConfigMap }}
- name: CONSTELLATION_OIDC_CA_FILE
  value: /run/constellation/oidc-ca/ca.crt
{{- end }}
{{- end }}
{{- if .otlp.endpoint }}
- name: CONSTELLATION_OTLP_ENDPOINT
  value: {{ .otlp.endpoint | quote }}
{{- include "constellation.variable" (list "OTEL_TRACES_SAMPLER" .otlp.sampler) }}
{{- include "constellation.variable" (list "OTEL_TRACES_SAMPLER_ARG" .otlp.samplerArg) }}
{{- if .otlp.existingSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom:
    secretKeyRef: {name: {{ .otlp.existingSecret }}, key: {{ .otlp.key | quote }}}
{{- end }}
{{- end }}
{{- if not (hasKey .settings "stop-delay") }}
# Longer than a cluster needs to send no more requests here.
- name: CONSTELLATION_STOP_DELAY
  value: 5s
{{- end }}
{{- range $name, $value := .settings }}
{{- include "constellation.variable" (list (printf "CONSTELLATION_%s" ($name | upper | replace "-" "_")) $value) }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end }}
