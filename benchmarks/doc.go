// Command benchmarks measures the whole gateway, as its users run it, against the limit: a bare fasthttp reverse proxy of a
// page of code. Both stand between the same load generator and the same model provider that costs next to nothing. They
// take turns within each round, so that what disturbs the machine disturbs both, and figures are compared round by round.
//
//	go run . -quick                       a minute, to see that it works
//	go run . -results after.txt           a table, and a file for benchstat
//	go run . -only 'chat' -rounds 7       some scenarios, more precisely
//	go run . -many                        9,000 streams by HTTP/1.1 and 20,000 of gRPC, held for a while
//	go run . -config                      one of 10,000 routes is edited
//	benchstat before.txt after.txt
//
// fasthttp does not speak HTTP/2: there the bare proxy is that of Go's standard library. Limits in Redis need a redis-server on PATH.
//
// Gateway and proxy are processes of their own: CPU time and memory are theirs alone, from the operating system (Linux).
// On a shared machine CPU per request is the steadiest figure, and ratios between subjects of one run are what to quote.
package main
