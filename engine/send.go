package engine

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/pool"
)

// SendOption changes how one message is sent.
type SendOption uint8

// NoCompress sends this message as it is, whatever was agreed.
const NoCompress SendOption = 1

// SendText sends a text message. It never blocks and copies s before it returns.
//
// Errors, of this and every other Send: ErrInvalidState while CONNECTING; ErrClosed in
// CLOSING and CLOSED (the bytes are added to BufferedAmount all the same); *UTF8Error;
// ErrMessageTooBig; ErrBufferFull, or ErrSlowConsumer when this message closed the connection.
func (c *Conn) SendText(s string) error {
	return c.Send(OpText, unsafe.Slice(unsafe.StringData(s), len(s)))
}

// SendBinary sends a binary message. It never blocks and copies p before it returns.
func (c *Conn) SendBinary(p []byte) error { return c.Send(OpBinary, p) }

// Send sends one message, OpText or OpBinary (anything else is ErrSyntax). It never
// blocks, and never keeps or changes p. Errors: see SendText.
//
// What one goroutine sends to a connection arrives in the order of its calls, whatever they are: Send and its like,
// NewWriter, Broadcast, Close. Only control frames pass: a Ping does not wait behind messages. Inside a
// callback on a loop, a message for a connection that another goroutine is just sending to is left to that goroutine.
func (c *Conn) Send(op Opcode, p []byte, opts ...SendOption) error {
	if err := checkMessage(op, p); err != nil {
		return err
	}
	return c.send(&outgoing{op: op, p: p, compress: c.mayCompress(op, len(p), opts)})
}

// SendOwned sends b.B and takes over one reference to b, whatever it answers: b.B must
// not be changed any more. Nothing is copied: the bytes leave from b.
func (c *Conn) SendOwned(op Opcode, b *pool.Buffer, opts ...SendOption) error {
	if b == nil || b.Refs() == 0 {
		return fmt.Errorf("gannet: SendOwned needs a Buffer that pool.Get or Message.Retain gave: %w", ErrSyntax)
	}
	defer b.Release()
	if err := checkMessage(op, b.B); err != nil {
		return err
	}
	return c.send(&outgoing{op: op, p: b.B, owned: b, compress: c.mayCompress(op, len(b.B), opts)})
}

// SendPrepared sends a prepared message. The first time that it goes to a connection with
// another kind of window than before (15 bits, 11 to 14, 8 to 10), it is compressed for that, as a
// whole, by the caller: 4 ms or more for 1 MiB. In a callback on a loop a message over 128 KiB
// is not, and each connection compresses it for itself until somebody else has done it.
func (c *Conn) SendPrepared(p *Prepared, opts ...SendOption) error {
	if err := p.usable(); err != nil {
		return err
	}
	m := c.preparedMessage(p, opts)
	return c.send(&m)
}

// preparedMessage is p on its way to c.
func (c *Conn) preparedMessage(p *Prepared, opts []SendOption) outgoing {
	payload := p.plain.payload()
	compress := !p.asItIs && c.mayCompress(p.op, len(payload), opts)
	if compress && !c.ownCompressor() && (len(payload) <= c.loop.engine.conf.slice || !c.loop.engine.onLoop()) {
		c.deflated(p) // here, where nobody waits for the lock
	}
	return outgoing{op: p.op, p: payload, frame: p.plain.bytes, prepared: p, compress: compress}
}

// copyBytes is the most that is copied under the lock: 10 microseconds' worth, while a loop may be waiting for
// another connection's.
const copyBytes = 64 << 10

// send takes m's way out. Long payloads are copied while nobody has the lock: those that have to wait, before; those
// that leave at once, as far as the socket did not take them, after.
func (c *Conn) send(m *outgoing) error {
	if !c.mu.TryLock() && !c.lockOffLoop() {
		return c.handMessage(m)
	}
	if c.handed.Load() != nil {
		c.takeHanded()
	}
	if len(m.p) > copyBytes {
		return c.sendLongLocked(m)
	}
	err := c.sendLocked(m)
	c.unlock()
	return err
}

