package dom

import (
	"context"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine"
	"github.com/gannet-ws/gannet/pool"
)

// frameBytes is at least what a frame adds to its payload, in the queue.
const frameBytes = 32

// leastFragment is how much room a fragment waits for, if the message has as much left.
const leastFragment = 4 << 10

// costOf is what n bytes take in the queue at most, compressed or not.
func costOf(n int) int64 { return int64(n) + int64(n>>10) + frameBytes }

// Write sends one message, OpText or OpBinary. It waits its turn, and until the message is queued with no more than Limits.HighWater before
// it and of it: one that is longer leaves in fragments, as the peer takes them. p is not kept, nor changed.
//
// Errors: ctx's, and then nothing was sent; but when the message had left in part the stream is terminated.
// *StreamClosed when the stream is over; ErrClosed while it closes. ErrSyntax, *engine.UTF8Error and ErrMessageTooBig for what is
// no message; ErrInvalidState before the stream is open. ErrOnLoop if it would have to wait and was called in a callback.
func (s *Stream) Write(ctx context.Context, op engine.Opcode, p []byte) error {
	if err := s.beginWriting(ctx); err != nil {
		return err
	}
	defer s.endWriting()
	return s.write(ctx, op, p)
}

// write is Write for whoever has the turn.
func (s *Stream) write(ctx context.Context, op engine.Opcode, p []byte) error {
	cost := costOf(len(p))
	if err := s.room(ctx, cost); err != nil {
		return err
	}
	if cost <= s.credit || !s.isMessage(op, p) {
		s.credit -= cost
		return s.answer(s.conn.Send(op, p))
	}
	w := s.conn.NewWriter(op)
	_, err := s.writeLong(ctx, w, p)
	if err != nil {
		s.conn.Terminate() // the message has begun, and cannot be ended
		return err
	}
	return s.answer(w.Close())
}

// isMessage tells whether p can be sent at all, as far as Send would say so.
func (s *Stream) isMessage(op engine.Opcode, p []byte) bool {
	switch {
	case len(p) > engine.MaxMessage || s.conn.ReadyState() != engine.Open:
		return false
	case op == engine.OpText:
		return utf8.Valid(p)
	}
	return op == engine.OpBinary
}

// room waits for credit, if there is not as much.
func (s *Stream) room(ctx context.Context, cost int64) error {
	if s.credit >= cost {
		return nil
	}
	return s.refill(ctx)
}

// writeLong writes p as fragments of w, each when there is room for it. n is what was written.
func (s *Stream) writeLong(ctx context.Context, w io.Writer, p []byte) (n int, err error) {
	for n < len(p) {
		if err := s.room(ctx, costOf(min(len(p)-n, leastFragment))); err != nil {
			return n, err
		}
		most := max(s.credit-s.credit>>9-frameBytes, 1)
		fragment := p[n : n+int(min(most, int64(len(p)-n)))]
		s.credit -= costOf(len(fragment))
		if _, err := w.Write(fragment); err != nil {
			return n, s.answer(err)
		}
		n += len(fragment)
	}
	return n, nil
}

// beginWriting takes the turn to write.
func (s *Stream) beginWriting(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.writing <- struct{}{}:
		return nil
	default:
	}
	select {
	case s.writing <- struct{}{}:
		return nil
	case <-s.over:
		return s.ending(false)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Stream) endWriting() { <-s.writing }

// noWait is a context for who asks whether there is anything to wait for.
var noWait = func() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}()

// refill waits until nothing is queued, and gives new credit: what may be queued before somebody has to look again. More than
// HighWater is never queued, above which the engine would stop reading the peer: two ends that write more than that before they
// read would wait for each other.
func (s *Stream) refill(ctx context.Context) error {
	err := s.conn.DrainQueue(noWait)
	switch {
	case err == context.Canceled:
		err = s.drain(ctx)
	case err == engine.ErrOnLoop && s.conn.BufferedAmount() == 0:
		err = nil
	}
	if err != nil {
		return s.answer(err)
	}
	s.credit = s.conn.Limits().HighWater
	return nil
}

