package engine

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// With Workers: what waits for them, what holds it, and what it costs.

// A cork holds nothing for long: what other goroutines, and the callback itself, send while the callback runs leaves
// before it ends (issue 7, point 11; decision 0004).
func TestWorkersCorkEndsInTime(t *testing.T) {
	release := make(chan struct{})
	conns := make(chan *Conn, 1)
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		_ = c.SendText("its own")
		conns <- c
		<-release
		_ = c.SendText("last")
	}}, Options{Workers: 1})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	f := dialForeign(t, s, 0)
	f.text("go")
	f.wants(ws.OpText, "its own")
	c := receive(t, conns, "the connection")
	spans := make([]time.Duration, 51)
	for i := range spans {
		began := time.Now()
		_ = c.SendText(fmt.Sprint("another's ", i))
		f.wants(ws.OpText, fmt.Sprint("another's ", i))
		spans[i] = time.Since(began)
	}
	slices.Sort(spans)
	if middle := spans[len(spans)/2]; middle > time.Second { // 2 ms on a machine that has nothing else to do
		t.Error("it took", middle)
	}
	w := c.NewWriter(OpText)
	_, _ = w.Write([]byte("a fragment"))
	if fr := f.next(); fr.Header.Fin || string(fr.Payload) != "a fragment" {
		t.Error(fr)
	}
	_ = w.Close()
	f.next()
	letGo()
	f.wants(ws.OpText, "last")
}

// The cork is one yet: what a quick callback sends leaves in one write.
func TestWorkersCork(t *testing.T) {
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		for i := range 20 {
			_ = c.SendText(fmt.Sprint(i))
		}
	}}, Options{Workers: 1})
	f := dialForeign(t, s, 0)
	ofTwenty := func() (whole int) {
		for range 20 {
			f.text("go")
			b := make([]byte, 1000)
			n, err := f.Read(b)
			if err != nil {
				t.Fatal(err)
			}
			const want = 10*3 + 10*4
			if n == want {
				whole++
			}
			for n < want {
				k, err := f.Read(b)
				if n += k; err != nil {
					t.Fatal(err)
				}
			}
		}
		return whole
	}
	best := 0
	for tries := 0; best < 10 && tries < 5; tries++ { // a machine that is busy may take a millisecond for a callback
		best = max(best, ofTwenty())
	}
	if best < 10 {
		t.Errorf("%d of 20 times in one write", best)
	}
}

// Pause stops delivery from the next message on, though all were read and a worker has them at hand; errands pass
// (issue 7, point 12).
func TestWorkersPauseHoldsWhatWasRead(t *testing.T) {
	var got []string // by callbacks, one at a time
	var mu sync.Mutex
	note := func(s string) {
		mu.Lock()
		got = append(got, s)
		mu.Unlock()
	}
	noted := func() string { mu.Lock(); defer mu.Unlock(); return strings.Join(got, " ") }
	conns := make(chan *Conn, 1)
	s := startServer(t, Funcs{
		Open: func(c *Conn) { conns <- c },
		Message: func(c *Conn, m Message) {
			c.Pause()
			note(string(m.Data))
		},
		Ping: func(c *Conn, p []byte) { note("ping" + string(p)) },
		Pong: func(c *Conn, p []byte) { note("pong" + string(p)) },
	}, Options{Workers: 2})
	f := dialForeign(t, s, 0)
	c := receive(t, conns, "the connection")
	var all []byte
	want := ""
	const n = 200
	for i := range n {
		text := fmt.Sprint(i)
		all = append(all, frames(ws.NewTextFrame([]byte(text)), ws.NewPingFrame([]byte(text)), ws.NewPongFrame([]byte(text)))...)
		want += fmt.Sprintf("%s ping%s pong%s ", text, text, text)
	}
	f.write(all)
	go f.drain()
	for i := range n {
		last := fmt.Sprint("pong", i-1, " ", i)
		if i == 0 {
			last = "0"
		}
		within(t, timeoutOf(5), "message "+fmt.Sprint(i), func() bool { return strings.HasSuffix(noted(), last) })
		if i%20 == 0 {
			time.Sleep(2 * time.Millisecond)
			if g := noted(); !strings.HasSuffix(g, last) {
				t.Fatalf("delivered while paused: %q", g[max(0, len(g)-50):])
			}
		}
		ran := make(chan struct{})
		_ = c.Post(func(c *Conn) { c.Resume(); close(ran) })
		receive(t, ran, "the posted function")
	}
	within(t, timeoutOf(5), "all", func() bool { return noted()+" " == want })
	within(t, timeoutOf(5), "the inbox goes", func() bool { return c.inbox.Load() == nil })
}

