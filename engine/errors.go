package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
)

// sentinel is an error that also stands for wider ones.
type sentinel struct {
	text  string
	wider []error
}

func (s *sentinel) Error() string { return s.text }

func (s *sentinel) Is(target error) bool {
	for _, w := range s.wider {
		if w == target {
			return true
		}
	}
	return false
}

// What a call can answer. Test with errors.Is.
var (
	// ErrInvalidState: the connection is not in a state for this call (WHATWG InvalidStateError).
	ErrInvalidState = errors.New("gannet: the connection is not in a state for this call")
	// ErrClosed: the connection is CLOSING or CLOSED. It is also ErrInvalidState and net.ErrClosed.
	ErrClosed error = &sentinel{"gannet: the connection is closing or closed", []error{ErrInvalidState, net.ErrClosed}}
	// ErrSyntax: an argument that no connection could accept (WHATWG SyntaxError).
	ErrSyntax = errors.New("gannet: invalid argument")
	// ErrInvalidUTF8: text that is not UTF-8; see UTF8Error for where. It is also ErrSyntax.
	ErrInvalidUTF8 error = &sentinel{"gannet: text is not valid UTF-8", []error{ErrSyntax}}
	// ErrInvalidAccess: a close code that this side may not send (WHATWG InvalidAccessError).
	ErrInvalidAccess = errors.New("gannet: this close code may not be sent from here")
	// ErrMessageTooBig: a message longer than 2147483647 bytes; nothing was sent and the connection stays open.
	ErrMessageTooBig = errors.New("gannet: message longer than 2147483647 bytes")
	// ErrBufferFull: the message would pass MaxBufferedAmount and the policy is DropMessage; it was dropped.
	ErrBufferFull = errors.New("gannet: message dropped: MaxBufferedAmount reached; wait for OnDrain or raise the limit")
	// ErrSlowConsumer: the connection was closed because its peer did not read what was sent:
	// MaxBufferedAmount was reached under CloseSlow, or it took nothing for WriteStallTimeout.
	ErrSlowConsumer = errors.New("gannet: the peer does not read: slow consumer closed")
	// ErrOnLoop: a call that waits was made on a loop (Shutdown, Close and Dial: or on a worker), which it would have held.
	ErrOnLoop = errors.New("gannet: this call waits and was made on an event loop; make it from another goroutine")
	// ErrServerClosed: Serve and its like return it after Shutdown or Close.
	ErrServerClosed = errors.New("gannet: server closed")

	// Reasons in CloseEvent.Err.

	// ErrAbnormal: the transport ended without a Close frame.
	ErrAbnormal = errors.New("gannet: connection lost without a Close frame")
	// ErrTerminated: Terminate was called, or the engine was closed.
	ErrTerminated = errors.New("gannet: terminated")
	// ErrHandshakeTimeout: the opening handshake took longer than HandshakeTimeout. It is also os.ErrDeadlineExceeded.
	ErrHandshakeTimeout error = &sentinel{"gannet: opening handshake timed out", []error{os.ErrDeadlineExceeded}}
	// ErrIdleTimeout: nothing was received for IdleTimeout, and the closing handshake then failed.
	ErrIdleTimeout = errors.New("gannet: nothing received for IdleTimeout")
	// ErrPongTimeout: no answer to a ping within PongTimeout.
	ErrPongTimeout = errors.New("gannet: no pong within PongTimeout")
	// ErrCloseTimeout: the peer did not finish the closing handshake within CloseTimeout, or Options.MaxClosing. It
	// is ErrSlowConsumer as well when the peer took nothing of what was queued for it.
	ErrCloseTimeout = errors.New("gannet: closing handshake timed out")
	// ErrMaxLifetime: the connection reached MaxLifetime, and the closing handshake then failed.
	ErrMaxLifetime = errors.New("gannet: connection reached MaxLifetime")
	// ErrInboundBudget: the connection held the most of an exhausted InboundBudget.
	ErrInboundBudget = errors.New("gannet: InboundBudget exhausted and this connection held the most of it")
	// ErrFlood: the peer sent more control frames or fragments than the limits allow.
	ErrFlood = errors.New("gannet: too many control frames or fragments")
	// ErrHandlerPanic: a callback panicked.
	ErrHandlerPanic = errors.New("gannet: a handler panicked")
	// ErrHandlerExit: a callback ended its goroutine, by runtime.Goexit or what calls it (t.FailNow, say).
	ErrHandlerExit = errors.New("gannet: a handler ended its goroutine; a callback must return")
	// ErrTooLarge: the peer announced a message over MaxMessageSize.
	ErrTooLarge = errors.New("gannet: the peer's message is over MaxMessageSize")
)

// errCloseStalled: the peer did not take our Close, or what was queued before it.
var errCloseStalled error = &sentinel{
	"gannet: closing handshake timed out: the peer takes nothing of what is queued for it", []error{ErrCloseTimeout, ErrSlowConsumer},
}

// UTF8Error says where a text stops being UTF-8. It is ErrInvalidUTF8 and ErrSyntax.
type UTF8Error struct {
	Offset int // of the first byte that can not continue a valid text
}

func (e *UTF8Error) Error() string {
	return fmt.Sprintf("gannet: text is not valid UTF-8 at byte %d", e.Offset)
}

// Is makes the error ErrInvalidUTF8 and ErrSyntax.
func (e *UTF8Error) Is(target error) bool { return target == ErrInvalidUTF8 || target == ErrSyntax }

// CloseError is why the engine ended a connection: the code its peer was sent (or
// would have been, had it listened) and the rule behind it.
type CloseError struct {
	Code int   // RFC 6455 7.4.1
	Err  error // the rule: a codec.Error, or one of this package's errors
}

func (e *CloseError) Error() string { return fmt.Sprintf("%v (close code %d)", e.Err, e.Code) }

// Unwrap gives the rule.
func (e *CloseError) Unwrap() error { return e.Err }
