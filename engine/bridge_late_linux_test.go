package engine

import (
	"net"
	"testing"
	"time"
)

// lateConn is a connection whose reading goroutine gets no time, after its first reads, until the gate opens.
type lateConn struct {
	*net.TCPConn
	reads int
	gate  chan struct{}
}

func (l *lateConn) Read(p []byte) (int, error) {
	if l.reads--; l.reads < 0 {
		<-l.gate
	}
	return l.TCPConn.Read(p)
}

// lateListener accepts such connections, which are bridged.
type lateListener struct {
	net.Listener
	reads int
	gate  chan struct{}
}

func (l lateListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lateConn{nc.(*net.TCPConn), l.reads, l.gate}, nil
}

// TestBridgeReadsLate: no clock ends a connection whose bytes have arrived and only wait for the goroutine that reads
// them. When that comes, after a time that is much longer than each clock, they are heard and all goes on.
func TestBridgeReadsLate(t *testing.T) {
	t.Parallel()
	clock := aliveWithin()
	held := 2 * clock
	word := string(maskedFrame(0x81, []byte("late")))
	hears := func(t *testing.T, a *attacker, op byte) string {
		for {
			f, err := a.hear()
			if err != nil {
				t.Fatal(err)
			}
			if f.op == op {
				return string(f.payload)
			}
		}
	}
	echoed := func(t *testing.T, a *attacker, _ *diary) {
		if s := hears(t, a, 1); s != "late" {
			t.Error(s)
		}
	}
	for name, c := range map[string]struct {
		reads   int // that come in time
		options Options
		say     string // and wait for the answer of this kind before
		after   byte
		then    func(*testing.T, *attacker, *diary)
	}{
		"HandshakeTimeout": {options: Options{HandshakeTimeout: clock}, then: func(t *testing.T, a *attacker, _ *diary) { a.expect101(t) }},
		"IdleTimeout":      {reads: 1, options: Options{Limits: Limits{IdleTimeout: clock, PingInterval: -1}}, say: word, then: echoed},
		"PongTimeout": {reads: 1, options: Options{Limits: Limits{PingInterval: clock / 4, PongTimeout: clock}}, after: 9,
			say: string(maskedFrame(0x8a, nil)) + word, then: echoed},
		"CloseTimeout": {reads: 1, options: Options{Limits: Limits{CloseTimeout: clock}}, after: 8, say: string(maskedFrame(0x88, []byte{3, 232})),
			then: func(t *testing.T, _ *attacker, d *diary) {
				if e := d.end(); e.Code != 1000 || !e.WasClean {
					t.Errorf("%+v", e)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDiary(t)
			h := echoHandler
			if c.after == 8 {
				h.Open = func(c *Conn) { _ = c.Close() }
			}
			s, err := NewServer(d.handler(h), c.options)
			if err != nil {
				t.Fatal(err)
			}
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			gate := make(chan struct{})
			served := serving(t, s, lateListener{ln, c.reads, gate})
			a := knock(t, "tcp", ln.Addr().String())
			a.say(t, requestFor("/"))
			if c.reads > 0 {
				a.expect101(t)
			}
			if c.after != 0 {
				hears(t, a, c.after)
			}
			a.say(t, c.say)
			time.Sleep(held)
			close(gate)
			c.then(t, a, d)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			<-served
		})
	}
}
