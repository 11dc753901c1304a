// Package table compiles a set of resources into what serves requests: ports, listeners, and an index from host and path to
// rules. A Table is immutable; the server swaps it as a whole.
//
// Which rule serves a request is decided as the Gateway API says. A request belongs to the listener of the port with the
// most specific hostname that matches: exact, then the longest wildcard, then none. Among the listener's rules, those of
// the most specific route hostname come first, and those of less specific ones after them. For one hostname the order is:
//
//  1. exact path,
//  2. path by regular expression, the longest expression first,
//  3. longest path prefix,
//  4. method, number of headers, number of query parameters,
//  5. the oldest route, then namespace/name, then the order within the route.
//
// The specification leaves the place of regular expressions open. They stand above prefixes, so that one can carve
// something out of a catch-all; below, a rule for "/" would hide them all.
//
// A rule holds no reference to its table: a long stream keeps one rule alive and not a whole configuration.
//
// The package must not import server, forward, llm or config.
package table
