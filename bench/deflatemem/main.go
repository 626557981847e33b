// Command deflatemem measures what a connection costs in memory once it has compressed messages in both directions,
// with windows of several sizes, beside other Go libraries:
//
//	go run ./bench/deflatemem                                   # gannet, gws and coder at 9, 12 and 15 bits, 10 messages each
//	go run ./bench/deflatemem -servers gannet -bits 15 -messages 40
//
// It needs Linux, a hard descriptor limit above the number of connections, and for coder 1.4 MB of memory for each of
// -coder-conns. bench/README.md says how the figures are read.
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
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	switch err := run(ctx, os.Args[1:], os.Stdout, os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "deflatemem:", err)
		stop()
		os.Exit(1)
	}
}

// options are the command line, parsed and checked.
type options struct {
	servers    []server
	bits       []int
	conns      int
	coderConns int
	messages   int
	size       int
	gogc       int
	settle     time.Duration
	rest       time.Duration
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	var o options
	var servers, bits string
	flags := flag.NewFlagSet("deflatemem", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&servers, "servers", "gannet,gws,coder", "servers to measure, comma-separated")
	flags.StringVar(&bits, "bits", "9,12,15", "window bits of both directions, 8 to 15, comma-separated")
	flags.IntVar(&o.conns, "conns", 10000, "connections")
	flags.IntVar(&o.coderConns, "coder-conns", 1000, "connections to coder, which takes 1.4 MB for each")
	flags.IntVar(&o.messages, "messages", 10, "messages each way on every connection")
	flags.IntVar(&o.size, "size", 1024, "bytes of a message")
	flags.IntVar(&o.gogc, "gogc", 100, "GOGC of the servers: with less than Go's 100, less of what is measured is garbage that waits for the collector")
	flags.DurationVar(&o.settle, "settle", 3*time.Second, "time between what is done and what is read")
	flags.DurationVar(&o.rest, "rest", 75*time.Second, "how long connections are left alone before memory is read once more; 0: it is not")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if err := o.checkRanges(); err != nil {
		return o, err
	}
	return o, errors.Join(o.setBits(bits), o.setServers(servers))
}

func (o *options) checkRanges() error {
	switch {
	case o.conns < 1 || o.conns > maxConns || o.coderConns < 1 || o.coderConns > maxConns:
		return fmt.Errorf("-conns %d, -coder-conns %d: want 1 to %d", o.conns, o.coderConns, maxConns)
	case o.messages < 1 || o.messages > 9999:
		return fmt.Errorf("-messages %d: want 1 to 9999", o.messages)
	case o.size < minSize || o.size > 32<<10:
		return fmt.Errorf("-size %d: want %d to 32768", o.size, minSize)
	case o.gogc < 1:
		return fmt.Errorf("-gogc %d: want 1 or more", o.gogc)
	case o.settle < 0 || o.rest < 0:
		return errors.New("-settle and -rest: want no negative time")
	}
	return nil
}

func (o *options) setBits(list string) error {
	for text := range strings.SplitSeq(list, ",") {
		bits, err := strconv.Atoi(text)
		if err != nil || bits < 8 || bits > 15 {
			return fmt.Errorf("-bits %q: want 8 to 15", text)
		}
		o.bits = append(o.bits, bits)
	}
	return nil
}

func (o *options) setServers(list string) error {
	for name := range strings.SplitSeq(list, ",") {
		s, ok := serverNamed(name)
		if !ok {
			return fmt.Errorf("-servers %q: want gannet, gws or coder", name)
		}
		o.servers = append(o.servers, s)
	}
	return nil
}

// run measures every server at every window, prints the table, and leaves it in bin/bench.
func run(ctx context.Context, args []string, stdout, progress io.Writer) error {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	if runtime.GOOS != "linux" {
		return errors.New("needs Linux: memory is read from /proc")
	}
	tools, err := build(ctx, progress)
	if err != nil {
		return err
	}
	r := newReport(ctx, o, tools, args)
	ports := rig.NewPorts()
	for _, bits := range o.bits {
		for _, s := range o.servers {
			fmt.Fprintf(progress, "%s, %d bits, %d connections\n", s.name, bits, s.conns(o))
			result, err := measure(ctx, o, s, tools, ports, bits)
			if err != nil {
				return fmt.Errorf("%s, %d bits: %w", s.name, bits, err)
			}
			r.results = append(r.results, result)
		}
	}
	path := filepath.Join(tools.root, "bin", "bench", "deflatemem.md")
	if err := os.WriteFile(path, []byte(r.markdown()), 0o644); err != nil {
		return err
	}
	_, err = io.WriteString(stdout, r.markdown())
	return err
}
