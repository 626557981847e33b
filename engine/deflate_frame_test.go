package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// In how many frames compressed messages leave: one, up to Policy.FrameBytes (docs/decisions/0017).

// framesOf are the frames of a message: what each adds to its compressed bytes.
func framesOf(t *testing.T, p *flatePeer) (sizes []int, m flateMessage) {
	t.Helper()
	var wire []byte
	for {
		f, err := p.hearFrame()
		if err != nil {
			t.Fatal("the client's read:", err)
		}
		if f.op >= 8 {
			if err := p.control(f); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if f.op != 0 {
			m.op, m.compressed = f.op, f.rsv1
		}
		sizes, wire = append(sizes, len(f.payload)), append(wire, f.payload...)
		if !f.fin {
			continue
		}
		m.frames = len(sizes)
		if m, err = p.whole(m, wire); err != nil {
			t.Fatal(err)
		}
		return sizes, m
	}
}

// sendsWhole are the ways to send a message as a whole.
var sendsWhole = map[string]func(s *Server, c *Conn, p *Prepared) error{
	"Send":     func(_ *Server, c *Conn, p *Prepared) error { return c.SendBinary(p.made.Payload()) },
	"SendText": func(_ *Server, c *Conn, p *Prepared) error { return c.SendText(string(p.made.Payload())) },
	"SendOwned": func(_ *Server, c *Conn, p *Prepared) error {
		b := c.loop.engine.pool.Get(len(p.made.Payload()))
		b.B = append(b.B, p.made.Payload()...)
		return c.SendOwned(OpBinary, b)
	},
	"SendPrepared": func(_ *Server, c *Conn, p *Prepared) error { return c.SendPrepared(p) },
	"Broadcast":    func(s *Server, _ *Conn, p *Prepared) error { s.Broadcast(p, nil); return nil },
}

// Whichever way a message is sent, from a callback or elsewhere, at every level and with each kind of takeover: it leaves
// in one frame, compressed if that makes it shorter. There are clients that fail on compressed messages in fragments.
func TestLongMessagesInOneFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(41, 1))
	for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
		for _, level := range []int{1, 6, 9} {
			t.Run(fmt.Sprint(takeover, " ", level), func(t *testing.T) {
				text := records(r, unraced(300_000, 200_000)>>(level/6))
				var s *Server
				h, conns := noteOpen(Funcs{Message: func(c *Conn, m Message) {
					if err := sendsWhole[string(m.Data)](s, c, prepared(t, OpBinary, text)); err != nil {
						t.Error(err)
					}
				}})
				s = startServer(t, h, Options{Deflate: &deflate.Policy{Takeover: takeover, Level: level}})
				p := dialFlate(t, s, justDeflate)
				c := receive(t, conns, "OnOpen")
				for way, send := range sendsWhole {
					if err := send(s, c, prepared(t, OpBinary, text)); err != nil {
						t.Fatal(err)
					}
					p.sends(OpText, []byte(way))
					for _, from := range []string{"elsewhere", "a callback"} {
						if m := p.hears(); m.frames != 1 || !m.compressed || !bytes.Equal(m.payload, text) {
							t.Errorf("%s from %s: %d frames, compressed: %v", way, from, m.frames, m.compressed)
						}
					}
				}
			})
		}
	}
}

// compressedTo is how long records become under a policy without takeover, and in what frames.
func compressedTo(t *testing.T, p deflate.Policy, payload []byte) []int {
	t.Helper()
	p.Takeover = deflate.NoTakeover
	l, m, c := meteredDeflate(t, Funcs{}, Options{Deflate: &p})
	m.credit = 1 << 30
	if err := c.SendBinary(payload); err != nil {
		t.Fatal(err)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 1<<20); turn > 1000 {
			t.Fatal("it does not end")
		}
	}
	peer := &flatePeer{t: t, agreed: true, server: flateContext{15, false}, attacker: &attacker{r: newReaderOf(m.taken)}}
	sizes, got := framesOf(t, peer)
	if !got.compressed || !bytes.Equal(got.payload, payload) {
		t.Fatalf("%d bytes became %d, compressed: %v", len(payload), len(got.payload), got.compressed)
	}
	return sizes
}

