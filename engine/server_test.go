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
	if secured(t) {
		return startServerTLS(t, h, o)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return startServerOn(t, h, o, ln, (*Server).Serve)
}

// testKey masks what the tests send.
var testKey = [4]byte{0x37, 0xfa, 0x21, 0x3d}

func dial(t testing.TB, s *Server) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
	defer cancel()
	d := ws.Dialer{NetDial: func(_ context.Context, network, addr string) (net.Conn, error) {
		return connectTo(t, new(net.Dialer), network, addr)
	}}
	c, br, _, err := d.Dial(ctx, "ws://"+s.Addr().String()+"/echo")
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(timeoutOf(20)))
	t.Cleanup(func() { c.Close() })
	if br != nil { // frames came right behind the response
		early, _ := br.Peek(br.Buffered())
		return &replayConn{Conn: c, first: early}
	}
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

func TestManyConnectionsEcho(t *testing.T) {
	s := startServer(t, echoHandler, Options{Loops: 2})
	for range 50 {
		c := dial(t, s)
		for i := range 20 {
			if err := wsutil.WriteClientText(c, []byte("hello")); err != nil {
				t.Fatal(err)
			}
			got, _, err := wsutil.ReadServerData(c)
			if err != nil || string(got) != "hello" {
				t.Fatal(i, string(got), err)
			}
		}
	}
	within(t, timeoutOf(5), "1000 messages counted each way", func() bool {
		st := s.Stats() // a message counts as out just after it can be read
		return st.Open == 50 && st.MessagesIn == 1000 && st.MessagesOut == 1000
	})
}

func TestCloseHandshake(t *testing.T) {
	closed := make(chan CloseEvent, 1)
	h := echoHandler
	h.Close = func(c *Conn, e CloseEvent) { closed <- e }
	s := startServer(t, h, Options{})
	c := dial(t, s)
	if err := wsutil.WriteClientMessage(c, ws.OpClose, ws.NewCloseFrameBody(3001, "bye")); err != nil {
		t.Fatal(err)
	}
	f, err := readFrame(c)
	if err != nil || f.Header.OpCode != ws.OpClose {
		t.Fatal(f, err)
	}
	if code, _ := ws.ParseCloseFrameData(f.Payload); code != 3001 {
		t.Error("answered with", code)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Error("the server did not end the stream")
	}
	if e := <-closed; e.Code != 3001 || e.Reason != "bye" || !e.WasClean || e.Err != nil {
		t.Errorf("%+v", e)
	}
}

func TestServerCloses(t *testing.T) {
	closed := make(chan CloseEvent, 1)
	s := startServer(t, Funcs{
		Open:  func(c *Conn) { _ = c.SendText("first"); _ = c.CloseWith(4000, "done") },
		Close: func(c *Conn, e CloseEvent) { closed <- e },
	}, Options{})
	c := dial(t, s)
	if f, err := readFrame(c); err != nil || string(f.Payload) != "first" {
		t.Fatal(f, err)
	}
	f, err := readFrame(c)
	if code, reason := ws.ParseCloseFrameData(f.Payload); err != nil || code != 4000 || reason != "done" {
		t.Fatal(code, reason, err)
	}
	if err := wsutil.WriteClientMessage(c, ws.OpClose, f.Payload); err != nil {
		t.Fatal(err)
	}
	if e := <-closed; e.Code != 4000 || !e.WasClean {
		t.Errorf("%+v", e)
	}
}
