package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const testCell = "Echo/size=128B/depth=1"

// canned is a round as go test prints it: the floor's nanoseconds, Gannet's ratio to them, and its mallocs.
type canned struct{ floor, ratio, mallocs float64 }

func (c canned) text() []byte {
	line := func(server string, cpu, mallocs float64) string {
		return fmt.Sprintf("Benchmark%s/server=%s-2\t  1000\t 9000 ns/op\t %.1f cpu-ns/msg\t %g mallocs/msg\t 100000 msgs/s\t 10 p50-ns\t 20 p99-ns\t 30 p99.9-ns\n",
			testCell, server, cpu, mallocs)
	}
	return []byte("Unit msgs/s better=higher\ngoos: linux\ncpu: AMD EPYC\n" + line(floorServer, c.floor, 0) + line(subject, c.floor*c.ratio, c.mallocs) + "PASS\n")
}

// rounds are n of a kind, of which none is quite like another: the floor wavers by 4 % in all, and the ratio by 2 %.
func rounds(n int, floor, ratio, mallocs float64) (all []canned) {
	for i := range n {
		waver := float64(i*7%n) / float64(n) // in no order
		all = append(all, canned{floor * (1 + 0.04*waver), ratio * (0.99 + 0.02*math.Mod(waver*3, 1)), mallocs})
	}
	return all
}

// benched is a gate whose benchmark has these rounds, one after the other, and then no more.
func benched(t *testing.T, root string, o options, all []canned) *bencher {
	o.cells, o.tolerance = []string{testCell}, 0.05
	if o.rounds == 0 {
		o.rounds = len(all)
	}
	i := 0
	return &bencher{options: o, root: root, committed: filepath.Join(root, "bench", "results", "gate.txt"), progress: io.Discard,
		sample: func(_ context.Context, cell string) ([]byte, error) {
			if cell != testCell || i == len(all) {
				return nil, errors.New("more was asked for than there is")
			}
			i++
			return all[i-1].text(), nil
		}}
}

// judged commits what a run measured, and has another one judged by it.
func judged(t *testing.T, was, is []canned) (int, string) {
	t.Helper()
	root := t.TempDir()
	var out bytes.Buffer
	m := rig.Machine{Commit: "abc123", Time: "2026-12-01 00:00 UTC"}
	if s, err := benched(t, root, options{update: true}, was).gate(t.Context(), m, &out); s != statusFine || err != nil {
		t.Fatalf("-update: status %d, %v", s, err)
	}
	s, err := benched(t, root, options{}, is).gate(t.Context(), rig.Machine{}, &out)
	if err != nil {
		t.Fatal(err)
	}
	return s, out.String()
}

func TestVerdicts(t *testing.T) {
	was := rounds(11, 4700, 1.05, 0.0001)
	moved := rounds(11, 4700, 1.05, 0.0001)
	moved[4].floor *= 1.2
	slowerAndMoved := rounds(11, 4700, 1.05, 0.02)
	slowerAndMoved[4].floor *= 1.2
	var wide []canned // 7 % slower by its median, and no two of its rounds agree
	for i := range 11 {
		wide = append(wide, canned{4700, 0.83 + 0.06*float64(i*7%11), 0})
	}
	for _, c := range []struct {
		name   string
		is     []canned
		status int
		says   string
	}{
		{"the same", rounds(11, 4700, 1.05, 0.0001), statusFine, "fine"},
		{"on a machine half as fast", rounds(11, 9400, 1.05, 0.0001), statusFine, "fine"},
		{"slower within the tolerance", rounds(11, 4700, 1.09, 0.0001), statusFine, "+3.8 %"},
		{"slower", rounds(11, 4700, 1.16, 0.0001), statusSlower, "SLOWER"},
		{"slower on a machine twice as fast", rounds(11, 2350, 1.16, 0.0001), statusSlower, "+10.5 %"},
		{"faster", rounds(11, 4700, 0.9, 0.0001), statusFine, "faster"},
		{"slower by chance", wide, statusFine, "fine"},
		{"more mallocs", rounds(11, 4700, 1.05, 0.01), statusSlower, "SLOWER"},
		{"the floor moved", moved, statusNoVerdict, "no verdict: the floor moved by"},
		{"the floor moved, and more mallocs", slowerAndMoved, statusSlower, "no verdict: the floor moved by"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, text := judged(t, was, c.is)
			if s != c.status || !strings.Contains(text, c.says) || !strings.Contains(text, "abc123") {
				t.Errorf("status %d, want %d and %q:\n%s", s, c.status, c.says, text)
			}
		})
	}
}

// TestStartsAgain: an attempt whose floor moves is thrown away, and what was measured before it is in no figure.
func TestStartsAgain(t *testing.T) {
	all := append([]canned{{4700, 3, 0}, {6000, 3, 0}}, rounds(9, 4700, 1.05, 0)...)
	b := benched(t, t.TempDir(), options{update: true, rounds: 9, retries: 1}, all)
	if s, err := b.gate(t.Context(), rig.Machine{}, io.Discard); s != statusFine || err != nil {
		t.Fatalf("status %d, %v", s, err)
	}
	committed, err := readCommitted(b.committed)
	if err != nil {
		t.Fatal(err)
	}
	if r := committed.ratios(testCell, unitCPU); len(r) != 9 || rig.SpreadOf(r).Max > 1.1 {
		t.Errorf("ratios %v", r)
	}
}