// FrameBytes to the byte: what is as long is one frame; of what is longer as much as fits is the first fragment, and each
// slice another. Negative: each slice is one from the start.
func TestFrameBytes(t *testing.T) {
	payload := records(rand.New(rand.NewPCG(42, 1)), 5*outgoing.SliceBytes+100)
	whole := compressedTo(t, deflate.Policy{}, payload)
	if len(whole) != 1 {
		t.Fatal(whole)
	}
	if sizes := compressedTo(t, deflate.Policy{FrameBytes: whole[0]}, payload); !slices.Equal(sizes, whole) {
		t.Errorf("%d bytes, and as many in one frame: %d", whole[0], sizes)
	}
	for _, most := range []int{whole[0] - 1, whole[0] / 2, 1} {
		sizes := compressedTo(t, deflate.Policy{FrameBytes: most}, payload)
		first := sizes[0] <= most || most == 1 // then the first slice, by itself, is longer
		if len(sizes) < 2 || len(sizes) > 6 || !first {
			t.Errorf("%d bytes, and %d in one frame: %d", whole[0], most, sizes)
		}
	}
	if sizes := compressedTo(t, deflate.Policy{FrameBytes: -1}, payload); len(sizes) < 3 || sizes[0] > whole[0]/3 {
		t.Errorf("without frames: %d", sizes)
	}
}

// With fragments the first leaves at once; in one frame nothing does before the message is whole.
func TestWhenTheFirstByteLeaves(t *testing.T) {
	payload := records(rand.New(rand.NewPCG(43, 1)), 8*outgoing.SliceBytes)
	for most, early := range map[int]bool{-1: true, 0: false} {
		l, m, c := meteredDeflate(t, Funcs{}, Options{Deflate: &deflate.Policy{FrameBytes: most}})
		m.credit = 1 << 30
		if err := c.SendBinary(payload); err != nil {
			t.Fatal(err)
		}
		for c.out.Account().Long > 0 {
			if (len(m.taken) > 0) != early {
				t.Fatalf("FrameBytes %d: %d bytes have left when %d were to be compressed", most, len(m.taken), c.out.Account().Long)
			}
			if n := c.BufferedAmount(); n != uint64(len(payload)) {
				t.Fatal("bufferedAmount:", n)
			}
			if l.OnWake(); c.out.Idle() {
				break
			}
		}
		if c.BufferedAmount() != 0 || len(m.taken) == 0 {
			t.Errorf("FrameBytes %d: %d bytes are buffered at the end", most, c.BufferedAmount())
		}
	}
}

// What begins to shrink and then does not: it leaves as it is if it became no shorter, and never grows by more than the
// headers of stored blocks, whatever it is and wherever it passes the frame.
func TestLongMessagesThatStopShrinking(t *testing.T) {
	r := rand.New(rand.NewPCG(44, 1))
	barely := noise(r, 512<<10)
	clear(barely[:1000]) // the first slice shrinks by less than the headers of the others, which are short at level 9, take
	half := append(records(r, outgoing.SliceBytes), noise(r, 1<<20)...)
	for _, k := range []struct {
		name       string
		payload    []byte
		level      int
		frame      int
		compressed bool
		fragments  bool
	}{
		{"barely", barely, 9, 0, false, false},
		{"barely, beyond the frame", barely, 9, 450 << 10, false, false},
		{"half", half, 1, 0, true, false},
		{"half, beyond the frame", half, 1, 256 << 10, true, true},
		{"half, in fragments", half, 1, -1, true, true},
	} {
		_, p, c := pair(t, modes[0], Options{Deflate: &deflate.Policy{Level: k.level, FrameBytes: k.frame}}, justDeflate)
		if err := c.SendBinary(k.payload); err != nil {
			t.Fatal(err)
		}
		got := p.wants(OpBinary, k.payload)
		if got.compressed != k.compressed || (got.frames > 1) != k.fragments || got.wire > len(k.payload)+len(k.payload)/(8<<10)*5 {
			t.Errorf("%s: %d bytes took %d in %d frames, compressed: %v", k.name, len(k.payload), got.wire, got.frames, got.compressed)
		}
		if err := c.SendText(string(lotsOfText)); err != nil {
			t.Fatal(err)
		}
		p.wants(OpText, lotsOfText) // the history is right
		settledAt0(t, c)
	}
}

