package reconnect

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// TestMisuse: what can not be is an error of Start that names it, and the Handler hears nothing.
func TestMisuse(t *testing.T) {
	client := newClient(t, engine.ClientOptions{})
	ended, cancel := context.WithCancelCause(context.Background())
	cancel(errEnough)
	const url = "ws://127.0.0.1:4000"
	for name, trial := range map[string]struct {
		client *engine.Client
		url    string
		o      Options
		want   error
	}{
		"client":        {url: url, want: engine.ErrSyntax},
		"url":           {client: client, url: "no url", want: engine.ErrSyntax},
		"fragment":      {client: client, url: url + "/#", want: engine.ErrSyntax},
		"port":          {client: client, url: "ws://127.0.0.1:25", want: engine.ErrSecurity},
		"offered":       {client: client, url: url, o: Options{Dial: engine.DialOptions{Protocols: []string{"a", "a"}}}, want: engine.ErrSyntax},
		"Dial.Handler":  {client: client, url: url, o: Options{Dial: engine.DialOptions{Handler: engine.Funcs{}}}, want: engine.ErrSyntax},
		"FirstDelay":    {client: client, url: url, o: Options{FirstDelay: -1}, want: engine.ErrSyntax},
		"FirstDelay ":   {client: client, url: url, o: Options{FirstDelay: longest + 1}, want: engine.ErrSyntax},
		"MaxDelay":      {client: client, url: url, o: Options{FirstDelay: 2, MaxDelay: 1}, want: engine.ErrSyntax},
		"MaxDelay ":     {client: client, url: url, o: Options{MaxDelay: longest + 1}, want: engine.ErrSyntax},
		"MaxRetryAfter": {client: client, url: url, o: Options{MaxRetryAfter: -1}, want: engine.ErrSyntax},
		"StableAfter":   {client: client, url: url, o: Options{StableAfter: -1}, want: engine.ErrSyntax},
		"MaxAttempts":   {client: client, url: url, o: Options{MaxAttempts: -1}, want: engine.ErrSyntax},
		"MaxElapsed":    {client: client, url: url, o: Options{MaxElapsed: -1}, want: engine.ErrSyntax},
	} {
		d := newDiary(t)
		c, err := Start(context.Background(), trial.client, trial.url, d, trial.o)
		if c != nil || !errors.Is(err, trial.want) {
			t.Errorf("%s: %v, %v", name, c, err)
		}
		if option := strings.TrimSpace(name); option[0] < 'a' && !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
		if len(d.lines) > 0 {
			t.Errorf("%s: the Handler hears of it", name)
		}
	}
	if c, err := Start(context.Background(), client, url, nil, Options{}); c != nil || !errors.Is(err, engine.ErrSyntax) {
		t.Error(c, err)
	}
	if c, err := Start(ended, client, url, newDiary(t), Options{}); c != nil || err != errEnough {
		t.Error(c, err)
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := Start(context.Background(), client, url, newDiary(t), Options{}); c != nil || err != engine.ErrClientClosed {
		t.Error(c, err)
	}
}

// TestDefaults are what the documentation says.
func TestDefaults(t *testing.T) {
	for _, trial := range []struct{ o, want Options }{
		{Options{}, Options{FirstDelay: time.Second, MaxDelay: 30 * time.Second, MaxRetryAfter: 10 * time.Minute, StableAfter: 30 * time.Second}},
		{Options{FirstDelay: time.Minute}, Options{FirstDelay: time.Minute, MaxDelay: time.Minute, MaxRetryAfter: 10 * time.Minute, StableAfter: time.Minute}},
	} {
		if err := trial.o.complete(); err != nil || trial.o.Logger == nil {
			t.Error(err)
		}
		got := []time.Duration{trial.o.FirstDelay, trial.o.MaxDelay, trial.o.MaxRetryAfter, trial.o.StableAfter}
		want := []time.Duration{trial.want.FirstDelay, trial.want.MaxDelay, trial.want.MaxRetryAfter, trial.want.StableAfter}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("%v, want %v", got, want)
			}
		}
	}
}

