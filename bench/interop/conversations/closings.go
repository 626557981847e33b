package main

import (
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

var closings = []conversation{
	{"closing by the client", anything, closingByClient},
	{"closing by the client without a code", anything, closingWithoutCode},
	{"closing by the server", anything, closingByServer},
	{"a server that drops the connection", anything, dropped},
}

// longReason is as long as a reason may be: 123 bytes.
var longReason = strings.Repeat("ü", 60) + "abc"

type ending struct {
	code   int
	reason string
}

// closingByClient: the server answers with the same code, and has heard the reason.
func closingByClient(t *talk) {
	for _, k := range []ending{{1000, ""}, {1000, "done"}, {3000, "größer"}, {4321, longReason}, {4999, "last"}} {
		c := t.open("/echo", engine.DialOptions{})
		t.want(c.CloseWith(k.code, k.reason) == nil, "CloseWith answered an error")
		e := t.ended("open close")
		answered := e.Code == k.code || t.to.server == "aiohttp" && e.Code == 1000 // which always answers so
		t.want(e.WasClean && answered && e.Err == nil, "closed with %+v after CloseWith(%d, %q)", e, k.code, k.reason)
		t.serverHeard(fmt.Sprint(k.code, " ", k.reason))
	}
}

func closingWithoutCode(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	t.want(c.CloseNoStatus() == nil, "CloseNoStatus answered an error")
	e := t.ended("open close")
	t.want(e.WasClean && (e.Code == 1005 || e.Code == 1000) && e.Err == nil, "closed with %+v after CloseNoStatus", e)
	heard := "1005 "
	if t.to.server == "aiohttp" {
		heard = "0 "
	}
	t.serverHeard(heard)
}

// serverHeard asks the server how the last connection to /echo was closed. It may hear of it after us.
func (t *talk) serverHeard(want string) {
	var said string
	for end := time.Now().Add(patience); said != want && time.Now().Before(end); {
		t.open("/lastclose", engine.DialOptions{})
		said = string(t.message(0).data)
		t.ended("open message close")
	}
	t.want(said == want, "the server heard %q, want %q", said, want)
}

// closingByServer: it closes as soon as the connection is open. All codes that may be on the wire are heard, whatever they mean.
func closingByServer(t *talk) {
	for _, k := range []ending{
		{1000, "done"}, {1001, ""}, {1003, "text only"}, {1007, "no text"}, {1008, "policy"}, {1009, "too long"}, {1011, "größer"}, {1012, "restart"},
		{1013, "later"}, {3000, longReason}, {4000, "own"}, {4999, "last"},
	} {
		t.open(fmt.Sprintf("/close?code=%d&reason=%s", k.code, url.PathEscape(k.reason)), engine.DialOptions{})
		e := t.ended("open close")
		t.want(e == engine.CloseEvent{Code: k.code, Reason: k.reason, WasClean: true}, "closed with %+v, want %v", e, k)
	}
}

// dropped: the server ends TCP without a Close frame.
func dropped(t *talk) {
	c := t.open("/drop", engine.DialOptions{})
	e := t.ended("open error close")
	t.want(e.Code == 1006 && !e.WasClean && e.Reason == "" && e.Err != nil, "closed with %+v by a server that drops the connection", e)
	t.want(errors.Is(c.SendText("late"), engine.ErrClosed), "a closed connection takes messages")
}
