package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// accounts is text that compresses to a third or so.
func accounts(n int) []byte {
	var b []byte
	for i := 0; len(b) < n; i++ {
		b = fmt.Appendf(b, `{"id":%d,"account":"%08x","amount":%d.%02d},`, i, uint32(i)*2654435761, i*7919%10_000, i%100)
	}
	return b[:n]
}

// TestDeflatePeerGoesInTheMiddle: whatever a peer had us hold of a compressed message, inflater, window, what was inflated
// and what was not yet, is given back however it goes, after every byte.
func TestDeflatePeerGoesInTheMiddle(t *testing.T) {
	text := accounts(3000)
	say := append(maskedFrame(0xc1, squeezed(text[:1000], nil)), fragmentsOf(0xc1, squeezed(text, nil), 200)...)
	goes := map[string]func(r *tapeRig, c *Conn){
		"ends":            func(r *tapeRig, _ *Conn) { r.sys.ended = io.EOF },
		"resets":          func(r *tapeRig, _ *Conn) { r.sys.ended, r.sys.refused = syscall.ECONNRESET, syscall.EPIPE },
		"closes":          func(r *tapeRig, _ *Conn) { r.feed(maskedFrame(0x88, []byte{3, 232})) },
		"is closed":       func(_ *tapeRig, c *Conn) { _ = c.Close() },
		"is terminated":   func(_ *tapeRig, c *Conn) { c.Terminate() },
		"falls silent":    func(r *tapeRig, _ *Conn) { r.pass(3 * time.Minute) },
		"breaks the rule": func(r *tapeRig, _ *Conn) { r.feed([]byte{0xff, 0xff}) },
	}
	for name, gone := range goes {
		for _, step := range []time.Duration{0, 2 * turnBudget} { // with a turn that stops in the middle, and without
			closes := 0
			h := echoHandler
			h.Close = func(*Conn, CloseEvent) { closes++ }
			r := newTapeRig(t, h, Options{Deflate: deflateOn()})
			for cut := 0; cut <= len(say); cut += 13 {
				closes = 0
				c := r.openDeflate(anyDeflate)
				if r.l.sys = r.sys; step > 0 {
					r.meter(step)
				}
				r.feed(bytes.Clone(say[:cut]))
				gone(r, c)
				r.settle()
				r.l.sys = r.sys
				r.end()
				if closes != 1 {
					t.Fatalf("the peer %s after %d bytes: OnClose %d times", name, cut, closes)
				}
			}
		}
	}
}

// TestDeflatePeerGoesInTheMiddleOfALongMessage: the same for what we compress for it, slice by slice, with others behind.
func TestDeflatePeerGoesInTheMiddleOfALongMessage(t *testing.T) {
	long := accounts(unraced(1<<20, 1<<18))
	for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
		for name, gone := range map[string]func(r *tapeRig, c *Conn){
			"ends":          func(r *tapeRig, _ *Conn) { r.sys.ended = io.EOF },
			"resets":        func(r *tapeRig, _ *Conn) { r.sys.ended, r.sys.refused = syscall.ECONNRESET, syscall.EPIPE },
			"closes":        func(r *tapeRig, _ *Conn) { r.sys.in = append(r.sys.in, maskedFrame(0x88, []byte{3, 232})) },
			"is closed":     func(_ *tapeRig, c *Conn) { _ = c.Close() },
			"is terminated": func(_ *tapeRig, c *Conn) { c.Terminate() },
			"never reads":   func(r *tapeRig, _ *Conn) { r.pass(3 * time.Minute) },
		} {
			for _, room := range []int{0, 1000, 100_000, -1} {
				closes := 0
				r := newTapeRig(t, Funcs{Close: func(*Conn, CloseEvent) { closes++ }}, Options{Deflate: &deflate.Policy{Takeover: takeover}})
				c := r.openDeflate(anyDeflate)
				r.sys.room = room
				for range 2 {
					if err := c.SendBinary(long); err != nil {
						t.Fatal(err)
					}
				}
				_ = c.SendText("behind it")
				for range 3 {
					r.turn()
				}
				gone(r, c)
				r.settle()
				r.end()
				if closes != 1 {
					t.Fatalf("the peer %s with room for %d: OnClose %d times", name, room, closes)
				}
			}
		}
	}
}

// TestDeflateStalledReader: who does not read has us compress no further than one frame, or with fragments than it takes,
// and holds what was sent for it and no more, until the stall clock ends it (1013).
func TestDeflateStalledReader(t *testing.T) {
	testDeflateStalledReader(t, 256<<10, 256<<10+outgoing.SliceBytes)
	testDeflateStalledReader(t, -1, 2*outgoing.SliceBytes)
}

func testDeflateStalledReader(t *testing.T, frame int, most uint64) {
	const size = 8 << 20
	var ended CloseEvent
	r := newTapeRig(t, Funcs{Close: func(_ *Conn, e CloseEvent) { ended = e }}, Options{
		Deflate: &deflate.Policy{FrameBytes: frame}, Limits: Limits{WriteStallTimeout: 30 * time.Second},
	})
	c := r.openDeflate(anyDeflate)
	r.sys.room = 0
	if err := c.SendBinary(accounts(size)); err != nil {
		t.Fatal(err)
	}
	r.settle()
	before := r.s.Stats().Deflate.WireBytesOut
	r.pass(29 * time.Second)
	if n := r.s.Stats().Deflate.WireBytesOut; n != before || n > most {
		t.Errorf("%d bytes were compressed for a peer that reads none", n)
	}
	if b := r.s.Stats().Buffers.OutBytes; b > size*5/4+4<<20 {
		t.Errorf("%d bytes of buffers for %d of message", b, size)
	}
	if n := c.BufferedAmount(); n != size || c.ReadyState() != Open {
		t.Errorf("bufferedAmount %d, %v", n, c.ReadyState())
	}
	r.pass(3 * time.Second)
	if c.ReadyState() != Closed || closeCodeOf(ended.Err) != 1013 || r.s.Stats().Causes["write-stall"] != 1 {
		t.Errorf("%+v", ended)
	}
	r.sys.in = nil
	r.end()
}

