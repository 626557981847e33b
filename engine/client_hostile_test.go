package engine

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// The client_hostile*_test.go files are the hostile_*_test.go of a client: what servers may do to it, each beside an innocent connection of
// the same client, on the same loop, which must not feel it.

// hostileClient is a client with one loop, so that whatever an attack costs its neighbours pay.
func hostileClient(t *testing.T, way string, o ClientOptions) *Client {
	t.Helper()
	o.Loops = 1
	c := newClient(t, Funcs{}, o)
	waysToTransport[way](c)
	return c
}

// besideInnocentOf runs an attack beside an innocent connection of a client; see besideInnocent.
func besideInnocentOf(t *testing.T, c *Client, attack func()) {
	t.Helper()
	besideProber(t, func() *prober { return innocentOf(t, c) }, attack)
}

// innocentOf is a connection whose server, without the engine, does nothing but echo.
func innocentOf(t *testing.T, c *Client) *prober {
	t.Helper()
	at := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(60)))
		_, _ = io.WriteString(nc, switching(req))
		for {
			f, err := readAnyFrame(r)
			if err != nil {
				return
			}
			f = ws.UnmaskFrameInPlace(f)
			if f.Header.OpCode == ws.OpPing {
				f.Header.OpCode = ws.OpPong
			}
			if ws.WriteFrame(nc, f) != nil {
				return
			}
		}
	})
	heard, closed := make(chan string, 1), make(chan CloseEvent, 1)
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(10))
	defer cancel()
	conn, err := c.Dial(ctx, at, DialOptions{TLSConfig: guestTLS(), Handler: Funcs{
		Message: func(_ *Conn, m Message) { heard <- string(m.Data) },
		Close:   func(_ *Conn, e CloseEvent) { closed <- e },
	}})
	if err != nil {
		t.Fatal("the innocent connection:", err)
	}
	payload := "an innocent's thirty-two bytes.."
	return startProber(t, "the innocent connection", conn, func() error {
		if err := conn.SendBinary([]byte(payload)); err != nil {
			return err
		}
		patience := time.NewTimer(timeoutOf(10))
		defer patience.Stop()
		select {
		case got := <-heard:
			if got != payload {
				return errors.New("another answer than the echo")
			}
			return nil
		case e := <-closed:
			return fmt.Errorf("it was closed: %+v", e)
		case <-patience.C:
			return errors.New("no echo")
		}
	})
}

// attacked is a connection to a hostile server.
type attacked struct {
	*Conn
	messages, bytes int // before the end
	errors          int
	closed          chan CloseEvent
}

// meet starts a connection to a hostile server.
func meet(t *testing.T, c *Client, at string, o DialOptions) *attacked {
	t.Helper()
	a := &attacked{closed: make(chan CloseEvent, 2)}
	h, _ := o.Handler.(Funcs)
	h.Message = func(_ *Conn, m Message) { a.messages++; a.bytes += len(m.Data) }
	h.Error = func(*Conn, error) { a.errors++ }
	h.Close = func(_ *Conn, e CloseEvent) { a.closed <- e }
	o.Handler = h
	if o.TLSConfig == nil {
		o.TLSConfig = guestTLS()
	}
	var err error
	if a.Conn, err = c.Start(at, o); err != nil {
		t.Fatal(err)
	}
	return a
}

// ends waits for its end, and checks that it is told once.
func (a *attacked) ends(t *testing.T) CloseEvent {
	t.Helper()
	e := receive(t, a.closed, "the close event")
	if e.WasClean && a.errors != 0 || !e.WasClean && a.errors != 1 || len(a.closed) > 0 {
		t.Errorf("%+v after %d errors", e, a.errors)
	}
	return e
}

// bareHead is the header of a server's frame that announces n bytes.
func bareHead(first byte, n uint64) []byte {
	switch {
	case n < 126:
		return []byte{first, byte(n)}
	case n < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(n))
	}
	return binary.BigEndian.AppendUint64([]byte{first, 127}, n)
}

func bareFrame(first byte, payload []byte) []byte {
	return append(bareHead(first, uint64(len(payload))), payload...)
}

// drips writes a text, and then a byte of its last line again and again, until the client hangs up.
func drips(begin, unit string) func(net.Conn, *http.Request) {
	return func(nc net.Conn, _ *http.Request) {
		_, err := io.WriteString(nc, begin)
		for i := 0; err == nil; i++ {
			time.Sleep(10 * time.Millisecond) // the attacker's pace
			_, err = nc.Write([]byte{unit[i%len(unit)]})
		}
	}
}