// mailWaiting is how much of what the peer said is in the inbox, what runs just now included. On a worker that runs it.
func (c *Conn) mailWaiting() int {
	b := c.inbox.Load()
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.mail.n
}

// What ends a paused connection, and what does not.
func TestWorkersPausedEnds(t *testing.T) {
	cases := map[string]struct {
		act       func(c *Conn, f *foreign)
		delivered bool // what waits
		code      int
	}{
		"Terminate": {func(c *Conn, _ *foreign) { c.Terminate() }, false, 1006},
		"Close": {func(c *Conn, f *foreign) {
			_ = c.Close()
			f.wantsClose(1000, "")
			f.closeWith(1000, "")
		}, false, 1000},
		"the budget": {func(c *Conn, f *foreign) {
			c.loop.post(task{call: func() {
				b := c.lockedInbox()
				b.budget.set(c, 1<<40) // as if it held as much
				b.mu.Unlock()
			}})
			f.wantsClose(3001, "") // the peer had said so
		}, false, 3001},
		"the transport is lost": {func(c *Conn, f *foreign) {
			f.reset()
			for range 100 { // the probe that finds out comes every five seconds
				c.loop.post(task{call: func() { c.probe(); c.settle() }})
				time.Sleep(time.Millisecond)
			}
		}, true, 1006},
		"Resume": {func(c *Conn, f *foreign) {
			time.Sleep(20 * time.Millisecond)
			c.Resume()
			f.wantsClose(3001, "")
		}, true, 3001},
	}
	for name, k := range cases {
		t.Run(name, func(t *testing.T) {
			d := newDiary(t)
			s := startServer(t, d.handler(Funcs{Message: func(c *Conn, m Message) {
				if string(m.Data) == "first" {
					within(t, timeoutOf(5), "the second in the inbox", func() bool { return c.mailWaiting() >= 2 }) // this one is the first
					c.Pause()
				}
			}}), Options{Workers: 1})
			f := dialForeign(t, s, 0)
			c := d.conn()
			f.write(frames(ws.NewTextFrame([]byte("first")), ws.NewTextFrame([]byte("waits")), ws.NewCloseFrame(ws.NewCloseFrameBody(3001, ""))))
			within(t, timeoutOf(5), "the first", func() bool { return d.has("message first OPEN") })
			time.Sleep(5 * time.Millisecond)
			if d.has("message waits OPEN") || c.ReadyState() != Open {
				t.Fatal(d.all(), c.ReadyState())
			}
			k.act(c, f)
			e := d.end()
			if d.has("message waits OPEN") != k.delivered {
				t.Errorf("delivered: %v, %q", !k.delivered, d.all())
			}
			if name != "Close" && name != "the transport is lost" && e.Code != k.code {
				t.Errorf("%+v", e)
			}
			if n := s.Stats().Buffers.Out; n != 0 {
				within(t, timeoutOf(3), "no buffer is left", func() bool { return s.Stats().Buffers.Out == 0 })
			}
		})
	}
}

