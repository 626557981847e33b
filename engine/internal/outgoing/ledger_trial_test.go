package outgoing

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// booked makes random calls and has a ledger keep account of them. After each of them everything that can be asked must be what
// the ledger says.
type booked struct {
	*rig
	led   ledger
	order twin

	announced, start uint32 // the newest broadcast, and the newest one when the connection opened

	ours    *entry     // the writer's, in order
	was     []deferred // the array of what was deferred
	wasOurs []fragment // that of what waited of the open writer
	raws    bool       // there may be bytes that are no frames
	rng     *rand.Rand
	writer  *Writer
	rests   []rest
	waiting []chan struct{}
	seen    int    // bytes of the stream that were compared
	done    string // the last calls
}

// rest is one with its copy, which is not where it belongs yet.
type rest struct {
	*Rest
	copied *pool.Buffer
}

func (k *booked) step() {
	if k.after = k.announced; k.rng.IntN(5) == 0 && k.led.heard != k.announced {
		k.after = k.led.heard // the call was made a while ago
	} else if k.rng.IntN(30) == 0 {
		k.after = k.start
	}
	k.led.now = call{k.limits, k.after, k.corked, k.corked && k.spare != nil}
	k.led.room, k.led.most, k.led.broken = k.sink.room, k.sink.most, k.sink.broken
	op := k.rng.IntN(36)
	k.note(" %d", op)
	switch {
	case op >= 34 && k.led.now.spare:
		k.sendPlain(k.payload())
	case op < 11 || op >= 34:
		k.message()
	case op < 14:
		k.write()
	case op < 16:
		k.control()
	case op < 20:
		k.led.room = [...]int{0, 0, k.rng.IntN(300), k.rng.IntN(40_000), 1 << 30}[k.rng.IntN(5)]
		k.sink.room = k.led.room
		same(k, "HasRoom", k.out.HasRoom(k.call()), k.led.hasRoom())
	case op < 23:
		k.corked = false
		k.led.now.corked, k.led.now.spare = false, false
		k.flush()
	case op < 26:
		k.corked = true
		return
	case op < 28:
		same(k, "Slice", k.out.Slice(k.call()), k.led.turn())
	case op < 29:
		if !k.led.closed && k.led.heard == k.announced || k.rng.IntN(4) == 0 {
			k.announced = following(k.announced)
		}
		return
	case op < 31:
		k.hear()
	default:
		k.rare()
	}
	k.check()
}

// message sends one, in one of the forms that it may have.
func (k *booked) message() {
	p := k.payload()
	k.note("(%d)", len(p))
	m := &Message{Op: codec.OpBinary, P: bytes.Clone(p), Compress: k.pack()}
	at := copied
	switch k.rng.IntN(6) {
	case 0:
		m.Owned = k.lane.Pool.Get(len(p) + k.rng.IntN(100))
		defer m.Owned.Release()
		m.Owned.Append(p)
		m.P, at = m.Owned.B, owned
	case 1:
		m, at = k.prepare(p), prepared
	case 2:
		if k.led.now.spare {
			k.sendPlain(p)
			return
		}
		fallthrough
	case 3, 4:
		m.Lent, at = true, lent
	}
	m.Promised = k.rng.IntN(8) == 0
	must := len(p) > CopyBytes && at < owned && !k.led.closed && (m.Compress != uncompressed && len(p) > k.lane.Slice || int32(k.after-k.led.heard) > 0 || k.led.busy && k.led.holdsBack())
	if same(k, "MustCopy", k.out.MustCopy(k.call(), m), must); must {
		m.Lent, at = false, copied
	}
	if !k.led.closed {
		k.order.fallBehind(k.after, k.led.heard)
	}
	k.accepted(same(k, "verdict", k.out.Send(k.call(), m), k.led.send(p, at, m)), p)
	if k.takeLent(); at < owned {
		clear(m.P) // nothing of it is kept
	}
}

func (k *booked) accepted(v Verdict, p []byte) {
	if v == Sent {
		k.order.list = append(k.order.list, &entry{payload: string(p)})
	}
}

func (k *booked) sendPlain(p []byte) {
	k.note("(plain %d)", len(p))
	if same(k, "SendPlain", k.out.SendPlain(k.spare, k.limits, k.after, codec.OpBinary, p), k.led.sendPlain(p)) {
		k.accepted(Sent, p)
	}
}

