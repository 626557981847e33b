package dom

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptest"
	"testing"

	"golang.org/x/net/nettest"

	"github.com/gannet-ws/gannet/engine"
)

// A road is a way from a client to a server.
type road struct {
	name   string
	client engine.ClientOptions
	server engine.Options
	listen func() (net.Listener, func(context.Context, string, string) (net.Conn, error))
}

func roads() []road {
	tcp := func() (net.Listener, func(context.Context, string, string) (net.Conn, error)) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		return ln, nil
	}
	pipe := func() (net.Listener, func(context.Context, string, string) (net.Conn, error)) {
		ln := &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
		return ln, ln.dial
	}
	secured := httptest.NewTLSServer(nil)
	secured.Close()
	over := &tls.Config{Certificates: secured.TLS.Certificates}
	return []road{
		{name: "native", listen: tcp},
		{name: "native, workers", listen: tcp, client: engine.ClientOptions{Workers: 2}, server: engine.Options{Workers: 2}},
		{name: "bridge", listen: pipe},
		{name: "bridge, workers", listen: pipe, client: engine.ClientOptions{Workers: 2}, server: engine.Options{Workers: 2}},
		{name: "wss", listen: tcp, server: engine.Options{TLSConfig: over}},
		{name: "wss, workers", listen: tcp, client: engine.ClientOptions{Workers: 2}, server: engine.Options{Workers: 2, TLSConfig: over}},
	}
}

// pipeListener accepts what dial makes.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	select {
	case <-l.done:
	default:
		close(l.done)
	}
	return nil
}

func (l *pipeListener) Addr() net.Addr { return streamAddr("pipe") }

func (l *pipeListener) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	a, b := net.Pipe()
	select {
	case l.conns <- a:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// pair is a stream and its peer.
func (r road) pair(t testing.TB) (client, server *Stream) {
	t.Helper()
	client, server, stop, err := r.makePair()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return client, server
}

func (r road) makePair() (client, server *Stream, stop func(), err error) {
	ln, dial := r.listen()
	opened := make(chan *Stream, 1)
	s, err := engine.NewServer(engine.Funcs{Open: func(c *engine.Conn) { opened <- StreamOf(c) }}, r.server)
	if err != nil {
		return nil, nil, nil, err
	}
	scheme := "ws://"
	if r.server.TLSConfig != nil {
		scheme = "wss://"
		go s.ServeTLS(ln)
	} else {
		go s.Serve(ln)
	}
	r.client.DialContext = dial
	c, err := engine.NewClient(engine.Funcs{}, r.client)
	if err != nil {
		return nil, nil, nil, err
	}
	url := "ws://pipe.test/"
	if dial == nil {
		url = scheme + ln.Addr().String()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	defer cancel()
	if client, err = DialStream(ctx, url, Options{Client: c, TLSConfig: &tls.Config{InsecureSkipVerify: true}}); err != nil {
		return nil, nil, nil, err
	}
	server = <-opened
	return client, server, func() {
		_ = client.Close()
		_ = server.Close()
		_ = c.Close()
		_ = s.Close()
	}, nil
}

func TestNetConn(t *testing.T) {
	for _, r := range roads() {
		for _, swapped := range []bool{false, true} {
			name := r.name + ", client first"
			if swapped {
				name = r.name + ", server first"
			}
			t.Run(name, func(t *testing.T) {
				nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
					a, b, stop, err := r.makePair()
					if err != nil {
						return nil, nil, nil, err
					}
					c1, c2 = a.NetConn(engine.OpBinary), b.NetConn(engine.OpBinary)
					if swapped {
						c1, c2 = c2, c1
					}
					return c1, c2, stop, nil
				})
			})
		}
	}
}
