package reconnect

import (
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// TestHerd: the clients of a server that restarts come back one after the other, over the whole of the first delay.
func TestHerd(t *testing.T) {
	const clients, bins = 500, 10
	const first = 2 * time.Second
	s := newShore(t, nil)
	client := newClient(t, engine.ClientOptions{})
	var mu sync.Mutex
	var delays []time.Duration
	var back sync.WaitGroup
	h := Funcs{
		Open: func(_ *Conn, _ *engine.Conn, times int) {
			if times == 2 {
				back.Done()
			}
		},
		Lost: func(_ *Conn, l Loss) {
			mu.Lock()
			defer mu.Unlock()
			if l.WasOpen {
				delays = append(delays, l.Delay)
			}
		},
	}
	back.Add(clients)
	for range clients {
		beginWith(t, client, s.ws(), h, Options{FirstDelay: first}, &systemClock)
	}
	for range clients {
		s.conn(t)
	}
	addr := s.Listener.Addr().String()
	_ = s.engine.Close()
	s.Server.Close()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	again := newShore(t, nil)
	web := &http.Server{Handler: again.engine}
	go func() { _ = web.Serve(ln) }()
	defer web.Close()
	all := make(chan struct{})
	go func() { back.Wait(); close(all) }()
	receive(t, all, "every client")
	var count [bins]int
	for _, d := range delays {
		count[min(int(d*bins/first), bins-1)]++
	}
	for i, n := range count {
		if n < clients/bins/3 || n > clients/bins*2 { // five times its standard deviation
			t.Errorf("%d of %d clients come back in tenth %d of the first delay: %v", n, len(delays), i, count)
		}
	}
}

// TestWaitingIsCheap: a connection that waits for its next attempt has no goroutine, and no more memory than a few kilobytes.
func TestWaitingIsCheap(t *testing.T) {
	const conns, bytesEach = 2000, 3 << 10
	url, client := nowhere(t), newClient(t, engine.ClientOptions{Loops: 1})
	var waiting atomic.Int64
	h := Funcs{Lost: func(*Conn, Loss) { waiting.Add(1) }}
	begin := func() *Conn {
		c, err := Start(t.Context(), client, url, h, Options{FirstDelay: longest}) // hardly anybody draws a short one
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	_ = begin() // what the loop needs itself
	within(t, "the first one's end", func() bool { return client.Stats().Connecting == 0 })
	var before, after runtime.MemStats
	routines := runtime.NumGoroutine()
	runtime.GC()
	runtime.ReadMemStats(&before)
	kept := make([]*Conn, conns)
	for i := range kept {
		kept[i] = begin()
	}
	within(t, "every OnLost", func() bool { return waiting.Load() > conns })
	within(t, "the last one's end", func() bool { return client.Stats().Connecting == 0 })
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&after)
	each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / conns
	t.Logf("%d bytes each", each)
	if each > bytesEach {
		t.Errorf("%d bytes for each connection that waits, want %d at most", each, bytesEach)
	}
	within(t, "no goroutine each", func() bool { return runtime.NumGoroutine() < routines+50 })
	runtime.KeepAlive(kept)
}
