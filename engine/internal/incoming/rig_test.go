package incoming

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// rig is an In with a caller: it gives bytes, cut anywhere and moved between the calls, and writes down what comes.
type rig struct {
	t       testing.TB
	lane    *Lane
	in      In
	lim     Limits
	discard int // Discard after so many events
	whole   bool
	direct  bool

	stream []byte // all that was given
	used   int    // of it

	got    []occurrence
	chunks bool
	part   string // chunks of a message under way
	open   bool   // there was one
	code   int
	work   int
	most   int64 // the most that was held
}

// wideOpen is an agreement of a server with takeover and the whole window.
func wideOpen(t testing.TB, x *deflate.Extension) deflate.Agreement {
	t.Helper()
	a, ok := x.Negotiate([][]byte{[]byte("permessage-deflate")})
	if !ok {
		t.Fatal("no agreement")
	}
	return a
}

func newRig(t testing.TB, deflates, chunks bool) *rig {
	t.Helper()
	x, err := deflate.New(deflate.Policy{})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, lim: Limits{MaxMessageSize: 1 << 20, MaxFragments: 100}, whole: true, direct: true}
	r.lane = &Lane{Pool: pool.New(), Deflate: x}
	r.chunks = chunks
	r.begin(deflates)
	t.Cleanup(func() {
		r.in.Release()
		if n := r.lane.Pool.Stats().Out; n != 0 {
			t.Errorf("%d buffers are out", n)
		}
	})
	return r
}

func (r *rig) begin(deflates bool) {
	var a deflate.Agreement
	if deflates {
		a = wideOpen(r.t, r.lane.Deflate)
	}
	r.in.Begin(r.lane, r.chunks, a, nil)
	r.stream, r.used = nil, 0
}

func (r *rig) over() bool {
	return r.code != 0 || len(r.got) > 0 && r.got[len(r.got)-1].kind == Close
}

// feed gives one read's bytes.
func (r *rig) feed(read []byte) {
	r.t.Helper()
	r.stream = append(r.stream, read...)
	for len(read) > 0 && !r.over() && r.direct && r.in.Direct() > 0 {
		room := r.in.Room(1<<10, &r.lim)
		if len(room) == 0 || uint64(len(room)) > r.in.Direct() {
			r.t.Fatalf("room for %d bytes of %d", len(room), r.in.Direct())
		}
		n := copy(room, read)
		read = read[n:]
		e := stale()
		err := r.in.Filled(n, &e)
		r.used += n
		r.take(&e, err)
	}
	b := bytes.Clone(read)
	for (len(b) > 0 || r.in.More()) && !r.over() {
		b = r.step(b)
	}
}

// stale is an event as an earlier call may have left it.
func stale() Event { return Event{Kind: 99, Held: new(pool.Buffer), Work: -1} }

// step is one call, and gives what is left another place.
func (r *rig) step(b []byte) []byte {
	r.t.Helper()
	if r.whole && len(b) > 0 {
		if n := r.stepWhole(b); n > 0 {
			return bytes.Clone(b[n:])
		}
	}
	more := r.in.More()
	e := stale()
	n, err := r.in.Next(b, &r.lim, &e)
	if n < 0 || n > len(b) || n == 0 && !more && err == nil {
		r.t.Fatalf("%d bytes used of %d", n, len(b))
	}
	r.used += n
	r.take(&e, err)
	r.checkDirect()
	return bytes.Clone(b[n:])
}

// stepWhole is one call of Whole: it takes a message exactly where one lies, and else leaves all as it was.
func (r *rig) stepWhole(b []byte) int {
	r.t.Helper()
	before := bytes.Clone(b)
	want := 0
	if r.in.Idle() && !r.chunks && (r.discard == 0 || len(r.got) < r.discard) {
		want = wholeAt(before, r.lane.Role, r.lim.MaxMessageSize)
	}
	op, data, n := r.in.Whole(b, &r.lim)
	if n != want || n == 0 && (op != 0 || data != nil || !bytes.Equal(b, before)) {
		r.t.Fatalf("Whole: %d bytes of %d used, not %d; opcode %d, %.40q", n, len(b), want, op, data)
	}
	if n > 0 {
		r.used += n
		r.take(&Event{Kind: Message, Op: op, Data: data}, nil)
	}
	return n
}

// wholeAt is how many bytes of b the message takes that lies at its start: whole, in one frame of at most 65,535 bytes, not
// compressed, within the limit, and UTF-8 if it is text. 0: there is none.
func wholeAt(b []byte, role codec.Role, most int64) int {
	at, size, whole := payloadAt(b)
	if len(b) < 8 || at == 0 || !whole || b[0] != 0x81 && b[0] != 0x82 || b[1] < 0x80 != (role == codec.RoleClient) || b[1]&0x7f == 127 || b[1]&0x7f == 126 && size < 126 || int64(size) > most {
		return 0
	}
	if b[0] == 0x81 {
		p := bytes.Clone(b[at : at+int(size)])
		for i := 0; role == codec.RoleServer && i < len(p); i++ {
			p[i] ^= b[at-4+i%4]
		}
		if !utf8.Valid(p) {
			return 0
		}
	}
	return at + int(size)
}

