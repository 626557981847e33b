package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// TestClientShutdown: connections that are OPEN are closed with 1001, though a client's user may not say that.
func TestClientShutdown(t *testing.T) {
	for _, workers := range []int{0, 1} {
		codes := make(chan string, 10)
		w := doorNamed(t, "tcp").build(t, Funcs{Close: func(_ *Conn, e CloseEvent) { codes <- fmt.Sprint(e.Code, e.Reason, e.WasClean) }}, Options{})
		heard := make(chan CloseEvent, 10)
		c := newClient(t, Funcs{Close: func(_ *Conn, e CloseEvent) { heard <- e }}, ClientOptions{Workers: workers})
		conn, err := c.Dial(t.Context(), "ws://"+w.Addr().String(), DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if err := conn.CloseWith(StatusGoingAway, ""); !errors.Is(err, ErrInvalidAccess) {
			t.Error(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if got := receive(t, codes, "the server's close event"); got != "1001client shutting downtrue" {
			t.Error(got)
		}
		if e := receive(t, heard, "the client's"); e.Code != 1001 || !e.WasClean || e.Err != nil {
			t.Errorf("%+v", e)
		}
	}
}

// TestClientHandlers: a handler of which a client would never call something is refused.
func TestClientHandlers(t *testing.T) {
	c := newClient(t, Funcs{}, ClientOptions{})
	for name, h := range map[string]Handler{"nil": nil, "Mux": NewMux(), "OnUpgrade": Funcs{Upgrade: func(*Upgrade) {}}} {
		if _, err := NewClient(h, ClientOptions{}); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "NewClient") {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := c.Start("ws://192.0.2.1", DialOptions{Handler: h}); h != nil && (!errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDialsEndInAnyOrder: whichever of a loop's dials ends first, Shutdown finds the others.
func TestDialsEndInAnyOrder(t *testing.T) {
	for ended := range 3 {
		heard := make(chan error, 10)
		h := Funcs{Close: func(_ *Conn, e CloseEvent) { heard <- e.Err }}
		c := newClient(t, h, ClientOptions{Loops: 1, Resolver: slowResolver{}, ConnectTimeout: timeoutOf(60)})
		var conns []*Conn
		for range 3 {
			conn, err := c.Start("ws://name.example", DialOptions{})
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
		}
		conns[ended].Terminate()
		if err := receive(t, heard, "the end of the first"); !errors.Is(err, ErrTerminated) {
			t.Errorf("%d: %v", ended, err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
		defer cancel()
		if err := c.Shutdown(ctx); err != nil {
			t.Errorf("%d: %v", ended, err)
		}
		for range 2 {
			if err := receive(t, heard, "the end of the others"); !errors.Is(err, ErrClientClosed) {
				t.Errorf("%d: %v", ended, err)
			}
		}
	}
}