// Whoever pipelines questions and reads the answers gets all of them: delivery stops at HighWater and goes on at
// LowWater (issue 7, point 16).
func TestWorkersAnswersHoldQuestions(t *testing.T) {
	const questions, answer = 100, 1 << 20
	for name, l := range map[string]Limits{
		"default": {},
		"small":   {HighWater: 64 << 10, MaxBufferedAmount: answer + 128<<10},
	} {
		t.Run(name, func(t *testing.T) {
			var waits, drains atomic.Uint64
			above := make(chan struct{})
			isAbove := sync.OnceFunc(func() { close(above) })
			s := startServer(t, Funcs{Drain: func(*Conn) { drains.Add(1) }, Message: func(c *Conn, m Message) {
				c.mu.Lock()
				if !c.out.Idle() {
					waits.Store(max(waits.Load(), c.out.Account().Queued))
				}
				c.unlock()
				_ = c.SendBinary(make([]byte, answer))
				if c.BufferedAmount() > uint64(c.Limits().HighWater) {
					isAbove()
				}
			}}, Options{Workers: 2, Limits: l})
			f := dialForeign(t, s, 0)
			var all []byte
			for range questions {
				all = append(all, frames(ws.NewTextFrame([]byte("?")))...)
			}
			f.write(all)
			select { // a peer that reads at once may keep the queue short for ever
			case <-above:
			case <-time.After(timeoutOf(20)):
				t.Fatal("HighWater was never passed")
			}
			for i := range questions {
				if fr := f.next(); fr.Header.OpCode != ws.OpBinary || len(fr.Payload) != answer {
					t.Fatalf("answer %d: %v, %d bytes", i, fr.Header.OpCode, len(fr.Payload))
				}
			}
			within(t, timeoutOf(5), "OnDrain", func() bool { return drains.Load() > 0 }) // behind the write of what was read
			if high := max(uint64(l.HighWater), 64<<10); l.HighWater != 0 && waits.Load() > high {
				t.Errorf("a question was delivered behind %d bytes", waits.Load())
			}
		})
	}
}

// What a callback does to a message's buffer, keeping or changing it, does not touch the account (issue 7, point 24).
func TestWorkersAccountSurvivesTheHandler(t *testing.T) {
	var kept atomic.Int32
	s := startServer(t, Funcs{Message: func(_ *Conn, m Message) {
		b := m.Retain()
		if len(b.B) > 10 {
			b.B = b.B[:10]
		}
		if kept.Add(1)%2 == 0 {
			b.B = append(b.B, make([]byte, 100)...)
		}
		b.Release()
	}}, Options{Workers: 1, InboxBytes: 1 << 20})
	f := dialForeign(t, s, 0)
	const n = 300
	for i := range n {
		size := []int{0, 20, 2000, 200_000}[i%4]
		if i%3 == 0 {
			f.send(ws.OpBinary, false, strings.Repeat("x", size))
			f.send(ws.OpContinuation, true, "y")
		} else {
			f.send(ws.OpBinary, true, strings.Repeat("x", size))
		}
	}
	within(t, timeoutOf(5), "all", func() bool { return kept.Load() == n })
	within(t, timeoutOf(5), "nothing is charged", func() bool { return s.Stats().InboundBytes == 0 })
	for c := range s.Conns() {
		within(t, timeoutOf(5), "no inbox is left", func() bool { return c.inbox.Load() == nil })
	}
}

// Two messages in one page do not see each other, whatever their callbacks do.
func TestWorkersSharedPages(t *testing.T) {
	got := make(chan string, 100)
	s := startServer(t, Funcs{Message: func(_ *Conn, m Message) {
		got <- string(m.Data)
		for i := range m.Data {
			m.Data[i] = '!'
		}
		_ = append(m.Data, "over the neighbour's head"...)
		b := m.Retain()
		b.B = append(b.B, "and grown"...)
		b.Release()
	}}, Options{Workers: 1})
	f := dialForeign(t, s, 0)
	var all []byte
	for i := range 100 {
		all = append(all, frames(ws.NewTextFrame(fmt.Append(nil, "message ", i)))...)
	}
	f.write(all)
	for i := range 100 {
		if g := receive(t, got, "a message"); g != fmt.Sprint("message ", i) {
			t.Fatalf("message %d is %q", i, g)
		}
	}
}

