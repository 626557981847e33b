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
		in.releaseMessage()
		return
	}
	if l.engine.hooks.chunk != nil {
		l.onChunk(c, in, p)
		return
	}
	if p.First && p.Last && p.Fin && p.Opcode != codec.OpContinuation {
		mask.XOR(p.Payload, p.Key)
		if p.Opcode == OpText && !codec.ValidUTF8(p.Payload) {
			c.fail(errInvalidText)
			return
		}
		l.deliver(c, Message{Op: p.Opcode, Data: p.Payload, pool: l.engine.pool})
		return
	}
	in.makeRoom(len(p.Payload))
	from := len(in.msg.B)
	in.msg.B = in.msg.B[:from+len(p.Payload)]
	mask.Copy(in.msg.B[from:], p.Payload, p.Key)
	l.assembled(c, in, p, in.msg.B[from:])
}

// admit applies the limits to a data frame's header, before anything is allocated.
func (l *loop) admit(c *Conn, in *inbound, p *codec.Piece) bool {
	if p.Opcode != codec.OpContinuation {
		in.op, in.size, in.fragments, in.started = p.Opcode, 0, 0, false
		in.text.Reset()
	}
	lim := c.limits.Load()
	if in.size+p.Length > uint64(lim.MaxMessageSize) { // both are below 2^63: no wrap
		c.fail(&CloseError{codeTooBig, ErrTooLarge})
		return false
	}
	in.size += p.Length
	if in.fragments++; in.fragments > lim.MaxFragments {
		c.fail(&CloseError{codePolicy, ErrFlood})
		return false
	}
	if p.Opcode != codec.OpContinuation && !(p.Last && p.Fin) && c.flags&discarding == 0 && l.engine.hooks.chunk == nil {
		in.msg = l.engine.pool.Get(int(min(p.Length, max(firstBytes, 2*uint64(len(p.Payload))))))
	}
	return true
}

// makeRoom makes room for n more bytes: capacity doubles, up to what was declared.
func (in *inbound) makeRoom(n int) {
	have := len(in.msg.B)
	if have+n <= cap(in.msg.B) {
		return
	}
	want := min(in.size, max(firstBytes, 2*uint64(have+n)))
	in.msg.Grow(max(int(want)-have, n))
}

// assembled checks and counts what was just added to a message, and delivers it when it is whole.
func (l *loop) assembled(c *Conn, in *inbound, p *codec.Piece, added []byte) {
	if in.op == OpText {
		if _, ok := in.text.Write(added); !ok {
			c.fail(errInvalidText)
			return
		}
	}
	if !p.Last || !p.Fin {
		in.budget.grow(c, in.held())
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

// onChunk delivers a message as it arrives.
func (l *loop) onChunk(c *Conn, in *inbound, p *codec.Piece) {
	mask.XOR(p.Payload, p.Key)
	last := p.Last && p.Fin
	data := p.Payload
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
