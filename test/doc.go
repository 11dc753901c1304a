// Package test holds tests of the whole product from outside: the built binary is started as a process and spoken to
// over sockets, with the simulated provider on its other side. It is a module of its own, so that what tests need never
// enters the product's go.mod.
//
//   - rig starts processes and simulators
//   - e2e has what the gateway does, feature by feature
//   - sdk has the vendors' official SDKs as clients
package test
