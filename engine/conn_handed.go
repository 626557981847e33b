package engine

import (
	"sync"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
)

// A callback on a loop may send to a connection whose lock somebody else has. The loop does not
// wait: the call is handed to whoever has the lock, or takes it next, and is made there before anything
// else is. So the order in which one goroutine calls stays the order of what leaves.

// handed are the calls that wait for the lock's next holder.
type handed struct {
	mu    sync.Mutex
	over  bool // they were taken: the next one needs another list
	calls []handedCall
}

// handedCall is one of them: a message, a control frame, or what a broadcast has for the connection.
type handedCall struct {
	op      Opcode           // OpPing, OpClose; else a message
	message outgoing.Message // what it refers to is its own
	body    []byte           // of a control frame
	after   uint32           // the number of the newest broadcast when it was made: it comes behind that
	heard   uint32           // the number of the broadcast; 0: it is none
	rest    *outgoing.Rest   // whose copy was made; nil: none was
	copied  *pool.Buffer
}

// lockOffLoop locks, makes what was handed over and reports true; on a loop only if nobody has the lock.
func (c *Conn) lockOffLoop() bool {
	if !c.mu.TryLock() {
		if onAnyLoop() {
			return false
		}
		c.mu.Lock()
	}
	c.takeHanded()
	return true
}

// handCall leaves a call to the holder of the lock, and makes it itself if nobody has the lock any more.
func (c *Conn) handCall(k handedCall) {
	for !c.handIn(k) {
	}
	if c.tryLockOr(todoHanded) {
		c.unlock()
	}
}

// handIn adds a call to those that wait. It reports false when they were being taken.
func (c *Conn) handIn(k handedCall) bool {
	h := c.handed.Load()
	if h == nil {
		h = new(handed)
		if !c.handed.CompareAndSwap(nil, h) {
			return false
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.over {
		return false
	}
	h.calls = append(h.calls, k)
	return true
}

// lock waits for the lock, and makes the calls that were handed over. Not for loops.
func (c *Conn) lock() {
	c.mu.Lock()
	c.takeHanded()
}

// takeHanded makes the calls that were handed over, in order. Under the lock.
func (c *Conn) takeHanded() {
	if c.handed.Load() == nil {
		return
	}
	h := c.handed.Swap(nil)
	h.mu.Lock()
	h.over = true
	h.mu.Unlock()
	for i := range h.calls {
		c.makeLocked(&h.calls[i])
	}
}

// makeLocked makes a call that was handed over. What it promised then holds: a message that was
// accepted is sent, whatever the limits say now.
func (c *Conn) makeLocked(k *handedCall) {
	switch {
	case k.rest != nil:
		c.out.Kept(c.outCall(), k.rest, k.copied)
	case k.op == OpClose:
		c.placeCloseLocked(k.body, k.after)
	case k.op == OpPing:
		if c.ReadyState() == Open {
			c.out.Ping(c.outCall(), k.body, true)
		}
	case k.heard != 0:
		c.hearLocked(&k.message, k.heard)
	default: // another goroutine may have closed meanwhile: then it counts
		k.message.Promised = true
		c.out.Send(c.outCallAfter(k.after), &k.message)
	}
	if b := k.message.Owned; b != nil {
		b.Release()
	}
}

// handedMessage is m as it is handed over: it refers to nothing of the caller's.
func (c *Conn) handedMessage(m *outgoing.Message) handedCall {
	k := handedCall{op: m.Op, message: *m, after: c.announced()} // Owned's reference becomes the call's
	switch {
	case m.Owned != nil:
		m.Owned.Retain()
	case m.Prepared == nil:
		b := c.loop.engine.pool.Get(len(m.P))
		b.B = append(b.B, m.P...)
		k.message.Owned, k.message.P = b, b.B
	}
	return k
}

// handedControl is a control frame as it is handed over.
func (c *Conn) handedControl(op Opcode, body []byte) handedCall {
	return handedCall{op: op, after: c.announced(), body: append(make([]byte, 0, codec.MaxControlPayload), body...)}
}

// handMessage hands a message over, and answers what Send does.
func (c *Conn) handMessage(m *outgoing.Message) error {
	state := c.ReadyState()
	if state == Connecting {
		return ErrInvalidState
	}
	c.handCall(c.handedMessage(m))
	if state != Open {
		return ErrClosed
	}
	return nil
}
