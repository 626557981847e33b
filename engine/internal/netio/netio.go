// Package netio is the seam between the engine's loops and the machine: what
// one loop needs of a poller, of sockets and of a clock, and nothing else.
//
// Four implementations keep the same contract:
//
//   - Native (Linux): kernel sockets on gnet's netpoll.Poller.
//   - Bridge (everywhere): any net.Conn, carried by goroutines that make it look
//     like a non-blocking socket.
//   - Secure (Linux's loops, and over any other System): TLS over another System, so that nothing above this
//     package knows of it but who begins it (Server, Client, Adopt) and who asks for its state.
//   - the simulator's (package sim): sockets, readiness and time drawn from one seed.
//
// A loop is one goroutine. Every method but Wake is called on it, or before Run
// and after Run has returned; Wake is safe from any goroutine, and so are Write
// and Writev as long as their caller knows that the descriptor is open (the
// engine holds the connection's lock, under which alone it gives one up).
package netio

import (
	"errors"
	"net/netip"
	"time"
)

// ErrAgain says that a call would have blocked: the socket has no bytes to read,
// no room to write, or no connection to accept. The poller reports when to try again.
var ErrAgain = errors.New("netio: would block")

// Event says what a descriptor is ready for.
type Event uint8

const (
	// Readable: a Read would return bytes, the end of the stream, or an error.
	Readable Event = 1 << iota
	// Writable: a Write would take at least one byte, or return an error.
	Writable
)

// Interest is what a descriptor is watched for: the events it asks for, or 0.
type Interest = Event

// Handler receives what a loop's Run finds. Its methods are called on the goroutine that called Run.
type Handler interface {
	// OnEvent reports readiness. It may be called for a descriptor that was removed
	// earlier in the same turn, and for what stopped being watched earlier in the same
	// turn; the handler ignores what it does not know or no longer asks for.
	OnEvent(fd int, ev Event)
	// OnWake is called once after one or more calls of Wake and when the timer
	// is due, between events or after them, never inside OnEvent, and at most once a
	// turn: what left the poller before one OnWake cannot be named any more when the
	// next one begins. It may be called without either. Run returns when it answers false.
	OnWake() bool
	// OnBatchEnd is called when everything that one look at the poller found has been reported, a
	// wake included: before Run looks again, and before it returns nil. It is for what is done once
	// for many events. It may be called when nothing was found. Where gnet's own Polling makes the
	// looks (its tag poll_opt, or a gnet whose descriptor is not found) nobody tells where a batch
	// ends, and it is called after each event and after each wake.
	OnBatchEnd()
}

// System is one loop's view of the machine. Descriptors are small non-negative
// integers: the kernel's own on Native, tokens elsewhere. They are level-triggered:
// an event comes back each turn until what it reports is gone.
type System interface {
	// Run turns the loop until OnWake answers false. It returns an error only if
	// the poller itself failed. When the handler ends its goroutine (runtime.Goexit) another
	// one may call Run again, which goes on behind the call that the handler did not return from: no
	// event, wake or expiry is lost. That call counts as made.
	Run(h Handler) error
	// Wake makes OnWake run soon. Calls before it runs are coalesced. Any goroutine.
	Wake()
	// SetTimer makes OnWake run once, no earlier than at, in the terms of Now; a later
	// call replaces it; 0 disarms it. A time that has passed means soon.
	SetTimer(at time.Duration)
	// Now is the time since an arbitrary start, monotonic.
	Now() time.Duration

	// Add registers fd with read interest.
	Add(fd int) error
	// Interest replaces what a registered fd is watched for: was until now, now from
	// here on, each any union of Readable and Writable. The caller knows was, so that
	// no implementation keeps a byte per descriptor for it; a wrong was is the
	// caller's mistake and the kernel's error. With 0 nothing is reported, resets
	// included (use Probe). An error of the socket is reported as whatever is watched.
	Interest(fd int, was, now Interest) error
	// Remove takes fd out of the poller at once, whatever it was watched for; it stays open.
	Remove(fd int)

	// Accept takes one connection from a listening descriptor: ErrAgain when there
	// is none. The connection is non-blocking, without Nagle's delay, and not yet added.
	Accept(listener int) (fd int, peer netip.AddrPort, err error)
	// Read fills p with what has arrived: n > 0, or io.EOF at the end of the peer's
	// stream, or ErrAgain, or the socket's error. An implementation that holds bytes of which the
	// poller does not know reports Readable each turn until they are taken, also when read interest
	// returns. io.EOF means that the peer has ended its stream: over TLS by close_notify (RFC 8446 6.1), and
	// a stream that ends without is io.ErrUnexpectedEOF. Over TLS Read answers ErrAgain while
	// the handshake is under way, and a *HandshakeError when it has failed; Write does so too.
	Read(fd int, p []byte) (n int, err error)
	// Write takes as much of p as there is room for, and answers how many bytes have left for the
	// network; with none it returns 0 and ErrAgain. p is the caller's again when it returns.
	//
	// An implementation may have taken more than it answers: TLS seals up to 64 KiB ahead, and a byte has left when its
	// record has. The caller presents again what was not answered, first and unchanged; it may have moved, and be cut
	// in another way, and more or less of it may be presented. Writable comes when another call may answer some.
	Write(fd int, p []byte) (n int, err error)
	// Writev is Write of several slices in order.
	Writev(fd int, v [][]byte) (n int, err error)
	// CloseWrite ends our half of the stream after what was written, and what was sealed ahead: over TLS
	// close_notify comes first, and what TLS wants to say later is dropped. It answers
	// errors.ErrUnsupported where the transport has no half to close (net.Pipe).
	CloseWrite(fd int) error
	// Probe tells whether a descriptor that is not watched for reading is still
	// connected: nil, or the error that a read would end with once the bytes before it
	// were read (io.EOF after the peer's half-close). Asking may consume the error:
	// afterwards the bytes before it can be read, but nothing new may be expected.
	Probe(fd int) error
	// Unacked tells how far the peer has come with what was written. It is for clocks alone,
	// which ask when they are about to end a connection, never for each message.
	//
	// waiting is how many bytes of it the peer's machine has not acknowledged yet; 0 where nobody
	// knows. It may count what carries the bytes as well: a unix socket counts its buffers, 768 bytes
	// and more for each small write, until the peer has read them.
	//
	// taken is what the peer's machine has acknowledged since the connection began, and the room
	// that it says to have for more. Only its growth means something: while the peer
	// reads, it grows. It stays 0 where nobody counts (unix sockets of Native).
	Unacked(fd int) (waiting int, taken uint64)
	// Close releases fd, which was removed before; what was written is still delivered, by a carrier that
	// is not the kernel for at most 10 seconds. The number may be reused at once, so the engine calls it only when no event of
	// this turn can name it.
	Close(fd int) error
	// Abort releases fd, which was removed before, and tells the peer at once (RST where
	// the transport has one); what was written and not yet delivered is lost. An alert that TLS has for
	// the peer is delivered first: it says why the connection ends, and a reset would take it away.
	Abort(fd int) error
	// Release frees the poller itself after Run has returned; descriptors that are
	// still open stay so. Wake does nothing from then on.
	Release() error
}