// Pause, Resume, Send, Post and Close from everywhere, while messages come: each is delivered once, in order, one
// callback at a time, and never in a pause that the callback itself began.
func TestWorkersPauseStorm(t *testing.T) {
	const messages = 3000
	var next, inside atomic.Int32
	conns, done := make(chan *Conn, 1), make(chan struct{})
	s := startServer(t, Funcs{
		Open: func(c *Conn) { conns <- c },
		Message: func(c *Conn, m Message) {
			if inside.Add(1) != 1 {
				t.Error("two callbacks at a time")
			}
			if i := next.Add(1) - 1; string(m.Data) != fmt.Sprint(i) {
				t.Errorf("message %d is %q", i, m.Data)
			}
			inside.Add(-1)
			if next.Load() == messages {
				close(done)
			}
		},
	}, Options{Workers: 3, InboxBytes: 4 << 10, Limits: Limits{HighWater: 2000, LowWater: 500}})
	f := dialForeign(t, s, 4096)
	c := receive(t, conns, "the connection")
	go f.drain()
	stop := make(chan struct{})
	var storm sync.WaitGroup
	for i := range 6 {
		storm.Go(func() {
			for k := 0; ; k++ {
				select {
				case <-stop:
					return
				default:
				}
				switch (i + k) % 4 {
				case 0:
					c.Pause()
				case 1:
					c.Resume()
				case 2:
					_ = c.SendBinary(make([]byte, 300))
				case 3:
					_ = c.Post(func(c *Conn) {
						if inside.Add(1) != 1 {
							t.Error("a posted function inside a callback")
						}
						inside.Add(-1)
						c.Resume()
					})
				}
				time.Sleep(50 * time.Microsecond)
			}
		})
	}
	var all []byte
	for i := range messages {
		all = append(all, frames(ws.NewTextFrame(fmt.Append(nil, i)))...)
	}
	f.write(all)
	time.Sleep(100 * time.Millisecond)
	close(stop)
	storm.Wait()
	c.Resume()
	receive(t, done, "the last message")
}

// HighWaterHandler: neither OnHighWater nor OnDrain is called once the state has left OPEN. A worker comes to them late, and
// somebody may have closed meanwhile.
func TestWorkersNoticesOnlyWhileOpen(t *testing.T) {
	d := newDiary(t)
	h := d.handler(Funcs{Message: func(c *Conn, _ Message) {
		for c.ReadyState() == Open {
			time.Sleep(time.Millisecond)
		}
	}})
	h.HighWater = func(c *Conn) { d.note(c, "high") }
	h.Drain = func(c *Conn) { d.note(c, "drain") }
	s := startServer(t, h, Options{Workers: 2, Limits: Limits{CloseTimeout: 100 * time.Millisecond}})
	f := dialForeign(t, s, 4096)
	c := d.conn()
	f.text("wait")
	within(t, timeoutOf(5), "the callback", func() bool { return d.has("message wait OPEN") })
	for c.inbox.Load().errandsWaiting() == 0 {
		_ = c.SendBinary(make([]byte, 50_000))
	}
	_ = c.Close()
	go f.drain()
	d.end()
	for _, line := range []string{"high CLOSING", "high CLOSED", "drain CLOSING", "drain CLOSED"} {
		if d.has(line) {
			t.Error(line)
		}
	}
}

// What lingers is read, whatever the workers have not come to yet: else nobody sees that the peer has gone, and it counts
// against the limits for half a minute more.
func TestWorkersLateAndThePeerGone(t *testing.T) {
	d := newDiary(t)
	gate := make(chan struct{})
	s := startServer(t, d.handler(Funcs{Message: func(*Conn, Message) { <-gate }}), Options{Loops: 1, Workers: 1})
	defer close(gate)
	f := dialForeign(t, s, 4096)
	c := d.conn()
	_ = c.SendBinary(make([]byte, 100_000)) // the kernel has it, and the peer does not take it
	f.text("wait")
	within(t, timeoutOf(5), "the callback", func() bool { return s.Stats().MessagesIn == 1 })
	f.closeWith(1000, "")
	time.Sleep(20 * time.Millisecond) // the peer's end waits for the worker
	_ = c.Close()
	within(t, timeoutOf(5), "CLOSED", func() bool { return c.ReadyState() == Closed })
	f.reset()
	within(t, lingerBound/2, "the connection is gone", func() bool { return s.native[0].conns.Load() == 0 })
}

func (b *inbox) errandsWaiting() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.errands.n
}
