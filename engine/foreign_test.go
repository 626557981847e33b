package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What the tests of the promises share: a foreign client (gobwas/ws), a diary of
// callbacks, and the ways a connection can be carried.

// mode is a way to carry connections. The promises hold in each.
type mode struct {
	name    string
	workers int
	bridged bool
}

var modes = []mode{{name: "loop"}, {name: "workers", workers: 3}, {name: "bridge", bridged: true}, {name: "tls"}}

func inEveryMode(t *testing.T, test func(t *testing.T, m mode)) {
	t.Helper()
	for _, m := range modes {
		t.Run(m.name, func(t *testing.T) { test(t, m) })
	}
}

// foreignListener is a listener that no loop can take over.
type foreignListener struct{ net.Listener }

// start is startServer in this mode.
func (m mode) start(t testing.TB, h Handler, o Options) *Server {
	t.Helper()
	o.Workers = m.workers
	if !m.bridged {
		return startServer(t, h, o)
	}
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(foreignListener{ln}) }()
	within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := receive(t, served, "Serve's return"); err != ErrServerClosed {
			t.Error("Serve:", err)
		}
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
		if n := s.Stats().QueuedBytes; n != 0 {
			t.Errorf("%d bytes wait for nobody", n)
		}
	})
	return s
}

// foreign is a client that nobody here wrote.
type foreign struct {
	t testing.TB
	net.Conn
	raw          *net.TCPConn
	skipsControl bool // next answers no pings and pongs
}

// dialForeign connects; with a receive buffer of so many bytes if that is not 0, so that
// a peer that does not read soon blocks the server.
func dialForeign(t testing.TB, s *Server, receiveBuffer int, offers ...string) *foreign {
	t.Helper()
	f := &foreign{t: t}
	d := ws.Dialer{Protocols: offers, NetDial: func(_ context.Context, network, addr string) (net.Conn, error) {
		nc, err := connectTo(t, narrowDialer(receiveBuffer), network, addr)
		if err == nil {
			f.raw = under(nc)
		}
		return nc, err
	}}
	ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
	defer cancel()
	c, early, _, err := d.Dial(ctx, "ws://"+s.Addr().String()+"/path?q=1")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(timeoutOf(20)))
	f.Conn = c
	if early != nil {
		p, _ := early.Peek(early.Buffered())
		f.Conn = &replayConn{Conn: c, first: p}
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func narrowDialer(receiveBuffer int) *net.Dialer {
	d := new(net.Dialer)
	if receiveBuffer != 0 {
		d.Control = func(_, _ string, c syscall.RawConn) (err error) {
			if e := c.Control(func(fd uintptr) { err = setReceiveBuffer(fd, receiveBuffer) }); e != nil {
				return e
			}
			return err
		}
	}
	return d
}

// send writes one masked frame.
func (f *foreign) send(op ws.OpCode, fin bool, payload string) {
	f.t.Helper()
	if err := ws.WriteFrame(f, ws.MaskFrame(ws.NewFrame(op, fin, []byte(payload)))); err != nil {
		f.t.Error("the client's write:", err)
	}
}

func (f *foreign) text(s string) { f.t.Helper(); f.send(ws.OpText, true, s) }

func (f *foreign) closeWith(code int, reason string) {
	f.t.Helper()
	f.send(ws.OpClose, true, string(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
}

// frames is the bytes of several masked frames, to be written in one piece.
func frames(all ...ws.Frame) (b []byte) {
	for _, f := range all {
		b = append(b, ws.MustCompileFrame(ws.MaskFrame(f))...)
	}
	return b
}

func (f *foreign) write(b []byte) {
	f.t.Helper()
	if _, err := f.Write(b); err != nil {
		f.t.Error("the client's write:", err)
	}
}

// next reads one frame.
func (f *foreign) next() ws.Frame {
	f.t.Helper()
	fr, err := readFrame(f)
	if err != nil {
		f.t.Fatal("the client's read:", err)
	}
	if fr.Header.Masked {
		f.t.Fatal("the server masks")
	}
	if op := fr.Header.OpCode; f.skipsControl && (op == ws.OpPing || op == ws.OpPong) {
		return f.next()
	}
	return fr
}

func (f *foreign) wants(op ws.OpCode, payload string) {
	f.t.Helper()
	fr := f.next()
	if fr.Header.OpCode != op || string(fr.Payload) != payload {
		f.t.Fatalf("got %v %.60q, want %v %.60q", fr.Header.OpCode, fr.Payload, op, payload)
	}
}

// wantsClose reads a Close frame with this code (0: no body).
func (f *foreign) wantsClose(code int, reason string) {
	f.t.Helper()
	f.isClose(f.next(), code, reason)
}

func (f *foreign) isClose(fr ws.Frame, code int, reason string) {
	f.t.Helper()
	want := ""
	if code != 0 {
		want = string(ws.NewCloseFrameBody(ws.StatusCode(code), reason))
	}
	if fr.Header.OpCode != ws.OpClose || string(fr.Payload) != want {
		f.t.Fatalf("got %v %.60q, want a Close with %d %q", fr.Header.OpCode, fr.Payload, code, reason)
	}
}

// wantsEnd: the stream ends here, and not by a reset.
func (f *foreign) wantsEnd() {
	f.t.Helper()
	if n, err := f.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		f.t.Fatalf("read %d bytes and %v, want the end of the stream", n, err)
	}
}

// drain reads whatever comes until the stream ends, however it does.
func (f *foreign) drain() {
	_, _ = io.Copy(io.Discard, f)
}

// reset closes with an RST.
func (f *foreign) reset() {
	_ = f.raw.SetLinger(0)
	_ = f.Close()
}

// diary writes down callbacks, each with the state that it saw; with several connections
// only each one's order means something.
type diary struct {
	t      testing.TB
	mu     sync.Mutex
	lines  []string
	inside map[*Conn]bool
	opened chan *Conn
	closed chan CloseEvent
}

func newDiary(t testing.TB) *diary {
	return &diary{t: t, inside: make(map[*Conn]bool), opened: make(chan *Conn, 256), closed: make(chan CloseEvent, 256)}
}

func (d *diary) note(c *Conn, format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...)+" "+c.ReadyState().String())
}

