//go:build !gannetdebug

// The debug build records who took each buffer: it allocates by design.

package engine

import (
	"bytes"
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
)

// A client's messages allocate nothing, either way: what it sends comes back. Client and server are one process here, so neither
// may, over TLS either, with which a message of 16 KiB is two records. Each is sent by the callback that has received the one before, or by another goroutine.
func TestMallocsClient(t *testing.T) {
	for _, k := range []struct {
		name     string
		op       Opcode
		size     int
		together int // how many are under way
		workers  int
		deflate  *deflate.Policy
		outside  bool // another goroutine sends
		tls      bool
	}{
		{name: "binary", op: OpBinary, size: 128, together: 1},
		{name: "text", op: OpText, size: 128, together: 10},
		{name: "16 KiB", op: OpBinary, size: 16 << 10, together: 1},
		{name: "256 KiB", op: OpBinary, size: 256 << 10, together: 1},
		{name: "outside", op: OpText, size: 128, together: 1, outside: true},
		{name: "outside 100 KiB", op: OpBinary, size: 100 << 10, together: 1, outside: true},
		{name: "wss", op: OpText, size: 128, together: 1, tls: true},
		{name: "wss, 16 KiB", op: OpBinary, size: 16 << 10, together: 1, tls: true},
		{name: "wss, outside", op: OpText, size: 1000, together: 1, tls: true, outside: true},
		{name: "workers", op: OpText, size: 128, together: 10, workers: 2},
		{name: "deflate", op: OpText, size: 1000, together: 1, deflate: deflateOn()},
		{name: "deflate, no takeover", op: OpBinary, size: 1000, together: 4, deflate: &deflate.Policy{Takeover: deflate.NoTakeover, PeerNoTakeover: true}},
		{name: "deflate, workers", op: OpText, size: 1000, together: 1, workers: 2, deflate: deflateOn()},
		{name: "deflate, outside", op: OpText, size: 1000, together: 1, deflate: deflateOn(), outside: true},
	} {
		t.Run(k.name, func(t *testing.T) {
			if k.size > 128 {
				once(t)
			}
			n := mallocMessages(t)
			if n > 0 { // enough that what a processor's pools take once, when a loop comes to it, weighs little
				n = max(n/(1+k.size>>11), 5_000)
			}
			if k.deflate != nil || k.workers > 0 {
				n /= 4
			}
			run := clientLoop(t, k.op, bytes.Repeat([]byte("é, "), k.size/4), k.together, k.outside, k.tls, ClientOptions{Loops: 1, Workers: k.workers, Deflate: k.deflate})
			if n == 0 {
				run(100)
				return
			}
			demandNoMallocs(t, n, func() { run(n) })
		})
	}
}

// clientLoop returns what moves so many messages to an echo server and back.
func clientLoop(t *testing.T, op Opcode, p []byte, together int, outside, overTLS bool, o ClientOptions) (run func(int)) {
	start, scheme := startServer, "ws"
	if overTLS {
		start, scheme = startServerTLS, "wss"
	}
	s := start(t, echoHandler, Options{Loops: 1, Deflate: o.Deflate})
	var left atomic.Int64
	done := make(chan error, 1)
	c := newClient(t, Funcs{
		Message: func(c *Conn, m Message) {
			var err error
			if m.Op != op || !bytes.Equal(m.Data, p) {
				err = fmt.Errorf("%d bytes of %v came back", len(m.Data), m.Op)
			}
			if n := left.Add(-1); outside || n == 0 || err != nil {
				done <- err
			} else if n >= int64(together) {
				if err := c.Send(op, p); err != nil {
					done <- err
				}
			}
		},
		Error: func(_ *Conn, err error) { done <- err },
	}, o)
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(5))
	defer cancel()
	conn, err := c.Dial(ctx, scheme+"://"+s.Addr().String()+"/", DialOptions{TLSConfig: guestTLS()})
	if err != nil {
		t.Fatal(err)
	}
	send := func(n int) {
		for range n {
			if err := conn.Send(op, p); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(n int) {
		if outside {
			for range n {
				send(1)
				if err := <-done; err != nil {
					t.Fatal(err)
				}
			}
			return
		}
		left.Store(int64(n))
		send(min(n, together))
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

// A prepared message is framed and masked for each connection by itself, and that allocates nothing either.
func TestMallocsClientBroadcast(t *testing.T) {
	const conns = mallocConns
	s := startServer(t, echoHandler, Options{Loops: 1})
	var left atomic.Int64
	done := make(chan error, 1)
	c := newClient(t, Funcs{
		Message: func(*Conn, Message) {
			if left.Add(-1) == 0 {
				done <- nil
			}
		},
		Error: func(_ *Conn, err error) { done <- err },
	}, ClientOptions{Loops: 1})
	var all []*Conn
	for range conns {
		all = append(all, dialed(t, c, "ws://"+s.Addr().String()+"/", DialOptions{}))
	}
	p := prepared(t, OpBinary, make([]byte, 128))
	n := mallocMessages(t)
	send := func() {
		for i := range max(n/conns, 2) {
			left.Store(conns)
			if i%2 == 0 {
				c.Broadcast(p, nil)
			} else {
				for _, conn := range all {
					if err := conn.SendPrepared(p); err != nil {
						t.Fatal(err)
					}
				}
			}
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
	}
	if n == 0 {
		send()
		return
	}
	demandNoMallocs(t, n, send)
}
