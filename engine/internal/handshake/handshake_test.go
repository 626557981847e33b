package handshake

import (
	"bytes"
	"errors"
	"strings"
	"testing"
)

// plain is the example of RFC 6455 1.2.
const plain = "GET /chat HTTP/1.1\r\n" +
	"Host: server.example.com\r\n" +
	"Upgrade: websocket\r\n" +
	"Connection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
	"Origin: http://example.com\r\n" +
	"Sec-WebSocket-Protocol: chat, superchat\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"\r\n"

// browser is what Chromium sends, with a session cookie.
const browser = "GET /live/feed?room=7f3a HTTP/1.1\r\n" +
	"Host: app.example.com:8080\r\n" +
	"Connection: Upgrade\r\n" +
	"Pragma: no-cache\r\n" +
	"Cache-Control: no-cache\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36\r\n" +
	"Upgrade: websocket\r\n" +
	"Origin: http://app.example.com:8080\r\n" +
	"Sec-WebSocket-Version: 13\r\n" +
	"Accept-Encoding: gzip, deflate, br\r\n" +
	"Accept-Language: en-GB,en;q=0.9\r\n" +
	"Cookie: session=9f86d081884c7d659a2feaa0c55ad015\r\n" +
	"Sec-WebSocket-Key: q4xkcO32u266gldTuKaSOw==\r\n" +
	"Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n" +
	"\r\n"

// with replaces one piece of the plain handshake, and fails loudly if it is not there.
func with(t testing.TB, old, new string) string {
	t.Helper()
	if !strings.Contains(plain, old) {
		t.Fatalf("the plain handshake has no %q", old)
	}
	return strings.Replace(plain, old, new, 1)
}

// adding puts lines in front of the empty one.
func adding(lines ...string) string {
	return strings.TrimSuffix(plain, "\r\n") + strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// judge parses a whole head and checks it. It returns nil, or the refusal.
func judge(t testing.TB, head string, l Limits) (*Request, *Refusal) {
	t.Helper()
	var p Parser
	r := new(Request)
	n, err := p.Parse([]byte(head), r, l)
	if err == nil && n == 0 {
		t.Fatalf("the parser waits for more than %q", head)
	}
	if err == nil {
		err = CheckUpgrade(r)
	}
	return r, asRefusal(t, err)
}

func asRefusal(t testing.TB, err error) *Refusal {
	t.Helper()
	if err == nil {
		return nil
	}
	var refused *Refusal
	if !errors.As(err, &refused) {
		t.Fatalf("%v is not a Refusal", err)
	}
	return refused
}

func wantRefusal(t testing.TB, got *Refusal, status int, reason string) {
	t.Helper()
	switch {
	case got == nil:
		t.Fatalf("accepted, want %d %s", status, reason)
	case got.Status != status || got.Reason != reason:
		t.Fatalf("got %v, want %d %s", got, status, reason)
	}
}

func TestRequestOfTheRFC(t *testing.T) {
	r, refused := judge(t, plain, Limits{})
	if refused != nil {
		t.Fatal(refused)
	}
	for _, c := range []struct{ name, got, want string }{
		{"Method", string(r.Method), "GET"},
		{"Target", string(r.Target), "/chat"},
		{"Proto", string(r.Proto), "HTTP/1.1"},
		{"Host", string(r.Host), "server.example.com"},
		{"Key", string(r.Key), "dGhlIHNhbXBsZSBub25jZQ=="},
		{"Origin", string(r.Origin), "http://example.com"},
		{"Protocols", string(bytes.Join(r.Protocols, []byte("|"))), "chat|superchat"},
		{"Header", string(r.Header("sec-websocket-VERSION")), "13"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.name, c.got, c.want)
		}
	}
	if !r.Upgrade || r.HasBody || r.Extensions != nil || len(r.Headers) != 7 {
		t.Errorf("got Upgrade %v, HasBody %v, Extensions %q, %d fields", r.Upgrade, r.HasBody, r.Extensions, len(r.Headers))
	}
	if r.Header("Cookie") != nil {
		t.Error("a field that is not there has a value")
	}
	if !r.Offers("superchat") || r.Offers("Chat") || r.Offers("") {
		t.Error("Offers is wrong")
	}
}

