package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// eachPath runs a test with and without workers, on native loops and on a bridge.
func eachPath(t *testing.T, f func(t *testing.T, d door, workers int)) {
	for _, name := range []string{"tcp", "bridged pipe"} {
		for _, workers := range []int{0, 2} {
			t.Run(fmt.Sprint(name, workers), func(t *testing.T) { f(t, doorNamed(t, name), workers) })
		}
	}
}

// clientOf is a client of a house, and the URL to dial.
func clientOf(t *testing.T, w *house, h Funcs, o ClientOptions) (*Client, string) {
	if w.bridged {
		o.DialContext = func(context.Context, string, string) (net.Conn, error) { return w.knock() }
		return newClient(t, h, o), "ws://pipe.test"
	}
	return newClient(t, h, o), "ws://" + w.Addr().String()
}

func mustDial(t *testing.T, c *Client, url string, o DialOptions) *Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(5))
	defer cancel()
	conn, err := c.Dial(ctx, url, o)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// noteTo writes a handler's events to a channel.
func noteTo(events chan<- string, who string) Funcs {
	return Funcs{
		Open:    func(*Conn) { events <- who + " open" },
		Message: func(_ *Conn, m Message) { events <- who + " " + string(m.Data) },
		Error:   func(_ *Conn, err error) { events <- who + " error" },
		Close:   func(_ *Conn, e CloseEvent) { events <- fmt.Sprint(who, " close ", e.Code) },
	}
}

func expectEvents(t *testing.T, events <-chan string, want ...string) {
	t.Helper()
	for _, w := range want {
		if got := receive(t, events, w); got != w {
			t.Errorf("got %q, want %q", got, w)
		}
	}
}

// What comes after SetHandler is the other handler's, the end above all.
func TestSetHandlerInOnOpen(t *testing.T) {
	eachPath(t, func(t *testing.T, d door, workers int) {
		events := make(chan string, 100)
		first := noteTo(events, "first")
		first.Open = func(c *Conn) {
			events <- "first open"
			if err := c.SetHandler(noteTo(events, "second")); err != nil {
				t.Error(err)
			}
			if _, ok := c.Handler().(Funcs); !ok {
				t.Error(c.Handler())
			}
		}
		w := d.build(t, first, Options{Workers: workers})
		client, url := clientOf(t, w, Funcs{Open: func(c *Conn) { _ = c.SendText("hello"); _ = c.Close() }}, ClientOptions{})
		mustDial(t, client, url, DialOptions{})
		expectEvents(t, events, "first open", "second hello", "second close 1000")
	})
}

func TestSetHandlerInOnUpgrade(t *testing.T) {
	events := make(chan string, 100)
	first := noteTo(events, "first")
	first.Upgrade = func(u *Upgrade) {
		if err := u.Conn().SetHandler(noteTo(events, "second")); err != nil {
			t.Error(err)
		}
	}
	second := make(chan string, 1)
	w := doorNamed(t, "tcp").build(t, muxOf(t, map[string]Handler{"/{x}": first}), Options{})
	client, url := clientOf(t, w, Funcs{Close: func(*Conn, CloseEvent) { close(second) }}, ClientOptions{})
	mustDial(t, client, url+"/a", DialOptions{})
	expectEvents(t, events, "second open")
	for c := range w.Conns() {
		if c.Route() != "/{x}" {
			t.Errorf("its route is %q", c.Route())
		}
		_ = c.CloseWith(4000, "")
		if err := c.SetLimits(Limits{MaxMessageSize: 100}); err != nil || c.Handler() == nil {
			t.Error(err, c.Handler()) // a change of limits keeps the handler
		}
	}
	expectEvents(t, events, "second close 4000")
	receive(t, second, "the client's OnClose")
}

func TestDialOptionsHandler(t *testing.T) {
	eachPath(t, func(t *testing.T, d door, workers int) {
		events := make(chan string, 100)
		w := d.build(t, echoHandler, Options{})
		client, url := clientOf(t, w, noteTo(events, "client's"), ClientOptions{Workers: workers})
		own := mustDial(t, client, url, DialOptions{Handler: noteTo(events, "own")})
		_ = own.SendText("x")
		expectEvents(t, events, "own open", "own x")
		_ = own.Close()
		expectEvents(t, events, "own close 1000")
		other := mustDial(t, client, url, DialOptions{})
		_ = other.Close()
		expectEvents(t, events, "client's open", "client's close 1000")
		if _, err := client.Start(url, DialOptions{Handler: new(Mux)}); !errors.Is(err, ErrSyntax) {
			t.Error("a Mux:", err)
		}
		if _, err := client.Start("ws://x:1/", DialOptions{AllowPort: 1, Handler: (*faulty)(nil)}); !errors.Is(err, ErrSyntax) {
			t.Error("a nil pointer:", err)
		}
	})
}

type faulty struct{ Funcs }

