package reconnect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/gannet-ws/gannet/engine"
)

// TestPrepare: it has the URL and the options of each attempt, and what it changes is its attempt's alone.
func TestPrepare(t *testing.T) {
	asked := make(chan string, 10)
	s := newShore(t, func(n int, w http.ResponseWriter, r *http.Request) bool {
		asked <- r.URL.Path + " " + r.Header.Get("Authorization") + " " + r.Header.Get("X-All")
		w.WriteHeader(503)
		return true
	})
	shared := http.Header{"X-All": {"always"}}
	d, k := newDiary(t), newHandClock()
	begin(t, "ws://unused.invalid/", d, Options{Dial: engine.DialOptions{Header: shared}, Prepare: func(_ context.Context, a *Attempt) error {
		if a.URL != "ws://unused.invalid/" || a.Dial.Header.Get("Authorization") != "" {
			t.Errorf("%+v", a)
		}
		a.URL = s.ws() + fmt.Sprint("/", a.Number)
		a.Dial.Header.Set("Authorization", fmt.Sprint("token ", a.Number))
		return nil
	}}, k.clock())
	for i := 1; i < 4; i++ {
		if got, want := receive(t, asked, "a request"), fmt.Sprintf("/%d token %d always", i, i); got != want {
			t.Errorf("%q, want %q", got, want)
		}
		k.fire(t)
	}
	if len(shared) != 1 {
		t.Error(shared)
	}
}

// TestPrepareFails: it is an attempt that failed; what it says of the next one holds.
func TestPrepareFails(t *testing.T) {
	wrong := errors.New("no token today")
	for name, trial := range map[string]struct {
		prepare func(a *Attempt) error
		delay   time.Duration // 0: it is the end
		why     error
	}{
		"error":     {prepare: func(*Attempt) error { return wrong }, delay: time.Second},
		"later":     {prepare: func(*Attempt) error { return backoff.RetryAfter(9) }, delay: 10 * time.Second},
		"much":      {prepare: func(*Attempt) error { return backoff.RetryAfter(1 << 30) }, delay: 601 * time.Second},
		"negative":  {prepare: func(*Attempt) error { return backoff.RetryAfter(-1 << 30) }, delay: time.Second},
		"panic":     {prepare: func(*Attempt) error { panic("oh") }, delay: time.Second},
		"exit":      {prepare: func(*Attempt) error { runtime.Goexit(); return nil }, delay: time.Second},
		"permanent": {prepare: func(*Attempt) error { return backoff.Permanent(wrong) }, why: wrong},
		"no URL":    {prepare: func(a *Attempt) error { a.URL = "mailto:x"; return nil }, why: engine.ErrSyntax},
		"bad port":  {prepare: func(a *Attempt) error { a.URL = "ws://127.0.0.1:25"; return nil }, why: engine.ErrSecurity},
	} {
		t.Run(name, func(t *testing.T) {
			d, k := newDiary(t), newHandClock()
			begin(t, nowhere(t), d, Options{Prepare: func(_ context.Context, a *Attempt) error { return trial.prepare(a) }}, k.clock())
			if trial.why != nil {
				d.wants("close 1006 CLOSED")
				if why := d.end(); !errors.Is(why, trial.why) {
					t.Error(why)
				}
				return
			}
			d.wants("lost 1006 CONNECTING")
			if l := d.loss(); l.Delay != trial.delay || l.Event.Err == nil || l.WasOpen {
				t.Errorf("%+v", l)
			}
		})
	}
}

// A log has neither the user nor the path and query of a URL: tokens stand there.
func TestLogKeepsSecrets(t *testing.T) {
	for url, want := range map[string]string{
		"ws://me:s3cret@h:1/s3cret?token=s3cret": "ws://h:1",
		"wss://me:s3cret@h:x":                    "",
		"wss://h":                                "wss://h",
	} {
		if got := server(url); got != want {
			t.Errorf("%s: %s", url, got)
		}
	}
}
