package engine

import (
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// close(code, reason) and the closing handshake (DOM.md, "close").

// Which codes a server's user may send: 1000-1003, 1007-1009, 1011-1014 and 3000-4999.
// The parameter is an int: 66536 does not wrap to 1000.
func TestCloseCodes(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	allowed := func(code int) bool {
		return code == 1000 || code >= 3000 && code <= 4999 ||
			code >= 1001 && code <= 1003 || code >= 1007 && code <= 1009 || code >= 1011 && code <= 1014
	}
	refuse := func(state ReadyState) {
		t.Helper()
		for code := -1; code <= 70_000; code++ {
			if allowed(code) {
				continue
			}
			for _, reason := range []string{"", "\xff"} { // the code is checked before the reason
				err := c.CloseWith(code, reason)
				if !errors.Is(err, ErrInvalidAccess) || errors.Is(err, ErrSyntax) {
					t.Fatalf("%d in %v: %v", code, state, err)
				}
			}
		}
		for code := 0; code < 5000; code++ {
			if !allowed(code) {
				continue
			}
			for _, reason := range []string{strings.Repeat("r", 124), "\xff"} {
				err := c.CloseWith(code, reason)
				if !errors.Is(err, ErrSyntax) || errors.Is(err, ErrInvalidAccess) {
					t.Fatalf("%d with a bad reason in %v: %v", code, state, err)
				}
			}
		}
		for _, code := range []int64{-1 << 62, 1<<32 + 1000} { // 1000, if they wrapped
			if strconv.IntSize == 64 {
				isAll(t, c.CloseWith(int(code), ""), ErrInvalidAccess)
			}
		}
		isAll(t, c.CloseWith(math.MinInt, ""), ErrInvalidAccess)
		isAll(t, c.CloseWith(math.MaxInt, ""), ErrInvalidAccess)
		if got := c.ReadyState(); got != state {
			t.Fatalf("an error moved the state from %v to %v", state, got)
		}
	}
	refuse(Open)
	if err := c.CloseWith(4999, ""); err != nil {
		t.Fatal(err)
	}
	refuse(Closing)
	f.wantsClose(4999, "")
	f.closeWith(4999, "")
	d.end()
	refuse(Closed)
	for code := 0; code < 5000; code++ {
		if allowed(code) && c.CloseWith(code, "") != nil {
			t.Fatal("in CLOSED it does nothing:", code)
		}
	}
	f.wantsEnd()
}

// In CONNECTING the arguments are checked too, and an error leaves the state as it was.
func TestCloseArgumentsWhileConnecting(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{Upgrade: func(u *Upgrade) {
		isAll(t, u.Conn().CloseWith(1005, "\xff"), ErrInvalidAccess)
		isAll(t, u.Conn().CloseWith(1000, "\xff"), ErrSyntax)
	}}), Options{})
	dialForeign(t, s, 0)
	if st := d.conn().ReadyState(); st != Open {
		t.Error(st)
	}
}

// Every allowed code arrives with its reason, and the peer's echo ends it cleanly.
func TestCloseCodesOnTheWire(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		for _, k := range []struct {
			code   int
			reason string
		}{
			{1000, ""}, {1001, "away"}, {1003, ""}, {1007, ""}, {1009, "big"}, {1011, ""}, {1014, ""},
			{3000, strings.Repeat("r", 123)}, {4999, strings.Repeat("é", 61) + "!"},
		} {
			f := dialForeign(t, s, 0)
			c := d.conn()
			if err := c.CloseWith(k.code, k.reason); err != nil {
				t.Fatal(k.code, err)
			}
			if c.ReadyState() != Closing {
				t.Error("state when Close returned:", c.ReadyState())
			}
			f.wantsClose(k.code, k.reason)
			f.closeWith(k.code, "the peer's")
			f.wantsEnd()
			if e := d.end(); e.Code != k.code || e.Reason != "the peer's" || !e.WasClean || e.Err != nil {
				t.Errorf("%d: %+v", k.code, e)
			}
			f.Close()
		}
		settled(t, s)
		if st := s.Stats(); st.Closes[1000] != 1 || st.Closes[4999] != 1 || len(st.Failures) != 0 {
			t.Errorf("%+v", st)
		}
	})
}