// sendLongLocked is send for a payload that is not copied under the lock, which it gives back.
func (c *Conn) sendLongLocked(m *outgoing) error {
	if c.keepsLocked(m) {
		c.unlock()
		b := c.loop.engine.pool.Get(len(m.p))
		defer b.Release()
		b.B = append(b.B, m.p...)
		m.p, m.owned = b.B, b
		return c.send(m)
	}
	m.lent = true
	err := c.sendLocked(m)
	rest := c.lentLocked()
	c.unlock()
	if rest != nil {
		c.keepRest(rest)
	}
	return err
}

// keepsLocked tells whether more of m than copyBytes would have to be copied.
func (c *Conn) keepsLocked(m *outgoing) bool {
	if m.owned != nil || m.prepared != nil || c.ReadyState() != Open { // a prepared message is compressed from where it is
		return false
	}
	if m.compress && len(m.p) > c.loop.engine.conf.slice {
		return true
	}
	return c.behindLocked(c.announced()) || c.out != nil && c.out.holdsBack()
}

func checkMessage(op Opcode, p []byte) error {
	if len(p) > MaxMessage {
		return ErrMessageTooBig
	}
	if op == OpBinary {
		return nil
	}
	if op != OpText {
		return ErrSyntax
	}
	return checkText(p)
}

func checkText(p []byte) error {
	if codec.ValidUTF8(p) {
		return nil
	}
	var v codec.UTF8
	at, ok := v.Write(p)
	if ok {
		at = len(p) // it stops inside a code point
	}
	return &UTF8Error{Offset: at}
}

// outgoing is a message on its way through the stages.
type outgoing struct {
	op       Opcode
	p        []byte
	payload  uint64       // of the whole message as the user sees it
	owned    *pool.Buffer // p's buffer, if the queue may keep it
	from     int          // where in it p begins
	frame    []byte       // p's frame, if it is made already
	prepared *Prepared    // what p is of
	compress bool         // if that makes it shorter
	rsv1     bool         // p is compressed, and begins its message
	lent     bool         // p stays as it is until the caller returns, who then calls keepRest
}

// sendLocked is the way out, stage by stage.
func (c *Conn) sendLocked(m *outgoing) error {
	if s := c.ReadyState(); s != Open { // state
		if s == Connecting {
			return ErrInvalidState
		}
		c.buffered += uint64(len(m.p))
		return ErrClosed
	}
	if last := c.announced(); c.behindLocked(last) {
		c.queueBehind(last)
	}
	o := c.outLocked()
	if o.failed { // the peer is gone, and what it said before is being heard
		c.buffered += uint64(len(m.p))
		return nil
	}
	if o.queued() != 0 || len(o.deferred) != 0 || o.long.underWay() { // limits
		if err := c.admitLocked(o, len(m.p), nil); err != nil {
			if plantedBug(bugDropHistory) && m.compress && err == ErrBufferFull && o.writer == nil && !o.long.making() {
				c.senderLocked().Compress(nil, m.p)
			}
			return err
		}
	}
	c.acceptedLocked(m)
	return nil
}

// acceptedLocked sends a message that the limits have let through, or keeps it behind those before it.
func (c *Conn) acceptedLocked(m *outgoing) {
	m.payload = uint64(len(m.p))
	c.buffered += m.payload
	o := c.outLocked()
	if o.holdsBack() && !plantedBug(bugIntoWriter) {
		o.deferMessage(c, m, len(o.deferred))
		c.settleLocked(o)
		return
	}
	c.messageLocked(o, m)
}

// admitLocked applies MaxBufferedAmount to n bytes more, w's or, if that is nil, a message's.
// What comes into an empty queue always passes, and may leave the connection without an
// outbound.
func (c *Conn) admitLocked(o *outbound, n int, w *messageWriter) error {
	l := &c.limits.Load().Limits
	if l.MaxBufferedAmount < 0 || o.failed || o.takes(n, l, w) {
		return nil
	}
	if c.makeWayLocked(n, l, w) {
		return nil
	}
	if l.Overflow == DropMessage {
		c.loop.stats.dropped.Add(1)
		c.refusedLocked()
		return ErrBufferFull
	}
	c.failLocked(&CloseError{codeTryAgainLater, ErrSlowConsumer})
	return ErrSlowConsumer
}

