package engine

import (
	"context"
	"unsafe"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
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
	if c.ReadyState() == Open && c.deflates { // in this order: deflates is written until OPEN
		if as := c.compressAs(op, len(p), opts); as != (deflate.Agreement{}) {
			return c.send(&outgoing.Message{Op: op, P: p, Compress: as})
		}
	}
	if c.ReadyState() != Open || !c.mu.TryLock() {
		return c.sendAsItIs(op, p)
	}
	if !c.sendPlainLocked(op, p) {
		return c.sendAndUnlock(&outgoing.Message{Op: op, P: p})
	}
	c.mu.Unlock() // nothing has come due
	schedulingPoint(c)
	if c.owed.Load() != 0 {
		c.serveOwed()
	}
	return nil
}

// sendAsItIs is send for a payload that is not compressed.
func (c *Conn) sendAsItIs(op Opcode, p []byte) error { return c.send(&outgoing.Message{Op: op, P: p}) }

// sendPlainLocked is send for what a callback on a loop sends to its own connection, where nothing stands in its way;
// else it does nothing and answers false. The connection was OPEN before the lock was taken. Whoever closed it meanwhile has closed
// the straight path, too, or does not mind what is sent just before.
func (c *Conn) sendPlainLocked(op Opcode, p []byte) bool {
	if c.handed.Load() != nil {
		return false
	}
	limits, after := &c.limits.Load().outgoing, c.announced()
	if !c.out.Idle() {
		return c.out.AddPlain(limits, after, op, p)
	}
	s := c.spare()
	return s != nil && c.out.SendPlain(s, limits, after, op, p)
}

// SendOwned sends b.B and takes over one reference to b, whatever it answers: b.B must
// not be changed any more. A server copies nothing: the bytes leave from b. A client copies them as it masks them, for each frame
// has a key of its own (RFC 6455 5.3), and others may read b.
func (c *Conn) SendOwned(op Opcode, b *pool.Buffer, opts ...SendOption) error {
	if b == nil || b.Refs() == 0 {
		return misused("SendOwned needs a Buffer that pool.Get or Message.Retain gave, and this one is nil, zero or released")
	}
	defer b.Release()
	if err := checkMessage(op, b.B); err != nil {
		return err
	}
	return c.send(&outgoing.Message{Op: op, P: b.B, Owned: b, Compress: c.compressAs(op, len(b.B), opts)})
}

// SendPrepared sends a prepared message. The first time that it goes to a connection with
// another kind of window than before (15 bits, 11 to 14, 8 to 10), it is compressed for that, as a
// whole, by the caller: 4 ms or more for 1 MiB. In a callback on a loop a message over 128 KiB
// is not, and each connection compresses it for itself until somebody else has done it. A client masks it for each
// connection anew.
func (c *Conn) SendPrepared(p *Prepared, opts ...SendOption) error {
	if err := p.usable(); err != nil {
		return err
	}
	m := c.preparedMessage(p, opts)
	return c.send(&m)
}

// preparedMessage is p on its way to c.
func (c *Conn) preparedMessage(p *Prepared, opts []SendOption) outgoing.Message {
	m := outgoing.Message{Op: p.made.Op(), P: p.made.Payload(), Prepared: &p.made}
	if !p.asItIs {
		m.Compress = c.compressAs(m.Op, len(m.P), opts)
	}
	if m.Compress == (deflate.Agreement{}) {
		return m
	}
	if e := c.loop.engine; !e.ownCompressor(m.Compress) && (len(m.P) <= e.conf.slice || !e.onLoop()) {
		p.made.Compress(e.conf.deflate, m.Compress.Send.WindowBits) // here, where nobody waits for the lock
	}
	return m
}

// send takes m's way out. Long payloads are copied while nobody has the lock: those that have to wait, before; those
// that leave at once, as far as the socket did not take them, after.
func (c *Conn) send(m *outgoing.Message) error {
	if !c.mu.TryLock() && !c.lockOffLoop() {
		return c.handMessage(m)
	}
	return c.sendAndUnlock(m)
}

// sendAndUnlock is send with the lock, which it gives back.
func (c *Conn) sendAndUnlock(m *outgoing.Message) error {
	if c.handed.Load() != nil {
		c.takeHanded()
	}
	if len(m.P) > outgoing.CopyBytes {
		return c.sendLongLocked(m)
	}
	err := c.sendLocked(m)
	c.unlock()
	return err
}

// sendLongLocked is send for a payload that is not copied under the lock, which it gives back.
func (c *Conn) sendLongLocked(m *outgoing.Message) error {
	if c.ReadyState() == Open && c.out.MustCopy(c.outCall(), m) {
		c.unlock()
		b := c.loop.engine.pool.Get(len(m.P))
		defer b.Release()
		b.B = append(b.B, m.P...)
		m.P, m.Owned = b.B, b
		return c.send(m)
	}
	m.Lent = true
	err := c.sendLocked(m)
	rest := c.out.Lent()
	c.unlock()
	if rest != nil {
		c.keepRest(rest)
	}
	return err
}

