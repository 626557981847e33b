package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// What a peer that does not read costs, and when it ends (DESIGN.md section 5).

// Interest notes what the connection is watched for.
func (m *meter) Interest(_ int, _, now netio.Interest) error {
	m.watched = now
	return nil
}

func (m *meter) reading() bool { return m.watched&netio.Readable != 0 }

// The marks are exact: above HighWater OnHighWater and no reading, at LowWater OnDrain
// and reading again, once each.
func TestHighAndLowWater(t *testing.T) {
	for _, k := range []struct{ high, low int64 }{{1000, 400}, {1, 1}, {32 << 10, 8 << 10}, {1 << 20, 256 << 10}, {1 << 20, 1 << 20}} {
		t.Run(fmt.Sprint(k.high, " ", k.low), func(t *testing.T) {
			var events []string
			l, m, c := meteredConn(t, Funcs{
				HighWater: func(*Conn) { events = append(events, "high") },
				Drain:     func(*Conn) { events = append(events, "drain") },
			}, Options{Limits: Limits{HighWater: k.high, LowWater: k.low}})
			wants := func(what string, reading bool, want ...string) {
				t.Helper()
				l.OnWake()
				if !slices.Equal(events, want) || m.reading() != reading {
					t.Fatalf("%s: %v, reading: %v; want %v, %v", what, events, m.reading(), want, reading)
				}
			}
			queue := func(n int64) { // to exactly n bytes
				t.Helper()
				for c.out.Idle() || int64(c.out.Account().Queued) < n {
					left := n
					if !c.out.Idle() {
						left -= int64(c.out.Account().Queued)
					}
					var err error
					switch {
					case left > 5000:
						err = c.SendBinary(make([]byte, 4400))
					case left > 200:
						err = c.SendBinary(make([]byte, 98))
					case left > 127 || left == 1:
						err = c.Ping(nil)
					default:
						err = c.SendBinary(make([]byte, left-2))
					}
					if err != nil {
						t.Fatal(err)
					}
				}
			}
			m.watched = netio.Readable
			if k.high > 1 {
				queue(k.high)
				wants("at high", true)
			}
			over := max(k.high+2, 3)
			queue(over)
			wants("above high", false, "high")
			if q := int64(c.out.Account().Queued); k.low < over-1 {
				m.room(l, int(q-k.low-1))
				wants("above low", false, "high")
			}
			m.room(l, 1)
			if k.low == k.high { // over is two above
				m.room(l, 1)
			}
			wants("at low", true, "high", "drain")
			m.room(l, 8<<20)
			wants("empty", true, "high", "drain")
			m.credit = 0
			queue(over)
			wants("above high again", false, "high", "drain", "high")
			m.room(l, 8<<20)
			wants("empty again", true, "high", "drain", "high", "drain")
			if n := l.engine.snapshot().Pauses; n != 2 {
				t.Error("pauses:", n)
			}
		})
	}
}

// Pongs count against the limits too: a peer that pings and does not read is not read.
func TestPongsCountAsQueued(t *testing.T) {
	high := 0
	l, m, c := meteredConn(t, Funcs{HighWater: func(*Conn) { high++ }}, Options{Limits: Limits{HighWater: 100}})
	m.input = frames(ws.NewPingFrame(bytes.Repeat([]byte("p"), 120)))
	l.OnEvent(5, netio.Readable)
	l.OnWake()
	if n := c.BufferedAmount(); high != 1 || m.reading() || n != 0 {
		t.Error(high, m.reading(), n)
	}
}

