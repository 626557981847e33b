package agent

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
)

const (
	sealed    = 1 + 8 + sha256.Size // bytes before a piece's own: kind, number, seal
	mostPiece = 256 << 10           // bytes of a piece, if the broker allows so many
	inFlight  = 512                 // pieces that one side may be behind: more are lost, which ends the session
)

// What a piece is.
const (
	kindData byte = iota
	kindEnd       // the last one
)

// Errors of a session.
var (
	ErrLost    = errors.New("messages were lost on the way over NATS") // the sender was faster than this side reads, or the connection broke
	ErrPayload = errors.New("the NATS server's max_payload is too small")
)

// keyOf is the key of a session. Only who has the token can make it, and no other session has the same.
func keyOf(token []byte, run, agent string, nonce []byte) []byte {
	m := hmac.New(sha256.New, token)
	fmt.Fprintf(m, "gannet load 1\x00%s\x00%s\x00%s", run, agent, nonce)
	return m.Sum(nil)
}

// session is a pipe of bytes over two subjects. One goroutine reads; any may write and close.
type session struct {
	conn     *nats.Conn
	in       *nats.Subscription
	pieces   chan *nats.Msg
	to       string
	key      []byte
	own      byte // direction of what this side sends
	piece    int  // bytes
	awaited  uint64
	rest     []byte // of the piece that is being read
	done     chan struct{}
	closing  sync.Once
	mu       sync.Mutex // of writing
	sent     uint64
	finished bool
}

// subjects of an agent in a run, for the side that says which it is.
func subjects(prefix, run, agent string, coordinator bool) (to, from string) {
	down, up := strings.Join([]string{prefix, run, agent, "down"}, "."), strings.Join([]string{prefix, run, agent, "up"}, ".")
	if coordinator {
		return down, up
	}
	return up, down
}

// newSession is one side of a session. It hears everything from now on.
func newSession(conn *nats.Conn, prefix, run, agent string, key []byte, coordinator bool) (*session, error) {
	to, from := subjects(prefix, run, agent, coordinator)
	s := &session{conn: conn, to: to, key: key, pieces: make(chan *nats.Msg, inFlight), done: make(chan struct{})}
	if coordinator {
		s.own = 1
	}
	if s.piece = min(mostPiece, int(conn.MaxPayload())-sealed); s.piece < 1 {
		return nil, fmt.Errorf("%w: %d bytes; set it to 64KB or more", ErrPayload, conn.MaxPayload())
	}
	var err error
	if s.in, err = conn.ChanSubscribe(from, s.pieces); err != nil {
		return nil, err
	}
	return s, conn.Flush() // the broker knows of it now
}

// seal is of a piece that a side sends.
func (s *session) seal(direction, kind byte, number uint64, b []byte) []byte {
	m := hmac.New(sha256.New, s.key)
	head := binary.BigEndian.AppendUint64([]byte{direction, kind}, number)
	m.Write(head)
	m.Write(b)
	return m.Sum(nil)
}

// take opens a piece. What is not sealed as it should be, or came before, is nobody's: it counts as nothing.
func (s *session) take(b []byte) error {
	if len(b) < sealed {
		return nil
	}
	kind, number, seal, own := b[0], binary.BigEndian.Uint64(b[1:]), b[9:sealed], b[sealed:]
	if !hmac.Equal(seal, s.seal(1-s.own, kind, number, own)) || number < s.awaited {
		return nil
	}
	if number > s.awaited {
		return fmt.Errorf("%w: %d of them", ErrLost, number-s.awaited)
	}
	s.awaited++
	if kind == kindEnd {
		return io.EOF
	}
	s.rest = own
	return nil
}

// await returns when a piece came that the other side sealed.
func (s *session) await() error {
	for len(s.rest) == 0 {
		select {
		case m := <-s.pieces:
			if err := s.take(m.Data); err != nil {
				return err
			}
		case <-s.done:
			return io.ErrClosedPipe
		}
	}
	return nil
}

// Read implements io.Reader.
func (s *session) Read(b []byte) (int, error) {
	if err := s.await(); err != nil {
		return 0, err
	}
	n := copy(b, s.rest)
	s.rest = s.rest[n:]
	return n, nil
}

// Write implements io.Writer. What it takes is on its way to the broker when it returns.
func (s *session) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		return 0, io.ErrClosedPipe
	}
	n := 0
	for part := range slices.Chunk(b, s.piece) {
		if err := s.sendLocked(kindData, part); err != nil {
			return n, err
		}
		n += len(part)
	}
	return n, nil
}

func (s *session) sendLocked(kind byte, b []byte) error {
	m := make([]byte, 0, sealed+len(b))
	m = binary.BigEndian.AppendUint64(append(m, kind), s.sent)
	m = append(append(m, s.seal(s.own, kind, s.sent, b)...), b...)
	s.sent++
	return s.conn.Publish(s.to, m)
}

// Close tells the other side, and ends a Read that waits.
func (s *session) Close() error {
	var err error
	s.closing.Do(func() {
		s.mu.Lock()
		s.finished = true
		if s.sent > 0 { // else the other side does not know of this one
			err = s.sendLocked(kindEnd, nil)
		}
		s.mu.Unlock()
		close(s.done)
		err = errors.Join(err, s.in.Unsubscribe(), s.conn.Flush())
	})
	return err
}