// drain waits until nothing is queued; Close ends that.
func (s *Stream) drain(ctx context.Context) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	s.blocked.Store(&blocked{stop})
	defer s.blocked.Store(nil)
	if s.conn.ReadyState() != engine.Open { // whoever closed it may have come before
		return engine.ErrClosed
	}
	err := s.conn.DrainQueue(ctx)
	if err != nil && context.Cause(ctx) == engine.ErrClosed {
		return engine.ErrClosed
	}
	return err
}

// answer is what a writer is told.
func (s *Stream) answer(err error) error {
	if err == engine.ErrClosed {
		return s.ending(false)
	}
	return err
}

// NextWriter begins a message: it waits its turn, and every other writer waits until it is closed. The message leaves when the writer is
// closed; one of more than 4 KiB in fragments, as it is written. ctx is for the writer as well: when it ends before anything has
// left, the message is given up and nothing was sent; later the stream is terminated. Errors: see Write.
func (s *Stream) NextWriter(ctx context.Context, op engine.Opcode) (io.WriteCloser, error) {
	if op != engine.OpText && op != engine.OpBinary {
		return nil, misused("NextWriter: a message is OpText or OpBinary, and this is opcode %d", op)
	}
	if err := s.beginWriting(ctx); err != nil {
		return nil, err
	}
	switch s.conn.ReadyState() {
	case engine.Open:
		return &streamWriter{stream: s, ctx: ctx, op: op}, nil
	case engine.Connecting:
		s.endWriting()
		return nil, engine.ErrInvalidState
	}
	s.endWriting()
	return nil, s.ending(false)
}

// writerBytes is how much of a message a writer collects, so that most leave in one frame.
const writerBytes = 4 << 10

// streamWriter writes one message.
type streamWriter struct {
	stream *Stream
	ctx    context.Context
	op     engine.Opcode
	buf    *pool.Buffer   // what has not left; nil: nothing
	parts  io.WriteCloser // when the message is longer than writerBytes: it has left in part
	err    error          // why it is over
}

// Write adds to the message.
func (w *streamWriter) Write(p []byte) (int, error) {
	if w.err != nil {
		return 0, w.err
	}
	if w.parts == nil {
		if w.buf == nil {
			w.buf = pool.Get(writerBytes)
		}
		if len(w.buf.B)+len(p) <= writerBytes {
			w.buf.B = append(w.buf.B, p...)
			return len(p), nil
		}
		if err := w.begin(); err != nil {
			w.finish(err)
			return 0, err
		}
	}
	return w.send(p)
}

// begin sends what was collected, as the first fragment.
func (w *streamWriter) begin() error {
	if err := w.stream.room(w.ctx, costOf(leastFragment)); err != nil {
		return err
	}
	if !w.stream.isMessage(engine.OpBinary, nil) {
		return w.stream.ending(false)
	}
	if w.op == engine.OpText { // before anything has begun, which could not be ended
		var text codec.UTF8
		if at, ok := text.Write(w.buf.B); !ok {
			return &engine.UTF8Error{Offset: at}
		}
	}
	w.parts = w.stream.conn.NewWriter(w.op)
	first := w.buf.B
	_, err := w.send(first)
	return err
}

// send sends p as fragments. What is not UTF-8 is not added to a text, and may be written better; after another error the
// writer is over.
func (w *streamWriter) send(p []byte) (int, error) {
	n, err := w.stream.writeLong(w.ctx, w.parts, p)
	if err != nil && !errors.Is(err, engine.ErrInvalidUTF8) {
		w.finish(err)
	}
	return n, err
}

// Close ends the message.
func (w *streamWriter) Close() error {
	if w.err != nil {
		return w.err
	}
	var err error
	switch {
	case w.parts != nil:
		err = w.stream.answer(w.parts.Close())
	case w.buf != nil:
		err = w.stream.write(w.ctx, w.op, w.buf.B)
	default:
		err = w.stream.write(w.ctx, w.op, nil)
	}
	if err == nil {
		w.parts = nil
	}
	w.finish(err)
	return err
}

// finish gives the turn back. A message that has left in part, and has no end, ends the stream.
func (w *streamWriter) finish(err error) {
	if w.err != nil {
		return
	}
	if w.err = err; err == nil {
		w.err = engine.ErrInvalidState
	}
	if w.buf != nil {
		w.buf.Release()
		w.buf = nil
	}
	if w.parts != nil {
		w.stream.conn.Terminate()
	}
	w.stream.endWriting()
}
