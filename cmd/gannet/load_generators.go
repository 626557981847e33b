package main

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"

	"github.com/urfave/cli/v3"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/local"
	"github.com/gannet-ws/gannet/bench/load/procs"
)

// generators are who does a run: this process, several, or agents. note is told what they have to say besides figures. free is for after
// the run.
func (s *scenario) generators(ctx context.Context, processes int, note func(string)) (all []load.Generator, free func(), err error) {
	if s.Agents.Count > 0 {
		return s.Agents.gather(ctx, &s.Plan, note)
	}
	free = func() {}
	shares := load.Shares(s.Plan, processes)
	g, err := localGenerator(shares[0], notes(note))
	if err != nil || processes == 1 {
		return []load.Generator{g}, free, err
	}
	if err := g.Close(); err != nil { // it was made to find out here what is wrong with files that the plan names
		return nil, nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, nil, err
	}
	all, err = procs.Start(shares, procs.Command{Path: self, Args: []string{loadPart}, Stderr: func(name, line string) { note(name + ": " + plain(line)) }})
	return all, free, err
}

// localGenerator is one in this process.
func localGenerator(share load.Share, log io.Writer) (load.Generator, error) {
	loops := share.Plan.Loops
	if loops == 0 {
		loops = runtime.GOMAXPROCS(0)
		share.Plan.Loops = loops // as it was before there is room beside them
	}
	leaveRoomBeside(loops)
	return local.New(share, slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelError})))
}

// notes is a Writer of lines.
type notes func(string)

func (n notes) Write(b []byte) (int, error) {
	n(strings.TrimRight(string(b), "\n"))
	return len(b), nil
}

// loadPart is the name of the command that --procs starts.
const loadPart = "load-part"

// loadPartCommand does a share of another process's run.
func loadPartCommand() *cli.Command {
	return &cli.Command{
		Name:   loadPart,
		Usage:  "what gannet load --procs starts; it speaks to its parent on stdin and stdout",
		Hidden: true,
		Action: func(context.Context, *cli.Command) error {
			signal.Ignore(syscall.SIGHUP) // a terminal that goes tells the parent, too, and it decides
			return procs.Serve(func(share load.Share) (load.Generator, error) { return localGenerator(share, os.Stderr) })
		},
	}
}
