// Command clients measures what a message costs Gannet's client, beside the clients of other Go libraries, all against one and the same
// server: CPU time of the client's process for a message that is sent and comes back, and its allocations. And it begins 15,000
// connections at once, and says what that took.
//
//	GOWORK=off go -C bench/clients run .                  # everything, some five minutes
//	GOWORK=off go -C bench/clients run . -cells 128,16k   # of 128, 128x16, 16k, many
//	GOWORK=off go -C bench/clients run . -check           # exit status 3 if a bar is missed
//
// It needs Linux, two cores and taskset. Read bench/README.md before quoting what it prints. It is a module of its own, so that no
// peer enters Gannet's go.mod.
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

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
	}
	os.Exit(status)
}

// Exit statuses beside 0, 1 for what could not be measured and 2 for a wrong command line.
const exitMissed = 3

// options are the command line, parsed and checked.
type options struct {
	cells      []cell
	libraries  []string
	rounds     int
	length     time.Duration
	conns      int
	many       int // connections to begin at once; 0: none
	serverCore int
	loadCore   int
	procs      int // GOMAXPROCS of the clients; 0: what Go finds, which is one core
	check      bool
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) (int, error) {
	if len(args) > 0 && args[0] == "drive" {
		return driven(args[1:], stdout, stderr)
	}
	o, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0, nil
	case err != nil:
		return 2, err
	}
	r, err := measure(ctx, o, stderr)
	if err != nil {
		return 1, err
	}
	r.markdown(stdout)
	if o.check && r.missed() {
		return exitMissed, nil
	}
	return 0, nil
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var cells, libraries string
	flags := flag.NewFlagSet("clients", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&cells, "cells", "128,128x16,16k,many", "cells to measure, comma-separated")
	flags.StringVar(&libraries, "libraries", "gannet,gws,gorilla,coder", "whose clients, comma-separated")
	flags.IntVar(&o.rounds, "rounds", minRounds, "rounds in turns; fewer than 9 are marked as no result")
	flags.DurationVar(&o.length, "time", 2*time.Second, "measured time of each client in a round")
	flags.IntVar(&o.conns, "conns", 50, "connections of a client")
	flags.IntVar(&o.many, "many", 15_000, "connections that the cell many begins at once")
	flags.IntVar(&o.serverCore, "server-core", 0, "core that the server is pinned to")
	flags.IntVar(&o.loadCore, "client-core", 1, "core that the client is pinned to")
	flags.IntVar(&o.procs, "procs", 0, "GOMAXPROCS of the client (default: the one core it is pinned to)")
	flags.BoolVar(&o.check, "check", false, "exit with status 3 when a bar is missed")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.libraries = strings.Split(libraries, ",")
	for _, name := range o.libraries {
		if libraryNamed(name) == nil {
			return o, fmt.Errorf("-libraries: there is no %q", name)
		}
	}
	named := strings.Split(cells, ",")
	for _, name := range named {
		at := slices.IndexFunc(allCells, func(c cell) bool { return c.name == name })
		if at < 0 && name != manyCell {
			return o, fmt.Errorf("-cells: there is no %q", name)
		}
		if at >= 0 {
			o.cells = append(o.cells, allCells[at])
		}
	}
	if !slices.Contains(named, manyCell) {
		o.many = 0
	}
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	case o.rounds < 1 || o.conns < 1 || o.many < 0 || o.procs < 0:
		return o, errors.New("-rounds and -conns: want at least 1; -many and -procs: 0 or more")
	case o.length < 100*time.Millisecond:
		return o, fmt.Errorf("-time %v: want at least 100ms", o.length)
	case o.serverCore == o.loadCore:
		return o, fmt.Errorf("-server-core and -client-core are both %d: the server would be measured as the client's neighbour", o.loadCore)
	}
	return o, nil
}

// driven is the process that is measured: one sample.
func driven(args []string, stdout, stderr io.Writer) (int, error) {
	var k load
	var many int
	flags := flag.NewFlagSet("clients drive", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&k.library, "library", "gannet", "whose client")
	flags.StringVar(&k.addr, "addr", "", "address of the echo server")
	flags.IntVar(&k.conns, "conns", 50, "connections")
	flags.IntVar(&k.size, "size", 128, "bytes of a message")
	flags.IntVar(&k.depth, "depth", 1, "messages under way on a connection")
	flags.DurationVar(&k.length, "time", 2*time.Second, "measured time")
	flags.StringVar(&k.profile, "cpuprofile", "", "file for a CPU profile")
	flags.IntVar(&many, "many", 0, "begin so many connections at once, and measure nothing else")
	if err := flags.Parse(args); err != nil {
		return 2, err
	}
	err := error(nil)
	if many > 0 {
		err = beginMany(k.addr, many, stdout)
	} else {
		err = k.run(stdout)
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
