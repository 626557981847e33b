package engine

import (
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// hasty is a clock that goes on with each look at it, so that turns end.
type hasty struct{ *clocked }

func (k *hasty) Now() time.Duration {
	k.now += turnBudget / 4
	return k.now
}

// A connection that fails while it waits for its peer to read, with input in hand: what the peer still writes is
// read and dropped, so that it comes to read the Close frame.
func TestFailingResumesReading(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{Message: func(c *Conn, _ Message) { _ = c.SendBinary(make([]byte, 2000)) }},
		Options{Limits: Limits{HighWater: 1 << 10, LowWater: 1 << 9}})
	l.sys = &hasty{m}
	one := maskedFrame(finBit|2, make([]byte, 10))
	for range 10_000 {
		m.input = append(m.input, one...)
	}
	l.OnEvent(5, netio.Readable)
	for range 100 { // a few messages each
		l.OnWake()
	}
	if c.flags&pausedByHigh == 0 || c.in == nil || c.in.rest == nil || m.reading() {
		t.Fatal("it does not wait")
	}
	c.in.budget.holder.shed = true // it holds more than its reserve
	c.notify(todoShed)
	for range 3 {
		l.OnWake()
	}
	if c.ReadyState() != Closing || !m.reading() {
		t.Errorf("%v, reading: %v", c.ReadyState(), m.reading())
	}
}

// Short messages behind a long one, and then one that fills the queue again: nothing is low in between.
func TestNoDrainBetweenWhatWaited(t *testing.T) {
	var events []string
	l, m, c := meteredDeflate(t, Funcs{
		HighWater: func(*Conn) { events = append(events, "high") },
		Drain:     func(*Conn) { events = append(events, "drain") },
	}, Options{Limits: Limits{HighWater: 1 << 20, LowWater: 1 << 10}})
	r := rand.New(rand.NewPCG(1, 2))
	m.credit = 1 << 20
	if err := errors.Join(c.SendBinary(records(r, 2<<20)), c.SendText("one"), c.SendText("two"), c.SendText("three"),
		c.Send(OpBinary, noise(r, 3<<20), NoCompress)); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		l.OnWake()
	}
	if !slices.Equal(events, []string{"high"}) || c.BufferedAmount() < 2<<20 {
		t.Errorf("%v with %d bytes buffered", events, c.BufferedAmount())
	}
	for range 100 {
		m.room(l, 1<<20)
	}
	if !slices.Equal(events, []string{"high", "drain"}) {
		t.Errorf("%v", events)
	}
}

// Megabytes that waited behind a long message, or a writer, are compressed a turn's worth at a time, in order, and
// what is sent meanwhile, the Close frame too, comes behind them.
func TestWhatWaitedTakesTurns(t *testing.T) {
	for _, behind := range []string{"a long message", "a writer", "a writer that has not begun"} {
		l, m, c := meteredDeflate(t, Funcs{}, Options{})
		m.credit = 1 << 30
		r := rand.New(rand.NewPCG(3, 4))
		want := [][]byte{records(r, 300_000)}
		send := func(n int) {
			b := records(r, n)
			want = append(want, b)
			if err := c.SendBinary(b); err != nil {
				t.Fatal(err)
			}
		}
		w := io.Closer(nil)
		switch behind {
		case "a long message":
			_ = c.SendBinary(want[0])
		case "a writer":
			o := c.NewWriter(OpBinary)
			_, _ = o.Write(want[0])
			w = o
		default:
			want = nil
			w = c.NewWriter(OpBinary)
		}
		for i := range 40 {
			send(100_000)
			send(i % 3)
		}
		if behind == "a writer" {
			_ = w.Close()
			l.OnWake()
			send(10)
		}
		_ = c.CloseWith(4000, "")
		for turn := 0; c.BufferedAmount() > 0; turn++ {
			before := c.BufferedAmount()
			l.OnWake()
			if n := before - min(before, c.BufferedAmount()); n > 300_000+2*outgoing.SliceBytes || turn > 1000 {
				t.Fatalf("behind %s: %d bytes left in turn %d", behind, n, turn)
			}
		}
		l.OnWake()
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
		for _, b := range want {
			p.wants(OpBinary, b)
		}
		p.wantsClose(4000)
	}
}

// At a level that is slow a turn compresses less, and a long message leaves as it would at any.
func TestSlicesFollowTheLevel(t *testing.T) {
	var l *loop
	var m *clocked
	var c *Conn
	want := records(rand.New(rand.NewPCG(5, 6)), 100_000)
	for level, turns := range map[int]int{1: 0, 7: 4, 8: 7, 9: 25} {
		l, m, c = meteredDeflate(t, Funcs{}, Options{Deflate: &deflate.Policy{Level: level}})
		m.credit = 1 << 30
		if err := c.SendBinary(want); err != nil {
			t.Fatal(err)
		}
		n := 0
		for ; c.BufferedAmount() > 0 && n < 100; n++ {
			l.OnWake()
		}
		if n < turns-2 || n > turns+2 {
			t.Errorf("level %d: %d turns, want about %d", level, n, turns)
		}
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
		p.wants(OpBinary, want)
	}
}

