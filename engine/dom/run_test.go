package dom

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// TestNothingBeforeStart: handlers that are set long after New hear everything.
func TestNothingBeforeStart(t *testing.T) {
	w := open(t, peers(t, func(p *peer) { p.accept(); p.text("a"); p.close(body(1000, "")); p.untilEnd() }), Options{})
	within(t, "the end of the connection", func() bool { return w.conn.ReadyState() == Closed })
	if w.ReadyState() != Connecting || w.Protocol() != "" || w.SendText("a") != ErrInvalidState {
		t.Error("before Start:", w.ReadyState())
	}
	r := watch(w)
	w.Start()
	w.Start()
	receive(t, w.Done(), "close")
	r.want(t, "OPEN open", `OPEN message "a"`, `CLOSED close 1000 "" true`)
	w.Start()
	if err := w.Run(t.Context()); err != nil {
		t.Error("Run after the end:", err)
	}
}

// TestRunEndsWithItsContext: the connection goes on, and so does another Run.
func TestRunEndsWithItsContext(t *testing.T) {
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("enough")
	w.OnOpen(func(*OpenEvent) { cancel(cause) })
	if err := w.Run(ctx); err != cause {
		t.Error(err)
	}
	if err := w.Run(ctx); err != cause || w.ReadyState() != Open {
		t.Error(err, w.ReadyState())
	}
	w.OnMessage(func(*MessageEvent) { _ = w.Close() })
	if err := w.SendText("a"); err != nil {
		t.Error(err)
	}
	run(t, w)
}

// TestOneRunsTheTasks: the second is told.
func TestOneRunsTheTasks(t *testing.T) {
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	w.OnOpen(func(*OpenEvent) {
		if err := w.Run(t.Context()); !errors.Is(err, ErrInvalidState) {
			t.Error(err)
		}
		w.Start()
		_ = w.Close()
	})
	run(t, w)
}

// TestHandlerEndsItsGoroutine: the listeners behind it, and the events behind that, come all the same.
func TestHandlerEndsItsGoroutine(t *testing.T) {
	build := func(exits string) (*WebSocket, *record) {
		w := open(t, peers(t, func(p *peer) { p.accept(); p.text("a"); p.read() }), Options{})
		w.AddEventListener(exits, func(Event) { runtime.Goexit() }, Once)
		r := watch(w)
		w.OnMessage(func(*MessageEvent) { _ = w.SendText("b") })
		return w, r
	}
	want := []string{"OPEN open", `OPEN message "a"`, "CLOSED error", `CLOSED close 1006 "" false`}
	for _, exits := range []string{"open", "message", "error", "close"} {
		w, r := build(exits)
		w.Start()
		receive(t, w.Done(), "close after the end of a goroutine in "+exits)
		r.want(t, want...)

		w, r = build(exits)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_ = w.Run(context.Background())
			t.Error("Run has returned")
		}()
		receive(t, ended, "the end of Run's goroutine")
		run(t, w)
		r.want(t, want...)
	}
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	_ = w.Post(runtime.Goexit)
	w.OnOpen(func(*OpenEvent) { _ = w.Close() })
	w.Start()
	receive(t, w.Done(), "close after a posted func has ended the goroutine")
}

// TestPost: in order, between the events, and not after the end.
func TestPost(t *testing.T) {
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	var got []int
	for i := range 100 {
		if err := w.Post(func() { got = append(got, i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Post(nil); !errors.Is(err, ErrSyntax) {
		t.Error(err)
	}
	_ = w.Post(func() { panic("on purpose") })
	_ = w.Post(func() { _ = w.Close() })
	w.OnClose(func(*CloseEvent) {
		if err := w.Post(func() {}); err != ErrClosed {
			t.Error(err)
		}
	})
	run(t, w)
	if len(got) != 100 || !slices.IsSorted(got) {
		t.Error(got)
	}
}

// TestAllAtOnce is for the race detector: every method, from many goroutines, while events come.
func TestAllAtOnce(t *testing.T) {
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	var all sync.WaitGroup
	w.OnMessage(func(*MessageEvent) {})
	w.Start()
	within(t, "open", func() bool { return w.ReadyState() == Open })
	for i := range 8 {
		all.Go(func() {
			for range 200 {
				remove := w.AddEventListener("message", func(Event) {})
				w.OnMessage(func(*MessageEvent) {})
				w.OnMessage(nil)
				_ = w.SendText("text")
				_ = w.SendBlob(NewBlob([]byte("blob")))
				_ = w.SetBinaryType(BinaryArrayBuffer)
				_, _, _, _, _ = w.BinaryType(), w.BufferedAmount(), w.Protocol(), w.Extensions(), w.ReadyState()
				_ = w.Post(func() { _ = w.BufferedAmount() })
				remove()
			}
			if i == 0 {
				_ = w.Close()
			}
		})
	}
	all.Wait()
	receive(t, w.Done(), "close")
}

// TestBufferedAmountInAHandlerThatWaits: a handler that waits for 0, as no page may, is told the truth in the end.
func TestBufferedAmountInAHandlerThatWaits(t *testing.T) {
	t.Parallel()
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	w.OnOpen(func(*OpenEvent) {
		_ = w.SendText("abc")
		within(t, "0", func() bool { return w.BufferedAmount() == 0 })
		_ = w.SendText("ab")
		if n := w.BufferedAmount(); n != 5 {
			t.Errorf("%d after another send in the same task", n)
		}
		_ = w.Close()
	})
	run(t, w)
}

// TestOpenTimeoutIsOverWithOpen: it does not end what is open, also when the tasks run late.
func TestOpenTimeoutIsOverWithOpen(t *testing.T) {
	t.Parallel()
	w := open(t, serve(t, echo, engine.Options{}), Options{OpenTimeout: 5 * time.Second})
	within(t, "the handshake", func() bool { return w.conn.ReadyState() == Open })
	w.mu.Lock()
	left := w.timeout
	w.mu.Unlock()
	if left != nil {
		within(t, "the end of the clock", func() bool { w.mu.Lock(); defer w.mu.Unlock(); return w.timeout == nil })
	}
	w.OnOpen(func(*OpenEvent) { _ = w.Close() })
	r := watch(w)
	run(t, w)
	r.want(t, "CLOSING open", `CLOSED close 1000 "" true`)
}

func TestOptionsRefused(t *testing.T) {
	for name, o := range map[string]Options{
		"OpenTimeout": {OpenTimeout: -1}, "InboxBytes": {InboxBytes: -1}, "Base": {Base: "/a"}, "Limits": {Limits: engine.Limits{MaxFragments: -1}},
		"Header": {Header: map[string][]string{"Upgrade": {"x"}}}, "Host": {Host: "a b"}, "Origin": {Origin: "a\n"},
	} {
		if w, err := NewWithOptions("ws://127.0.0.1:2/", o); w != nil || !errors.Is(err, ErrSyntax) {
			t.Error(name, w, err)
		}
	}
}

// No error shows the credentials of a URL.
func TestErrorsKeepSecrets(t *testing.T) {
	for _, rest := range []string{"exa<mple/", "h:99999/", "h/#x", "h:22/", "h:1x/x@y"} {
		for _, scheme := range []string{"ws", "https", "ftp"} {
			address := scheme + "://me:s3cret@" + rest
			_, err := New(address)
			_, based := NewWithOptions("/", Options{Base: "://me:s3cret@" + rest})
			if err == nil || based == nil || strings.Contains(err.Error()+based.Error(), "s3cret") {
				t.Errorf("%s: %v; as a base: %v", address, err, based)
			}
		}
	}
}
