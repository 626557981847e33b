package enginetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// Server is an engine.Server whose connections come over pipes.
type Server struct {
	*engine.Server
	pipes  *pipes
	client *engine.Client
	served chan error
}

// Serve starts a server of h. When the test ends its clients and the server are shut down; a connection that is left then, because a
// callback does not return, fails the test. Without Options.Logger what the engine logs is shown by the test. Without Options.Loops there is
// one loop.
func Serve(t testing.TB, h engine.Handler, o engine.Options) *Server {
	t.Helper()
	if o.Logger == nil {
		o.Logger = testLogger(t)
	}
	if o.Loops == 0 {
		o.Loops = 1
	}
	server, err := engine.NewServer(h, o)
	if err != nil {
		t.Fatal("enginetest:", err)
	}
	s := &Server{Server: server, pipes: newPipes(), served: make(chan error, 1)}
	s.client, err = engine.NewClient(engine.Funcs{}, engine.ClientOptions{Loops: 1, Deflate: o.Deflate, Logger: o.Logger, DialContext: s.pipes.dial})
	if err != nil {
		t.Fatal("enginetest:", err)
	}
	go func() { s.served <- server.Serve(s.pipes) }()
	t.Cleanup(func() { s.stop(t) })
	return s
}

// stop ends everything, and tells what does not end.
func (s *Server) stop(t testing.TB) {
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	open := listed(s.Server)
	_ = s.client.Close()
	if err := s.Server.Shutdown(ctx); err != nil {
		t.Errorf("enginetest: the server does not end, a callback does not return: %v. At the test's end there were:%s", err, open)
	}
	_ = s.Server.Close()
	if err := <-s.served; !errors.Is(err, engine.ErrServerClosed) {
		t.Errorf("enginetest: Serve: %v", err)
	}
	for end := time.Now().Add(stopTime); s.pipes.open.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Errorf("enginetest: %d ends of connections were not closed", s.pipes.open.Load())
			return
		}
	}
}

// stopTime is how long a server and its connections may take to end.
const stopTime = 10 * time.Second

// listed are the connections that are open.
func listed(s *engine.Server) string {
	var b strings.Builder
	for c := range s.Conns() {
		fmt.Fprintf(&b, "\n\tconnection %d, %v, %s", c.ID(), c.ReadyState(), c.URL())
	}
	return b.String()
}

// Client is a connection to a Server from the client's side: the connection, and what happened on it.
type Client struct {
	*engine.Conn
	*Recorder
}

// Dial connects to a path ("/chat?room=1"), waits until the connection is open, and takes the open event. A handshake that is refused
// fails the test; for that see TryDial.
func (s *Server) Dial(t testing.TB, target string, o engine.DialOptions) *Client {
	t.Helper()
	c, err := s.TryDial(t, target, o)
	if err != nil {
		t.Fatalf("enginetest: Dial %s: %v", target, err)
	}
	if e := c.Next(t); e.Kind != Open {
		t.Fatalf("enginetest: Dial %s: %v", target, e)
	}
	return c
}

// TryDial is Dial for a handshake that may be refused: then the error says why, a *engine.HandshakeError what the server
// answered, and the client's recorder has its error and close. DialOptions.Handler has to be nil: it is the recorder.
func (s *Server) TryDial(t testing.TB, target string, o engine.DialOptions) (*Client, error) {
	t.Helper()
	if o.Handler != nil {
		t.Fatal("enginetest: DialOptions.Handler is the recorder; for another handler make an engine.Client with Server.DialContext")
	}
	c := &Client{Recorder: new(Recorder)}
	o.Handler = c.Recorder
	ctx, cancel := context.WithTimeout(context.Background(), patienceOf(t))
	defer cancel()
	var err error
	c.Conn, err = s.client.Dial(ctx, s.URL(target), o)
	return c, err
}

// URL is the URL of a path, for a client of the test's own.
func (s *Server) URL(target string) string {
	return "ws://enginetest.test/" + strings.TrimPrefix(target, "/")
}

// DialContext is for engine.ClientOptions of a client of the test's own: it connects to the server, whatever the address.
func (s *Server) DialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	return s.pipes.dial(ctx, network, addr)
}

// testLogger writes to the test's log, as long as the test runs.
func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
