package handshake

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
)

func throughHTTP(t *testing.T, head string) (*Request, error) {
	t.Helper()
	hr, err := http.ReadRequest(bufio.NewReader(strings.NewReader(head)))
	if err != nil {
		t.Fatal(err)
	}
	return FromHTTP(hr, Limits{})
}

// Through net/http's door a handshake reads as it does through ours, the order of names aside.
func TestFromHTTP(t *testing.T) {
	r, err := throughHTTP(t, browser)
	if err != nil {
		t.Fatal(err)
	}
	if err := CheckUpgrade(r); err != nil {
		t.Fatal(err)
	}
	direct, _ := judge(t, browser, Limits{})
	if len(r.Headers) != len(direct.Headers) {
		t.Errorf("%d fields, want %d", len(r.Headers), len(direct.Headers))
	}
	for _, f := range direct.Headers {
		if got := r.Header(string(f.Name)); string(got) != string(f.Value) {
			t.Errorf("%s: got %q, want %q", f.Name, got, f.Value)
		}
	}
	for _, pair := range [][2][]byte{{r.Method, direct.Method}, {r.Target, direct.Target}, {r.Proto, direct.Proto}, {r.Host, direct.Host}} {
		if string(pair[0]) != string(pair[1]) {
			t.Errorf("got %q, want %q", pair[0], pair[1])
		}
	}
}

func TestFromHTTPRefusesTheSame(t *testing.T) {
	for _, c := range []struct{ name, head, reason string }{
		{"two keys", adding("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="), "repeated-key"},
		{"two versions", adding("Sec-WebSocket-Version: 13"), "repeated-websocket-version"},
		{"chunked", adding("Transfer-Encoding: chunked"), "body"},
		{"a length", adding("Content-Length: 3") + "abc", "body"},
		{"POST", with(t, "GET", "POST"), "method-not-get"},
		{"HTTP/1.0", with(t, "HTTP/1.1", "HTTP/1.0"), "http-1.0"},
		{"a name in other octets", with(t, "server.example.com", "b\xc3\xbccher.example"), "bad-host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := throughHTTP(t, c.head)
			if err == nil {
				err = CheckUpgrade(r)
			}
			if refused := asRefusal(t, err); refused == nil || refused.Reason != c.reason {
				t.Errorf("got %v, want %s", err, c.reason)
			}
		})
	}
}

// A request that no server has read may hold anything.
func TestFromHTTPOfAMadeUpRequest(t *testing.T) {
	made, err := http.NewRequest("GET", "http://a.example/x?y", nil)
	if err != nil {
		t.Fatal(err)
	}
	r, err := FromHTTP(made, Limits{})
	if err != nil || string(r.Target) != "/x?y" || string(r.Host) != "a.example" {
		t.Errorf("got %+v, %v", r, err)
	}
	made.ContentLength = 5
	if r, err := FromHTTP(made, Limits{}); err != nil || !r.HasBody {
		t.Errorf("a body without its field is overlooked: %v", err)
	}
	for _, host := range []string{"a\r\n\r\nb", "a\r\n\r\n", "a\r\nHost: b", "a\nb"} {
		made.Host = host
		if r, err := FromHTTP(made, Limits{}); err == nil {
			t.Errorf("Host %q: got %+v", host, r)
		}
	}
}
