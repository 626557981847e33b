package dom

// Event is what a listener is called with: an *OpenEvent, *MessageEvent, *ErrorEvent or *CloseEvent. All listeners of an event are given
// the same one.
type Event interface {
	// Type is "open", "message", "error" or "close".
	Type() string
	// Target is the WebSocket that the event is of.
	Target() *WebSocket
}

// OpenEvent: the connection is open; ReadyState is OPEN.
type OpenEvent struct{ target }

// MessageEvent is a message; ReadyState is OPEN.
type MessageEvent struct {
	target
	// Data is a string for a text message; for a binary one a *Blob or a []byte, as BinaryType says. It is the listener's to keep. A
	// []byte is shared by the listeners.
	Data any
	// Origin is that of the WebSocket's URL: "wss://example.com".
	Origin string
	// LastEventID is "" (HTML, MessageEvent: it is of server-sent events).
	LastEventID string
}

// ErrorEvent: the connection failed, or was closed because of an error. ReadyState is CLOSED, and the close event follows.
type ErrorEvent struct {
	target
	// Err says why, which a browser does not tell a page: an engine.DialError, an engine.HandshakeError (errors.As), an engine.CloseError, what Limits bound.
	Err error
}

// CloseEvent: the connection is over; ReadyState is CLOSED. It is the last event.
type CloseEvent struct {
	target
	Code     int    // the other side's code; 1005 when its Close had none, 1006 without a Close frame
	Reason   string // the other side's reason
	WasClean bool   // both Close frames were seen
	Err      error  // why it was not clean; nil when it was
}

// Type is "open".
func (*OpenEvent) Type() string { return eventOpen.String() }

// Type is "message".
func (*MessageEvent) Type() string { return eventMessage.String() }

// Type is "error".
func (*ErrorEvent) Type() string { return eventError.String() }

// Type is "close".
func (*CloseEvent) Type() string { return eventClose.String() }

// target is what all events have.
type target struct{ ws *WebSocket }

// Target is the WebSocket that the event is of.
func (t target) Target() *WebSocket { return t.ws }

// eventKind is an event's type.
type eventKind uint8

const (
	eventOpen eventKind = iota
	eventMessage
	eventError
	eventClose
	eventKinds
)

func (k eventKind) String() string { return [...]string{"open", "message", "error", "close"}[k] }

// kindOf is the kind of that name; there may be none.
func kindOf(name string) (eventKind, bool) {
	for k := range eventKinds {
		if k.String() == name {
			return k, true
		}
	}
	return 0, false
}
