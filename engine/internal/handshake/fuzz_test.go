package handshake

import (
	"bufio"
	"bytes"
	"net/http"
	"net/textproto"
	"regexp"
	"slices"
	"testing"
)

func seeds(f *testing.F) {
	for _, s := range []string{
		plain, browser, adding("Content-Length: 0", "X: \t a \t"), "\x16\x03\x01", "GET / HTTP/1.1\r\nHost: a\r\n\r\n\x81\x00",
		"OPTIONS * HTTP/1.0\r\n\r\n", "GET http://[::1]:80/?a HTTP/1.1\r\nHost: b\r\nA: \xff\x80\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n c\r\n\r\n", "GET / HTTP/1.1\nHost: a\n\n", "GET /\xe9 HTTP/1.1\r\nhost:a\rb\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: ,upgrade ,\r\nUpgrade: \twebsocket\r\nSec-WebSocket-Protocol: a,,b\r\nSec-WebSocket-Protocol: a\r\n\r\n",
	} {
		f.Add([]byte(s), uint16(len(s)/2), uint8(0))
		f.Add([]byte(s), uint16(1), uint8(3))
	}
}

// FuzzCuts: whatever the bytes, the limits and the cuts, the verdict is that of the bytes taken
// at once, and nothing panics.
func FuzzCuts(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, cut uint16, small uint8) {
		var l Limits
		if small > 0 {
			l = Limits{MaxBytes: int(small) * 8, MaxLine: int(small) * 2, MaxHeaders: int(small) / 8}
		}
		var p Parser
		var whole, pieces Request
		n, err := p.Parse(b, &whole, l)
		step := int(cut%64) + 1
		p = Parser{}
		for end := min(step, len(b)); ; end = min(end+step, len(b)) {
			m, failed := p.Parse(bytes.Clone(b[:end]), &pieces, l)
			if failed != nil || m > 0 || end == len(b) {
				if m != n || failed != err {
					t.Fatalf("at once %d, %v; in steps of %d: %d, %v", n, err, step, m, failed)
				}
				break
			}
		}
		if n > 0 && !equalRequests(&whole, &pieces) {
			t.Fatal("the requests differ")
		}
	})
}

func equalRequests(a, b *Request) bool {
	return bytes.Equal(a.Method, b.Method) && bytes.Equal(a.Target, b.Target) && bytes.Equal(a.Host, b.Host) &&
		a.Upgrade == b.Upgrade && a.HasBody == b.HasBody && CheckUpgrade(a) == CheckUpgrade(b) &&
		slices.EqualFunc(a.Protocols, b.Protocols, bytes.Equal) &&
		slices.EqualFunc(a.Headers, b.Headers, func(x, y Field) bool {
			return bytes.Equal(x.Name, y.Name) && bytes.Equal(x.Value, y.Value)
		})
}

// FuzzTwin: a head is accepted exactly if the slow and obvious reading accepts it, and then
// both found the same in it.
func FuzzTwin(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, _ uint16, _ uint8) {
		end := bytes.Index(b, []byte("\r\n\r\n")) + 4
		if end < 4 || end > DefaultMaxBytes {
			return
		}
		// A limit is no question of grammar: out of the way with it.
		l := Limits{MaxLine: end, MaxHeaders: end}
		var p Parser
		var r Request
		n, err := p.Parse(b, &r, l)
		tw := readTwin(string(b[:end]))
		if (err == nil) != (tw != nil) {
			t.Fatalf("%q: the parser says %v, the twin %+v", b[:end], err, tw)
		}
		if err == nil {
			compareTwin(t, &r, tw)
			if n != end {
				t.Fatalf("the head ends at %d, not %d", end, n)
			}
		}
	})
}

func compareTwin(t *testing.T, r *Request, tw *twin) {
	t.Helper()
	if string(r.Method) != tw.method || string(r.Target) != tw.target || string(r.Proto) != tw.proto || len(r.Headers) != len(tw.names) {
		t.Fatalf("got %q %q %q and %d fields, want %+v", r.Method, r.Target, r.Proto, len(r.Headers), tw)
	}
	for i, field := range r.Headers {
		if string(field.Name) != tw.names[i] || string(field.Value) != tw.values[i] {
			t.Fatalf("field %d is %q: %q, want %q: %q", i, field.Name, field.Value, tw.names[i], tw.values[i])
		}
	}
	if want := tw.asksFor("Connection", "upgrade") && tw.asksFor("Upgrade", "websocket"); r.Upgrade != want {
		t.Fatalf("Upgrade is %v", r.Upgrade)
	}
	if CheckUpgrade(r) != nil {
		return
	}
	if got := tw.protocols(); !slices.EqualFunc(r.Protocols, got, func(a []byte, b string) bool { return string(a) == b }) {
		t.Fatalf("protocols %q, want %q", r.Protocols, got)
	}
	if tw.method != "GET" || len(tw.all("Host")) != 1 || len(tw.all("Sec-WebSocket-Key")) != 1 || len(tw.all("Origin")) > 1 ||
		!slices.Equal(tw.all("Sec-WebSocket-Version"), []string{"13"}) || len(tw.all("Transfer-Encoding")) != 0 {
		t.Fatalf("%+v is accepted as a handshake", tw)
	}
}

// FuzzNetHTTP: where net/http accepts a head too, it must read the same in it.
func FuzzNetHTTP(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, b []byte, _ uint16, _ uint8) {
		var p Parser
		var r Request
		n, err := p.Parse(b, &r, Limits{})
		if err != nil || n == 0 {
			return
		}
		hr, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil {
			return // it knows transfer codings, lengths and escapes, which are not judged here
		}
		if string(r.Method) != hr.Method || string(r.Target) != hr.RequestURI || string(r.Proto) != hr.Proto {
			t.Fatalf("got %q %q %q, net/http %q %q %q", r.Method, r.Target, r.Proto, hr.Method, hr.RequestURI, hr.Proto)
		}
		if string(r.Host) != hr.Host {
			t.Fatalf("Host is %q, net/http has %q", r.Host, hr.Host)
		}
		compareFields(t, r.Headers, hr.Header)
	})
}

// compareFields skips what net/http takes out of the fields, or puts in.
func compareFields(t *testing.T, fields []Field, header http.Header) {
	t.Helper()
	ours := http.Header{}
	for _, f := range fields {
		name := textproto.CanonicalMIMEHeaderKey(string(f.Name))
		ours[name] = append(ours[name], string(f.Value))
	}
	for name, values := range ours {
		switch name {
		case "Host", "Transfer-Encoding", "Content-Length", "Trailer":
			continue
		}
		if !slices.Equal(values, header[name]) {
			t.Fatalf("%s is %q, net/http has %q", name, values, header[name])
		}
	}
	for name := range header {
		if ours[name] == nil && name != "Cache-Control" {
			t.Fatalf("net/http has a %s", name)
		}
	}
}

var subdomain = regexp.MustCompile(`^(?i:https://([a-z0-9_-]+\.)+example\.com)(:0*443)?$`)

// FuzzPattern: a wildcard never crosses into another domain.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"https://a.example.com", "https://evil-example.com", "https://example.com", "https://x/.example.com", "https://a.example.com:443"} {
		f.Add(s)
	}
	p, err := ParsePattern("https://*.example.com")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if !p.Match([]byte(s)) {
			return
		}
		if !subdomain.MatchString(s) {
			t.Fatalf("%q matches", s)
		}
	})
}
