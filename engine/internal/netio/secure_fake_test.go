package netio

import (
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"
)

// fakeSocket is a System with one socket, whose room, arrivals and end a test sets: what the loop does then is exact.
type fakeSocket struct {
	in      []byte // arrived
	end     error  // behind in; nil: open
	most    int    // of a read
	room    int
	out     []byte // what the peer has got
	broken  error  // what Write answers
	watched Interest
	added   bool
	ended   bool // CloseWrite was called
	closed  string
	reads   int
	writes  int
	woken   bool
	now     time.Duration
	tick    time.Duration // each question after the time takes this long
	timer   time.Duration
}

func (f *fakeSocket) Run(Handler) error         { return nil }
func (f *fakeSocket) Wake()                     { f.woken = true }
func (f *fakeSocket) SetTimer(at time.Duration) { f.timer = at }
func (f *fakeSocket) Now() time.Duration        { f.now += f.tick; return f.now }
func (f *fakeSocket) Add(int) error             { f.added, f.watched = true, Readable; return nil }
func (f *fakeSocket) Remove(int)                { f.added, f.watched = false, 0 }
func (f *fakeSocket) Probe(int) error           { return nil }
func (f *fakeSocket) Unacked(int) (int, uint64) { return 0, 0 }
func (f *fakeSocket) CloseWrite(int) error      { f.ended = true; return nil }
func (f *fakeSocket) Close(int) error           { f.closed = "closed"; return nil }
func (f *fakeSocket) Abort(int) error           { f.closed = "aborted"; return nil }
func (f *fakeSocket) Release() error            { return nil }
func (f *fakeSocket) Accept(int) (int, netip.AddrPort, error) {
	return -1, netip.AddrPort{}, ErrAgain
}

func (f *fakeSocket) Interest(_ int, was, now Interest) error {
	if was != f.watched {
		panic("a wrong was")
	}
	f.watched = now
	return nil
}

func (f *fakeSocket) Read(_ int, p []byte) (int, error) {
	f.reads++
	if len(f.in) == 0 {
		if f.end != nil {
			return 0, f.end
		}
		return 0, ErrAgain
	}
	if f.most > 0 {
		p = p[:min(len(p), f.most)]
	}
	n := copy(p, f.in)
	f.in = f.in[n:]
	return n, nil
}

func (f *fakeSocket) Write(_ int, p []byte) (int, error) {
	f.writes++
	if f.broken != nil {
		return 0, f.broken
	}
	n := min(len(p), f.room)
	f.room -= n
	f.out = append(f.out, p[:n]...)
	if n == 0 && len(p) > 0 {
		return 0, ErrAgain
	}
	return n, nil
}

func (f *fakeSocket) Writev(fd int, v [][]byte) (int, error) { return f.Write(fd, slices.Concat(v...)) }

func (f *fakeSocket) ready() (ev Event) {
	if len(f.in) > 0 || f.end != nil {
		ev |= Readable
	}
	if f.room > 0 || f.broken != nil {
		ev |= Writable
	}
	return ev & f.watched
}

// line is a session over a fakeSocket, and its peer: a tls.Conn over memory, which the test calls.
type line struct {
	t      testing.TB
	sock   *fakeSocket
	s      *Secure
	k      *session
	peer   *tls.Conn
	events Event // since the last turn began
	onRead func()
	still  bool // the peer has no turns made
}

const lineFD = 3

func (l *line) OnEvent(_ int, ev Event) {
	l.events |= ev
	if l.onRead != nil && ev&Readable != 0 {
		l.onRead()
	}
}
func (l *line) OnWake() bool { return true }
func (l *line) OnBatchEnd()  {}

// turn is one turn of the loop: it reports what has come.
func (l *line) turn() Event {
	l.events = 0
	if ev := l.sock.ready(); ev != 0 {
		l.s.OnEvent(lineFD, ev)
	}
	if l.sock.woken || l.sock.timer != 0 && l.sock.now >= l.sock.timer {
		l.sock.woken = false
		l.s.OnWake()
	}
	return l.events
}

// peerEnd is the net.Conn beneath the peer: what it writes arrives at once, and when there is nothing to read the loop has a turn first.
type peerEnd struct {
	net.Conn
	l *line
}

func (p peerEnd) Write(b []byte) (int, error) {
	p.l.sock.in = append(p.l.sock.in, b...)
	return len(b), nil
}

func (p peerEnd) Read(b []byte) (int, error) {
	sock := p.l.sock
	for range 4 {
		if len(sock.out) > 0 {
			n := copy(b, sock.out)
			sock.out = sock.out[n:]
			return n, nil
		}
		if sock.ended || sock.closed != "" {
			return 0, io.EOF
		}
		if !p.l.still {
			p.l.turn()
		}
	}
	return 0, errDry
}

func (peerEnd) Close() error                     { return nil }
func (peerEnd) SetWriteDeadline(time.Time) error { return nil }

// newLine shakes hands. serves: the session is the server's end.
func newLine(t testing.TB, version uint16, serves bool) *line {
	t.Helper()
	return newLineOf(t, serverConfig(), clientConfig(version), serves)
}

func newLineOf(t testing.TB, server, client *tls.Config, serves bool) *line {
	t.Helper()
	l := &line{t: t, sock: &fakeSocket{room: 1 << 30}}
	l.s = NewSecure(l.sock, NewHandshakes(1, func(f func()) { f() }))
	l.s.handler = l
	if serves {
		l.peer = tls.Client(peerEnd{l: l}, client)
		l.s.Server(lineFD, server)
	} else {
		l.peer = tls.Server(peerEnd{l: l}, server)
		l.s.Client(lineFD, client)
	}
	l.k = l.s.table.at(lineFD)
	if err := l.s.Add(lineFD); err != nil {
		t.Fatal(err)
	}
	if err := l.peer.Handshake(); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		l.turn()
	}
	if _, ok := l.s.State(lineFD); !ok {
		t.Fatal("no handshake")
	}
	l.hear() // tickets
	l.still = true
	return l
}

// forEachLine runs a test for each version and each end.
func forEachLine(t *testing.T, f func(t *testing.T, l *line)) {
	versions(t, func(t *testing.T, v uint16) {
		t.Run("server", func(t *testing.T) { f(t, newLine(t, v, true)) })
		t.Run("client", func(t *testing.T) { f(t, newLine(t, v, false)) })
	})
}

// hear is what the peer can read by now, and what it reads behind it.
func (l *line) hear() (all []byte, end error) {
	p := make([]byte, 16<<10)
	for {
		n, err := l.peer.Read(p)
		all = append(all, p[:n]...)
		if err != nil {
			if err == errDry {
				err = nil
			}
			return all, err
		}
	}
}

// say is one Write of the peer.
func (l *line) say(p []byte) {
	l.t.Helper()
	if n, err := l.peer.Write(p); n != len(p) || err != nil {
		l.t.Fatal(n, err)
	}
}

// read is one Read of the engine.
func (l *line) read(room int) ([]byte, error) {
	p := make([]byte, room)
	n, err := l.s.Read(lineFD, p)
	return p[:n], err
}
