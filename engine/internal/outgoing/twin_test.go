package outgoing

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// twin is the slow, obvious way out: a list of what was accepted, in the order in which it must leave.
type twin struct {
	list    []*entry
	left    int // of list
	lost    uint64
	closed  bool
	control []string // pings and pongs and the Close frame, in order
}

// entry is a message, or the place of broadcasts.
type entry struct {
	payload string
	open    bool   // a writer's
	place   uint32 // of broadcasts up to this number
}

func (w *twin) buffered() (n uint64) {
	n = w.lost
	for _, e := range w.list[w.left:] {
		n += uint64(len(e.payload))
	}
	return n
}

// trial makes calls as a list of bytes says, and compares with the twin.
type trial struct {
	*rig
	twin
	script []byte
	writer *Writer
	ours   *entry // the writer's
	rests  []*Rest
	heard  uint32
	texts  int
	pings  int
}

func (k *trial) next() int {
	if len(k.script) == 0 {
		return 0
	}
	b := k.script[0]
	k.script = k.script[1:]
	return int(b)
}

// text is a payload that no other has.
func (k *trial) text(n int) string {
	k.texts++
	return fmt.Sprint(k.texts, ":", accounts(n))
}

func (k *trial) size() int {
	switch n := k.next(); {
	case n < 150:
		return n
	case n < 220:
		return n << 5
	case n < 250:
		return n << 7
	default:
		return n << 10
	}
}

// fallBehind keeps the place of broadcasts that were announced and have not come.
func (w *twin) fallBehind(after, heard uint32) {
	if int32(after-heard) <= 0 {
		return
	}
	for _, e := range w.list {
		if e.place != 0 && int32(e.place-after) >= 0 {
			return
		}
	}
	w.list = append(w.list, &entry{place: after})
}

func (k *trial) message(m *Message) {
	if k.next()%2 == 0 && k.lane.Deflate != nil {
		m.Compress = k.agreed
	}
	if v := k.out.Send(k.call(), m); v != Sent && !(k.closed && v == Closed) {
		k.Fatal("verdict", v)
	}
	if k.closed {
		k.lost += uint64(len(m.P))
		return
	}
	k.fallBehind(k.after, k.heard)
	k.list = append(k.list, &entry{payload: string(m.P)})
}

func (k *trial) step() {
	p := []byte(k.text(0))
	switch k.next() % 17 {
	case 0, 1:
		p = []byte(k.text(k.size()))
		if k.corked && k.spare != nil && k.out.SendPlain(k.spare, k.limits, k.after, codec.OpBinary, p) {
			k.list = append(k.list, &entry{payload: string(p)})
			break
		}
		fallthrough
	case 2:
		m := &Message{Op: codec.OpBinary, P: p, Lent: true}
		if k.out.MustCopy(k.call(), m) {
			m.Lent = false
		}
		k.message(m)
		if r := k.out.Lent(); r != nil {
			k.rests = append(k.rests, r)
		}
	case 3:
		b := k.lane.Pool.Get(1 << 10)
		b.Append([]byte(k.text(k.size())))
		k.message(&Message{Op: codec.OpBinary, P: b.B, Owned: b})
		b.Release()
	case 4:
		var one Prepared
		one.Make(codec.OpBinary, []byte(k.text(k.size())))
		k.message(&Message{Op: codec.OpBinary, P: one.Payload(), Prepared: &one})
	case 5:
		k.write()
	case 6:
		if !k.closed {
			if k.pings++; k.out.Ping(k.call(), p, false) == Sent {
				k.control = append(k.control, string(p))
			}
		}
	case 7:
		if !k.closed && k.out.Pong(k.call(), p) {
			k.control = append(k.control, string(p))
		}
	case 8:
		k.sink.room, k.sink.most, k.sink.ahead = k.size(), k.next(), k.next()<<6
		k.out.HasRoom(k.call())
	case 9:
		k.corked = false
		if k.spare == nil || !k.out.FlushPlain(k.lane, 5, k.spare, new(Tally)) {
			k.out.Flush(k.call())
		}
	case 10:
		k.corked = true
	case 11:
		k.out.Slice(k.call())
	case 12:
		if !k.closed {
			k.after++
		}
	case 13:
		k.hear()
	case 14:
		k.keep()
	case 15:
		k.out.Rest()
		k.out.Remark(k.call())
	case 16:
		if k.next() < 20 {
			k.close()
		}
	}
	k.took()
	k.check()
}

