package engine

import (
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// TestConnsDuringChurn looks at all connections while they come and go.
func TestConnsDuringChurn(t *testing.T) {
	for _, name := range []string{"tcp", "bridged tcp"} {
		t.Run(name, func(t *testing.T) {
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 3})
			const stay = 20
			for range stay {
				w.visit(t)
			}
			var busy sync.WaitGroup
			for range 4 {
				busy.Go(func() {
					for range 40 {
						nc, err := w.knock()
						if err != nil {
							t.Error(err)
							return
						}
						welcome(t, nc, ws.Dialer{})
						_ = nc.Close()
					}
				})
			}
			var ended atomic.Bool
			go func() { busy.Wait(); ended.Store(true) }()
			for !ended.Load() {
				seen := map[*Conn]bool{}
				for c := range w.Conns() {
					if seen[c] {
						t.Fatal("a connection is seen twice")
					}
					seen[c] = true
				}
				if len(seen) < stay {
					t.Fatalf("%d of the %d that stay", len(seen), stay)
				}
			}
			count := func() (n int) {
				for range w.Conns() {
					n++
				}
				return n
			}
			within(t, timeoutOf(5), "only those that stay are left", func() bool { return count() == stay })
			for range w.Conns() {
				break
			}
		})
	}
}

// TestSpread: every way in spreads connections over the loops, and each connection's
// callbacks stay on one.
func TestSpread(t *testing.T) {
	const loops, conns = 4, 80
	group := door{name: "an address shared by the loops", listen: nil}
	for _, d := range append([]door{group}, doors[:4]...) {
		t.Run(d.name, func(t *testing.T) {
			var mu sync.Mutex
			goroutines := map[*Conn]uint64{}
			here := func(c *Conn) {
				mu.Lock()
				defer mu.Unlock()
				id := goroutineID()
				if was, ok := goroutines[c]; ok && was != id {
					t.Errorf("a callback on goroutine %d after one on %d", id, was)
				}
				goroutines[c] = id
			}
			h := Funcs{Open: here, Message: func(c *Conn, m Message) { here(c); _ = c.Send(m.Op, m.Data) }, Close: func(c *Conn, _ CloseEvent) { here(c) }}
			w := d.buildOrListen(t, h, Options{Loops: loops})
			var all sync.WaitGroup
			for range conns {
				nc := w.call(t)
				all.Go(func() {
					g := welcome(t, nc, ws.Dialer{})
					for range 5 {
						g.say(t, ws.OpText, []byte("hello"))
						g.hear(t, ws.OpText, []byte("hello"))
					}
				})
			}
			all.Wait()
			per := map[*loop]int{}
			for c := range w.Conns() {
				per[c.loop]++
			}
			var counts []int
			for _, n := range per {
				counts = append(counts, n)
			}
			slices.Sort(counts)
			t.Log(counts)
			// The kernel spreads a shared address by hash: five standard deviations. Elsewhere
			// the least loaded loop gets the next.
			least, most := conns/loops-2, conns/loops+2
			if d.listen == nil {
				least, most = 2, 40
			}
			if len(counts) != loops || counts[0] < least || counts[loops-1] > most {
				t.Errorf("%d connections on %d loops: %v", conns, loops, counts)
			}
		})
	}
}

// buildOrListen is build; without a listener the server listens itself.
func (d door) buildOrListen(t testing.TB, h Handler, o Options) *house {
	t.Helper()
	if d.listen != nil {
		return d.build(t, h, o)
	}
	w := &house{Server: bare(t, h, o, false), door: d, serve: make(chan error, 1)}
	go func() { w.serve <- w.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "Addr", func() bool { return w.Addr() != nil })
	w.knock = func() (net.Conn, error) { return net.Dial("tcp", w.Addr().String()) }
	t.Cleanup(func() {
		_ = w.Close()
		if err := <-w.serve; err != ErrServerClosed {
			t.Error(err)
		}
	})
	return w
}
