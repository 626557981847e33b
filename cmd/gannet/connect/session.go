package connect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// session is one run: a connection, where its messages come from, and where they go.
type session struct {
	*Settings
	screen *screen
	agreed negotiated
	opened chan input
	conn   *engine.Conn // from opened on
	closed chan engine.CloseEvent
	broken atomic.Pointer[Failure] // the input's failure, or the output's: the first one
	stop   chan os.Signal          // Ctrl-C and its like

	closing  atomic.Int32 // the code that we closed with; 0: we did not
	showing  atomic.Int32 // messages that are being written
	received atomic.Int64 // when the last one was, in nanoseconds since 1970
	queued   int64        // what was sent since all had left, in bytes, frames included; the input's

	pings sync.Map // number of a ping that was asked for: when it left
	asked atomic.Int64
}

// Run connects, and stays until the connection has ended. The error is a *Failure.
func Run(s *Settings) error {
	c := &session{Settings: s, screen: newScreen(s), opened: make(chan input, 1), closed: make(chan engine.CloseEvent, 1),
		stop: make(chan os.Signal, 2)}
	signal.Notify(c.stop, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer signal.Stop(c.stop)
	signal.Ignore(syscall.SIGPIPE) // a write answers EPIPE, and the connection is closed in good order
	if s.Binary && s.JSON || s.Binary && s.Timestamps {
		return misused("--binary writes messages as they are: --json and --timestamps do not go with it")
	}
	if err := c.dial(); err != nil {
		return err
	}
	in := <-c.opened
	go in.run()
	return c.untilClosed(in)
}

// input is where messages come from. close gives back the terminal, if it has it.
type input interface {
	run()
	close()
}

func (c *session) input() input {
	if isTerminal(c.In) && c.screen.outIsATerm {
		return newTerminal(c)
	}
	return &pipe{c}
}

// dial waits for the connection, or a signal.
func (c *session) dial() error {
	url, o, err := c.dialOptions(&c.agreed)
	if err != nil {
		return err
	}
	client, err := engine.NewClient(c, c.clientOptions())
	if err != nil {
		return explain(url, err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()
	var interrupted os.Signal
	var watching sync.WaitGroup
	done := make(chan struct{})
	watching.Go(func() {
		select {
		case interrupted = <-c.stop:
			cancel()
		case <-done:
		}
	})
	_, err = client.Dial(ctx, url, o)
	close(done)
	watching.Wait()
	switch {
	case interrupted != nil && err == nil: // it opened just then, and is closed in good order
		c.interrupt(interrupted)
		return nil
	case interrupted != nil:
		return &Failure{Status: StatusOfSignal(interrupted)}
	case err != nil && ctx.Err() != nil:
		return &Failure{statusNoConnection, fmt.Errorf("no connection within %v; --timeout allows more", c.Timeout)}
	case err != nil:
		return explain(url, err)
	}
	return nil
}

// StatusOfSignal is the status of a program that a signal has ended, as shells know it.
func StatusOfSignal(s os.Signal) int {
	if n, ok := s.(syscall.Signal); ok {
		return statusSignal + int(n)
	}
	return statusSignal + int(syscall.SIGINT)
}

// hintAfter is how long closing takes before it is said that there is a quicker way.
const hintAfter = 500 * time.Millisecond

// untilClosed waits for the end. The first signal closes; the second ends at once, also while nobody takes our output: nothing
// here waits for that.
func (c *session) untilClosed(in input) error {
	signalled := 0
	for {
		select {
		case s := <-c.stop:
			switch {
			case signalled == 0:
				signalled = StatusOfSignal(s)
				go c.leave(in)
			case s != syscall.SIGHUP: // a terminal that goes says so in more than one way
				c.conn.Terminate()
				return &Failure{Status: signalled}
			}
		case e := <-c.closed:
			in.close()
			c.screen.notice("%s", describeClose(e))
			if signalled != 0 {
				return &Failure{Status: signalled}
			}
			if f := c.broken.Load(); f != nil {
				return f
			}
			if status := statusOf(e, int(c.closing.Load())); status != 0 {
				return c.failedClose(status, e)
			}
			return nil
		}
	}
}

// leave closes, and gives back the terminal, so that Ctrl-C is a signal from now on.
func (c *session) leave(in input) {
	time.AfterFunc(hintAfter, func() {
		if c.conn.ReadyState() != engine.Closed {
			c.screen.notice("closing, once what is queued has left; again: at once")
		}
	})
	_ = c.close(engine.StatusNormalClosure, "")
	in.close()
}

// failedClose says why the connection failed, unless that was said.
func (c *session) failedClose(status int, e engine.CloseEvent) error {
	if c.Quiet {
		return &Failure{status, errors.New(printable(describeClose(e)))}
	}
	return &Failure{Status: status}
}

// interrupt is what a signal does.
func (c *session) interrupt(s os.Signal) {
	select {
	case c.stop <- s:
	default: // there are enough of them
	}
}

// close closes with a code, and tells of an error that is the caller's.
func (c *session) close(code int, reason string) error {
	c.closing.CompareAndSwap(0, int32(code))
	err := c.conn.CloseWith(code, reason)
	if err != nil {
		c.closing.CompareAndSwap(int32(code), 0)
	}
	return err
}

// fail ends the session because of its output.
func (c *session) fail(err error) {
	c.broken.CompareAndSwap(nil, &Failure{statusLocal, err})
	_ = c.close(engine.StatusNormalClosure, "")
}

// OnOpen shows what was agreed, and takes the terminal before the first message comes.
func (c *session) OnOpen(conn *engine.Conn) {
	c.conn = conn
	c.screen.notice("%s", c.agreed.describe(conn, c.TLS.Insecure))
	c.opened <- c.input()
}

// OnMessage shows a message, however long that takes: the connection pauses meanwhile.
func (c *session) OnMessage(_ *engine.Conn, m engine.Message) {
	c.showing.Add(1)
	err := c.screen.message(m)
	c.received.Store(time.Now().UnixNano())
	c.showing.Add(-1)
	switch {
	case err != nil && c.screen.outIsATerm: // it is gone
		c.interrupt(syscall.SIGHUP)
	case errors.Is(err, syscall.EPIPE): // whoever read the output has enough of it
		c.fail(nil)
	case err != nil:
		c.fail(errors.New("the output can not be written: " + withoutPath(err)))
	}
}

// OnClose hands the end to Run.
func (c *session) OnClose(_ *engine.Conn, e engine.CloseEvent) { c.closed <- e }

// OnPing shows the server's pings.
func (c *session) OnPing(_ *engine.Conn, p []byte) { c.screen.notice("ping%s", quoted(p)) }

// OnPong shows the answers to pings that somebody asked for. Those of the engine's own carry nothing.
func (c *session) OnPong(_ *engine.Conn, p []byte) {
	sent, ours := c.pings.LoadAndDelete(string(p))
	if read, end := sent.(chan struct{}); end {
		close(read)
		return
	}
	switch {
	case ours:
		c.screen.notice("pong%s after %v", quoted(p), time.Since(sent.(time.Time)).Round(10*time.Microsecond))
	case c.PingsSet || len(p) > 0:
		c.screen.notice("pong%s", quoted(p))
	}
}

// ping sends a ping, whose pong is shown.
func (c *session) ping(payload string) error {
	if payload == "" {
		payload = strconv.FormatInt(c.asked.Add(1), 10)
	}
	c.pings.Store(payload, time.Now())
	err := c.conn.Ping([]byte(payload))
	if err != nil {
		c.pings.Delete(payload)
	}
	return err
}

// send sends a message once there is room for it.
func (c *session) send(op engine.Opcode, p []byte) error {
	if int64(len(p)) > c.MaxMessage {
		return &tooLong{c.MaxMessage}
	}
	if err := c.conn.Send(op, p); err != nil {
		return err
	}
	if c.queued += int64(len(p)) + frameBytes; c.queued > queuedBytes {
		c.queued = 0
		return c.conn.DrainQueue(context.Background())
	}
	return nil
}

// withoutPath is an error of a file whose name says nothing: that of our output.
func withoutPath(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	if errors.Is(err, io.ErrShortWrite) {
		return "it takes no more"
	}
	return err.Error()
}
