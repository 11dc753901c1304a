// Package features runs the Gateway API's own conformance tests, unmodified, against nantian run, without a cluster.
//
// The tests speak to an API server through controller-runtime's client. Here that client is the fake one, with what the
// tests need of a cluster put behind it:
//
//   - cluster_test.go: generations, defaults and the validation of CRDs; the objects written to a folder, which the gateway
//     serves; the conditions that the control plane gives them written back
//   - pods_test.go: Deployments become echo servers on loopback addresses, Services get EndpointSlices
//   - echo_test.go: the echo servers, which answer as the suite's echo-basic does
//   - namespace_test.go: a network namespace of its own, so that listeners have the ports that the tests name
//
// Nothing of the suite is copied: its manifests and cases come from the module sigs.k8s.io/gateway-api/conformance. What it
// shows of a cluster (provisioning, addresses of load balancers, rights) needs one.
package features
