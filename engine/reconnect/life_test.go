package reconnect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// TestComesBack: natively and over a bridge, with workers and without.
func TestComesBack(t *testing.T) {
	bridged := func(ctx context.Context, network, addr string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	for name, o := range map[string]engine.ClientOptions{
		"loop": {}, "workers": {Workers: 2}, "bridge": {DialContext: bridged}, "bridge, workers": {DialContext: bridged, Workers: 2},
	} {
		t.Run(name, func(t *testing.T) {
			s, d := newShore(t, nil), newDiary(t)
			c := beginWith(t, newClient(t, o), s.ws(), d, Options{FirstDelay: 20 * time.Millisecond}, &systemClock)
			for i := 1; i <= 3; i++ {
				peer := s.conn(t)
				d.wants(fmt.Sprint("open ", i, " CONNECTING"))
				if got := receive(t, s.heard, "what OnOpen sent"); got != fmt.Sprint("hello ", i) {
					t.Error(got)
				}
				_ = peer.SendText("x")
				d.wants("message x OPEN")
				if err := c.SendText("from elsewhere"); err != nil {
					t.Error(err)
				}
				receive(t, s.heard, "what Send sent")
				peer.Terminate()
				d.wants("lost 1006 CONNECTING")
			}
			s.conn(t)
			d.wants("open 4 CONNECTING")
			within(t, "OPEN", func() bool { return c.ReadyState() == engine.Open })
			if err := c.CloseWith(4001, "enough"); err != nil {
				t.Error(err)
			}
			d.wants("close 4001 CLOSED")
			if why := d.end(); why != nil || c.ReadyState() != engine.Closed {
				t.Error(why, c.ReadyState())
			}
		})
	}
}

// TestServerRestarts: it disappears, nobody is there for a while, and it comes back at the same address.
func TestServerRestarts(t *testing.T) {
	s, d := newShore(t, nil), newDiary(t)
	begin(t, s.ws(), d, Options{FirstDelay: 5 * time.Millisecond, MaxDelay: 20 * time.Millisecond}, &systemClock)
	s.conn(t)
	d.wants("open 1 CONNECTING")
	_ = s.engine.Close()
	s.Server.Close()
	for l := d.loss(); errorIsNot[*engine.DialError](l.Event.Err); l = d.loss() {
	}
	ln, err := net.Listen("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	again := newShore(t, nil)
	web := &http.Server{Handler: again.engine}
	go func() { _ = web.Serve(ln) }()
	defer web.Close()
	again.conn(t)
	if got := receive(t, again.heard, "what OnOpen sent"); got != "hello 2" {
		t.Error(got)
	}
}

func errorIsNot[E error](err error) bool {
	_, ok := errors.AsType[E](err)
	return !ok
}

// silent is a server that takes connections and answers nothing.
func silent(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
		}
	}()
	return "ws://" + ln.Addr().String()
}

// ends is a way to end a Conn, with what OnClose is told.
var ends = map[string]struct {
	end func(c *Conn, cancel context.CancelCauseFunc)
	why error
}{
	"Close":     {func(c *Conn, _ context.CancelCauseFunc) { _ = c.Close() }, nil},
	"CloseWith": {func(c *Conn, _ context.CancelCauseFunc) { _ = c.CloseWith(3000, "x") }, nil},
	"context":   {func(_ *Conn, cancel context.CancelCauseFunc) { cancel(errEnough) }, errEnough},
}

var errEnough = errors.New("enough")

// TestEnds: at each point of its life a Conn can be ended, and OnClose comes then, once, and nothing after it.
func TestEnds(t *testing.T) {
	for way, e := range ends {
		for _, point := range []string{"connecting", "open", "waiting", "preparing", "in open", "in message", "in lost", "in close"} {
			t.Run(way+" "+point, func(t *testing.T) {
				before := runtime.NumGoroutine()
				t.Run("", func(t *testing.T) { endAt(t, point, e.end, e.why) })
				within(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before })
			})
		}
	}
}

