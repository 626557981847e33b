package engine

import (
	"io"
	"sync"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/pool"
)

const (
	// directReadBytes: what is missing of a frame from which on it is read straight
	// into the message's buffer, past the slab.
	directReadBytes = 32 << 10
	// firstBytes is what a message's buffer starts with at least: memory follows the
	// bytes received, never a length declared.
	firstBytes = 4 << 10
)

// inbound is what a connection needs between reads while a frame or message is
// unfinished. Between messages it has none: the loop lends its spare.
type inbound struct {
	dec     codec.Decoder
	tail    [13]byte // of an unfinished header
	tailLen uint8

	op        Opcode // of the message under way
	started   bool   // OnChunk had its first chunk
	fragments int
	size      uint64 // declared by the headers of this message so far
	inflation
	msg  *pool.Buffer // what was assembled of it
	text codec.UTF8

	control    [codec.MaxControlPayload]byte // an unfinished control frame
	controlLen uint8
	pong       [codec.MaxControlPayload]byte // the last ping not yet answered
	pongLen    uint8
	pongOwed   bool

	rest    *pool.Buffer // read, not yet decoded: the turn was over
	restOff int

	budget holding // what of InboundBudget this connection holds
}

var inboundPool = sync.Pool{New: func() any { return new(inbound) }}

func (in *inbound) idle() bool {
	return in.dec.Idle() && in.tailLen == 0 && !in.pongOwed && in.rest == nil
}

// inboundOf is c's inbound; the loop's spare, made ready for c, when it has none.
func (l *loop) inboundOf(c *Conn) *inbound {
	if c.in != nil {
		return c.in
	}
	if l.spare == nil {
		l.spare = inboundPool.Get().(*inbound)
	}
	l.spare.dec.Reset(codec.RoleServer, c.deflates)
	return l.spare
}

// keep attaches in to c, or takes it back from an idle one.
func (l *loop) keep(c *Conn, in *inbound) {
	switch idle := in.idle(); {
	case !idle && c.in == nil:
		c.in, l.spare = in, nil
	case idle && c.in != nil:
		c.in = nil
		in.budget.set(c, 0)
		inboundPool.Put(in)
	}
}

// dropInbound gives up what a connection had received in part; the turn's end does it
// when the turn is this connection's.
func (c *Conn) dropInbound() {
	if c.in != nil && c.loop.turning != c {
		c.loop.discard(c, c.in)
	}
}

// discard empties in, c's or the loop's spare, for the next connection.
func (l *loop) discard(c *Conn, in *inbound) {
	if in.rest != nil {
		c.flags &^= pausedByWork // what the peer writes next is read, if only to be dropped
	}
	in.release()
	if !plantedBug(bugBudgetLeak) {
		in.budget.set(c, 0)
	}
	*in = inbound{}
	if c.in == in {
		c.in = nil
		inboundPool.Put(in)
	}
}

func (in *inbound) release() {
	in.releaseMessage()
	if in.rest != nil {
		in.rest.Release()
		in.rest = nil
	}
}

func (in *inbound) releaseMessage() {
	if in.msg != nil {
		in.msg.Release()
		in.msg = nil
	}
}

// onReadable is one read and what follows from it; or a few, while a big message comes as
// fast as it is read: its buffer is then still in the cache when it is delivered, and
// again when the next connection's message takes it over.
func (l *loop) onReadable(c *Conn) {
	if !c.readsDirect() && !l.readSlab(c) {
		return
	}
	for c.readsDirect() && l.readDirect(c) {
		if l.sys.Now()-l.now > turnBudget {
			return
		}
	}
}

// readSlab reads through the slab, and reports whether that filled it.
func (l *loop) readSlab(c *Conn) (full bool) {
	start := slabHeadroom
	if c.in != nil {
		start -= copyTail(l.slab[:slabHeadroom], c.in)
	}
	n, err := l.sys.Read(int(c.fd), l.slab[slabHeadroom:])
	if err != nil {
		l.readFailed(c, err)
		return false
	}
	if c.in != nil {
		c.in.tailLen = 0
	}
	l.feed(c, l.slab[start:slabHeadroom+n])
	return n == slabBytes
}

