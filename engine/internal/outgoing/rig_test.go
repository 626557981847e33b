package outgoing

import (
	"bytes"
	"errors"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/mask"
	"github.com/gannet-ws/gannet/pool"
)

var (
	errFull   = errors.New("full")
	errBroken = errors.New("broken")
)

// holdingSink is a carrier that may take more than it answers, as TLS does: it checks that what it did not answer comes
// again, first and unchanged.
type holdingSink struct {
	tb     testing.TB
	room   int // how much may leave yet
	most   int // in one call; 0: any
	ahead  int // how much it takes beyond what has left
	broken bool

	left  []byte // what has left
	taken []byte // what was taken and is not answered
	calls int
}

func (s *holdingSink) Write(id int, p []byte) (int, error) { return s.Writev(id, [][]byte{p}) }

func (s *holdingSink) Writev(id int, v [][]byte) (int, error) {
	total := 0
	for _, p := range v {
		total += len(p)
	}
	s.calls++
	if id != 5 || total == 0 {
		s.tb.Fatalf("%d bytes for descriptor %d", total, id)
	}
	n := min(total, s.room)
	if s.most > 0 {
		n = min(n, s.most)
	}
	p := first(v, min(total, max(n+s.ahead, len(s.taken))))
	if n := min(len(p), len(s.taken)); !bytes.Equal(p[:n], s.taken[:n]) {
		s.tb.Fatal("what was not answered is presented changed")
	}
	if s.broken {
		return 0, errBroken
	}
	if len(p) > len(s.taken) {
		s.taken = append(s.taken, p[len(s.taken):]...)
	}
	s.left = append(s.left, p[:n]...)
	s.taken = s.taken[min(n, len(s.taken)):]
	if s.room -= n; n == 0 {
		return 0, errFull
	}
	return n, nil
}

// first joins the first n bytes of v.
func first(v [][]byte, n int) (p []byte) {
	p = make([]byte, 0, n)
	for _, b := range v {
		p = append(p, b[:min(len(b), n-len(p))]...)
	}
	return p
}

// frame is one as the peer reads it.
type frame struct {
	op      codec.Opcode
	fin     bool
	rsv1    bool
	payload string
}

// reader reads frames from what has left.
type reader struct {
	tb      testing.TB
	d       codec.Decoder
	inflate *deflate.Receiver
	read    int // bytes of the stream
	now     frame
	payload []byte // of it
	frames  []frame
	message frame
	started bool
	all     []frame // whole messages, inflated
	keys    map[uint32]bool
}

func newReader(tb testing.TB, masked bool, x *deflate.Extension, a deflate.Agreement) *reader {
	r := &reader{tb: tb}
	role := codec.RoleClient
	if masked {
		role, r.keys = codec.RoleServer, map[uint32]bool{}
	}
	r.d.Reset(role, x != nil)
	if x != nil {
		k := x.Receiver(deflate.Agreement{Receive: a.Send}, pool.New())
		r.inflate = &k
	}
	return r
}

// readOn reads what is new of the stream.
func (r *reader) readOn(stream []byte) {
	for b := bytes.Clone(stream[r.read:]); len(b) > 0; {
		var p codec.Piece
		n, err := r.d.Next(b, &p)
		if err != nil {
			r.tb.Fatal("the wire shows:", err)
		}
		if n == 0 {
			return
		}
		r.read += n
		b = b[n:]
		if p.First {
			r.now = frame{op: p.Opcode, fin: p.Fin, rsv1: p.RSV1}
			r.payload = r.payload[:0]
			if r.keys != nil {
				if r.keys[p.Key] && p.Key != 0 {
					r.tb.Fatal("a key was used twice")
				}
				r.keys[p.Key] = true
			}
		}
		mask.XOR(p.Payload, p.Key)
		r.payload = append(r.payload, p.Payload...)
		if p.Last {
			r.now.payload = string(r.payload)
			r.onFrame(r.now)
		}
	}
}

func (r *reader) onFrame(f frame) {
	r.frames = append(r.frames, f)
	if f.op >= codec.OpClose {
		return
	}
	if f.op != codec.OpContinuation {
		r.message = frame{op: f.op, rsv1: f.rsv1}
	}
	r.started, r.message.fin = !f.fin, f.fin
	r.message.payload += f.payload
	if !f.fin {
		return
	}
	if r.message.rsv1 {
		r.message.payload = r.inflated(r.message.payload)
	}
	r.all = append(r.all, r.message)
}

// inflated is where a reader inflates.
var inflated [4 << 20]byte