// pours writes a text, and then another one as fast as it is taken, until the client hangs up.
func pours(begin, unit string) func(net.Conn, *http.Request) {
	many := []byte(strings.Repeat(unit, 64<<10/len(unit)))
	return func(nc net.Conn, _ *http.Request) {
		_, err := io.WriteString(nc, begin)
		for err == nil {
			_, err = nc.Write(many)
		}
	}
}

// hostileAnswers are answers without end, and what becomes of each.
var hostileAnswers = map[string]struct {
	say    func(net.Conn, *http.Request)
	reason string
	status int
}{
	"a byte a moment in the status line":  {drips("HTTP/1.1 101 ", "a"), "timeout", 0},
	"a byte a moment in a field":          {drips("HTTP/1.1 101 x\r\nA: ", "a"), "timeout", 0},
	"a byte a moment, fields":             {drips("HTTP/1.1 101 x\r\n", "a: b\r\n"), "timeout", 0},
	"a byte a moment of a body":           {drips("HTTP/1.1 404 x\r\nContent-Length: 1000000\r\n\r\n", "a"), "status", 404},
	"a byte a moment of a body in chunks": {drips("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"), "status", 404},
	"a byte a moment of a body's end":     {drips("HTTP/1.1 404 x\r\n\r\n", "a"), "status", 404},
	"headers without end":                 {pours("HTTP/1.1 101 x\r\n", "X-Y: "+strings.Repeat("z", 1000)+"\r\n"), "head-too-long", 0},
	"small headers without end":           {pours("HTTP/1.1 101 x\r\n", "a: b\r\n"), "too-many-fields", 0},
	"a status line without end":           {pours("HTTP/1.1 101 ", "a"), "head-too-long", 0},
	"a field's name without end":          {pours("HTTP/1.1 101 x\r\n", "a"), "head-too-long", 0},
	"a field's value without end":         {pours("HTTP/1.1 101 x\r\nA: ", "a"), "head-too-long", 0},
	"a body without end":                  {pours("HTTP/1.1 404 x\r\n\r\n", "a"), "status", 404},
	"a long body":                         {pours("HTTP/1.1 404 x\r\nContent-Length: 9000000000000000000\r\n\r\n", "a"), "status", 404},
	"chunks without end":                  {pours("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\na\r\n"), "status", 404},
	"a chunk's size without end":          {pours("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n", "0"), "status", 404},
	"a chunk's extension without end":     {pours("HTTP/1.1 404 x\r\nTransfer-Encoding: chunked\r\n\r\n1;", "a"), "status", 404},
	"hints without end":                   {pours("", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"), "status", 103},
	"garbage without end":                 {pours("", "\x00\xff"), "not-http", 0},
}

// TestClientHostileAnswers: what is said for ever instead of an answer ends at HandshakeTimeout, at MaxHandshakeBytes, or as soon as it is known to be a refusal; it holds
// next to no memory, and the server is hung up on.
func TestClientHostileAnswers(t *testing.T) {
	for way := range waysToTransport {
		t.Run(way, func(t *testing.T) {
			left := make(chan string, len(hostileAnswers)*attackTries)
			at := scripted(t, func(nc net.Conn, _ *bufio.Reader, req *http.Request) {
				name := req.Header.Get("X-Attack")
				hostileAnswers[name].say(nc, req)
				left <- name
			})
			c := hostileClient(t, way, ClientOptions{HandshakeTimeout: aliveWithin()})
			besideInnocentOf(t, c, func() {
				peak := peakMemory(c, func() {
					all := map[string]*attacked{}
					for name := range hostileAnswers {
						all[name] = meet(t, c, at, DialOptions{Header: http.Header{"X-Attack": {name}}})
					}
					for name, k := range hostileAnswers {
						e := all[name].ends(t)
						var h *HandshakeError
						if !errors.As(e.Err, &h) || e.Code != 1006 || h.Reason != k.reason || h.Status != k.status || len(h.Body) > 1<<10 {
							t.Errorf("%s: %v", name, e.Err)
						}
						if k.reason == "timeout" && !errors.Is(e.Err, ErrHandshakeTimeout) {
							t.Errorf("%s: %v", name, e.Err)
						}
					}
				})
				for range hostileAnswers {
					receive(t, left, "the end of a server that was hung up on")
				}
				if peak > 8<<20 {
					t.Errorf("%d bytes of memory", peak)
				}
				nothingWaits(t, c)
			})
		})
	}
}

// nothingWaits checks that a client has nothing left but its innocent connection.
func nothingWaits(t *testing.T, c *Client) {
	t.Helper()
	within(t, timeoutOf(5), "only the innocent connection is left", func() bool {
		st := c.Stats()
		return st.Connecting == 0 && st.Open <= 1 && st.Closing == 0
	})
}
