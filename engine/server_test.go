package engine

import (
	"bytes"
	"context"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

func startServer(t testing.TB, h Handler, o Options) *Server {
	t.Helper()
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(ln) }()
	for s.Addr() == nil {
		time.Sleep(time.Millisecond)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error("Close:", err)
		}
		if err := <-served; err != ErrServerClosed {
			t.Error("Serve:", err)
		}
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
	})
	return s
}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	c, br, _, err := ws.Dial(ctx, "ws://"+s.Addr().String()+"/echo")
	if err != nil {
		t.Fatal(err)
	}
	if br != nil {
		t.Fatal("bytes behind the response")
	}
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	t.Cleanup(func() { c.Close() })
	return c
}

var echoHandler = Funcs{Message: func(c *Conn, m Message) { _ = c.Send(m.Op, m.Data) }}

func TestEcho(t *testing.T) {
	s := startServer(t, echoHandler, Options{})
	c := dial(t, s)
	for _, n := range []int{0, 1, 125, 126, 127, 1000, 65535, 65536, 100_000, 1 << 20, 5 << 20} {
		p := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		go wsutil.WriteClientBinary(c, p)
		got, op, err := wsutil.ReadServerData(c)
		if err != nil {
			t.Fatal(n, err)
		}
		if op != ws.OpBinary || !bytes.Equal(got, p) {
			t.Fatalf("%d bytes came back as %d of op %v", n, len(got), op)
		}
	}
}
