package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
)

// report counts what became of drawn mutants, by what is changed.
type report struct {
	rows map[row]map[verdict]int
	left []string // nothing noticed them, and nobody has said why
}

type row struct{ folder, kind string }

func (r *report) add(s *site, v verdict) {
	if r.rows == nil {
		r.rows = map[row]map[verdict]int{}
	}
	for _, k := range []row{{path.Base(path.Dir(s.file)), s.kind}, {"all", ""}} {
		if r.rows[k] == nil {
			r.rows[k] = map[verdict]int{}
		}
		r.rows[k][v]++
	}
	if v == survived {
		r.left = append(r.left, s.name())
	}
}

// print shows the table, and returns an error if fewer than least in a hundred were noticed, or one that
// was not is not explained.
func (r *report) print(out io.Writer, least int) error {
	columns := []verdict{killed, timedOut, excused, survived}
	fmt.Fprintf(out, "\n%-10s %-9s", "", "")
	for _, v := range columns {
		fmt.Fprintf(out, " %8s", v)
	}
	fmt.Fprintln(out)
	rows := slices.SortedFunc(maps.Keys(r.rows), func(a, b row) int {
		return cmp.Or(cmp.Compare(len(b.kind), 0)-cmp.Compare(len(a.kind), 0), cmp.Compare(a.folder, b.folder), cmp.Compare(a.kind, b.kind))
	})
	for _, k := range rows {
		fmt.Fprintf(out, "%-10s %-9s", k.folder, k.kind)
		for _, v := range columns {
			fmt.Fprintf(out, " %8d", r.rows[k][v])
		}
		fmt.Fprintln(out)
	}
	all := r.rows[row{"all", ""}]
	noticed := all[killed] + all[timedOut]
	of := max(noticed+all[excused]+all[survived], 1)
	fmt.Fprintf(out, "%d of %d were noticed: %.1f %%\n", noticed, of, 100*float64(noticed)/float64(of))
	switch {
	case len(r.left) > 0:
		slices.Sort(r.left)
		for _, name := range r.left {
			fmt.Fprintln(out, "survived:", name)
		}
		return fmt.Errorf("nothing notices %d of them, and testdata/survivors.txt does not say why", len(r.left))
	case noticed*100 < least*of:
		return fmt.Errorf("fewer than %d in 100 were noticed", least)
	}
	return nil
}
