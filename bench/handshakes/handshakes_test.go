package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// TestMain makes the test binary what a run starts this program as.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && parts[os.Args[1]] != nil {
		status, err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// small measures little, on whatever core there is.
func small(t *testing.T, args ...string) *bencher {
	t.Helper()
	o, err := parseOptions(append([]string{"-rounds", "1", "-time", "100ms", "-storm", "20", "-silent", "20"}, args...), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	o.serverCore, o.loadCore = 0, 0
	b := &bencher{options: o, ports: rig.NewPorts(), self: os.Args[0]}
	if b.cert, b.key, err = rig.WriteCertificate(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	return b
}

// TestCells: each cell measures something; what it says of a bar on this machine is not asked.
func TestCells(t *testing.T) {
	b := small(t)
	if _, err := rig.Output(t.Context(), rig.Pinned(0, []string{"true"})...); err != nil {
		t.Skip("needs taskset: ", err)
	}
	var out bytes.Buffer
	for _, cell := range []string{cellFull, cellResumed} {
		if _, err := b.rate(t.Context(), cell, &out, io.Discard); err != nil {
			t.Errorf("%s: %v", cell, err)
		}
	}
	for _, cell := range []string{cellStorm, cellSilent} {
		if _, err := b.crowd(t.Context(), cell, &out); err != nil {
			t.Errorf("%s: %v", cell, err)
		}
	}
	for _, line := range []string{
		"### Handshakes, full", "### Handshakes, resumed", "| net/http |", "fewer than 9 rounds", "### 20 handshakes at once\n\n20 of them were whole", "| meanwhile |",
		"### 20 peers that connect and say nothing",
	} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("the report lacks %q:\n%s", line, out.String())
		}
	}
}

func TestLatenciesOf(t *testing.T) {
	start := time.Unix(1000, 0)
	var took []timed
	for i := range 300 {
		took = append(took, timed{start.Add(time.Duration(i) * time.Second), time.Duration(i%101) * time.Millisecond})
	}
	got := latenciesOf(took, start.Add(101*time.Second), start.Add(202*time.Second))
	if want := (latencies{101, 50 * time.Millisecond, 99 * time.Millisecond, 100 * time.Millisecond}); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := latenciesOf(took, start.Add(time.Hour), start.Add(2*time.Hour)); got != (latencies{}) {
		t.Errorf("of nothing: %v", got)
	}
}

func TestOptionsAreRefused(t *testing.T) {
	for _, line := range []string{"-cells none", "-rounds 0", "-workers 0", "-storm 0", "-silent -1", "-time 1ms", "-server-core 1", "stray"} {
		if _, err := parseOptions(strings.Fields(line), io.Discard); err == nil {
			t.Errorf("%q was accepted", line)
		}
	}
}