func (k *trial) write() {
	if k.closed {
		return
	}
	if k.writer == nil {
		as := deflate.Agreement{}
		if k.next()%2 == 0 {
			as = k.agreed
		}
		k.fallBehind(k.after, k.heard)
		k.writer, k.ours = k.begin(as), &entry{open: true}
		k.list = append(k.list, k.ours)
		if k.out.Begin(k.call(), new(Writer), codec.OpBinary, as) {
			k.Fatal("a second writer")
		}
		return
	}
	if k.next()%3 == 0 {
		k.ours.open = false
		w := k.writer
		k.writer = nil
		w.End(k.call())
		return
	}
	p := k.text(k.size())
	var copied *pool.Buffer
	if k.writer.MustCopy(len(p)) {
		copied = k.lane.Pool.Get(len(p))
		copied.Append([]byte(p))
		defer copied.Release()
	}
	if v := k.writer.Write(k.call(), []byte(p), copied); v != Sent {
		k.Fatal("verdict", v)
	}
	k.ours.payload += p
	if r := k.out.Lent(); r != nil {
		k.rests = append(k.rests, r)
	}
}

// hear brings the next broadcast, or tells that it passes the connection by.
func (k *trial) hear() {
	if k.heard == k.after {
		return
	}
	k.heard++
	if k.next()%3 == 0 {
		k.out.Hear(k.call(), nil, k.heard, !k.closed)
		k.place("", k.heard)
		return
	}
	var one Prepared
	p := k.text(k.size())
	one.Make(codec.OpBinary, []byte(p))
	v := k.out.Hear(k.call(), &Message{Op: codec.OpBinary, P: one.Payload(), Prepared: &one}, k.heard, !k.closed)
	if v == Sent {
		k.place(p, k.heard)
	} else if !k.closed {
		k.Fatal("verdict", v)
	}
}

// place puts a broadcast's message where its place is.
func (w *twin) place(p string, heard uint32) {
	at := len(w.list)
	for i, e := range w.list {
		if e.place != 0 && int32(e.place-heard) >= 0 {
			at = i
			break
		}
	}
	if p != "" {
		w.list = append(w.list[:at], append([]*entry{{payload: p}}, w.list[at:]...)...)
		at++
	}
	if at < len(w.list) && w.list[at].place == heard {
		w.list = append(w.list[:at], w.list[at+1:]...)
	}
}

func (k *trial) keep() {
	if len(k.rests) == 0 {
		return
	}
	r := k.rests[0]
	k.rests = k.rests[1:]
	k.out.Kept(k.call(), r, r.Copy(k.lane.Pool))
}

// close closes, with no writer open: what an aborted one takes along has a test of its own.
func (k *trial) close() {
	if k.closed || k.writer != nil {
		return
	}
	k.fallBehind(k.after, k.heard)
	k.closed = true
	k.out.Close(k.call(), []byte{3, 232})
	k.control = append(k.control, "\x03\xe8")
}

