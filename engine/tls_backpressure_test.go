package engine

import (
	"crypto/tls"
	"io"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"
)

// TestTLSLongMessageToASlowReader: 64 MiB in one message, and small ones behind it. bufferedAmount counts whole messages, never grows by itself and comes
// to exactly 0, OnHighWater and OnDrain come once each, and what arrives is what was sent.
func TestTLSLongMessageToASlowReader(t *testing.T) {
	for version, number := range tlsVersions {
		for _, workers := range []int{0, 2} {
			t.Run(map[int]string{0: "loop", 2: "workers"}[workers]+"/tls/"+version, func(t *testing.T) {
				const long, small, many = 64 << 20, 1000, 100
				var high, drained atomic.Int32
				opened := make(chan *Conn, 1)
				s := startServerTLS(t, Funcs{
					Open:      func(c *Conn) { opened <- c },
					HighWater: func(*Conn) { high.Add(1) },
					Drain:     func(*Conn) { drained.Add(1) },
				}, Options{Loops: 1, Workers: workers, Limits: Limits{MaxBufferedAmount: -1}})
				nc := dialBare(t, s)
				_ = under(nc).SetReadBuffer(64 << 10)
				config := guestTLS()
				config.MinVersion, config.MaxVersion = number, number
				g := welcome(t, tls.Client(nc, config), ws.Dialer{})
				c := receive(t, opened, "OnOpen")
				p := make([]byte, long)
				for i := range p {
					p[i] = byte(i >> 8)
				}
				if err := c.SendBinary(p); err != nil {
					t.Fatal(err)
				}
				for range many {
					if err := c.SendBinary(p[:small]); err != nil {
						t.Fatal(err)
					}
				}
				const all = long + many*small
				if n := c.BufferedAmount(); n != all {
					t.Errorf("%d bytes wait, want %d", n, all)
				}
				before := uint64(all)
				look := func(left uint64) { // left: of messages that were not wholly read yet
					n := c.BufferedAmount()
					if n > before || n > left || n != all && (n > many*small || n%small != 0) {
						t.Fatalf("%d bytes wait, %d before, %d not read", n, before, left)
					}
					before = n
				}
				h, err := ws.ReadHeader(g)
				if err != nil || h.Length != long {
					t.Fatal(h, err)
				}
				b := make([]byte, 1<<20)
				for at := 0; at < long; at += len(b) {
					look(all)
					if _, err := io.ReadFull(g, b); err != nil {
						t.Fatal(err)
					}
					if b[0] != p[at] || b[len(b)-1] != p[at+len(b)-1] || b[77_777] != p[at+77_777] {
						t.Fatal("another message at", at)
					}
				}
				for i := range many {
					look(uint64(many-i) * small)
					g.hear(t, ws.OpBinary, p[:small])
				}
				within(t, timeoutOf(5), "exactly 0, and OnDrain", func() bool { return c.BufferedAmount() == 0 && drained.Load() > 0 })
				if high.Load() != 1 || drained.Load() != 1 {
					t.Errorf("OnHighWater %d times, OnDrain %d times", high.Load(), drained.Load())
				}
			})
		}
	}
}
