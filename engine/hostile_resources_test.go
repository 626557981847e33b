package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// wrapped hides what kind of listener this is, so that its connections are bridged.
type wrapped struct{ net.Listener }

// serveOn is startServer with a listener that may be hidden.
func serveOn(t *testing.T, h Handler, o Options, bridged bool) *Server {
	t.Helper()
	if !bridged {
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
	go func() { served <- s.Serve(wrapped{ln}) }()
	within(t, timeoutOf(5), "the server serves", func() bool { return s.Addr() != nil })
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-served; err != ErrServerClosed {
			t.Error("Serve:", err)
		}
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
	})
	return s
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
		HandshakeTimeout: 500 * time.Millisecond,
		Limits: Limits{
			CloseTimeout: 500 * time.Millisecond, WriteStallTimeout: 500 * time.Millisecond,
			IdleTimeout: time.Second, PingInterval: -1,
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

// TestPeerThatNeverSends: a socket that connects and says nothing is cut off at
// HandshakeTimeout, and one that opened and says nothing at IdleTimeout (1001).
func TestPeerThatNeverSends(t *testing.T) {
	t.Parallel()
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{
		HandshakeTimeout: 300 * time.Millisecond,
		Limits:           Limits{IdleTimeout: 300 * time.Millisecond, CloseTimeout: 300 * time.Millisecond},
	})
	mute := knock(t, "tcp", s.Addr().String())
	idle := attackAt(t, s, "/idle")
	idle.expectClose(t, 1001)
	if n, err := mute.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the mute one heard something", n, err)
	}
	if e := ends.one(t, "/idle"); e.Code != 1006 {
		t.Errorf("%+v", e)
	}
	if st := s.Stats(); st.Refusals["timeout"] != 1 || st.Causes["idle"] != 1 {
		t.Errorf("%+v", st)
	}
}

// TestHalfOpenTCP: a peer that has gone without a word does not answer our ping, and that
// is how we learn (1006 at PongTimeout). Nobody else's time passes.
func TestHalfOpenTCP(t *testing.T) {
	var got []CloseEvent
	r := newTapeRig(t, Funcs{Close: func(_ *Conn, e CloseEvent) { got = append(got, e) }}, Options{
		Limits: Limits{PingInterval: 10 * time.Second, PongTimeout: 5 * time.Second},
	})
	r.open()
	r.pass(9 * time.Second)
	if sent := r.sent(); len(sent) != 0 {
		t.Errorf("too early: % x", sent)
	}
	r.pass(2 * time.Second)
	if sent := r.sent(); !bytes.Equal(sent, []byte{0x89, 0}) {
		t.Errorf("no ping but % x", sent)
	}
	r.pass(6 * time.Second)
	if len(got) != 1 || got[0].Code != 1006 || !errors.Is(got[0].Err, ErrPongTimeout) || r.sys.reset != 1 {
		t.Errorf("%+v", got)
	}
	r.end()
}

// TestPeerThatNeverReads costs what HighWater allows, until the stall clock ends it. (The
// flood whose sender does not read is among the frames.)
func TestPeerThatNeverReads(t *testing.T) {
	r := newTapeRig(t, echoHandler, Options{Limits: Limits{HighWater: 100_000, WriteStallTimeout: 30 * time.Second}})
	c := r.open()
	r.sys.room = 0
	for range 100 {
		r.feed(maskedFrame(0x82, make([]byte, 10_000)))
	}
	if n := c.BufferedAmount(); n < 100_000 || n > 120_000 || r.sys.watched != netio.Writable {
		t.Errorf("%d bytes wait for the peer, watching %v", n, r.sys.watched)
	}
	if b := r.s.Stats().Buffers.OutBytes; b > 400_000 {
		t.Errorf("%d bytes of buffers", b)
	}
	r.pass(29 * time.Second)
	if c.ReadyState() != Open {
		t.Error("ended early")
	}
	r.pass(2 * time.Second)
	if c.ReadyState() != Closed || r.s.Stats().Causes["write-stall"] != 1 {
		t.Error("not ended")
	}
	r.sys.in = nil // what was never read
	r.end()
}

// TestManyVanish: 10,000 peers connect and vanish, at every point of the opening
// handshake and right after it.
func TestManyVanish(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{})
	head := requestFor("/vanish")
	besideInnocent(t, s, func() {
		var all sync.WaitGroup
		for w := range 2 {
			all.Go(func() {
				for i := range crowd(10_000) / 2 {
					if i%8 == 0 { // a machine without a free core is another test
						time.Sleep(time.Millisecond)
					}
					nc, err := net.Dial("tcp", s.Addr().String())
					if err != nil {
						t.Error(err)
						return
					}
					a := &attacker{Conn: nc}
					switch cut := (i + w) % 5; cut {
					case 0:
					case 1, 2:
						a.try([]byte(head[:len(head)*cut/3]))
					case 3:
						a.try([]byte(head))
					case 4:
						a.try([]byte(head))
						a.try(maskedFrame(0x82, make([]byte, 100)))
					}
					a.reset()
				}
			})
		}
		all.Wait()
		within(t, timeoutOf(15), "all are gone", func() bool { return s.conns() == 1 })
	})
	if opened, closed := ends.total(); opened-closed > 1 { // the innocent's may not have come yet
		t.Errorf("%d opened, %d closed", opened, closed)
	}
}

