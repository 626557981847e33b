package engine

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/url"
	"runtime"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// A door is a way for connections into the engine.
type door struct {
	name string
	// listen makes a listener, and what connects to it.
	listen func(t testing.TB) (net.Listener, func() (net.Conn, error))
	// loopless takes the native loops away, as on a system that has none.
	loopless bool
	bridged  bool // goroutines carry its connections
	secure   bool // wss
	ends     bool // of that, the server ends TLS itself (ServeTLS)
	wholly   bool // its connections have no half to close
}

var doors = []door{
	{name: "tcp", listen: listenTCP},
	{name: "unix", listen: listenUnixSocket},
	{name: "bridged tcp", listen: hidden(listenTCP), bridged: true},
	{name: "bridged tls", listen: listenTLS, bridged: true, secure: true},
	{name: "bridged pipe", listen: listenPipe, bridged: true, wholly: true},
	{name: "loopless tcp", listen: listenTCP, bridged: true, loopless: true},
	{name: "loopless unix", listen: listenUnixSocket, bridged: true, loopless: true},
	{name: "loopless tls", listen: underTLS(listenTCP), bridged: true, loopless: true, secure: true, ends: true},
	{name: "tls", listen: underTLS(listenTCP), secure: true, ends: true},
	{name: "tls unix", listen: underTLS(listenUnixSocket), secure: true, ends: true},
}

func doorNamed(t testing.TB, name string) door {
	t.Helper()
	for _, d := range doors {
		if d.name == name {
			return d
		}
	}
	t.Fatal("no door named", name)
	return door{}
}

// house is a server behind one door.
type house struct {
	*Server
	door
	knock func() (net.Conn, error)
	serve chan error // what Serve answered
}

// build starts a server behind the door. When the test ends, it must leave nothing: no
// connection, buffer or goroutine.
func (d door) build(t testing.TB, h Handler, o Options) *house {
	t.Helper()
	noGoroutinesLeft(t)
	return d.raise(t, h, o)
}

// raise is build for a test that has several of them at a time.
func (d door) raise(t testing.TB, h Handler, o Options) *house {
	t.Helper()
	serve := (*Server).Serve
	if d.ends {
		o.TLSConfig, serve = houseTLS(), (*Server).ServeTLS
	}
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	if d.loopless {
		takeLoops(s)
	}
	ln, knock := d.listen(t)
	w := &house{Server: s, door: d, knock: knock, serve: make(chan error, 1)}
	go func() { w.serve <- serve(s, ln) }()
	leaveNothing(t, s)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-w.serve; err != ErrServerClosed {
			t.Error("Serve:", err)
		}
	})
	within(t, timeoutOf(5), "the server serves", func() bool { return s.Addr() != nil })
	return w
}

// takeLoops makes a server that has not started do without native loops.
func takeLoops(s *Server) {
	s.newNative = func() (netio.System, error) { return nil, errors.ErrUnsupported }
}

// leaveNothing checks, once the server is closed, that nothing of it is left.
func leaveNothing(t testing.TB, s *Server) {
	t.Cleanup(func() {
		within(t, timeoutOf(3), "every connection is counted out", func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return s.total == 0 && len(s.addresses) == 0
		})
		st := s.Stats()
		if st.Connecting != 0 || st.Open != 0 || st.Closing != 0 || st.Bridged != 0 {
			t.Errorf("connections left: %+v", st)
		}
		if st.Buffers.Out != 0 {
			t.Errorf("%d buffers are still out: %v", st.Buffers.Out, s.pool.Leaks())
		}
		if st.QueuedBytes != 0 {
			t.Errorf("%d bytes wait for nobody", st.QueuedBytes)
		}
	})
}

// noGoroutinesLeft checks in the end that there are no more goroutines than now.
func noGoroutinesLeft(t testing.TB) {
	before := runtime.NumGoroutine()
	t.Cleanup(func() {
		for end := time.Now().Add(timeoutOf(5)); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b := make([]byte, 1<<20)
				t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, b[:runtime.Stack(b, true)])
			}
		}
	})
}

// call opens a transport to the server.
func (w *house) call(t testing.TB) net.Conn {
	t.Helper()
	nc, err := w.knock()
	if err != nil {
		t.Fatal(err)
	}
	_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
	t.Cleanup(func() { _ = nc.Close() })
	return nc
}