// makeWayLocked sends what waits for us and not for the peer, who may read all it is sent:
// what a callback has corked, and what is to be compressed yet. That leaves as it is: a loop may be
// waiting for it.
func (c *Conn) makeWayLocked(n int, l *Limits, w *messageWriter) bool {
	c.out.hurried = true
	made := c.hasMadeWayLocked(n, l, w)
	if c.out != nil {
		c.out.hurried = false
	}
	return made
}

func (c *Conn) hasMadeWayLocked(n int, l *Limits, w *messageWriter) bool {
	for !c.out.blocked && !c.out.failed {
		if c.flushLocked(nil); c.out.takes(n, l, w) {
			return true
		}
		if !c.out.long.making() && (!c.out.long.over || c.out.awaitsBroadcast()) {
			return false
		}
		if c.goOnLocked(); c.out == nil {
			return true
		}
	}
	return false
}

// takes tells whether n bytes more are within MaxBufferedAmount. What is behind w, whose turn
// has come, waits for w and does not stand in its way. What waits for a broadcast waits for us, for a turn of the
// loop: the smallest limits do not count then.
func (o *outbound) takes(n int, l *Limits, w *messageWriter) bool {
	q, most := o.waiting(), uint64(l.MaxBufferedAmount)
	if w != nil && !w.waits {
		q = o.queueCost()
	}
	if o.awaitsBroadcast() {
		most = max(most, 1<<20)
	}
	return q == 0 || q+uint64(n) <= most
}

// frameLocked frames, masks and places one frame of a message.
func (c *Conn) frameLocked(o *outbound, m *outgoing, first, fin bool) {
	op := m.op
	if !first {
		op = codec.OpContinuation
	}
	if s := c.stages.Load(); s != nil && s.mask != nil {
		c.placeMasked(o, op, fin, m.rsv1, m.p, s.mask())
		c.placedLocked(o, m.payload, fin, nil)
		return
	}
	c.placedLocked(o, m.payload, fin, c.placeFrame(o, op, fin, m))
}

// placeFrame places an unmasked frame, and returns what of it is lent to be written at once.
func (c *Conn) placeFrame(o *outbound, op Opcode, fin bool, m *outgoing) (direct []byte) {
	p := m.p
	if len(p) < directBytes || o.blocked && m.owned == nil && m.frame == nil { // it is copied anyway
		dst := c.room(o, len(p)+codec.MaxHeaderSize, tailBytes)
		n := len(*dst)
		*dst = append(codec.AppendHeader(*dst, op, fin, m.rsv1, uint64(len(p))), p...)
		o.placed += uint64(len(*dst) - n)
		return nil
	}
	if m.frame != nil {
		return c.placePrepared(o, m.frame)
	}
	dst := c.room(o, codec.MaxHeaderSize, codec.MaxHeaderSize)
	n := len(*dst)
	*dst = codec.AppendHeader(*dst, op, fin, m.rsv1, uint64(len(p)))
	o.placed += uint64(len(*dst)-n) + uint64(len(p))
	if m.owned != nil {
		c.corkToQueue(o)
		m.owned.Retain()
		o.push(m.owned, m.from, m.from+len(p))
		return nil
	}
	if o.direct = directCopied; m.lent {
		o.direct = directLent
	}
	return p
}

func (c *Conn) placePrepared(o *outbound, frame []byte) (direct []byte) {
	o.placed += uint64(len(frame))
	if o.blocked {
		c.corkToQueue(o) // a sealer takes the queue away, so there may be a cork although the socket is full
		o.sealTail()
		o.queue = append(o.queue, segment{raw: frame})
		return nil
	}
	o.direct = directStable
	return frame
}

