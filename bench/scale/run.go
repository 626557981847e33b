package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// task is one run of a generator against a server.
type task struct {
	Crowd       crowd
	Broadcast   bool    // one connection sends and all receive, instead of echoes
	ConnectRate float64 // connections a second
	Rate        float64 // messages a second, of all together
	Duration    time.Duration
	Size        int // bytes a message
}

// outcome is what came of a task.
type outcome struct {
	Samples []sample // the first one before any connection
	Result  result
}

// result is what gannet load --json writes, as far as it is read here.
type result struct {
	Rate        float64 `json:"rate"`
	RateAsked   float64 `json:"rateAsked"`
	Connections struct {
		Asked  int64 `json:"asked"`
		Open   int64 `json:"open"`
		Failed int64 `json:"failed"`
		Lost   int64 `json:"lost"`
	} `json:"connections"`
	Latency     distribution `json:"latency"`
	ConnectTime distribution `json:"connectTime"`
	Errors      []struct {
		Class string `json:"class"`
		What  string `json:"what"`
		Count int64  `json:"count"`
	} `json:"errors"`
	Warnings []string `json:"warnings"`
	Ended    string   `json:"ended"`
}

// distribution of times, in milliseconds.
type distribution struct {
	Count int64   `json:"count"`
	P50   float64 `json:"p50"`
	P99   float64 `json:"p99"`
	P999  float64 `json:"p999"`
	Max   float64 `json:"max"`
}

// runner runs tasks with a program.
type runner struct {
	gannet   string // its path
	dir      string // for files of a run
	ports    *rig.Ports
	progress io.Writer
}

// A run is looked at often at first, because few connections are open at once, and seldom when all are: /stats costs the server's processes
// some milliseconds of the CPU time that is measured.
const (
	firstPeriod    = 50 * time.Millisecond
	firstSamples   = 40
	connectPeriod  = 250 * time.Millisecond
	messagePeriod  = 2 * time.Second
	messageSamples = 10 // at least
)

// period is the time from a sample to the next one, after so many.
func (t task) period(samples int, last sample) time.Duration {
	switch {
	case last.Open >= int64(t.Crowd.Connections):
		return min(messagePeriod, t.Duration/messageSamples)
	case samples < firstSamples:
		return firstPeriod
	}
	return connectPeriod
}

func (r *runner) run(ctx context.Context, t task) (outcome, error) {
	port, err := r.ports.Take()
	if err != nil {
		return outcome{}, err
	}
	addr := rig.LocalAddr(port)
	mode := "echo"
	if t.Broadcast {
		mode = "broadcast"
	}
	server, err := rig.Start(ctx, []string{r.gannet, "serve", "--addr", addr, "--procs", strconv.Itoa(t.Crowd.Processes), "--mode", mode, "--log", "error"}, port)
	if err != nil {
		return outcome{}, err
	}
	defer server.Stop()
	o, err := observe(ctx, addr, server.PID())
	if err != nil {
		return outcome{}, server.WhyEnded(err)
	}
	before, err := o.take(ctx, 0)
	if err != nil {
		return outcome{}, server.WhyEnded(err)
	}
	all, err := r.generate(ctx, t, addr, o)
	all.Samples = append([]sample{before}, all.Samples...)
	if err != nil {
		return all, server.WhyEnded(err)
	}
	return all, nil
}

// generate runs gannet load and takes samples until it ends.
func (r *runner) generate(ctx context.Context, t task, addr string, o *observer) (all outcome, err error) {
	file := filepath.Join(r.dir, "load.json")
	cmd := exec.CommandContext(ctx, r.gannet, t.arguments(addr, file)...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		return all, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	p := progress{to: r.progress, task: t}
	next := time.NewTimer(firstPeriod)
	defer next.Stop()
	for {
		select {
		case how := <-ended:
			return all, all.Result.read(ctx, file, how, said.String())
		case <-next.C:
		}
		s, err := o.take(ctx, cmd.Process.Pid)
		if err == nil { // a server that ended ends the generator; one that is busy answers the next time
			all.Samples = append(all.Samples, s)
			p.show(s)
		}
		next.Reset(t.period(len(all.Samples), s))
	}
}

// read reads what a generator has left. One that failed may have left its figures all the same: then they count, with how it ended among the warnings.
func (r *result) read(ctx context.Context, file string, how error, said string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	missing := readJSON(file, r)
	switch {
	case missing == nil && how == nil:
		return nil
	case missing == nil:
		r.Warnings = append(r.Warnings, fmt.Sprintf("gannet load ended with %v: %s", how, lastLine(said)))
		return nil
	case how != nil:
		return fmt.Errorf("gannet load: %w\n%s", how, strings.TrimSpace(said))
	}
	return missing
}

func lastLine(said string) string {
	said = strings.TrimSpace(said)
	return said[strings.LastIndexByte(said, '\n')+1:]
}

func (t task) arguments(addr, file string) []string {
	float := func(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
	args := []string{
		"load", "ws://" + addr + "/", "--connections", strconv.Itoa(t.Crowd.Connections), "--connect-rate", float(t.ConnectRate),
		"--rate", float(t.Rate), "--duration", t.Duration.String(), "--size", strconv.Itoa(t.Size),
		"--source", t.Crowd.sources(), "--procs", "auto", "--json", file, "--quiet",
	}
	if t.Broadcast {
		args = append(args, "--scenario", "fanout", "--writers", "1")
	}
	return args
}

func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	return os.Remove(file)
}
