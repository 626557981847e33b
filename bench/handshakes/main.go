// Command handshakes measures what a TLS handshake costs Gannet's server, beside net/http's with the same tls.Config: handshakes
// for each second of CPU time of the server, full ones and resumed ones. And it says what established connections feel of 2,000
// handshakes at once, and how long a new client waits beside 1,000 peers that have connected and say nothing.
//
//	go run ./bench/handshakes                 # everything, two minutes
//	go run ./bench/handshakes -cells full     # of full, resumed, storm, silent
//	go run ./bench/handshakes -check          # exit status 3 if a bar is missed
//
// It needs Linux, two cores and taskset. Read bench/README.md before quoting what it prints.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// Exit statuses beside 0, 1 for what could not be measured and 2 for a wrong command line.
const exitMissed = 3

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "handshakes:", err)
	}
	os.Exit(status)
}

// options are the command line, parsed and checked.
type options struct {
	cells      []string
	rounds     int
	length     time.Duration
	workers    int // clients that shake hands one after the other
	storm      int // handshakes at once
	silent     int // peers that say nothing
	serverCore int
	loadCore   int
	check      bool
}

// allCells in the order in which they are measured.
var allCells = []string{cellFull, cellResumed, cellStorm, cellSilent}

const (
	cellFull    = "full"
	cellResumed = "resumed"
	cellStorm   = "storm"
	cellSilent  = "silent"
)

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) > 0 {
		if part, ok := parts[args[0]]; ok {
			if err := part(ctx, args[1:], stdout); err != nil {
				return 1, err
			}
			return 0, nil
		}
	}
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0, nil
	case err != nil:
		return 2, err
	}
	missed, err := measure(ctx, o, stdout, stderr)
	if err != nil {
		return 1, err
	}
	if o.check && missed {
		return exitMissed, nil
	}
	return 0, nil
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var cells string
	flags := flag.NewFlagSet("handshakes", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&cells, "cells", strings.Join(allCells, ","), "cells to measure, comma-separated")
	flags.IntVar(&o.rounds, "rounds", minRounds, "rounds in turns; fewer than 9 are marked as no result")
	flags.DurationVar(&o.length, "time", 2*time.Second, "measured time per server and round")
	flags.IntVar(&o.workers, "workers", 16, "clients that shake hands, one handshake after the other")
	flags.IntVar(&o.storm, "storm", 2000, "handshakes at once in the cell storm")
	flags.IntVar(&o.silent, "silent", 1000, "peers in the cell silent that connect and say nothing")
	flags.IntVar(&o.serverCore, "server-core", 0, "core that the server is pinned to")
	flags.IntVar(&o.loadCore, "load-core", 1, "core that the load is pinned to")
	flags.BoolVar(&o.check, "check", false, "exit with status 3 when a bar is missed")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	o.cells = strings.FieldsFunc(cells, func(r rune) bool { return r == ',' || r == ' ' })
	for _, name := range o.cells {
		if !slices.Contains(allCells, name) {
			return o, fmt.Errorf("-cells: there is no %q, but %s", name, strings.Join(allCells, ", "))
		}
	}
	return o, o.checkRanges()
}

func (o options) checkRanges() error {
	switch {
	case o.rounds < 1 || o.workers < 1 || o.storm < 1 || o.silent < 1:
		return errors.New("-rounds, -workers, -storm and -silent want at least 1")
	case o.length < 100*time.Millisecond:
		return fmt.Errorf("-time %v: want at least 100ms", o.length)
	case o.serverCore == o.loadCore:
		return fmt.Errorf("-server-core and -load-core are both %d: the load would be measured as the server's neighbour", o.loadCore)
	}
	return nil
}
