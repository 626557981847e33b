package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// minRounds is how many rounds in turns a ratio needs before it may be quoted.
const minRounds = 9

// bar is how much of the best peer's CPU time a message may cost Gannet's client.
const bar = 0.8

// cell is a kind of load: so many bytes a message, so many messages that a connection sends before it reads.
type cell struct {
	name, title string
	size, depth int
}

var allCells = []cell{
	{"128", "128 B, depth 1", 128, 1},
	{"128x16", "128 B, depth 16", 128, 16},
	{"16k", "16 KiB, depth 1", 16 << 10, 1},
}

// manyCell is the name of the other kind of measurement: see beginMany.
const manyCell = "many"

// measure builds the server, and measures the cells in order.
func measure(ctx context.Context, o options, progress io.Writer) (*report, error) {
	b, err := newBencher(ctx, o, progress)
	if err != nil {
		return nil, err
	}
	r := &report{machine: rig.Describe(ctx, b.root, "GOWORK=off go -C bench/clients run .", os.Args[1:]), options: o}
	for _, c := range o.cells {
		t := table{cell: c, samples: map[string][]figures{}}
		for round := range o.rounds {
			fmt.Fprintf(progress, "%s round %d/%d:", c.name, round+1, o.rounds)
			for _, name := range o.libraries {
				var f figures
				if err := b.sample(ctx, &f, "-library", name, "-size", strconv.Itoa(c.size), "-depth", strconv.Itoa(c.depth),
					"-conns", strconv.Itoa(o.conns), "-time", o.length.String()); err != nil {
					return nil, fmt.Errorf("%s: %s: %w", c.name, name, err)
				}
				fmt.Fprintf(progress, " %s %.3f", name, f.CPUMicros)
				t.samples[name] = append(t.samples[name], f)
			}
			fmt.Fprintln(progress)
		}
		r.tables = append(r.tables, t)
	}
	if o.many > 0 {
		r.many = new(manyFigures)
		if err := b.sample(ctx, r.many, "-many", strconv.Itoa(o.many)); err != nil {
			return nil, fmt.Errorf("%s: %w", manyCell, err)
		}
	}
	return r, nil
}

// bencher starts a server and a client for each sample.
type bencher struct {
	options
	root   string
	self   string // this program
	gannet string // the server
	ports  *rig.Ports
}

func newBencher(ctx context.Context, o options, progress io.Writer) (*bencher, error) {
	root, err := rig.Root(ctx)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, "bin", "bench")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	b := &bencher{options: o, root: root, self: self, gannet: filepath.Join(bin, "gannet"), ports: rig.NewPorts()}
	fmt.Fprintln(progress, "building the server")
	_, err = rig.Output(ctx, rig.BuildGannet(root, b.gannet)...)
	return b, err
}

// sample runs a client in a fresh process against a fresh server, each on a core of its own, and reads what it found out.
func (b *bencher) sample(ctx context.Context, into any, args ...string) error {
	port, err := b.ports.Take()
	if err != nil {
		return err
	}
	server, err := rig.Start(ctx, rig.Pinned(b.serverCore, []string{b.gannet, "serve", "--addr", rig.LocalAddr(port), "--loops", "1", "--log", "error"}), port)
	if err != nil {
		return err
	}
	defer server.Stop()
	// Users run with Go's defaults.
	argv := []string{"env", "-u", "GOGC", "-u", "GOMEMLIMIT", "-u", "GODEBUG", "-u", "GOMAXPROCS"}
	if b.procs > 0 {
		argv = append(argv, "GOMAXPROCS="+strconv.Itoa(b.procs))
	}
	argv = append(argv, b.self, "drive", "-addr", rig.LocalAddr(port))
	text, err := rig.Output(ctx, rig.Pinned(b.loadCore, append(argv, args...))...)
	if err != nil {
		return server.WhyEnded(err)
	}
	return json.Unmarshal([]byte(text), into)
}