// check: what has left is what the twin says, in its order, and so is what has not.
func (k *trial) check() {
	k.reader.readOn(k.sink.left)
	for _, f := range k.reader.all {
		if k.left == len(k.list) {
			k.Fatalf("%.60q has left, and nobody sent it", f.payload)
		}
		if e := k.list[k.left]; e.place != 0 || e.open || e.payload != f.payload {
			k.Fatalf("%.60q has left, and %.60q (open: %v, place %d) is to come first", f.payload, e.payload, e.open, e.place)
		}
		k.left++
	}
	k.reader.all = nil
	for _, f := range k.reader.frames {
		if f.op < codec.OpClose {
			continue
		}
		if len(k.control) == 0 || k.control[0] != f.payload || f.op == codec.OpClose && k.left != len(k.list) {
			k.Fatalf("control frame %d %.40q, of %.200q", f.op, f.payload, k.control)
		}
		k.control = k.control[1:]
	}
	k.reader.frames = nil
	if got, want := k.out.Buffered(), k.buffered(); got != want {
		k.Fatalf("Buffered is %d, accepted and not left are %d", got, want)
	}
	a := k.out.Account()
	if a.Stuck || a.Cost < a.Queued || a.Mark > a.Cost || a.Queued > 0 && !a.Blocked && !k.corked && len(k.rests) == 0 {
		k.Fatalf("%+v", a)
	}
	if !a.Turns && k.out.CloseWaits() {
		k.Fatal("the Close frame waits behind nothing")
	}
}

// end lets all leave.
func (k *trial) end() {
	if k.writer != nil {
		k.ours.open = false
		k.writer.End(k.call())
	}
	k.corked, k.sink.most = false, 0
	for i := 0; i < 1000 && (k.out.Buffered() != k.lost || !k.out.Idle()); i++ {
		for k.heard != k.after {
			k.heard++
			k.out.Hear(k.call(), nil, k.heard, true)
			k.place("", k.heard)
		}
		k.keep()
		k.sink.room = 1 << 30
		k.out.HasRoom(k.call())
		k.out.Flush(k.call())
		k.out.Slice(k.call())
		k.took()
		k.check()
	}
	k.check()
	if k.left != len(k.list) || len(k.control) != 0 {
		k.Fatalf("%d of %d messages have left, %.200q has not, nor have control frames %q", k.left, len(k.list), fmt.Sprintf("%+v", *k.list[min(k.left, len(k.list)-1)]), k.control)
	}
	if n := k.out.Buffered(); n != k.lost {
		k.Fatalf("%d bytes are buffered, and %d were sent too late", n, k.lost)
	}
	k.out.buffered = 0
	k.gone()
}

func runTrial(tb testing.TB, script []byte) {
	k := &trial{script: script}
	var p *deflate.Policy
	kind := k.next()
	switch kind % 4 {
	case 1:
		p = &deflate.Policy{MinSize: 1, Level: 9}
	case 2:
		p = &deflate.Policy{MinSize: 1, FrameBytes: -1 + kind/4%3*3000, Level: 9}
	case 3:
		p = &deflate.Policy{MinSize: 1, Takeover: deflate.OwnCompressor, Level: 2}
	}
	k.rig = newRig(tb, p, kind/16%4 == 3)
	for len(k.script) > 0 {
		k.step()
	}
	k.end()
}

// TestAgainstTwin makes random calls, with a sink that takes what it likes.
func TestAgainstTwin(t *testing.T) {
	n := 250
	if testing.Short() {
		n = 60
	}
	for seed := range n {
		r := rand.New(rand.NewPCG(uint64(seed), 8))
		script := make([]byte, 20+r.IntN(300))
		for i := range script {
			script[i] = byte(r.IntN(256))
		}
		t.Run("", func(t *testing.T) {
			defer func() {
				if t.Failed() {
					t.Log("seed", seed)
				}
			}()
			runTrial(t, script)
		})
		if t.Failed() {
			return
		}
	}
}

func FuzzAgainstTwin(f *testing.F) {
	f.Add([]byte{0, 10, 0, 5, 0, 0, 7, 9})
	f.Add([]byte{1, 2, 250, 0, 11, 11, 0, 3, 16, 0, 11, 11})
	f.Add([]byte{3, 5, 0, 5, 1, 100, 0, 20, 1, 12, 0, 4, 0, 13, 1, 9, 5, 0})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 1000 {
			return
		}
		runTrial(t, script)
	})
}
