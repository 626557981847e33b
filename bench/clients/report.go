package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// report is all that a run found out.
type report struct {
	machine rig.Machine
	options options
	tables  []table
	many    *manyFigures
}

// table is one measured cell: a sample for each round, of each library.
type table struct {
	cell    cell
	samples map[string][]figures
}

// of summarises a figure of a library.
func (t table) of(name string, figure func(figures) float64) rig.Spread {
	var all []float64
	for _, f := range t.samples[name] {
		all = append(all, figure(f))
	}
	return rig.SpreadOf(all)
}

func cpu(f figures) float64 { return f.CPUMicros }

// ratio is what a message costs Gannet's client, of what it costs another one: inside of each round.
func (t table) ratio(other string) rig.Spread {
	var all []float64
	for i, f := range t.samples["gannet"] {
		all = append(all, f.CPUMicros/t.samples[other][i].CPUMicros)
	}
	return rig.SpreadOf(all)
}

// peers are the libraries that Gannet is compared with; none where it did not take part.
func (t table) peers(o options) (names []string) {
	for _, name := range o.libraries {
		if name != "gannet" && t.samples["gannet"] != nil {
			names = append(names, name)
		}
	}
	return names
}

// worst is the ratio to the best peer.
func (t table) worst(o options) (s rig.Spread) {
	for _, name := range t.peers(o) {
		if r := t.ratio(name); r.Median > s.Median {
			s = r
		}
	}
	return s
}

// missed tells whether a bar was.
func (r *report) missed() bool {
	return slices.ContainsFunc(r.tables, func(t table) bool { return t.worst(r.options).Median > bar }) || r.many != nil && r.many.missed()
}

func (r *report) markdown(w io.Writer) {
	fmt.Fprintf(w, "%s.\n", r.machine)
	if len(r.tables) > 0 {
		fmt.Fprintf(w, "\nMedian [smallest-largest] of %d rounds of %v, in turns. CPU is the client's, in microseconds for a message that is sent and comes back; "+
			"`gannet serve` on core %d, the client on core %d.\n", r.options.rounds, r.options.length, r.options.serverCore, r.options.loadCore)
		if r.options.rounds < minRounds {
			fmt.Fprintf(w, "**Fewer than %d rounds: a look, not a result.**\n", minRounds)
		}
	}
	for _, t := range r.tables {
		t.markdown(w, r.options)
	}
	if r.many != nil {
		r.many.markdown(w)
	}
}

func (t table) markdown(w io.Writer, o options) {
	fmt.Fprintf(w, "\n### %s, %d connections, GOMAXPROCS=%d\n\n", t.cell.title, o.conns, t.samples[o.libraries[0]][0].Procs)
	fmt.Fprintf(w, "| client | CPU us | of it user | Gannet / it | messages/s | mallocs a message |\n|---|---|---|---|---|---|\n")
	for _, name := range o.libraries {
		ratio := ""
		if slices.Contains(t.peers(o), name) {
			ratio = t.ratio(name).Ratio()
		}
		fmt.Fprintf(w, "| %s | %s | %.2f | %s | %.0f | %.4f |\n", name, t.of(name, cpu).Micros(),
			t.of(name, func(f figures) float64 { return f.UserMicros }).Median, ratio,
			t.of(name, func(f figures) float64 { return f.MsgsPerSec }).Median, t.of(name, func(f figures) float64 { return f.Mallocs }).Median)
	}
	if s := t.worst(o); s.Median > 0 {
		fmt.Fprintf(w, "\nAgainst the best of them: %s, at most %.2f: %s.\n", s.Ratio(), bar, verdict(s.Median > bar))
	}
}

func verdict(missed bool) string {
	if missed {
		return "MISSED"
	}
	return "met"
}
