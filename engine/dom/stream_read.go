package dom

import (
	"context"
	"io"

	"github.com/gannet-ws/gannet/engine"
)

// streamMessage is the one that is being read.
type streamMessage struct {
	open   bool // it has begun, and has not ended
	op     engine.Opcode
	reader *streamReader // NextReader's; nil: a Read that its context ended, or NetConn
}

// Read is the next message as a whole. p is the caller's. Errors: ctx's, after which the next Read goes on where this one was; when
// the stream is over *StreamClosed, which is io.EOF if the peer closed in order; ErrClosed after Close or CloseRead.
func (s *Stream) Read(ctx context.Context) (op engine.Opcode, p []byte, err error) {
	return s.ReadTo(ctx, nil)
}

// ReadTo appends the next message to dst, as append does: with room for it nothing is allocated. With an error dst is as it was. See Read.
func (s *Stream) ReadTo(ctx context.Context, dst []byte) (op engine.Opcode, p []byte, err error) {
	if err := s.beginReading(ctx); err != nil {
		return 0, dst, err
	}
	defer s.endReading()
	return s.readTo(ctx, dst, engine.MaxMessage)
}

// readTo is ReadTo for messages of at most so many bytes; a longer one is ErrTooLarge, and left behind.
func (s *Stream) readTo(ctx context.Context, dst []byte, most int64) (engine.Opcode, []byte, error) {
	if err := s.leaveReader(ctx); err != nil {
		return 0, dst, err
	}
	all := append(dst, s.parted...)
	for {
		p, err := s.await(ctx)
		if err != nil {
			s.parted = append(s.parted[:0:0], all[len(dst):]...)
			return 0, dst, err
		}
		s.begins(p)
		if int64(len(all)-len(dst)+len(p.rest())) > most {
			s.parted, s.msg.reader = nil, leftBehind
			return 0, dst, engine.ErrTooLarge
		}
		all = append(all, p.rest()...)
		if s.took(p, len(p.rest())) {
			s.parted = nil
			return s.msg.op, all, nil
		}
	}
}

// leftBehind stands for a reader whose message is to be skipped.
var leftBehind = new(streamReader)

// NextReader is the next message as it comes: it answers when the message has begun, and the reader reads as much as has come. ctx is for the
// reader as well; when it ends, its message can be left behind, by the next call that reads. At the end of the message the reader answers io.EOF; of one
// that breaks off, what Read answers, which is io.ErrUnexpectedEOF as well. Errors: see Read.
func (s *Stream) NextReader(ctx context.Context) (op engine.Opcode, r io.Reader, err error) {
	if err := s.beginReading(ctx); err != nil {
		return 0, nil, err
	}
	defer s.endReading()
	if s.msg.open {
		s.msg.reader, s.parted = leftBehind, nil
	}
	if err := s.leaveReader(ctx); err != nil {
		return 0, nil, err
	}
	p, err := s.await(ctx)
	if err != nil {
		return 0, nil, err
	}
	s.begins(p)
	reader := &streamReader{stream: s, ctx: ctx}
	s.msg.reader = reader
	return s.msg.op, reader, nil
}

// streamReader reads one message.
type streamReader struct {
	stream *Stream
	ctx    context.Context
	ended  bool
}

// Read implements io.Reader.
func (r *streamReader) Read(b []byte) (int, error) {
	s := r.stream
	if err := s.beginReading(r.ctx); err != nil {
		return 0, err
	}
	defer s.endReading()
	for {
		switch {
		case r.ended:
			return 0, io.EOF
		case s.msg.reader != r: // somebody has gone on to the next message
			return 0, engine.ErrInvalidState
		case len(b) == 0:
			return 0, nil
		}
		p, err := s.await(r.ctx)
		if err != nil {
			return 0, err
		}
		n := copy(b, p.rest())
		r.ended = s.took(p, n)
		if n > 0 {
			return n, nil
		}
	}
}

// beginReading takes the turn to read.
func (s *Stream) beginReading(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case s.reading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// endReading gives the turn to the next one.
func (s *Stream) endReading() {
	<-s.reading
	if s.deaf.Load() {
		s.tryDrop()
	}
}

// tryDrop drops what came; whoever has the turn to read does so otherwise, when it ends.
func (s *Stream) tryDrop() {
	for s.deaf.Load() && s.in.held.Load() > 0 {
		select {
		case s.reading <- struct{}{}:
		default:
			return
		}
		for p := s.in.peek(); p != nil; p = s.in.peek() {
			s.in.took(s.conn, p, len(p.rest()))
		}
		<-s.reading
	}
}

// await is the part to read next. It waits for one.
func (s *Stream) await(ctx context.Context) (*streamPart, error) {
	for {
		if s.deaf.Load() {
			return nil, s.ending(s.msg.open)
		}
		if p := s.in.peek(); p != nil {
			return p, nil
		}
		select {
		case <-s.in.wake:
		case <-s.over:
			if p := s.in.peek(); p != nil {
				return p, nil
			}
			return nil, s.ending(s.msg.open)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// begins notes whose part p is. What a connection was in the middle of when it became a stream has no first one.
func (s *Stream) begins(p *streamPart) {
	if p.first || !s.msg.open {
		s.msg = streamMessage{open: true, op: p.op}
	}
}

// took notes that n bytes of p were read, and tells whether that ends the message.
func (s *Stream) took(p *streamPart, n int) (ends bool) {
	ends = p.last && n == len(p.rest())
	s.in.took(s.conn, p, n)
	if ends {
		s.msg.open, s.msg.reader = false, nil
	}
	return ends
}

// leaveReader skips the rest of a message that somebody else was reading.
func (s *Stream) leaveReader(ctx context.Context) error {
	for s.msg.open && s.msg.reader != nil {
		p, err := s.await(ctx)
		if err != nil {
			return err
		}
		s.took(p, len(p.rest()))
	}
	return nil
}