// TestRenewRefuses: figures of a machine that moved are not committed, and those that are there stay.
func TestRenewRefuses(t *testing.T) {
	root := t.TempDir()
	if _, err := benched(t, root, options{update: true}, rounds(9, 4700, 1.05, 0)).gate(t.Context(), rig.Machine{}, io.Discard); err != nil {
		t.Fatal(err)
	}
	moved := rounds(9, 4700, 1.05, 0)
	moved[8].floor *= 1.2
	b := benched(t, root, options{update: true}, moved)
	before, err := os.ReadFile(b.committed)
	if err != nil {
		t.Fatal(err)
	}
	s, err := b.gate(t.Context(), rig.Machine{}, io.Discard)
	if s != statusNoVerdict || err == nil || !strings.Contains(err.Error(), "the floor moved by") {
		t.Errorf("status %d, %v", s, err)
	}
	if after, _ := os.ReadFile(b.committed); !bytes.Equal(before, after) {
		t.Error("the committed figures are others now")
	}
}

// TestNothingCommitted: without figures to compare with nothing is measured, and the error says how they are made.
func TestNothingCommitted(t *testing.T) {
	b := benched(t, t.TempDir(), options{}, nil)
	s, err := b.gate(t.Context(), rig.Machine{}, io.Discard)
	if s != statusNoVerdict || !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "make bench-gate GATE=-update") {
		t.Errorf("status %d, %v", s, err)
	}
	if err := os.MkdirAll(filepath.Dir(b.committed), 0o755); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{"": "no benchmark in it", "BenchmarkEcho 1 x ns/op\n": "parsing measurement"} {
		if err := os.WriteFile(b.committed, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if s, err := b.gate(t.Context(), rig.Machine{}, io.Discard); s != statusNoVerdict || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: status %d, %v", text, s, err)
		}
	}
}

// TestNewCell: a cell that was not committed has no verdict, and neither has one that was committed with too few rounds or with
// a floor that moved, which only a hand can have written.
func TestNewCell(t *testing.T) {
	now := recorded(t, rounds(9, 4700, 1.05, 0))
	moved := rounds(9, 4700, 1.05, 0)
	moved[3].floor *= 2
	for want, committed := range map[string]record{
		"0 rounds":      nil,
		"8 rounds":      recorded(t, rounds(8, 4700, 1.05, 0)),
		"floor of the ": recorded(t, moved),
	} {
		j := judge(testCell, committed, now, 0.05)
		if j[0].verdict != unknown || !strings.Contains(j[0].why, want) || !strings.Contains(j[0].why, "renew") {
			t.Errorf("want %q: %+v", want, j[0])
		}
	}
}

func recorded(t *testing.T, all []canned) (r record) {
	t.Helper()
	for _, c := range all {
		lines, _, err := read(bytes.NewReader(c.text()), "canned")
		if err != nil {
			t.Fatal(err)
		}
		r = append(r, lines...)
	}
	return r
}

// TestRead: what a benchmark printed, as it printed it.
func TestRead(t *testing.T) {
	text, err := os.ReadFile("testdata/round.txt")
	if err != nil {
		t.Fatal(err)
	}
	r, units, err := read(bytes.NewReader(text), "round.txt")
	if err != nil || len(units) != 3 {
		t.Fatalf("%d units, %v", len(units), err)
	}
	const cell = "Echo/size=128B/depth=16"
	if got := r.ratios(cell, unitCPU); len(got) != 1 || math.Abs(got[0]-1.1) > 1e-9 {
		t.Errorf("ratios %v", got)
	}
	if got := r.of(cell, subject, unitMallocs); len(got) != 1 || got[0] != 0.0000116 {
		t.Errorf("mallocs %v", got)
	}
	if r.config("cpu") != "AMD EPYC" || r.of("Echo/size=128B/depth=1", subject, unitCPU) != nil {
		t.Errorf("of processor %q", r.config("cpu"))
	}
}

// TestRoundWithoutServer: a cell that the benchmark does not know is an error, not a figure.
func TestRoundWithoutServer(t *testing.T) {
	b := &bencher{sample: func(context.Context, string) ([]byte, error) { return []byte("PASS\n"), nil }}
	if _, err := b.round(t.Context(), testCell); err == nil || !strings.Contains(err.Error(), "is there such a cell?") {
		t.Errorf("%v", err)
	}
}

func TestFlags(t *testing.T) {
	o, err := parse(nil, io.Discard)
	if err != nil || o.rounds < minRounds || len(o.cells) != len(defaultCells) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, args := range [][]string{{"-rounds", "8"}, {"-tolerance", "0"}, {"-time", "0s"}, {"-retries", "-1"}, {"-server-core", "1"}, {"update"}, {"-nothing"}} {
		if s, err := run(t.Context(), args, io.Discard, io.Discard); s != statusNoVerdict || err == nil {
			t.Errorf("%v: status %d, %v", args, s, err)
		}
	}
}

// TestBenchmark: the benchmark prints what the gate reads, for each cell.
func TestBenchmark(t *testing.T) {
	if testing.Short() {
		t.Skip("builds package bench and runs it")
	}
	root, err := rig.Root(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	b := &bencher{options: options{length: time.Millisecond, loadCore: 0, serverCore: 0}, root: root}
	b.binary = filepath.Join(t.TempDir(), "bench.test")
	if err := b.prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.sample = b.sampleOnce
	for _, cell := range defaultCells {
		r, err := b.round(t.Context(), cell)
		if err != nil {
			t.Errorf("%s: %v", cell, err)
		}
		if len(r) != 2 || len(r.of(cell, subject, unitMallocs)) != 1 {
			t.Errorf("%s: %d lines", cell, len(r))
		}
	}
	if len(b.units) == 0 {
		t.Error("benchstat is not told which way is better")
	}
}