// A client that writes 64 MiB before it reads anything ends by the rules and never by
// hanging: it is not read while it does not read, and when nothing moves for
// WriteStallTimeout the connection ends.
func TestClientThatWritesEverythingFirst(t *testing.T) {
	t.Parallel()
	inEveryMode(t, func(t *testing.T, m mode) {
		t.Parallel()
		d := newDiary(t)
		h := d.handler(echoHandler)
		h.Message = echoHandler.Message
		s := m.start(t, h, Options{Limits: Limits{WriteStallTimeout: aliveWithin()}})
		f := dialForeign(t, s, 0)
		c := d.conn()
		wrote := make(chan int, 1)
		go func() {
			one := frames(ws.NewBinaryFrame(make([]byte, 64<<10)))
			for i := range 1024 {
				if _, err := f.Write(one); err != nil {
					wrote <- i
					return
				}
			}
			wrote <- 1024
		}()
		var most int64
		ended := make(chan CloseEvent, 1)
		go func() { ended <- d.end() }()
		var e CloseEvent
		for done := false; !done; {
			select {
			case e = <-ended:
				done = true
			case <-time.After(2 * time.Millisecond):
				most = max(most, s.Stats().Buffers.OutBytes)
			}
		}
		var ce *CloseError
		isAll(t, e.Err, ErrSlowConsumer)
		if e.Code != 1006 || !errors.As(e.Err, &ce) || ce.Code != 1013 {
			t.Errorf("%+v", e)
		}
		if n := receive(t, wrote, "the client's end"); n == 1024 {
			t.Error("the client wrote everything: nothing held it back")
		}
		// HighWater, what one turn or the inbox adds to it, and the halves of size classes.
		if limit := int64(8 << 20); most > limit {
			t.Errorf("the server held %d bytes, more than %d", most, limit)
		}
		st := s.Stats()
		if st.Causes["write-stall"] != 1 || st.Failures[1013] != 1 || st.Pauses == 0 || c.BufferedAmount() == 0 {
			t.Errorf("%+v %d", st, c.BufferedAmount())
		}
		t.Logf("most held: %d bytes", most)
	})
}

// The same client, when it begins to read while it is stuck, gets all of it.
func TestClientThatReadsLate(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		h := d.handler(echoHandler)
		h.Message = echoHandler.Message
		s := m.start(t, h, Options{})
		f := dialForeign(t, s, 0)
		d.conn()
		const size, messages = 64 << 10, 400
		go func() {
			for i := range messages {
				p := bytes.Repeat([]byte{byte(i)}, size)
				if _, err := f.Write(frames(ws.NewBinaryFrame(p))); err != nil {
					t.Error(err)
					return
				}
			}
		}()
		within(t, timeoutOf(10), "reading paused", func() bool { return s.Stats().Pauses > 0 })
		for i := range messages {
			fr := f.next()
			if len(fr.Payload) != size || fr.Payload[0] != byte(i) || fr.Payload[size-1] != byte(i) {
				t.Fatalf("message %d: %d bytes of %d", i, len(fr.Payload), fr.Payload[0])
			}
		}
		f.closeWith(1000, "")
		f.wantsClose(1000, "")
		if e := d.end(); !e.WasClean {
			t.Errorf("%+v", e)
		}
	})
}

// Close and Shutdown read on in discard mode: a peer stuck in its own write comes free,
// and its Close is seen.
func TestClosingResumesReading(t *testing.T) {
	for name, end := range map[string]func(s *Server, c *Conn){
		"Close":    func(_ *Server, c *Conn) { _ = c.CloseWith(1001, "server shutting down") },
		"Shutdown": func(s *Server, _ *Conn) { go func() { _ = s.Shutdown(context.Background()) }() },
	} {
		t.Run(name, func(t *testing.T) {
			inEveryMode(t, func(t *testing.T, m mode) {
				d := newDiary(t)
				h := d.handler(echoHandler)
				h.Message = echoHandler.Message
				s := m.start(t, h, Options{})
				f := dialForeign(t, s, 0)
				c := d.conn()
				wrote := make(chan error, 1)
				go func() {
					one := frames(ws.NewBinaryFrame(make([]byte, 64<<10)))
					for range 512 {
						if _, err := f.Write(one); err != nil {
							wrote <- err
							return
						}
					}
					wrote <- ws.WriteFrame(f, ws.MaskFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, ""))))
				}()
				within(t, timeoutOf(10), "reading paused", func() bool { return s.Stats().Pauses > 0 })
				end(s, c)
				if err := receive(t, wrote, "the stuck write's end"); err != nil {
					t.Error(err)
				}
				fr := f.next()
				for fr.Header.OpCode == ws.OpBinary {
					fr = f.next()
				}
				f.isClose(fr, 1001, "server shutting down")
				if e := d.end(); e.Code != 1001 || !e.WasClean {
					t.Errorf("%+v", e)
				}
			})
		})
	}
}

