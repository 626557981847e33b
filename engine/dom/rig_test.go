package dom

import (
	"context"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// serve starts a server, and answers the URL of its root.
func serve(t testing.TB, h engine.Handler, o engine.Options) string {
	t.Helper()
	o.Logger = quiet
	s, err := engine.NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ln) }()
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		<-ended
	})
	return "ws://" + ln.Addr().String()
}

// echo answers each message with itself.
var echo = engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}

// open makes a WebSocket whose tasks nobody runs yet.
func open(t testing.TB, url string, o Options) *WebSocket {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quiet
	}
	w, err := NewWithOptions(url, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.conn.Terminate)
	return w
}

// patience is how long a test waits for what has to come. Only a test that fails waits so long.
func patience() time.Duration { return time.Minute }

// run runs the tasks to the end.
func run(t testing.TB, w *WebSocket) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	if err := w.Run(ctx); err != nil {
		t.Fatalf("in %v: %v", w.ReadyState(), err)
	}
}

func receive[T any](t testing.TB, ch <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience()):
		t.Fatal("never came:", what)
	}
	return v
}

// within waits until a condition holds.
func within(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(patience()); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never:", what)
		}
	}
}