// copyTail puts the tail of an unfinished header at the end of room. It is kept until
// bytes have been read behind it: a read may find none.
func copyTail(room []byte, in *inbound) int {
	n := int(in.tailLen)
	copy(room[len(room)-n:], in.tail[:n])
	return n
}

// readFailed: the stream has ended, or broke.
func (l *loop) readFailed(c *Conn, err error) {
	switch {
	case err == netio.ErrAgain && !c.hearsNoMore():
	case c.phase == phaseLingering:
		c.endLinger()
	case err == io.EOF && c.flags&sawClose != 0:
		// RFC 6455 7.1.1: a peer that has finished may still want our Close.
		c.flags |= sawEnd
		c.watch()
		c.advanceClosing()
	case err == io.EOF:
		c.abandon(&CloseError{codeAbnormal, ErrAbnormal})
	default:
		c.abandon(&CloseError{codeAbnormal, &lostError{err}})
	}
	if !plantedBug(bugOpenCork) {
		c.settleTurn() // OnClose may have run
	}
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
	if c.deaf() || len(b) == 0 {
		c.settleTurn()
		return
	}
	in := l.inboundOf(c)
	rest := l.turn(c, in, b)
	if (len(rest) > 0 || in.stopped) && !c.deaf() {
		in.rest = l.engine.pool.Get(len(rest))
		in.rest.B = append(in.rest.B, rest...)
		in.restOff = 0
		c.holdTurn()
	}
	l.endTurn(c, in)
}

// holdTurn stops reading until what was read is decoded.
func (c *Conn) holdTurn() {
	c.flags |= pausedByWork
	if !c.turnHeld() && !plantedBug(bugLostTurn) {
		c.loop.enqueue(c)
	}
}

// turnHeld tells whether what was read has to wait: for the workers, until the peer has read our
// answers, until broadcasts are made, or for Resume.
func (c *Conn) turnHeld() bool {
	return c.flags&(pausedByInbox|pausedByHigh|pausedByUser|pausedByBroadcasts) != 0
}

// holdsTurn tells, before the flags do, whether the callback that has just run makes the rest wait.
func (c *Conn) holdsTurn() bool { return c.holds.Load() != 0 && c.ReadyState() == Open }

// goOnTurn goes on with an unfinished turn when what held it is over.
func (c *Conn) goOnTurn() {
	if c.flags&pausedByWork != 0 && c.in != nil && c.in.rest != nil {
		c.holdTurn()
	}
	if c.phase == phaseHearing {
		c.loop.enqueue(c)
	}
}

// resumeTurn goes on with what was read earlier.
func (l *loop) resumeTurn(c *Conn) {
	in := c.in
	if in == nil || in.rest == nil || c.turnHeld() {
		return
	}
	l.now = l.sys.Now()
	left := l.turn(c, in, in.rest.B[in.restOff:])
	if in.restOff = len(in.rest.B) - len(left); len(left) > 0 || in.stopped {
		c.holdTurn()
	} else {
		in.rest.Release()
		in.rest = nil
		c.flags &^= pausedByWork
		c.readAgain()
	}
	l.endTurn(c, in)
}

// deaf tells whether what the peer still sends is dropped unread: RFC 6455 5.5.1,
// nothing after a Close is processed; and nothing after a violation.
func (c *Conn) deaf() bool { return c.flags&sawClose != 0 || c.phase >= phaseLingering }

// endTurn settles what a turn left: corked frames, the budget, interest.
func (l *loop) endTurn(c *Conn, in *inbound) {
	l.turning, l.decoding = nil, nil
	l.countTurn()
	if c.deaf() {
		l.discard(c, in)
	} else {
		in.budget.set(c, in.held(c))
		l.keep(c, in)
	}
	c.settleTurn()
	c.watch()
}

// held is what the connection makes us hold of unfinished input.
func (in *inbound) held(c *Conn) int64 {
	var n int64
	if s := c.stages.Load(); s != nil && s.receives {
		n = int64(s.receiver.Held())
	}
	if in.msg != nil {
		n += int64(len(in.msg.B))
	}
	if in.rest != nil {
		n += int64(len(in.rest.B))
	}
	return n
}