func endAt(t *testing.T, point string, end func(*Conn, context.CancelCauseFunc), why error) {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	o := Options{Logger: quiet}
	url := s.ws()
	if in, ok := strings.CutPrefix(point, "in "); ok {
		d.do[in] = func(c *Conn) { end(c, cancel) }
	}
	preparing := make(chan struct{})
	switch point {
	case "connecting":
		url = silent(t)
	case "waiting", "in lost":
		url = nowhere(t)
	case "preparing":
		o.Prepare = func(ctx context.Context, _ *Attempt) error {
			close(preparing)
			<-ctx.Done()
			return ctx.Err()
		}
	}
	c, err := start(ctx, newClient(t, engine.ClientOptions{}), url, d, o, k.clock())
	if err != nil {
		t.Fatal(err)
	}
	switch point {
	case "connecting":
		time.Sleep(10 * time.Millisecond)
	case "waiting":
		d.loss()
		within(t, "the wait", k.waits)
	case "preparing":
		receive(t, preparing, "Prepare")
	case "open":
		d.wants("open 1 CONNECTING")
	case "in message":
		_ = s.conn(t).SendText("x")
	case "in close":
		end(c, cancel)
	}
	if !strings.HasPrefix(point, "in ") {
		end(c, cancel)
		if st := c.ReadyState(); st < engine.Closing && way(why) {
			t.Error(st)
		}
	}
	if got := d.end(); got != why {
		t.Errorf("why is %v, want %v", got, why)
	}
	if err := c.SendText("x"); !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if k.waits() {
		t.Error("another attempt waits")
	}
	if c.Current() != nil || c.ReadyState() != engine.Closed {
		t.Error(c.Current(), c.ReadyState())
	}
}

// way tells whether the end was called at once, and not by a context's goroutine.
func way(why error) bool { return why == nil }

// TestEndsFromManyGoroutines: whoever comes first, at whatever moment.
func TestEndsFromManyGoroutines(t *testing.T) {
	s := newShore(t, func(n int, w http.ResponseWriter, _ *http.Request) bool {
		if n%3 == 0 {
			w.WriteHeader(503)
		}
		return n%3 == 0
	})
	client := newClient(t, engine.ClientOptions{Workers: 2})
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			d := newDiary(t)
			ctx, cancel := context.WithCancelCause(context.Background())
			defer cancel(nil)
			c, err := Start(ctx, client, s.ws(), d, Options{FirstDelay: time.Millisecond, MaxDelay: 3 * time.Millisecond, Logger: quiet})
			if err != nil {
				t.Error(err)
				return
			}
			var busy sync.WaitGroup
			for j := range 4 {
				busy.Go(func() {
					for range i % 20 {
						_ = c.SendText("x")
						if now := c.Current(); now != nil && j == 0 {
							now.Terminate()
						}
						time.Sleep(time.Millisecond)
					}
					switch j {
					case 1:
						cancel(nil)
					default:
						_ = c.Close()
					}
				})
			}
			busy.Wait()
			d.end()
			time.Sleep(5 * time.Millisecond)
			if len(d.ends) > 0 {
				t.Error("a second OnClose")
			}
		})
	}
	all.Wait()
}

// TestClientCloses: a connection hears of it at its next attempt.
func TestClientCloses(t *testing.T) {
	for _, open := range []bool{true, false} {
		s, d, k := newShore(t, nil), newDiary(t), newHandClock()
		url := s.ws()
		if !open {
			url = nowhere(t)
		}
		client := newClient(t, engine.ClientOptions{})
		beginWith(t, client, url, d, Options{}, k.clock())
		if open {
			s.conn(t)
		} else {
			d.loss()
		}
		if err := client.Close(); err != nil {
			t.Fatal(err)
		}
		k.fire(t)
		if why := d.end(); !errors.Is(why, engine.ErrClientClosed) {
			t.Error(why)
		}
	}
}

