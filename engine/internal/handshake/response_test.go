package handshake

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"testing"
)

func TestAppendSwitching(t *testing.T) {
	key := []byte("dGhlIHNhbXBsZSBub25jZQ==")
	const head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
	for _, c := range []struct {
		name, protocol, extensions, date string
		extra                            []HeaderField
		want                             string
	}{
		{"bare", "", "", "", nil, head + "\r\n"},
		{"date", "", "", "today", []HeaderField{{"X", "1"}}, head + "Date: today\r\nX: 1\r\n\r\n"},
		{"a date of the handler's", "", "", "today", []HeaderField{{"date", "tomorrow"}}, head + "date: tomorrow\r\n\r\n"},
		{"of content nothing is said", "", "", "", []HeaderField{{"content-type", "a/b"}, {"Content-Language", "de"}, {"Content-Security-Policy", "x"}},
			head + "Content-Security-Policy: x\r\n\r\n"},
		{"protocol", "chat", "", "", nil, head + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{"all", "chat", "permessage-deflate", "", []HeaderField{{"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}},
			head + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" +
				"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AppendSwitching([]byte("before"), key, c.protocol, c.extensions, c.date, c.extra)
			if string(got) != "before"+c.want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// Every refusal is read back by net/http, with its body and all its fields, and ends the stream.
func TestRefusalsAreWholeResponses(t *testing.T) {
	for _, refused := range refusals {
		t.Run(refused.Reason, func(t *testing.T) {
			rest := bufio.NewReader(bytes.NewReader(refused.Append(nil, "", false)))
			res, err := http.ReadResponse(rest, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(res.Body)
			if err != nil || string(body) != refused.Detail+".\n" || res.ContentLength != int64(len(body)) {
				t.Errorf("body %q of %d, %v", body, res.ContentLength, err)
			}
			if res.StatusCode != refused.Status || http.StatusText(refused.Status) == "" || !res.Close {
				t.Errorf("status %q, close %v", res.Status, res.Close)
			}
			if got := res.Header.Get("Content-Type"); got != "text/plain; charset=utf-8" {
				t.Errorf("Content-Type is %q", got)
			}
			for _, f := range refused.Header {
				if got := res.Header.Get(f.Name); got != f.Value {
					t.Errorf("%s is %q", f.Name, got)
				}
			}
			if _, err := rest.ReadByte(); err != io.EOF {
				t.Error("there is something after the response")
			}
		})
	}
}

func TestReasonsAreDistinctSlugs(t *testing.T) {
	reasons := Reasons()
	if len(slices.Compact(slices.Clone(reasons))) != len(reasons) || len(reasons) < 30 {
		t.Errorf("%d reasons, not all distinct: %q", len(reasons), reasons)
	}
	for _, reason := range reasons {
		for _, c := range reason {
			if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '-' && c != '.' {
				t.Errorf("%q is no slug", reason)
			}
		}
	}
}

func TestRefusalIsAnError(t *testing.T) {
	var err error = errKey
	var refused *Refusal
	if !errors.As(err, &refused) || refused.Status != 400 || !errors.Is(err, errKey) || errors.Is(err, errNoKey) {
		t.Error("errors.As or errors.Is fail")
	}
	if got := err.Error(); got != "handshake: 400 bad-key: The Sec-WebSocket-Key is not 16 bytes in base64" {
		t.Errorf("got %q", got)
	}
}

func TestRefusalAppend(t *testing.T) {
	const text = "Content-Type: text/plain; charset=utf-8\r\nX-Content-Type-Options: nosniff\r\n"
	for _, c := range []struct {
		name string
		r    Refusal
		date string
		head bool
		want string
	}{
		{"ours is a sentence", Refusal{Status: 403, Detail: "No"}, "", false,
			"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" + text + "Content-Length: 4\r\n\r\nNo.\n"},
		{"a given one stays as it is", Refusal{Status: 403, Detail: "no", Given: true}, "today", false,
			"HTTP/1.1 403 Forbidden\r\nDate: today\r\nConnection: close\r\n" + text + "Content-Length: 2\r\n\r\nno"},
		{"nothing is given", Refusal{Status: 403, Given: true}, "", false,
			"HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" + text + "Content-Length: 0\r\n\r\n"},
		{"to HEAD", Refusal{Status: 426, Detail: "No"}, "", true,
			"HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\n" + text + "Content-Length: 4\r\n\r\n"},
		{"Upgrade is announced", Refusal{Status: 426, Header: []HeaderField{upgradeWebSocket}, Given: true}, "", false,
			"HTTP/1.1 426 Upgrade Required\r\nConnection: close\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" + text + "Content-Length: 0\r\n\r\n"},
		{"own type, the last", Refusal{Status: 401, Header: []HeaderField{{"Content-Type", "a/b"}, {"content-type", "application/json"}}, Detail: "{}", Given: true}, "", false,
			"HTTP/1.1 401 Unauthorized\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"own date, and several of one name", Refusal{Status: 302, Header: []HeaderField{{"DATE", "x"}, {"Set-Cookie", "a"}, {"Set-Cookie", "b"}}, Given: true}, "today", false,
			"HTTP/1.1 302 Found\r\nConnection: close\r\nDATE: x\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n" + text + "Content-Length: 0\r\n\r\n"},
		{"own rule about sniffing", Refusal{Status: 403, Header: []HeaderField{{"x-content-type-options", "x"}}, Given: true}, "", false,
			"HTTP/1.1 403 Forbidden\r\nConnection: close\r\nx-content-type-options: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n"},
		{"no content", Refusal{Status: 304, Header: []HeaderField{{"Content-Type", "a/b"}, {"ETag", "1"}}, Detail: "dropped", Given: true}, "", false,
			"HTTP/1.1 304 Not Modified\r\nConnection: close\r\nETag: 1\r\n\r\n"},
		{"a status that nobody knows", Refusal{Status: 599, Given: true}, "", false,
			"HTTP/1.1 599 status code 599\r\nConnection: close\r\n" + text + "Content-Length: 0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(c.r.Append([]byte("before"), c.date, c.head)); got != "before"+c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			for range c.r.Fields { // may be left early
				break
			}
		})
	}
}

func TestRefusalWithoutARefusingStatusPanics(t *testing.T) {
	for _, status := range []int{0, 101, 199, 200, 299, 600, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d does not panic", status)
				}
			}()
			(&Refusal{Status: status}).Append(nil, "", false)
		}()
	}
}

func TestValidField(t *testing.T) {
	for _, c := range []struct {
		name, value string
		ok          bool
	}{
		{"Set-Cookie", "a=b; Path=/", true},
		{"X-Empty", "", true},
		{"X-Tab", "a\tb", true},
		{"X-UTF-8", "caf\xc3\xa9", true},
		{"Upgrade-Insecure-Requests", "1", true},
		{"Sec-WebSocket", "is not of the family", true},
		{"", "x", false},
		{"X Y", "x", false},
		{"X:", "x", false},
		{"X\r\nY", "x", false},
		{"Caf\xc3\xa9", "x", false},
		{"X", "a\r\nY: b", false},
		{"X", "a\nb", false},
		{"X", "a\x00", false},
		{"X", "0123456\x7f9", false},
		{"upgrade", "h2c", false},
		{"CONNECTION", "close", false},
		{"Content-Length", "5", false},
		{"Transfer-Encoding", "chunked", false},
		{"trailer", "X", false},
		{"Keep-Alive", "timeout=5", false},
		{"Proxy-Connection", "close", false},
		{"te", "trailers", false},
		{"Content-Type", "application/json", true},
		{"Date", "Mon, 30 Nov 2026 10:00:00 GMT", true},
		{"sec-websocket-accept", "x", false},
		{"Sec-WebSocket-Protocol", "x", false},
		{"Sec-WebSocket-", "x", false},
	} {
		err := ValidField(c.name, c.value)
		if (err == nil) != c.ok || err != nil && !errors.Is(err, ErrField) {
			t.Errorf("%q: %q: got %v", c.name, c.value, err)
		}
	}
}

func TestValidStatus(t *testing.T) {
	for status, ok := range map[int]bool{299: false, 300: true, 401: true, 599: true, 600: false, 101: false, -1: false} {
		err := ValidStatus(status)
		if (err == nil) != ok || err != nil && !errors.Is(err, ErrStatus) {
			t.Errorf("%d: got %v", status, err)
		}
	}
}