// MaxBufferedAmount with each policy. A single message into an empty queue always passes.
func TestMaxBufferedAmount(t *testing.T) {
	const limit = 1000
	fill := func(t *testing.T, l *loop, m *meter, c *Conn) {
		t.Helper()
		if err := c.SendBinary(make([]byte, 5*limit)); err != nil {
			t.Fatal("a single message into an empty queue:", err)
		}
		m.room(l, 4+5*limit-500) // 500 bytes are left of it
		if err := c.SendBinary(make([]byte, 496)); err != nil {
			t.Fatal("a second one, not over the limit:", err)
		}
		if q := c.out.Account().Queued; q != limit {
			t.Fatalf("%d bytes are queued, want the limit of %d", q, limit)
		}
	}
	t.Run("DropMessage", func(t *testing.T) {
		l, m, c := meteredConn(t, Funcs{}, Options{Limits: Limits{MaxBufferedAmount: limit, Overflow: DropMessage}})
		fill(t, l, m, c)
		before := c.BufferedAmount()
		for i, way := range senders {
			if err := way.send(c, OpText, []byte("x")); err != ErrBufferFull {
				t.Errorf("%s: %v", way.name, err)
			}
			if n := l.engine.snapshot().MessagesDropped; n != uint64(i+1) {
				t.Error("dropped:", n)
			}
		}
		if c.BufferedAmount() != before || c.ReadyState() != Open {
			t.Error(c.BufferedAmount(), before, c.ReadyState())
		}
		m.room(l, 3)
		if err := c.SendText("x"); err != nil {
			t.Error("after room was made:", err)
		}
		m.taken = m.taken[:0]
		m.room(l, 1<<20)
		if want := 1000; len(m.taken) != want {
			t.Errorf("%d bytes left, want %d: a dropped message is not sent", len(m.taken), want)
		}
	})
	t.Run("CloseSlow", func(t *testing.T) {
		d := newDiary(t)
		l, m, c := meteredConn(t, d.handler(Funcs{}), Options{Limits: Limits{MaxBufferedAmount: limit}})
		fill(t, l, m, c)
		before := c.BufferedAmount()
		if err := c.SendText("x"); err != ErrSlowConsumer || c.ReadyState() != Closing || c.BufferedAmount() != before {
			t.Error(err, c.ReadyState(), c.BufferedAmount(), before)
		}
		if err := c.SendText("x"); err != ErrClosed {
			t.Error("the next one:", err)
		}
		m.taken = m.taken[:0]
		m.room(l, 1<<20) // it reads after all: what was queued, then why
		if want := limit + 4; len(m.taken) != want || !bytes.HasSuffix(m.taken, []byte{0x88, 2, 1013 >> 8, 1013 & 0xff}) {
			t.Errorf("%d bytes left, want %d with a Close of 1013 at the end", len(m.taken), want)
		}
		e := d.end()
		var ce *CloseError
		if !errors.As(e.Err, &ce) || ce.Code != 1013 || !errors.Is(e.Err, ErrSlowConsumer) || e.Code != 1006 {
			t.Errorf("%+v", e)
		}
		d.wants("open OPEN", "error 1013 CLOSED", `close 1006 "" clean=false CLOSED`)
		if st := l.engine.snapshot(); st.Failures[1013] != 1 || st.MessagesDropped != 0 {
			t.Errorf("%+v", st)
		}
	})
	t.Run("no limit", func(t *testing.T) {
		_, _, c := meteredConn(t, Funcs{}, Options{Limits: Limits{MaxBufferedAmount: -1}})
		for range 80 {
			if err := c.SendBinary(make([]byte, 1<<20)); err != nil {
				t.Fatal(err)
			}
		}
		if n := c.BufferedAmount(); n != 80<<20 {
			t.Error(n)
		}
	})
}