// guest is a client whose handshake is done.
type guest struct {
	net.Conn
	r io.Reader
}

func (g *guest) Read(p []byte) (int, error) { return g.r.Read(p) }

// visit opens a connection and makes a WebSocket of it.
func (w *house) visit(t testing.TB) *guest {
	t.Helper()
	return welcome(t, w.call(t), ws.Dialer{})
}

func welcome(t testing.TB, nc net.Conn, d ws.Dialer) *guest {
	t.Helper()
	br, _, err := d.Upgrade(nc, &url.URL{Scheme: "ws", Host: "house.example", Path: "/room"})
	if err != nil {
		t.Fatal(err)
	}
	if br == nil {
		br = bufio.NewReader(nc)
	}
	return &guest{nc, br}
}

// say sends one whole message, or control frame.
func (g *guest) say(t testing.TB, op ws.OpCode, p []byte) {
	t.Helper()
	g.part(t, op, true, p)
}

func (g *guest) part(t testing.TB, op ws.OpCode, fin bool, p []byte) {
	t.Helper()
	if _, err := g.Write(saidFrame(op, fin, p)); err != nil {
		t.Fatal(err)
	}
}

// saidFrame is a masked frame in one piece.
func saidFrame(op ws.OpCode, fin bool, p []byte) []byte {
	return ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(op, fin, p)))
}

// readFrame reads one frame of at most the largest that a test sends.
func readFrame(r io.Reader) (f ws.Frame, err error) {
	f, err = readAnyFrame(r)
	if err == nil && (f.Header.Masked || f.Header.Rsv != 0) {
		err = fmt.Errorf("a server sent the header %+v", f.Header)
	}
	return f, err
}

// readAnyFrame reads a frame of either side, and does not unmask it.
func readAnyFrame(r io.Reader) (f ws.Frame, err error) {
	if f.Header, err = ws.ReadHeader(r); err != nil {
		return f, err
	}
	if f.Header.Length > 4<<20 {
		return f, fmt.Errorf("a frame of %d bytes", f.Header.Length)
	}
	f.Payload = make([]byte, f.Header.Length)
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// hear reads one frame, which must be of op and, if want is not nil, say that.
func (g *guest) hear(t testing.TB, op ws.OpCode, want []byte) []byte {
	t.Helper()
	f, err := readFrame(g)
	if err != nil {
		t.Fatal("hearing: ", err)
	}
	if f.Header.OpCode != op || want != nil && string(f.Payload) != string(want) {
		t.Fatalf("heard op %v and %d bytes (%.60q), want op %v and %.60q", f.Header.OpCode, len(f.Payload), f.Payload, op, want)
	}
	return f.Payload
}

// hearClose reads a Close frame, and that the stream ends behind it.
func (g *guest) hearClose(t testing.TB, code int, reason string) {
	t.Helper()
	c, r := ws.ParseCloseFrameData(g.hear(t, ws.OpClose, nil))
	if int(c) != code || r != reason {
		t.Fatalf("Close %d %q, want %d %q", c, r, code, reason)
	}
}

// hearEnd reads the end of the stream.
func (g *guest) hearEnd(t testing.TB) {
	t.Helper()
	var b [1]byte
	if n, err := g.Read(b[:]); n != 0 || isTimeout(err) {
		t.Fatalf("wanted the end of the stream, got %d bytes %x and %v", n, b[:n], err)
	}
}

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// sayClose sends a Close frame.
func (g *guest) sayClose(t testing.TB, code int, reason string) {
	t.Helper()
	g.say(t, ws.OpClose, ws.NewCloseFrameBody(ws.StatusCode(code), reason))
}

// endSpeech ends the client's half of the stream, where there are halves.
func (g *guest) endSpeech(t testing.TB) {
	t.Helper()
	if h, ok := g.Conn.(interface{ CloseWrite() error }); ok {
		if err := h.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
}

// slam ends the connection as rudely as the transport allows: by a reset on TCP.
func (g *guest) slam() {
	nc := g.Conn
	if t, ok := nc.(*tls.Conn); ok {
		nc = t.NetConn()
	}
	if t, ok := nc.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = nc.Close()
}

// discardedLog is where net/http tells of the broken connections that tests make.
var discardedLog = log.New(io.Discard, "", 0)