// keepRest copies what the socket did not take of a lent payload, and lets it go on.
func (c *Conn) keepRest(r *outgoing.Rest) {
	b := r.Copy(c.loop.engine.pool)
	if !c.lockOffLoop() {
		c.handCall(handedCall{rest: r, copied: b})
		return
	}
	c.out.Kept(c.outCall(), r, b)
	c.unlock()
}

// sendLocked sends a message if the state is OPEN.
func (c *Conn) sendLocked(m *outgoing.Message) error {
	if s := c.ReadyState(); s != Open {
		if s == Connecting {
			return ErrInvalidState
		}
		c.out.Count(len(m.P))
		return ErrClosed
	}
	var k outgoing.Call
	c.setCall(&k)
	return c.answerLocked(c.out.Send(k, m))
}

// answerLocked is a verdict as an error. With outgoing.Slow the connection closes.
func (c *Conn) answerLocked(v outgoing.Verdict) error {
	switch v {
	case outgoing.Full:
		return ErrBufferFull
	case outgoing.Slow:
		c.failLocked(slowConsumer)
		return ErrSlowConsumer
	case outgoing.Closed:
		return ErrClosed
	}
	return nil
}

func checkMessage(op Opcode, p []byte) error {
	if len(p) > MaxMessage {
		return ErrMessageTooBig
	}
	if op == OpBinary {
		return nil
	}
	if op != OpText {
		return checkOpcode(op)
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

// Ping sends a ping with up to 125 bytes of payload (more is ErrSyntax). Pings are
// answered by the peer's engine, which OnPong hears of. It never blocks, and copies p. Other errors: ErrInvalidState while
// CONNECTING; ErrClosed in CLOSING and CLOSED; ErrBufferFull at MaxBufferedAmount, whatever Limits.Overflow says.
func (c *Conn) Ping(p []byte) error {
	if err := checkPing(p); err != nil {
		return err
	}
	if err := c.notOpen(); err != nil {
		return err
	}
	if !c.lockOffLoop() {
		c.handCall(c.handedControl(OpPing, p))
		return nil
	}
	defer c.unlock()
	if c.ReadyState() != Open {
		return ErrClosed
	}
	return c.answerLocked(c.out.Ping(c.outCall(), p, false))
}

// notOpen is the error of a call that only an OPEN connection takes; nil when it is.
func (c *Conn) notOpen() error {
	switch c.ReadyState() {
	case Open:
		return nil
	case Connecting:
		return ErrInvalidState
	}
	return ErrClosed
}

// Flush sends at once what was sent to the connection from its own callback that runs just now, and would leave in one write
// at its end. Elsewhere nothing waits for a flush. Errors: ErrInvalidState while CONNECTING, ErrClosed in
// CLOSING and CLOSED.
func (c *Conn) Flush() error {
	if err := c.notOpen(); err != nil {
		return err
	}
	if c.tryLockOr(todoFlush) {
		c.flushCork()
		c.unlock()
	}
	return nil
}

// Drain waits until BufferedAmount is 0. It answers ErrClosed when the connection
// closes first, the context's error, or ErrOnLoop when it was called on a loop.
func (c *Conn) Drain(ctx context.Context) error {
	left, err := c.awaitLeft(ctx, (*outgoing.Out).Await)
	if err == nil && left != 0 {
		return ErrClosed
	}
	return err
}

// DrainQueue is Drain for whoever is in the middle of a message: it waits until all that was sent has left, the fragments of
// an open NewWriter among it, whose message counts in BufferedAmount until its end. So what writes a long message
// by a NewWriter need not have more than a fragment of it queued.
func (c *Conn) DrainQueue(ctx context.Context) error {
	_, err := c.awaitLeft(ctx, (*outgoing.Out).AwaitQueue)
	if err == nil && c.ReadyState() == Closed {
		return ErrClosed
	}
	return err
}

// awaitLeft waits for what f says, and answers what BufferedAmount is then.
func (c *Conn) awaitLeft(ctx context.Context, f func(*outgoing.Out) chan struct{}) (left uint64, err error) {
	if onAnyLoop() {
		return 0, ErrOnLoop
	}
	c.lock()
	if c.loop != nil && c.loop.engine.workers != nil {
		c.flushCork() // the caller may be the callback whose end would have done it
	}
	done, left := f(&c.out), c.out.Buffered()
	c.unlock()
	if done == nil {
		return left, nil
	}
	select {
	case <-done:
	case <-ctx.Done():
		c.lock()
		c.out.Forget(done)
		c.unlock()
		return 0, ctx.Err()
	}
	return c.BufferedAmount(), nil
}
