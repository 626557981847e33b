package engine

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/klauspost/compress/flate"
)

// permessage-deflate in a simulation: what the engine is told to do, and peers who offer it or answer, keep
// to what was agreed on, and compress with other libraries than the engine's own code.

// randomDeflate gives half of all engines a policy, and some of them a hook.
func randomDeflate(r *rand.Rand, o *Options) {
	if r.IntN(2) == 0 {
		return
	}
	o.Deflate = &deflate.Policy{
		Takeover:          []deflate.Takeover{deflate.SharedHistory, deflate.SharedHistory, deflate.NoTakeover, deflate.OwnCompressor}[r.IntN(4)],
		PeerNoTakeover:    r.IntN(5) == 0,
		SendWindowBits:    randomBits(r),
		ReceiveWindowBits: randomBits(r),
		Level:             []int{1, 1, 1, 2, 4, 6, 9}[r.IntN(7)],
		HistoryBytes:      []int{0, 256, 32 << 10}[r.IntN(3)],
		MinSize:           []int{1, 1, 0}[r.IntN(3)],
		MaxRatio:          []int{0, 700}[r.IntN(2)],
	}
	if r.IntN(5) == 0 {
		o.Compress = func(op Opcode, size int) bool { return op == OpText || size%3 != 0 }
	}
}

// randomBits is a window, the largest as often as all the others.
func randomBits(r *rand.Rand) int {
	if r.IntN(2) == 0 {
		return 15
	}
	return 8 + r.IntN(8)
}

// randomOffer is a client's header line, or none.
func randomOffer(r *rand.Rand) string {
	if r.IntN(4) == 0 {
		return ""
	}
	var b strings.Builder
	for range 1 + r.IntN(2) {
		if b.Len() > 0 {
			b.WriteString(", ")
		}
		b.WriteString("permessage-deflate")
		for _, name := range []string{"server_no_context_takeover", "client_no_context_takeover"} {
			if r.IntN(5) == 0 {
				b.WriteString("; " + name)
			}
		}
		if r.IntN(3) == 0 {
			fmt.Fprintf(&b, "; server_max_window_bits=%d", 8+r.IntN(8))
		}
		switch r.IntN(3) {
		case 0:
			b.WriteString("; client_max_window_bits")
		case 1:
			fmt.Fprintf(&b, "; client_max_window_bits=%d", 8+r.IntN(8))
		}
	}
	return "Sec-WebSocket-Extensions: " + b.String() + "\r\n"
}

// simAgreement is what a response says of permessage-deflate: to the engine's end, and to the peer's.
type simAgreement struct {
	engine, peer struct {
		bits     int
		takeover bool
	}
}

// parseSimAgreement reads a response's head; nil when it accepts no extension. The engine and the peer have these roles.
func parseSimAgreement(head, engine, peer string) *simAgreement {
	_, value, ok := strings.Cut(head, "\r\nSec-WebSocket-Extensions: permessage-deflate")
	if !ok {
		return nil
	}
	value, _, _ = strings.Cut(value, "\r\n")
	var a simAgreement
	a.engine.bits, a.engine.takeover = simParameters(value, engine)
	a.peer.bits, a.peer.takeover = simParameters(value, peer)
	return &a
}

func simParameters(value, end string) (bits int, takeover bool) {
	bits = 15
	if _, text, ok := strings.Cut(value, end+"_max_window_bits="); ok {
		text, _, _ = strings.Cut(text, ";")
		bits, _ = strconv.Atoi(text)
	}
	return bits, !strings.Contains(value, end+"_no_context_takeover")
}

func (a *simAgreement) inflater() *simInflater {
	return &simInflater{window: 1 << a.engine.bits, takeover: a.engine.takeover}
}

// simDeflater compresses a peer's messages: those of some peers with compress/flate, one writer
// for a whole connection; those of the others with a writer for each message, which knows what
// came before as a dictionary.
type simDeflater struct {
	rng      *rand.Rand
	bits     int
	takeover bool
	own      *stdflate.Writer
	out      bytes.Buffer
	window   []byte // the end of what was compressed
}

func newSimDeflater(r *rand.Rand, a *simAgreement) *simDeflater {
	f := &simDeflater{rng: r, bits: a.peer.bits, takeover: a.peer.takeover}
	if f.bits == 15 && r.IntN(3) == 0 {
		level := []int{stdflate.BestSpeed, 6, stdflate.HuffmanOnly, stdflate.NoCompression}[r.IntN(4)]
		f.own, _ = stdflate.NewWriter(io.Discard, level)
		f.own.Reset(&f.out)
	}
	return f
}

