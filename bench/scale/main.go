// Command scale shows what a hundred thousand connections take on one machine, server and clients together:
//
//	make scale            # 100,000 connections, each with an echo every 10 s; about three minutes
//	make scale-growth     # 1,000, 10,000 and 100,000, and broadcasts to all: docs/scale.md and docs/scale.svg; five minutes
//	GOWORK=off go run . -connections 2000 -duration 5s                                    # a look
//	GOWORK=off go run . -growth -steps 500,2000 -duration 5s -docs /tmp -results /tmp/growth.json
//
// It runs gannet serve --procs and gannet load --procs auto, and reads /stats and /proc while they run. What the machine can not hold is left out, and said. It is a
// module of its own, so that the library which draws stays out of Gannet's go.mod. Linux only.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("scale: ")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal does not wait
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		log.Fatal(err)
	}
}

// options are the command line, parsed and checked.
type options struct {
	connections   int
	steps         []int
	growth        bool
	redraw        bool
	duration      time.Duration
	connectRate   float64
	size          int
	docs, results string
	gannet        string
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var steps string
	flags := flag.NewFlagSet("scale", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.IntVar(&o.connections, "connections", 100_000, "how many; each echoes every 10 s")
	flags.BoolVar(&o.growth, "growth", false, "measure -steps, echoes and broadcasts, and write docs/scale.md")
	flags.StringVar(&steps, "steps", "1000,10000,100000", "numbers of connections for -growth, the fewest first")
	flags.BoolVar(&o.redraw, "redraw", false, "measure nothing: write the page and the chart from the results file")
	flags.DurationVar(&o.duration, "duration", 0, "how long messages are sent, of each run (default 1m; 20s with -growth)")
	flags.Float64Var(&o.connectRate, "connect-rate", 0, "connections a second that are begun (default 3000; 5000 with -growth)")
	flags.IntVar(&o.size, "size", 128, "bytes a message")
	flags.StringVar(&o.docs, "docs", "", "folder of scale.md and scale.svg (default: docs of the repository)")
	flags.StringVar(&o.results, "results", "", "file of -growth's results (default: bench/scale/growth.json)")
	flags.StringVar(&o.gannet, "gannet", "", "program to run (default: this repository's, which is built)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	duration, connectRate := time.Minute, 3000.0
	if o.growth {
		duration, connectRate = 20*time.Second, 5000
	}
	o.duration, o.connectRate = cmp.Or(o.duration, duration), cmp.Or(o.connectRate, connectRate)
	for text := range strings.SplitSeq(steps, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 10 || len(o.steps) > 0 && n <= o.steps[len(o.steps)-1] {
			return o, fmt.Errorf("-steps %q: must be numbers of at least 10, each larger than the one before", steps)
		}
		o.steps = append(o.steps, n)
	}
	if o.connections < 10 || o.duration < time.Second || o.connectRate < 1 || o.size < 16 {
		return o, errors.New("-connections must be at least 10, -duration 1s, -connect-rate 1 and -size 16")
	}
	return o, nil
}

func run(ctx context.Context, args []string, out, progress io.Writer) error {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	root, err := rig.Root(ctx)
	if err != nil {
		return err
	}
	if o.docs == "" {
		o.docs = filepath.Join(root, "docs")
	}
	if o.results == "" {
		o.results = filepath.Join(root, "bench", "scale", "growth.json")
	}
	if o.redraw {
		g, err := readGrowth(o.results)
		if err != nil {
			return err
		}
		return g.writePage(o.docs)
	}
	dir, err := os.MkdirTemp("", "gannet-scale")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	r := runner{gannet: o.gannet, dir: dir, ports: rig.NewPorts(), progress: progress}
	if r.gannet == "" {
		r.gannet = filepath.Join(dir, "gannet")
		fmt.Fprintln(progress, "building gannet")
		if _, err := rig.Output(ctx, rig.BuildGannet(root, r.gannet)...); err != nil {
			return err
		}
	}
	m, err := readLimits()
	if err != nil {
		return err
	}
	if o.growth {
		return r.grow(ctx, o, m, rig.Describe(ctx, root, "GOWORK=off go -C bench/scale run .", args))
	}
	return r.scale(ctx, o, m, out)
}

// scale is make scale.
func (r *runner) scale(ctx context.Context, o options, m limits, out io.Writer) error {
	c, lacks := m.fit(o.connections)
	fmt.Fprintf(r.progress, "%s connections: %v, %s connects a second, an echo each every %d s, %v\n",
		grouped(float64(c.Connections)), c, grouped(o.connectRate), echoSeconds, o.duration)
	tellLacks(r.progress, lacks)
	if c.Connections < 10 {
		return errors.New("this machine holds too few connections; see above")
	}
	t := task{Crowd: c, ConnectRate: o.connectRate, Rate: float64(c.Connections) / echoSeconds, Duration: o.duration, Size: o.size}
	l, err := r.level(ctx, t)
	if err != nil {
		return err
	}
	report(out, o.connections, l, lacks)
	return nil
}

func (r *runner) level(ctx context.Context, t task) (level, error) {
	all, err := r.run(ctx, t)
	if err != nil {
		return level{}, err
	}
	return levelOf(t, all)
}

// broadcastRate is how many broadcasts a second there are: few, so that one is over when the next begins, and five at least.
func broadcastRate(d time.Duration) float64 { return max(0.5, 5/d.Seconds()) }

// grow is make scale-growth.
func (r *runner) grow(ctx context.Context, o options, m limits, machine rig.Machine) error {
	g := growth{Machine: machine, Rate: float64(o.steps[len(o.steps)-1]) / echoSeconds, Size: o.size, ConnectRate: o.connectRate}
	for _, n := range o.steps {
		c, lacks := m.fit(n)
		for _, s := range lacks {
			g.Lacks = append(g.Lacks, fmt.Sprintf("%s connections: at most %s, because %s", grouped(float64(n)), grouped(float64(s.Most)), s.Why))
		}
		t := task{Crowd: c, ConnectRate: o.connectRate, Rate: g.Rate, Duration: o.duration, Size: o.size}
		var s step
		var err error
		fmt.Fprintf(r.progress, "%s connections: echoes\n", grouped(float64(c.Connections)))
		if s.Echo, err = r.level(ctx, t); err != nil {
			return err
		}
		fmt.Fprintf(r.progress, "%s connections: broadcasts\n", grouped(float64(c.Connections)))
		t.Broadcast, t.Rate = true, broadcastRate(o.duration)
		if s.Broadcast, err = r.level(ctx, t); err != nil {
			return err
		}
		g.Steps = append(g.Steps, s)
		for _, l := range []level{s.Echo, s.Broadcast} {
			for _, said := range l.Troubles {
				g.Lacks = append(g.Lacks, fmt.Sprintf("%s connections: %s", grouped(float64(n)), said))
			}
		}
	}
	if err := g.write(o.results); err != nil {
		return err
	}
	return g.writePage(o.docs)
}