// What a callback has in its cork is no queue: the peer reads all that it is sent. A large
// message behind a small one passes as it would alone.
func TestMaxBufferedAmountAndTheCork(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, policy := range []Overflow{CloseSlow, DropMessage} {
			large := strings.Repeat("x", 3000)
			s := m.start(t, Funcs{Message: func(c *Conn, _ Message) {
				if err := errors.Join(c.SendText("small"), c.SendText(large), c.SendText("last")); err != nil {
					t.Error(err)
				}
			}}, Options{Limits: Limits{MaxBufferedAmount: 1000, Overflow: policy}})
			f := dialForeign(t, s, 0)
			f.text("go")
			f.wants(ws.OpText, "small")
			f.wants(ws.OpText, large)
			f.wants(ws.OpText, "last")
		}
	})
}

// Limits of one connection, from OnUpgrade and from OnOpen; the others keep the engine's.
func TestLimitsOfOneConnection(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Upgrade: func(u *Upgrade) {
				isAll(t, u.SetLimits(Limits{MaxMessageSize: -1}), ErrSyntax)
				if u.Header("X-Limits") == "upgrade" {
					if err := u.SetLimits(Limits{MaxMessageSize: 10}); err != nil {
						t.Error(err)
					}
				}
				u.SetValue(u.Header("X-Limits"))
			},
			Open: func(c *Conn) {
				isAll(t, c.SetLimits(Limits{LowWater: 2 << 20}), ErrSyntax)
				if c.Value() == "open" {
					if err := c.SetLimits(Limits{MaxMessageSize: 10, Overflow: CloseSlow}); err != nil {
						t.Error(err)
					}
				}
			},
			Message: echoHandler.Message,
		}), Options{Limits: Limits{MaxMessageSize: 20, MaxBufferedAmount: 1000, Overflow: DropMessage}})
		for _, k := range []struct {
			name   string
			size   int
			policy Overflow
		}{{"", 20, DropMessage}, {"upgrade", 10, DropMessage}, {"open", 10, CloseSlow}} {
			nc := rawRequest(t, s, "X-Limits: "+k.name+"\r\n")
			f := &foreign{t: t, Conn: nc}
			c := d.conn()
			if l := c.limits.Load(); l.MaxMessageSize != int64(k.size) || l.MaxBufferedAmount != 1000 || l.Overflow != k.policy {
				t.Errorf("%q: %+v", k.name, l)
			}
			head := make([]byte, 1024)
			if n, err := nc.Read(head); err != nil || !bytes.HasSuffix(head[:n], []byte("\r\n\r\n")) {
				t.Fatal(n, err)
			}
			f.text(strings.Repeat("a", k.size))
			f.wants(ws.OpText, strings.Repeat("a", k.size))
			f.text(strings.Repeat("a", k.size+1))
			f.wantsClose(1009, "")
			isAll(t, d.end().Err, ErrTooLarge)
		}
	})
}

// SetLimits counts at once: raising HighWater lets an over-full queue grow, lowering
// MaxBufferedAmount refuses the next message.
func TestSetLimitsTakesEffect(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{Limits: Limits{Overflow: DropMessage}})
	if err := c.SendBinary(make([]byte, 100_000)); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLimits(Limits{MaxBufferedAmount: 100}); err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("x"); err != ErrBufferFull {
		t.Error(err)
	}
	if err := c.SetLimits(Limits{HighWater: 50, LowWater: 10}); err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("x"); err != ErrBufferFull {
		t.Error("another field was changed, and MaxBufferedAmount with it:", err)
	}
	if err := c.SetLimits(Limits{MaxBufferedAmount: 64 << 20}); err != nil {
		t.Fatal(err)
	}
	if err := c.SetLimits(Limits{HighWater: 1000}); err != nil {
		t.Fatal(err)
	}
	if err := c.SendText("x"); err != nil {
		t.Error("the limit was raised again:", err)
	}
	l.OnWake()
	if m.reading() {
		t.Error("HighWater was lowered below what is queued, and the peer is still read")
	}
}

