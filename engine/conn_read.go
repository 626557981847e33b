package engine

import (
	"io"

	"github.com/gannet-ws/gannet/engine/internal/incoming"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// directReadBytes: what is missing of a frame from which on it is read straight into the message's buffer, past the slab.
const directReadBytes = 32 << 10

// onReadable is one read and what follows from it; or a few, while a big message comes as
// fast as it is read: its buffer is then still in the cache when it is delivered, and
// again when the next connection's message takes it over.
func (l *loop) onReadable(c *Conn) {
	least := uint64(directReadBytes)
	if !c.readsDirect(least) {
		if !l.readSlab(c) {
			return
		}
		least = 1 // the end of a frame does not wait for the next turn
	}
	var p pace
	for p.begin(l.began()); c.readsDirect(least) && l.readDirect(c); least = 1 {
		if p.due() && p.look(l.sys.Now()) > turnBudget {
			return
		}
	}
}

// readSlab reads through the slab, and reports whether that filled it.
func (l *loop) readSlab(c *Conn) (full bool) {
	n, err := l.sys.Read(int(c.fd), l.slab)
	if err != nil {
		l.readFailed(c, err)
		return false
	}
	l.feed(c, l.slab[:n])
	return n == slabBytes
}

// readFailed: the stream has ended, or broke.
func (l *loop) readFailed(c *Conn, err error) {
	switch {
	case err == netio.ErrAgain && !c.hearsNoMore():
	case l.secure != nil && c.failsTLS(err):
	case c.phase == phaseLingering:
		c.endLinger()
	case c.phase == phaseOpening && c.flags&dialled != 0:
		c.answerEnds(err)
	case (err == io.EOF || err == io.ErrUnexpectedEOF) && c.flags&sawClose != 0:
		// RFC 6455 7.1.1: a peer that has finished may still want our Close. Over TLS many end without a close_notify.
		c.flags |= sawEnd
		c.watch()
		c.advanceClosing()
	case err == io.EOF:
		c.abandon(&CloseError{StatusAbnormalClosure, ErrAbnormal})
	default:
		c.abandon(&CloseError{StatusAbnormalClosure, &lostError{err}})
	}
	c.settle() // OnClose may have run
}

// feed takes what was read through the connection's present phase.
func (l *loop) feed(c *Conn, b []byte) {
	c.received(len(b))
	if c.ReadyState() == Connecting {
		b = c.feedHandshake(b)
		if c.ReadyState() == Connecting {
			return
		}
		defer c.dropOpening() // b may lie in it
	}
	if c.phase == phaseOpening { // closed meanwhile, and its end is on its way: these are no frames
		return
	}
	if c.deaf() || len(b) == 0 {
		c.settle()
		return
	}
	in := l.inboundOf(c)
	rest, plain := l.turn(c, in, b)
	if plain {
		l.turning = nil
		c.settle()
		return
	}
	if (len(rest) > 0 || in.More()) && !c.deaf() {
		in.rest = l.engine.pool.Get(len(rest))
		in.rest.B = append(in.rest.B, rest...)
		in.restOff = 0
		c.awaitTurn()
	}
	l.endTurn(c, in)
}

// readsDirect tells whether the connection's next bytes, at least so many, go straight into its message.
func (c *Conn) readsDirect(least uint64) bool {
	return c.in != nil && c.in.rest == nil && c.in.Direct() >= least && !c.discards() && c.phase != phaseBuried && c.watched&netio.Readable != 0 && c.holds.Load()&heldBack == 0
}

// readDirect reads into the message's buffer what belongs there, and reports whether
// that filled it.
func (l *loop) readDirect(c *Conn) (full bool) {
	in := c.in
	room := in.Room(slabBytes, &c.limits.Load().incoming)
	n, err := l.sys.Read(int(c.fd), room)
	if err != nil {
		l.readFailed(c, err)
		return false
	}
	c.received(n)
	l.directTurn(c, in, n)
	l.endTurn(c, in)
	return n == len(room)
}

// directTurn takes n bytes that were read into the message's buffer.
func (l *loop) directTurn(c *Conn, in *inbound, n int) {
	defer l.recoverCallback(c)
	l.turning = in
	var e incoming.Event
	err := in.Filled(n, &e)
	l.take(c, in, &e, err)
}