// TestDeflateFloodNobodyReadsTheAnswersOf: small questions, compressed long answers, which nobody reads.
func TestDeflateFloodNobodyReadsTheAnswersOf(t *testing.T) {
	answer := accounts(1 << 20)
	h, ends := watching(Funcs{Message: func(c *Conn, m Message) {
		if len(m.Data) > 0 && string(m.Data) != innocentPayload {
			_ = c.SendBinary(answer)
			return
		}
		_ = c.Send(m.Op, m.Data)
	}})
	s := startServer(t, h, Options{Deflate: deflateOn(), Limits: Limits{
		HighWater: 1 << 20, MaxBufferedAmount: 8 << 20, WriteStallTimeout: aliveWithin() / 2, CloseTimeout: aliveWithin() / 2,
	}})
	if raceEnabled { // sync.Pool drops every fourth buffer there: the collector has to come for them sooner
		defer debug.SetGCPercent(debug.SetGCPercent(50))
	}
	n := 0
	besideInnocent(t, s, func() {
		n++
		const conns = 5
		peak := peakMemory(s, func() {
			each(conns, func(i int) {
				path := fmt.Sprint("/", n, "-", i)
				a := attackDeflate(t, s, path, anyDeflate)
				question := maskedFrame(0xc2, append(stored("?"), 0))
				for range 200 {
					if !a.try(question) {
						break
					}
				}
				if e := ends.one(t, path); e.Code != 1006 || closeCodeOf(e.Err) != 1013 {
					t.Errorf("%+v", e)
				}
			})
		})
		if peak > conns*(16<<20) {
			t.Errorf("%d bytes of memory", peak)
		}
	})
}

// TestDeflateLongAnswersBesideInnocent: an echo of long messages is compressed a slice a turn, while others are served.
func TestDeflateLongAnswersBesideInnocent(t *testing.T) {
	s := startServer(t, echoHandler, Options{Deflate: deflateOn()})
	long, short := accounts(2<<20), accounts(100_000)
	say := maskedFrame(0xc2, squeezed(long, nil))
	for range 8 {
		say = append(say, maskedFrame(0xc2, squeezed(short, nil))...)
	}
	besideInnocent(t, s, func() {
		each(10, func(int) {
			a := attackDeflate(t, s, "/long", anyDeflate)
			go a.try(say)
			for fins := 0; fins < 9; { // to inflate them here would take the processor from the others
				f, err := readServerFrame(a.r)
				if err != nil || f.op == 8 {
					t.Errorf("after %d messages: %+v, %v", fins, f.heard, err)
					return
				}
				if f.fin {
					fins++
				}
			}
		})
	})
}

// TestDeflateManyStall: connections that stop in the middle of a compressed message are closed for being idle, like any.
func TestDeflateManyStall(t *testing.T) {
	t.Parallel()
	var messages, got atomic.Int64
	h, ends := watching(swallowing(&messages, &got))
	s := startServer(t, h, Options{Deflate: deflateOn(), Limits: Limits{
		IdleTimeout: aliveWithin() / 2, CloseTimeout: aliveWithin() / 4,
	}})
	conns := crowd(200)
	half := maskedFrame(0x42, unfinished(100_000))
	var all sync.WaitGroup
	for i := range conns {
		a := attackDeflate(t, s, fmt.Sprint("/", i), anyDeflate)
		a.say(t, string(half))
		all.Go(func() { a.expectClose(t, 1001) })
	}
	all.Wait()
	for i := range conns {
		if e := ends.one(t, fmt.Sprint("/", i)); !errors.Is(e.Err, ErrIdleTimeout) && !strings.Contains(fmt.Sprint(e.Err), "idle") {
			t.Fatalf("%+v", e)
		}
	}
	within(t, timeoutOf(5), "nothing is held", func() bool { return s.Stats().InboundBytes == 0 && s.Stats().Buffers.Out == 0 })
}

// TestDeflateClosedMidFlood: Terminate, Close and the peer's reset while both directions compress, from other goroutines.
func TestDeflateClosedMidFlood(t *testing.T) {
	t.Parallel()
	text := accounts(200_000)
	opened := make(chan *Conn, 16)
	h := echoHandler
	h.Open = func(c *Conn) { opened <- c }
	s := startServer(t, h, Options{Deflate: deflateOn(), Loops: 2, Limits: Limits{CloseTimeout: 50 * time.Millisecond}})
	say := maskedFrame(0xc1, squeezed(text, nil))
	for i := range 30 {
		a := attackDeflate(t, s, "/flood", anyDeflate)
		c := <-opened
		var all sync.WaitGroup
		all.Go(func() {
			for range 5 {
				a.try(say)
			}
		})
		all.Go(func() {
			for range 10 {
				_ = c.SendText(string(text[:i*5000]))
			}
		})
		all.Go(func() {
			w := c.NewWriter(OpText)
			for range 5 {
				_, _ = w.Write(text[:2000])
			}
			_ = w.Close()
		})
		all.Go(func() { _, _ = io.CopyN(io.Discard, a.r, int64(i)*4000) })
		all.Go(func() {
			switch i % 3 {
			case 0:
				c.Terminate()
			case 1:
				_ = c.Close()
			case 2:
				a.reset()
			}
		})
		all.Wait()
		a.reset()
	}
	within(t, timeoutOf(10), "all are gone", func() bool { return s.conns() == 0 })
}