// What was collected counts like all that waits: once a second message waits for HighWater, and for MaxBufferedAmount.
func TestCollectedCounts(t *testing.T) {
	highs := 0
	for _, limits := range []Limits{{HighWater: 100_000}, {MaxBufferedAmount: 100_000, Overflow: DropMessage}} {
		l, m, c := meteredDeflate(t, Funcs{HighWater: func(*Conn) { highs++ }}, Options{Limits: limits})
		if err := c.SendBinary(records(rand.New(rand.NewPCG(45, 1)), 7*outgoing.SliceBytes+1000)); err != nil {
			t.Fatal(err)
		}
		for c.out.Account().Long > 1000 {
			l.OnWake()
		}
		collected := c.out.Account().Collected
		if n := c.out.Account().Cost; n != 1000+collected || collected < 150_000 {
			t.Errorf("%d bytes wait; 1000 are to be compressed, and %d were", n, collected)
		}
		err := c.SendText("x")
		l.mailboxServed()
		if limits.HighWater != 0 && (err != nil || highs != 1 || m.reading()) {
			t.Errorf("%v; OnHighWater %d times, reading: %v", err, highs, m.reading())
		}
		if limits.MaxBufferedAmount != 0 && (err != ErrBufferFull || c.out.Account().Queued < collected) {
			t.Errorf("%v; %d bytes are queued", err, c.out.Account().Queued)
		}
	}
}

// A peer that does not read: no compressor is held for it, what was collected is kept and counts, and the message is one
// frame when it reads again.
func TestStalledPeerKeepsWhatWasCollected(t *testing.T) {
	payload := records(rand.New(rand.NewPCG(46, 1)), 8*outgoing.SliceBytes)
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	m.credit = 1 << 20
	if err := c.SendBinary(payload); err != nil {
		t.Fatal(err)
	}
	l.OnWake()
	m.credit, m.taken = 0, nil
	if err := c.Ping(nil); err != nil { // which finds the socket full
		t.Fatal(err)
	}
	for range 20 {
		l.OnWake()
	}
	rest := c.out.Account().Long
	if c.out.HoldsCompressor() || rest == 0 || c.out.Account().Collected == 0 {
		t.Errorf("holds a compressor: %v; %d bytes are to be compressed, %d are collected", c.out.HoldsCompressor(), rest, c.out.Account().Collected)
	}
	if n := c.out.Account().Cost; n != c.out.Account().Queued+rest+c.out.Account().Collected {
		t.Errorf("%d bytes wait", n)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 10_000); turn > 1000 {
			t.Fatal("it does not end")
		}
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	if got := p.wants(OpBinary, payload); got.frames != 1 || p.pings != 1 {
		t.Errorf("%d frames, and %d pings before them", got.frames, p.pings)
	}
}

