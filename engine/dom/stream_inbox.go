package dom

import (
	"sync"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/pool"
)

// streamInbox is what came and is not read: a list with one end for the connection's callbacks, which never overlap, and
// one for whoever reads (Stream.reading). There is no lock, for a loop must not wait for one that a reader holds.
type streamInbox struct {
	first  *streamPart // reader's: the one that was taken last; what follows is to be read
	last   *streamPart // callbacks'
	most   int64       // bytes
	held   atomic.Int64
	paused atomic.Bool
	wake   chan struct{} // holds one: something has come
}

// streamPart is a message, or a part of one. Nobody but the reader touches it once it is in the list, and next is set.
type streamPart struct {
	next        atomic.Pointer[streamPart]
	buf         *pool.Buffer // nil: no bytes
	off         int          // of them, those that were read
	cost        int64
	op          engine.Opcode
	first, last bool
}

// partBytes is what a part takes besides its bytes, its buffer's own memory included.
const partBytes = 192

var parts = sync.Pool{New: func() any { return new(streamPart) }}

func (in *streamInbox) init(most int64) {
	in.first = parts.Get().(*streamPart)
	in.last = in.first
	in.most = most
	in.wake = make(chan struct{}, 1)
}

// put adds a part, and stops the reading of c when there is enough. Callbacks only.
func (in *streamInbox) put(c *engine.Conn, k engine.Chunk) {
	p := parts.Get().(*streamPart)
	p.op, p.first, p.last, p.cost = k.Op, k.First, k.Last, partBytes
	if len(k.Data) > 0 {
		p.buf = pool.Get(len(k.Data))
		p.buf.B = append(p.buf.B, k.Data...)
		p.cost += int64(cap(p.buf.B))
	}
	cost := p.cost // from here on p is the reader's
	in.last.next.Store(p)
	in.last = p
	if in.held.Add(cost) > in.most && !in.paused.Load() {
		c.Pause()
		in.paused.Store(true)
		in.ease(c) // it may have been read meanwhile, by somebody who did not see paused
	}
	in.rouse()
}

// rouse has the reader look again.
func (in *streamInbox) rouse() {
	select {
	case in.wake <- struct{}{}:
	default:
	}
}

// ease goes on reading once half of what may be kept is.
func (in *streamInbox) ease(c *engine.Conn) {
	if in.held.Load() <= in.most/2 {
		in.resume(c)
	}
}

func (in *streamInbox) resume(c *engine.Conn) {
	if in.paused.Load() && in.paused.CompareAndSwap(true, false) {
		c.Resume()
	}
}

// peek is the part that is to be read next; nil: none has come. Reader only.
func (in *streamInbox) peek() *streamPart { return in.first.next.Load() }

// rest is what of the part was not read.
func (p *streamPart) rest() []byte {
	if p.buf == nil {
		return nil
	}
	return p.buf.B[p.off:]
}

// took notes that n bytes of p, which is next, were read. It is gone when that is all. Reader only.
func (in *streamInbox) took(c *engine.Conn, p *streamPart, n int) {
	if p.off += n; len(p.rest()) > 0 {
		return
	}
	if p.buf != nil {
		p.buf.Release()
		p.buf = nil
	}
	in.held.Add(-p.cost)
	in.ease(c)
	before := in.first
	in.first = p
	before.next.Store(nil)
	before.off = 0
	parts.Put(before)
}

// streamEvents is a Stream as the engine's Handler.
type streamEvents Stream

// OnOpen does nothing: DialStream waits for it, and StreamHandler has heard of it.
func (e *streamEvents) OnOpen(*engine.Conn) {}

// OnMessage takes a message that the engine had read as a whole before the connection became a stream.
func (e *streamEvents) OnMessage(c *engine.Conn, m engine.Message) {
	e.OnChunk(c, engine.Chunk{Op: m.Op, Data: m.Data, First: true, Last: true})
}

// OnChunk keeps what came for the reader.
func (e *streamEvents) OnChunk(c *engine.Conn, k engine.Chunk) {
	s := (*Stream)(e)
	if s.deaf.Load() {
		return
	}
	s.in.put(c, k)
	if s.deaf.Load() { // since just now: who said so may not have seen the part
		s.in.resume(c)
		s.tryDrop()
	}
}

// OnClose ends the stream, once what came before was read.
func (e *streamEvents) OnClose(_ *engine.Conn, ev engine.CloseEvent) {
	s := (*Stream)(e)
	s.finish(ev)
	s.endBlocked()
}
