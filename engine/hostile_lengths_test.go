package engine

import (
	"bytes"
	"errors"
	"runtime"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// announcement is one way to lie about a length, and the code it is answered with.
type announcement struct {
	name string
	say  []byte
	code int
}

const hostileLimit = 100_000

func lengthAttacks() []announcement {
	whole := bytes.Repeat([]byte("x"), 60_000)
	part := func(first byte) []byte { return maskedFrame(first, whole) }
	return []announcement{
		{"top bit set", longHead(0x82, 1<<63), 1002},
		{"all bits set", longHead(0x82, 1<<64-1), 1002},
		{"2^63-1", longHead(0x82, 1<<63-1), 1009},
		{"2^62", longHead(0x82, 1<<62), 1009},
		{"2^32+5: wraps to 5 in 32 bits", longHead(0x82, 1<<32+5), 1009},
		{"2^31", longHead(0x82, 1<<31), 1009},
		{"limit + 1", frameHead(0x82, hostileLimit+1), 1009},
		{"limit + 1, with its bytes", maskedFrame(0x82, make([]byte, hostileLimit+1)), 1009},
		{"sum of fragments over the limit", append(part(0x02), frameHead(0x80, hostileLimit-60_000+1)...), 1009},
		{"sum of fragments over the limit, not the last", append(part(0x01), frameHead(0x00, hostileLimit)...), 1009},
		{"sum of fragments over int64", append(part(0x02), longHead(0x80, 1<<63-60_000)...), 1009},
		{"sum of fragments over int64 by one byte", append(maskedFrame(0x02, []byte("x")), longHead(0x80, 1<<63-1)...), 1009},
		{"125 in 16 bits", []byte{0x82, 0xfe, 0, 125}, 1002},
		{"0 in 16 bits", []byte{0x82, 0xfe, 0, 0}, 1002},
		{"65535 in 64 bits", longHead(0x82, 65535), 1002},
		{"125 in 64 bits", longHead(0x82, 125), 1002},
		{"0 in 64 bits", longHead(0x82, 0), 1002},
	}
}

// TestLengths: each lie is answered at the header, and costs that connection only.
func TestLengths(t *testing.T) {
	s := startServer(t, echoHandler, Options{Limits: Limits{MaxMessageSize: hostileLimit}})
	besideInnocent(t, s, func() {
		for _, k := range lengthAttacks() {
			t.Run(k.name, func(t *testing.T) {
				a := attack(t, s)
				a.say(t, string(k.say))
				a.expectClose(t, k.code)
			})
		}
	})
}

// TestLimitExactlyIsAccepted in fragments, and by the default limit's header.
func TestLimitExactlyIsAccepted(t *testing.T) {
	s := startServer(t, echoHandler, Options{Limits: Limits{MaxMessageSize: hostileLimit}})
	p := bytes.Repeat([]byte("0123456789"), hostileLimit/10)
	a := attack(t, s)
	a.say(t, string(maskedFrame(0x02, p[:1])), string(maskedFrame(0x00, p[1:70_000])), string(maskedFrame(0x80, p[70_000:])))
	if f, err := a.hear(); err != nil || !bytes.Equal(f.payload, p) {
		t.Errorf("%d bytes, %v", len(f.payload), err)
	}
	whole := startServer(t, echoHandler, Options{})
	a = attack(t, whole)
	a.say(t, string(longHead(0x82, MaxMessage)), "x")
	within(t, timeoutOf(5), "the default limit's header is taken", func() bool { return whole.Stats().Buffers.Out > 0 })
	if st := whole.Stats(); st.Open != 1 || st.Buffers.OutBytes > 64<<10 {
		t.Errorf("%+v", st)
	}
}

// TestLimitIsCheckedAgainAfterSetLimits: a lower limit holds for the message under way.
func TestLimitIsCheckedAgainAfterSetLimits(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	c := r.open()
	r.feed(maskedFrame(0x02, make([]byte, 5000)))
	if err := c.SetLimits(Limits{MaxMessageSize: 4096}); err != nil {
		t.Fatal(err)
	}
	r.feed(maskedFrame(0x80, []byte("x")))
	if got := r.closeCode(); got != 1009 {
		t.Error("Close", got)
	}
	r.end()
}

// TestMemoryFollowsBytesReceived: 1,000 connections that each announce 1 GiB and send 10
// bytes cost less than 64 KiB each, everything counted: the attackers' own ends too.
func TestMemoryFollowsBytesReceived(t *testing.T) {
	const conns, each = 1000, 64 << 10
	s := startServer(t, echoHandler, Options{Loops: 2})
	besideInnocent(t, s, func() {
		runtime.GC()
		before, out := memoryInUse(s), s.Stats().Buffers.Out
		all := make([]*attacker, conns)
		for i := range all {
			all[i] = attack(t, s)
			all[i].say(t, string(longHead(0x82, 1<<30)), "ten bytes.")
		}
		within(t, timeoutOf(10), "all have a message under way", func() bool {
			return s.Stats().Buffers.Out >= out+conns
		})
		st := s.Stats().Buffers
		runtime.GC()
		grown := memoryInUse(s) - before
		t.Logf("buffers: %d bytes each; heap and mappings grew by %d bytes each", st.OutBytes/conns, grown/conns)
		if st.OutBytes/conns >= each || grown/conns >= each {
			t.Errorf("%d bytes of buffers, %d of memory each: over %d", st.OutBytes/conns, grown/conns, each)
		}
		for _, a := range all {
			a.reset()
		}
		within(t, timeoutOf(10), "all are gone", func() bool { return s.Stats().Open <= 1 })
	})
}

// TestMemoryFollowsBytesReceivedAsTheyCome: with n bytes of an announced GiB received, what is
// taken is at most 4n of the heap (twice n when it was copied, rounded up to the next class), or
// a mapping, of which only what is written takes memory. It is given back with the connection.
func TestMemoryFollowsBytesReceivedAsTheyCome(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	r.open()
	r.feed(longHead(0x82, 1<<30))
	got := int64(0)
	for _, n := range []int{1, 9, 1000, 10_000, 100_000, 1 << 20, 3 << 20} {
		r.feed(make([]byte, n))
		got += int64(n)
		if b := r.s.Stats().Buffers; b.OutBytes-b.LargeBytes > max(4*got, 16<<10) || b.LargeBytes > 8*got {
			t.Errorf("%d bytes received, %+v", got, b)
		}
		if held := r.s.Stats().InboundBytes; held != max(got-reserveBytes, 0) {
			t.Errorf("%d bytes received, %d charged", got, held)
		}
	}
	r.end()
}

// TestCloseStopsAssembly: once we have closed, a message that the peer goes on with is
// dropped as it comes, not assembled until the peer is done.
func TestCloseStopsAssembly(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	c := r.open()
	r.feed(longHead(0x82, 1<<30))
	r.feed(make([]byte, 200_000))
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		r.feed(make([]byte, 1<<20))
	}
	if b := r.s.Stats(); b.Buffers.OutBytes > 0 || b.InboundBytes > 0 {
		t.Errorf("20 MiB after our Close hold %d bytes, %d charged", b.Buffers.OutBytes, b.InboundBytes)
	}
	r.end()
}

