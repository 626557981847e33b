package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/perf/benchfmt"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// maxFloorMove is how far the floor may move within a cell. It does the same work every time, so what moves it is the machine:
// its clock, its neighbours.
const maxFloorMove = 0.10

// bencher measures cells one after the other.
type bencher struct {
	options
	root      string
	committed string // file
	binary    string // the benchmarks
	progress  io.Writer
	sample    func(ctx context.Context, cell string) ([]byte, error) // sampleOnce, but for tests

	measured record
	units    []*benchfmt.UnitMetadata
}

// prepare builds the benchmarks as a user gets them, without go.work.
func (b *bencher) prepare(ctx context.Context) error {
	_, err := rig.Output(ctx, "env", "GOWORK=off", "go", "-C", b.root, "test", "-c", "-o", b.binary, "./bench")
	return err
}

// sampleOnce is one round of a cell, in a process of its own, and so are its servers: where one process happens to lie in memory
// would otherwise colour all rounds.
func (b *bencher) sampleOnce(ctx context.Context, cell string) ([]byte, error) {
	argv := rig.Pinned(b.loadCore, []string{b.binary, "-test.run", "^$", "-test.bench", pattern(cell), "-test.benchtime", b.length.String(),
		"-servercore", strconv.Itoa(b.serverCore)})
	// Users run with Go's defaults.
	text, err := rig.Output(ctx, append([]string{"env", "-u", "GOGC", "-u", "GOMEMLIMIT", "-u", "GODEBUG", "-u", "GOMAXPROCS"}, argv...)...)
	return []byte(text), err
}

// pattern has go test run the benchmarks of a cell, and no other.
func pattern(cell string) string {
	parts := strings.Split(cell, "/")
	parts[0] = "Benchmark" + parts[0]
	return "^" + strings.Join(parts, "$/^") + "$"
}

// measure runs all cells.
func (b *bencher) measure(ctx context.Context) error {
	for _, cell := range b.cells {
		r, err := b.measureCell(ctx, cell)
		if err != nil {
			return fmt.Errorf("%s: %w", cell, err)
		}
		b.measured = append(b.measured, r...)
	}
	return nil
}

// measureCell starts again while the floor does not hold still. The last attempt is given back as it is, with all of its rounds.
func (b *bencher) measureCell(ctx context.Context, cell string) (record, error) {
	for attempt := 0; ; attempt++ {
		r, whole, err := b.attempt(ctx, cell, attempt == b.retries)
		if err != nil || whole {
			return r, err
		}
	}
}

// attempt runs the rounds of a cell. Unless it is the last one, it ends as soon as the floor has moved.
func (b *bencher) attempt(ctx context.Context, cell string, last bool) (all record, whole bool, err error) {
	for round := range b.rounds {
		r, err := b.round(ctx, cell)
		if err != nil {
			return nil, false, err
		}
		all = append(all, r...)
		floor, ratio := all.of(cell, floorServer, unitCPU), r.ratios(cell, unitCPU)[0]
		fmt.Fprintf(b.progress, "%s round %d/%d: floor %.3f us, Gannet %.3f x\n", cell, round+1, b.rounds, 1e6*floor[len(floor)-1], ratio)
		if moved := rig.SpreadOf(floor).Moved(); moved > maxFloorMove && !last {
			fmt.Fprintf(b.progress, "%s: the floor moved by %.0f %%, starting again\n", cell, 100*moved)
			return nil, false, nil
		}
	}
	return all, true, nil
}

// round is one round's lines, which are two: the floor's and Gannet's.
func (b *bencher) round(ctx context.Context, cell string) (record, error) {
	text, err := b.sample(ctx, cell)
	if err != nil {
		return nil, err
	}
	r, units, err := read(bytes.NewReader(text), cell)
	if err != nil {
		return nil, err
	}
	for _, server := range []string{floorServer, subject} {
		if n := r.of(cell, server, unitCPU); len(n) != 1 || n[0] <= 0 {
			return nil, fmt.Errorf("its benchmark printed no CPU time of server %s: is there such a cell?\n%s", server, text)
		}
	}
	if b.units == nil {
		b.units = units
	}
	return r, nil
}

// write leaves what was measured in a file that benchstat reads.
func (b *bencher) write(file string, m rig.Machine) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "commit: %s\ntime: %s\nkernel: %s\ngo: %s\nload-before: %s\ncommand: %s\n\n", m.Commit, m.Time, m.Kernel, m.Go, m.Load, m.Command)
	w := benchfmt.NewWriter(&text)
	for _, unit := range b.units {
		if err := w.Write(unit); err != nil {
			return err
		}
	}
	for _, result := range b.measured {
		if err := w.Write(result); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, text.Bytes(), 0o644)
}
