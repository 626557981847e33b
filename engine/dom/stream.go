package dom

import (
	"context"
	"sync/atomic"

	"github.com/gannet-ws/gannet/engine"
)

// Stream is a connection with a read loop and a write loop: calls that wait, each with a context, in the place of callbacks. It
// is the WebSocketStream proposal in Go's terms, over a connection of either side: [DialStream], [StreamOf], [StreamHandler].
//
// # Waiting
//
// Both directions wait for the other end. A stream that is not read keeps 64 KiB (Options.InboxBytes), counting each message with what it
// takes in memory, an empty one too, and what one read brought; then the connection is not read any more, and the peer
// has to wait. A Write waits while it would have more than Limits.HighWater (1 MiB) queued for the peer. While a stream is not read the peer's pings
// are not answered and its Close is not seen, as with any API of this shape: a program that only writes calls CloseRead.
//
// # Contexts
//
// A call whose context ends answers the context's error and leaves the stream as it was: what a Read had of a message goes to the
// next one, and a Write that waited has sent nothing. The one exception is a message that has left in part (longer than HighWater, or
// by NextWriter): it cannot be taken back, so the stream is terminated.
//
// # Goroutines
//
// Any goroutine may call any method. Writes, and open writers, take their turns. Reads take theirs as well, each whole messages; but a
// reader of NextReader is for one goroutine, and another call that reads leaves its message behind. A stream has
// no goroutine of its own. Close it when it is not needed any more, also after an error.
type Stream struct {
	conn *engine.Conn
	in   streamInbox

	reading chan struct{} // holds one: somebody reads, and has what follows
	msg     streamMessage
	parted  []byte // of a message, what a Read had when its context ended

	writing chan struct{}           // holds one: somebody writes, and has what follows
	credit  int64                   // bytes that may be queued before somebody has to look
	blocked atomic.Pointer[blocked] // the writer who waits for the peer

	json atomic.Int64 // JSONLimit; 0: the default

	deaf   atomic.Bool  // what comes is dropped: Close, CloseRead
	closes atomic.Int32 // calls of Close, all but those that answered an error
	over   chan struct{}
	end    engine.CloseEvent // once over is closed
}

// blocked is how to end a writer's waiting.
type blocked struct{ stop context.CancelCauseFunc }

// inboxBytes is Options.InboxBytes where it is 0, and what a server's streams have.
const inboxBytes = 64 << 10

func newStream(most int64) *Stream {
	s := &Stream{reading: make(chan struct{}, 1), writing: make(chan struct{}, 1), over: make(chan struct{})}
	s.in.init(most)
	return s
}

// DialStream connects, and answers when the stream is open. Why it is not: a *engine.DialError, a *engine.HandshakeError with the
// server's answer, ctx's error, or what engine.Client.Start says. ctx has no effect on a stream that is open. With 0 for
// Options.InboxBytes a stream keeps 64 KiB; ReplaceInvalid is not for streams, and ErrSyntax.
func DialStream(ctx context.Context, url string, o Options) (*Stream, error) {
	if o.ReplaceInvalid {
		return nil, misused("dom.Options: ReplaceInvalid is for objects, and a stream has no text of its own to replace")
	}
	most := o.InboxBytes
	if most == 0 {
		most = inboxBytes
	}
	s := newStream(most)
	r, err := o.request(url, (*streamEvents)(s))
	if err != nil {
		return nil, err
	}
	if o.OpenTimeout > 0 {
		var cancel func()
		ctx, cancel = context.WithTimeout(ctx, o.OpenTimeout)
		defer cancel()
	}
	if s.conn, err = r.client.Dial(ctx, r.url.String(), r.dial); err != nil {
		return nil, err
	}
	return s, nil
}

// StreamOf makes a stream of a connection whose Handler has it: in OnOpen, in a later callback, or in OnUpgrade of Upgrade.Conn (of a
// handshake that fails then nobody hears, the stream neither). From then on the stream has the connection's events, and the Handler hears nothing more of it, OnClose included. It works with any
// Handler, a Mux's and a client's as well:
//
//	engine.Funcs{Open: func(c *engine.Conn) { go serve(dom.StreamOf(c)) }}
//
// A callback must not wait, so the stream is for a goroutine of the program's; StreamHandler is the short way. Called again it answers
// the same stream. Of a connection that is closed, or is not the engine's, it is a stream that is over.
func StreamOf(c *engine.Conn) *Stream {
	if e, ok := c.Handler().(*streamEvents); ok {
		return (*Stream)(e)
	}
	s := newStream(inboxBytes)
	s.conn = c
	if err := c.SetHandler((*streamEvents)(s)); err != nil {
		s.finish(engine.CloseEvent{Code: engine.StatusAbnormalClosure, Err: err})
	}
	return s
}