// TestThousandsClosedAtOnce: 9,000 connections (this process has both ends of each, and
// 20,000 descriptors) are reset in one go.
func TestThousandsClosedAtOnce(t *testing.T) {
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{})
	n := crowd(9000)
	all := make([]*attacker, n)
	besideInnocent(t, s, func() {
		ends.reset()
		var dialling sync.WaitGroup
		for w := range 4 {
			dialling.Go(func() {
				for i := w; i < n; i += 4 {
					all[i] = &attacker{Conn: openRaw(t, s)}
				}
			})
		}
		dialling.Wait()
		if t.Failed() {
			t.FailNow()
		}
		for _, a := range all {
			a.reset()
		}
		within(t, timeoutOf(15), "all are gone", func() bool { return s.conns() == 1 })
		if opened, closed := ends.total(); opened != n || closed != n {
			t.Errorf("%d opened, %d closed", opened, closed)
		}
	})
}

// openRaw is a quick opening handshake; the answer is not looked at.
func openRaw(t *testing.T, s *Server) net.Conn {
	nc, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Error(err)
		return nil
	}
	if _, err := io.WriteString(nc, requestFor("/crowd")); err != nil {
		t.Error(err)
	}
	if _, err := nc.Read(make([]byte, 512)); err != nil {
		t.Error(err)
	}
	return nc
}

// TestShutdownWhileAllAreSending: everybody gets a Close 1001, and Shutdown returns in time.
func TestShutdownWhileAllAreSending(t *testing.T) {
	for name, workers := range map[string]int{"loops": 0, "workers": 4} {
		t.Run(name, func(t *testing.T) {
			h, ends := watching(echoHandler)
			s := startServer(t, h, Options{Loops: 2, Workers: workers})
			const conns = 100
			var clients sync.WaitGroup
			codes, all := make(chan string, conns), make(chan struct{})
			for range conns {
				a := attackAt(t, s, "/sender")
				var heardClose atomic.Bool
				clients.Go(func() {
					<-all
					flood := bytes.Repeat(maskedFrame(0x82, make([]byte, 2000)), 10)
					for !heardClose.Load() && a.try(flood) {
					}
				})
				clients.Go(func() { codes <- lastWord(a, &heardClose) })
			}
			close(all)
			within(t, timeoutOf(10), "all are sending", func() bool { return s.Stats().MessagesIn > 50*conns })
			ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(15))
			defer cancel()
			if err := s.Shutdown(ctx); err != nil {
				t.Error(err)
			}
			clients.Wait()
			for range conns {
				if c := <-codes; c != "Close 1001" {
					t.Error("a client heard", c)
				}
			}
			_, closed := ends.of("/sender")
			if opened, _ := ends.total(); opened != conns || len(closed) != conns {
				t.Errorf("%d opened, %d closed", opened, len(closed))
			}
			for _, e := range closed {
				if e.Code != 1001 || !e.WasClean {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}

// lastWord reads to the end, answers a Close, and tells what came last.
func lastWord(a *attacker, heardClose *atomic.Bool) string {
	defer a.Close()
	for {
		f, err := a.hear()
		if err != nil {
			return err.Error()
		}
		if f.op == 8 {
			heardClose.Store(true)
			a.try(maskedFrame(0x88, f.payload))
			return fmt.Sprint("Close ", int(f.payload[0])<<8|int(f.payload[1]))
		}
	}
}

// TestMaxConns: one more is answered 503, counted, and there is room again when one goes.
func TestMaxConns(t *testing.T) {
	for name, o := range map[string]Options{
		"max-conns": {MaxConns: 10}, "max-conns-per-address": {MaxConnsPerAddress: 10},
	} {
		for kind, bridged := range map[string]bool{"native": false, "bridged": true} {
			t.Run(name+" "+kind, func(t *testing.T) {
				s := serveOn(t, echoHandler, o, bridged)
				var all []*attacker
				for range 10 {
					all = append(all, attack(t, s))
				}
				for range 200 {
					knock(t, "tcp", s.Addr().String()).expectStatus(t, http.StatusServiceUnavailable)
				}
				if st := s.Stats(); st.Refusals[name] != 200 || st.Open != 10 {
					t.Errorf("%+v", st)
				}
				for _, a := range all[:5] {
					a.reset()
				}
				within(t, timeoutOf(5), "five have gone", func() bool { return s.conns() == 5 })
				for range 5 {
					attack(t, s)
				}
				knock(t, "tcp", s.Addr().String()).expectStatus(t, http.StatusServiceUnavailable)
			})
		}
	}
}

// TestMaxConnsPerAddressSparesOthers: an address at its limit does not keep others out.
func TestMaxConnsPerAddressSparesOthers(t *testing.T) {
	s := startServer(t, echoHandler, Options{MaxConnsPerAddress: 5})
	from := func(ip string) *attacker {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: 5 * time.Second}
		nc, err := d.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Skip("this system has no second loopback address: ", err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(20 * time.Second))
		return &attacker{nc, newReader(nc)}
	}
	for range 5 {
		from("127.0.0.2").upgrade(t)
	}
	from("127.0.0.2").expectStatus(t, http.StatusServiceUnavailable)
	besideInnocent(t, s, func() {
		for range 100 {
			from("127.0.0.2").expectStatus(t, http.StatusServiceUnavailable)
		}
	})
	if n := s.Stats().Refusals["max-conns-per-address"]; n < 101 || !strings.HasPrefix(s.Addr().String(), "127.0.0.1:") {
		t.Error(n, "refused")
	}
}
