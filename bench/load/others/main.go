// Others says what tools that put load on WebSocket servers do, and how many connections and messages one core of each reaches against the
// same server.
//
//	go build -o /tmp/gannet ../../cmd/gannet
//	./others/install.sh /tmp/tools
//	go run ./others -gannet /tmp/gannet -tools /tmp/tools -docs ../../docs/load.md
//
// The server is gannet serve with one loop on core 0, the tool runs on core 1. What is counted is what the server saw, so no tool's word is taken
// for it. Tools that are not there are reported as such.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

type options struct {
	gannet, tools, docs, only string
	connections, held         int
	seconds, size             int
	measure                   bool
}

func main() {
	var o options
	flag.StringVar(&o.gannet, "gannet", "", "the `program` to serve with, and to measure as gannet load")
	flag.StringVar(&o.tools, "tools", "", "`directory` in which install.sh put the tools; what is not there is looked for in PATH")
	flag.StringVar(&o.docs, "docs", "", "`page` to put the table into, between its marks")
	flag.StringVar(&o.only, "only", "", "tools to run, with commas between them; all of them by default")
	flag.IntVar(&o.connections, "connections", 100, "connections of the echo")
	flag.IntVar(&o.held, "held", 5000, "connections to open and hold, at most 20,000")
	flag.IntVar(&o.seconds, "seconds", 15, "how long each of the two measurements of a tool takes")
	flag.IntVar(&o.size, "size", 128, "bytes of a message")
	flag.BoolVar(&o.measure, "measure", true, "false: only say what each tool does")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "others:", err)
		stop()
		os.Exit(1)
	}
}

func (o options) check() error {
	var all []error
	if o.measure && o.gannet == "" {
		all = append(all, errors.New("-gannet is missing: build it with go build -o PATH ../../cmd/gannet"))
	}
	if o.connections < 1 || o.held < 1 || o.held > 20_000 || o.connections > 20_000 || o.seconds < 3 || o.size < 1 {
		all = append(all, errors.New("-connections and -held are 1 to 20000, -seconds at least 3, -size at least 1"))
	}
	if o.measure && runtime.NumCPU() < 2 {
		all = append(all, errors.New("two cores are needed: one for the server, one for the tool"))
	}
	return errors.Join(all...)
}

func run(ctx context.Context, o options) error {
	if err := o.check(); err != nil {
		return err
	}
	gannet, err := filepath.Abs(o.gannet)
	if err != nil {
		return err
	}
	root, err := rig.Root(ctx)
	if err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "others")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	var rows []row
	ports := rig.NewPorts()
	for _, t := range tools(gannet) {
		r := row{tool: t, got: map[mode]figures{}}
		if o.measure && o.wants(t) {
			if err := r.measure(ctx, o, gannet, filepath.Join(root, "bench/load/others/scripts"), work, ports); err != nil {
				return err
			}
		} else {
			r.missing = "not measured"
		}
		rows = append(rows, r)
	}
	conditions := fmt.Sprintf("%d connections, %d bytes, the next message when the last one came back (websocat: as fast as it goes); then %d connections (websocat 200) opened and held. %d seconds each, the server on one core, the tool on another. %s.",
		o.connections, o.size, o.held, o.seconds, rig.Describe(ctx, root, "go run ./others", os.Args[1:]))
	text := document(rows, o.measure, conditions)
	fmt.Print(text)
	if o.docs == "" {
		return nil
	}
	return writeDocument(o.docs, text)
}

func (o options) wants(t tool) bool {
	return o.only == "" || slices.ContainsFunc(strings.Split(o.only, ","), func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), t.Name) })
}

// aloneSeconds is how long a tool holds one connection, to know what it weighs without those that count.
const aloneSeconds = 5

// measure does the jobs with one tool, and tells how it goes. An error is of this program, not of the tool.
func (r *row) measure(ctx context.Context, o options, gannet, scripts, work string, ports *rig.Ports) error {
	program, err := r.find(o.tools)
	if err != nil {
		r.missing = err.Error()
		fmt.Fprintf(os.Stderr, "%s: %s\n", r.Name, r.missing)
		return nil
	}
	var alone figures
	for _, j := range []job{
		{Mode: messages, Connections: min(o.connections, r.most), Seconds: o.seconds},
		{Mode: connections, Connections: 1, Seconds: min(o.seconds, aloneSeconds)},
		{Mode: connections, Connections: min(o.held, r.most), Seconds: o.seconds},
	} {
		j.Size = o.size
		if j.Port, err = ports.Take(); err != nil {
			return err
		}
		if j.Spare, err = ports.Take(); err != nil {
			return err
		}
		if j.Work, err = os.MkdirTemp(work, "job"); err != nil {
			return err
		}
		f := measure(ctx, gannet, r.argv(program, scripts, j), j)
		switch {
		case j.Mode == connections && j.Connections == 1:
			alone = f
		case j.Mode == connections && f.Open > 1:
			f.EachKiB = float64(f.rssKiB-alone.rssKiB) / float64(f.Open-1)
		}
		r.got[j.Mode] = f
		fmt.Fprintf(os.Stderr, "%s, %d connections, %s: %+v\n", r.Name, j.Connections, j.Mode, f)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
	return nil
}