// Of a long Write one slice is compressed at once, and the loop goes on with the rest, a slice a turn: it counts as a
// whole at once, and is all in the message.
func TestLongWriteIsTheLoops(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit = 1 << 30
	want := records(rand.New(rand.NewPCG(7, 8)), 2<<20)
	w := c.NewWriter(OpBinary)
	for _, part := range [][]byte{want[:1<<20], want[1<<20:]} {
		if n, err := w.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	if n, out := c.BufferedAmount(), c.loop.engine.snapshot().Deflate.BytesOut; n != uint64(len(want)) || out != outgoing.SliceBytes {
		t.Errorf("%d bytes are buffered, and %d were compressed", n, out)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		before := c.loop.engine.snapshot().Deflate.BytesOut
		l.OnWake()
		if made := c.loop.engine.snapshot().Deflate.BytesOut - before; made > outgoing.SliceBytes {
			t.Fatalf("%d bytes were compressed in a turn", made)
		}
		if turn > 100 {
			t.Fatal("it does not end")
		}
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	p.wants(OpBinary, want)
}

// While the peer does not read, no compressor is held for it: neither for a long message nor for a writer. When it reads
// again all of it arrives.
func TestStalledPeerHoldsNoCompressor(t *testing.T) {
	for _, level := range []int{1, 6, 9} {
		for _, way := range []string{"message", "writer"} {
			l, m, c := meteredDeflate(t, Funcs{}, Options{Deflate: &deflate.Policy{Level: level}})
			want := records(rand.New(rand.NewPCG(uint64(level), 9)), 1<<20)
			var err error
			w := io.WriteCloser(nil)
			if way == "message" {
				err = c.SendBinary(want)
			} else {
				w = c.NewWriter(OpBinary)
				_, err = w.Write(want)
			}
			if err != nil {
				t.Fatal(err)
			}
			for range 20 {
				m.room(l, 3000)
				l.OnWake()
				if c.out.Account().Blocked && c.out.HoldsCompressor() {
					t.Fatalf("level %d, %s: a compressor is held while the socket is full", level, way)
				}
			}
			if w != nil {
				if err := w.Close(); err != nil {
					t.Fatal(err)
				}
			}
			for turn := 0; c.BufferedAmount() != 0; turn++ {
				if m.room(l, 50_000); turn > 1000 {
					t.Fatal("it does not end")
				}
			}
			p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
			p.wants(OpBinary, want)
		}
	}
}

// A single long message to a peer that reads is no reason not to read what it says.
func TestLongMessageDoesNotPause(t *testing.T) {
	paused := 0
	l, m, c := meteredDeflate(t, Funcs{HighWater: func(*Conn) { paused++ }}, Options{Limits: Limits{HighWater: 1 << 20}})
	m.credit, m.watched = 1<<30, netio.Readable
	if err := c.SendBinary(records(rand.New(rand.NewPCG(1, 9)), 8<<20)); err != nil {
		t.Fatal(err)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if l.OnWake(); turn > 200 {
			t.Fatal("it does not end")
		}
	}
	if paused != 0 || !m.reading() {
		t.Errorf("OnHighWater came %d times, reading: %v", paused, m.reading())
	}
}

// While we compress what was sent before Close, the peer has nothing to answer: CloseTimeout begins when all is its turn.
func TestCloseTimeoutBeginsBehindOurWork(t *testing.T) {
	for _, reads := range []bool{true, false} {
		l, m, c := meteredDeflate(t, Funcs{}, Options{Limits: Limits{CloseTimeout: time.Second, WriteStallTimeout: time.Hour}})
		if reads {
			m.credit = 1 << 30
		}
		want := records(rand.New(rand.NewPCG(2, 9)), 4<<20)
		if err := errors.Join(c.SendBinary(want), c.Close()); err != nil {
			t.Fatal(err)
		}
		for turn := 0; turn < 60; turn++ { // a tenth of a second each
			m.now += time.Second / 10
			l.OnWake()
		}
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
		if !reads {
			if c.ReadyState() != Closed {
				t.Error("a peer that does not read is waited for:", c.ReadyState())
			}
			continue
		}
		p.wants(OpBinary, want)
		p.wantsClose(1000)
	}
}

// What was compressed counts as it was compressed, also of a message that never ends.
func TestStatsOfAnAbortedMessage(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit = 1 << 30
	if err := errors.Join(c.SendBinary(records(rand.New(rand.NewPCG(3, 9)), 700)), c.SendBinary(records(rand.New(rand.NewPCG(4, 9)), 1<<20))); err != nil {
		t.Fatal(err)
	}
	l.OnWake()
	c.Terminate()
	l.OnWake()
	if st := c.loop.engine.snapshot().Deflate; st.MessagesOut != 1 || st.BytesOut < 700+outgoing.SliceBytes || st.WireBytesOut >= st.BytesOut/2 {
		t.Errorf("%+v", st)
	}
}

// Once nothing is delivered any more, a message under way is given up with all it holds.
func TestClosingDropsTheInflater(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit = 1 << 20
	wire := (&squeezer{flateContext: flateContext{15, true}, level: 6}).message(records(rand.New(rand.NewPCG(9, 10)), 3000))
	m.input = maskedFrame(rsv1Bit|2, wire[:200])
	l.OnEvent(5, netio.Readable)
	if s := c.deflation.Load(); s == nil || s.receiver.Held() < 4<<10 {
		t.Fatal("nothing is held")
	}
	_ = c.Close()
	l.OnWake()
	m.input = maskedFrame(0, wire[200:400])
	l.OnEvent(5, netio.Readable)
	if n := c.deflation.Load().receiver.Held(); n != 0 {
		t.Errorf("%d bytes are held", n)
	}
}

// NoCompress is what switches compression off, not that there is an option.
func TestOtherOptionsDoNotSwitchOff(t *testing.T) {
	_, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit = 1 << 20
	if err := c.Send(OpText, records(rand.New(rand.NewPCG(11, 12)), 3000), 0); err != nil {
		t.Fatal(err)
	}
	if m.taken[0]&rsv1Bit == 0 {
		t.Error("it is not compressed")
	}
}
