// Command benchmarks measures the whole gateway, as its users run it, against the limit: a bare fasthttp reverse proxy of a
// page of code. Both stand between the same load generator and the same model provider that costs next to nothing. They
// take turns within each round, so that what disturbs the machine disturbs both, and figures are compared round by round.
//
//	go run . -quick                       a minute, to see that it works
//	go run . -results after.txt           a table, and a file for benchstat
//	go run . -only 'chat' -rounds 7       some scenarios, more precisely
//	benchstat before.txt after.txt
//
// Gateway and proxy are processes of their own: CPU time and memory are theirs alone, from the operating system (Linux).
// On a shared machine CPU per request is the steadiest figure, and ratios between subjects of one run are what to quote.
package main
