package engine

import (
	"bytes"
	"compress/flate"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// How long one connection with permessage-deflate may keep its loop, and what its turns leave for later.

// Questions of a byte whose answers have to be compressed: the turn ends when its time is over, after however few.
func TestTurnsOfCostlyAnswers(t *testing.T) {
	answered := 0
	l, m, c := meteredDeflate(t, Funcs{Message: func(c *Conn, _ Message) {
		answered++
		_ = c.SendBinary(accounts(10_000))
	}}, Options{})
	m.credit, m.step = 1<<30, turnBudget/3
	for range 100 {
		m.input = append(m.input, maskedFrame(finBit|2, []byte("?"))...)
	}
	l.OnEvent(5, netio.Readable)
	if answered == 0 || answered > 4 {
		t.Errorf("%d of 100 questions were answered in a turn with time for 3", answered)
	}
	for range 100 {
		l.OnWake()
	}
	if answered != 100 || c.BufferedAmount() != 0 {
		t.Error(answered, "answers,", c.BufferedAmount(), "bytes buffered")
	}
}

// Long answers: the one that passes HighWater is the turn's last.
func TestTurnEndsAtHighWater(t *testing.T) {
	answered := 0
	answer := accounts(400_000)
	l, m, _ := meteredDeflate(t, Funcs{Message: func(c *Conn, _ Message) {
		answered++
		_ = c.SendBinary(answer)
	}}, Options{Limits: Limits{HighWater: 1 << 20}})
	m.credit = 1 << 30
	for range 100 {
		m.input = append(m.input, maskedFrame(finBit|2, []byte("?"))...)
	}
	l.OnEvent(5, netio.Readable)
	if answered == 0 || answered > 4 {
		t.Errorf("%d answers of 400,000 bytes in one turn, with a HighWater of 1 MiB", answered)
	}
	for range 1000 {
		l.OnWake()
	}
	if answered != 100 {
		t.Error(answered, "answers in the end")
	}
}

// Pause holds what was read already, which may be a thousand times as much inflated; Resume, or closing, goes on with it.
func TestPauseHoldsWhatWasRead(t *testing.T) {
	for _, then := range []string{"resume", "close", "terminate"} {
		var got, calls int64
		r := newTapeRig(t, Funcs{Chunk: func(c *Conn, k Chunk) {
			if got += int64(len(k.Data)); got == int64(len(k.Data)) {
				c.Pause()
			}
			calls++
		}}, Options{Deflate: deflateOn()})
		c := r.openDeflate(anyDeflate)
		const each = 8 << 20
		r.feed(bytes.Repeat(maskedFrame(0xc2, bomb(each)), 7))
		if calls != 1 {
			t.Errorf("%d chunks were delivered although the first one's callback paused", calls)
		}
		switch then {
		case "resume":
			c.Resume()
			r.settle()
			if got != 7*each {
				t.Errorf("%d bytes of %d were delivered after Resume", got, 7*each)
			}
		case "close":
			_ = c.Close()
			r.settle()
			if c.in != nil || calls != 1 {
				t.Errorf("%d calls, and what was read is kept: %v", calls, c.in != nil)
			}
		case "terminate":
			c.Terminate()
			r.settle()
		}
		r.end()
	}
}

// While what was read is inflated the peer is not idle.
func TestNotIdleWhileInflating(t *testing.T) {
	var r *tapeRig
	chunks := 0
	r = newTapeRig(t, Funcs{Chunk: func(*Conn, Chunk) {
		chunks++
		r.sys.now += time.Second
	}}, Options{Deflate: deflateOn(), Limits: Limits{IdleTimeout: 2 * time.Minute, PingInterval: 50 * time.Second}})
	c := r.openDeflate(anyDeflate)
	r.feed(maskedFrame(0xc2, bomb(16<<20)))
	r.pass(200 * time.Millisecond)
	if chunks < 150 || r.closeCode() != 0 || c.ReadyState() != Open {
		t.Errorf("after %d seconds of inflating: Close %d, %v, %v", chunks, r.closeCode(), c.ReadyState(), r.s.Stats().Causes)
	}
	r.end()
}

// A sender may flush after each byte, at any level: that is a legal message within MaxMessageSize, however long on the wire.
func TestFlushAfterEachByte(t *testing.T) {
	for _, level := range []int{flate.NoCompression, flate.BestSpeed, flate.DefaultCompression, flate.HuffmanOnly} {
		const n = 3000
		var b bytes.Buffer
		z, err := flate.NewWriter(&b, level)
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			_, _ = z.Write([]byte("x"))
			_ = z.Flush()
		}
		payload := bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
		messages, got := 0, int64(0)
		r := newTapeRig(t, counting(false, &messages, &got), Options{Deflate: deflateOn(), Limits: Limits{MaxMessageSize: n}})
		r.openDeflate(anyDeflate)
		r.feed(maskedFrame(0xc2, payload))
		if code := r.closeCode(); code != 0 || messages != 1 || got != n {
			t.Errorf("level %d: %d bytes on the wire for %d: Close %d, %d messages of %d bytes", level, len(payload), n, code, messages, got)
		}
		r.end()
	}
}

// Memory follows what was inflated, also from a message's second piece on.
func TestMemoryOfTwoPieces(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{Deflate: deflateOn()})
	r.openDeflate(anyDeflate)
	p := append(stored("12345"), stored("67890")...)
	r.feed(maskedFrame(0x42, p[:10]))
	r.feed(maskedFrame(0x00, p[10:]))
	if b := r.s.Stats().Buffers.OutBytes; b > 16<<10 {
		t.Errorf("%d bytes of buffers for 10 bytes of a message", b)
	}
	r.end()
}

