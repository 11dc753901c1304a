package main

import (
	"bufio"
	"fmt"
	"io"
	"strings"
)

// writeBench writes a line for each round in the format of Go's benchmarks, which benchstat compares:
//
//	BenchmarkGateway/chat/prompt=1KiB/conns=32/proxy=nantian 41234 24.5 cpu-µs/req 20617 req/s ...
func (r *Report) writeBench(w io.Writer) error {
	bw := bufio.NewWriter(w)
	fmt.Fprintf(bw, "goos: %s\ngoarch: %s\ncpus: %d\ngo: %s\ncommit: %s\n", r.Machine.OS, r.Machine.Arch, r.Machine.CPUs, r.Machine.Go, r.Machine.Commit)
	for i := range r.Scenarios {
		m := &r.Scenarios[i]
		for _, name := range r.Subjects {
			for n := range m.Rounds[name] {
				writeRound(bw, m.Name, name, &m.Rounds[name][n])
			}
		}
	}
	return bw.Flush()
}

func writeRound(w io.Writer, scenario, subject string, f *Figures) {
	if f.Requests == 0 {
		return
	}
	fmt.Fprintf(w, "BenchmarkGateway/%s/proxy=%s %d", strings.ReplaceAll(scenario, " ", "-"), subject, f.Requests)
	for _, v := range []struct {
		value float64
		unit  string
	}{
		{f.CPU, "cpu-µs/req"}, {f.Rate, "req/s"}, {f.P50, "p50-µs"}, {f.P99, "p99-µs"}, {f.FirstP50, "first-p50-µs"},
		{f.FirstP99, "first-p99-µs"}, {f.DelayP50, "event-p50-µs"}, {f.DelayP99, "event-p99-µs"}, {f.Memory, "B/stream"},
	} {
		if v.value != 0 {
			fmt.Fprintf(w, " %.6g %s", v.value, v.unit)
		}
	}
	fmt.Fprintln(w)
}
