package sim

import (
	"errors"
	"io"
	"net/netip"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// socket is the engine's end of a simulated connection, or a listener.
type socket struct {
	fd      int
	addr    netip.AddrPort
	closed  bool
	sys     *System // whose poller has it
	watched netio.Interest
	left    *System // whose poller had it
	leftIn  uint64  // and in which turn it left
	leftAt  int     // after how many events

	listening bool
	backlog   []*socket

	attempt

	peer    *Peer
	in      []byte // arrived, not read
	inRoom  int
	inEnd   bool  // the peer ended its half
	broken  error // reset, or timed out
	failed  bool  // of itself
	out     []byte
	outRoom int
	taken   uint64 // what the peer has read
	outEnd  bool   // the engine ended its half
	gone    bool   // the peer has closed: what is written from now on meets a reset
}

// ready is what the poller would report, whatever is watched.
func (s *socket) ready(now time.Duration) (ev netio.Event) {
	if s.pending {
		if s.over(now) {
			ev = netio.Writable
			if s.verdict() != nil {
				ev |= netio.Readable
			}
		}
		return ev
	}
	if s.listening {
		if len(s.backlog) > 0 {
			ev = netio.Readable
		}
		return ev
	}
	if len(s.in) > 0 || s.inEnd || s.broken != nil {
		ev |= netio.Readable
	}
	if len(s.out) < s.outRoom || s.broken != nil || s.gone {
		ev |= netio.Writable
	}
	return ev
}

// read moves up to limit of what has arrived into p.
func (s *socket) read(p []byte, limit func(int) int) (int, error) {
	switch {
	case len(s.in) > 0:
		n := limit(min(len(p), len(s.in)))
		copy(p, s.in[:n])
		s.in = s.in[:copy(s.in, s.in[n:])]
		return n, nil
	case s.broken != nil:
		return 0, s.broken
	case s.inEnd:
		return 0, io.EOF
	}
	return 0, netio.ErrAgain
}

// writable is how many bytes a write may move now, or why none.
func (s *socket) writable() (int, error) {
	switch {
	case s.broken != nil:
		return 0, s.broken
	case s.outEnd:
		return 0, syscall.EPIPE
	case s.gone:
		return 1 << 30, nil // the network takes it, and answers with a reset
	case len(s.out) >= s.outRoom:
		return 0, netio.ErrAgain
	}
	return s.outRoom - len(s.out), nil
}

// write takes the first n bytes of v, which writable allowed.
func (s *socket) write(v [][]byte, n int) {
	from := len(s.out)
	for _, p := range v {
		p = p[:min(len(p), n)]
		n -= len(p)
		s.out = append(s.out, p...)
	}
	if s.peer.tap != nil {
		s.peer.tap(s.out[from:])
	}
	if s.gone {
		s.out, s.broken = s.out[:from], syscall.ECONNRESET
	}
}

// probe is what a read would end with.
func (s *socket) probe() error {
	switch {
	case s.broken != nil:
		return s.broken
	case s.inEnd:
		return io.EOF
	}
	return nil
}

// reset breaks the connection from the engine's side. Of what the peer has not read yet, as
// much as was still on its way is lost.
func (s *socket) reset(keep int) {
	s.out = s.out[:keep]
	s.peer.broken = true
}

var errMemory error = syscall.ENOMEM

// errors that the peer's end answers.
var (
	// ErrReset: the engine reset the connection.
	ErrReset = errors.New("sim: connection reset")
)
