package main

import (
	"strings"
	"testing"
	"time"

	"github.com/mattn/go-runewidth"

	"github.com/gannet-ws/gannet/bench/load"
)

// aMoment is one in which there is something to say of everything.
func aMoment() load.Snapshot {
	return load.Snapshot{
		Stage: "running", Elapsed: 12*time.Second + 300*time.Millisecond, Of: time.Minute, Opened: 99988, Failed: 12, Asked: 100000,
		Moment: load.Moment{Open: 99980, RateAsked: 200000, Rate: 199873.4, P50: 0.123, P99: 1.9, P999: 1240, BufferedAmount: 12345, GeneratorCPU: 0.83, TargetCPU: 1.2, TargetRSS: 312 << 20},
		Whole:  load.Moment{P50: 0.1, P99: 2.1, P999: 45.6, Late: 1234, Unsent: 3},
		Errors: []load.ErrorCount{{Class: load.Refused, Count: 12}, {Class: load.Closed, What: "1006 \x1b[2J", Count: 3}, {Class: "a", Count: 1}, {Class: "b", Count: 1}, {Class: "c", Count: 1}},
		Note:   "lost: process 2",
	}
}

func TestLines(t *testing.T) {
	var out strings.Builder
	l := &lines{to: &out, watched: true}
	s := aMoment()
	l.show(s)
	s.Elapsed += time.Second // within five seconds
	l.show(s)
	s.Elapsed = 15 * time.Second
	s.Step = &load.Step{Rate: 2000, Reached: 1500.4, Latency: load.Distribution{P99: 12}, Why: "p99<10ms is 12ms"}
	l.show(s)
	s.Stage, s.Elapsed = "ending", 0
	s.Moment.RateAsked = 0
	l.show(s)
	want := "running 12s of 1m0s: open 99,980 of 100,000, 12 failed; rate 199,873/s of 200,000/s asked; latency p50 123 us, p99 1.90 ms, p99.9 1.24 s; " +
		"so far p50 100 us, p99 2.10 ms, p99.9 45.6 ms; sending late 1,234, unsent 3, buffered 12 KiB; generator 0.83 CPUs; target 1.20 CPUs, 312 MiB; " +
		"errors refused 12, close: 1006 ?[2J 3, a 1, b 1, 1 other kinds; note lost: process 2"
	got := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(got) != 4 || got[0] != want || got[1] != "2,000/s does not hold: 1,500/s came back, p99 12.0 ms (p99<10ms is 12ms)" ||
		!strings.HasPrefix(got[2], "running 15s of 1m0s: ") || !strings.HasPrefix(got[3], "ending 0s of 1m0s: open ") || !strings.Contains(got[3], "rate 199,873/s;") {
		t.Errorf("%q", got)
	}
}

// TestRowsFit: whatever the width, no row is wider, and none of the figures is left out where there is room for it.
func TestRowsFit(t *testing.T) {
	for width := 1; width < 200; width++ {
		all := ""
		for _, f := range factsOf(aMoment(), true) {
			for _, row := range f.rows(width) {
				if w := runewidth.StringWidth(row); w >= max(width, nameWidth+2) {
					t.Fatalf("at %d: %q has %d", width, row, w)
				}
				all += row + "\n"
			}
			if width >= 60 {
				for _, item := range f.items {
					if !strings.Contains(all, item) {
						t.Errorf("at %d there is no %q in\n%s", width, item, all)
					}
				}
			}
		}
	}
}

func TestUnits(t *testing.T) {
	for ms, want := range map[float64]string{0.001: "1 us", 0.9994: "999 us", 1: "1.00 ms", 9.994: "9.99 ms", 9.996: "10.0 ms", 99.96: "100 ms", 999: "999 ms", 1000: "1.00 s", 61000: "61.0 s"} {
		if got := milliseconds(ms); got != want {
			t.Errorf("%v: %s, want %s", ms, got, want)
		}
	}
	for n, want := range map[float64]string{0: "0", 3: "3", 0.25: "0.2", 999.4: "999", 123456.7: "123,457"} {
		if got := count(n); got != want {
			t.Errorf("%v: %s, want %s", n, got, want)
		}
	}
}
