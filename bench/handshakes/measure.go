package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// minRounds is how many rounds in turns a ratio needs before it may be quoted.
const minRounds = 9

// The bars.
const (
	perCPUBar = 0.95                  // Gannet's handshakes per CPU second by net/http's: no less
	riseBar   = 20 * time.Millisecond // of an established connection's p99 while others shake hands: no more
	openBar   = time.Second           // for a new client beside silent peers: no more
)

const (
	kindGannet  = "gannet"
	kindNetHTTP = "net/http"
)

// bencher starts a server and a load for each sample, each on a core of its own.
type bencher struct {
	options
	self      string // this program
	cert, key string
	ports     *rig.Ports
}

// measure runs the cells, prints what they found, and answers whether a bar was missed.
func measure(ctx context.Context, o options, stdout, progress io.Writer) (missed bool, err error) {
	root, err := rig.Root(ctx)
	if err != nil {
		return false, err
	}
	b := &bencher{options: o, ports: rig.NewPorts()}
	if b.self, err = os.Executable(); err != nil {
		return false, err
	}
	bin := filepath.Join(root, "bin", "bench")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return false, err
	}
	if b.cert, b.key, err = rig.WriteCertificate(bin); err != nil {
		return false, err
	}
	fmt.Fprintf(stdout, "%v.\n", rig.Describe(ctx, root, "go run ./bench/handshakes", os.Args[1:]))
	for _, cell := range allCells {
		if !slices.Contains(o.cells, cell) {
			continue
		}
		var miss bool
		switch cell {
		case cellStorm, cellSilent:
			miss, err = b.crowd(ctx, cell, stdout)
		default:
			miss, err = b.rate(ctx, cell, stdout, progress)
		}
		if err != nil {
			return false, fmt.Errorf("%s: %w", cell, err)
		}
		missed = missed || miss
	}
	return missed, nil
}

// rate compares both servers, in turns.
func (b *bencher) rate(ctx context.Context, cell string, stdout, progress io.Writer) (missed bool, err error) {
	var ours, theirs, ratios, busy []float64
	for round := range b.rounds {
		var perCPU [2]float64
		for i, kind := range []string{kindGannet, kindNetHTTP} {
			var s shaken
			if err := b.sample(ctx, kind, &s, "shake", "-workers", strconv.Itoa(b.workers), "-time", b.length.String(),
				"-resumed="+strconv.FormatBool(cell == cellResumed)); err != nil {
				return false, fmt.Errorf("%s: %w", kind, err)
			}
			perCPU[i] = float64(s.Handshakes) / s.CPUSeconds
			busy = append(busy, 100*s.Busy)
		}
		fmt.Fprintf(progress, "%s round %d/%d: gannet %.0f net/http %.0f\n", cell, round+1, b.rounds, perCPU[0], perCPU[1])
		ours, theirs, ratios = append(ours, perCPU[0]), append(theirs, perCPU[1]), append(ratios, perCPU[0]/perCPU[1])
	}
	ratio := rig.SpreadOf(ratios)
	fmt.Fprintf(stdout, "\n### Handshakes, %s\n\nMedian [smallest-largest] of %d rounds in turns of %v; the servers were busy %s of the time, in percent.\n",
		cell, b.rounds, b.length, wholes(busy))
	fmt.Fprintf(stdout, "\n| server | handshakes per CPU second | Gannet / it |\n|---|---|---|\n| gannet | %s | |\n| net/http | %s | %s |\n\n",
		wholes(ours), wholes(theirs), ratio.Ratio())
	verdict := "met"
	switch missed = ratio.Median < perCPUBar; {
	case b.rounds < minRounds:
		verdict, missed = fmt.Sprintf("fewer than %d rounds: a look, not a result", minRounds), false
	case missed:
		verdict = "MISSED"
	}
	fmt.Fprintf(stdout, "Bar: at least %.2f x net/http's: %s.\n", perCPUBar, verdict)
	return missed, nil
}

func wholes(values []float64) string {
	s := rig.SpreadOf(values)
	return fmt.Sprintf("%.0f [%.0f-%.0f]", s.Median, s.Min, s.Max)
}

// crowd measures what established connections, or a new client, feel of many others.
func (b *bencher) crowd(ctx context.Context, cell string, stdout io.Writer) (missed bool, err error) {
	if cell == cellSilent {
		var f silence
		if err := b.sample(ctx, kindGannet, &f, "silent", "-peers", strconv.Itoa(b.silent)); err != nil {
			return false, err
		}
		missed = f.Slowest > openBar
		fmt.Fprintf(stdout, "\n### %d peers that connect and say nothing\n\nThe slowest of %d new clients was open after %v. Bar: %v: %s.\n",
			b.silent, newcomers, f.Slowest.Round(10*time.Microsecond), openBar, outcome(missed))
		return missed, nil
	}
	var f stormed
	if err := b.sample(ctx, kindGannet, &f, "storm", "-handshakes", strconv.Itoa(b.storm), "-core", strconv.Itoa(b.serverCore)); err != nil {
		return false, err
	}
	rise := f.Storm.P99 - f.Calm.P99
	missed = rise > riseBar
	fmt.Fprintf(stdout, "\n### %d handshakes at once\n\n%d of them were whole after %v. Beside them, %d established connections send %d B each every %v, open loop.\n"+
		"\n| | messages | p50 | p99 | largest |\n|---|---|---|---|---|\n| before | %s |\n| meanwhile | %s |\n\nBar: p99 rises by at most %v: by %v: %s.\n",
		b.storm, f.Whole, f.Lasted.Round(time.Millisecond), probes, probeSize, probeEvery, f.Calm, f.Storm, riseBar, rise.Round(10*time.Microsecond), outcome(missed))
	return missed, nil
}

func outcome(missed bool) string {
	if missed {
		return "MISSED"
	}
	return "met"
}

// sample runs a part of this program against a fresh server, and reads what it found out.
func (b *bencher) sample(ctx context.Context, kind string, into any, part string, args ...string) error {
	port, err := b.ports.Take()
	if err != nil {
		return err
	}
	addr := rig.LocalAddr(port)
	server, err := rig.Start(ctx, rig.Pinned(b.serverCore, []string{b.self, "serve", "-kind", kind, "-addr", addr, "-cert", b.cert, "-key", b.key}), port)
	if err != nil {
		return err
	}
	defer server.Stop()
	argv := append([]string{b.self, part, "-addr", addr}, args...)
	if part == "shake" {
		argv = append(argv, "-pid", strconv.Itoa(server.PID()))
	}
	text, err := rig.Output(ctx, rig.Pinned(b.loadCore, argv)...)
	if err != nil {
		return server.WhyEnded(err)
	}
	return json.Unmarshal([]byte(text), into)
}