// TestSend: what can not be sent now is never sent.
func TestSend(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	prepared, err := engine.Prepare(engine.OpText, []byte("not now"))
	if err != nil {
		t.Fatal(err)
	}
	refused := func(c *Conn) {
		t.Helper()
		for _, err := range []error{c.SendText("not now"), c.SendBinary([]byte("not now")), c.Send(engine.OpText, nil), c.SendPrepared(prepared)} {
			if !errors.Is(err, ErrNotConnected) || !errors.Is(err, engine.ErrInvalidState) {
				t.Error(err)
			}
		}
	}
	d.do["open"], d.do["lost"] = refused, refused
	c := begin(t, s.ws(), d, Options{Prepare: func(context.Context, *Attempt) error { return nil }}, k.clock())
	peer := s.conn(t)
	within(t, "OPEN", func() bool { return c.ReadyState() == engine.Open })
	if got := receive(t, s.heard, "the first hello"); got != "hello 1" { // else it may end unread
		t.Errorf("got %q", got)
	}
	peer.Terminate()
	d.loss()
	refused(c)
	k.fire(t)
	s.conn(t)
	within(t, "OPEN", func() bool { return c.ReadyState() == engine.Open })
	for _, err := range []error{c.SendText("1"), c.SendBinary([]byte("2")), c.Send(engine.OpText, []byte("3"), engine.NoCompress)} {
		if err != nil {
			t.Error(err)
		}
	}
	for _, want := range []string{"hello 2", "1", "2", "3"} {
		if got := receive(t, s.heard, want); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestUnsent: what did not leave is told, to the byte.
func TestUnsent(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	c := begin(t, s.ws(), d, Options{}, k.clock())
	peer := s.conn(t)
	peer.Pause()
	within(t, "OPEN", func() bool { return c.Current() != nil })
	now := c.Current()
	for range 64 {
		if err := c.SendBinary(make([]byte, 256<<10)); err != nil {
			t.Fatal(err)
		}
	}
	peer.Terminate()
	l := d.loss()
	if l.Unsent == 0 || l.Unsent > 64*256<<10 || l.Unsent != now.BufferedAmount() {
		t.Errorf("%d bytes unsent, the connection says %d", l.Unsent, now.BufferedAmount())
	}
	if err := c.SendText("more"); err == nil || now.BufferedAmount() != l.Unsent {
		t.Error(err, now.BufferedAmount(), l.Unsent)
	}
}

// TestPanics: a callback that panics, or ends its goroutine, does not end the coming back.
func TestPanics(t *testing.T) {
	for name, bad := range map[string]func(*Conn){"panic": func(*Conn) { panic("oh") }, "exit": func(*Conn) { runtime.Goexit() }} {
		for _, in := range []string{"open", "message", "lost", "close"} {
			t.Run(name+" in "+in, func(t *testing.T) {
				s, d, k := newShore(t, nil), newDiary(t), newHandClock()
				d.do[in] = bad
				c := begin(t, s.ws(), d, Options{}, k.clock())
				for range 2 {
					peer := s.conn(t)
					_ = peer.SendText("x")
					if in == "lost" || in == "close" {
						receive(t, s.heard, "hello")
						peer.Terminate()
					}
					d.loss()
					k.fire(t)
				}
				_ = c.Close()
				within(t, "CLOSED", func() bool { return c.ReadyState() == engine.Closed })
			})
		}
	}
}

// TestEndsWhileItBegins: Close comes between the decision for an attempt and the connection, which nobody can see yet.
func TestEndsWhileItBegins(t *testing.T) {
	d, k := newDiary(t), newHandClock()
	client := newClient(t, engine.ClientOptions{HandshakeTimeout: longest})
	o := Options{Prepare: func(context.Context, *Attempt) error { return nil }}
	var c *Conn
	made := make(chan struct{})
	o.Dial.Proxy = func(*http.Request) (*url.URL, error) {
		<-made
		return nil, c.Close()
	}
	c = beginWith(t, client, silent(t), d, o, k.clock())
	close(made)
	d.wants("close 1006 CLOSED")
}

// TestOpensAfterClose: a connection that opens when its Conn was closed is closed as well, and nobody hears of it.
func TestOpensAfterClose(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	client := newClient(t, engine.ClientOptions{})
	c := beginWith(t, client, nowhere(t), d, Options{}, k.clock())
	_ = c.Close()
	d.end()
	now, err := client.Dial(t.Context(), s.ws(), engine.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c.opened(now)
	if now.ReadyState() < engine.Closing {
		t.Error(now.ReadyState())
	}
}
