package engine

import (
	"encoding/binary"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// tape is a System without a kernel, with one connection at most: the peer's bytes are
// cut where the test says, the socket takes as many bytes as the test allows, and time
// stands still until the test moves it.
type tape struct {
	nullSystem
	in       [][]byte // what Read returns, at most one element a call
	ended    error    // what Read returns after that; nil: ErrAgain
	out      []byte
	room     int   // how many bytes the socket takes; negative: any number
	refused  error // what Write answers
	watched  netio.Interest
	now      time.Duration
	timer    time.Duration
	woken    bool
	released int // how often the descriptor was closed or reset
	reset    int // how often it was reset
}

func (p *tape) Wake()                     { p.woken = true }
func (p *tape) SetTimer(at time.Duration) { p.timer = at }
func (p *tape) Now() time.Duration        { return p.now }
func (p *tape) Add(int) error             { p.watched = netio.Readable; return nil }
func (p *tape) Remove(int)                { p.watched = 0 }
func (p *tape) Close(int) error           { p.released++; return nil }
func (p *tape) Abort(int) error           { p.released++; p.reset++; return nil }

func (p *tape) Interest(_ int, was, now netio.Interest) error {
	if was != p.watched {
		panic("the engine is wrong about what is watched")
	}
	p.watched = now
	return nil
}

func (p *tape) Read(_ int, b []byte) (int, error) {
	if len(p.in) == 0 {
		if p.ended != nil {
			return 0, p.ended
		}
		return 0, netio.ErrAgain
	}
	n := copy(b, p.in[0])
	if p.in[0] = p.in[0][n:]; len(p.in[0]) == 0 {
		p.in = p.in[1:]
	}
	return n, nil
}

func (p *tape) Write(_ int, b []byte) (int, error) {
	if p.refused != nil {
		return 0, p.refused
	}
	n := len(b)
	if p.room >= 0 {
		n = min(n, p.room)
		p.room -= n
	}
	if n == 0 && len(b) > 0 {
		return 0, netio.ErrAgain
	}
	p.out = append(p.out, b[:n]...)
	return n, nil
}

func (p *tape) Writev(fd int, v [][]byte) (total int, err error) {
	for _, b := range v {
		n, err := p.Write(fd, b)
		total += n
		if err != nil && total == 0 {
			return 0, err
		}
		if n < len(b) {
			break
		}
	}
	return total, nil
}

// tapeFD is the descriptor of the one connection.
const tapeFD = 5

// tapeRig is a loop that nobody runs but the test.
type tapeRig struct {
	t    testing.TB
	s    *Server
	l    *loop
	sys  *tape
	seen int // how much of out was looked at
}

func newTapeRig(t testing.TB, h Handler, o Options) *tapeRig {
	t.Helper()
	o.Loops = 1
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	r := &tapeRig{t: t, s: s, sys: &tape{room: -1, now: time.Hour}}
	r.l = s.newLoop(r.sys, nil, nil)
	s.loops.Store(&[]*loop{r.l})
	return r
}

// connect begins a connection.
func (r *tapeRig) connect() {
	*r.sys = tape{room: -1, now: r.sys.now, out: r.sys.out[:0]}
	r.seen = 0
	if _, ok := r.s.admitConn(new(arrival)); !ok {
		r.t.Fatal("not admitted")
	}
	r.l.adopt(arrival{fd: tapeFD})
}

// open begins a connection and finishes its opening handshake.
func (r *tapeRig) open() *Conn {
	r.t.Helper()
	r.connect()
	c := r.conn()
	r.feed([]byte(requestFor("/tape")))
	if c.ReadyState() != Open || !strings.HasPrefix(string(r.sys.out), "HTTP/1.1 101 ") {
		r.t.Fatalf("not open: %q", r.sys.out)
	}
	r.seen = len(r.sys.out)
	return c
}

func (r *tapeRig) conn() *Conn { return r.l.table.get(tapeFD) }

// feed lets the peer's bytes arrive, each element in a read of its own, and settles.
func (r *tapeRig) feed(reads ...[]byte) {
	for _, b := range reads {
		if len(b) > 0 {
			r.sys.in = append(r.sys.in, b)
		}
	}
	r.settle()
}

// turn is one turn of the poller; it reports whether there was anything to do.
func (r *tapeRig) turn() bool {
	defer r.l.OnBatchEnd()
	var ev netio.Event
	if len(r.sys.in) > 0 || r.sys.ended != nil {
		ev |= netio.Readable
	}
	if r.sys.room != 0 || r.sys.refused != nil {
		ev |= netio.Writable
	}
	if ev &= r.sys.watched; ev != 0 {
		r.l.OnEvent(tapeFD, ev)
	}
	due := r.sys.timer != 0 && r.sys.timer <= r.sys.now
	if !r.sys.woken && !due {
		return ev != 0
	}
	r.sys.woken = false
	if due {
		r.sys.timer, r.l.armed = 0, 0
	}
	r.l.OnWake()
	return true
}

// settle turns the loop until nothing happens any more.
func (r *tapeRig) settle() {
	for turns := 0; r.turn(); turns++ {
		if turns > 1<<20 {
			r.t.Fatal("the loop spins")
		}
	}
}

// pass lets time go by.
func (r *tapeRig) pass(d time.Duration) {
	for end := r.sys.now + d; r.sys.now < end; {
		r.sys.now = min(end, r.sys.now+50*time.Millisecond)
		r.settle()
	}
}

// end lets the peer go and time pass, and checks that nothing is left of the connection.
func (r *tapeRig) end() {
	r.t.Helper()
	r.sys.ended, r.sys.room = io.EOF, -1
	r.settle()
	if r.conn() != nil {
		r.pass(time.Minute)
	}
	st := r.s.Stats()
	if r.conn() != nil || r.sys.released != 1 || r.l.conns.Load() != 0 || r.s.total != 0 {
		r.t.Fatalf("the connection is still there: released %d times, %+v", r.sys.released, st)
	}
	if st.Buffers.Out != 0 || st.InboundBytes != 0 || len(r.s.budget.holders) != 0 {
		r.t.Fatalf("something is left: %+v %v", st, r.s.pool.Leaks())
	}
	if st.Connecting|st.Open|st.Closing != 0 {
		r.t.Fatalf("the states do not add up: %+v", st)
	}
}

// sent is what left for the peer since the last call.
func (r *tapeRig) sent() []byte {
	b := r.sys.out[r.seen:]
	r.seen = len(r.sys.out)
	return b
}

// closeCode is the code of the Close frame that was sent; 0 if there is none.
func (r *tapeRig) closeCode() int {
	for b := r.sent(); len(b) >= 2; {
		n, head := int(b[1]), 2
		switch n {
		case 126:
			n, head = int(binary.BigEndian.Uint16(b[2:])), 4
		case 127:
			n, head = int(binary.BigEndian.Uint64(b[2:])), 10
		}
		switch {
		case b[0] == 0x88 && n == 0:
			return 1005
		case b[0] == 0x88:
			return int(binary.BigEndian.Uint16(b[2:]))
		}
		b = b[head+n:]
	}
	return 0
}