// turn decodes b and delivers what it holds, for at most turnBudget. What it returns
// is for the next turn. A panic of the handler's ends the connection, not the loop.
func (l *loop) turn(c *Conn, in *inbound, b []byte) (rest []byte) {
	defer l.recoverCallback(c)
	l.turning, l.decoding = c, in
	l.pace.begin(l.now)
	l.over = false
	if c.holdsTurn() { // since OnOpen, or since the poller looked
		return b
	}
	if in.stopped {
		b = l.resumeInflate(c, in, b)
		if c.deaf() {
			return nil
		}
		if l.over {
			return b
		}
	}
	var p codec.Piece
	for len(b) > 0 {
		n, err := in.dec.NextMasked(b, &p)
		if err != nil {
			c.fail(err)
			return nil
		}
		if n == 0 {
			in.tailLen = uint8(copy(in.tail[:], b))
			if plantedBug(bugLostTail) {
				in.tailLen = 0
			}
			return nil
		}
		if p.Opcode&8 == 0 {
			l.onData(c, in, &p)
		} else {
			l.onControl(c, in, &p)
		}
		if c.deaf() {
			return nil
		}
		if l.over {
			if in.stopped {
				n -= in.ahead
			}
			return b[n:]
		}
		b = b[n:]
		if len(b) > 0 && (c.holds.Load() != 0 || c.flags&pausedByInbox != 0 || l.pace.due() || c.deflates) && l.cutsShort(c) {
			return b
		}
	}
	return nil
}

// cutsShort tells, after a frame, whether that was enough for a turn: asked when something holds the rest, or when it is
// time to look at the clock. With permessage-deflate that is after each message: a few bytes may have asked for much,
// inflated here or compressed in the callback.
func (l *loop) cutsShort(c *Conn) bool {
	if c.flags&pausedByInbox != 0 || c.holdsTurn() {
		return true
	}
	return (l.pace.ripe() || c.deflates && l.entered) && l.turnOver()
}

// turnOver looks at the clock, and tells whether the turn is over. When others before it in the
// same wait for the poller have had their whole turn, that is soon.
func (l *loop) turnOver() bool {
	took := l.pace.look(l.sys.Now())
	if took <= turnBudget && l.spent <= spentBudget {
		return false
	}
	l.spent += took
	return true
}

// readsDirect tells whether the rest of the frame under way goes straight into the message's buffer.
func (in *inbound) readsDirect() bool {
	return in.msg != nil && !in.compressed && in.rest == nil && in.tailLen == 0 && in.dec.Remaining() >= directReadBytes
}

// readsDirect tells whether the connection's next bytes go straight into its message.
func (c *Conn) readsDirect() bool {
	return c.in != nil && c.in.readsDirect() && c.flags&discarding == 0 && c.phase != phaseBuried && c.watched&netio.Readable != 0 && c.holds.Load() == 0
}

// readDirect reads into the message's buffer what belongs there, and reports whether
// that filled it.
func (l *loop) readDirect(c *Conn) (full bool) {
	in := c.in
	in.makeRoom(1, c.limits.Load().MaxMessageSize)
	buf := in.msg
	from := len(buf.B)
	room := buf.B[from:min(uint64(cap(buf.B)), uint64(from)+in.dec.Remaining(), uint64(from)+slabBytes)]
	n, err := l.sys.Read(int(c.fd), room)
	if err != nil {
		l.readFailed(c, err)
		return false
	}
	c.received(n)
	l.directTurn(c, in, room[:n])
	l.endTurn(c, in)
	return n == len(room)
}

func (l *loop) directTurn(c *Conn, in *inbound, b []byte) {
	defer l.recoverCallback(c)
	l.turning, l.decoding = c, in
	var p codec.Piece
	if _, err := in.dec.Next(b, &p); err != nil {
		c.fail(err)
		return
	}
	in.msg.B = in.msg.B[:len(in.msg.B)+len(b)]
	l.assembled(c, in, p.Last && p.Fin, b)
}