func TestCloseReasonLength(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	for _, reason := range []string{strings.Repeat("x", 124), strings.Repeat("é", 62), "a\xc3", "\xed\xa0\x80"} {
		isAll(t, c.CloseWith(1000, reason), ErrSyntax)
	}
	if err := c.CloseWith(1000, strings.Repeat("é", 61)+"x"); err != nil { // 123 bytes
		t.Error(err)
	}
	f.wantsClose(1000, strings.Repeat("é", 61)+"x")
}

// CloseNoStatus sends an empty body: the peer, and OnClose after its echo, see 1005.
func TestCloseNoStatus(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		if err := c.CloseNoStatus(); err != nil || c.ReadyState() != Closing {
			t.Error(err, c.ReadyState())
		}
		f.wantsClose(0, "")
		f.send(ws.OpClose, true, "")
		if e := d.end(); e.Code != 1005 || e.Reason != "" || !e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// Closing again, in whatever way, does nothing: the first Close frame is the only one.
func TestCloseOnce(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
			_ = c.CloseWith(3000, "first")
			_ = c.CloseWith(3001, "second")
			_ = c.CloseNoStatus()
			_ = c.Close()
		}}), Options{})
		f := dialForeign(t, s, 0)
		f.text("go")
		f.wantsClose(3000, "first")
		f.closeWith(1000, "")
		f.wantsEnd()
		if e := d.end(); e.Code != 1000 || !e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// Queued messages leave before the Close frame, however many are waiting.
func TestCloseBehindTheQueue(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		const messages = 200
		for range messages {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		if c.BufferedAmount() == 0 {
			t.Fatal("nothing is queued")
		}
		_ = c.CloseWith(3999, "after all")
		for range messages {
			if fr := f.next(); len(fr.Payload) != 50_000 {
				t.Fatal(len(fr.Payload))
			}
		}
		f.wantsClose(3999, "after all")
		f.closeWith(3999, "")
		if e := d.end(); !e.WasClean || c.BufferedAmount() != 0 {
			t.Errorf("%+v %d", e, c.BufferedAmount())
		}
	})
}

// After Close has returned inside a callback no message is delivered, of the same segment or later.
func TestNoMessageAfterClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, msg Message) {
			if string(msg.Data) == "close" {
				_ = c.Close()
			}
		}}), Options{})
		f := dialForeign(t, s, 0)
		f.write(frames(ws.NewTextFrame([]byte("close")), ws.NewTextFrame([]byte("late 1")), ws.NewPingFrame(nil),
			ws.NewFrame(ws.OpText, false, []byte("late ")), ws.NewFrame(ws.OpContinuation, true, []byte("2"))))
		fr := f.next() // no pong behind it: RFC 6455 5.5.1 wants no frame after a Close
		if m.workers != 0 && fr.Header.OpCode == ws.OpPong {
			fr = f.next() // the loop answers pings while the worker runs
		}
		f.isClose(fr, 1000, "")
		f.text("late 3")
		f.closeWith(1000, "")
		f.wantsEnd()
		d.end()
		d.wants("open OPEN", "message close OPEN", `close 1000 "" clean=true CLOSED`)
	})
}

// The same from another goroutine: what arrives after Close returned is not delivered.
// Only a message whose delivery had begun by then may still be seen.
func TestNoMessageAfterCloseElsewhere(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for range 10 {
			var closed atomic.Bool
			var late atomic.Int32
			d := newDiary(t)
			s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
				if closed.Load() {
					late.Add(1)
				}
			}}), Options{})
			f := dialForeign(t, s, 0)
			c := d.conn()
			stop := make(chan struct{})
			go func() { // messages without end
				many := frames(ws.NewTextFrame([]byte("a")), ws.NewTextFrame([]byte("b")), ws.NewTextFrame([]byte("c")))
				for {
					select {
					case <-stop:
						return
					default:
						if _, err := f.Write(many); err != nil {
							return
						}
					}
				}
			}()
			within(t, timeoutOf(5), "messages", func() bool { return s.Stats().MessagesIn > 0 })
			_ = c.Close()
			closed.Store(true)
			f.wantsClose(1000, "")
			close(stop)
			f.closeWith(1000, "")
			d.end()
			if n := late.Load(); n > 1 {
				t.Fatalf("%d messages were delivered after Close had returned", n)
			}
			_ = s.Close()
		}
	})
}

