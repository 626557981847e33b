package engine

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/pool"
)

// Masking (RFC 6455 5.3): a client's frames are masked, each with a key of its own, and what the caller has given is only read.

// wayOut is one of the ways in which a message is sent.
type wayOut struct {
	name string
	send func(*Client, *Conn, []byte) error
}

func waysOut() []wayOut {
	return []wayOut{
		{"Send", func(_ *Client, c *Conn, p []byte) error { return c.Send(OpText, p) }},
		{"SendBinary", func(_ *Client, c *Conn, p []byte) error { return c.SendBinary(p) }},
		{"SendText", func(_ *Client, c *Conn, p []byte) error { return c.SendText(string(p)) }},
		{"NoCompress", func(_ *Client, c *Conn, p []byte) error { return c.Send(OpBinary, p, NoCompress) }},
		{"NewWriter", func(_ *Client, c *Conn, p []byte) error {
			w := c.NewWriter(OpBinary)
			for n := 0; n < len(p); n += len(p)/3 + 1 {
				if _, err := w.Write(p[n:min(n+len(p)/3+1, len(p))]); err != nil {
					return err
				}
			}
			return w.Close()
		}},
		{"behind a writer", func(_ *Client, c *Conn, p []byte) error {
			w := c.NewWriter(OpBinary)
			if _, err := w.Write([]byte("first")); err != nil {
				return err
			}
			if err := c.SendBinary(p); err != nil {
				return err
			}
			return w.Close()
		}},
	}
}

// TestMaskingOnlyReads: a payload that is being sent may be read by others, the whole time, and is what it was. The race detector
// tells of every write; without it a reader compares.
func TestMaskingOnlyReads(t *testing.T) {
	inEveryClient(t, func(t *testing.T, s *Server, o ClientOptions) {
		var got atomic.Int64
		c := newClient(t, Funcs{Message: func(*Conn, Message) { got.Add(1) }}, o)
		conn := dialed(t, c, "ws://"+s.Addr().String()+"/", DialOptions{})
		sent := int64(0)
		for _, n := range []int{3, 126, 5000, 30_000, 300_000} {
			p := bytes.Repeat([]byte("abcdefg"), n/7+1)[:n]
			b := pool.Get(n)
			b.B = append(b.B, p...)
			whole := prepared(t, OpBinary, p)
			watch(t, [][]byte{p, b.B, whole.made.Payload()}, func() {
				for _, w := range waysOut() {
					if err := w.send(c, conn, p); err != nil {
						t.Errorf("%s of %d bytes: %v", w.name, n, err)
					}
					sent++
				}
				sent++ // behind a writer there are two
				b.Retain()
				if err := conn.SendOwned(OpBinary, b); err != nil {
					t.Error(err)
				}
				if err := conn.SendPrepared(whole); err != nil {
					t.Error(err)
				}
				c.Broadcast(whole, nil)
				sent += 3
				within(t, timeoutOf(10), "the echoes", func() bool { return got.Load() == sent })
			})
			b.Release()
		}
	})
}