// What looks odd and is legal all the same.
func TestAccepted(t *testing.T) {
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
	for _, c := range []struct{ name, head string }{
		{"names and tokens in other case", with(t, "Upgrade: websocket", "uPGRADE: WebSocket")},
		{"Connection is a list", with(t, "Connection: Upgrade", "Connection: keep-alive , UPGRADE")},
		{"Connection in two lines", with(t, "Connection: Upgrade", "Connection: keep-alive\r\nConnection: upgrade")},
		{"Upgrade is a list", with(t, "Upgrade: websocket", "Upgrade: h2c, websocket")},
		{"Upgrade in two lines", with(t, "Upgrade: websocket", "Upgrade: h2c\r\nUpgrade: websocket")},
		{"both in two lines, the other way", adding("Upgrade: h2c", "Connection: keep-alive")},
		{"no space after the colon", with(t, key, strings.Replace(key, ": ", ":", 1))},
		{"tabs and spaces around a value", with(t, key, strings.Replace(key, ": ", ": \t ", 1)+" \t ")},
		{"no Origin", with(t, "Origin: http://example.com\r\n", "")},
		{"no sub-protocol", with(t, "Sec-WebSocket-Protocol: chat, superchat\r\n", "")},
		{"empty elements in the protocols", with(t, "chat, superchat", ", chat,, ,superchat,")},
		{"protocols that differ in case", with(t, "chat, superchat", "chat, Chat")},
		{"Content-Length zero", adding("Content-Length: 0")},
		{"an empty value", adding("X-Empty:")},
		{"octets over 0x7f in a value", adding("X-Name: Zo\xc3\xab \xff")},
		{"a tab in a value", adding("X-Name: a\tb")},
		{"HTTP/1.2", with(t, "HTTP/1.1", "HTTP/1.2")},
		{"absolute-form", with(t, "/chat", "http://server.example.com/chat")},
		{"absolute-form, ws, no path", with(t, "/chat", "WS://server.example.com")},
		{"IPv6 host", with(t, "server.example.com", "[2001:db8::1]:8080")},
		{"empty port", with(t, "server.example.com", "server.example.com:")},
		{"path of octets over 0x7f", with(t, "/chat", "/caf\xc3\xa9")},
		{"two slashes", with(t, "/chat", "//chat")},
	} {
		t.Run(c.name, func(t *testing.T) {
			if _, refused := judge(t, c.head, Limits{}); refused != nil {
				t.Fatal(refused)
			}
		})
	}
}

func TestAbsoluteTargetOverrulesHost(t *testing.T) {
	r, refused := judge(t, with(t, "/chat", "https://Other.example:444?q"), Limits{})
	if refused != nil {
		t.Fatal(refused)
	}
	if string(r.Host) != "Other.example:444" {
		t.Errorf("Host is %q", r.Host)
	}
}

func TestSeveralProtocolLinesAreOneList(t *testing.T) {
	r, refused := judge(t, adding("Sec-WebSocket-Protocol: third", "Sec-WebSocket-Protocol: v4.fourth"), Limits{})
	if refused != nil {
		t.Fatal(refused)
	}
	if got := string(bytes.Join(r.Protocols, []byte(" "))); got != "chat superchat third v4.fourth" {
		t.Errorf("got %q", got)
	}
}

func TestExtensionLinesAreKeptApart(t *testing.T) {
	r, _ := judge(t, adding("Sec-WebSocket-Extensions: a; b=1", "Sec-WebSocket-Extensions:  c, d "), Limits{})
	if got := string(bytes.Join(r.Extensions, []byte("|"))); got != "a; b=1|c, d" {
		t.Errorf("got %q", got)
	}
}

// HOSTILE: plain HTTP. It parses; what to answer is the engine's to choose.
func TestPlainHTTP(t *testing.T) {
	for _, c := range []struct {
		name, head    string
		body, upgrade bool
	}{
		{"GET", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
		{"HEAD in HTTP/1.0", "HEAD / HTTP/1.0\r\n\r\n", false, false},
		{"POST", "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", true, false},
		{"chunked", "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", true, false},
		{"OPTIONS *", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", false, false},
		{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", false, false},
		{"Upgrade without Connection", "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n", false, false},
		{"Connection without Upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\n\r\n", false, false},
		{"another upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", false, false},
		{"a websocket2", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket2\r\n\r\n", false, false},
		{"bad protocols, meaningless here", "GET / HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Protocol: a a\r\n\r\n", false, false},
		{"only what makes it an upgrade", "GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var p Parser
			var r Request
			n, err := p.Parse([]byte(c.head), &r, Limits{})
			if want := strings.Index(c.head, "\r\n\r\n") + 4; n != want || err != nil {
				t.Fatalf("got %d, %v, want %d", n, err, want)
			}
			if r.HasBody != c.body || r.Upgrade != c.upgrade {
				t.Errorf("HasBody %v, Upgrade %v", r.HasBody, r.Upgrade)
			}
			if !c.upgrade {
				wantRefusal(t, asRefusal(t, CheckUpgrade(&r)), 426, "not-an-upgrade")
			}
		})
	}
}

func TestRequestIsReused(t *testing.T) {
	var r Request
	var p Parser
	if _, err := p.Parse([]byte(browser), &r, Limits{}); err != nil {
		t.Fatal(err)
	}
	first := &r.Headers[0]
	if _, err := p.Parse([]byte("GET / HTTP/1.1\r\nHost: a\r\n\r\n"), &r, Limits{}); err != nil {
		t.Fatal(err)
	}
	if &r.Headers[0] != first {
		t.Error("the array of fields is not reused")
	}
	if r.Upgrade || r.Key != nil || r.Origin != nil || len(r.Extensions) != 0 || len(r.Headers) != 1 {
		t.Errorf("something of the first request is left: %+v", r)
	}
	r.Reset()
	if f := r.Headers[:cap(r.Headers)][0]; f.Name != nil || r.Host != nil {
		t.Error("Reset keeps a view")
	}
}