// A received Close is answered once, with the same code and without its reason.
func TestReceivedCloseIsAnswered(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
			f := dialForeign(t, s, 0)
			reason := strings.Repeat("é", code%62)
			f.closeWith(code, reason)
			f.wantsClose(code, "")
			f.wantsEnd()
			if e := d.end(); e.Code != code || e.Reason != reason || !e.WasClean || e.Err != nil {
				t.Errorf("%d: %+v", code, e)
			}
			f.Close()
		}
		f := dialForeign(t, s, 0)
		f.send(ws.OpClose, true, "")
		f.wantsClose(0, "")
		f.wantsEnd()
		if e := d.end(); e.Code != 1005 || !e.WasClean {
			t.Errorf("no body: %+v", e)
		}
	})
}

// What no Close frame may say.
func TestBadReceivedClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		body := func(code int, reason string) string { return string([]byte{byte(code >> 8), byte(code)}) + reason }
		bad := map[string]int{"\x03": 1002, body(1000, "\xff"): 1007, body(3000, "ok\xc3"): 1007, body(1000, "\xed\xa0\x80"): 1007}
		for _, code := range []int{0, 1, 500, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 5001, 65535} {
			bad[body(code, "")] = 1002
			bad[body(code, "\xff")] = 1002 // the code is looked at first
		}
		for b, code := range bad {
			f := dialForeign(t, s, 0)
			f.send(ws.OpClose, true, b)
			f.wantsClose(code, "")
			f.wantsEnd()
			e := d.end()
			var ce *CloseError
			if e.Code != 1006 || e.Reason != "" || e.WasClean || !errors.As(e.Err, &ce) || ce.Code != code {
				t.Errorf("%q: %+v", b, e)
			}
			f.Close()
		}
		if n := s.Stats().Failures[1007]; n != 3 {
			t.Error("failed with 1007:", n)
		}
	})
}

// A Close is answered with its own code, and with RepeatCloseReason with its reason, too (RFC 6455 5.5.1).
func TestCloseIsAnswered(t *testing.T) {
	for _, repeat := range []bool{false, true} {
		inEveryMode(t, func(t *testing.T, m mode) {
			d := newDiary(t)
			s := m.start(t, d.handler(Funcs{}), Options{RepeatCloseReason: repeat})
			for _, k := range []struct {
				code   int
				reason string
			}{
				{0, ""}, {1000, ""}, {1000, "bye"}, {1010, "no extension"}, {3000, strings.Repeat("r", 123)}, {4999, strings.Repeat("é", 61) + "!"},
			} {
				f := dialForeign(t, s, 0)
				d.conn()
				want, reported := "", k.code
				if repeat {
					want = k.reason
				}
				if k.code == 0 {
					reported = 1005
					f.send(ws.OpClose, true, "")
				} else {
					f.closeWith(k.code, k.reason)
				}
				f.wantsClose(k.code, want)
				f.wantsEnd()
				if e := d.end(); e.Code != reported || e.Reason != k.reason || !e.WasClean {
					t.Errorf("%+v", e)
				}
				f.Close()
			}
			f := dialForeign(t, s, 0)
			d.conn()
			f.send(ws.OpClose, true, "\x03\xe8\xff") // a reason that is not UTF-8 comes back from nobody
			f.wantsClose(1007, "")
			d.end()
		})
	}
}

// Nothing after a Close is processed: no message, no pong, no second answer, no failure.
func TestNothingAfterAReceivedClose(t *testing.T) {
	for name, tail := range map[string][]byte{
		"message":   frames(ws.NewTextFrame([]byte("late"))),
		"ping":      frames(ws.NewPingFrame([]byte("late"))),
		"close":     frames(ws.NewCloseFrame(ws.NewCloseFrameBody(3000, "again"))),
		"violation": {0xff, 0xff, 0xff, 0xff},
	} {
		t.Run(name, func(t *testing.T) {
			inEveryMode(t, func(t *testing.T, m mode) {
				d := newDiary(t)
				s := m.start(t, d.handler(Funcs{}), Options{})
				f := dialForeign(t, s, 0)
				f.write(append(frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "the end"))), tail...))
				f.wantsClose(1000, "")
				f.write(tail)
				f.wantsEnd()
				d.end()
				d.wants("open OPEN", `close 1000 "the end" clean=true CLOSED`)
				if st := s.Stats(); st.MessagesIn != 0 || st.PingsIn != 0 || len(st.Failures) != 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// A peer that half-closes right after its Close still gets our queue and our Close.
func TestHalfCloseAfterClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
			for range 60 {
				_ = c.SendBinary(make([]byte, 50_000))
			}
		}}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		f.text("go")
		f.closeWith(3000, "")
		if err := f.raw.CloseWrite(); err != nil {
			t.Fatal(err)
		}
		for range 60 {
			if fr := f.next(); len(fr.Payload) != 50_000 {
				t.Fatal(fr.Header)
			}
		}
		f.wantsClose(3000, "")
		f.wantsEnd()
		if e := d.end(); e.Code != 3000 || !e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// A peer that sends its Close and leaves without taking what was queued: that is not
// clean, and what was lost is counted.
func TestPeerLeavesWithMessagesUndelivered(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		for range 200 {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		f.closeWith(1000, "")
		within(t, timeoutOf(5), "CLOSING", func() bool { return c.ReadyState() == Closing })
		f.reset()
		e := d.end()
		if e.WasClean || e.Code != 1000 || e.Err == nil || c.BufferedAmount() == 0 { // RFC 6455 7.1.5: the code is what the peer's Close said
			t.Errorf("%+v, %d undelivered", e, c.BufferedAmount())
		}
	})
}

