package reconnect

import (
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gannet-ws/gannet/engine"
)

// The life of a Conn is a chain: wait, begin, opened, closed, wait again, until finish. Each step starts the next one and touches
// nothing after that but the atomics, so no two overlap. part may come from anywhere and at any time. It leaves c.parting first, and
// then stops what it can see, a timer that runs or a connection; a step that begins something shows it first, and then looks for
// c.parting. So one of the two sees the other.

// wait has the next attempt come after d.
func (c *Conn) wait(d time.Duration) {
	c.timer.Reset(d)
	if c.parting.Load() != nil && c.timer.Stop() {
		c.finish(Loss{}, nil)
	}
}

// part ends the Conn, unless somebody has.
func (c *Conn) part(p *parting) {
	if !c.parting.CompareAndSwap(nil, p) {
		return
	}
	c.cancel()
	if now := c.present.Load(); now != nil {
		p.close(now)
	}
	if c.timer.Stop() { // nothing else is under way
		c.timer.Reset(0) // OnClose is not called by whoever calls Close, who may have a lock that it takes
	}
}

// due is the timer's: the next attempt.
func (c *Conn) due() {
	if c.parting.Load() != nil {
		c.finish(Loss{}, nil)
		return
	}
	c.attempt++
	a, err := c.attemptOf(), errExit
	defer func() { c.prepared(a, err) }() // Prepare may end the goroutine
	err = c.prepare(&a)
}

// errExit is how a function of the user's ended that did not return.
var errExit = errors.New("reconnect: a function ended its goroutine (runtime.Goexit, t.FailNow)")

// prepare has the user prepare an attempt.
func (c *Conn) prepare(a *Attempt) (err error) {
	if c.options.Prepare == nil {
		return nil
	}
	defer func() {
		if r := recover(); r != nil {
			c.blame("Prepare", r)
			err = fmt.Errorf("reconnect: Prepare panicked: %v", r)
		}
	}()
	return c.options.Prepare(c.ctx, a)
}

// prepared begins the attempt, unless it could not be prepared.
func (c *Conn) prepared(a Attempt, err error) {
	if c.parting.Load() != nil {
		c.finish(Loss{}, nil)
		return
	}
	if err == nil {
		err = c.begin(a)
		if errors.Is(err, engine.ErrSyntax) || errors.Is(err, engine.ErrSecurity) {
			err = backoff.Permanent(err)
		}
	}
	if err != nil {
		c.lost(Loss{Event: engine.CloseEvent{Code: engine.StatusAbnormalClosure, Err: err}})
	}
}

// begin starts an attempt, whose end c.closed hears, unless there is an error.
func (c *Conn) begin(a Attempt) error {
	before := c.present.Load()
	a.Dial.Handler = c.options.Dial.Handler
	now, err := c.client.Start(a.URL, a.Dial)
	if err != nil {
		return err
	}
	c.present.CompareAndSwap(before, now) // else its own events were quicker, and it may be over
	if p := c.parting.Load(); p != nil {
		p.close(now)
	}
	return nil
}

// opened is the engine's OnOpen.
func (c *Conn) opened(now *engine.Conn) {
	c.present.Store(now)
	if p := c.parting.Load(); p != nil {
		p.close(now)
		return
	}
	c.since = c.clock.now()
	c.times++
	c.handler.OnOpen(c, now, c.times)
	c.state.Store(uint32(engine.Open))
}

// closed is the engine's OnClose.
func (c *Conn) closed(now *engine.Conn, e engine.CloseEvent) {
	c.present.Store(now)
	c.lost(Loss{Event: e, WasOpen: !c.since.IsZero(), Unsent: now.BufferedAmount()})
}

// lost waits for the next attempt, if there is one. What comes after a callback comes also if that ends its goroutine.
func (c *Conn) lost(l Loss) {
	c.state.Store(uint32(engine.Connecting))
	then := func() { c.finish(l, errExit) }
	defer func() { then() }()
	if c.parting.Load() == nil {
		why := c.next(&l)
		c.since = time.Time{}
		if why == nil {
			then = func() { c.wait(l.Delay) }
			c.tell("OnLost", func() { c.handler.OnLost(c, l) })
			return
		}
		then = func() { c.finish(l, why) }
	}
}

// finish is the end.
func (c *Conn) finish(l Loss, why error) {
	if p := c.parting.Load(); p != nil {
		why = p.why
	}
	c.state.Store(uint32(engine.Closed))
	c.letGo()
	c.tell("OnClose", func() { c.handler.OnClose(c, l, why) })
}

// letGo gives back what a Conn holds of its context.
func (c *Conn) letGo() {
	c.release()
	c.cancel()
}

// tell calls the handler where no engine does, or where its panic must not stop the chain.
func (c *Conn) tell(what string, f func()) {
	defer func() {
		if r := recover(); r != nil {
			c.blame(what, r)
		}
	}()
	f()
}

// blame logs a panic of the user's.
func (c *Conn) blame(what string, r any) {
	c.options.Logger.Error("reconnect: "+what+" panicked", "panic", fmt.Sprint(r), "server", server(c.url), "stack", string(debug.Stack()))
}

// server is what a log may have of a URL: a user, a path and a query may hold secrets.
func server(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