// watch reads slices all the while f runs, and compares them with what they were.
func watch(t *testing.T, all [][]byte, f func()) {
	t.Helper()
	stop := make(chan struct{})
	var watching sync.WaitGroup
	for i, p := range all {
		want := bytes.Clone(p)
		watching.Go(func() {
			for {
				if !bytes.Equal(p, want) {
					t.Errorf("what was sent (%d) is changed", i)
					return
				}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	f()
	close(stop)
	watching.Wait()
}

// inEveryClient runs a test against an echo server, on a client's loop and on workers, over a socket and a bridge, with deflate and
// without.
func inEveryClient(t *testing.T, f func(*testing.T, *Server, ClientOptions)) {
	for _, bridge := range []bool{false, true} {
		for _, workers := range []int{0, 2} {
			for _, deflates := range []bool{false, true} {
				t.Run(fmt.Sprintf("bridge %t, workers %d, deflate %t", bridge, workers, deflates), func(t *testing.T) {
					o, so := ClientOptions{Workers: workers}, Options{}
					if bridge {
						o.DialContext = new(net.Dialer).DialContext
					}
					if deflates {
						o.Deflate, so.Deflate = deflateOn(), deflateOn()
					}
					f(t, startServer(t, echoHandler, so), o)
				})
			}
		}
	}
}

// dialed is a connection that is OPEN.
func dialed(t *testing.T, c *Client, url string, o DialOptions) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(5))
	defer cancel()
	conn, err := c.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// maskedAs is a frame as a server has got it.
type maskedAs struct {
	ws.Header
	payload string // unmasked
}

// recorder is a server that keeps the frames of all its connections. It pings each of them first.
func recorder(t *testing.T, frames chan<- maskedAs) (url string) {
	return scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		_, _ = io.WriteString(nc, switching(req)+"\x89\x04ping")
		for {
			h, err := ws.ReadHeader(r)
			if err != nil {
				return
			}
			p := make([]byte, h.Length)
			if _, err := io.ReadFull(r, p); err != nil {
				return
			}
			ws.Cipher(p, h.Mask, 0)
			frames <- maskedAs{h, string(p)}
		}
	})
}

// TestKeyForEachFrame: no two frames have one key, whoever they are for and however they were sent: messages, fragments, a prepared
// message to several connections of several clients, control frames.
func TestKeyForEachFrame(t *testing.T) {
	const clients, conns, rounds = 2, 3, 10
	frames := make(chan maskedAs, 10_000)
	url := recorder(t, frames)
	whole := prepared(t, OpBinary, []byte(strings.Repeat("prepared", 100)))
	wanted := 0
	var came []maskedAs
	for range clients {
		c := newClient(t, Funcs{}, ClientOptions{})
		var all []*Conn
		for range conns {
			all = append(all, dialed(t, c, url, DialOptions{}))
			wanted++ // the pong
		}
		for range rounds {
			c.Broadcast(whole, nil)
			wanted += conns
			for _, conn := range all {
				for _, err := range []error{conn.SendText("text"), conn.SendPrepared(whole), conn.Ping([]byte("x"))} {
					if err != nil {
						t.Fatal(err)
					}
				}
				wanted += 3
			}
		}
		for pongs := 0; pongs < conns; { // a ping that is read behind our Close frame has no answer
			f := receive(t, frames, "a pong")
			if came = append(came, f); f.OpCode == ws.OpPong {
				pongs++
			}
		}
		for _, conn := range all {
			fragmentsAndClose(t, conn)
			wanted++ // the Close frame; the fragments are counted below
		}
	}
	keys, seen, closes := map[[4]byte]int{}, map[string]int{}, 0
	for closes < clients*conns {
		var f maskedAs
		if len(came) > 0 {
			f, came = came[0], came[1:]
		} else {
			f = receive(t, frames, "a frame")
		}
		if !f.Masked || f.Mask == [4]byte{} {
			t.Errorf("a frame of %v is not masked", f.OpCode)
		}
		if keys[f.Mask]++; keys[f.Mask] > 1 {
			t.Errorf("the key %x came %d times", f.Mask, keys[f.Mask])
		}
		if f.OpCode == ws.OpClose {
			closes++
		} else {
			seen[f.payload]++
		}
	}
	if n := seen[string(whole.made.Payload())]; n != 2*clients*conns*rounds {
		t.Errorf("%d prepared messages came", n)
	}
	if n := seen["ping"]; n != clients*conns {
		t.Errorf("%d pongs came", n)
	}
	if len(keys) < wanted {
		t.Errorf("%d keys for at least %d frames", len(keys), wanted)
	}
}

// fragmentsAndClose sends a message in fragments, and a Close frame behind it.
func fragmentsAndClose(t *testing.T, c *Conn) {
	w := c.NewWriter(OpText)
	for range 3 {
		if _, err := w.Write([]byte("part")); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
