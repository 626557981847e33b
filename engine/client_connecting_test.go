package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// onBridges has a client's connections carried by goroutines, as where there are no native loops.
func onBridges(c *Client) {
	c.newNative = func() (netio.System, error) { return nil, errors.ErrUnsupported }
}

// waysToTransport are the two.
var waysToTransport = map[string]func(*Client){"native": func(*Client) {}, "bridge": onBridges}

// waitingPlace is a place where a connection that is CONNECTING waits for ever.
type waitingPlace struct {
	o       ClientOptions
	url     string
	d       DialOptions
	reached func() bool // it waits there; nil: it does at once
}

// waitingPlaces are all of them. What a server or a function of the user's has been asked is counted, so that each is there when it is ended.
func waitingPlaces(t *testing.T) map[string]waitingPlace {
	silent, silentGot := silentServer(t)
	half, halfGot := answersOnce(t, func(*http.Request) string { return "HTTP/1.1 101 Switching Protocols\r\nUpgr" })
	body, bodyGot := answersOnce(t, func(*http.Request) string { return "HTTP/1.1 404 Not Found\r\nContent-Length: 1000\r\n\r\nab" })
	resolver, resolverGot := &deafResolver{}, func() bool { return true }
	web := func(addr string) string { return "ws://" + addr }
	return map[string]waitingPlace{
		"resolving":          {ClientOptions{Resolver: slowResolver{}}, "ws://h", DialOptions{}, nil},
		"resolving, deaf":    {ClientOptions{Resolver: resolver}, "ws://h", DialOptions{}, resolverGot},
		"resolving for TLS":  {ClientOptions{Resolver: slowResolver{}}, "wss://h", DialOptions{}, nil},
		"connecting":         {ClientOptions{Resolver: names{"h": nowhere(t, 8080)}}, "ws://h:8080", DialOptions{}, nil},
		"connecting for TLS": {ClientOptions{Resolver: names{"h": nowhere(t, 8080)}}, "wss://h:8080", DialOptions{}, nil},
		"DialContext":        {ClientOptions{DialContext: waits}, "ws://h", DialOptions{}, nil},
		"DialContext, deaf":  {ClientOptions{DialContext: deafDial}, "ws://h", DialOptions{}, nil},
		"TLS":                {ClientOptions{}, "wss://" + silent, DialOptions{}, silentGot},
		"HTTP proxy":         {ClientOptions{}, "ws://h.example", DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: silent})}, silentGot},
		"HTTPS proxy":        {ClientOptions{}, "ws://h.example", DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "https", Host: silent})}, silentGot},
		"SOCKS proxy":        {ClientOptions{}, "ws://h.example", DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: silent})}, silentGot},
		"request sent":       {ClientOptions{}, web(silent), DialOptions{}, silentGot},
		"half an answer":     {ClientOptions{}, half, DialOptions{}, halfGot},
		"the refusal's body": {ClientOptions{}, body, DialOptions{}, bodyGot},
	}
}

// silentServer takes connections, reads, and says nothing. got tells whether somebody has said something.
func silentServer(t *testing.T) (addr string, got func() bool) {
	heard := make(chan struct{}, 1000)
	addr = takes(t, func(nc net.Conn) {
		b := make([]byte, 4096)
		for first := true; ; first = false {
			if _, err := nc.Read(b); err != nil {
				return
			}
			if first {
				heard <- struct{}{}
			}
		}
	})
	return addr, func() bool { return taken(heard) }
}

// answersOnce answers each request with so much, and then waits for the client's end.
func answersOnce(t *testing.T, answer func(*http.Request) string) (url string, got func() bool) {
	said := make(chan struct{}, 1000)
	url = scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		_, _ = io.WriteString(nc, answer(req))
		said <- struct{}{}
		_, _ = io.Copy(io.Discard, r)
	})
	return url, func() bool { return taken(said) }
}

