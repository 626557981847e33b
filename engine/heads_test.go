package engine

import (
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
)

// judged is what a door makes of a head: the status, and the reason that it counts a refusal under.
func judged(t testing.TB, w *house, head string) string {
	t.Helper()
	before := w.Stats().Refusals
	r, _ := answerTo(t, w, head)
	for reason, n := range w.Stats().Refusals {
		if n > before[reason] {
			return fmt.Sprintf("%d %s", r.StatusCode, reason)
		}
	}
	return fmt.Sprint(r.StatusCode)
}

// TestOneSetOfLimits: a request's head has the same limits at every door, and they follow MaxHandshakeBytes: up to the
// byte and the field.
func TestOneSetOfLimits(t *testing.T) {
	line := func(n int) string { return requestFor("/" + strings.Repeat("a", n-len("GET / HTTP/1.1\r\n"))) }
	fields := func(n int) string { return requestFor("/", slicesRepeat("X-A: b", n-5)...) }
	head := func(n int) string {
		return requestFor("/", "Cookie: "+strings.Repeat("a", n-len(requestFor("/", "Cookie: "))))
	}
	type verdicts map[string]string // by head
	for bytes, want := range map[int]verdicts{
		0: {
			line(8 << 10): "101", line(8<<10 + 1): "414 request-line-too-long",
			fields(100): "101", fields(101): "431 too-many-fields",
			head(16 << 10): "101", head(16<<10 + 1): "431 head-too-long",
		},
		64 << 10: {
			line(56 << 10): "101", line(56<<10 + 1): "414 request-line-too-long",
			fields(400): "101", fields(401): "431 too-many-fields",
			head(20 << 10): "101", head(64 << 10): "101", head(64<<10 + 1): "431 head-too-long",
		},
		256 << 10: {
			line(248 << 10): "101", fields(1600): "101", fields(1601): "431 too-many-fields", head(256 << 10): "101", head(256<<10 + 1): "431 head-too-long",
		},
		1 << 10: {
			line(500): "101", line(1<<10 + 1): "414 request-line-too-long", fields(100): "101", head(1 << 10): "101", head(1<<10 + 1): "431 head-too-long",
		},
	} {
		t.Run(fmt.Sprint(bytes), func(t *testing.T) {
			bothDoors(t, echoHandler, Options{Loops: 1, MaxHandshakeBytes: bytes}, func(t *testing.T, w *house) {
				for h, verdict := range want {
					if got := judged(t, w, h); got != verdict {
						t.Errorf("%d bytes, %d lines, %.30q: %s, want %s", len(h), strings.Count(h, "\r\n"), h, got, verdict)
					}
				}
			})
		})
	}
}

// without is a good request without a line, or with another one in its place.
func without(line string, instead ...string) string {
	head := requestFor("/")
	if !strings.Contains(head, "\r\n"+line+"\r\n") {
		panic(line)
	}
	return strings.Replace(head, line+"\r\n", strings.Join(append(instead, ""), "\r\n"), 1)
}

// TestDoorsAgree: what one door makes of a request the other makes of it, whatever the request.
func TestDoorsAgree(t *testing.T) {
	const upgrade, connection, version = "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"
	want := map[string]string{
		requestFor("/"): "101",
		requestFor("/", "Sec-WebSocket-Protocol:"):                                        "101",
		requestFor("/", "Sec-WebSocket-Protocol: ,"):                                      "101",
		requestFor("/", "Sec-WebSocket-Protocol: a,,b,a,", "Sec-WebSocket-Protocol: c d"): "101",
		requestFor("/", "Sec-WebSocket-Protocol: "+strings.Repeat("a,", 65)):              "431 too-many-protocols",
		requestFor("/", "Origin:"):                                                        "403 origin",
		requestFor("/", "Origin: http://victim.example"):                                  "101",
		requestFor("/", "Origin: http://victim.example", "Origin: http://victim.example"): "400 repeated-origin",
		without(upgrade):    "426 upgrade-stripped",
		without(connection): "426 upgrade-stripped",
		without(connection, "Connection: keep-alive"):              "426 upgrade-stripped",
		without(upgrade + "\r\n" + connection):                     "426 upgrade-stripped",
		"GET / HTTP/1.1\r\nHost: x\r\n" + version + "\r\n\r\n":     "426 upgrade-stripped",
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n":                        "426 not-an-upgrade",
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\nx": "426 not-an-upgrade",
		without(version): "426 websocket-version",
		without(version, "Sec-WebSocket-Version: 13, 8"):            "426 websocket-version",
		without(version, version, version):                          "400 repeated-websocket-version",
		requestFor("/", "Sec-WebSocket-Key: "+attackerKey):          "400 repeated-key",
		strings.Replace(requestFor("/"), "GET", "PUT", 1):           "405 method-not-get",
		strings.Replace(requestFor("/"), "HTTP/1.1", "HTTP/1.0", 1): "400 http-1.0",
		requestFor("/", "Content-Length: 3") + "abc":                "400 body",
		requestFor("/", "Transfer-Encoding: chunked") + "0\r\n\r\n": "400 body",
	}
	bothDoors(t, echoHandler, Options{Loops: 1}, func(t *testing.T, w *house) {
		for head, verdict := range want {
			if got := judged(t, w, head); got != verdict {
				t.Errorf("%q: %s, want %s", head, got, verdict)
			}
		}
	})
}

