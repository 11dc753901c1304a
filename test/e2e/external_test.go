package e2e

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/nantian-gw/nantian/test/rig"
)

// asking is a world whose models an authorization server stands before.
func asking(server net.Addr) files {
	return func(w *world) rig.Files {
		entrance := strings.Replace(rig.Entrance(w.port), "    backendRefs: [{group", `    filters:
    - type: ExternalAuth
      externalAuth:
        protocol: HTTP
        backendRef: {name: authz, port: 80}
        http: {allowedResponseHeaders: [X-Team]}
        forwardBody: {maxSize: 1000}
    backendRefs: [{group`, 1)
		return rig.Files{"gateway.yaml": entrance, "models.yaml": w.providers() + rig.Models(own...), "authz.yaml": fmt.Sprintf(`
apiVersion: v1
kind: Service
metadata: {name: authz, namespace: default}
spec: {ports: [{port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: authz, namespace: default, labels: {kubernetes.io/service-name: authz}}
addressType: IPv4
ports: [{port: %d}]
endpoints: [{addresses: [127.0.0.1]}]
`, server.(*net.TCPAddr).Port)}
	}
}

// TestExternalAuthBeforeModels: whom the server refuses gets an error that SDKs understand, and no provider a call; without the
// server nobody passes.
func TestExternalAuthBeforeModels(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer good" {
			w.WriteHeader(401)
		}
	}))
	defer server.Close()
	w := start(t, asking(server.Listener.Addr()))
	for _, d := range dialects {
		for _, stream := range []bool{false, true} {
			a := ask{dialect: d, model: "sim-" + d.name, text: "Hi", stream: stream}
			w.chat(a, "Authorization", "Bearer bad").want(t, 401, `"authentication_error"`, "not allowed")
			w.chat(a, "Authorization", "Bearer good").want(t, 200, "Hi")
		}
		a := ask{dialect: d, model: "sim-" + d.name, text: strings.Repeat("x", 1000)}
		w.chat(a, "Authorization", "Bearer good").want(t, 413, "larger")
	}
	if got := len(w.sim.Requests()); got != 4 {
		t.Errorf("providers got %d calls, want 4", got)
	}
	w.Logged(`"status":401`, `"external_auth":"denied"`, `"external_auth_ms"`)
	w.Counted(4, "nantian_external_auth_requests_total", `backend="default/authz:80"`, `result="allowed"`)
	w.Counted(4, "nantian_external_auth_requests_total", `backend="default/authz:80"`, `result="denied"`)

	server.Close()
	w.chat(ask{dialect: dialects[0], model: "sim-openai", text: "Hi"}, "Authorization", "Bearer good").want(t, 503, "cannot be found out")
}
