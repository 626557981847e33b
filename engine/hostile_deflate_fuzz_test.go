package engine

import (
	"bytes"
	"io"
	"syscall"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
)

const fuzzLimit = 64 << 10

// fuzzOffers are offers that lead to every kind of agreement.
var fuzzOffers = []string{
	anyDeflate,
	"permessage-deflate",
	"permessage-deflate; client_max_window_bits=8; server_max_window_bits=8",
	"permessage-deflate; client_max_window_bits=9; server_max_window_bits=10",
	"permessage-deflate; client_no_context_takeover; server_no_context_takeover",
	"permessage-deflate; client_no_context_takeover; server_max_window_bits=12",
	"permessage-deflate; server_no_context_takeover; client_max_window_bits=11",
}

// fuzzPolicies are as many policies of our own.
var fuzzPolicies = []deflate.Policy{
	{},
	{Takeover: deflate.NoTakeover, MinSize: 1},
	{Takeover: deflate.OwnCompressor, MinSize: 1},
	{Level: 6, HistoryBytes: 32 << 10, MinSize: 1},
	{SendWindowBits: 8, ReceiveWindowBits: 8, MinSize: 1},
	{PeerNoTakeover: true, MaxRatio: 50, MinSize: 1},
	{Level: 9, SendWindowBits: 10, MinSize: 1},
}

// fuzzRigs has one rig for each policy, made when it is first asked for.
type fuzzRigs struct {
	make func(p *deflate.Policy) (h Funcs, o Options)
	rigs [16]*tapeRig
}

func (f *fuzzRigs) get(t testing.TB, n uint8) *tapeRig {
	k := int(n) % len(fuzzPolicies)
	if f.rigs[k] == nil {
		h, o := f.make(&fuzzPolicies[k])
		o.Deflate, o.Logger = &fuzzPolicies[k], quietLogger
		f.rigs[k] = newTapeRig(t, h, o)
	}
	r := f.rigs[k]
	r.t, r.l.sys = t, r.sys
	t.Cleanup(func() {
		if t.(*testing.T).Failed() {
			f.rigs[k] = nil // what is left of this one must not fail the next
		}
	})
	return r
}

// FuzzDeflateConnection: whatever comes after an opening handshake that agreed on permessage-deflate, however it is cut
// and however turns end in it: no panic, no message and no memory beyond the limit, OnClose once, every buffer back.
func FuzzDeflateConnection(f *testing.F) {
	for i, k := range brokenStreams() {
		f.Add(fragmentsOf(0xc1, k.payload, i+1), []byte{3, 100, 1}, uint8(i), uint8(i))
	}
	for i, n := range []int{0, 1, 1000, fuzzLimit, fuzzLimit + 1, 1 << 20, 64 << 20} {
		f.Add(maskedFrame(0xc2, bomb(n)), []byte{byte(n), 7}, uint8(i), uint8(2*i))
		f.Add(append(fragmentsOf(0x42, bomb(n), 50), maskedFrame(0x88, nil)...), []byte{127}, uint8(3*i), uint8(i))
	}
	f.Add(maskedFrame(0xc2, bytes.Repeat(leastBlock(), 300)), []byte{90}, uint8(0), uint8(3))
	f.Add(maskedFrame(0xc1, squeezed(accounts(5000), nil)), []byte{90, 1, 2, 3}, uint8(5), uint8(1))
	var got, chunked, closes int
	rigs := fuzzRigs{make: func(*deflate.Policy) (Funcs, Options) {
		return Funcs{
			Message: func(c *Conn, m Message) {
				got = max(got, len(m.Data))
				_ = c.Send(m.Op, m.Data)
			},
			Close: func(*Conn, CloseEvent) { closes++ },
		}, Options{Limits: Limits{MaxMessageSize: fuzzLimit, HighWater: 4096, MaxBufferedAmount: 256 << 10}, InboundBudget: 1 << 20}
	}}
	chunks := fuzzRigs{make: func(*deflate.Policy) (Funcs, Options) {
		return Funcs{
			Chunk: func(_ *Conn, k Chunk) {
				if k.First {
					chunked = 0
				}
				chunked += len(k.Data)
				got = max(got, chunked)
			},
			Close: func(*Conn, CloseEvent) { closes++ },
		}, Options{Limits: Limits{MaxMessageSize: fuzzLimit}, InboundBudget: 1 << 20}
	}}
	f.Fuzz(func(t *testing.T, data, cuts []byte, agreed, how uint8) {
		in := &rigs
		if how&8 != 0 {
			in = &chunks
		}
		r := in.get(t, agreed/8)
		got, chunked, closes = 0, 0, 0
		c := r.openDeflate(fuzzOffers[int(agreed)%len(fuzzOffers)])
		var m *meteredTape
		if how&4 != 0 {
			m = r.meter(turnBudget * 2 / 3)
		}
		wire := int64(len(data))
		r.play(data, cuts)
		if most := int64(fuzzLimit + 64<<10 + 512<<10); m != nil && m.outBytes > most+4*wire {
			t.Errorf("%d bytes of buffers for %d", m.outBytes, wire)
		}
		r.l.sys = r.sys
		switch how & 3 {
		case 0:
			r.sys.ended = io.EOF
		case 1:
			r.sys.ended, r.sys.refused = syscall.ECONNRESET, syscall.EPIPE
		case 2:
			r.sys.refused = syscall.EPIPE
		case 3:
			r.pass(time.Minute)
		}
		r.settle()
		r.end()
		if got > fuzzLimit {
			t.Errorf("a message of %d bytes", got)
		}
		if closes != 1 || c.ReadyState() != Closed {
			t.Fatalf("OnClose %d times, state %v", closes, c.ReadyState())
		}
	})
}