// A peer that never answers our Close is cut off after CloseTimeout: 1006, with an error.
func TestCloseTimeout(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{CloseTimeout: 150 * time.Millisecond}})
		f := dialForeign(t, s, 0)
		began := time.Now()
		_ = d.conn().Close()
		f.wantsClose(1000, "")
		f.text("still talking, which moves no deadline")
		e := d.end()
		isAll(t, e.Err, ErrCloseTimeout)
		if took := time.Since(began); e.Code != 1006 || e.WasClean || took < 140*time.Millisecond || took > timeoutOf(2) {
			t.Errorf("%+v after %v", e, took)
		}
		d.wants("open OPEN", "error 1006 CLOSED", `close 1006 "" clean=false CLOSED`)
		if _, err := f.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Error("not reset:", err)
		}
	})
}

// A peer that neither reads nor answers cannot hold a connection that closes, queue or not.
func TestCloseTimeoutWithAQueue(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		d := newDiary(t)
		// What a bridge's goroutine hands to the kernel late looks like a peer that reads, who has WriteStallTimeout.
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{CloseTimeout: 150 * time.Millisecond, WriteStallTimeout: aliveWithin()}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		for range 200 {
			_ = c.SendBinary(make([]byte, 50_000)) // far over HighWater: reading is paused
		}
		f.closeWith(1000, "") // which is only read because closing resumes
		_ = c.Close()
		e := d.end()
		if e.Code != 1006 || e.WasClean || e.Err == nil || c.BufferedAmount() == 0 {
			t.Errorf("%+v %d", e, c.BufferedAmount())
		}
	})
}

// Terminate drops what is queued and resets, from every state and place.
func TestTerminate(t *testing.T) {
	for _, where := range []string{"OnOpen", "OnMessage", "elsewhere", "closing", "with a queue", "paused"} {
		t.Run(where, func(t *testing.T) {
			inEveryMode(t, func(t *testing.T, m mode) {
				d := newDiary(t)
				end := func(c *Conn) {
					c.Terminate()
					if c.ReadyState() < Closing {
						t.Error("state when Terminate returned:", c.ReadyState())
					}
					isAll(t, c.SendText("x"), ErrClosed)
				}
				s := m.start(t, d.handler(Funcs{
					Open: func(c *Conn) {
						if where == "OnOpen" {
							end(c)
						}
					},
					Message: func(c *Conn, _ Message) { end(c) },
				}), Options{Limits: Limits{HighWater: 64 << 20}})
				if where == "OnOpen" { // which may drop the 101 as well
					_ = readAll(rawRequest(t, s, ""))
					isAll(t, d.end().Err, ErrTerminated)
					settled(t, s)
					return
				}
				f := dialForeign(t, s, 4096)
				c := d.conn()
				switch where {
				case "OnMessage":
					f.write(frames(ws.NewTextFrame([]byte("a")), ws.NewTextFrame([]byte("b"))))
				case "closing":
					_ = c.Close()
					end(c)
				case "with a queue":
					for range 200 {
						_ = c.SendBinary(make([]byte, 50_000))
					}
					end(c)
				case "paused":
					c.Pause()
					end(c)
				case "elsewhere":
					end(c)
				}
				e := d.end()
				isAll(t, e.Err, ErrTerminated)
				if e.Code != 1006 || e.WasClean || d.has("message b CLOSING") {
					t.Errorf("%+v %q", e, d.all())
				}
				f.drain()
				c.Terminate()
				settled(t, s)
			})
		})
	}
}

