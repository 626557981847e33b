package reconnect

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// Options say how a connection comes back. The zero value comes back for ever, after delays that grow to half a minute.
type Options struct {
	// Dial is what every attempt asks for. Its Handler is this package's and must be nil.
	Dial engine.DialOptions
	// Prepare, if set, makes an attempt ready: it may change the URL and the options, to bring a fresh token say. It runs in a goroutine of its own
	// and may block; ctx ends with the Conn. Its error is a failed attempt, after which the next one comes; an error that
	// is made with backoff.Permanent (github.com/cenkalti/backoff/v5) is the end, one by backoff.RetryAfter asks for
	// a delay as Retry-After does.
	Prepare func(ctx context.Context, a *Attempt) error
	// Again, if set, decides in the place of the function Again whether another attempt comes, from how the last connection or
	// attempt ended. It is called just before OnLost.
	Again func(e engine.CloseEvent) bool

	// FirstDelay is the most that the first delay may be. Default 1 s; above 0.
	FirstDelay time.Duration
	// MaxDelay is the most that a delay may be, but for Retry-After, 1012 and 1013 (see the package). Default 30 s, or
	// FirstDelay if that is longer; at least FirstDelay, at most 200 days.
	MaxDelay time.Duration
	// MaxRetryAfter bounds what Retry-After can ask for. Default 10 min; above 0, at most 200 days.
	MaxRetryAfter time.Duration
	// StableAfter is how long a connection is open until it counts as stable: when it is lost then, the delays, the attempts
	// and the time start from the beginning. Default MaxDelay; above 0.
	StableAfter time.Duration
	// MaxAttempts is how many attempts there are without a stable connection. 0: no limit.
	MaxAttempts int
	// MaxElapsed is how long attempts may go on without a stable connection: from Start, or from when the last stable
	// connection was lost, to the beginning of the last attempt. 0: no limit.
	MaxElapsed time.Duration

	// Logger hears when OnLost, OnClose or Prepare panics. Default: slog.Default().
	Logger *slog.Logger
}

// Attempt is what an attempt is made with.
type Attempt struct {
	Number int    // 1 is the first one, and the first one after a stable connection
	URL    string // as Start was given it
	Dial   engine.DialOptions
}

// longest is the longest duration that an option may be: the engine's.
const longest = 200 * 24 * time.Hour

// complete sets defaults, and finds what cannot be.
func (o *Options) complete() error {
	orDefault(&o.FirstDelay, time.Second)
	orDefault(&o.MaxDelay, max(30*time.Second, o.FirstDelay))
	orDefault(&o.MaxRetryAfter, 10*time.Minute)
	orDefault(&o.StableAfter, o.MaxDelay)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	switch {
	case o.Dial.Handler != nil:
		return misused("Options.Dial.Handler is set: the Handler that Start is given hears of the connection")
	case o.FirstDelay < 0 || o.FirstDelay > longest:
		return outOfRange("FirstDelay", o.FirstDelay, "above 0, at most 200 days")
	case o.MaxDelay < o.FirstDelay || o.MaxDelay > longest:
		return outOfRange("MaxDelay", o.MaxDelay, "at least FirstDelay, at most 200 days")
	case o.MaxRetryAfter < 0 || o.MaxRetryAfter > longest:
		return outOfRange("MaxRetryAfter", o.MaxRetryAfter, "above 0, at most 200 days")
	case o.StableAfter < 0:
		return outOfRange("StableAfter", o.StableAfter, "above 0")
	case o.MaxAttempts < 0:
		return outOfRange("MaxAttempts", o.MaxAttempts, "0 or more")
	case o.MaxElapsed < 0:
		return outOfRange("MaxElapsed", o.MaxElapsed, "0 or more")
	}
	return nil
}

func orDefault(v *time.Duration, d time.Duration) {
	if *v == 0 {
		*v = d
	}
}

func misused(format string, args ...any) error {
	return fmt.Errorf("reconnect: %s: %w", fmt.Sprintf(format, args...), engine.ErrSyntax)
}

func outOfRange(name string, v any, allowed string) error {
	return misused("Options.%s is %v; it has to be %s", name, v, allowed)
}

// attemptOf is the next attempt as Options.Prepare finds it: what it changes is its own.
func (c *Conn) attemptOf() Attempt {
	a := Attempt{Number: c.attempt, URL: c.url, Dial: c.options.Dial}
	if c.options.Prepare != nil {
		if a.Dial.Header = a.Dial.Header.Clone(); a.Dial.Header == nil {
			a.Dial.Header = make(http.Header)
		}
	}
	return a
}