// Conn is the connection, for what a stream has no call for: Ping, SetLimits, BufferedAmount, RemoteAddr, Value, Context. Its
// Pause and Resume are the stream's, and what Send queues is not waited for.
func (s *Stream) Conn() *engine.Conn { return s.conn }

// URL is the absolute ws: or wss: URL.
func (s *Stream) URL() string { return s.conn.URL() }

// Protocol is the agreed sub-protocol, or "".
func (s *Stream) Protocol() string { return s.conn.Protocol() }

// Extensions is what was agreed of extensions; see engine.Conn.Extensions.
func (s *Stream) Extensions() string { return s.conn.Extensions() }

// SetReadLimit sets the longest message that is accepted, in bytes after inflation, from 1 to 2147483647: it is Limits.MaxMessageSize. A
// longer one closes the stream with 1009, before anything of it is read. Default: that of the server or client, which
// is 2147483647 unless it was set. Read keeps a message as a whole, so set it where the peer is not trusted.
func (s *Stream) SetReadLimit(n int64) error {
	if n < 1 {
		return misused("SetReadLimit: %d is no length of messages", n)
	}
	return s.conn.SetLimits(engine.Limits{MaxMessageSize: n})
}

// Wait waits until the stream is over, and tells how it ended: the event, and its Err, which is nil when both Close frames were seen. When
// ctx ends first it answers its error. Somebody has to read meanwhile, up to the peer's Close, or have called Close or CloseRead.
func (s *Stream) Wait(ctx context.Context) (engine.CloseEvent, error) {
	select {
	case <-s.over:
		return s.end, s.end.Err
	case <-ctx.Done():
		return engine.CloseEvent{}, ctx.Err()
	}
}

// Close closes with 1000 once what is queued has left. What was not read is dropped, calls that wait end with ErrClosed. It
// does not wait for the peer: see Wait. In a stream that is closing or over it only drops what was not read.
func (s *Stream) Close() error { return s.CloseWith(engine.StatusNormalClosure, "") }

// CloseWith is Close with a code and a reason; for their errors, which change nothing, see engine.Conn.CloseWith.
func (s *Stream) CloseWith(code int, reason string) error {
	s.closes.Add(1) // before, for the peer may answer before CloseWith returns
	if err := s.conn.CloseWith(code, reason); err != nil {
		s.closes.Add(-1)
		return err
	}
	s.hearNothing()
	s.endBlocked()
	return nil
}

// CloseWrite ends our side: the peer gets a Close (1000) behind what is queued, writers get ErrClosed, and Read goes on to what
// the peer sends until its own Close. Most peers answer at once. An open writer's message is given up.
func (s *Stream) CloseWrite() error {
	err := s.conn.CloseWrite()
	s.endBlocked()
	return err
}

// CloseRead drops what the peer has sent and sends, for a program that only writes: its pings are answered, and its Close ends
// the stream. A call that reads answers ErrClosed.
func (s *Stream) CloseRead() { s.hearNothing() }

func (s *Stream) hearNothing() {
	s.deaf.Store(true)
	s.in.resume(s.conn)
	s.in.rouse()
	s.tryDrop()
}

// endBlocked ends the wait of a writer for room: there will be none.
func (s *Stream) endBlocked() {
	if b := s.blocked.Load(); b != nil {
		b.stop(engine.ErrClosed)
	}
}

// finish notes that the stream is over.
func (s *Stream) finish(e engine.CloseEvent) {
	s.end = e
	close(s.over)
}

// ending is why nothing can be read or written: within a message, or between two.
func (s *Stream) ending(within bool) error {
	select {
	case <-s.over:
		if s.closes.Load() == 0 {
			return &StreamClosed{CloseEvent: s.end, within: within}
		}
	default:
	}
	return engine.ErrClosed
}