// payloadAt is where a frame has its payload, and how long that is; 0: the header is not all there.
func payloadAt(b []byte) (at int, size uint64, whole bool) {
	if len(b) < 2 {
		return 0, 0, false
	}
	at, size = 2, uint64(b[1]&0x7f)
	switch {
	case size == 126 && len(b) >= 4:
		at, size = 4, uint64(binary.BigEndian.Uint16(b[2:]))
	case size == 127 && len(b) >= 10:
		at, size = 10, binary.BigEndian.Uint64(b[2:])
	case size >= 126:
		return 0, 0, false
	}
	if at += 4 * int(b[1]>>7); len(b) < at {
		return 0, 0, false
	}
	return at, size, uint64(len(b)-at) >= size
}

// checkDirect: what is left of a frame may be read directly exactly while that belongs to a message that is assembled as it
// is.
func (r *rig) checkDirect() {
	r.t.Helper()
	if r.over() {
		return
	}
	var want uint64
	for b, plain := r.stream[:r.used], false; len(b) > 0; {
		at, size, whole := payloadAt(b)
		if at == 0 {
			break
		}
		if b[0]&0x0f == 1 || b[0]&0x0f == 2 {
			plain = b[0]&0x40 == 0
		}
		if !whole {
			if data := b[0]&0x08 == 0; data && plain && r.in.msg != nil {
				want = size - uint64(len(b)-at)
			}
			break
		}
		b = b[at+int(size):]
	}
	if n := r.in.Direct(); n != want {
		r.t.Fatalf("%d bytes may be read directly, not %d", n, want)
	}
}

// take writes down an event and an error.
func (r *rig) take(e *Event, err error) {
	r.t.Helper()
	r.work += e.Work
	r.most = max(r.most, r.in.Held())
	if n := r.lane.Inflated; r.work != int(n.Bytes+4*n.Wire) {
		r.t.Fatalf("%d bytes of work for %+v", r.work, n)
	}
	o := occurrence{e.Kind, byte(e.Op), string(e.Data)}
	switch e.Kind {
	case Nothing:
	case Chunk:
		r.takeChunk(e)
	case Ping, Pong, Close:
		o.op = 0
		fallthrough
	case Message:
		if r.chunks && o.kind == Message {
			r.t.Fatal("a whole message where chunks are delivered")
		}
		r.got = append(r.got, o)
	default:
		r.t.Fatalf("an event of kind %d", e.Kind)
	}
	if e.Held != nil {
		if e.Kind != Message || len(e.Data) > 0 && &e.Data[0] != &e.Held.B[0] {
			r.t.Fatal("what is held is not the message")
		}
		e.Held.Release()
	}
	if err != nil {
		r.code = codeOf(r.t, err)
	}
	if r.discard > 0 && len(r.got) >= r.discard {
		r.in.Discard()
	}
}

func (r *rig) takeChunk(e *Event) {
	if !r.chunks || e.First == r.open || len(e.Data) == 0 && !e.Last {
		r.t.Fatalf("first %v, and under way %v; %d bytes", e.First, r.open, len(e.Data))
	}
	r.part += string(e.Data)
	if r.open = !e.Last; e.Last {
		r.got = append(r.got, occurrence{Message, byte(e.Op), r.part})
		r.part = ""
	}
}

func codeOf(t testing.TB, err error) int {
	switch k := err.(type) {
	case codec.Error:
		return int(k.Code())
	case deflate.Error:
		return k.Code()
	case Error:
		return k.Code()
	}
	t.Fatalf("an error without a code: %v", err)
	return 0
}

// frame is a client's frame.
func frame(first byte, payload []byte) []byte {
	b := []byte{first}
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	key := [4]byte{0x11, 0xa2, 0x33, 0xc4}
	b = append(b, key[:]...)
	for i, c := range payload {
		b = append(b, c^key[i%4])
	}
	return b
}

// bare is a server's frame: that of a client, without the mask.
func bare(first byte, payload []byte) []byte {
	b := frame(first, payload)
	b = b[:len(b)-len(payload)-4]
	b[1] &^= 0x80
	return append(b, payload...)
}

// as makes this side a server or a client, whose peers send frames of their kind.
func (r *rig) as(role codec.Role) {
	r.lane.Role = role
	r.begin(r.in.agreed != deflate.Agreement{})
}

// squeezer is a client's compressor: compress/flate with takeover.
type squeezer struct {
	out bytes.Buffer
	w   *flate.Writer
}

func (z *squeezer) message(p []byte) []byte {
	if z.w == nil {
		z.w, _ = flate.NewWriter(&z.out, 6)
	}
	z.out.Reset()
	_, _ = z.w.Write(p)
	_ = z.w.Flush()
	return bytes.TrimSuffix(bytes.Clone(z.out.Bytes()), []byte{0, 0, 0xff, 0xff})
}

// cuts cuts a stream at random.
func cuts(rng *rand.Rand, b []byte) (reads [][]byte) {
	most := 1 + rng.IntN(1+rng.IntN(len(b)+1))
	for len(b) > 0 {
		n := min(len(b), 1+rng.IntN(most))
		reads = append(reads, b[:n])
		b = b[n:]
	}
	return reads
}

// flushed is a part of a message, n bytes that all can be inflated.
func (z *squeezer) flushed(n uint64) []byte {
	return append(z.message(make([]byte, n)), 0, 0, 0xff, 0xff)
}
