package dom

import (
	"context"
	"errors"
	"io"
	"net"
	"time"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/engine"
)

// NetConn is the stream as a net.Conn, for programs that know nothing of messages: what is written arrives as bytes in order.
//
// A Write is one message of the kind op, OpBinary or OpText, or several if it is longer than Limits.HighWater; an empty one sends nothing.
// With OpText each Write has to be whole UTF-8. Read takes the messages of both kinds; it reads up to the end of one at a time, and empty ones are
// passed over. It is io.EOF when the peer has closed with 1000, 1001 or without a code, else *StreamClosed.
//
// A deadline that passes ends the call that waits (os.ErrDeadlineExceeded, a timeout for net.Error) and breaks nothing: what Write
// reports as written is in whole messages, and the rest was not sent. Close closes with 1000 behind what was written, and does not wait
// for the peer: Stream.Wait does. Any goroutine may call anything, at any time.
func (s *Stream) NetConn(op engine.Opcode) net.Conn {
	n := &netConn{stream: s, op: op, local: s.conn.LocalAddr(), remote: s.conn.RemoteAddr()}
	n.reads.init()
	n.writes.init()
	if n.local == nil {
		n.local = streamAddr(s.URL())
	}
	if n.remote == nil {
		n.remote = streamAddr(s.URL())
	}
	return n
}

// streamAddr is the address of a stream whose transport has none.
type streamAddr string

func (a streamAddr) Network() string { return "websocket" }
func (a streamAddr) String() string  { return string(a) }

type netConn struct {
	stream        *Stream
	op            engine.Opcode
	reads, writes deadline
	local, remote net.Addr
}

// Read implements net.Conn.
func (n *netConn) Read(b []byte) (int, error) {
	got, err := n.stream.readBytes(n.reads.ctx(), b)
	return got, n.wrap("read", err)
}

// readBytes reads what has come of a message.
func (s *Stream) readBytes(ctx context.Context, b []byte) (int, error) {
	if err := s.beginReading(ctx); err != nil {
		return 0, err
	}
	defer s.endReading()
	if len(b) == 0 {
		if s.deaf.Load() {
			return 0, s.ending(false)
		}
		return 0, nil
	}
	if err := s.leaveReader(ctx); err != nil {
		return 0, err
	}
	if len(s.parted) > 0 { // what a Read had of the message
		n := copy(b, s.parted)
		s.parted = s.parted[n:]
		return n, nil
	}
	for {
		p, err := s.await(ctx)
		if err != nil {
			return 0, err
		}
		s.begins(p)
		n := copy(b, p.rest())
		s.took(p, n)
		if n > 0 {
			return n, nil
		}
	}
}

// Write implements net.Conn.
func (n *netConn) Write(b []byte) (int, error) {
	sent, err := n.stream.writeBytes(n.writes.ctx(), n.op, b)
	return sent, n.wrap("write", err)
}

// writeBytes sends b as messages that are queued as a whole.
func (s *Stream) writeBytes(ctx context.Context, op engine.Opcode, b []byte) (n int, err error) {
	if err := s.beginWriting(ctx); err != nil {
		return 0, err
	}
	defer s.endWriting()
	if len(b) == 0 && s.conn.ReadyState() != engine.Open {
		return 0, s.ending(false)
	}
	for n < len(b) {
		if err := s.room(ctx, costOf(len(b)-n)); err != nil {
			return n, err
		}
		most := max(s.credit-s.credit>>9-frameBytes, 1)
		piece := b[n : n+int(min(most, int64(len(b)-n)))]
		if op == engine.OpText && n+len(piece) < len(b) {
			piece = piece[:wholeRunes(piece)]
		}
		s.credit -= costOf(len(piece))
		if err := s.conn.Send(op, piece); err != nil {
			return n, s.answer(err)
		}
		n += len(piece)
	}
	return n, nil
}

// wholeRunes is how much of b does not break off inside a character; all of it if that is nothing.
func wholeRunes(b []byte) int {
	for i := len(b) - 1; i > 0 && i >= len(b)-utf8.UTFMax; i-- {
		if utf8.RuneStart(b[i]) {
			if utf8.FullRune(b[i:]) {
				break
			}
			return i
		}
	}
	return len(b)
}

// wrap says whose error it is. io.EOF stays what it is, for everybody compares with it.
func (n *netConn) wrap(call string, err error) error {
	if err == nil {
		return nil
	}
	var over *StreamClosed
	if call == "read" && errors.As(err, &over) && over.normal() {
		return io.EOF
	}
	if err == engine.ErrClosed {
		err = net.ErrClosed
	}
	return &net.OpError{Op: call, Net: "websocket", Source: n.local, Addr: n.remote, Err: err}
}

// Close implements net.Conn.
func (n *netConn) Close() error { return n.stream.Close() }

// LocalAddr implements net.Conn.
func (n *netConn) LocalAddr() net.Addr { return n.local }

// RemoteAddr implements net.Conn.
func (n *netConn) RemoteAddr() net.Addr { return n.remote }

// SetDeadline implements net.Conn.
func (n *netConn) SetDeadline(t time.Time) error {
	n.reads.set(t)
	n.writes.set(t)
	return nil
}

// SetReadDeadline implements net.Conn.
func (n *netConn) SetReadDeadline(t time.Time) error {
	n.reads.set(t)
	return nil
}

// SetWriteDeadline implements net.Conn.
func (n *netConn) SetWriteDeadline(t time.Time) error {
	n.writes.set(t)
	return nil
}