// verdict is what became of one message.
type verdict struct {
	code, messages int
	data           string
}

// FuzzDeflateMessage: the same payload has the same end in one frame, in fragments, and with turns that stop in it, and
// what is delivered is what compress/flate makes of it.
func FuzzDeflateMessage(f *testing.F) {
	for i, k := range brokenStreams() {
		f.Add(k.payload, uint8(i+1), uint8(i), i%2 == 0)
	}
	for i, p := range [][]byte{nil, {0}, bomb(300), bomb(fuzzLimit), bomb(fuzzLimit + 1), costlyBlock(), leastBlock(), squeezed(accounts(3000), nil),
		append(stored("stored"), 0), {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, append(bytes.Repeat([]byte{3, 0}, 100), fixedMatch("abcdef", 3)...)} {
		f.Add(p, uint8(3*i+1), uint8(i), true)
	}
	var now verdict
	rigs := fuzzRigs{make: func(*deflate.Policy) (Funcs, Options) {
		return Funcs{Message: func(_ *Conn, m Message) {
			now.messages++
			now.data = string(m.Data)
		}}, Options{Limits: Limits{MaxMessageSize: fuzzLimit}}
	}}
	f.Fuzz(func(t *testing.T, payload []byte, fragment, agreed uint8, text bool) {
		r := rigs.get(t, agreed/8)
		first := byte(0xc2)
		if text {
			first = 0xc1
		}
		try := func(say []byte, step time.Duration) verdict {
			now = verdict{}
			r.openDeflate(fuzzOffers[int(agreed)%len(fuzzOffers)])
			if step > 0 {
				r.meter(step)
			}
			r.feed(say)
			r.l.sys = r.sys
			now.code = r.closeCode()
			r.end()
			return now
		}
		want := try(maskedFrame(first, payload), 0)
		for _, k := range []verdict{
			try(fragmentsOf(first, payload, max(1, int(fragment))), 0),
			try(maskedFrame(first, payload), 2*turnBudget),
			try(fragmentsOf(first, payload, max(1, int(fragment))), 2*turnBudget),
		} {
			if k.code != want.code || k.messages != want.messages || k.data != want.data {
				// A text that is no UTF-8 may end in fragments before what is broken behind it is seen.
				if !(text && k.messages == 0 && want.messages == 0) {
					t.Fatalf("Close %d, %d messages of %d bytes, and Close %d, %d of %d", k.code, k.messages, len(k.data), want.code, want.messages, len(want.data))
				}
			}
		}
		if len(want.data) > fuzzLimit || want.messages == 1 == (want.code != 0) {
			t.Fatalf("Close %d, %d messages of %d bytes", want.code, want.messages, len(want.data))
		}
		// A final block ends the stream for compress/flate, and not for RFC 7692; and a sender that has forgotten the
		// octet 00 of its last, empty block (7.2.3.4) is forgiven.
		theirs, err := expanded(payload, nil)
		if err != nil {
			theirs, err = expanded(append(bytes.Clone(payload), 0), nil)
		}
		if want.messages == 1 && (err != nil || !bytes.HasPrefix([]byte(want.data), theirs)) {
			t.Fatalf("%d bytes were delivered, compress/flate says %d, %v", len(want.data), len(theirs), err)
		}
	})
}

// FuzzDeflateEcho: what goes in by compress/flate, which keeps its window, comes back the same by every way out, to a peer
// that reads it with compress/flate and keeps that window, under any agreement, however it is cut.
func FuzzDeflateEcho(f *testing.F) {
	f.Add([]byte("hello, hello, hello"), uint8(0), uint8(7), uint8(0))
	for i := range 24 {
		f.Add(accounts(50+i*i*100), uint8(i), uint8(3*i), uint8(7*i))
	}
	rigs := fuzzRigs{make: func(*deflate.Policy) (Funcs, Options) { return Funcs{Message: echoEveryWay}, Options{} }}
	f.Fuzz(func(t *testing.T, data []byte, agreed, fragment, ways uint8) {
		r := rigs.get(t, agreed/8)
		offer := fuzzOffers[int(agreed)%len(fuzzOffers)]
		c := r.openDeflate(offer)
		receive := c.agreed.Value().deflate.Receive
		var ear deflateEar
		var sent []byte
		for k := range 4 {
			p := append([]byte{ways + byte(k)}, data...)
			if (ways+byte(k))%32 == 7 { // a long one
				p = bytes.Repeat(p, 1+200_000/len(p))
			}
			history := sent
			if !receive.Takeover || receive.WindowBits < 15 || len(p) > 32<<10 { // compress/flate has but one window
				history = nil
			}
			payload := squeezed(p, history)
			if receive.WindowBits < 15 {
				payload = append(inBlocks(p), 0)
			}
			r.feed(fragmentsOf(0xc2, payload, max(1, int(fragment)*16)))
			sent = append(sent, p...)
			sent = sent[max(0, len(sent)-32<<10):]
			if _, got, err := ear.hear(bytes.NewReader(r.sent())); err != nil || !bytes.Equal(got, p) {
				t.Fatalf("%s, message %d: %d bytes for %d, %v", offer, k, len(got), len(p), err)
			}
		}
		r.end()
	})
}

// inBlocks is p in stored blocks, for any window.
func inBlocks(p []byte) (out []byte) {
	for len(p) > 0 {
		n := min(len(p), 60_000)
		out = append(out, stored(string(p[:n]))...)
		p = p[n:]
	}
	return out
}

// echoEveryWay answers in the way that a message's first byte asks for.
func echoEveryWay(c *Conn, m Message) {
	switch m.Data[0] % 8 {
	case 0:
		w := c.NewWriter(m.Op)
		for p := m.Data; len(p) > 0; p = p[min(len(p), 1+len(m.Data)/3):] {
			_, _ = w.Write(p[:min(len(p), 1+len(m.Data)/3)])
		}
		_ = w.Close()
	case 1:
		if p, err := Prepare(m.Op, m.Data); err == nil {
			_ = c.SendPrepared(p)
		}
	case 2:
		_ = c.Send(m.Op, m.Data, NoCompress)
	case 3:
		b := c.loop.engine.pool.Get(len(m.Data))
		b.B = append(b.B, m.Data...)
		_ = c.SendOwned(m.Op, b)
	default:
		_ = c.Send(m.Op, m.Data)
	}
}
