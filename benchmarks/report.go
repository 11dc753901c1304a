package main

import (
	"fmt"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/nantian-gw/nantian/benchmarks/stats"
)

// Report is everything that was measured, and where.
type Report struct {
	Machine Machine `json:"machine"`
	// Subjects are in the order of the table; Missing are peers that are not here, and Failed says which did not work, and why.
	Subjects  []string   `json:"subjects"`
	Missing   []string   `json:"missing,omitempty"`
	Failed    []string   `json:"failed,omitempty"`
	Scenarios []Measured `json:"scenarios"`
}

// Machine is where it was measured. Figures of two machines are not to be compared, only their ratios.
type Machine struct {
	Time   time.Time `json:"time"`
	OS     string    `json:"os"`
	Arch   string    `json:"arch"`
	CPUs   int       `json:"cpus"`
	Go     string    `json:"go"`
	Commit string    `json:"commit,omitempty"`
}

// Measured are the rounds of a scenario by subject.
type Measured struct {
	Name       string               `json:"name"`
	Goal       float64              `json:"goal,omitempty"`
	GoalMemory float64              `json:"goalMemoryPerStream,omitempty"`
	Rounds     map[string][]Figures `json:"rounds"`
}

func newReport(subjects []string, list []scenario) *Report {
	r := &Report{Subjects: subjects, Machine: Machine{
		Time: time.Now().UTC(), OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU(), Go: runtime.Version(), Commit: commit(),
	}}
	for _, s := range list {
		r.Scenarios = append(r.Scenarios, Measured{Name: s.Name, Goal: s.Goal, GoalMemory: s.GoalMemory, Rounds: map[string][]Figures{}})
	}
	return r
}

// commit names the tree that is measured; empty when it cannot be known.
func commit() string {
	out, _ := exec.Command("git", "describe", "--always", "--dirty").Output()
	return strings.TrimSpace(string(out))
}

func (r *Report) add(scenario int, subject string, f Figures) {
	rounds := r.Scenarios[scenario].Rounds
	rounds[subject] = append(rounds[subject], f)
}

// failed is an error if requests failed: such figures are worth nothing.
func (r *Report) failed() error {
	for _, m := range r.Scenarios {
		for _, name := range r.Subjects {
			if n := m.sample(name, func(f *Figures) float64 { return float64(f.Errors) }); n.sum() > 0 {
				return fmt.Errorf("%s, %s: %v requests failed", m.Name, name, n.sum())
			}
		}
	}
	return nil
}

type sample struct{ stats.Sample }

func (s sample) sum() (total float64) {
	for _, v := range s.Sample {
		total += v
	}
	return total
}

// sample is one figure of a subject in all rounds.
func (m *Measured) sample(subject string, get func(*Figures) float64) sample {
	var s sample
	for i := range m.Rounds[subject] {
		s.Sample = append(s.Sample, get(&m.Rounds[subject][i]))
	}
	return s
}

func cpu(f *Figures) float64    { return f.CPU }
func rate(f *Figures) float64   { return f.Rate }
func memory(f *Figures) float64 { return f.Memory }

// ratio compares subject with the bare proxy, round by round.
func (m *Measured) ratio(subject string, get func(*Figures) float64) stats.Sample {
	return m.sample(subject, get).Ratios(m.sample(bare, get).Sample)
}

// added is how much more than without anything between.
func (m *Measured) added(subject string, get func(*Figures) float64) float64 {
	return m.sample(subject, get).Differences(m.sample(direct, get).Sample).Median()
}