// At MaxBufferedAmount a message that is half compressed makes way in one frame as well: the rest stored, or, where that
// is too long for a frame, all of it as it is. What is limited is shorter than what the message becomes.
func TestHurriedMessagesInOneFrame(t *testing.T) {
	r := rand.New(rand.NewPCG(47, 1))
	for _, k := range []struct {
		size, frame int
		compressed  bool
	}{{1 << 20, 0, true}, {1 << 20, 600 << 10, false}, {5 << 20, 0, false}} {
		for _, takeover := range []deflate.Takeover{deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor} {
			l, m, c := meteredDeflate(t, Funcs{}, Options{
				Deflate: &deflate.Policy{Takeover: takeover, FrameBytes: k.frame}, Limits: Limits{MaxBufferedAmount: 10_000},
			})
			m.credit = 1 << 30
			payload := records(r, k.size)
			if err := c.SendBinary(payload); err != nil {
				t.Fatal(err)
			}
			l.OnWake()
			err := c.SendText(string(lotsOfText))
			for range 100 {
				m.room(l, 1<<20)
			}
			p := &flatePeer{t: t, agreed: true, server: flateContext{15, takeover != deflate.NoTakeover}, attacker: &attacker{r: newReaderOf(m.taken)}}
			got := p.wants(OpBinary, payload)
			if compressed := k.compressed || takeover == deflate.OwnCompressor; got.frames != 1 || got.compressed != compressed {
				t.Errorf("%d bytes, takeover %d: %d frames of %d bytes, compressed: %v", k.size, takeover, got.frames, got.wire, got.compressed)
			}
			if err == nil {
				p.wants(OpText, lotsOfText)
			} else if err != ErrSlowConsumer || got.wire < outgoing.FlushBytes {
				t.Error(err)
			}
			if n := c.loop.engine.pool.Stats().LargeOut; n != 0 {
				t.Error("large buffers out:", n)
			}
		}
	}
}

// A prepared message is compressed from where it is, however many connections do it: nobody copies it.
func TestLongPreparedMessageIsNotCopied(t *testing.T) {
	payload := records(rand.New(rand.NewPCG(48, 1)), 2<<20)
	p := prepared(t, OpBinary, payload)
	l, m, c := meteredDeflate(t, Funcs{}, Options{Deflate: &deflate.Policy{Takeover: deflate.OwnCompressor}})
	m.credit = 1 << 30
	if err := errors.Join(c.SendPrepared(p), c.SendPrepared(p)); err != nil {
		t.Fatal(err)
	}
	if n := c.loop.engine.pool.Stats().LargeOut; n != 0 || c.out.Account().Long == 0 {
		t.Errorf("%d large buffers for a prepared message", n)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 1<<20); turn > 1000 {
			t.Fatal("it does not end")
		}
	}
	peer := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	for range 2 {
		if got := peer.wants(OpBinary, payload); got.frames != 1 {
			t.Error("frames:", got.frames)
		}
	}
}

// Pings are answered while a long message is compressed: the pong comes before its frame (RFC 6455 5.5.2, "as soon as is practical").
func TestPongsPassALongMessage(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := pair(t, m, Options{}, justDeflate)
		payload := bytes.Repeat(records(rand.New(rand.NewPCG(49, 1)), 1<<17), 8*unraced(10, 5))
		if err := c.SendBinary(payload); err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		if err := p.frame(finBit|9, []byte("there?")); err != nil {
			t.Fatal(err)
		}
		if f, err := p.hearFrame(); err != nil || f.op != 10 || string(f.payload) != "there?" {
			t.Fatalf("after %v: opcode %d, %d bytes, %v", time.Since(asked), f.op, len(f.payload), err)
		}
		if got := p.wants(OpBinary, payload); got.frames != 1 {
			t.Error("frames:", got.frames)
		}
	})
}

