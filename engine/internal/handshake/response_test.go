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
		name, protocol, extensions string
		extra                      []HeaderField
		want                       string
	}{
		{"bare", "", "", nil, head + "\r\n"},
		{"protocol", "chat", "", nil, head + "Sec-WebSocket-Protocol: chat\r\n\r\n"},
		{"all", "chat", "permessage-deflate", []HeaderField{{"Set-Cookie", "a=b"}, {"Set-Cookie", "c=d"}},
			head + "Sec-WebSocket-Protocol: chat\r\nSec-WebSocket-Extensions: permessage-deflate\r\n" +
				"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := AppendSwitching([]byte("before"), key, c.protocol, c.extensions, c.extra)
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
			rest := bufio.NewReader(bytes.NewReader(refused.Append(nil)))
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

func TestAppendRefusal(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		header []HeaderField
		body   string
		want   string
	}{
		{"bare", 403, nil, "no", "HTTP/1.1 403 Forbidden\r\nConnection: close\r\n" +
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 2\r\n\r\nno"},
		{"Upgrade is announced", 426, []HeaderField{upgradeWebSocket}, "", "HTTP/1.1 426 Upgrade Required\r\n" +
			"Connection: close, Upgrade\r\nUpgrade: websocket\r\n" +
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n"},
		{"own type", 401, []HeaderField{{"content-type", "application/json"}}, "{}", "HTTP/1.1 401 Unauthorized\r\n" +
			"Connection: close\r\ncontent-type: application/json\r\nContent-Length: 2\r\n\r\n{}"},
		{"no content", 304, nil, "dropped", "HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n"},
		{"unknown status", 599, nil, "", "HTTP/1.1 599 \r\nConnection: close\r\n" +
			"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 0\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := string(AppendRefusal(nil, c.status, c.header, c.body)); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
		})
	}
}

func TestAppendRefusalWithoutAFinalStatusPanics(t *testing.T) {
	for _, status := range []int{0, 101, 199, 600, -1} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%d does not panic", status)
				}
			}()
			AppendRefusal(nil, status, nil, "")
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
