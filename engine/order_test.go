package engine

import (
	"fmt"
	"io"
	"sync"
	"testing"

	"github.com/gobwas/ws"
)

// The rule of this page: calls made by one goroutine, in order, arrive in order on each connection, whatever the
// calls are. Only control frames pass data (RFC 6455 5.4).

// waysToSend are calls that send the text p to c, and to nobody else unless they broadcast.
func waysToSend(s *Server, prepare func(string) *Prepared) []func(c *Conn, p string) {
	return []func(c *Conn, p string){
		func(_ *Conn, p string) { s.Broadcast(prepare(p), nil) },
		func(c *Conn, p string) { _ = c.SendText(p) },
		func(c *Conn, p string) { s.Broadcast(prepare(p), func(to *Conn) bool { return to == c }) },
		func(c *Conn, p string) { _ = c.SendPrepared(prepare(p)) },
		func(c *Conn, p string) {
			w := c.NewWriter(OpText)
			_, _ = io.WriteString(w, p)
			_ = w.Close()
		},
		func(c *Conn, p string) {
			b := s.pool.Get(len(p))
			b.B = append(b.B, p...)
			_ = c.SendOwned(OpText, b)
		},
	}
}

// wantsNumbers reads texts until the one that says end, and checks that their numbers rise by one each.
func (f *foreign) wantsNumbers(prefix, end string) {
	f.t.Helper()
	var text []byte
	for next := 0; ; {
		fr := f.next()
		if text = append(text, fr.Payload...); !fr.Header.Fin {
			continue
		}
		if string(text) == end {
			return
		}
		if want := fmt.Sprint(prefix, " ", next); string(text) != want {
			f.t.Fatalf("%q arrived, want %q", text, want)
		}
		next++
		text = text[:0]
	}
}

// Broadcast and then Send, from one goroutine, among others who send as well: what a callback or a goroutine sends
// with number n comes before its n+1.
func TestOneGoroutinesCallsArriveInOrder(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, inCallback := range []bool{false, true} {
			t.Run(fmt.Sprint("in a callback: ", inCallback), func(t *testing.T) {
				const rounds = 150
				d := newDiary(t)
				var s *Server
				prepare := func(p string) *Prepared { return prepared(t, OpText, []byte(p)) }
				all := func(c *Conn) {
					ways := waysToSend(s, prepare)
					for i := range rounds {
						ways[i%len(ways)](c, fmt.Sprint("one ", i))
						if i%7 == 0 {
							_ = c.Ping(nil)
						}
					}
					s.Broadcast(prepare("last"), nil)
					_ = c.CloseWith(4001, "after the broadcast")
				}
				s = m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) { all(c) }}), Options{Loops: 2})
				var others []*foreign
				for range 20 { // the loops have somebody to go through first
					others = append(others, dialForeign(t, s, 0))
				}
				within(t, timeoutOf(5), "the others", func() bool { return s.Stats().Open == 20 })
				for range others {
					d.conn()
				}
				f := dialForeign(t, s, 0)
				c := d.conn()
				if inCallback {
					f.text("go")
				} else {
					var done sync.WaitGroup
					done.Go(func() { all(c) })
					defer done.Wait()
				}
				f.skipsControl = true
				f.wantsNumbers("one", "last")
				f.wantsClose(4001, "after the broadcast")
				for _, o := range others {
					o.skipsControl = true
					o.wantsLast("last")
				}
			})
		}
	})
}

// wantsLast reads texts until this one.
func (f *foreign) wantsLast(text string) {
	f.t.Helper()
	for string(f.next().Payload) != text {
	}
}

// What waits behind a broadcast is counted, cut off by nothing, and drained.
func TestWhatWaitsBehindABroadcast(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{})
	s := l.engine
	m.credit = 1 << 20
	l.announce(prepared(t, OpText, []byte("first")), nil)
	for _, p := range []string{"second", "third"} {
		if err := c.SendText(p); err != nil {
			t.Fatal(err)
		}
	}
	if n := c.BufferedAmount(); n != uint64(len("secondthird")) || len(m.taken) != 0 {
		t.Errorf("%d buffered, %q left", n, m.taken)
	}
	w := c.NewWriter(OpText)
	_, _ = io.WriteString(w, "four")
	_ = c.CloseWith(4000, "")
	if c.ReadyState() != Closing {
		t.Error(c.ReadyState())
	}
	if err := c.SendText("late"); err != ErrClosed {
		t.Error(err)
	}
	for range 5 {
		l.OnWake()
	}
	got := m.taken
	want := "\x81\x05first\x81\x06second\x81\x05third"
	if len(got) < len(want) || string(got[:len(want)]) != want {
		t.Errorf("%q", got)
	}
	if end := "\x88\x02\x0f\xa0"; string(got[len(got)-len(end):]) != end {
		t.Errorf("the Close frame is not last: %q", got)
	}
	if s.broadcasting.Load() != 0 {
		t.Error(s.broadcasting.Load(), "bytes of broadcasts are under way")
	}
}

// A filter chooses, in whichever order broadcasts and connections come.
func TestBroadcastsToSome(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }}), Options{Loops: 2})
	var all []*foreign
	for range 10 {
		all = append(all, dialForeign(t, s, 0))
	}
	within(t, timeoutOf(5), "ten", func() bool { return s.Stats().Open == 10 })
	var chosen sync.Map
	i := 0
	for c := range s.Conns() {
		if i++; i%2 == 0 {
			chosen.Store(c, true)
		}
	}
	for k := range 50 {
		s.Broadcast(prepared(t, OpText, fmt.Appendf(nil, "some %d", k)), func(c *Conn) bool { _, ok := chosen.Load(c); return ok })
	}
	s.Broadcast(prepared(t, OpText, []byte("all")), nil)
	got := 0
	for _, f := range all {
		n := 0
		for fr := f.next(); string(fr.Payload) != "all"; fr = f.next() {
			if want := fmt.Sprint("some ", n); string(fr.Payload) != want || fr.Header.OpCode != ws.OpText {
				t.Fatalf("%q, want %q", fr.Payload, want)
			}
			n++
		}
		if n != 0 && n != 50 {
			t.Errorf("%d of 50 broadcasts", n)
		}
		got += n
	}
	if got != 5*50 {
		t.Errorf("%d came, want %d", got, 5*50)
	}
}

// More broadcasts than a connection is asked for at once, and a message behind them: all arrive in order.
func TestManyBroadcastsAtOnce(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{MaxBufferedAmount: -1}})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for i := range 30 * mostAsked {
			s.Broadcast(prepared(t, OpText, fmt.Appendf(nil, "n %d", i)), nil)
		}
		_ = c.SendText("last")
		_ = c.Close()
		f.wantsNumbers("n", "last")
		f.wantsClose(1000, "")
	})
}