// during notes a callback and runs what the test does in it; no other may run meanwhile.
func (d *diary) during(c *Conn, run func(), format string, args ...any) {
	enter := func(in bool) {
		d.mu.Lock()
		defer d.mu.Unlock()
		if in && d.inside[c] {
			d.t.Error("two callbacks of one connection at a time")
		}
		d.inside[c] = in
	}
	enter(true)
	defer enter(false)
	d.note(c, format, args...)
	run()
}

// handler wraps f's functions so that they are written down.
func (d *diary) handler(f Funcs) Funcs {
	w := f
	w.Open = func(c *Conn) {
		d.during(c, func() { f.OnOpen(c) }, "open")
		d.opened <- c
	}
	w.Message = func(c *Conn, m Message) {
		d.during(c, func() { f.OnMessage(c, m) }, "message %.20s", m.Data)
	}
	w.Error = func(c *Conn, err error) {
		d.during(c, func() {
			if f.Error != nil {
				f.Error(c, err)
			}
		}, "error %d", closeCodeOf(err))
	}
	w.Close = func(c *Conn, e CloseEvent) {
		d.during(c, func() { f.OnClose(c, e) }, "close %d %q clean=%v", e.Code, e.Reason, e.WasClean)
		d.closed <- e
	}
	return w
}

func (d *diary) all() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lines)
}

func (d *diary) has(line string) bool { return slices.Contains(d.all(), line) }

func (d *diary) wants(lines ...string) {
	d.t.Helper()
	if got := d.all(); !slices.Equal(got, lines) {
		d.t.Errorf("callbacks:\n%q\nwant\n%q", got, lines)
	}
}

// conn is the one connection of the test.
func (d *diary) conn() *Conn {
	d.t.Helper()
	return receive(d.t, d.opened, "OnOpen")
}

func (d *diary) end() CloseEvent {
	d.t.Helper()
	return receive(d.t, d.closed, "OnClose")
}

// isAll fails unless err is each of the targets.
func isAll(t testing.TB, err error, targets ...error) {
	t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			t.Errorf("%v is not %v", err, target)
		}
	}
}

// settled waits until the server has seen the last of its connections.
func settled(t testing.TB, s *Server) {
	t.Helper()
	within(t, timeoutOf(10), "no connection left", func() bool {
		st := s.Stats()
		return st.Open == 0 && st.Connecting == 0
	})
}
