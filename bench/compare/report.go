package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// report is all that a run found out; its JSON holds every sample.
type report struct {
	Machine  machine      `json:"machine"`
	Rounds   int          `json:"rounds"`
	Seconds  float64      `json:"seconds"`
	Verdicts []verdict    `json:"verdicts"`
	Echo     []echoResult `json:"echo"`
	Idle     []idleResult `json:"idle"`
	dir      string
}

func newReport(ctx context.Context, o options, t *toolset) *report {
	r := &report{Machine: describeMachine(ctx, o.plan, t), Rounds: o.rounds, Seconds: o.duration.Seconds(), dir: o.outDir}
	if r.dir == "" {
		r.dir = filepath.Join(t.root, "bin", "bench")
	}
	return r
}

// write prints the tables and leaves them, with the samples, in the report's folder.
func (r *report) write(stdout io.Writer) error {
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return err
	}
	var tables bytes.Buffer
	r.markdown(&tables)
	samples, err := json.MarshalIndent(r, "", "\t")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "compare.md"), tables.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.dir, "compare.json"), append(samples, '\n'), 0o644); err != nil {
		return err
	}
	_, err = stdout.Write(tables.Bytes())
	return err
}

func (r *report) markdown(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "%s; %s.\n", m.Machine, m.Compiler)
	if len(m.Peers) > 0 {
		fmt.Fprintf(w, "Peers: %s.\n", strings.Join(m.Peers, ", "))
	}
	if len(r.Echo) > 0 {
		fmt.Fprintf(w, "\nMedian [smallest-largest] of %d interleaved rounds of %g s. CPU is the server's, in microseconds per message, or what the cell counts in its place.\n", r.Rounds, r.Seconds)
		if r.Rounds < minRounds {
			fmt.Fprintf(w, "**Fewer than %d rounds: a look, not a result.**\n", minRounds)
		}
	}
	for _, c := range r.Echo {
		c.markdown(w)
	}
	for _, c := range r.Idle {
		c.markdown(w)
	}
	r.markdownVerdicts(w)
}

func (r echoResult) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %s\n\n", r.Cell.heading())
	fmt.Fprintf(w, "The floor moved by %.1f %%. Attempts thrown away before: %d.\n", 100*r.FloorMove, r.Abandoned)
	if r.Void {
		fmt.Fprintf(w, "**Void: more than %.0f %%; quote nothing from this table.**\n", 100*maxFloorMove)
	}
	if b := r.busiest(); b < disturbedBelow {
		fmt.Fprintf(w, "**Neither core was busy with this (%.0f %% at most): other processes were using them.**\n", b)
	}
	r.markdownAgreements(w)
	if r.Cell.settings().window == 0 && r.Cell.Note != "" {
		fmt.Fprintf(w, "\n%s\n", r.Cell.Note)
	}
	markdownLeftOut(w, r.LeftOut)
	fmt.Fprintf(w, "\n| server | CPU, us per %s | / rawecho | Gannet / it | of them/s | p50, us | p99, us | p99.9, us | server busy | load busy |\n"+
		"|---|---|---|---|---|---|---|---|---|---|\n", r.Cell.unit())
	floor, subject := r.find(roleFloor), r.find(roleSubject)
	for i := range r.Servers {
		s := &r.Servers[i]
		toFloor, toSubject := "", ""
		if r.floorIsBase() {
			toFloor = rig.SpreadOf(ratios(s.Samples, floor.Samples)).Ratio()
		}
		if subject != nil && s != subject && (s != floor || r.floorIsBase()) {
			toSubject = rig.SpreadOf(ratios(subject.Samples, s.Samples)).Ratio()
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f | %.0f | %.0f | %.0f | %.0f %% | %.0f %% |\n",
			s.Name, s.spread(cpu).Micros(), toFloor, toSubject,
			s.median(func(s sample) float64 { return s.MsgsPerSec }),
			s.median(func(s sample) float64 { return s.P50Micros }),
			s.median(func(s sample) float64 { return s.P99Micros }),
			s.median(func(s sample) float64 { return s.P999Micros }),
			s.median(func(s sample) float64 { return s.ServerCPU }),
			s.median(func(s sample) float64 { return s.LoadCPU }))
	}
}

// floorIsBase: the floor did what the servers did, so a ratio to it means something.
func (r echoResult) floorIsBase() bool { return r.Cell.Load == byWsblast }

// markdownLeftOut names who takes no part, and why.
func markdownLeftOut(w io.Writer, out []leftOut) {
	for i, o := range out {
		if i == 0 {
			fmt.Fprintln(w)
		}
		fmt.Fprintf(w, "- Left out: %s, which %s.\n", o.Name, o.Why)
	}
}

// disturbedBelow is a percentage: in a closed loop either the server or the load is always running, so when neither
// comes near its whole core, something else had it.
const disturbedBelow = 80

// busiest is how busy the busier of server and load was with the floor, in percent of a core.
func (r echoResult) busiest() float64 {
	return r.Servers[0].median(func(s sample) float64 { return max(s.ServerCPU, s.LoadCPU) })
}

func (s serverResult) spread(field func(sample) float64) rig.Spread {
	return rig.SpreadOf(of(s.Samples, field))
}

func (s serverResult) median(field func(sample) float64) float64 { return s.spread(field).Median }

func (r idleResult) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### Memory per connection, %s\n\n", r.Cell.Title)
	fmt.Fprintf(w, "Slope of the server's RSS from %d to %d connections; median [smallest-largest] of %d processes.\n",
		r.Cell.Few, r.Cell.Many, idleRuns)
	markdownLeftOut(w, r.LeftOut)
	fmt.Fprint(w, "\n| server | bytes per connection |\n|---|---|\n")
	for _, s := range r.Servers {
		slope := s.slope()
		fmt.Fprintf(w, "| %s | %.0f [%.0f-%.0f] |\n", s.Name, slope.Median, slope.Min, slope.Max)
	}
}

func (r *report) markdownVerdicts(w io.Writer) {
	if len(r.Verdicts) == 0 {
		return
	}
	fmt.Fprint(w, "\n### Bars\n\n| cell | Gannet against | bar | measured | |\n|---|---|---|---|---|\n")
	for _, v := range r.Verdicts {
		bar, measured := fmt.Sprintf("%.2f x", v.Bar), v.Measured.Ratio()
		if v.Bar >= 2 { // bytes, not a ratio
			bar, measured = fmt.Sprintf("%.0f B", v.Bar), fmt.Sprintf("%.0f B", v.Measured.Median)
		}
		if v.Outcome == notMeasured {
			measured = ""
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %s |\n", v.Cell, v.Against, bar, measured, v.Outcome)
	}
}