// Close inside every callback there is.
func TestCloseInsideEveryCallback(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		var now atomic.Value
		closeIn := func(c *Conn, name string) {
			if now.Load() == name {
				if err := c.CloseWith(3000, name); err != nil {
					t.Error(name, err)
				}
				st := c.ReadyState()
				if st == Closed && m.workers > 0 { // the loop has got the peer's answer meanwhile
					return
				}
				if name != "OnClose" && name != "OnError" && st != Closing {
					t.Error(name, st)
				}
			}
		}
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Open:      func(c *Conn) { closeIn(c, "OnOpen") },
			Message:   func(c *Conn, _ Message) { closeIn(c, "OnMessage") },
			Ping:      func(c *Conn, _ []byte) { closeIn(c, "OnPing") },
			Pong:      func(c *Conn, _ []byte) { closeIn(c, "OnPong") },
			HighWater: func(c *Conn) { closeIn(c, "OnHighWater") },
			Drain:     func(c *Conn) { closeIn(c, "OnDrain") },
			Error:     func(c *Conn, _ error) { closeIn(c, "OnError") },
			Close:     func(c *Conn, _ CloseEvent) { closeIn(c, "OnClose") },
		}), Options{Limits: Limits{HighWater: 100_000}})
		fill := func(c *Conn) {
			for range 200 {
				_ = c.SendBinary(make([]byte, 50_000))
			}
		}
		for name, begin := range map[string]func(f *foreign, c *Conn){
			"OnOpen":      func(*foreign, *Conn) {},
			"OnMessage":   func(f *foreign, _ *Conn) { f.text("go") },
			"OnPing":      func(f *foreign, _ *Conn) { f.send(ws.OpPing, true, "") },
			"OnPong":      func(f *foreign, _ *Conn) { f.send(ws.OpPong, true, "") },
			"OnHighWater": func(f *foreign, c *Conn) { fill(c) },
			"OnDrain":     func(f *foreign, c *Conn) { fill(c) },
			"posted":      func(_ *foreign, c *Conn) { _ = c.Post(func(c *Conn) { closeIn(c, "posted") }) },
			"OnError":     func(f *foreign, _ *Conn) { f.text("\xff") },
			"OnClose":     func(f *foreign, _ *Conn) { f.closeWith(1000, "") },
		} {
			now.Store(name)
			f := dialForeign(t, s, 4096)
			c := d.conn()
			begin(f, c)
			fr := f.next()
			for fr.Header.OpCode != ws.OpClose {
				fr = f.next()
			}
			want := name
			switch name {
			case "OnError":
				f.isClose(fr, 1007, "")
			case "OnClose":
				f.isClose(fr, 1000, "")
			default:
				f.isClose(fr, 3000, want)
				f.closeWith(3000, "")
			}
			if e := d.end(); e.WasClean == (name == "OnError") {
				t.Errorf("%s: %+v", name, e)
			}
			f.Close()
		}
		settled(t, s)
	})
}

// Two ends that close at once: one Close frame each way, clean.
func TestCrossingCloses(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		for i := range 20 {
			f := dialForeign(t, s, 0)
			c := d.conn()
			go func() { _ = c.CloseWith(4000, "server's") }()
			f.closeWith(4001, "client's")
			fr := f.next()
			if code, _ := ws.ParseCloseFrameData(fr.Payload); fr.Header.OpCode != ws.OpClose || code != 4000 && code != 4001 {
				t.Fatal(fr)
			}
			f.wantsEnd()
			if e := d.end(); e.Code != 4001 || e.Reason != "client's" || !e.WasClean || e.Err != nil {
				t.Errorf("%d: %+v", i, e)
			}
			f.Close()
		}
	})
}

// The error of a failed connection knows its code and its rule.
func TestCloseErrorText(t *testing.T) {
	err := error(&CloseError{1009, ErrTooLarge})
	if !errors.Is(err, ErrTooLarge) || closeCodeOf(fmt.Errorf("wrapped: %w", err)) != 1009 || !strings.Contains(err.Error(), "1009") {
		t.Error(err)
	}
	if closeCodeOf(io.EOF) != 1011 {
		t.Error("an error without a code is ours")
	}
}