// A writer's message is in fragments by its user's choice, whatever FrameBytes says.
func TestWriterStaysInFragments(t *testing.T) {
	_, p, c := pair(t, modes[0], Options{}, justDeflate)
	w := c.NewWriter(OpText)
	for range 3 {
		if _, err := w.Write(lotsOfText); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got := p.wants(OpText, bytes.Repeat(lotsOfText, 3)); got.frames != 4 {
		t.Error("frames:", got.frames)
	}
}

// However many long messages are under way, no more compressors are held than outgoing.MostHeld, and one for the slice at hand:
// they are a megabyte each, which no limit counts.
func TestManyLongMessagesHoldFewCompressors(t *testing.T) {
	payload := records(rand.New(rand.NewPCG(50, 1)), 3*outgoing.SliceBytes)
	type end struct {
		l *loop
		m *clocked
		c *Conn
	}
	before := deflate.HeldCompressors()
	var ends []end
	few := func() {
		t.Helper()
		if n := deflate.HeldCompressors() - before; n > outgoing.MostHeld+1 {
			t.Fatalf("%d compressors are held for %d messages", n, len(ends))
		}
	}
	for range outgoing.MostHeld + 20 {
		l, m, c := meteredDeflate(t, Funcs{}, Options{})
		m.credit = 1 << 30
		ends = append(ends, end{l, m, c})
		if err := c.SendBinary(payload); err != nil {
			t.Fatal(err)
		}
		few()
	}
	for busy := true; busy; {
		busy = false
		for _, e := range ends {
			e.l.OnWake()
			busy = busy || e.c.BufferedAmount() > 0
			few()
		}
	}
	for _, e := range ends {
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(e.m.taken)}}
		if got := p.wants(OpBinary, payload); got.frames != 1 || got.wire > len(payload)/3 {
			t.Errorf("%d frames, of %d bytes together", got.frames, got.wire)
		}
	}
	if n := deflate.HeldCompressors(); n > before {
		t.Errorf("%d compressors are held at the end", n-before)
	}
}

// A crowd of long messages is collected a few at a time, so that it takes no more memory than those; all arrive, also beside
// peers that do not read, and a place is given back however a message ends.
func TestFewLongMessagesAreCollectedAtATime(t *testing.T) {
	const crowd, stalled = 3 * outgoing.MostCollecting, outgoing.MostCollecting + 1
	payload := records(rand.New(rand.NewPCG(51, 1)), unraced(8, 4)*outgoing.SliceBytes)
	h, conns := noteOpen(Funcs{})
	s := startServer(t, h, Options{Deflate: &deflate.Policy{}, Loops: 1})
	var peers []*flatePeer
	var all []*Conn
	for range crowd + stalled {
		peers = append(peers, dialFlate(t, s, justDeflate))
		all = append(all, receive(t, conns, "OnOpen"))
	}
	l := all[0].loop
	filler := noise(rand.New(rand.NewPCG(51, 2)), 8<<20)
	for i, c := range all {
		if i < stalled { // its socket is full before
			if err := c.SendBinary(filler); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.SendBinary(payload); err != nil {
			t.Fatal(err)
		}
	}
	most := uint64(0)
	within(t, timeoutOf(20), "the crowd is served", func() bool {
		held, busy := uint64(0), false
		for _, c := range all[stalled:] {
			c.mu.Lock()
			if !c.out.Idle() && uint64(len(payload))-c.out.Account().Long > outgoing.SliceBytes {
				held += c.out.Account().Collected
			}
			busy = busy || !c.out.Idle() && c.out.Account().Long > 0
			c.unlock()
		}
		most = max(most, held)
		if n := l.outgoing.Collecting(); n > outgoing.MostCollecting {
			t.Error(n, "have a place")
		}
		return !busy
	})
	if share := uint64(len(payload) / 4); most > (outgoing.MostCollecting+2)*share { // read one after the other, while some change places
		t.Errorf("%d bytes were collected at the same time", most)
	}
	for _, p := range peers[stalled:] {
		if got := p.wants(OpBinary, payload); got.frames != 1 {
			t.Error("frames:", got.frames)
		}
	}
	for _, c := range all[:stalled] {
		c.Terminate()
	}
	within(t, timeoutOf(5), "all places are free", func() bool { return l.outgoing.Collecting() == 0 && s.Stats().Open == crowd })
}