// takeLent copies what the call at hand has left of a lent payload, if it has.
func (k *booked) takeLent() {
	if r := k.out.Lent(); r != nil {
		if k.rests = append(k.rests, rest{r, r.Copy(k.lane.Pool)}); r.p != nil {
			k.Fatal("a copied rest keeps the sender's")
		}
	}
	same(k, "rests", len(k.rests), len(k.led.rests))
}

func (k *booked) write() {
	switch {
	case k.led.closed:
	case k.writer == nil:
		w, as := new(Writer), k.pack()
		same(k, "Begin", k.out.Begin(k.call(), w, codec.OpBinary, as), k.led.begin(w, as != uncompressed))
		same(k, "a second writer", k.out.Begin(k.call(), new(Writer), codec.OpBinary, as), k.led.begin(nil, false))
		k.order.fallBehind(k.after, k.led.heard)
		k.writer, k.ours = w, &entry{open: true}
		k.order.list = append(k.order.list, k.ours)
	case k.rng.IntN(3) == 0:
		w := k.writer
		k.writer, k.ours.open = nil, false
		w.End(k.call())
		k.led.endWriter()
	default:
		p := k.payload()
		k.note("(%d)", len(p))
		must := len(p) > CopyBytes && (k.led.writer.waits || k.led.writer.pack)
		same(k, "Writer.MustCopy", k.writer.MustCopy(len(p)), must)
		var buf *pool.Buffer
		if must {
			buf = k.lane.Pool.Get(len(p))
			buf.Append(p)
			defer buf.Release()
		}
		said := bytes.Clone(p)
		if same(k, "fragment", k.writer.Write(k.call(), said, buf), k.led.writeFragment(p)) == Sent {
			k.ours.payload += string(p)
		}
		k.takeLent()
		clear(said)
		same(k, "Begun", k.writer.Begun(), k.led.writer.begun)
	}
}

func (k *booked) control() {
	p := k.payload()
	p = p[:min(len(p), 125)]
	switch k.rng.IntN(4) {
	case 0:
		promised := k.rng.IntN(4) == 0
		same(k, "Ping", k.out.Ping(k.call(), p, promised), k.led.ping(p, promised))
	case 1:
		k.out.Probe(k.call())
		k.led.probe()
	case 2:
		if k.led.closed || !k.raws || k.led.busy && k.led.straight == notPlain {
			return // it is for an answer to a handshake
		}
		k.out.Raw(k.call(), p)
		k.led.raw(p)
	default:
		same(k, "Pong", k.out.Pong(k.call(), p), k.led.pong(p))
	}
}

// flush is what a callback's end does.
func (k *booked) flush() {
	if k.spare != nil {
		var t Tally
		same(k, "FlushPlain", k.out.FlushPlain(k.lane, 5, k.spare, &t), k.led.flushPlain())
		k.lane.Counts.Add(&t)
		same(k, "what is counted twice", t, Tally{})
	}
	k.out.Flush(k.call())
	k.led.flushAll()
}

// hear brings the next broadcast, or tells that it passes the connection by.
func (k *booked) hear() {
	if k.led.heard == k.announced {
		return
	}
	number := following(k.led.heard)
	if k.rng.IntN(3) == 0 {
		k.out.Hear(k.call(), nil, number, !k.led.closed)
		k.led.hear(nil, number)
		k.order.place("", number)
		return
	}
	p := append(k.payload(), 'b') // in order an empty one is none
	k.note("(%d)", len(p))
	m := k.prepare(p)
	if same(k, "Hear", k.out.Hear(k.call(), m, number, !k.led.closed), k.led.hear(m, number)) != Sent {
		p = nil
	}
	k.order.place(string(p), number)
}

// following is the next broadcast's number. 0 is none.
func following(n uint32) uint32 { return max(n+1, 1) }

