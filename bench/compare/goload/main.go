// Command goload is the load of bench/compare's cells that wsblast has no mode for: one that says something to many, and
// clients that come and go.
//
//	goload broadcast ADDRESS RECEIVERS PAYLOAD SECONDS PID   one message at a time, until it has come to all
//	goload connect ADDRESS AT_ONCE - SECONDS PID             connections that are opened and closed, so many at a time
//
// PID is the server's, whose CPU time is read from /proc. It prints one line in wsblast's words: a message is one that has
// come to one receiver, or one opening handshake, and times are from a message's sending to its last receiver, or from
// connecting to the end of the handshake. A fifth of the time is warm-up and left out.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// order is what the command line asks for.
type order struct {
	kind    string
	addr    string
	count   int // receivers, or connections at once
	payload int
	time    time.Duration
	pid     int
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "goload:", err)
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	line, err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "goload:", err)
		os.Exit(1)
	}
	fmt.Println(line)
}

func parse(args []string) (o order, err error) {
	if len(args) != 6 {
		return o, fmt.Errorf("%d arguments: want KIND ADDRESS COUNT PAYLOAD SECONDS PID", len(args))
	}
	o.kind, o.addr = args[0], args[1]
	if o.kind != "broadcast" && o.kind != "connect" {
		return o, fmt.Errorf("%q: want broadcast or connect", o.kind)
	}
	if o.count, err = strconv.Atoi(args[2]); err != nil || o.count < 1 {
		return o, fmt.Errorf("%q is no number of connections", args[2])
	}
	if o.kind == "broadcast" {
		if o.payload, err = strconv.Atoi(args[3]); err != nil || o.payload < 0 || o.payload > 1<<16-1 {
			return o, fmt.Errorf("%q is no payload: want 0 to 65,535 bytes", args[3])
		}
	}
	seconds, err := strconv.ParseFloat(args[4], 64)
	if err != nil || !(seconds > 0) || seconds > 3600 {
		return o, fmt.Errorf("%q is no time: want seconds up to an hour", args[4])
	}
	o.time = time.Duration(seconds * float64(time.Second))
	if o.pid, err = strconv.Atoi(args[5]); err != nil || o.pid < 1 {
		return o, fmt.Errorf("%q is no process id", args[5])
	}
	return o, nil
}

func run(ctx context.Context, o order) (string, error) {
	if o.kind == "connect" {
		return connect(ctx, o)
	}
	return broadcast(ctx, o)
}

// stretch is the measured time, and what the server and the load had run when it began.
type stretch struct {
	from         time.Time
	server, load time.Duration
	pid          int
}

func begin(pid int) stretch {
	return stretch{time.Now(), rig.CPUTime(pid), rig.CPUTime(os.Getpid()), pid}
}

// line ends the stretch. messages is what happened in it, each of took the time that one took.
func (s stretch) line(messages int, took []time.Duration, idleKiB int64) (string, error) {
	if messages == 0 || len(took) == 0 {
		return "", fmt.Errorf("nothing happened in %v", time.Since(s.from))
	}
	elapsed := time.Since(s.from).Seconds()
	server := (rig.CPUTime(s.pid) - s.server).Seconds()
	load := (rig.CPUTime(os.Getpid()) - s.load).Seconds()
	kib, err := rig.ResidentKiB(s.pid)
	if err != nil {
		return "", fmt.Errorf("the server's memory: %w", err)
	}
	slices.Sort(took)
	at := func(share float64) float64 {
		return float64(took[int(share*float64(len(took)-1))]) / float64(time.Microsecond)
	}
	return fmt.Sprintf("msgs/s %.0f srv_cpu_us/msg %.3f srv_cpu %.0f%% cli_cpu %.0f%% p50_us %.1f p99_us %.1f p999_us %.1f rss_idle_kb %d rss_kb %d",
		float64(messages)/elapsed, server*1e6/float64(messages), 100*server/elapsed, 100*load/elapsed, at(0.5), at(0.99), at(0.999), idleKiB, kib), nil
}
