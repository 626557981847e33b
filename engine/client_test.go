package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"testing"
)

func newClient(t *testing.T, h Funcs, o ClientOptions) *Client {
	t.Helper()
	if o.Logger == nil {
		o.Logger = quietLogger
	}
	c, err := NewClient(h, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		if st := c.Stats(); st.Connecting+st.Open+st.Closing != 0 {
			t.Errorf("connections are left: %+v", st)
		}
	})
	return c
}

func TestDial(t *testing.T) {
	for _, workers := range []int{0, 2} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			w := doorNamed(t, "tcp").build(t, echoHandler, Options{})
			events := make(chan string, 100)
			c := newClient(t, Funcs{
				Open:    func(c *Conn) { events <- "open"; _ = c.SendText("hello") },
				Message: func(c *Conn, m Message) { events <- string(m.Data); _ = c.Close() },
				Error:   func(_ *Conn, err error) { events <- "error " + err.Error() },
				Close:   func(_ *Conn, e CloseEvent) { events <- fmt.Sprint("close ", e.Code, e.WasClean, e.Err) },
			}, ClientOptions{Workers: workers})
			ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
			defer cancel()
			conn, err := c.Dial(ctx, "ws://"+w.Addr().String()+"/x?y", DialOptions{Origin: "http://" + w.Addr().String()})
			if err != nil {
				t.Fatal(err)
			}
			if got, want := conn.URL(), "ws://"+w.Addr().String()+"/x?y"; got != want {
				t.Error(got, want)
			}
			for _, want := range []string{"open", "hello", "close 1000 true <nil>"} {
				if got := receive(t, events, want); got != want {
					t.Errorf("got %q, want %q", got, want)
				}
			}
		})
	}
}

func TestDialRefused(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	events := make(chan string, 10)
	c := newClient(t, Funcs{
		Error: func(c *Conn, err error) { events <- fmt.Sprint("error ", c.ReadyState()) },
		Close: func(c *Conn, e CloseEvent) { events <- fmt.Sprint("close ", c.ReadyState(), e.Code, e.WasClean) },
	}, ClientOptions{})
	conn, err := c.Dial(t.Context(), "ws://"+ln.Addr().String(), DialOptions{})
	var d *DialError
	if conn != nil || !errors.As(err, &d) || d.Op != "connect" {
		t.Error(conn, err)
	}
	for _, want := range []string{"error CLOSED", "close CLOSED 1006 false"} {
		if got := receive(t, events, want); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
