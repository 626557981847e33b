package engine

import (
	"io"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
)

// messageWriter is what NewWriter answers.
type messageWriter struct {
	conn    *Conn
	op      Opcode
	out     outgoing.Writer
	text    codec.UTF8
	payload int
	closed  bool
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
	if err := checkOpcode(op); err != nil {
		return refusedWriter{err}
	}
	as := c.compressAs(op, -1, opts)
	c.lock()
	defer c.unlock()
	switch c.ReadyState() {
	case Open:
	case Connecting:
		return refusedWriter{ErrInvalidState}
	default:
		return refusedWriter{ErrClosed}
	}
	w := &messageWriter{conn: c, op: op}
	if !c.out.Begin(c.outCall(), &w.out, op, as) {
		return refusedWriter{ErrInvalidState}
	}
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
	if w.payload+len(p) > MaxMessage {
		return 0, ErrMessageTooBig
	}
	text := w.text // w's own goes on only with what is accepted
	if w.op == OpText {
		if at, ok := text.Write(p); !ok {
			return 0, &UTF8Error{Offset: w.payload + at}
		}
	}
	c := w.conn
	var copied *pool.Buffer // of a long payload that has to wait, or to be compressed: made before the lock is taken
	c.lock()
	if w.out.MustCopy(len(p)) && w.usableLocked() == nil {
		c.unlock()
		copied = c.loop.engine.pool.Get(len(p))
		defer copied.Release()
		copied.B = append(copied.B, p...)
		c.lock()
	}
	err := w.writeLocked(p, copied)
	rest := c.out.Lent()
	c.unlock()
	if rest != nil {
		c.keepRest(rest)
	}
	if err != nil {
		return 0, err
	}
	w.text = text
	w.payload += len(p)
	return len(p), nil
}

func (w *messageWriter) writeLocked(p []byte, copied *pool.Buffer) error {
	c := w.conn
	if err := w.usableLocked(); err != nil {
		if err == ErrClosed {
			c.out.Count(len(p))
		}
		return err
	}
	return c.answerLocked(w.out.Write(c.outCall(), p, copied))
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
		return &UTF8Error{Offset: w.payload}
	}
	w.closed = true
	w.out.End(c.outCall())
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
