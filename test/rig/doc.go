// Package rig builds the nantian binary, runs it with a folder of configuration on free ports, puts a simulated provider
// behind it, and reads what it writes: messages, access log, metrics.
//
// Of the product it imports the simulator alone: the gateway is only ever spoken to over sockets.
package rig