// TestLengthErrorsAreValues: OnClose learns which rule was broken.
func TestLengthErrorsAreValues(t *testing.T) {
	var got CloseEvent
	r := newTapeRig(t, Funcs{Close: func(_ *Conn, e CloseEvent) { got = e }}, Options{})
	r.open()
	r.feed(longHead(0x82, 1<<31))
	r.end()
	var ce *CloseError
	if !errors.As(got.Err, &ce) || ce.Code != 1009 || !errors.Is(got.Err, ErrTooLarge) || got.Code != 1006 {
		t.Errorf("%+v", got)
	}
}

// TestHeaderTailSurvivesAnEmptyRead: a poller may report a socket that turns out to have
// nothing to read, just when half a header is kept.
func TestHeaderTailSurvivesAnEmptyRead(t *testing.T) {
	frame := append(frameHead(0x82, 300), masked(make([]byte, 300))...)
	for cut := 1; cut < 8; cut++ {
		got := 0
		r := newTapeRig(t, Funcs{Message: func(*Conn, Message) { got++ }}, Options{})
		r.open()
		r.feed(frame[:cut])
		r.l.OnEvent(tapeFD, netio.Readable)
		r.feed(frame[cut:])
		if code := r.closeCode(); got != 1 || code != 0 {
			t.Errorf("cut at %d: %d messages, Close %d", cut, got, code)
		}
		r.end()
	}
}
