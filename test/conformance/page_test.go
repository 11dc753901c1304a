package conformance

import (
	"fmt"
	"slices"
	"strings"

	confv1 "sigs.k8s.io/gateway-api/conformance/apis/v1"
)

// page is the report as people read it.
func page(r *confv1.ConformanceReport) string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Conformance

<!-- Written by make conformance-update. -->

The conformance suite of the Gateway API %s (%s channel), unmodified, against a control plane of two replicas and the data planes that it
provisions, in a cluster, by "make conformance". What a GatewayClass tells as supported and what is tested is one list. The suite's own report
is [report.yaml](report.yaml).

Of the pods that the suite asks for, CoreDNS is a program of ours (test/conformance/whoami) that answers as its plugin whoami does, and
echo-basic is built from the suite's module. Profiles share the tests of Gateways, so their numbers are not to be added up. Tests for meshes
are not run.

| profile | core tests | extended tests | failed | skipped |
|---|---|---|---|---|
`, r.GatewayAPIVersion, r.GatewayAPIChannel)
	supported := map[string]bool{}
	for i := range r.ProfileReports {
		row(&b, &r.ProfileReports[i])
		if e := r.ProfileReports[i].Extended; e != nil {
			for _, f := range e.SupportedFeatures {
				supported[f] = true
			}
		}
	}
	b.WriteString("\nThe extended features, of all that the suite has tests for outside of meshes:\n\n| feature | |\n|---|---|\n")
	for _, f := range extended(r) {
		mark := "no"
		if supported[f] {
			mark = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s |\n", f, mark)
	}
	return b.String()
}

func row(b *strings.Builder, p *confv1.ProfileReport) {
	more, failed, skipped := uint32(0), p.Core.Statistics.Failed, p.Core.Statistics.Skipped
	if e := p.Extended; e != nil {
		more, failed, skipped = e.Statistics.Passed, failed+e.Statistics.Failed, skipped+e.Statistics.Skipped
	}
	fmt.Fprintf(b, "| %s | %d | %d | %d | %d |\n", p.Name, p.Core.Statistics.Passed, more, failed, skipped)
}

// extended lists the features beyond the core of each profile, supported or not.
func extended(r *confv1.ConformanceReport) []string {
	var out []string
	for _, p := range r.ProfileReports {
		if p.Extended != nil {
			out = append(append(out, p.Extended.SupportedFeatures...), p.Extended.UnsupportedFeatures...)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}