func TestSetHandlerErrors(t *testing.T) {
	if err := new(Conn).SetHandler(Funcs{}); !errors.Is(err, ErrInvalidState) {
		t.Error("the zero Conn:", err)
	}
	opened, closed := make(chan *Conn, 1), make(chan struct{})
	w := doorNamed(t, "tcp").build(t, Funcs{
		Open:  func(c *Conn) { opened <- c },
		Chunk: func(*Conn, Chunk) {},
		Close: func(*Conn, CloseEvent) { close(closed) },
	}, Options{})
	client, url := clientOf(t, w, Funcs{}, ClientOptions{})
	mustDial(t, client, url, DialOptions{})
	c := receive(t, opened, "OnOpen")
	for name, h := range map[string]Handler{"nil": nil, "a Mux": new(Mux), "a nil pointer": (*faulty)(nil)} {
		if err := c.SetHandler(h); !errors.Is(err, ErrSyntax) {
			t.Error(name, err)
		}
	}
	if err := c.SetHandler(Funcs{}); err != ErrInvalidState {
		t.Error("of a message in parts the end alone:", err)
	}
	_ = c.Close()
	receive(t, closed, "OnClose")
	if err := c.SetHandler(Funcs{Chunk: func(*Conn, Chunk) {}}); err != ErrClosed {
		t.Error("CLOSED:", err)
	}
}

// After CloseWrite the peer's messages still come, until its Close; after Close none does.
func TestCloseWrite(t *testing.T) {
	eachPath(t, func(t *testing.T, d door, workers int) {
		const messages = 2000
		events := make(chan string, 3*messages)
		w := d.build(t, echoHandler, Options{})
		h := noteTo(events, "client")
		h.Open = func(c *Conn) {
			for i := range messages {
				_ = c.SendText(fmt.Sprint(i, strings.Repeat(".", 500)))
			}
			if err := c.CloseWrite(); err != nil || c.ReadyState() != Closing {
				t.Error(err, c.ReadyState())
			}
			if err := c.SendText("too late"); err != ErrClosed {
				t.Error(err)
			}
		}
		heard := 0
		h.Message = func(c *Conn, m Message) {
			if heard++; heard == 10 { // it is still the handler's pace
				c.Pause()
				time.AfterFunc(50*time.Millisecond, c.Resume) // the peer has closed long before
			}
			events <- string(m.Data[:strings.IndexByte(string(m.Data), '.')])
		}
		client, url := clientOf(t, w, h, ClientOptions{Workers: workers, InboxBytes: 16 << 10})
		mustDial(t, client, url, DialOptions{})
		for i := range messages {
			expectEvents(t, events, fmt.Sprint(i))
		}
		expectEvents(t, events, "client close 1000")
	})
}

// DrainQueue waits for the fragments of a message that has not ended; Drain for its end.
func TestDrainQueue(t *testing.T) {
	for _, deflated := range []bool{false, true} {
		t.Run(fmt.Sprint(deflated), func(t *testing.T) {
			const fragment, fragments = 300 << 10, 20
			var o Options
			var co ClientOptions
			if deflated {
				o.Deflate, co.Deflate = &deflate.Policy{}, &deflate.Policy{}
			}
			heard := make(chan int, 1)
			w := doorNamed(t, "tcp").build(t, Funcs{Message: func(_ *Conn, m Message) { heard <- len(m.Data) }}, o)
			client, url := clientOf(t, w, Funcs{}, co)
			c := mustDial(t, client, url, DialOptions{})
			ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(20))
			defer cancel()
			m := c.NewWriter(OpBinary)
			for i := range fragments {
				if _, err := m.Write(randomBytes(fragment)); err != nil {
					t.Fatal(err)
				}
				if err := c.DrainQueue(ctx); err != nil {
					t.Fatal(err)
				}
				if a := account(c); a.Queued != 0 || a.Deferred != 0 || a.Long != 0 {
					t.Fatalf("fragment %d: %+v", i, a)
				}
				if n := c.BufferedAmount(); n != uint64((i+1)*fragment) {
					t.Fatal("BufferedAmount:", n)
				}
			}
			if err := m.Close(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(c.Drain(ctx), c.DrainQueue(ctx)); err != nil {
				t.Fatal(err)
			}
			if n := receive(t, heard, "the message"); n != fragment*fragments {
				t.Error(n)
			}
			c.Terminate()
			within(t, timeoutOf(5), "CLOSED", func() bool { return c.ReadyState() == Closed })
			if err := c.DrainQueue(ctx); err != ErrClosed {
				t.Error(err)
			}
		})
	}
}

// account is what waits.
func account(c *Conn) outgoing.Account {
	c.lock()
	defer c.unlock()
	return c.out.Account()
}

func randomBytes(n int) []byte {
	p := make([]byte, n)
	_, _ = rand.Read(p)
	return p
}