// message is the payload of a compressed message, all its frames together.
func (f *simDeflater) message(p []byte) []byte {
	f.out.Reset()
	if f.own != nil {
		if !f.takeover {
			f.own.Reset(&f.out)
		}
		return f.write(f.own, p, false)
	}
	pool := &simWriters[f.bits]
	w, _ := pool.Get().(*flate.Writer)
	switch {
	case w == nil && f.bits == 15:
		w, _ = flate.NewWriter(io.Discard, 1)
	case w == nil:
		w, _ = flate.NewWriterWindow(io.Discard, 1<<f.bits)
	}
	w.ResetDict(&f.out, f.window)
	out := f.write(w, p, f.rng.IntN(4) == 0)
	pool.Put(w)
	if f.takeover {
		f.window = append(f.window, p...)
		f.window = append(f.window[:0:0], f.window[max(0, len(f.window)-1<<f.bits):]...)
	}
	return out
}

// simWriters are the writers with a window of so many bits. They take most of a megabyte each.
var simWriters [16]sync.Pool

// write ends with a flush of which the last four octets are cut off (RFC 7692 7.2.1), or with a
// final block and an octet that begins another (7.2.3.4).
func (f *simDeflater) write(w interface {
	io.WriteCloser
	Flush() error
}, p []byte, final bool) []byte {
	for len(p) > 0 && f.rng.IntN(3) == 0 { // blocks end anywhere, and may be empty
		n := f.rng.IntN(len(p) + 1)
		_, _ = w.Write(p[:n])
		_ = w.Flush()
		p = p[n:]
	}
	_, _ = w.Write(p)
	if final {
		_ = w.Close()
		return append(f.out.Bytes(), 0)
	}
	_ = w.Flush()
	return f.out.Bytes()[:f.out.Len()-4]
}

// compressed sends a message compressed, in frames that begin anywhere in it.
func (p *simPeer) compressed(op Opcode, data []byte) {
	p.fragments(op, p.deflater.message(data), true)
}

// violateDeflated breaks one rule of permessage-deflate for certain.
func (p *simPeer) violateDeflated() {
	p.deep = true // only who inflates the message can tell
	op, payload := OpBinary, []byte(nil)
	switch p.rng.IntN(8) {
	case 0:
		p.broke, payload = 1007, []byte{0x06} // block type 3
	case 1:
		p.broke, payload = 1007, []byte{0x00, 5, 0, 5, 0, 'x'} // LEN and NLEN disagree
	case 2:
		p.broke, payload = 1007, []byte{0x00, 100, 0, 155, 255, 'x'} // 100 bytes, of which 1 comes
	case 3:
		p.broke, op, payload = 1007, OpText, p.deflater.message([]byte("caf\xe9"))
	case 4, 5, 6:
		p.broke, payload = 1009, p.deflater.message(make([]byte, simMaxMessage+1+p.rng.IntN(simMaxMessage)))
	case 7:
		n := min(len(materials.phrases), simMaxMessage+1)
		p.broke, payload = 1009, p.deflater.message(materials.phrases[:n])
	}
	p.fragments(op, payload, true)
}

// violateRSV1 sets RSV1 where no message begins.
func (p *simPeer) violateRSV1() {
	switch {
	case p.deflater == nil && p.rng.IntN(2) == 0:
		p.headed(OpBinary, true, true, []byte{0})
	case p.rng.IntN(2) == 0:
		p.headed(OpPing, true, true, nil)
	default:
		p.headed(OpBinary, false, p.deflater != nil, nil)
		p.headed(codec.OpContinuation, true, true, []byte{0})
	}
}

// checkPlaces: a loop counts the long messages that are collected, and they are not many.
func (m *simulation) checkPlaces() {
	for i, l := range m.loops {
		places := 0
		for _, d := range m.ledgers {
			if c := d.conn; c != nil && c.loop == l && !c.out.Idle() && c.out.Account().Place {
				places++
			}
		}
		if n := int(l.outgoing.Collecting()); n != places || n > m.engine.conf.collecting {
			m.broke("loop %d counts %d places of %d; %d messages have one", i, n, m.engine.conf.collecting, places)
		}
	}
}

// payload is a message to be sent on a connection: where it may be compressed, often one that
// takes several slices.
func (m *simulation) payload(d *ledger) (Opcode, []byte) {
	if n := randomSize(m.rng); !d.conn.deflates || m.rng.IntN(m.rarelyLong) != 0 {
		return randomPayload(m.rng, n)
	}
	if n := outgoing.SliceBytes + m.rng.IntN(outgoing.SliceBytes*(1+m.rng.IntN(2))); m.rng.IntN(5) != 0 {
		return OpText, cutText(m.rng, materials.phrases, n)
	} else {
		return randomPayload(m.rng, n)
	}
}
