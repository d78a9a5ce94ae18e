{{- define "brimful.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* Short enough for "-events" and for the names that a CronJob gives its Jobs (52 characters). */}}
{{- define "brimful.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- $name := include "brimful.name" . }}
{{- if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}
{{- end }}

{{- define "brimful.serviceAccount" -}}
{{- default (ternary (include "brimful.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{- define "brimful.selectorLabels" -}}
app.kubernetes.io/name: {{ include "brimful.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "brimful.labels" -}}
{{ include "brimful.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/component: steering
app.kubernetes.io/part-of: brimful
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "brimful.image" -}}
{{- $image := .Values.image }}
{{- if not $image.repository }}
{{- fail "image.repository is not set: no image is published yet. Build one (docker build -t REGISTRY/brimful:0.1.0 .), push it, and name it: --set image.repository=REGISTRY/brimful" }}
{{- end }}
{{- if $image.digest }}
{{- printf "%s@%s" $image.repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $image.repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* The grips that are consented to in the configuration, as JSON. The weight always is. */}}
{{- define "brimful.grips" -}}
{{- $grips := .Values.config.grips | default list }}
{{- if dig "limits" "manage" false .Values.config }}
{{- $grips = append $grips "limits" }}
{{- end }}
{{- if hasKey .Values.guard "grips" }}
{{- $grips = .Values.guard.grips }}
{{- end }}
{{- append $grips "weight" | uniq | toJson }}
{{- end }}

{{/* The pod of a run: dict "root" $ "args" (list …). */}}
{{- define "brimful.pod" -}}
{{- $ := .root }}
{{- with $.Values.image.pullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
serviceAccountName: {{ include "brimful.serviceAccount" $ }}
automountServiceAccountToken: true
restartPolicy: {{ ternary "Always" "Never" (has "run" .args) }}
terminationGracePeriodSeconds: 30
{{- with $.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $.Values.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $.Values.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile:
    type: RuntimeDefault
containers:
  - name: brimful
    image: {{ include "brimful.image" $ | quote }}
    {{- with $.Values.image.pullPolicy }}
    imagePullPolicy: {{ . }}
    {{- end }}
    args: {{ toJson .args }}
    env:
      - name: BRIMFUL_CONFIG
        value: /etc/brimful/config.yaml
      - name: BRIMFUL_NAMESPACE
        valueFrom:
          fieldRef:
            fieldPath: metadata.namespace
      {{- with $.Values.cronJob.timeout }}
      - name: BRIMFUL_TIMEOUT
        value: {{ . | quote }}
      {{- end }}
      {{- if has "run" .args }}
      - name: BRIMFUL_INTERVAL
        value: {{ $.Values.operator.interval | quote }}
      {{- end }}
      {{- with $.Values.aws.region }}
      - name: AWS_REGION
        value: {{ . | quote }}
      {{- end }}
      {{- with $.Values.env }}
      {{- toYaml . | nindent 6 }}
      {{- end }}
    {{- if has "run" .args }}
    ports:
      - {name: metrics, containerPort: 8080}
    livenessProbe:
      httpGet: {path: /healthz, port: metrics}
      periodSeconds: 30
    readinessProbe:
      httpGet: {path: /readyz, port: metrics}
      periodSeconds: 10
    {{- end }}
    resources:
      {{- toYaml $.Values.resources | nindent 6 }}
    securityContext:
      allowPrivilegeEscalation: false
      readOnlyRootFilesystem: true
      capabilities:
        drop: [ALL]
    volumeMounts:
      - name: config
        mountPath: /etc/brimful
        readOnly: true
      {{- range $.Values.secrets }}
      - name: secret-{{ . }}
        mountPath: /etc/brimful-secrets/{{ . }}
        readOnly: true
      {{- end }}
      {{- if has "run" .args }}
      # What was counted of the report, kept for the next run.
      - name: tmp
        mountPath: /tmp
      {{- end }}
volumes:
  - name: config
    configMap:
      name: {{ include "brimful.fullname" $ }}-config
  {{- range $.Values.secrets }}
  - name: secret-{{ . }}
    secret:
      secretName: {{ . }}
  {{- end }}
  {{- if has "run" .args }}
  - name: tmp
    emptyDir: {sizeLimit: 256Mi}
  {{- end }}
{{- end }}
