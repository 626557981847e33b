package dom

import "github.com/gannet-ws/gannet/engine"

// ReadyState is the state of a WebSocket. Its String is the name that browsers use.
type ReadyState = engine.ReadyState

const (
	// Connecting (0): open has not been dispatched.
	Connecting = engine.Connecting
	// Open (1): messages flow.
	Open = engine.Open
	// Closing (2): Close was called, or the closing handshake has begun.
	Closing = engine.Closing
	// Closed (3): it is over, or never opened.
	Closed = engine.Closed
)

// What calls answer: package engine's values, by their names in the standard. Test with errors.Is.
var (
	// ErrSyntax is WHATWG's SyntaxError: a URL, sub-protocol, text, reason or option that cannot be.
	ErrSyntax = engine.ErrSyntax
	// ErrSecurity is WHATWG's SecurityError: a port that browsers refuse, ws in a secure context.
	ErrSecurity = engine.ErrSecurity
	// ErrInvalidState is WHATWG's InvalidStateError: a send in CONNECTING.
	ErrInvalidState = engine.ErrInvalidState
	// ErrInvalidAccess is WHATWG's InvalidAccessError: a close code that a page may not send.
	ErrInvalidAccess = engine.ErrInvalidAccess
	// ErrClosed: a send in CLOSING or CLOSED. It is ErrInvalidState as well.
	ErrClosed = engine.ErrClosed
	// ErrInvalidUTF8: a text that is not UTF-8. It is ErrSyntax as well; engine.UTF8Error says where.
	ErrInvalidUTF8 = engine.ErrInvalidUTF8
	// ErrMessageTooBig: a message longer than 2147483647 bytes.
	ErrMessageTooBig = engine.ErrMessageTooBig
	// ErrBufferFull: the message was dropped at Limits.MaxBufferedAmount; see engine.DropMessage.
	ErrBufferFull = engine.ErrBufferFull
)
