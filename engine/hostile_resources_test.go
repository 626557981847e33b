package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// TestPeerThatNeverSends: a socket that connects and says nothing is cut off at
// HandshakeTimeout, and one that opened and says nothing at IdleTimeout (1001).
func TestPeerThatNeverSends(t *testing.T) {
	t.Parallel()
	h, ends := watching(echoHandler)
	s := startServer(t, h, Options{
		HandshakeTimeout: aliveWithin() / 2,
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
	if st := s.Stats(); lateHandshakes(st) != 1 || st.Causes["idle"] != 1 {
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
					nc, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
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
	nc, err := connectTo(t, new(net.Dialer), "tcp", s.Addr().String())
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
					isTooMany(t, knock(t, "tcp", s.Addr().String()))
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
				isTooMany(t, knock(t, "tcp", s.Addr().String()))
			})
		}
	}
}

// TestMaxConnsPerAddressSparesOthers: an address at its limit does not keep others out.
func TestMaxConnsPerAddressSparesOthers(t *testing.T) {
	s := startServer(t, echoHandler, Options{MaxConnsPerAddress: 5})
	from := func(ip string) *attacker {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}, Timeout: timeoutOf(5)}
		nc, err := connectTo(t, &d, "tcp", s.Addr().String())
		if err != nil {
			t.Skip("this system has no second loopback address: ", err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		return &attacker{nc, newReader(nc)}
	}
	for range 5 {
		from("127.0.0.2").upgrade(t)
	}
	refused := func() {
		isTooMany(t, from("127.0.0.2"))
	}
	refused()
	besideInnocent(t, s, func() {
		for range 100 {
			refused()
		}
	})
	if n := s.Stats().Refusals["max-conns-per-address"]; n < 101 || !strings.HasPrefix(s.Addr().String(), "127.0.0.1:") {
		t.Error(n, "refused")
	}
}