// TestStrippedUpgrade: a handshake that a proxy has robbed of Upgrade or Connection is told which, by every door and whether
// there is a Fallback or not; a request that is none goes to the Fallback as before.
func TestStrippedUpgrade(t *testing.T) {
	const upgrade, connection = "Upgrade: websocket", "Connection: Upgrade"
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = w.Write([]byte("a page")) })
	for _, k := range []struct {
		name, head string
		lost       []string // what the answer names
	}{
		{"both", without(upgrade + "\r\n" + connection), []string{upgrade, connection}},
		{"Upgrade", without(upgrade), []string{upgrade}},
		{"Connection", without(connection, "Connection: close"), []string{connection}},
		{"both, over HTTP/1.0", strings.Replace(without(upgrade+"\r\n"+connection, "Connection: close"), "HTTP/1.1", "HTTP/1.0", 1), []string{upgrade, connection, "HTTP/1.1"}},
	} {
		for name, fallback := range map[string]http.Handler{"no fallback": nil, "a fallback": page} {
			t.Run(k.name+"/"+name, func(t *testing.T) {
				bothDoors(t, echoHandler, Options{Loops: 1, Fallback: fallback}, func(t *testing.T, w *house) {
					r, body := answerTo(t, w, k.head)
					if r.StatusCode != 426 || r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Version") != "13" {
						t.Error(r.Status, r.Header)
					}
					for _, header := range []string{upgrade, connection, "HTTP/1.1"} {
						named := strings.Contains(body, header)
						wanted := strings.Contains(strings.Join(k.lost, "\n"), header) || header == "HTTP/1.1" && len(k.lost) > 1
						if named != wanted {
							t.Errorf("%q names %s: %v", body, header, named)
						}
					}
					if !maps.Equal(w.Stats().Refusals, map[string]uint64{"upgrade-stripped": 1}) {
						t.Error(w.Stats().Refusals)
					}
				})
			})
		}
	}
	t.Run("behind a page", func(t *testing.T) { // on the same connection
		w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Fallback: page, Logger: quietLogger})
		a := attackerOn(w.call(t))
		for _, k := range []struct {
			head   string
			status int
		}{
			{"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 200},
			{"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n", 200},
			{without(upgrade), 426},
		} {
			a.say(t, k.head)
			r, err := http.ReadResponse(a.r, nil)
			if err != nil || r.StatusCode != k.status {
				t.Fatalf("%q: %v, %v", k.head, r, err)
			}
			_, _ = r.Body.Read(make([]byte, 1<<10))
			_ = r.Body.Close()
		}
	})
	t.Run("limits behind a page", func(t *testing.T) {
		w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Fallback: page, Logger: quietLogger})
		a := attackerOn(w.call(t))
		a.say(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != 200 {
			t.Fatal(r, err)
		}
		if _, err := a.r.Discard(len("a page")); err != nil {
			t.Fatal(err)
		}
		a.say(t, requestFor("/", slicesRepeat("X-A: b", 100)...))
		if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != 431 || w.Stats().Refusals["too-many-fields"] != 1 {
			t.Error(r, err, w.Stats().Refusals)
		}
	})
}