// Pause stops delivery from the next message on, also of what was read with the message at hand; Resume goes on where it stopped.
func TestPauseAndResume(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, msg Message) {
			if string(msg.Data) == "pause" {
				c.Pause()
			}
		}}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		f.write(frames(ws.NewTextFrame([]byte("pause")), ws.NewTextFrame([]byte("same read"))))
		within(t, timeoutOf(5), "the message that pauses", func() bool { return d.has("message pause OPEN") })
		paused := make(chan struct{})
		_ = c.Post(func(c *Conn) { c.notify(0); close(paused) }) // a turn of the loop later
		receive(t, paused, "the posted function")
		f.text("later")
		_ = c.SendText("writing goes on")
		f.wants(ws.OpText, "writing goes on")
		time.Sleep(20 * time.Millisecond) // nothing tells that something does not happen
		if d.has("message later OPEN") || d.has("message same read OPEN") {
			t.Error("delivered while paused")
		}
		c.Resume()
		within(t, timeoutOf(5), "what was read", func() bool { return d.has("message same read OPEN") })
		within(t, timeoutOf(5), "what came while paused", func() bool { return d.has("message later OPEN") })
		c.Pause()
		c.Resume()
		c.Pause()
		c.Pause()
		c.Resume()
		f.text("last")
		within(t, timeoutOf(5), "the last message", func() bool { return d.has("message last OPEN") })
		c.Pause()
		_ = c.CloseWith(3000, "") // closing resumes: the answer is seen
		f.wantsClose(3000, "")
		f.closeWith(3000, "")
		if e := d.end(); !e.WasClean {
			t.Errorf("%+v", e)
		}
		c.Resume()
	})
}

// A paused peer has to wait: the kernel's buffers fill, and not the server's.
func TestPauseHoldsThePeer(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Open: func(c *Conn) { c.Pause() }}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		const messages = 400
		wrote := make(chan error, 1)
		go func() {
			one := frames(ws.NewBinaryFrame(make([]byte, 64<<10)))
			for range messages {
				if _, err := f.Write(one); err != nil {
					wrote <- err
					return
				}
			}
			wrote <- nil
		}()
		select {
		case err := <-wrote:
			t.Fatal("25 MiB went into a connection that is not read:", err)
		case <-time.After(100 * time.Millisecond):
		}
		if n := s.Stats().Buffers.OutBytes; n > 2<<20 {
			t.Error("held meanwhile:", n)
		}
		c.Resume()
		if err := receive(t, wrote, "the client's end"); err != nil {
			t.Error(err)
		}
		within(t, timeoutOf(10), "all of it", func() bool { return s.Stats().MessagesIn == messages })
	})
}

// Pings are answered in order.
func TestPingsInOrder(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Ping: func(c *Conn, p []byte) { d.note(c, "ping %s", p) },
			Pong: func(c *Conn, p []byte) { d.note(c, "pong %s", p) },
		}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for i := range 50 {
			f.send(ws.OpPing, true, fmt.Sprint(i))
			f.wants(ws.OpPong, fmt.Sprint(i))
		}
		f.send(ws.OpPing, true, strings.Repeat("p", 125))
		f.wants(ws.OpPong, strings.Repeat("p", 125))
		if err := c.Ping([]byte("ours")); err != nil {
			t.Error(err)
		}
		f.wants(ws.OpPing, "ours")
		f.send(ws.OpPong, true, "ours")
		f.send(ws.OpPong, true, "unasked") // RFC 6455 5.5.3 allows it
		within(t, timeoutOf(5), "OnPing and OnPong", func() bool {
			return d.has("ping 49 OPEN") && d.has("pong ours OPEN") && d.has("pong unasked OPEN")
		})
		if st := s.Stats(); st.PingsIn != 51 || st.PongsIn != 2 {
			t.Error(st.PingsIn, st.PongsIn)
		}
	})
}

