package engine

import (
	"io"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/pool"
)

// messageWriter sends one message in fragments.
type messageWriter struct {
	conn    *Conn
	op      Opcode
	begun   bool
	closed  bool
	payload uint64
	text    codec.UTF8
}

// deferredFrame is a data message that waits behind an open writer.
type deferredFrame struct {
	op    Opcode
	plain bool
	buf   *pool.Buffer
}

// NewWriter begins a message that is sent in fragments: each Write is a frame, Close is
// the last. Other data messages wait behind it, and are counted; control frames pass.
// Closing the connection aborts it. Write answers as Send does, and ErrInvalidState after
// Close; a Write that answers an error has added nothing to the message. Offsets count from
// the message's start; Close answers a UTF8Error, and ends nothing, inside a code point.
//
// One goroutine at a time may use the writer. A second NewWriter before the first is
// closed, and an opcode that is not OpText or OpBinary, give a writer that answers
// ErrInvalidState and ErrSyntax.
func (c *Conn) NewWriter(op Opcode) io.WriteCloser {
	if op != OpText && op != OpBinary {
		return refusedWriter{ErrSyntax}
	}
	c.mu.Lock()
	defer c.unlock()
	switch c.ReadyState() {
	case Open:
	case Connecting:
		return refusedWriter{ErrInvalidState}
	default:
		return refusedWriter{ErrClosed}
	}
	o := c.outLocked()
	if o.writer != nil {
		return refusedWriter{ErrInvalidState}
	}
	o.writer = &messageWriter{conn: c, op: op}
	return o.writer
}

// refusedWriter answers why there is no writer.
type refusedWriter struct{ err error }

func (w refusedWriter) Write([]byte) (int, error) { return 0, w.err }
func (w refusedWriter) Close() error              { return w.err }

// Write sends p as one fragment; an empty one sends nothing.
func (w *messageWriter) Write(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if w.payload+uint64(len(p)) > MaxMessage {
		return 0, ErrMessageTooBig
	}
	text := w.text // w's own goes on only with what is accepted
	if w.op == OpText {
		if at, ok := text.Write(p); !ok {
			return 0, &UTF8Error{Offset: int(w.payload) + at}
		}
	}
	c := w.conn
	c.mu.Lock()
	defer c.unlock()
	if err := w.usableLocked(); err != nil {
		if err == ErrClosed {
			c.buffered += uint64(len(p))
		}
		return 0, err
	}
	o := c.outLocked()
	if o.placed != o.left {
		if err := c.admitLocked(o, len(p)); err != nil {
			return 0, err
		}
	}
	w.payload, w.text = w.payload+uint64(len(p)), text
	c.buffered += uint64(len(p))
	c.frameLocked(o, &outgoing{op: w.op, p: p}, !w.begun, false)
	w.begun = true
	return len(p), nil
}

// Close ends the message and lets those go that waited.
func (w *messageWriter) Close() error {
	c := w.conn
	c.mu.Lock()
	defer c.unlock()
	if err := w.usableLocked(); err != nil {
		return err
	}
	if w.op == OpText && !w.text.Complete() {
		return &UTF8Error{Offset: int(w.payload)}
	}
	o := c.outLocked()
	o.writer = nil
	w.closed = true
	c.frameLocked(o, &outgoing{op: w.op, counted: w.payload}, !w.begun, true)
	c.releaseDeferredLocked()
	return nil
}

func (w *messageWriter) usableLocked() error {
	switch {
	case w.closed:
		return ErrInvalidState
	case w.conn.ReadyState() != Open:
		return ErrClosed
	}
	return nil
}

// abortWriterLocked: the connection closes. A message that has begun stays unfinished, and
// no other can follow it (RFC 6455 5.4): those that wait are not sent, and stay counted.
// Before a writer's first frame they can, and leave as all that is queued does.
func (c *Conn) abortWriterLocked(o *outbound) {
	if o.writer == nil {
		return
	}
	begun := o.writer.begun
	o.writer = nil
	if !begun {
		c.releaseDeferredLocked()
		return
	}
	for i := range o.deferred {
		o.deferred[i].buf.Release()
		o.deferred[i] = deferredFrame{}
	}
	o.deferred, o.deferredBytes = o.deferred[:0], 0
}

// deferMessage keeps a message until the open writer is closed.
func (o *outbound) deferMessage(c *Conn, m *outgoing) {
	b := m.owned
	if b != nil {
		b.Retain()
	} else {
		b = c.loop.engine.pool.Get(len(m.p))
		b.B = append(b.B, m.p...)
	}
	o.deferred = append(o.deferred, deferredFrame{m.op, m.plain, b})
	o.deferredBytes += uint64(len(b.B))
}

// releaseDeferredLocked sends what waited behind the writer.
func (c *Conn) releaseDeferredLocked() {
	for c.out != nil && len(c.out.deferred) > 0 {
		waited := c.out.deferred
		c.out.deferred, c.out.deferredBytes = nil, 0
		for _, d := range waited {
			c.frameLocked(c.outLocked(), &outgoing{op: d.op, p: d.buf.B, owned: d.buf, plain: d.plain}, true, true)
			d.buf.Release()
		}
	}
}