func (r *reader) inflated(p string) string {
	out, src := inflated[:], []byte(p)
	n, step := 0, deflate.Yielded
	for step == deflate.Yielded {
		k, used, next, err := r.inflate.Inflate(out[n:], src, true)
		if err != nil {
			r.tb.Fatal("inflating:", err)
		}
		n, src, step = n+k, src[used:], next
	}
	if step != deflate.Done {
		r.tb.Fatal("inflating:", step)
	}
	return string(out[:n])
}

// rig is an Out with all that it is called with.
type rig struct {
	testing.TB
	sink   *holdingSink
	lane   *Lane
	out    Out
	limits *Limits
	spare  *Spare
	after  uint32
	corked bool
	due    Due
	reader *reader
	agreed deflate.Agreement
}

var noLimits = Limits{MaxBuffered: -1, High: 1 << 40, Low: 1 << 20}

func newRig(tb testing.TB, p *deflate.Policy, masked bool) *rig {
	r := &rig{TB: tb, sink: &holdingSink{tb: tb, room: 1 << 30}, limits: &noLimits}
	r.lane = &Lane{Sink: r.sink, Full: errFull, Pool: pool.New(), Slice: SliceBytes, Places: MostCollecting}
	if p != nil {
		x, err := deflate.New(*p)
		if err != nil {
			tb.Fatal(err)
		}
		r.lane.Deflate, r.lane.Slice, r.lane.Frame = x, SliceAt(x.Policy().Level), int64(x.Policy().FrameBytes)
		r.agreed, _ = x.Negotiate([][]byte{[]byte("permessage-deflate")})
	}
	if masked {
		key := byte(0)
		r.lane.Mask = func() [4]byte { key++; return [4]byte{key, 1, 2, key ^ 0x55} }
	} else {
		r.spare = new(Spare)
	}
	r.reader = newReader(tb, masked, r.lane.Deflate, r.agreed)
	return r
}

func (r *rig) call() Call {
	k := Call{Lane: r.lane, Limits: r.limits, ID: 5, After: r.after, Corked: r.corked}
	if r.corked {
		k.Spare = r.spare
	}
	return k
}

func (r *rig) took() Due {
	r.due |= r.out.Due()
	if (r.out.due != 0) != r.out.HasDue() {
		r.Fatal("HasDue")
	}
	return r.due
}

func (r *rig) wantDue(want Due) {
	r.Helper()
	if got := r.took(); got != want {
		r.Fatalf("due: %b, not %b", got, want)
	}
	r.due = 0
}

func (r *rig) send(p string, as deflate.Agreement) Verdict {
	return r.out.Send(r.call(), &Message{Op: codec.OpBinary, P: []byte(p), Compress: as})
}

func (r *rig) begin(as deflate.Agreement) *Writer {
	r.Helper()
	w := new(Writer)
	if !r.out.Begin(r.call(), w, codec.OpBinary, as) {
		r.Fatal("a writer is open")
	}
	return w
}

func (r *rig) wants(want ...string) {
	r.Helper()
	r.reader.readOn(r.sink.left)
	var got []string
	for _, f := range r.reader.all {
		got = append(got, f.payload)
	}
	if len(got) != len(want) {
		r.Fatalf("%d messages have left, not %d: %.300q", len(got), len(want), got)
	}
	for i := range got {
		if got[i] != want[i] {
			r.Fatalf("message %d is %.80q, not %.80q", i, got[i], want[i])
		}
	}
}

// gone checks that nothing is left of what was sent.
func (r *rig) gone() {
	r.Helper()
	if n := r.out.Buffered(); n != 0 || !r.out.Idle() || !r.out.AllLeft() {
		r.Fatalf("buffered %d, idle: %v, %+v", n, r.out.Idle(), r.out.Account())
	}
	r.out.Drop()
	if n := r.lane.Pool.Stats().Out; n != 0 {
		r.Fatalf("%d buffers are out", n)
	}
	if n := r.lane.Collecting(); n != 0 {
		r.Fatalf("%d places are taken", n)
	}
}

func accounts(n int) string {
	var b bytes.Buffer
	for i := 0; b.Len() < n; i++ {
		b.WriteString(`{"account":` + string(rune('0'+i*7%10)) + string(rune('0'+i*3%10)) + string(rune('0'+i/10%10)) + `,"balance":"0.00"}`)
	}
	return b.String()[:n]
}

// noise does not shrink.
func noise(n int) string {
	b, x := make([]byte, n), uint64(n)*2862933555777941757+3037000493
	for i := range b {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		b[i] = byte(x >> 32)
	}
	return string(b)
}
