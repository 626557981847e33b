package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// calmTime is how long established connections are watched before the storm.
const calmTime = 3 * time.Second

// stormed is what storm prints.
type stormed struct {
	Whole       int           // handshakes
	Lasted      time.Duration // from the word to the last of them
	Calm, Storm latencies
}

// storm watches established connections, first alone and then beside as many handshakes at once. Who shakes hands does so on the
// server's core: the probes have theirs for themselves, so that what they see is the server's doing.
func storm(ctx context.Context, args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("storm", flag.ContinueOnError)
	addr := flags.String("addr", "", "the server's address")
	count := flags.Int("handshakes", 2000, "handshakes at once")
	core := flags.Int("core", 0, "core that shakes hands")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var all []*probe
	for range probes {
		p, err := dialProbe(*addr)
		if err != nil {
			return err
		}
		defer p.conn.Close()
		all = append(all, p)
	}
	crowd, err := gather(ctx, *core, *addr, *count)
	if err != nil {
		return err
	}
	var f stormed
	var calm, word, last time.Time
	took, err := watched(all, func() error {
		calm = time.Now().Add(probeEvery)
		time.Sleep(calmTime)
		word = time.Now()
		f.Whole, err = crowd()
		last = time.Now()
		return err
	})
	if err != nil {
		return err
	}
	f.Lasted, f.Calm, f.Storm = last.Sub(word), latenciesOf(took, calm, word), latenciesOf(took, word, last)
	return json.NewEncoder(stdout).Encode(f)
}

// gather has a process of its own connect as many clients, and answers what gives the word to it and waits for the last.
func gather(ctx context.Context, core int, addr string, count int) (word func() (whole int, err error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	argv := rig.Pinned(core, []string{self, "burst", "-addr", addr, "-handshakes", strconv.Itoa(count)})
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewReader(stdout)
	if _, err := lines.ReadString('\n'); err != nil {
		return nil, fmt.Errorf("who should shake hands did not connect: %w", err)
	}
	return func() (int, error) {
		if err := stdin.Close(); err != nil {
			return 0, err
		}
		line, err := lines.ReadString('\n')
		if err != nil {
			return 0, err
		}
		whole, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return 0, err
		}
		return whole, cmd.Wait()
	}, nil
}

// burst connects, says so, and shakes all hands at once when standard input ends.
func burst(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("burst", flag.ContinueOnError)
	addr := flags.String("addr", "", "the server's address")
	count := flags.Int("handshakes", 2000, "handshakes at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	transports, err := connect(*addr, *count)
	if err != nil {
		return err
	}
	fmt.Fprintln(stdout, "connected")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	var whole atomic.Int64
	var all sync.WaitGroup
	for _, transport := range transports {
		all.Go(func() {
			_ = transport.SetDeadline(time.Now().Add(patience))
			if tls.Client(transport, &tls.Config{InsecureSkipVerify: true}).Handshake() == nil {
				whole.Add(1)
			}
		})
	}
	all.Wait()
	_, err = fmt.Fprintln(stdout, whole.Load())
	return err
}

// connect opens as many connections, over which nothing is said yet. They end with the process.
func connect(addr string, count int) ([]net.Conn, error) {
	transports := make([]net.Conn, 0, count)
	for range count {
		transport, err := net.DialTimeout("tcp", addr, patience)
		if err != nil {
			return transports, err
		}
		transports = append(transports, transport)
	}
	return transports, nil
}

// newcomers are the clients that come, one after the other, while others say nothing.
const newcomers = 9

// silence is what silent prints.
type silence struct{ Slowest time.Duration }

// silent connects peers that say nothing, and then has new clients open.
func silent(args []string, stdout io.Writer) error {
	flags := flag.NewFlagSet("silent", flag.ContinueOnError)
	addr := flags.String("addr", "", "the server's address")
	peers := flags.Int("peers", 1000, "peers that say nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	mute, err := connect(*addr, *peers)
	if err != nil {
		return err
	}
	var f silence
	for range newcomers {
		began := time.Now()
		conn, err := open(*addr)
		if err != nil {
			return err
		}
		defer conn.Close()
		f.Slowest = max(f.Slowest, time.Since(began))
	}
	for _, m := range mute {
		m.Close()
	}
	return json.NewEncoder(stdout).Encode(f)
}