// A ping of ours counts as all that is queued does: MaxBufferedAmount bounds them, and whoever is told so hears OnDrain.
func TestPingsAreBounded(t *testing.T) {
	const most = 1 << 20
	d, drained := newDiary(t), make(chan bool, 1)
	h := d.handler(Funcs{})
	h.Drain = func(*Conn) { drained <- true }
	s := startServer(t, h, Options{Limits: Limits{MaxBufferedAmount: most}})
	f := dialForeign(t, s, 4096)
	c := d.conn()
	var err error
	for n := 0; err == nil && n < 200_000; n++ {
		err = c.Ping(make([]byte, 125))
	}
	isAll(t, err, ErrBufferFull)
	c.lock()
	a := c.out.Account()
	c.unlock()
	if a.Queued > most {
		t.Errorf("%d bytes are queued", a.Queued)
	}
	go f.drain()
	receive(t, drained, "OnDrain")
	if c.ReadyState() != Open {
		t.Error(c.ReadyState())
	}
}

// A flood of pings into a blocked queue: one pong waits, and behind it only the newest
// ping is remembered (RFC 6455 5.5.3). Both are answered once there is room.
func TestPingFloodWithABlockedQueue(t *testing.T) {
	pings := 0
	l, m, c := meteredConn(t, Funcs{Ping: func(*Conn, []byte) { pings++ }}, Options{})
	if err := c.SendText("stuck"); err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		m.input = append(m.input, frames(ws.NewPingFrame([]byte(fmt.Sprintf("%03d", i))))...)
	}
	l.OnEvent(5, netio.Readable)
	for l.OnWake(); l.ready.left(); l.OnWake() { // the machine may take longer than a turn
	}
	if pings != 1000 {
		t.Error("OnPing was called for", pings)
	}
	if q := c.out.Account().Queued; q != 7+5 {
		t.Errorf("%d bytes are queued: more than the message and one pong", q)
	}
	m.room(l, 7+5)
	m.room(l, 100)
	want := "\x81\x05stuck\x8a\x03000\x8a\x03999"
	if string(m.taken) != want {
		t.Errorf("%q, want %q", m.taken, want)
	}
}

// Memory follows what is queued: small, middling and large messages to a peer that does
// not read take at most twice their bytes.
func TestQueueMemory(t *testing.T) {
	once(t)
	for _, size := range []int{10, 1000, 4096, 5000, 20_000, 100_000} {
		for _, way := range senders[:4] {
			l, _, c := meteredConn(t, Funcs{}, Options{Limits: Limits{MaxBufferedAmount: -1}})
			for queued := 0; queued < 4<<20; queued += size {
				if err := way.send(c, OpBinary, make([]byte, size)); err != nil {
					t.Fatal(err)
				}
			}
			held, queued := l.engine.snapshot().Buffers.OutBytes, int64(c.out.Account().Queued)
			if held > 2*queued+64<<10 {
				t.Errorf("%s of %d bytes: %d are queued in %d", way.name, size, queued, held)
			}
		}
	}
}

// One slow consumer holds nobody else up.
func TestSlowConsumerAlone(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		h := d.handler(echoHandler)
		h.Message = echoHandler.Message
		s := m.start(t, h, Options{Loops: 1})
		slow := dialForeign(t, s, 4096)
		d.conn()
		go func() {
			_, _ = io.Copy(slow, strings.NewReader(string(frames(ws.NewBinaryFrame(make([]byte, 16<<20))))))
		}()
		f := dialForeign(t, s, 0)
		d.conn()
		for range 200 {
			f.text("quick")
			f.wants(ws.OpText, "quick")
		}
		slow.reset()
		d.end()
	})
}
