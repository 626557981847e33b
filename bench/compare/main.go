// Command compare measures what an echoed WebSocket message costs Gannet's server, side by side with a C
// program that only echoes bytes (the floor) and with other Go libraries (the peers), and judges the result.
//
//	go run ./bench/compare                      # everything, about ten minutes on a quiet machine
//	go run ./bench/compare -cells echo-128      # one cell; -list names them
//	go run ./bench/compare -check               # exit status 3 if a bar is missed, 4 if a cell is void
//	go run ./bench/compare -add 'old=/path/to/old serve --addr 127.0.0.1:{port} --loops 1' -bar 'old=echo-128:1.0'
//
// It needs Linux, two cores, taskset, a C compiler and zlib's header, and OpenSSL's for the cells over TLS. Read bench/README.md before quoting
// what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/results"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// Exit statuses beside 0 and flag's own 2 for a wrong command line.
const (
	exitFailed = 1 // something could not be built, started or measured
	exitMissed = 3 // with -check: a bar was missed
	exitVoid   = 4 // with -check: no bar was missed, but a cell with a bar was void or not measured
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	status, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compare:", err)
	}
	stop()
	os.Exit(status)
}

// options are the command line, parsed and checked.
type options struct {
	rounds     int
	duration   time.Duration
	retries    int
	conns      int
	serverCore int
	loadCore   int
	plan       plan
	check      bool
	list       bool
	outDir     string
	appendTo   string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0, nil
	case err != nil:
		return 2, err
	case o.list:
		printCells(stdout)
		return 0, nil
	}
	report, err := measureAll(ctx, o, stderr)
	if err != nil {
		return exitFailed, err
	}
	if err := report.write(stdout); err != nil {
		return exitFailed, err
	}
	if o.appendTo != "" {
		if err := results.Append(o.appendTo, report.records()); err != nil {
			return exitFailed, err
		}
	}
	if o.check {
		return report.status(), nil
	}
	return 0, nil
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var cells, servers string
	var added serverFlag
	var bars barFlag
	flags := flag.NewFlagSet("compare", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&cells, "cells", "", "cells to measure, comma-separated (default: those marked * by -list)")
	flags.StringVar(&servers, "servers", "", "servers to measure, comma-separated; all: every one, which adds coder, nbio, gobwas, fasthttp, gnet, node and tungstenite (default: rawecho, gannet, gws and gorilla)")
	flags.Var(&added, "add", "another server to measure: `NAME=COMMAND`, where {port} stands for the port, and {cert} and {key}, for a server of the cells over TLS, for its certificate's files; may be repeated")
	flags.Var(&bars, "bar", "bars for a server of -add: `NAME=CELL:RATIO,...`, the most that Gannet may cost of what it costs; may be repeated")
	flags.IntVar(&o.rounds, "rounds", minRounds, "interleaved rounds per cell; fewer than 9 are marked as no result")
	flags.DurationVar(&o.duration, "time", 2*time.Second, "measured time per server and round")
	flags.IntVar(&o.retries, "retries", 3, "how often to start a cell again when the floor moved by more than 10 %")
	flags.IntVar(&o.conns, "conns", 0, "connections in every echo cell (default: the cell's own)")
	flags.IntVar(&o.serverCore, "server-core", 0, "core that the server under test is pinned to")
	flags.IntVar(&o.loadCore, "load-core", 1, "core that the load is pinned to")
	flags.BoolVar(&o.check, "check", false, "exit with a status other than 0 when a bar is missed (3) or a cell is void (4)")
	flags.BoolVar(&o.list, "list", false, "list the cells and their bars, and end")
	flags.StringVar(&o.outDir, "out", "", "folder for compare.json and compare.md (default: bin/bench in the repository)")
	flags.StringVar(&o.appendTo, "append", "", "`file` that gets a line of JSON for each server in each cell as well")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.checkRanges(); err != nil {
		return o, err
	}
	if err := bars.give(added.servers); err != nil {
		return o, err
	}
	var err error
	o.plan, err = newPlan(cells, servers, added.servers)
	return o, err
}

func (o options) checkRanges() error {
	switch {
	case o.rounds < 1:
		return fmt.Errorf("-rounds %d: want at least 1", o.rounds)
	case o.duration < 100*time.Millisecond:
		return fmt.Errorf("-time %v: want at least 100ms, the kernel counts CPU time in ticks of 10ms", o.duration)
	case o.retries < 0:
		return fmt.Errorf("-retries %d: want 0 or more", o.retries)
	case o.conns < 0:
		return fmt.Errorf("-conns %d: want 0 or more", o.conns)
	case o.serverCore == o.loadCore:
		return fmt.Errorf("-server-core and -load-core are both %d: the load would be measured as the server's neighbour", o.loadCore)
	}
	return nil
}

// measureAll builds what the plan needs and measures its cells in order.
func measureAll(ctx context.Context, o options, progress io.Writer) (*report, error) {
	tools, err := build(ctx, o.plan, progress)
	if err != nil {
		return nil, err
	}
	r := newReport(ctx, o, tools)
	b := &bencher{options: o, tools: tools, progress: progress, ports: rig.NewPorts()}
	b.sample, b.ask = b.sampleOnce, b.askOnce
	for _, c := range o.plan.echo {
		result, err := b.measure(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		r.Echo = append(r.Echo, result)
	}
	for _, c := range o.plan.idle {
		result, err := b.measureIdle(ctx, c)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
		r.Idle = append(r.Idle, result)
	}
	r.judge()
	return r, nil
}
