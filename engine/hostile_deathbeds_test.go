package engine

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// wrapped hides what kind of listener this is, so that its connections are bridged.
type wrapped struct{ net.Listener }

// serveOn is startServer with a listener that may be hidden.
func serveOn(t *testing.T, h Handler, o Options, bridged bool) *Server {
	t.Helper()
	if !bridged {
		return startServer(t, h, o)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secured(t) {
		ln = tls.NewListener(ln, houseTLS())
	}
	return startServerOn(t, h, o, wrapped{ln}, (*Server).Serve)
}

// A deathbed is a state in which a connection can lose its peer.
type deathbed struct {
	path  string
	opens bool // OnOpen was called, so OnClose will be
	reach func(t *testing.T, a *attacker)
}

// deathbeds are all states of a server's connection.
func deathbeds() []deathbed {
	upgraded := func(then ...[]byte) func(*testing.T, *attacker) {
		return func(t *testing.T, a *attacker) {
			a.expect101(t)
			a.say(t, string(bytes.Join(then, nil)))
		}
	}
	hears := func(op byte, say ...[]byte) func(*testing.T, *attacker) {
		return func(t *testing.T, a *attacker) {
			upgraded(say...)(t, a)
			if f, err := a.hear(); err != nil || f.op != op {
				t.Errorf("%+v, %v", f, err)
			}
		}
	}
	return []deathbed{
		{"/decision-pending", false, func(*testing.T, *attacker) {}},
		{"/open-idle", true, upgraded()},
		{"/mid-header", true, upgraded(frameHead(0x82, 1000)[:5])},
		{"/mid-frame", true, upgraded(frameHead(0x82, 1000), []byte("some"))},
		{"/mid-large-frame", true, upgraded(frameHead(0x82, 1<<30), make([]byte, 300_000))},
		{"/mid-message", true, upgraded(maskedFrame(0x01, []byte("begun")))},
		{"/mid-control", true, upgraded(frameHead(0x89, 100), []byte("some"))},
		{"/paused", true, hears(1, maskedFrame(0x81, []byte("pause")))},
		{"/backlog", true, hears(2, maskedFrame(0x81, []byte("flood")))},
		{"/writer-open", true, hears(2, maskedFrame(0x81, []byte("write")))},
		{"/closing", true, hears(8, maskedFrame(0x81, []byte("close")))},
		{"/closing-with-backlog", true, hears(2, maskedFrame(0x81, []byte("flood and close")))},
		{"/failed", true, hears(8, []byte("\x82\x00"))},
		{"/closed-by-peer", true, hears(8, maskedFrame(0x88, []byte{3, 232}))},
	}
}

// deathbedHandler brings connections where deathbeds wants them.
func deathbedHandler() Funcs {
	return Funcs{
		Upgrade: func(u *Upgrade) {
			if u.Target() == "/decision-pending" {
				u.Later()
			}
		},
		Message: func(c *Conn, m Message) {
			switch word := string(m.Data); word {
			case "pause":
				c.Pause()
				_ = c.SendText("paused")
			case "write":
				_, _ = c.NewWriter(OpBinary).Write([]byte("begun"))
			case "close":
				_ = c.Close()
			case "flood", "flood and close":
				_ = c.SendBinary([]byte("first"))
				for range 64 {
					_ = c.SendBinary(make([]byte, 1<<20))
				}
				if word != "flood" {
					_ = c.Close()
				}
			default:
				_ = c.Send(m.Op, m.Data)
			}
		},
	}
}

// dieEverywhere lets the peer of a connection in each state go in one way: each ends within
// the time-outs, OnClose comes once for those that opened, and nothing is left.
func dieEverywhere(t *testing.T, bridged bool, die func(*testing.T, *attacker)) {
	t.Parallel() // it waits for time-outs
	h, ends := watching(deathbedHandler())
	s := serveOn(t, h, Options{
		HandshakeTimeout: aliveWithin(),
		Limits: Limits{
			CloseTimeout: 500 * time.Millisecond, WriteStallTimeout: 500 * time.Millisecond,
			IdleTimeout: timeoutOf(1), PingInterval: -1, // the innocent is never that silent
			MaxBufferedAmount: -1,
		},
	}, bridged)
	in := innocent(t, s)
	beds := deathbeds()
	for _, head := range []string{"", "GET / HT", requestFor("/cut")[:100]} {
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, head)
		die(t, a)
	}
	for _, b := range beds {
		a := knock(t, "tcp", s.Addr().String())
		a.say(t, requestFor(b.path))
		b.reach(t, a)
		die(t, a)
	}
	// Who pauses a connection waits for Resume: only a reset is noticed before.
	within(t, timeoutOf(15), "all are gone but the innocent and, maybe, the paused one", func() bool { return s.conns() <= 2 })
	for c := range s.Conns() {
		c.Resume()
	}
	for _, b := range beds {
		if b.opens {
			ends.one(t, b.path)
		} else if n, c := ends.of(b.path); n+len(c) != 0 {
			t.Errorf("%s: opened %d times, closed %v", b.path, n, c)
		}
	}
	if !eventually(timeoutOf(15), func() bool { return s.conns() == 1 }) {
		t.Errorf("still there: %v", s.remaining())
	}
	if st := s.Stats(); st.Connecting != 0 || st.Closing != 0 || st.Open != 1 {
		t.Errorf("%+v", st)
	}
	if st := s.Stats(); st.InboundBytes != 0 || in.failure() != nil {
		t.Errorf("%+v, innocent: %v", st, in.failure())
	}
}

// conns is how many connections count, those included that are only lingering.
func (e *engine) conns() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.total
}

// remaining describes the connections that are still in a table, for a failed test.
func (e *engine) remaining() (all []string) {
	for _, l := range e.allLoops() {
		l.table.each(func(c *Conn) bool {
			path := "?"
			if c.loop != l {
				return true
			}
			if c.ReadyState() != Connecting {
				path = pathOf(c)
			}
			all = append(all, fmt.Sprintf("%s %v", path, c.ReadyState()))
			return true
		})
	}
	return all
}

// inEveryState runs dieEverywhere on both kinds of transport.
func inEveryState(t *testing.T, die func(*testing.T, *attacker)) {
	for name, bridged := range map[string]bool{"native": false, "bridged": true} {
		t.Run(name, func(t *testing.T) { dieEverywhere(t, bridged, die) })
	}
}

func TestResetInEveryState(t *testing.T) {
	t.Parallel()
	inEveryState(t, func(_ *testing.T, a *attacker) { a.reset() })
}

// TestHalfCloseInEveryState: the peer ends its half, and goes on to read.
func TestHalfCloseInEveryState(t *testing.T) {
	t.Parallel()
	inEveryState(t, func(t *testing.T, a *attacker) {
		a.halfClose(t)
		go func() { _, _ = io.Copy(io.Discard, a) }()
	})
}

// TestSilenceInEveryState: the peer neither sends nor reads nor goes (half-open TCP).
func TestSilenceInEveryState(t *testing.T) {
	t.Parallel()
	inEveryState(t, func(*testing.T, *attacker) {})
}