func (k *booked) rare() {
	switch k.rng.IntN(10) {
	case 9:
		k.out.Rest()
		if k.led.sender != nil {
			k.led.sender.Rest()
		}
	case 0:
		k.limits = someLimits(k.rng)
		k.led.now.limits = k.limits
		k.out.Remark(k.call())
		k.led.remark()
	case 1, 2:
		w := k.out.Await()
		if same(k, "Await", w != nil, k.led.await()); w != nil {
			k.waiting = append(k.waiting, w)
		}
	case 3:
		if n := len(k.waiting); n > 0 {
			i := k.rng.IntN(n)
			k.out.Forget(k.waiting[i])
			k.out.Forget(make(chan struct{}))
			k.waiting = slices.Delete(k.waiting, i, i+1)
			k.led.waiters--
		}
	case 4, 5:
		if n := len(k.rests); n > 0 {
			i := k.rng.IntN(n)
			r := k.rests[i]
			k.rests = slices.Delete(k.rests, i, i+1)
			k.out.Kept(k.call(), r.Rest, r.copied)
			k.led.copiedRest(i)
		}
	case 6:
		if k.rng.IntN(3) == 0 {
			if w := k.led.writer; w != nil && !w.begun {
				k.order.list = slices.DeleteFunc(k.order.list, func(e *entry) bool { return e == k.ours })
			}
			k.order.fallBehind(k.after, k.led.heard)
			k.writer = nil
			w := k.led.writer
			k.out.Close(k.call(), []byte{3, 232})
			if k.led.close([]byte{3, 232}); w != nil && w.real.waiting != nil {
				k.Fatal("an aborted writer keeps its fragments")
			}
		}
	case 7:
		if k.rng.IntN(12) == 0 {
			k.sink.broken = true
		}
	case 8:
		if k.rng.IntN(12) == 0 {
			same(k, "Fail", k.out.Fail(k.call()), k.led.fail())
		}
	}
}

// TestAgainstLedger: to the byte, and call by call.
func TestAgainstLedger(t *testing.T) {
	n := 600
	if testing.Short() {
		n = 150
	}
	for seed := range n {
		if keepAccount(t, uint64(seed)); t.Failed() {
			t.Fatal("seed ", seed)
		}
	}
}

func keepAccount(t *testing.T, seed uint64) {
	defer func() {
		if t.Failed() {
			t.Log("seed", seed)
		}
	}()
	rng := rand.New(rand.NewPCG(seed, 9))
	k := newBooked(t, rng)
	for range 10 + rng.IntN(120) {
		k.step()
	}
	k.checkOrder()
	k.out.Drop()
	if k.led.sender != nil {
		k.led.sender.Close()
	}
	for _, r := range k.rests {
		k.out.Kept(k.call(), r.Rest, r.copied)
	}
	same(k, "Buffered of the dropped", k.out.Buffered(), k.led.buffered())
	if n := k.lane.Pool.Stats().Out; n != 0 || !k.out.Idle() || k.lane.Collecting() != 0 || k.out.sender != nil {
		k.Fatalf("%d buffers and %d places are out, after %s", n, k.lane.Collecting(), k.done)
	}
}

func newBooked(t *testing.T, rng *rand.Rand) *booked {
	masked := rng.IntN(4) == 0
	var p *deflate.Policy
	if rng.IntN(2) == 0 {
		p = &deflate.Policy{MinSize: 1 + rng.IntN(100), Takeover: deflate.Takeover(rng.IntN(2)), Level: 1 + 5*rng.IntN(2)}
		if rng.IntN(10) == 0 {
			p.Takeover = deflate.OwnCompressor
		}
	}
	k := &booked{rig: newRig(t, p, masked), rng: rng, raws: rng.IntN(5) == 0}
	k.limits = someLimits(rng)
	k.led.lane = k.lane
	k.start = [...]uint32{0, 1 << 31, 1<<32 - 1}[rng.IntN(3)] - uint32(rng.IntN(2)*3) // numbers wrap
	k.announced, k.led.heard = k.start, k.start
	k.out.Skip(k.start)
	if p != nil {
		k.lane.Slice = 1 << (9 + rng.IntN(9))
		k.lane.Frame = [...]int64{-1, 0, 1000, 20_000, 90_000, 1 << 20}[rng.IntN(6)]
		k.lane.Places = min(rng.IntN(10), 1)
		k.led.packing = packing{agreed: k.agreed, memory: pool.New(), own: p.Takeover == deflate.OwnCompressor, formed: map[*Prepared]bool{}}
	}
	if masked {
		key := byte(0)
		k.led.mask = func() [4]byte { key++; return [4]byte{key, 1, 2, key ^ 0x55} }
	} else if rng.IntN(4) == 0 {
		k.lane.Timed, k.led.timed, k.spare = true, true, nil
	}
	if rng.IntN(3) == 0 {
		k.sink.most = 1 + rng.IntN(20_000)
	}
	k.sink.ahead = rng.IntN(3) * 1000
	return k
}