// TestCloseCodesOfUsers: 1000 and 3000 to 4999, and reasons that fit, in every state; an error changes nothing.
func TestCloseCodesOfUsers(t *testing.T) {
	d, k := newDiary(t), newHandClock()
	c := begin(t, nowhere(t), d, Options{}, k.clock())
	d.loss()
	for _, code := range []int{-1, 0, 999, 1001, 1005, 1006, 1008, 1011, 1015, 2999, 5000, 66536} {
		if err := c.CloseWith(code, strings.Repeat("x", 124)); !errors.Is(err, engine.ErrInvalidAccess) {
			t.Error(code, err)
		}
	}
	for _, reason := range []string{strings.Repeat("x", 124), strings.Repeat("¥", 62), "\xff"} {
		if err := c.CloseWith(1000, reason); !errors.Is(err, engine.ErrSyntax) {
			t.Error(reason, err)
		}
	}
	if c.ReadyState() != engine.Connecting {
		t.Error(c.ReadyState())
	}
	if err := c.CloseWith(4999, strings.Repeat("¥", 61)); err != nil || c.ReadyState() < engine.Closing {
		t.Error(err, c.ReadyState())
	}
	d.end()
}

// whole is a Handler with every optional method.
type whole struct {
	*diary
	did chan string
}

func (h whole) OnHighWater(*Conn)               { h.did <- "high" }
func (h whole) OnDrain(*Conn)                   { h.did <- "drain" }
func (h whole) OnPing(_ *Conn, payload []byte)  { h.did <- "ping " + string(payload) }
func (h whole) OnPong(_ *Conn, payload []byte)  { h.did <- "pong " + string(payload) }
func (h whole) OnChunk(_ *Conn, k engine.Chunk) { h.did <- "chunk " + string(k.Data) }

// TestOptionalMethods are called as an engine.Handler's are.
func TestOptionalMethods(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	h := whole{d, make(chan string, 100)}
	o := Options{Dial: engine.DialOptions{Limits: engine.Limits{HighWater: 8 << 20, MaxBufferedAmount: -1}}}
	c := begin(t, s.ws(), h, o, k.clock())
	peer := s.conn(t)
	within(t, "OPEN", func() bool { return c.Current() != nil })
	wants := func(want string) {
		t.Helper()
		if got := receive(t, h.did, want); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	_ = peer.SendText("x")
	wants("chunk x")
	_ = peer.Ping([]byte("1"))
	wants("ping 1")
	_ = c.Current().Ping([]byte("2"))
	wants("pong 2")
	peer.Pause()
	for range 64 {
		_ = c.SendBinary(make([]byte, 1<<20))
	}
	wants("high")
	peer.Resume()
	wants("drain")
}

// TestTooManyConns: at Start it is an error, later an attempt that failed.
func TestTooManyConns(t *testing.T) {
	s, k := newShore(t, nil), newHandClock()
	client := newClient(t, engine.ClientOptions{MaxConns: 1})
	beginWith(t, client, s.ws(), newDiary(t), Options{}, k.clock())
	s.conn(t)
	d := newDiary(t)
	if c, err := start(context.Background(), client, s.ws(), d, Options{}, k.clock()); c != nil || err != engine.ErrTooManyConns {
		t.Error(c, err)
	}
	beginWith(t, client, s.ws(), d, Options{Prepare: func(context.Context, *Attempt) error { return nil }}, k.clock())
	if l := d.loss(); l.Event.Err != engine.ErrTooManyConns || l.Delay != time.Second {
		t.Errorf("%+v", l)
	}
}

// TestNamesAreResolvedAgain: a server that moves is found, for each attempt asks for its address.
func TestNamesAreResolvedAgain(t *testing.T) {
	s, d, k := newShore(t, nil), newDiary(t), newHandClock()
	asked := 0
	client := newClient(t, engine.ClientOptions{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		if asked++; asked == 1 {
			return nil, &net.DNSError{Err: "no such host", IsNotFound: true}
		}
		return new(net.Dialer).DialContext(ctx, network, s.Listener.Addr().String())
	}})
	beginWith(t, client, "ws://gannet.example", d, Options{}, k.clock())
	d.loss()
	k.fire(t)
	s.conn(t)
}

// Handlers of which something would never be called.
type (
	engineDrain  struct{ Funcs }
	resultPong   struct{ Funcs }
	errorHandler struct{ Funcs }
)

func (engineDrain) OnDrain(*engine.Conn)      {}
func (resultPong) OnPong(*Conn, []byte) error { return nil }
func (errorHandler) OnError(*Conn, error)     {}

// TestNeverCalled: a method that looks like a callback and is none is an error that names it.
func TestNeverCalled(t *testing.T) {
	client := newClient(t, engine.ClientOptions{})
	for name, h := range map[string]Handler{"OnDrain": engineDrain{}, "OnPong": resultPong{}, "OnError": errorHandler{}} {
		c, err := Start(t.Context(), client, nowhere(t), h, Options{})
		if c != nil || !errors.Is(err, engine.ErrSyntax) || !strings.Contains(err.Error(), name) {
			t.Error(c, err)
		}
	}
}
