package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"github.com/gannet-ws/gannet/engine"
)

var openings = []conversation{
	{"a sub-protocol is chosen", anything, protocolChosen},
	{"no sub-protocol is chosen", anything, protocolNotChosen},
	{"what the server sees of the request", anything, requestSeen},
	{"what the answer says", anything, answerSeen},
	{"cookies", anything, cookies},
	{"refusals", anything, refusals},
	{"an answer with long fields", anything, longAnswer},
	{"a request with long fields", anything, longRequest},
	{"a name with two addresses", anything, named},
}

// protocolChosen: the server knows chat.v1 and chat.v2, and takes the first of ours that it knows.
func protocolChosen(t *talk) {
	for _, k := range []struct {
		offered []string
		want    string
	}{{nil, ""}, {[]string{"chat.v1"}, "chat.v1"}, {[]string{"unknown", "chat.v2", "chat.v1"}, "chat.v2"}} {
		c := t.open("/echo", engine.DialOptions{Protocols: k.offered})
		t.want(c.Protocol() == k.want, "%v offered, %q chosen", k.offered, c.Protocol())
		t.closeCleanly(c, "open close")
	}
}

// protocolNotChosen: some were offered, so the connection fails (WHATWG WebSockets, "establish a WebSocket connection").
func protocolNotChosen(t *talk) {
	h := t.refused("/echo", engine.DialOptions{Protocols: []string{"unknown"}})
	t.want(h.Status == 101 && h.Reason == "no-protocol", "an answer without a sub-protocol: %+v", h)
}

// seen is the request's header as the server saw it: names in small letters, fields of one name joined by a comma.
func (t *talk) seen(path string, o engine.DialOptions) (fields map[string]string) {
	c := t.open(path, o)
	said := t.message(0).data
	err := json.Unmarshal(said, &fields)
	t.want(err == nil, "the server says %q: %v", said, err)
	t.closeCleanly(c, "open message close")
	return fields
}

func requestSeen(t *talk) {
	scheme, rest, _ := strings.Cut(t.to.url, "://")
	fields := t.seen(scheme+"://us%C3%A9r:p%3Aw%40d@"+rest+"/headers?x=%C3%A4%20b", engine.DialOptions{
		Header: http.Header{"X-Token": {"abc; d=\"e\""}, "X-Two": {"one", "two"}, "User-Agent": {"gannet"}},
		Origin: "https://example.org",
	})
	for name, want := range map[string]string{
		"authorization": "Basic " + base64.StdEncoding.EncodeToString([]byte("usér:p:w@d")),
		"x-token":       "abc; d=\"e\"", "x-two": "one, two", "user-agent": "gannet", "origin": "https://example.org",
		"sec-websocket-version": "13",
	} {
		got := strings.ReplaceAll(fields[name], ",two", ", two")
		t.want(got == want, "the server saw %s: %q, want %q", name, got, want)
	}
	t.want(t.to.via != "" || fields["host"] == rest, "the server saw Host: %q", fields["host"])
	if t.to.via == "" { // a proxy may write what it wants
		fields = t.seen("/headers", engine.DialOptions{Host: "example.org:8080"})
		t.want(fields["host"] == "example.org:8080" && fields["authorization"] == "" && fields["origin"] == "", "the server saw %v", fields)
	}
}

func answerSeen(t *talk) {
	c := t.open("/echo", engine.DialOptions{KeepHeader: true})
	h := c.Header()
	t.want(h.Get("X-Served-By") == t.to.server, "the answer's header: %v", h)
	t.want(strings.EqualFold(h.Get("Upgrade"), "websocket"), "the answer's header: %v", h)
	t.closeCleanly(c, "open close")
}