// placeMasked places a client's frame: payload and key are mixed while copying, so the caller's slice is never masked.
func (c *Conn) placeMasked(o *outbound, op Opcode, fin, rsv1 bool, p []byte, key [4]byte) {
	dst := c.room(o, len(p)+codec.MaxHeaderSize, tailBytes)
	n := len(*dst)
	*dst = codec.AppendMaskedFrame(*dst, op, fin, rsv1, key, p)
	o.placed += uint64(len(*dst) - n)
}

// placedLocked notes a message's end and writes unless a callback's end will. A
// payload that is lent leaves now, behind what is corked.
func (c *Conn) placedLocked(o *outbound, payload uint64, fin bool, direct []byte) {
	if fin {
		o.marks = append(o.marks, mark{o.placed, payload})
		o.payload += payload
	}
	if o.blocked && direct == nil {
		c.settleLocked(o)
		return
	}
	if direct == nil && c.corked.Load() && o.queued() < corkBytes {
		c.boundCork()
		return
	}
	c.flushLocked(direct)
	if c.out != nil && !c.corked.Load() {
		c.detachLocked()
	}
}

// Ping sends a ping with up to 125 bytes of payload (more is ErrSyntax). Pings are
// answered by the peer's engine, which OnPong hears of.
func (c *Conn) Ping(p []byte) error {
	if len(p) > codec.MaxControlPayload {
		return ErrSyntax
	}
	switch c.ReadyState() {
	case Open:
	case Connecting:
		return ErrInvalidState
	default:
		return ErrClosed
	}
	if !c.lockOffLoop() {
		c.handCall(c.handedControl(OpPing, p))
		return nil
	}
	defer c.unlock()
	if c.ReadyState() != Open {
		return ErrClosed
	}
	c.controlLocked(OpPing, p)
	return nil
}

// Flush sends at once what was sent to the connection from its own callback that runs just now, and would leave in one write
// at its end. Elsewhere nothing waits for a flush. Errors: ErrInvalidState while CONNECTING, ErrClosed in
// CLOSING and CLOSED.
func (c *Conn) Flush() error {
	switch c.ReadyState() {
	case Open:
	case Connecting:
		return ErrInvalidState
	default:
		return ErrClosed
	}
	if c.tryLockOr(todoFlush) {
		c.flushCork()
		c.unlock()
	}
	return nil
}

// controlLocked places a control frame, which passes an open writer but not the queue.
func (c *Conn) controlLocked(op Opcode, p []byte) {
	o := c.outLocked()
	if s := c.stages.Load(); s != nil && s.mask != nil {
		c.placeMasked(o, op, true, false, p, s.mask())
	} else {
		c.placeFrame(o, op, true, &outgoing{p: p})
	}
	if o.blocked {
		c.settleLocked(o)
	} else if !c.corked.Load() || c.loop.engine.workers != nil { // a worker's callback may take long
		c.flushLocked(nil)
		c.detachLocked()
	}
}

// Drain waits until BufferedAmount is 0. It answers ErrClosed when the connection
// closes first, the context's error, or ErrOnLoop when it was called on a loop.
func (c *Conn) Drain(ctx context.Context) error {
	if onAnyLoop() {
		return ErrOnLoop
	}
	c.lock()
	if c.out != nil && !c.out.blocked && c.loop.engine.workers != nil {
		c.flushLocked(nil) // the caller may be the callback whose end would have done it
	}
	if c.out == nil || (c.buffered == 0 && c.out.queued() == 0) {
		left := c.buffered
		c.unlock()
		if left != 0 {
			return ErrClosed
		}
		return nil
	}
	done := make(chan struct{})
	c.out.waiters = append(c.out.waiters, done)
	c.unlock()
	select {
	case <-done:
	case <-ctx.Done():
		c.forgetWaiter(done)
		return ctx.Err()
	}
	if c.BufferedAmount() != 0 {
		return ErrClosed
	}
	return nil
}

func (c *Conn) forgetWaiter(done chan struct{}) {
	c.lock()
	defer c.unlock()
	if c.out == nil {
		return
	}
	for i, w := range c.out.waiters {
		if w == done {
			c.out.waiters = append(c.out.waiters[:i], c.out.waiters[i+1:]...)
			return
		}
	}
}
