package reconnect

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gannet-ws/gannet/engine"
)

// Whether another attempt comes, and when.

// Again is whether another attempt comes, unless Options.Again says otherwise. It is false where the next one would end
// the same way: the server answered with a status of 400 to 499 (but for 408, 425 and 429, which ask to come
// again), or closed with 1008 (Policy Violation), 1003 (Unsupported Data) or 1010 (Mandatory Ext.); the URL or an option can
// not be; Options.Prepare says so. Its argument is how a connection or an attempt ended.
func Again(e engine.CloseEvent) bool {
	switch e.Code {
	case engine.StatusPolicyViolation, engine.StatusUnsupportedData, engine.StatusMandatoryExt:
		return false
	}
	if refused, ok := errors.AsType[*engine.HandshakeError](e.Err); ok {
		switch refused.Status {
		case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
			return true
		}
		return refused.Status < 400 || refused.Status > 499
	}
	_, permanent := errors.AsType[*backoff.PermanentError](e.Err)
	return !permanent
}

// next decides what comes after l. An error is why nothing does.
func (c *Conn) next(l *Loss) error {
	now := c.clock.now()
	if l.WasOpen && now.Sub(c.since) >= c.options.StableAfter {
		c.backoff.Reset()
		c.attempt, c.from = 0, now
	}
	switch {
	case errors.Is(l.Event.Err, engine.ErrClientClosed):
		return l.Event.Err
	case !c.again(l.Event):
		return because(ErrUnwelcome, l.Event)
	case c.options.MaxAttempts > 0 && c.attempt >= c.options.MaxAttempts:
		return because(ErrGaveUp, l.Event)
	}
	delay := c.delay(l.Event, now)
	if c.options.MaxElapsed > 0 && now.Add(delay).Sub(c.from) > c.options.MaxElapsed {
		return because(ErrGaveUp, l.Event)
	}
	l.Attempt, l.Delay = c.attempt+1, delay
	return nil
}

// again asks whether another attempt comes.
func (c *Conn) again(e engine.CloseEvent) (yes bool) {
	yes = Again(e)
	if c.options.Again != nil {
		c.tell("Again", func() { yes = c.options.Again(e) })
	}
	return yes
}

// because is why, and how the last connection or attempt ended. An error that Prepare or Start made permanent is the reason itself.
func because(why error, e engine.CloseEvent) error {
	if _, permanent := errors.AsType[*backoff.PermanentError](e.Err); permanent {
		return e.Err
	}
	if e.Err != nil {
		return fmt.Errorf("%w: %w", why, e.Err)
	}
	return fmt.Errorf("%w: closed with %d %s", why, e.Code, e.Reason)
}

// delay draws how long to wait after e.
func (c *Conn) delay(e engine.CloseEvent, now time.Time) time.Duration {
	drawn, longest := c.between(0, c.backoff.NextBackOff()), c.options.MaxDelay
	switch e.Code {
	case engine.StatusServiceRestart:
		return c.between(longest/6, longest)
	case engine.StatusTryAgainLater:
		return c.between(longest, 2*longest)
	}
	return min(askedFor(e.Err, now), c.options.MaxRetryAfter) + drawn
}

// between draws from low to high, both included.
func (c *Conn) between(low, high time.Duration) time.Duration {
	return low + time.Duration(c.clock.random(int64(high-low)+1))
}

// askedFor is how long the server, or Options.Prepare, wants to be left alone; 0 where it does not say so.
func askedFor(err error, now time.Time) time.Duration {
	if refused, ok := errors.AsType[*engine.HandshakeError](err); ok {
		return retryAfter(refused.Header, now)
	}
	if own, ok := errors.AsType[*backoff.RetryAfterError](err); ok {
		return max(own.Duration, 0)
	}
	return 0
}

// retryAfter reads the field (RFC 9110 10.2.3): a number of seconds, or a date, which is taken by the server's own clock where the
// answer has a Date. What is neither counts as if it were not there; a number that no clock can hold is as long as any.
func retryAfter(h http.Header, now time.Time) time.Duration {
	field := strings.Trim(h.Get("Retry-After"), " \t")
	if field != "" && strings.Trim(field, "0123456789") == "" {
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil || n > int64(longest/time.Second) {
			return longest
		}
		return time.Duration(n) * time.Second
	}
	until, err := http.ParseTime(field)
	if err != nil {
		return 0
	}
	if theirs, err := http.ParseTime(h.Get("Date")); err == nil {
		now = theirs
	}
	return max(until.Sub(now), 0)
}
