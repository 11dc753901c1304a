package main

import (
	"fmt"
	"image/color"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
)

// writePage writes README.md and the plots of a report to a folder.
func (r *Report) writePage(dir, command string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(dir, "README.md"), func(w io.Writer) error { return r.markdown(w, command) }); err != nil {
		return err
	}
	cpuBars := func(m *Measured) (float64, float64) { return m.ratio(gateway, cpu).Median(), m.Goal }
	if err := r.bars(filepath.Join(dir, "cpu.png"), "CPU time per request, as a ratio to a bare fasthttp proxy", cpuBars); err != nil {
		return err
	}
	firsts := func(m *Measured) (float64, float64) {
		if m.sample(direct, func(f *Figures) float64 { return f.DelayP50 }).sum() == 0 {
			return 0, 0
		}
		return m.added(gateway, func(f *Figures) float64 { return f.DelayP50 }), m.added(bare, func(f *Figures) float64 { return f.DelayP50 })
	}
	return r.bars(filepath.Join(dir, "events.png"), "Time added to each event of a stream, median, in µs (marks: the bare proxy)", firsts)
}

const pageHead = `# Figures

Written by the benchmark itself; what each line means stands in [its documentation](../../benchmarks/doc.go). The gateway runs between a load generator
and an upstream that answers at once, all three on one machine; a bare fasthttp proxy, which does nothing but forward, runs the same load in the same
rounds, since figures of two machines, or of two hours, are not to be compared. CPU time is from the operating system. Goals that are missed stand here as
they are. Over HTTP/2 the bare proxy is that of Go's standard library, since fasthttp does not speak it.

Beside it: [the parts by themselves](parts.md) (counting, JSON, prompt guards, limits), [the control plane](control-plane.md), [how peers are installed](peers.md).

`

func (r *Report) markdown(w io.Writer, command string) error {
	var text strings.Builder
	if err := r.writeText(&text); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "%s```text\n%s\n```\n\n```text\n%s```\n\n![CPU time per request](cpu.png)\n\n![Time added to each event](events.png)\n", pageHead, command, strings.TrimLeft(text.String(), "\n"))
	return err
}

// bars draws a bar for each scenario with a value, and a mark at the other value where there is one.
func (r *Report) bars(name, title string, of func(*Measured) (value, mark float64)) error {
	var values plotter.Values
	var marks plotter.XYs
	var names []string
	for i := range slices.Backward(r.Scenarios) { // the first is on top
		m := &r.Scenarios[i]
		value, mark := of(m)
		if m.GoalMemory > 0 || value == 0 {
			continue
		}
		if mark > 0 {
			marks = append(marks, plotter.XY{X: mark, Y: float64(len(values))})
		}
		values, names = append(values, value), append(names, m.Name)
	}
	if len(values) == 0 {
		return nil
	}
	p := plot.New()
	p.Title.Text, p.X.Min = title, 0
	b, err := plotter.NewBarChart(values, vg.Points(12))
	if err != nil {
		return err
	}
	b.Horizontal, b.Color, b.LineStyle.Width = true, color.RGBA{R: 0x2d, G: 0x6c, B: 0xa2, A: 0xff}, 0
	s, err := plotter.NewScatter(marks)
	if err != nil {
		return err
	}
	s.Color, s.Radius = color.RGBA{R: 0xc0, G: 0x39, B: 0x2b, A: 0xff}, vg.Points(4)
	p.Add(plotter.NewGrid(), b, s)
	p.NominalY(names...)
	p.X.Max = 1.05 * max(slices.Max(values), p.X.Max)
	return p.Save(9*vg.Inch, vg.Length(len(values)+3)*vg.Points(24), name)
}