// Connections that rest, however many, do not stand in front of those with work: one rests at a wake, at most, and each
// few wakes one does.
func TestRestingWaitsForWork(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit, m.step = 1<<30, restBudget*2
	long := accounts(1 << 20)
	if err := c.SendBinary(long); err != nil {
		t.Fatal(err)
	}
	var others []*Conn
	for range 50 { // not of the table: what matters is the list
		o := &Conn{loop: l}
		o.deflation.Store(new(deflation))
		others = append(others, o)
		l.restLater(o)
		l.restLater(o)
	}
	waiting := func() int {
		return len(slices.DeleteFunc(slices.Clone(others), func(o *Conn) bool { return o.flags&restDue == 0 }))
	}
	before, stood := 50, 0
	for wakes := 0; c.BufferedAmount() != 0; wakes++ {
		l.OnWake()
		if stood++; waiting() != before {
			stood = 0
		}
		if waiting() < before-1 || waiting() > 0 && stood > 4 {
			t.Fatalf("after %d wakes %d of 50 wait, %d before the last, for %d wakes", wakes+1, waiting(), before, stood)
		}
		before = waiting()
	}
	m.step = 0 // time enough
	if l.OnWake(); waiting() != 0 || l.resting.left() {
		t.Error(waiting(), "still wait")
	}
}

// What waits for the workers counts for InboundBudget, and is given back at once when its connection is chosen to go.
func TestDeflateInboxBudget(t *testing.T) {
	const conns, size, budget = 60, 4 << 20, 16 << 20
	hold := make(chan struct{})
	release := sync.OnceFunc(func() { close(hold) })
	defer release() // before the server ends, also when this fails
	s := startServer(t, Funcs{Message: func(*Conn, Message) { <-hold }}, Options{Deflate: deflateOn(), Workers: 1, InboundBudget: budget})
	say := maskedFrame(0xc2, bomb(size))
	for i := range conns {
		a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
		a.say(t, string(say))
		within(t, timeoutOf(5), "inflated", func() bool { return s.Stats().Deflate.MessagesIn == uint64(i+1) })
	}
	within(t, timeoutOf(5), "what is over the budget to be given back", func() bool {
		st := s.Stats()
		return st.InboundBytes <= budget && st.Buffers.OutBytes <= 2*budget+conns*reserveBytes
	})
	if st := s.Stats(); st.InboundBytes < size/2 || st.Causes["inbound-budget"] == 0 || st.Failures[StatusTryAgainLater] == 0 {
		t.Errorf("%d bytes are charged; %v, %v", st.InboundBytes, st.Causes, st.Failures)
	}
	release()
	within(t, timeoutOf(5), "nothing to be charged", func() bool { return s.Stats().InboundBytes == 0 })
}

// Closing, in every manner, from inside callbacks while a message is inflated: one OnClose, and nothing after.
func TestActsWhileInflating(t *testing.T) {
	text := bytes.Repeat([]byte("é"), 150_000)
	one := squeezed(text, nil)
	say := slices.Concat(maskedFrame(0xc1, one), maskedFrame(0x89, []byte("p")), fragmentsOf(0xc1, one, 100),
		maskedFrame(0xc2, bomb(3<<20)), maskedFrame(0x81, text[:1000]), maskedFrame(0x41, one[:len(one)/2]))
	acts := map[string]func(c *Conn){
		"close":           func(c *Conn) { _ = c.Close() },
		"terminate":       func(c *Conn) { c.Terminate() },
		"panic":           func(*Conn) { panic("meant") },
		"close, panic":    func(c *Conn) { _ = c.Close(); panic("meant") },
		"pause, close":    func(c *Conn) { c.Pause(); _ = c.Close() },
		"pause, end":      func(c *Conn) { c.Pause(); c.Terminate() },
		"send, terminate": func(c *Conn) { _ = c.SendBinary(text); c.Terminate() },
	}
	for name, act := range acts {
		for _, chunks := range []bool{false, true} {
			for _, step := range []time.Duration{0, turnBudget / 3, 2 * turnBudget} {
				for at := 1; at <= unraced(12, 3); at++ {
					for _, room := range []int{-1, 0} {
						if calls, closed := actWhileInflating(t, act, say, chunks, step, at, room); calls > at || closed != 1 {
							t.Fatalf("%s in callback %d (chunks %v, step %v, room %d): %d callbacks, %d OnClose", name, at, chunks, step, room, calls, closed)
						}
					}
				}
			}
		}
	}
}

func actWhileInflating(t *testing.T, act func(*Conn), say []byte, chunks bool, step time.Duration, at, room int) (calls, closed int) {
	on := func(c *Conn) {
		if calls++; calls == at {
			act(c)
		}
	}
	h := Funcs{Close: func(*Conn, CloseEvent) { closed++ }, Ping: func(c *Conn, _ []byte) { on(c) }}
	if chunks {
		h.Chunk = func(c *Conn, _ Chunk) { on(c) }
	} else {
		h.Message = func(c *Conn, _ Message) { on(c) }
	}
	r := newTapeRig(t, h, Options{Deflate: deflateOn(), Logger: slog.New(slog.DiscardHandler)})
	r.openDeflate(anyDeflate)
	if step > 0 {
		r.meter(step)
	}
	r.sys.room = room
	r.feed(bytes.Clone(say))
	r.l.sys = r.sys
	r.settle()
	r.end()
	return calls, closed
}