func taken(c chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// deafResolver heeds no context, and comes back after a while.
type deafResolver struct{}

func (*deafResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	time.Sleep(time.Second)
	return addrs("127.0.0.1"), nil
}

// deafDial does the same.
func deafDial(context.Context, string, string) (net.Conn, error) {
	time.Sleep(time.Second)
	a, b := net.Pipe()
	go func() { _, _ = io.Copy(io.Discard, b) }()
	return a, nil
}

// earlyEnds are the ways in which a connection ends that is CONNECTING, and what its error is.
var earlyEnds = map[string]struct {
	end func(*Client, *Conn)
	is  []error
}{
	"Close":         {func(_ *Client, c *Conn) { _ = c.Close() }, []error{ErrTerminated}},
	"CloseWith":     {func(_ *Client, c *Conn) { _ = c.CloseWith(4000, "enough") }, []error{ErrTerminated}},
	"CloseNoStatus": {func(_ *Client, c *Conn) { _ = c.CloseNoStatus() }, []error{ErrTerminated}},
	"Terminate":     {func(_ *Client, c *Conn) { c.Terminate(); c.Terminate(); _ = c.Close() }, []error{ErrTerminated}},
	"Post":          {func(_ *Client, c *Conn) { _ = c.Post(func(c *Conn) { _ = c.Close() }) }, []error{ErrTerminated}},
	"a panic":       {func(_ *Client, c *Conn) { _ = c.Post(func(*Conn) { panic("meant") }) }, []error{ErrHandlerPanic}},
	"Shutdown":      {func(k *Client, _ *Conn) { _ = k.Shutdown(context.Background()) }, []error{ErrTerminated, ErrClientClosed}},
	"Client.Close":  {func(k *Client, _ *Conn) { _ = k.Close() }, []error{ErrTerminated, ErrClientClosed}},
}

// TestConnectingEnded: whatever a connection that is CONNECTING waits for, and however it is ended, its handler hears OnError and OnClose once
// each, CLOSED both, and nothing is left of it.
func TestConnectingEnded(t *testing.T) {
	noGoroutinesLeft(t)
	descriptorsLeft(t)
	for _, way := range []string{"native", "bridge"} {
		for where, s := range waitingPlaces(t) {
			for how, e := range earlyEnds {
				t.Run(way+"/"+where+"/"+how, func(t *testing.T) {
					events, errs := make(chan string, 10), make(chan error, 10)
					h := eventsOf(events)
					h.Close = func(c *Conn, e CloseEvent) {
						errs <- e.Err
						events <- fmt.Sprint("close ", c.ReadyState(), " ", e.Code, " ", e.WasClean)
					}
					c := newClient(t, h, s.o)
					waysToTransport[way](c)
					conn, err := c.Start(s.url, s.d)
					if err != nil {
						t.Fatal(err)
					}
					if s.reached != nil {
						within(t, timeoutOf(5), "the connection waits", s.reached)
					}
					if got := conn.ReadyState(); got != Connecting {
						t.Error("before its end: ", got)
					}
					if err := conn.CloseWith(1001, ""); !errors.Is(err, ErrInvalidAccess) || conn.ReadyState() != Connecting {
						t.Error("CloseWith a code that is not ours: ", err, conn.ReadyState())
					}
					if conn.LocalAddr(); conn.ReadyState() != Connecting {
						t.Error(conn.ReadyState())
					}
					e.end(c, conn)
					if got := conn.ReadyState(); got < Closing && how != "Post" && how != "a panic" {
						t.Error("just after its end: ", got)
					}
					hears(t, events, failsBefore)
					err = receive(t, errs, "the error")
					for _, want := range e.is {
						if !errors.Is(err, want) {
							t.Errorf("%v is not %v", err, want)
						}
					}
					if err := conn.SendText("late"); err != ErrClosed || conn.BufferedAmount() != 4 {
						t.Error(err, conn.BufferedAmount())
					}
					if err := context.Cause(conn.Context()); err == nil {
						t.Error("its context goes on")
					}
					nothingLeft(t, c)
					quiet(t, events)
				})
			}
		}
	}
}

func hears(t *testing.T, events <-chan string, all string) {
	t.Helper()
	for want := range strings.SplitSeq(all, ", ") {
		if got := receive(t, events, want); got != want {
			t.Fatalf("heard %q, want %q", got, want)
		}
	}
}

func quiet(t *testing.T, events <-chan string) {
	t.Helper()
	select {
	case got := <-events:
		t.Errorf("heard %q after the end", got)
	default:
	}
}

// nothingLeft checks that no loop of a client has anything left of a connection.
func nothingLeft(t *testing.T, c *Client) {
	t.Helper()
	within(t, timeoutOf(5), "every connection is counted out", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		st := c.Stats()
		return c.total == 0 && st.Connecting == 0 && st.Open == 0 && st.Closing == 0 && st.Bridged == 0 && st.InboundBytes == 0 && st.QueuedBytes == 0
	})
	for _, l := range c.allLoops() {
		left := make(chan string, 1)
		look := func() {
			s := ""
			l.table.each(func(k *Conn) bool { s += fmt.Sprint("conn ", k.id, " in the table; "); return true })
			if l.dials != nil || l.wheel.Len() != 0 || l.conns.Load() != 0 {
				s += fmt.Sprint("dials: ", l.dials != nil, ", timers: ", l.wheel.Len(), ", conns: ", l.conns.Load())
			}
			left <- s
		}
		if !l.post(task{call: look}) {
			<-l.done
			look()
		}
		if s := receive(t, left, "the loop's answer"); s != "" {
			t.Errorf("loop %d: %s", l.index, s)
		}
	}
}

