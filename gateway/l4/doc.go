// Package l4 moves bytes of connections and datagrams that are no HTTP: it reads the ClientHello for the server name, reads
// and writes headers of the PROXY protocol, joins two connections, and keeps sessions of datagrams.
//
// It knows no listener and no table: the server tells it where to send what comes.
package l4
