package reconnect

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/cenkalti/backoff/v5"

	"github.com/gannet-ws/gannet/engine"
)

var (
	// ErrNotConnected: Send was called where there is no connection at the moment. It is also engine.ErrInvalidState.
	ErrNotConnected = fmt.Errorf("reconnect: not connected at the moment, or OnOpen has not returned: %w", engine.ErrInvalidState)
	// ErrGaveUp: MaxAttempts or MaxElapsed is reached. It wraps how the last attempt ended.
	ErrGaveUp = errors.New("reconnect: gave up")
	// ErrUnwelcome: the server does not want this client, or not so (see Again). It wraps what the server said.
	ErrUnwelcome = errors.New("reconnect: the server does not want to be tried again")
)

// Conn is a connection that comes back. Its methods may be called from any goroutine, and in any callback.
type Conn struct {
	client  *engine.Client
	handler Handler
	url     string
	options Options
	ctx     context.Context // Prepare's
	cancel  context.CancelFunc
	release func() bool // lets go of Start's context
	clock   *clock
	timer   timer // runs between two attempts, and before the first one with Prepare

	present atomic.Pointer[engine.Conn]
	state   atomic.Uint32           // an engine.ReadyState, but Closing
	parting atomic.Pointer[parting] // somebody has ended it

	// The rest belongs to whoever has the next step to take: the timer, Options.Prepare, the engine.Conn, the timer again. Each
	// begins when the one before is over, so there is no lock.
	backoff backoff.ExponentialBackOff
	attempt int       // number of attempts without a stable connection
	times   int       // how often it was open
	from    time.Time // when the last stable connection was lost, or Start called
	since   time.Time // when the present one opened
}

// parting is how a Conn was ended.
type parting struct {
	why    error // what OnClose is told
	code   int
	reason string
}

func (p *parting) close(now *engine.Conn) { _ = now.CloseWith(p.code, p.reason) }

// Start begins a connection to url that comes back when it is lost, until Close, the end of ctx, or the rules of Again and of o end it.
// It returns at once; h hears the rest, perhaps before Start has returned. An error means that there is
// no Conn, and h hears nothing: ErrSyntax for what o, url or o.Dial can not be, ErrSecurity, ErrTooManyConns and ErrClientClosed as
// client.Start answers them, ctx's own. With o.Prepare the URL and what it is dialled with are looked at later.
//
// A Conn has no goroutine but for Options.Prepare, and where client.Start needs one. When client is closed, a Conn ends at its next attempt.
func Start(ctx context.Context, client *engine.Client, url string, h Handler, o Options) (*Conn, error) {
	return start(ctx, client, url, h, o, &systemClock)
}

func start(ctx context.Context, client *engine.Client, url string, h Handler, o Options, k *clock) (*Conn, error) {
	if client == nil || h == nil {
		return nil, misused("Start needs a client and a Handler, and one of them is nil")
	}
	if err := o.complete(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	c := &Conn{client: client, handler: h, url: url, options: o, clock: k, from: k.now()}
	c.backoff = backoff.ExponentialBackOff{InitialInterval: o.FirstDelay, Multiplier: 2, MaxInterval: o.MaxDelay}
	f := c.heard()
	if err := neverCalled(h, f); err != nil {
		return nil, err
	}
	c.options.Dial.Handler = f
	c.timer = k.newTimer(c.due)
	c.ctx, c.cancel = context.WithCancel(ctx)
	// The chain of steps starts below, and may be over before this function is: what finish needs is there before.
	c.release = context.AfterFunc(ctx, func() { c.part(&parting{why: context.Cause(ctx), code: engine.StatusNormalClosure}) })
	if o.Prepare != nil {
		c.wait(0)
		return c, nil
	}
	c.attempt++
	if err := c.begin(c.attemptOf()); err != nil {
		c.letGo()
		return nil, err
	}
	return c, nil
}

// ReadyState is the connection's state: Connecting also between two attempts, and until OnOpen has returned; Closing from Close until
// OnClose is called.
func (c *Conn) ReadyState() engine.ReadyState {
	s := engine.ReadyState(c.state.Load())
	switch {
	case s == engine.Closed:
	case c.parting.Load() != nil:
		return engine.Closing
	case s == engine.Open && c.present.Load().ReadyState() != engine.Open: // OnLost is on its way
		return engine.Connecting
	}
	return s
}

// Current is the connection that there is at the moment; nil if there is none that is open, or OnOpen has not returned. It
// has all that this Conn has no method for. Its Close has the connection come back.
func (c *Conn) Current() *engine.Conn {
	if c.ReadyState() != engine.Open {
		return nil
	}
	return c.present.Load()
}

// Send sends a message by the present connection; see engine.Conn.Send. It answers ErrNotConnected where there is none, and nothing is
// kept; engine.ErrClosed after Close.
func (c *Conn) Send(op engine.Opcode, p []byte, o ...engine.SendOption) error {
	now := c.Current()
	if now == nil {
		return c.absent()
	}
	return c.sent(now.Send(op, p, o...))
}

// SendText sends a text; see Send.
func (c *Conn) SendText(s string) error {
	now := c.Current()
	if now == nil {
		return c.absent()
	}
	return c.sent(now.SendText(s))
}

// SendBinary sends a binary message; see Send.
func (c *Conn) SendBinary(p []byte) error { return c.Send(engine.OpBinary, p) }

// SendPrepared sends a prepared message; see Send.
func (c *Conn) SendPrepared(p *engine.Prepared) error {
	now := c.Current()
	if now == nil {
		return c.absent()
	}
	return c.sent(now.SendPrepared(p))
}

// sent is what Send answers where the engine answered err.
func (c *Conn) sent(err error) error {
	if err != nil && errors.Is(err, engine.ErrClosed) { // it was lost just now
		return c.absent()
	}
	return err
}

// absent is why there is nothing to send by.
func (c *Conn) absent() error {
	if c.ReadyState() >= engine.Closing {
		return engine.ErrClosed
	}
	return ErrNotConnected
}

// Close ends it for good: the present connection is closed with 1000, an attempt is given up, none follows. OnClose comes after that, in its turn.
func (c *Conn) Close() error { return c.CloseWith(engine.StatusNormalClosure, "") }

// CloseWith is Close with a code, which is 1000 or from 3000 to 4999 (else engine.ErrInvalidAccess), and a reason of at most 123 bytes
// of UTF-8 (else engine.ErrSyntax). An error changes nothing.
func (c *Conn) CloseWith(code int, reason string) error {
	if code != engine.StatusNormalClosure && (code < 3000 || code > 4999) {
		return fmt.Errorf("reconnect: %d: %w", code, engine.ErrInvalidAccess)
	}
	if len(reason) > maxReason || !utf8.ValidString(reason) {
		return misused("a reason has at most %d bytes of UTF-8", maxReason)
	}
	c.part(&parting{code: code, reason: reason})
	return nil
}

// maxReason is what a Close frame has room for (RFC 6455 5.5).
const maxReason = 123
