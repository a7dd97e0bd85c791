{{/* What one value alone cannot tell: each mistake is a sentence, and all are told at once. */}}
{{- define "constellation.check" -}}
{{- $wrong := list -}}
{{- $own := list "otlp-endpoint" "config" "listen" "data-dir" "public-url" "registry-host" "secret-key" "secret-key-file" "secret-key-command" "storage" "storage-redirect" "trusted-proxy" "backup" "backup-schedule" "backup-keep" "backup-verify" "database-url" "tls-cert" "tls-key" -}}
{{- with .Values -}}
{{- if not .image.repository }}{{ $wrong = append $wrong "image.repository is missing: give the REGISTRY/PATH that 'mothership image push' pushed to" }}{{ end -}}
{{- if not .publicURL }}{{ $wrong = append $wrong "publicURL is missing: give the address by which browsers and satellites reach the mothership, such as https://mothership.example.com" }}{{ end -}}
{{- if not .secretKey.existingSecret }}{{ $wrong = append $wrong "secretKey.existingSecret is missing: give a Secret whose key secret-key is what 'openssl rand -base64 32' prints" }}{{ end -}}
{{- if and .postgresql.enabled .database.existingSecret }}{{ $wrong = append $wrong "database.existingSecret and postgresql.enabled go not together: take your own PostgreSQL or the one of this chart" }}{{ end -}}
{{- if not (or .postgresql.enabled .database.existingSecret) }}{{ $wrong = append $wrong "a database is missing: give database.existingSecret with the URL of your PostgreSQL, or postgresql.enabled for a trial" }}{{ end -}}
{{- if and .postgresql.enabled (not .postgresql.existingSecret) }}{{ $wrong = append $wrong "postgresql.existingSecret is missing: give a Secret whose key password has the password that PostgreSQL is made with" }}{{ end -}}
{{- if and .storage.existingSecret (not .storage.url) }}{{ $wrong = append $wrong "storage.existingSecret is for a bucket: give storage.url too, or neither" }}{{ end -}}
{{- if and .storage.redirect (not .storage.url) }}{{ $wrong = append $wrong "storage.redirect is for a bucket: give storage.url too" }}{{ end -}}
{{- if and (gt (int .replicas) 1) (not .storage.url) (not (has "ReadWriteMany" .storage.volume.accessModes)) }}{{ $wrong = append $wrong (printf "%d replicas need a storage that all of them reach: give storage.url with a bucket, or storage.volume.accessModes with ReadWriteMany, or replicas: 1" (int .replicas)) }}{{ end -}}
{{- if and .backup.url .backup.existingClaim }}{{ $wrong = append $wrong "backup.url and backup.existingClaim go not together: backups go to a bucket or to a volume" }}{{ end -}}
{{- if and .backup.url (eq .backup.url .storage.url) }}{{ $wrong = append $wrong "backup.url is where the images are: give another bucket, or another prefix" }}{{ end -}}
{{- if and .oidc.issuer (not .oidc.clientID) }}{{ $wrong = append $wrong "oidc.clientID is missing: give what the provider calls this mothership" }}{{ end -}}
{{- if and .oidc.issuer (not .oidc.roles) }}{{ $wrong = append $wrong "oidc.roles is empty, so that nobody could sign in: give ROLE=GROUP, such as admin=platform-admins" }}{{ end -}}
{{- if and (or .otlp.sampler .otlp.samplerArg .otlp.existingSecret) (not .otlp.endpoint) }}{{ $wrong = append $wrong "otlp.endpoint is missing: the other settings of otlp count only with it" }}{{ end -}}
{{- if and .oidc.clientID (not .oidc.issuer) }}{{ $wrong = append $wrong "oidc.issuer is missing: the other settings of oidc count only with it" }}{{ end -}}
{{- if and .ingress.tlsSecret (hasPrefix "http://" .publicURL) }}{{ $wrong = append $wrong "ingress.tlsSecret is for an https:// publicURL; this one is http://" }}{{ end -}}
{{- if and .serviceAccount.annotations (not .serviceAccount.create) }}{{ $wrong = append $wrong "serviceAccount.annotations are for a service account that this chart makes: annotate your own, or set serviceAccount.create" }}{{ end -}}
{{- range $name, $value := .settings }}{{ if or (has $name $own) (hasPrefix "oidc-" $name) }}{{ $wrong = append $wrong (printf "settings.%s is not for here: the chart sets it by a value of its own, see values.yaml" $name) }}{{ end }}{{ end -}}
{{- end -}}
{{- if $wrong }}{{ fail (printf "\n- %s" (join "\n- " $wrong)) }}{{ end -}}
{{- end }}
