// Command gate tells whether the echo has become slower since its figures were committed.
//
//	GOWORK=off go -C bench/gate run .            # judge: three minutes on a quiet machine
//	GOWORK=off go -C bench/gate run . -update    # renew bench/results/gate.txt, to be committed
//
// It runs BenchmarkEcho of package bench for some rounds. In each round a server without WebSocket, the floor, is loaded just
// before Gannet's, and only the ratio of the two counts: the same machine is a quarter faster in one minute than in the next.
// Where the floor itself moves there is no verdict. Exit status: 0 fine, 1 slower, 2 no verdict, whatever the reason. go run
// turns both into 1 and prints the number; make bench-gate builds the program, and prints it too.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

const (
	statusFine = iota
	statusSlower
	statusNoVerdict
)

// minRounds is the fewest rounds that a verdict may rest on: see docs/decisions/0036-gate.md.
const minRounds = 9

// defaultCells leave out 1 MiB, of which a second has too few, and TLS, whose floor is another kind of work.
var defaultCells = []string{"Echo/size=128B/depth=1", "Echo/size=128B/depth=16", "Echo/size=1KiB/depth=1", "Echo/size=16KiB/depth=1"}

type options struct {
	update               bool
	rounds, retries      int
	length               time.Duration
	cells                []string
	tolerance            float64
	serverCore, loadCore int
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	status, err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	if err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "gate: no verdict:", err)
	}
	os.Exit(status)
}

func run(ctx context.Context, args []string, stdout, progress io.Writer) (int, error) {
	o, err := parse(args, progress)
	if err != nil {
		return statusNoVerdict, err
	}
	if runtime.GOOS != "linux" || runtime.NumCPU() < 2 {
		return statusNoVerdict, errors.New("it needs Linux and two cores: one for the server, one for the load")
	}
	root, err := rig.Root(ctx)
	if err != nil {
		return statusNoVerdict, err
	}
	b := &bencher{options: o, root: root, committed: filepath.Join(root, "bench", "results", "gate.txt"), progress: progress,
		binary: filepath.Join(root, "bin", "bench", "gate.test")}
	b.sample = b.sampleOnce
	if err := b.prepare(ctx); err != nil {
		return statusNoVerdict, err
	}
	return b.gate(ctx, rig.Describe(ctx, root, "GOWORK=off go -C bench/gate run .", args), stdout)
}

func parse(args []string, out io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("gate", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.BoolVar(&o.update, "update", false, "write what was measured to bench/results/gate.txt, and judge nothing")
	flags.IntVar(&o.rounds, "rounds", 11, fmt.Sprintf("rounds of each cell; a verdict needs %d", minRounds))
	flags.IntVar(&o.retries, "retries", 3, "how often a cell starts again when the floor has moved")
	flags.DurationVar(&o.length, "time", time.Second, "measured time of each server in a round")
	cells := flags.String("cells", strings.Join(defaultCells, ","), "benchmarks without their server=, separated by commas")
	flags.Float64Var(&o.tolerance, "tolerance", 0.05, "how much the ratio may rise: 0.05 is 5 %")
	flags.IntVar(&o.serverCore, "server-core", 0, "the core of the servers")
	flags.IntVar(&o.loadCore, "load-core", 1, "the core of the load")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.cells = strings.Split(*cells, ",")
	switch {
	case flags.NArg() > 0:
		return o, fmt.Errorf("%q is no flag: see -h", flags.Arg(0))
	case o.rounds < minRounds:
		return o, fmt.Errorf("-rounds %d: a verdict needs at least %d", o.rounds, minRounds)
	case o.retries < 0 || o.length <= 0 || o.tolerance <= 0:
		return o, errors.New("-retries is 0 or more, -time and -tolerance are more than 0")
	case o.serverCore == o.loadCore:
		return o, errors.New("-server-core and -load-core are two cores")
	}
	return o, nil
}
