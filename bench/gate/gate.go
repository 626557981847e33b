package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"text/tabwriter"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// gate measures, and judges or renews.
func (b *bencher) gate(ctx context.Context, m rig.Machine, out io.Writer) (int, error) {
	var committed record
	if !b.update {
		var err error
		if committed, err = readCommitted(b.committed); err != nil {
			return statusNoVerdict, err
		}
	}
	if err := b.measure(ctx); err != nil {
		return statusNoVerdict, err
	}
	if b.update {
		return b.renew(m, out)
	}
	latest := filepath.Join(b.root, "bin", "bench", "gate.txt")
	if err := b.write(latest, m); err != nil {
		return statusNoVerdict, err
	}
	var all []judgement
	for _, cell := range b.cells {
		all = append(all, judge(cell, committed, b.measured, b.tolerance)...)
	}
	b.report(out, committed, all)
	fmt.Fprintf(out, "\nAll that was measured: GOWORK=off go -C bench/gate tool benchstat %s %s\n", b.committed, latest)
	return status(all), nil
}

// renew writes the figures that later runs are compared with, if the floor held still in all cells.
func (b *bencher) renew(m rig.Machine, out io.Writer) (int, error) {
	for _, cell := range b.cells {
		if moved := floorMove(b.measured, cell); moved > maxFloorMove {
			return statusNoVerdict, fmt.Errorf("%s: the floor moved by %.0f %% in each attempt; %s stays as it is. Run again when nothing else runs",
				cell, 100*moved, b.committed)
		}
	}
	if err := b.write(b.committed, m); err != nil {
		return statusNoVerdict, err
	}
	fmt.Fprintf(out, "%s is renewed: commit it\n", b.committed)
	return statusFine, nil
}

func (b *bencher) report(out io.Writer, committed record, all []judgement) {
	if was, is := committed.config("cpu"), b.measured.config("cpu"); was != is {
		fmt.Fprintf(out, "The committed figures are of another processor (%s; this is %s): a ratio to the floor is nearly the same on both, not quite.\n\n", was, is)
	}
	fmt.Fprintf(out, "committed: %s, %s\n\n", committed.config("commit"), committed.config("time"))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "cell\tfigure\tcommitted\tnow\tchange\t")
	for _, j := range all {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", j.cell, j.figure, j.number(j.was.Center), j.number(j.is.Center), j.change(), j.words())
	}
	t.Flush()
}

// number is a ratio, or a count of mallocs.
func (j judgement) number(v float64) string {
	if j.figure == unitMallocs {
		return fmt.Sprintf("%.4f", v)
	}
	return fmt.Sprintf("%.3f", v)
}

func (j judgement) change() string {
	if j.figure == unitMallocs || j.was.Center == 0 {
		return ""
	}
	return fmt.Sprintf("%+.1f %% p=%.3f", 100*(j.is.Center/j.was.Center-1), j.p)
}

func (j judgement) words() string {
	if j.why == "" {
		return string(j.verdict)
	}
	return fmt.Sprintf("%s: %s", j.verdict, j.why)
}
