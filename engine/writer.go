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
	deflate bool // its message is compressed, each Write as it comes
	payload uint64
	text    codec.UTF8
	waits   bool       // it has a place among what is deferred, and its turn has not come
	waiting []fragment // what was written meanwhile
}

// NewWriter begins a message that is sent in fragments: each Write is a frame, Close is
// the last. Other data messages wait behind it, and are counted; control frames pass.
// Closing the connection aborts it. Write answers as Send does, and ErrInvalidState after
// Close; a Write that answers an error has added nothing to the message (but to one that
// the connection's closing aborts). Offsets count from the message's start; Close answers a
// UTF8Error, and ends nothing, inside a code point.
//
// It is in fragments whatever deflate.Policy.FrameBytes says: for a peer that fails on compressed messages in fragments,
// use Send, or NoCompress here. With permessage-deflate each Write is compressed and flushed as it comes, so that the peer
// can inflate it, for 5 bytes or so each. Of more than 128 KiB (32, 16 and 4 at levels 7, 8 and 9)
// the first part is, and the loop goes on with a copy of the rest, as much a turn. A writer whose
// Writes are longer than 8 KiB holds a compressor of about a megabyte, but not while the peer does
// not read, nor while 64 messages hold one. Options.Compress is asked once, with a length of -1. Behind a long message that is not
// all compressed yet the fragments wait for their turn: Write copies them, and they count for
// MaxBufferedAmount and HighWater.
//
// One goroutine at a time may use the writer. A second NewWriter before the first is
// closed, and an opcode that is not OpText or OpBinary, give a writer that answers
// ErrInvalidState and ErrSyntax.
func (c *Conn) NewWriter(op Opcode, opts ...SendOption) io.WriteCloser {
	if op != OpText && op != OpBinary {
		return refusedWriter{ErrSyntax}
	}
	deflate := c.mayCompress(op, -1, opts)
	c.lock()
	defer c.unlock()
	switch c.ReadyState() {
	case Open:
	case Connecting:
		return refusedWriter{ErrInvalidState}
	default:
		return refusedWriter{ErrClosed}
	}
	if o := c.out; o != nil && o.writer != nil {
		return refusedWriter{ErrInvalidState}
	}
	if last := c.announced(); c.behindLocked(last) {
		c.queueBehind(last)
	}
	o := c.outLocked()
	w := &messageWriter{conn: c, op: op, deflate: deflate, waits: o.holdsBack()}
	if w.waits && !plantedBug(bugWriterLast) {
		o.deferPlace(deferredFrame{writer: w}, len(o.deferred))
	}
	o.writer = w
	return w
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
	var copied *pool.Buffer // of a long payload that has to wait, or to be compressed: made before the lock is taken
	c.lock()
	if len(p) > copyBytes && (w.waits || w.deflate) && w.usableLocked() == nil {
		c.unlock()
		copied = c.loop.engine.pool.Get(len(p))
		defer copied.Release()
		copied.B = append(copied.B, p...)
		c.lock()
	}
	err := w.admitLocked(len(p))
	if err == nil {
		w.text = text
		w.writeLocked(p, copied)
	}
	rest := c.lentLocked()
	c.unlock()
	if rest != nil {
		c.keepRest(rest)
	}
	if err != nil {
		return 0, err
	}
	return len(p), nil
}

// admitLocked counts n bytes more, if they may be written.
func (w *messageWriter) admitLocked(n int) error {
	c := w.conn
	if err := w.usableLocked(); err != nil {
		if err == ErrClosed {
			c.buffered += uint64(n)
		}
		return err
	}
	if o := c.outLocked(); o.placed != o.left || w.waits {
		if err := c.admitLocked(o, n, w); err != nil {
			return err
		}
	}
	w.payload += uint64(n)
	c.buffered += uint64(n)
	return nil
}

// writeLocked sends p: as one fragment, or, where it is to be compressed, a slice of it, and the
// loop goes on with the rest as with a long message. copied is a buffer with p in it, or nil.
func (w *messageWriter) writeLocked(p []byte, copied *pool.Buffer) {
	c := w.conn
	o, most := c.outLocked(), len(p)
	if w.deflate {
		most = c.loop.engine.conf.slice
	}
	w.nextLocked(o, p, copied, 0, min(most, len(p)), false)
	if len(p) <= most {
		return
	}
	if !w.waits {
		w.waits, o.long.over = true, true
		o.deferPlace(deferredFrame{writer: w}, 0)
		c.notify(todoSlice)
	}
	for from := most; from < len(p); from += most {
		w.deferLocked(o, p, copied, from, min(from+most, len(p)), false)
	}
	c.settleLocked(o)
}

// deferLocked keeps p[from:to] until the writer's turn has come.
func (w *messageWriter) deferLocked(o *outbound, p []byte, copied *pool.Buffer, from, to int, fin bool) {
	k := kept{buf: copied, from: from, to: to}
	if copied == nil {
		k = w.conn.keep(p[from:to], w.lastKept())
	} else {
		copied.Retain()
	}
	o.deferFragment(w, k, fin)
}

// Close ends the message and lets those go that waited.
func (w *messageWriter) Close() error {
	c := w.conn
	c.lock()
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
	if plantedBug(bugWriterLast) && w.waits {
		o.deferPlace(deferredFrame{writer: w}, len(o.deferred))
	}
	w.nextLocked(o, nil, nil, 0, 0, true)
	c.releaseDeferredLocked()
	return nil
}

// nextLocked sends p[from:to] as the next fragment now, or when its turn has come.
func (w *messageWriter) nextLocked(o *outbound, p []byte, copied *pool.Buffer, from, to int, fin bool) {
	if w.waits && !plantedBug(bugWriterPasses) {
		w.deferLocked(o, p, copied, from, to, fin)
		w.conn.settleLocked(o)
	} else {
		w.fragmentLocked(o, &outgoing{p: p[from:to], lent: true}, fin)
	}
}

// fragmentLocked sends m as one fragment. A message that was empty is not compressed.
func (w *messageWriter) fragmentLocked(o *outbound, m *outgoing, fin bool) {
	c, first, p := w.conn, !w.begun, m.p
	m.op, m.payload = w.op, w.payload
	w.begun = true
	if !w.deflate || first && fin {
		c.frameLocked(o, m, first, fin)
		return
	}
	s := c.senderLocked()
	if first {
		s.Begin()
	}
	b := c.loop.engine.pool.Get(len(p) + compressSlack)
	switch {
	case fin:
		b.B = s.End(b.B)
	case o.hurried:
		b.B = s.Store(b.B, p)
	default:
		b.B = s.Write(b.B, p, !plantedBug(bugNoFlush))
	}
	c.compressedLocked(o, m, b.B, first, fin)
	b.Release()
	c.parkLocked()
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
	w := o.writer
	if w == nil {
		return
	}
	o.writer = nil
	if w.begun {
		o.forgetDeferred()
		return
	}
	o.forgetWriter(w)
	c.releaseDeferredLocked()
}
