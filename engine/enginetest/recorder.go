package enginetest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// Patience is how long a test waits for what has to come, unless its own deadline is sooner. Only a test that fails waits so long.
const Patience = 30 * time.Second

// Kind is what an Event is.
type Kind string

// The kinds of events, each named as the method of a Handler that hears it.
const (
	Open      Kind = "open"
	Message   Kind = "message"
	Ping      Kind = "ping"
	Pong      Kind = "pong"
	HighWater Kind = "high water"
	Drain     Kind = "drain"
	Error     Kind = "error"
	Close     Kind = "close"
)

// Event is one thing that happened on a connection. What of its fields has no meaning for its kind is zero.
type Event struct {
	Kind  Kind
	Conn  *engine.Conn
	State engine.ReadyState // when it happened
	Op    engine.Opcode     // of a Message
	Data  []byte            // of a Message, Ping or Pong: a copy
	Err   error             // of an Error
	Close engine.CloseEvent // of a Close
}

// String is the event as a test that fails shows it.
func (e Event) String() string {
	switch e.Kind {
	case Message:
		kind := "text"
		if e.Op == engine.OpBinary {
			kind = "binary"
		}
		return fmt.Sprintf("%s message %s", kind, shown(e.Data))
	case Ping, Pong:
		return fmt.Sprintf("%s %s", e.Kind, shown(e.Data))
	case Error:
		return fmt.Sprintf("error %q", e.Err)
	case Close:
		return fmt.Sprintf("close %d %q, clean %v, %v", e.Close.Code, e.Close.Reason, e.Close.WasClean, e.Close.Err)
	}
	return string(e.Kind)
}

func shown(p []byte) string {
	if len(p) > 60 {
		return fmt.Sprintf("%q... (%d bytes)", p[:60], len(p))
	}
	return fmt.Sprintf("%q", p)
}

// Recorder is a Handler that notes what happens, in order, on any number of connections. The zero Recorder is ready: give it to
// engine.NewServer or engine.NewClient; a Client of this package has one. Its calls that wait take each event once, by whoever comes first.
type Recorder struct {
	mu     sync.Mutex
	events []Event
	taken  int
	more   chan struct{} // closed when there is more; nil: nobody waits
}

func (r *Recorder) note(c *engine.Conn, e Event) {
	e.Conn, e.State = c, c.ReadyState()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, e)
	if r.more != nil {
		close(r.more)
		r.more = nil
	}
}

// OnOpen notes it, and so do the other methods of a Handler.
func (r *Recorder) OnOpen(c *engine.Conn) { r.note(c, Event{Kind: Open}) }

// OnMessage notes a copy of the message.
func (r *Recorder) OnMessage(c *engine.Conn, m engine.Message) {
	r.note(c, Event{Kind: Message, Op: m.Op, Data: m.Clone().Data})
}

// OnPing notes it; the engine answers.
func (r *Recorder) OnPing(c *engine.Conn, p []byte) {
	r.note(c, Event{Kind: Ping, Data: append([]byte{}, p...)})
}

// OnPong notes it.
func (r *Recorder) OnPong(c *engine.Conn, p []byte) {
	r.note(c, Event{Kind: Pong, Data: append([]byte{}, p...)})
}

// OnHighWater notes it.
func (r *Recorder) OnHighWater(c *engine.Conn) { r.note(c, Event{Kind: HighWater}) }

// OnDrain notes it.
func (r *Recorder) OnDrain(c *engine.Conn) { r.note(c, Event{Kind: Drain}) }

// OnError notes it.
func (r *Recorder) OnError(c *engine.Conn, err error) { r.note(c, Event{Kind: Error, Err: err}) }

// OnClose notes it.
func (r *Recorder) OnClose(c *engine.Conn, e engine.CloseEvent) {
	r.note(c, Event{Kind: Close, Close: e})
}

// Events are all that happened so far, those that were taken among them.
func (r *Recorder) Events() []Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]Event{}, r.events...)
}

// Next takes the next event, and waits for it.
func (r *Recorder) Next(t testing.TB) Event {
	t.Helper()
	return r.WaitFor(t, "an event", func(Event) bool { return true })
}

// WaitFor takes events up to the first that matches, and answers that. what says in a failure what was waited for.
func (r *Recorder) WaitFor(t testing.TB, what string, matches func(Event) bool) Event {
	t.Helper()
	for over := time.After(patienceOf(t)); ; {
		e, more := r.take(matches)
		if more == nil {
			return e
		}
		select {
		case <-more:
		case <-over:
			t.Fatalf("enginetest: %s never came. What came:%s", what, r.story())
		}
	}
}

// take is WaitFor for what is there; more is closed when there is more.
func (r *Recorder) take(matches func(Event) bool) (e Event, more <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for r.taken < len(r.events) {
		e = r.events[r.taken]
		r.taken++
		if matches(e) {
			return e, nil
		}
	}
	if r.more == nil {
		r.more = make(chan struct{})
	}
	return Event{}, r.more
}

func (r *Recorder) story() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.events) == 0 {
		return " nothing"
	}
	var b strings.Builder
	const most = 50
	if n := len(r.events) - most; n > 0 {
		fmt.Fprintf(&b, "\n\t%d events before", n)
	}
	for _, e := range r.events[max(len(r.events)-most, 0):] {
		fmt.Fprintf(&b, "\n\t%v", e)
	}
	return b.String()
}

// Message takes events up to the next message, and answers that.
func (r *Recorder) Message(t testing.TB) engine.Message {
	t.Helper()
	e := r.WaitFor(t, "a message", func(e Event) bool { return e.Kind == Message })
	return engine.Message{Op: e.Op, Data: e.Data}
}

// Closed takes events up to the close of a connection, and answers how it ended.
func (r *Recorder) Closed(t testing.TB) engine.CloseEvent {
	t.Helper()
	return r.WaitFor(t, "a close", func(e Event) bool { return e.Kind == Close }).Close
}

// patienceOf is how long a test may wait: it should fail before the whole run is ended without a word.
func patienceOf(t testing.TB) time.Duration {
	if d, ok := t.(interface{ Deadline() (time.Time, bool) }); ok {
		if at, ok := d.Deadline(); ok {
			return max(min(Patience, time.Until(at)-time.Second), time.Millisecond)
		}
	}
	return Patience
}