// TestConnectingContext: Dial returns when its context ends, whatever the connection waits for, with the context's error and cause; the handler
// hears the end as well.
func TestConnectingContext(t *testing.T) {
	enough := errors.New("enough")
	for _, way := range []string{"native", "bridge"} {
		for where, s := range waitingPlaces(t) {
			t.Run(way+"/"+where, func(t *testing.T) {
				t.Parallel()
				events := make(chan string, 10)
				c := newClient(t, eventsOf(events), s.o)
				waysToTransport[way](c)
				conn, _, err := dialWithin(t, c, s, func(d time.Duration) context.Context {
					ctx, cancel := context.WithCancelCause(t.Context())
					time.AfterFunc(d, func() { cancel(enough) })
					return ctx
				})
				if d := new(DialError); conn != nil || !errors.Is(err, enough) || !errors.Is(err, context.Canceled) || !errors.As(err, &d) || d.Reason != "canceled" {
					t.Error(conn, err)
				}
				hears(t, events, failsBefore)
				nothingLeft(t, c)
				conn, late, err := dialWithin(t, c, s, func(d time.Duration) context.Context {
					ctx, cancel := context.WithTimeoutCause(t.Context(), d, enough)
					t.Cleanup(cancel)
					return ctx
				})
				if d := new(DialError); conn != nil || !errors.Is(err, enough) || !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &d) || !d.Timeout() {
					t.Error(conn, err)
				}
				hears(t, events, failsBefore)
				nothingLeft(t, c)
				if conn, err := c.Dial(late, s.url, s.d); conn != nil || !errors.Is(err, enough) { // it has ended before: nothing begins
					t.Error(conn, err)
				}
				quiet(t, events)
				if st := c.Stats(); st.Dials != 2 || st.DialsFailed["canceled"] != 1 || st.DialsFailed["timeout"] != 1 || st.Accepted != 0 {
					t.Errorf("%+v", st)
				}
			})
		}
	}
}

// TestConnectingByCallback: a connection that is CONNECTING is begun and ended in another one's callback, on the same loop: its events come
// when that callback has returned.
func TestConnectingByCallback(t *testing.T) {
	silent, _ := silentServer(t)
	_, at := echoes(t)
	var trace []string
	done := make(chan []string, 1)
	var c *Client
	h := Funcs{}
	other := Funcs{
		Error: func(c *Conn, err error) { trace = append(trace, "error "+c.Value().(string)) },
		Close: func(c *Conn, e CloseEvent) {
			if trace = append(trace, "close "+c.Value().(string)); len(trace) == 7 {
				done <- slices.Clone(trace)
			}
		},
	}
	h.Open = func(*Conn) {
		for name, end := range map[string]func(*Conn){
			"a": func(c *Conn) { _ = c.Close() }, "b": (*Conn).Terminate, "c": func(c *Conn) { _ = c.CloseNoStatus() },
		} {
			conn, err := c.Start("ws://"+silent, DialOptions{Value: name, Handler: other})
			if err != nil {
				t.Error(err)
				return
			}
			end(conn)
			if s := conn.ReadyState(); s != Closing {
				t.Error(s)
			}
		}
		if _, err := c.Dial(context.Background(), "ws://"+silent, DialOptions{}); err != ErrOnLoop {
			t.Error(err)
		}
		trace = append(trace, "returned")
	}
	c = newClient(t, h, ClientOptions{Loops: 1, HandshakeTimeout: 50 * time.Millisecond})
	if _, err := c.Start("ws://"+at, DialOptions{}); err != nil {
		t.Fatal(err)
	}
	got := receive(t, done, "all ends")
	if got[0] != "returned" {
		t.Error(got)
	}
	for i := 1; i < len(got); i += 2 {
		if name, ok := strings.CutPrefix(got[i], "error "); !ok || got[i+1] != "close "+name {
			t.Error(got)
		}
	}
}

// dialWithin dials with a context that ends soon, but not before the dial has begun.
func dialWithin(t *testing.T, c *Client, s waitingPlace, soon func(time.Duration) context.Context) (*Conn, context.Context, error) {
	for d := 50 * time.Millisecond; ; d *= 2 {
		before := c.Stats().Dials
		ctx := soon(d)
		conn, err := c.Dial(ctx, s.url, s.d)
		if c.Stats().Dials > before {
			return conn, ctx, err
		}
	}
}
