package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestDialHandler: a connection may have a handler and limits of its own; the client's hears nothing of it.
func TestDialHandler(t *testing.T) {
	for _, workers := range []int{0, 2} {
		t.Run(fmt.Sprint(workers), func(t *testing.T) {
			w := doorNamed(t, "tcp").build(t, echoHandler, Options{})
			events := make(chan string, 100)
			hears := func(who string) Funcs {
				return Funcs{
					Open:    func(c *Conn) { events <- who + " open"; _ = c.SendText("hello") },
					Message: func(c *Conn, m Message) { events <- who + " " + string(m.Data); _ = c.Close() },
					Close:   func(_ *Conn, e CloseEvent) { events <- fmt.Sprint(who, " close ", e.Code) },
				}
			}
			c := newClient(t, hears("client"), ClientOptions{Workers: workers})
			for _, o := range []DialOptions{{}, {Handler: hears("own"), Limits: Limits{MaxMessageSize: 5}}} {
				who, most := "client", int64(MaxMessage)
				if o.Handler != nil {
					who, most = "own", 5
				}
				conn, err := c.Start("ws://"+w.Addr().String(), o)
				if err != nil {
					t.Fatal(err)
				}
				if got := conn.Limits().MaxMessageSize; got != most {
					t.Errorf("%s: MaxMessageSize is %d, want %d", who, got, most)
				}
				for _, want := range []string{" open", " hello", " close 1000"} {
					if got := receive(t, events, want); got != who+want {
						t.Errorf("got %q, want %q", got, who+want)
					}
				}
			}
		})
	}
}

// TestDialHandlerLimits: the limits hold from the first message on.
func TestDialHandlerLimits(t *testing.T) {
	w := doorNamed(t, "tcp").build(t, Funcs{Open: func(c *Conn) { _ = c.SendText("123456") }}, Options{})
	closed := make(chan CloseEvent, 1)
	c := newClient(t, Funcs{}, ClientOptions{})
	h := Funcs{Close: func(_ *Conn, e CloseEvent) { closed <- e }, Message: func(*Conn, Message) { t.Error("delivered") }}
	if _, err := c.Start("ws://"+w.Addr().String(), DialOptions{Handler: h, Limits: Limits{MaxMessageSize: 5}}); err != nil {
		t.Fatal(err)
	}
	if e := receive(t, closed, "close"); e.Code != 1006 || !errors.Is(e.Err, ErrTooLarge) {
		t.Errorf("%+v", e)
	}
}

type neverCalled struct{}

func (*neverCalled) OnPing(*Conn, []byte)     {}
func (neverCalled) OnOpen(*Conn)              {}
func (neverCalled) OnMessage(*Conn, Message)  {}
func (neverCalled) OnClose(*Conn, CloseEvent) {}
func dialOf(t *testing.T, o DialOptions) error {
	c := newClient(t, Funcs{}, ClientOptions{})
	_, err := c.Dial(context.Background(), "ws://192.0.2.1", o)
	return err
}

func TestDialHandlerRefused(t *testing.T) {
	for name, o := range map[string]DialOptions{
		"OnPing":                       {Handler: neverCalled{}},
		"Mux":                          {Handler: NewMux()},
		"DialOptions: Limits: MaxFrag": {Limits: Limits{MaxFragments: -1}},
		"PingInterval":                 {Limits: Limits{IdleTimeout: time.Second, PingInterval: time.Minute}},
	} {
		if err := dialOf(t, o); !errors.Is(err, ErrSyntax) || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "DialOptions") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
