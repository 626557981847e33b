package main

import (
	"bytes"
	"encoding/json"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/engine"
)

// echo is the address of an echo server.
func echo(t *testing.T) string {
	t.Helper()
	s, err := engine.NewServer(engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}, engine.Options{Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
	return ln.Addr().String()
}

// Every library drives every cell's load.
func TestLoads(t *testing.T) {
	for _, name := range []string{"gannet", "gws", "gorilla", "coder"} {
		for _, c := range allCells {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				var out bytes.Buffer
				k := &load{library: name, addr: echo(t), conns: 3, size: c.size, depth: c.depth, length: 200 * time.Millisecond}
				if err := k.run(&out); err != nil {
					t.Fatal(err)
				}
				var f figures
				if err := json.Unmarshal(out.Bytes(), &f); err != nil || f.MsgsPerSec <= 0 || f.Procs == 0 {
					t.Errorf("%s: %v", out.Bytes(), err)
				}
			})
		}
	}
}

// A load that does not get back what it sent is no result.
func TestLoadOfOtherSizes(t *testing.T) {
	k := &load{size: 10, depth: 1, failed: make(chan error, 1)}
	n := 0
	k.cameBack(&n, 11)
	if err := k.wait(time.Hour); err == nil {
		t.Error("no error")
	}
}

func TestMany(t *testing.T) {
	var out bytes.Buffer
	if err := beginMany(echo(t), 100, &out); err != nil {
		t.Fatal(err)
	}
	var m manyFigures
	if err := json.Unmarshal(out.Bytes(), &m); err != nil || m.Conns != 100 || m.Seconds <= 0 {
		t.Errorf("%s: %v", out.Bytes(), err)
	}
}

func TestVerdicts(t *testing.T) {
	sample := func(all ...float64) (f []figures) {
		for _, v := range all {
			f = append(f, figures{CPUMicros: v})
		}
		return f
	}
	o := options{libraries: []string{"gannet", "gws", "gorilla"}}
	t1 := table{samples: map[string][]figures{"gannet": sample(7, 14), "gws": sample(10, 20), "gorilla": sample(8, 16)}}
	if s := t1.worst(o); s != (rig.Spread{Median: 0.875, Min: 0.875, Max: 0.875}) {
		t.Errorf("the ratio to the best peer is %+v", s)
	}
	r := &report{options: o, tables: []table{t1}}
	if !r.missed() {
		t.Error("0.875 of the best peer is not missed")
	}
	t1.samples["gorilla"] = sample(10, 20)
	if r.missed() {
		t.Error("0.7 of the best peer is missed")
	}
	if r.many = (&manyFigures{Heap: manyHeap + 1}); !r.missed() {
		t.Error("more heap than the bar is not missed")
	}
}

func TestOptions(t *testing.T) {
	for _, line := range []string{"-cells 129", "-libraries gannet,x", "-rounds 0", "-time 1ms", "-server-core 1", "rest"} {
		if _, err := parseOptions(strings.Fields(line), &bytes.Buffer{}); err == nil {
			t.Errorf("%q is accepted", line)
		}
	}
	o, err := parseOptions(strings.Fields("-cells 16k -libraries gannet,gws"), &bytes.Buffer{})
	if err != nil || len(o.cells) != 1 || o.many != 0 || len(o.libraries) != 2 {
		t.Errorf("%+v, %v", o, err)
	}
}
