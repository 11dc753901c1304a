{{- define "nantian.labels" -}}
app.kubernetes.io/name: nantian
app.kubernetes.io/component: controller
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
{{- define "nantian.selector" -}}
app.kubernetes.io/name: nantian
app.kubernetes.io/component: controller
{{- end }}
{{- define "nantian.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
