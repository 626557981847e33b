package engine

import (
	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/mask"
)

// A message is delivered as a view of the slab when it lies there whole; else it is
// assembled here, or, for OnChunk, delivered in parts.

// onData takes one piece of a data frame.
func (l *loop) onData(c *Conn, in *inbound, p *codec.Piece) {
	if p.First && !l.admit(c, in, p) {
		return
	}
	if c.flags&discarding != 0 {
		c.discardMessage(in)
		return
	}
	if in.compressed {
		mask.XOR(p.Payload, p.Key)
		l.inflate(c, in, p.Payload, p.Last && p.Fin)
		return
	}
	if l.engine.hooks.chunk != nil {
		mask.XOR(p.Payload, p.Key)
		l.chunk(c, in, p.Payload, p.Last && p.Fin)
		return
	}
	if p.First && p.Last && p.Fin && p.Opcode != codec.OpContinuation {
		mask.XOR(p.Payload, p.Key)
		l.whole(c, p.Opcode, p.Payload)
		return
	}
	in.makeRoom(len(p.Payload), c.limits.Load().MaxMessageSize)
	from := len(in.msg.B)
	in.msg.B = in.msg.B[:from+len(p.Payload)]
	mask.Copy(in.msg.B[from:], p.Payload, p.Key)
	l.assembled(c, in, p.Last && p.Fin, in.msg.B[from:])
}

// whole checks and delivers a message that lies in the slab, or the scratch, as a whole.
func (l *loop) whole(c *Conn, op Opcode, data []byte) {
	if op == OpText && !codec.ValidUTF8(data) {
		c.fail(errInvalidText)
		return
	}
	l.deliver(c, Message{Op: op, Data: data, pool: l.engine.pool})
}

// admit applies the limits to a data frame's header, before anything is allocated.
func (l *loop) admit(c *Conn, in *inbound, p *codec.Piece) bool {
	if p.Opcode != codec.OpContinuation {
		in.op, in.size, in.fragments, in.started = p.Opcode, 0, 0, false
		in.compressed, in.inflated = p.RSV1, 0
		in.text.Reset()
	}
	lim := &c.limits.Load().Limits
	size := in.size + p.Length // both are below 2^63: no wrap
	if !in.compressed && size > uint64(lim.MaxMessageSize) || in.compressed && !admitsWire(size, lim) {
		c.fail(&CloseError{codeTooBig, ErrTooLarge})
		return false
	}
	in.size = size
	if in.fragments++; in.fragments > lim.MaxFragments {
		c.fail(&CloseError{codePolicy, ErrFlood})
		return false
	}
	if p.Opcode != codec.OpContinuation && !(p.Last && p.Fin) && c.flags&discarding == 0 && !in.compressed && l.engine.hooks.chunk == nil {
		in.msg = l.engine.pool.Get(int(min(p.Length, max(firstBytes, 2*uint64(len(p.Payload))))))
	}
	return true
}

// makeRoom makes room for n more bytes: capacity doubles, up to what was declared, or to
// the limit where more may follow.
func (in *inbound) makeRoom(n int, limit int64) {
	have := len(in.msg.B)
	if have+n <= cap(in.msg.B) {
		return
	}
	want := min(in.size, max(firstBytes, 2*uint64(have+n)))
	if in.fragments == 1 {
		limit = int64(in.size)
	}
	in.msg.GrowWithin(max(int(want)-have, n), int(limit))
}

// assembled checks and counts what was just added to a message, and delivers it when it is whole.
func (l *loop) assembled(c *Conn, in *inbound, last bool, added []byte) {
	if in.op == OpText {
		if _, ok := in.text.Write(added); !ok {
			c.fail(errInvalidText)
			return
		}
	}
	if !last {
		in.budget.grow(c, in.held(c))
		return
	}
	if in.op == OpText && !in.text.Complete() {
		c.fail(errInvalidText)
		return
	}
	msg := in.msg
	in.msg = nil
	defer msg.Release()
	l.deliver(c, Message{Op: in.op, Data: msg.B, pool: l.engine.pool, held: msg})
}

// chunk delivers a part of a message as it arrives.
func (l *loop) chunk(c *Conn, in *inbound, data []byte, last bool) {
	valid := true
	if in.op == OpText {
		var at int
		if at, valid = in.text.Write(data); !valid {
			data, last = data[:at], false
		} else if last && !in.text.Complete() {
			valid, last = false, false
		}
	}
	if len(data) > 0 || last {
		k := Chunk{Op: in.op, Data: data, First: !in.started, Last: last}
		in.started = true
		l.deliverChunk(c, k)
	}
	if !valid {
		c.fail(errInvalidText)
	}
}
