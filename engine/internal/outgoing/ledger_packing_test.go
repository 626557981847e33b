package outgoing

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/pool"
)

// packing is what the ledger knows of compression. Its sender is given the same as the connection's, in the same order: so it makes
// the same bytes.
type packing struct {
	agreed   deflate.Agreement
	memory   *pool.Pool
	sender   *deflate.Sender
	own      bool               // the connection keeps its compressor
	formed   map[*Prepared]bool // these were compressed before they were sent
	long     longMessage
	hurried  bool
	deflated [3]uint64 // messages, bytes on the wire, bytes
}

type longMessage struct {
	p            []byte // nil: there is none
	at           lies
	made         []byte // of its first off bytes, as far as it is kept
	off          int
	prepared     *Prepared
	begun, place bool
}

func (w *ledger) use() *deflate.Sender {
	if w.sender == nil {
		s := w.lane.Deflate.Sender(w.agreed, w.memory)
		w.sender = &s
	}
	w.due |= Used
	return w.sender
}

func (w *ledger) count(wire, n int, last bool) {
	if last {
		w.deflated[0]++
	}
	w.deflated[1] += uint64(wire)
	w.deflated[2] += uint64(n)
}

// message sends a whole one.
func (w *ledger) message(p []byte, at lies, made *Prepared, pack bool) {
	switch {
	case !pack:
		w.asItIs(p, at)
	case made != nil && !w.own && (len(p) <= w.lane.Slice || w.formed[made]):
		w.preparedMessage(p)
	case len(p) > w.lane.Slice:
		w.beginLong(p, at, made)
	default:
		if b, ok := w.use().Compress(nil, p); ok {
			w.count(len(b), len(p), true)
			w.frame(cut{op: codec.OpBinary, first: true, fin: true, rsv1: true, p: b, payload: uint64(len(p))})
		} else {
			w.asItIs(p, at)
		}
	}
}

func (w *ledger) asItIs(p []byte, at lies) {
	w.frame(cut{op: codec.OpBinary, first: true, fin: true, p: p, at: at, payload: uint64(len(p))})
}

func (w *ledger) preparedMessage(p []byte) {
	b, ok := w.lane.Deflate.Compress(nil, p, SharedWindow(w.agreed.Send.WindowBits))
	if !ok {
		w.asItIs(p, prepared)
		return
	}
	if w.sender != nil {
		w.use().Sent(p)
	}
	w.count(len(b), len(p), true)
	w.frame(cut{op: codec.OpBinary, first: true, fin: true, rsv1: true, p: b, at: prepared, payload: uint64(len(p))})
}

// fragment sends a writer's.
func (w *ledger) fragment(f *fragments, p []byte, fin bool, at lies) {
	c := cut{op: codec.OpBinary, first: !f.begun, fin: fin, p: p, at: at, payload: f.payload}
	f.begun = true
	if !f.pack || c.first && fin {
		w.frame(c)
		return
	}
	s := w.use()
	if c.first {
		s.Begin()
	}
	switch {
	case fin:
		c.p = s.End(nil)
	case w.hurried:
		c.p = s.Store(nil, p)
	default:
		c.p = s.Write(nil, p, true)
	}
	c.rsv1, c.at = c.first, copied
	w.count(len(c.p), len(p), fin)
	w.frame(c)
	w.park()
}

func (w *ledger) beginLong(p []byte, at lies, made *Prepared) {
	s := w.use()
	s.Begin()
	b := s.Write(nil, p[:w.lane.Slice], true)
	if len(b) >= w.lane.Slice && !w.own {
		s.Close()
		w.asItIs(p, at)
		return
	}
	if at != prepared {
		at = owned
	}
	w.long, w.turns = longMessage{p: p, at: at, prepared: made}, false
	w.take(b, w.lane.Slice, false)
	w.park()
	w.due |= Slices
}

// makeSlice compresses one more, and tells whether that was the last.
func (w *ledger) makeSlice() (over bool) {
	g, s := &w.long, w.sender
	rest := int64(len(g.p) - g.off)
	if w.hurried && !g.begun && !w.own && int64(len(g.made))+heldBack+rest+rest/storedShare > w.lane.Frame {
		w.longAsItIs()
		return true
	}
	p := g.p[g.off:min(g.off+w.lane.Slice, len(g.p))]
	last := g.off+len(p) == len(g.p)
	w.due |= Used
	var b []byte
	if w.hurried {
		b = s.Store(nil, p)
	} else {
		b = s.Write(nil, p, !last && w.lane.Slice < lazyBatch)
	}
	if last {
		b = s.End(b)
	}
	return w.take(b, len(p), last)
}

// take collects what was made, or sends it, and tells whether the message is over.
func (w *ledger) take(b []byte, n int, last bool) (over bool) {
	g := &w.long
	g.off += n
	w.count(len(b), n, false)
	all := append(g.made, b...)
	fits := int64(len(all)) <= w.lane.Frame
	switch {
	case g.begun:
		w.longFrame(b, copied, last)
	case fits && !last:
		g.made = all
	case len(all) >= g.off && !w.own:
		w.longAsItIs()
		return true
	case fits:
		g.made = nil
		w.longFrame(all, owned, true)
	default:
		if made := g.made; made != nil {
			g.made = nil
			w.longFrame(made, owned, false)
		}
		w.longFrame(b, copied, last)
	}
	return last
}

func (w *ledger) longFrame(p []byte, at lies, last bool) {
	w.long.place = false
	g := w.long
	if last {
		w.endLong()
		w.count(0, 0, true)
	}
	if len(p) > 0 {
		w.long.begun = !last
		w.frame(cut{op: codec.OpBinary, first: !g.begun, rsv1: !g.begun, fin: last, p: p, at: at, payload: uint64(len(g.p))})
	}
}

func (w *ledger) endLong() { w.long, w.turns = longMessage{}, true }

func (w *ledger) longAsItIs() {
	w.sender.Close()
	g := w.long
	w.endLong()
	w.asItIs(g.p, g.at)
}

func (w *ledger) takePlace() bool {
	g := &w.long
	if g.p == nil || g.begun || g.place {
		return true
	}
	g.place = w.lane.Places > 0
	return g.place
}

// park: while the sink is full no compressor is held.
func (w *ledger) park() {
	if w.sender == nil || !w.sender.Streaming() || !w.blocked {
		return
	}
	if b := w.sender.Park(nil); len(b) > 0 {
		w.take(b, 0, false)
	}
}