// cookies: each answer sets seen=yes, and the next request brings it back, beside one that was there before.
func cookies(t *talk) {
	jar, _ := cookiejar.New(nil)
	at, err := url.Parse(strings.Replace(t.to.url, "ws", "http", 1) + "/headers")
	t.want(err == nil, "%v", err)
	jar.SetCookies(at, []*http.Cookie{{Name: "own", Value: "1"}})
	fields := t.seen("/headers", engine.DialOptions{Jar: jar})
	t.want(fields["cookie"] == "own=1", "the server saw Cookie: %q", fields["cookie"])
	fields = t.seen("/headers", engine.DialOptions{Jar: jar})
	t.want(fields["cookie"] == "own=1; seen=yes", "the server saw Cookie: %q", fields["cookie"])
	refused, _ := cookiejar.New(nil)
	t.refused("/refuse?status=403", engine.DialOptions{Jar: refused})
	t.want(len(refused.Cookies(at)) == 1, "an answer that refuses sets cookies as well")
}

// refusal is what /refuse answers as its body: 1,600 bytes.
var refusal = strings.Repeat("refused ", 200)

// refusals: status, header and the first KiB of the body are told, and the text says what to do.
func refusals(t *talk) {
	for status, advice := range map[int]string{
		302: "redirects are not followed", 400: "Bad Request", 401: "credentials", 403: "Origin", 404: "path", 426: "version", 429: "try again after",
		500: "Internal Server Error", 503: "try again after",
	} {
		h := t.refused(fmt.Sprint("/refuse?status=", status), engine.DialOptions{})
		t.want(h.Status == status && h.Reason == "status", "refused with %d: %+v", status, h)
		t.want(h.Header.Get("X-Reason") == "interop", "refused with %d: %v", status, h.Header)
		t.want(string(h.Body) == refusal[:1024], "refused with %d: a body of %d bytes: %.60q", status, len(h.Body), h.Body)
		t.want(strings.Contains(h.Error(), advice) && strings.Contains(h.Error(), fmt.Sprint(status)), "refused with %d: %q", status, h.Error())
	}
}

// longAnswer: ClientOptions.MaxHandshakeBytes bounds the answer's head, 16 KiB by default.
func longAnswer(t *talk) {
	c := t.open("/big?bytes=12000", engine.DialOptions{KeepHeader: true})
	t.want(len(c.Header().Get("X-Big")) == 12_000, "a field of 12,000 bytes came as %d", len(c.Header().Get("X-Big")))
	t.closeCleanly(c, "open close")
	h := t.refused("/big?bytes=20000", engine.DialOptions{})
	t.want(h.Reason == "head-too-long", "an answer of 20,000 bytes: %+v", h)

	wide := &talk{to: t.to, offer: t.offer, options: engine.ClientOptions{MaxHandshakeBytes: 64 << 10}}
	defer func() {
		if wide.end(); t.fault == "" {
			t.fault = wide.fault
		}
	}()
	c = wide.open("/big?bytes=20000", engine.DialOptions{KeepHeader: true})
	wide.want(len(c.Header().Get("X-Big")) == 20_000, "a field of 20,000 bytes came as %d", len(c.Header().Get("X-Big")))
	wide.closeCleanly(c, "open close")
}

// longRequest: what is too long for a server it refuses, or hangs up. Either way it is told.
func longRequest(t *talk) {
	fields := t.seen("/headers", engine.DialOptions{Header: http.Header{"X-Long": {strings.Repeat("l", 6000)}}})
	t.want(len(fields["x-long"]) == 6000, "a field of 6,000 bytes came as %d", len(fields["x-long"]))
	_, err := t.dial("/headers", engine.DialOptions{Header: http.Header{"X-Long": {strings.Repeat("l", 100_000)}}})
	var h *engine.HandshakeError
	t.want(errors.As(err, &h), "a field of 100,000 bytes: %v", err)
	t.ended("error close")
	t.tell("a field of 100,000 bytes: %v", err)
}

// named: the server listens on 127.0.0.1 alone, whatever else the name has (RFC 8305).
func named(t *talk) {
	c := t.open(strings.Replace(t.to.url, "127.0.0.1", "localhost", 1)+"/echo", engine.DialOptions{})
	t.echoed(c, 0, engine.OpText, []byte("by name"))
	t.closeCleanly(c, "open message close")
}
