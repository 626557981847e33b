package dom

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// WebSocket is the browser's object. Its methods may be called from any goroutine, handlers among them.
type WebSocket struct {
	url, origin string
	conn        *engine.Conn
	replace     bool // Options.ReplaceInvalid
	logger      *slog.Logger
	done        chan struct{}

	mu         sync.Mutex // held for a few instructions: a loop waits for it
	state      ReadyState // as the tasks have left it that ran, and Close
	failed     error      // why we gave up the attempt
	agreed     agreement  // since the handshake; open makes it known
	opened     bool       // open was dispatched: agreed can be seen
	binaryType BinaryType
	inbox      inbox
	listeners  [eventKinds][]*listener
	handlers   [eventKinds]*listener // of them, what the On methods have set
	timeout    *time.Timer           // Options.OpenTimeout; nil: none, or over
	turn       turn
	taken      bool // somebody runs the tasks
	over       bool // the last task has run

	firing []firing // what is left of the task under way; of whoever runs the tasks
}

// agreement is what a handshake settled.
type agreement struct{ protocol, extensions string }

// New makes a WebSocket and begins to connect; it returns in CONNECTING, before anything has happened on the network. The events come
// when Start or Run is called. What New is not followed by Close or by the other side's end stays connected.
//
// Errors (WHATWG WebSockets, the constructor): ErrSyntax for a URL that is no ws, wss, http or https URL or has a
// fragment, and for a sub-protocol that is no token or is given twice; ErrSecurity for a port that browsers refuse.
func New(url string, protocols ...string) (*WebSocket, error) {
	return NewWithOptions(url, Options{Protocols: protocols})
}

// NewWithOptions is New with more to ask for. Errors: see New; ErrSyntax for an option that cannot be, ErrSecurity for ws in a secure context, and
// what engine.Client.Start answers.
func NewWithOptions(url string, o Options) (*WebSocket, error) {
	w := &WebSocket{replace: o.ReplaceInvalid, logger: o.Logger, done: make(chan struct{}), binaryType: BinaryBlob}
	w.inbox.init(o.InboxBytes)
	r, err := o.request(url, &receiver{ws: w})
	if err != nil {
		return nil, err
	}
	w.url, w.origin = r.url.String(), r.url.Origin()
	if w.conn, err = r.start(); err != nil {
		return nil, err
	}
	if o.OpenTimeout > 0 {
		w.giveUpAfter(o.OpenTimeout)
	}
	return w, nil
}

// giveUpAfter ends the attempt when it takes longer than d.
func (w *WebSocket) giveUpAfter(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.inbox.settled {
		return
	}
	w.timeout = time.AfterFunc(d, func() {
		if w.conn.ReadyState() == Connecting {
			w.giveUp(fmt.Errorf("gannet: the connection did not open within OpenTimeout (%v): %w", d, os.ErrDeadlineExceeded))
		}
	})
}

// errClosedEarly is why an attempt failed that Close has ended.
var errClosedEarly = errors.New("gannet: Close was called while the connection was CONNECTING")

// giveUp fails the connection before it is open: whatever comes of it yet, error and close (1006) are what is dispatched.
func (w *WebSocket) giveUp(why error) {
	w.mu.Lock()
	early := w.state == Connecting || w.state == Closing && !w.opened
	if early && w.failed == nil {
		w.failed = why
	}
	w.mu.Unlock()
	if early {
		w.conn.Terminate()
	}
}

// URL is the serialized URL that the connection goes to, credentials among it: absolute, ws or wss, as a browser's url attribute.
func (w *WebSocket) URL() string { return w.url }

// ReadyState is the state that the tasks have reached which ran: an object whose tasks nobody runs stays in CONNECTING. It is CLOSING from the call of
// Close on, or from when the closing handshake has begun and all messages before it were dispatched.
func (w *WebSocket) ReadyState() ReadyState {
	conn := w.conn.ReadyState() // first: what it has delivered is in the inbox
	w.mu.Lock()
	defer w.mu.Unlock()
	inEvent := w.turn.running && !w.turn.posted
	if w.state == Open && conn >= Closing && !inEvent && w.inbox.bytes == 0 {
		w.state = Closing
	}
	return w.state
}

// Protocol is the sub-protocol that the server chose, "" if there is none, and until open.
func (w *WebSocket) Protocol() string { return w.known().protocol }

// Extensions is what was agreed of extensions (RFC 7692 7.1), "" if that is nothing, and until open.
func (w *WebSocket) Extensions() string { return w.known().extensions }

func (w *WebSocket) known() agreement {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.opened {
		return agreement{}
	}
	return w.agreed
}

// BinaryType is what a binary message's Data is.
type BinaryType string

const (
	// BinaryBlob: a *Blob, which is never one block of memory. It is the default.
	BinaryBlob BinaryType = "blob"
	// BinaryArrayBuffer: a []byte.
	BinaryArrayBuffer BinaryType = "arraybuffer"
)

// BinaryType is what binary messages are dispatched as.
func (w *WebSocket) BinaryType() BinaryType {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.binaryType
}

// SetBinaryType changes it for the messages that are dispatched from now on, those that have arrived among them. Another value than the two is
// ErrSyntax and changes nothing.
func (w *WebSocket) SetBinaryType(b BinaryType) error {
	if b != BinaryBlob && b != BinaryArrayBuffer {
		return misused("BinaryType is %q, must be \"blob\" or \"arraybuffer\"", string(b))
	}
	w.mu.Lock()
	w.binaryType = b
	w.mu.Unlock()
	return nil
}

// Conn is the connection under it, for what a page cannot do: pings, addresses, waiting (Drain). Its Pause and Resume are the
// object's own; its state may be ahead of ReadyState.
func (w *WebSocket) Conn() *engine.Conn { return w.conn }

// Done is closed when the close event was dispatched.
func (w *WebSocket) Done() <-chan struct{} { return w.done }
