package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/engine"
)

// manyFigures are what very many connections took, which one client began at once.
type manyFigures struct {
	Wanted     int     `json:"wanted"`
	Conns      int     `json:"conns"`           // as many as the process has descriptors for
	Begun      float64 `json:"begun_s"`         // until the last Start had returned
	Seconds    float64 `json:"open_s"`          // until all were OPEN
	CPUMicros  float64 `json:"cpu_us_per_dial"` // of the client
	Mallocs    float64 `json:"mallocs_per_dial"`
	Heap       float64 `json:"heap_bytes_per_conn"`
	RSS        float64 `json:"rss_bytes_per_conn"`
	Goroutines int     `json:"goroutines_more"` // than before, when they were OPEN
}

const (
	manyHeap    = 256 // bytes: the bar of an idle connection
	manyDials   = 12  // mallocs: the bar of a dial
	spareFiles  = 200 // descriptors for everything else
	manyTimeout = 5 * time.Minute
)

func (m *manyFigures) missed() bool {
	return m.Heap > manyHeap || m.Mallocs > manyDials || m.Goroutines > 0
}

func (m *manyFigures) markdown(w io.Writer) {
	fmt.Fprintf(w, "\n### %d connections begun at once\n\n", m.Conns)
	if m.Conns < m.Wanted {
		fmt.Fprintf(w, "**Not %d: the process has no more descriptors (ulimit -n).**\n\n", m.Wanted)
	}
	fmt.Fprintf(w, "All OPEN after %.2f s (begun within %.2f s): %.0f dials a second, %.1f us of the client's CPU and %.1f mallocs each (at most %d). Idle, each is %.0f bytes of heap (at most %d) "+
		"and %.0f of RSS; %d goroutines more: %s.\n", m.Seconds, m.Begun, float64(m.Conns)/m.Seconds, m.CPUMicros, m.Mallocs, manyDials, m.Heap, manyHeap, m.RSS, m.Goroutines, verdict(m.missed()))
}

// beginMany begins n connections at once, and prints what that took. A tenth of them is OPEN before: what a client needs anyway is not theirs.
func beginMany(addr string, n int, out io.Writer) error {
	m := manyFigures{Wanted: n, Conns: n}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return err
	}
	if most := int(files.Cur) - spareFiles; n+n/10 > most {
		m.Conns = most - most/11
	}
	failed := make(chan error, 1)
	client, err := engine.NewClient(engine.Funcs{Error: func(_ *engine.Conn, err error) {
		select {
		case failed <- err:
		default: // somebody was first
		}
	}}, engine.ClientOptions{Loops: 1, ConnectTimeout: manyTimeout, HandshakeTimeout: manyTimeout, LocalAddrs: []netip.Addr{netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3")}})
	if err != nil {
		return err
	}
	begin := func(n int) (begun time.Duration, err error) {
		start, want := time.Now(), client.Stats().Open+int64(n)
		for range n {
			if _, err := client.Start("ws://"+addr+"/", engine.DialOptions{}); err != nil {
				return 0, err
			}
		}
		for begun = time.Since(start); client.Stats().Open < want; {
			select {
			case err := <-failed:
				return 0, err
			case <-time.After(time.Millisecond):
			}
			if time.Since(start) > manyTimeout {
				return 0, errors.New("not all are OPEN in time")
			}
		}
		return begun, nil
	}
	if _, err := begin(m.Conns / 10); err != nil {
		return err
	}
	var k load
	heap, rss, goroutines, before := heapInUse(), residentBytes(), runtime.NumGoroutine(), k.count()
	begun, err := begin(m.Conns)
	if err != nil {
		return err
	}
	after := k.count()
	each := float64(m.Conns)
	m.Begun, m.Seconds = begun.Seconds(), after.at.Sub(before.at).Seconds()
	m.CPUMicros = (after.user + after.system - before.user - before.system).Seconds() * 1e6 / each
	m.Mallocs = float64(after.mallocs-before.mallocs) / each
	m.Goroutines = runtime.NumGoroutine() - goroutines
	m.Heap = (heapInUse() - heap) / each
	m.RSS = (residentBytes() - rss) / each
	return json.NewEncoder(out).Encode(m)
}

// heapInUse is what is reachable, in bytes.
func heapInUse() float64 {
	for range 3 {
		runtime.GC()
	}
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

func residentBytes() float64 {
	kib, err := rig.ResidentKiB(os.Getpid())
	if err != nil {
		return 0 // no Linux
	}
	return float64(kib) * 1024
}
