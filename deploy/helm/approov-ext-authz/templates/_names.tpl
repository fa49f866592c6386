{{/* Names and labels that several objects share, and what is derived from several values. */}}

{{- define "approov.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "approov.fullname" -}}
{{- $name := include "approov.name" . -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end }}

{{- define "approov.selectorLabels" -}}
app.kubernetes.io/name: {{ include "approov.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end }}

{{/* The chart's own labels take precedence: selectors and tools may rely on them. */}}
{{- define "approov.labels" -}}
{{- toYaml (merge (include "approov.ownLabels" . | fromYaml) .Values.commonLabels) -}}
{{- end }}

{{/* For monitors and rules, with the labels by which Prometheus selects them. */}}
{{- define "approov.monitoringLabels" -}}
{{- toYaml (merge (include "approov.ownLabels" . | fromYaml) .Values.monitoring.labels .Values.commonLabels) -}}
{{- end }}

{{- define "approov.podLabels" -}}
{{- $own := omit (include "approov.ownLabels" . | fromYaml) "helm.sh/chart" "app.kubernetes.io/managed-by" -}}
{{- toYaml (merge $own .Values.podLabels .Values.commonLabels) -}}
{{- end }}

{{- define "approov.ownLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
{{ include "approov.selectorLabels" . }}
{{- end }}

{{- define "approov.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "approov.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end }}

{{- define "approov.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{- printf "%s@%s" $image.repository $image.digest -}}
{{- else -}}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) -}}
{{- end -}}
{{- end }}

{{- define "approov.tlsSecretName" -}}
{{- default (printf "%s-tls" (include "approov.fullname" .)) .Values.tls.secretName -}}
{{- end }}

{{/* `listen` of the configuration file, which the chart sets. */}}
{{- define "approov.listen" -}}
admin: {{ printf "%s:9002" .Values.listen.host | quote }}
{{- if .Values.sidecar.enabled }}
grpc: unix:/run/approov/authz.sock
{{- else }}
grpc: {{ printf "%s:9001" .Values.listen.host | quote }}
{{- end }}
{{- if ne .Values.listen.transport "grpc-js" }}
transport: {{ .Values.listen.transport }}
{{- end }}
{{- if .Values.tls.enabled }}
tls:
  certFile: /run/tls/approov/tls.crt
  keyFile: /run/tls/approov/tls.key
  {{- with .Values.tls.clientCaKey }}
  clientCaFile: /run/tls/approov/{{ . }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
The configuration file without `listen`. Helm reads YAML 1.1, where an unquoted `off` is false. Unknown policy names
fail here, because otherwise they would only show when a pod fails to start.
*/}}
{{- define "approov.config" -}}
{{- $config := deepCopy .Values.config -}}
{{- $names := keys $config.policies | sortAlpha -}}
{{- $default := default "default" $config.defaultPolicy -}}
{{- if eq $default "default" }}{{ $names = append $names "default" | uniq | sortAlpha }}{{ end -}}
{{- $unknown := printf "unknown policy; known: %s" (join ", " $names) -}}
{{- if not (has $default $names) }}{{ fail (printf "config.defaultPolicy: %q: %s" $default $unknown) }}{{ end -}}
{{- range $index, $route := $config.routes -}}
{{- if not (has $route.policy $names) -}}
{{- fail (printf "config.routes[%d].policy: %q: %s" $index $route.policy $unknown) -}}
{{- end -}}
{{- end -}}
{{- range $policy := $config.policies -}}
{{- if eq (toString $policy.mode) "false" }}{{ $_ := set $policy "mode" "off" }}{{ end -}}
{{- with $policy.messageSignature -}}
{{- $signature := . -}}
{{- range $field := list "install" "account" "contentDigest" "replay" -}}
{{- if eq (toString (get $signature $field)) "false" }}{{ $_ := set $signature $field "off" }}{{ end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $config -}}
{{- end }}

{{/* After SIGTERM the service drains for delay and timeout; five more seconds ensure that it is not killed before. */}}
{{- define "approov.terminationGracePeriodSeconds" -}}
{{- $drain := .Values.config.drain -}}
{{- add .Values.preStopSeconds (ceil $drain.delaySeconds | int) (ceil $drain.timeoutSeconds | int) 5 -}}
{{- end }}

{{/* The peers that may reach the admin port, as `from` of a NetworkPolicy. */}}
{{- define "approov.adminReaders" -}}
{{- with .Values.monitoring.namespace -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ . | quote }}
{{- end }}
{{- with .Values.networkPolicy.monitoring }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* "true" if keys are fetched over HTTPS, for which the pods need egress. */}}
{{- define "approov.fetchesKeys" -}}
{{- range .Values.config.keys -}}
{{- if hasKey . "jwksUrl" -}}true{{- end -}}
{{- end -}}
{{- end }}

{{/* The port of the replay store, for which the pods need egress; empty without a store. */}}
{{- define "approov.replayStorePort" -}}
{{- with .Values.config.replayStore -}}
{{- regexFind ":[0-9]+$" (urlParse .url).host | trimPrefix ":" | default "6379" -}}
{{- end -}}
{{- end }}

{{/* Drops fields that are null, so that the cluster sets them. */}}
{{- define "approov.withoutNulls" -}}
{{- $given := dict -}}
{{- range $name, $value := . }}{{ if not (kindIs "invalid" $value) }}{{ $_ := set $given $name $value }}{{ end }}{{ end -}}
{{- toYaml $given -}}
{{- end }}
