package main

import (
	"fmt"

	"golang.org/x/perf/benchmath"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// verdict is what has become of a figure.
type verdict string

const (
	fine    verdict = "fine"
	faster  verdict = "faster" // by more than the tolerance: renew the committed figures
	slower  verdict = "SLOWER"
	unknown verdict = "no verdict"
)

// mallocsMore is how many mallocs a message may cost more than before. What a process does now and then (a collection's workers, the
// count itself) is below that in a second's messages, and one in a hundred messages is above.
const mallocsMore = 0.005

const confidence = 0.95

// judgement is a cell's figure, as it was committed and as it is now.
type judgement struct {
	cell, figure string
	was, is      benchmath.Summary
	p            float64 // how likely chance alone makes such a difference
	verdict      verdict
	why          string // of unknown
}

// judge holds a cell against what was committed.
func judge(cell string, committed, now record, tolerance float64) []judgement {
	return []judgement{judgeCPU(cell, committed, now, tolerance), judgeMallocs(cell, committed, now)}
}

// judgeCPU: slower is what two samples of ratios tell apart (Mann-Whitney's U: nothing is assumed of how they are spread), and by
// more than the tolerance. Either alone is no reason to refuse a change.
func judgeCPU(cell string, committed, now record, tolerance float64) judgement {
	j := judgement{cell: cell, figure: "CPU / floor", p: 1}
	was, is := committed.ratios(cell, unitCPU), now.ratios(cell, unitCPU)
	j.compare(was, is)
	switch {
	case len(was) < minRounds:
		j.no("the committed figures have %d rounds of it, and %d are needed: renew them", len(was), minRounds)
	case len(is) < minRounds:
		j.no("%d rounds, and %d are needed", len(is), minRounds)
	case floorMove(committed, cell) > maxFloorMove:
		j.no("the floor of the committed figures moved by %.0f %%: renew them", 100*floorMove(committed, cell))
	case floorMove(now, cell) > maxFloorMove:
		j.no("the floor moved by %.0f %%: run again when nothing else runs", 100*floorMove(now, cell))
	case j.p >= benchmath.DefaultThresholds.CompareAlpha:
		j.verdict = fine
	case j.is.Center > j.was.Center*(1+tolerance):
		j.verdict = slower
	case j.is.Center < j.was.Center*(1-tolerance):
		j.verdict = faster
	default:
		j.verdict = fine
	}
	return j
}

// judgeMallocs needs no floor, which has none, and holds however busy the machine is.
func judgeMallocs(cell string, committed, now record) judgement {
	j := judgement{cell: cell, figure: unitMallocs, p: 1}
	was, is := committed.of(cell, subject, unitMallocs), now.of(cell, subject, unitMallocs)
	j.compare(was, is)
	switch {
	case len(was) == 0 || len(is) == 0:
		j.no("%d committed figures and %d new ones", len(was), len(is))
	case j.is.Center > j.was.Center+mallocsMore:
		j.verdict = slower
	default:
		j.verdict = fine
	}
	return j
}

func (j *judgement) compare(was, is []float64) {
	if len(was) == 0 || len(is) == 0 {
		return
	}
	old, current := sampleOf(was), sampleOf(is)
	j.was, j.is = benchmath.AssumeNothing.Summary(old, confidence), benchmath.AssumeNothing.Summary(current, confidence)
	j.p = benchmath.AssumeNothing.Compare(old, current).P
}

// sampleOf copies: a Sample sorts what it is given.
func sampleOf(values []float64) *benchmath.Sample {
	return benchmath.NewSample(append([]float64(nil), values...), &benchmath.DefaultThresholds)
}

func (j *judgement) no(why string, args ...any) {
	j.verdict, j.why = unknown, fmt.Sprintf(why, args...)
}

// floorMove is how much more the floor cost in one round than in another.
func floorMove(r record, cell string) float64 {
	return rig.SpreadOf(r.of(cell, floorServer, unitCPU)).Moved()
}

// status is the exit status: what is slower is told first, whatever could not be judged.
func status(all []judgement) int {
	s := statusFine
	for _, j := range all {
		switch j.verdict {
		case slower:
			return statusSlower
		case unknown:
			s = statusNoVerdict
		}
	}
	return s
}
