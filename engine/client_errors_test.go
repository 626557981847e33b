package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestDialErrors: each error has its reason, and says what was tried and what to do; on both ways alike.
func TestDialErrors(t *testing.T) {
	closed := closedPort(t)
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	secure.StartTLS()
	defer secure.Close()
	trusted := secure.Client().Transport.(*http.Transport).TLSClientConfig
	several := names{"several.example": addrs("127.0.0.1", "127.0.0.2", "127.0.0.3")}
	for _, c := range []struct {
		name   string
		o      ClientOptions
		url    string
		d      DialOptions
		op     string
		reason string
		says   []string
	}{
		{"refused", ClientOptions{}, "ws://" + closed, DialOptions{}, "connect", "refused", []string{closed, "connection refused", "is the server running"}},
		{"all refused", ClientOptions{Resolver: several}, "ws://several.example:" + port(t, closed), DialOptions{}, "connect", "refused",
			[]string{"several.example:", "127.0.0.1:", "127.0.0.2:", "127.0.0.3:", "is the server running"}},
		{"no name", ClientOptions{Resolver: names{}}, "ws://h.example", DialOptions{}, "resolve", "not-found", []string{"h.example", "no such host", "is the name right"}},
		{"no address", ClientOptions{Resolver: names{"h.example": {}}}, "ws://h.example", DialOptions{}, "resolve", "not-found", []string{"h.example", "no address"}},
		{"no valid address", ClientOptions{Resolver: names{"h.example": {netip.Addr{}}}}, "ws://h.example:8080", DialOptions{}, "resolve", "not-found", nil},
		{"not our address", ClientOptions{LocalAddrs: addrs("192.0.2.77")}, "ws://" + closed, DialOptions{}, "connect", "no-ports", []string{"LocalAddrs"}},
		{"no socket", ClientOptions{}, "ws://h", DialOptions{Unix: t.TempDir() + "/no"}, "connect", "not-found", []string{"/no"}},
		{"not trusted", ClientOptions{}, secure.URL, DialOptions{}, "tls", "certificate", []string{"x509", "RootCAs"}},
		{"another's certificate", ClientOptions{}, secure.URL, DialOptions{TLSConfig: trusted, Host: "other.example:99"}, "tls", "certificate", []string{"other.example", "example.com"}},
		{"no TLS", ClientOptions{}, strings.Replace(plain.URL, "http", "wss", 1), DialOptions{}, "tls", "not-tls", []string{"ws there, and not wss"}},
		{"a resolver that panics", ClientOptions{Resolver: badResolver{}}, "ws://h", DialOptions{}, "resolve", "other", []string{"panicked: meant"}},
		{"a DialContext that ends its goroutine", ClientOptions{DialContext: func(context.Context, string, string) (net.Conn, error) { runtime.Goexit(); return nil, nil }},
			"ws://h", DialOptions{}, "dial", "other", []string{"goroutine"}},
		{"a DialContext that answers nothing", ClientOptions{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, nil }},
			"ws://h", DialOptions{}, "connect", "other", []string{"neither"}},
		{"a DialContext that heeds nothing", ClientOptions{DialContext: deafDial, ConnectTimeout: 50 * time.Millisecond}, "ws://h", DialOptions{}, "connect", "timeout", []string{"ConnectTimeout"}},
		{"a Resolver that heeds nothing", ClientOptions{Resolver: &deafResolver{}, ConnectTimeout: 50 * time.Millisecond}, "ws://h", DialOptions{}, "", "timeout", []string{"ConnectTimeout"}}, // as a part of connecting, on a bridge,
	} {
		for way, set := range waysToTransport {
			t.Run(c.name+"/"+way, func(t *testing.T) {
				var log sharedLog
				c.o.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
				events := make(chan string, 10)
				client := newClient(t, eventsOf(events), c.o)
				set(client)
				_, err := client.Dial(t.Context(), c.url, c.d)
				var d *DialError
				if !errors.As(err, &d) || c.op != "" && d.Op != c.op || d.Reason != c.reason {
					t.Fatalf("%v is %+v", err, d)
				}
				for _, s := range c.says {
					if !strings.Contains(err.Error(), s) {
						t.Errorf("%q lacks %q", err, s)
					}
				}
				if strings.Count(err.Error(), "gannet: ") != 1 {
					t.Errorf("%q", err)
				}
				hears(t, events, failsBefore)
				if st := client.Stats(); st.Dials != 1 || st.DialsFailed[c.reason] != 1 || st.Closes[1006] != 1 || len(st.Refusals) != 0 {
					t.Errorf("%+v", st)
				}
				if got := log.String(); strings.Count(got, "reason="+c.reason) != 1 {
					t.Errorf("the log says %q", got)
				}
			})
		}
	}
}

// sharedLog is a log's end that many write to.
type sharedLog struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *sharedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *sharedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type badResolver struct{}

func (badResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) { panic("meant") }

// TestDialSecrets: no error, no log and no URL shows a password.
func TestDialSecrets(t *testing.T) {
	var log sharedLog
	c := newClient(t, Funcs{}, ClientOptions{Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	closed := closedPort(t)
	via := func(s string) DialOptions {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return DialOptions{Proxy: http.ProxyURL(u)}
	}
	for _, a := range []struct {
		url string
		d   DialOptions
	}{
		{"ws://me:secret@h:-1", DialOptions{}},
		{"ws://me:sec/secret@h:x", DialOptions{}},
		{"me:secret@h", DialOptions{}},
		{"ws://me:secret@h/#", DialOptions{}},
		{"ws://me:secret@" + closed, DialOptions{}},
		{"ws://me:secret@h", via("http://me:secret@" + closed)},
		{"ws://h", via("socks5://me:secret@" + closed)},
		{"ws://h", via("gopher://me:secret@" + closed)},
		{"ws://h", DialOptions{Proxy: func(*http.Request) (*url.URL, error) { return url.Parse("http://me:secret@" + closed + "x") }}},
	} {
		if _, err := c.Dial(t.Context(), a.url, a.d); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", a.url, err)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Error(log.String())
	}
	_, at := echoes(t)
	conn, err := c.Dial(t.Context(), "ws://me:secret@"+at+"/x", DialOptions{})
	if err != nil || conn.URL() != "ws://"+at+"/x" {
		t.Error(conn.URL(), err)
	}
}

// TestDialInjection: nothing that a caller gives ends a line of the request, adds a field of the handshake's, or says twice what is said once.
func TestDialInjection(t *testing.T) {
	c := newClient(t, Funcs{}, ClientOptions{})
	for name, o := range map[string]DialOptions{
		"a line in a cookie beside a jar": {Jar: evilJar{}, Header: http.Header{"Cookie": {"a=b\r\nX: y"}}},
		"a cookie in another case":        {Header: http.Header{"cookie": {"a=b\r\nX: y"}}},
		"a NUL":                           {Header: http.Header{"X": {"a\x00"}}},
		"no ASCII":                        {Header: http.Header{"X": {"é"}}},
		"no ASCII in a name":              {Header: http.Header{"é": {"x"}}},
		"an empty name":                   {Header: http.Header{"": {"x"}}},
		"a colon in a name":               {Header: http.Header{"X:": {"x"}}},
		"an origin":                       {Origin: "https://é"},
		"a length":                        {Header: http.Header{"content-length": {"5"}}},
		"a coding":                        {Header: http.Header{"Transfer-Encoding": {"chunked"}}},
		"a connection":                    {Header: http.Header{"connection": {"close"}}},
		"an extension":                    {Header: http.Header{"sec-websocket-extensions": {"x"}}},
		"a version":                       {Header: http.Header{"Sec-WebSocket-Version": {"8"}}},
		"a host":                          {Header: http.Header{"host": {"x"}}},
		"a proxy's password":              {Header: http.Header{"Proxy-Authorization": {"Basic eDp5"}}},
		"a host with a line":              {Host: "a\r\nX: y"},
		"a host with a user":              {Host: "me@h"},
		"a host that is not ASCII":        {Host: "bücher.example"},
		"a protocol with a line":          {Protocols: []string{"a\r\nX: y"}},
		"a protocol that is not ASCII":    {Protocols: []string{"é"}},
		"a list of protocols":             {Protocols: []string{"a, b"}},
		"renegotiation":                   {TLSConfig: &tls.Config{Renegotiation: tls.RenegotiateOnceAsClient}},
		"a proxy to a unix socket":        {Unix: "/x", Proxy: http.ProxyFromEnvironment},
		"a proxy of another kind":         {Proxy: http.ProxyURL(&url.URL{Scheme: "ftp", Host: "h"})},
		"a proxy without a host":          {Proxy: http.ProxyURL(&url.URL{Scheme: "http"})},
	} {
		if _, err := c.Start("ws://192.0.2.1:8080", o); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if st := c.Stats(); st.Dials != 0 {
		t.Errorf("%d dials", st.Dials)
	}
}

// evilJar has cookies that no field can hold; those are left out, or what is left of them is harmless.
type evilJar struct{}

func (evilJar) SetCookies(*url.URL, []*http.Cookie) { panic("meant") }
func (evilJar) Cookies(*url.URL) []*http.Cookie {
	return []*http.Cookie{{Name: "a b", Value: "x"}, {Name: "ok", Value: "1\r\nX: y"}, {Name: "é", Value: "x"}}
}

// TestDialFields: what of the request is said once is said once, and a jar that panics hurts nobody.
func TestDialFields(t *testing.T) {
	requests := make(chan *http.Request, 10)
	url, _ := answersOnce(t, func(r *http.Request) string {
		requests <- r
		return switching(r, "Set-Cookie: a=b")
	})
	c := newClient(t, Funcs{}, ClientOptions{})
	if _, err := c.Dial(t.Context(), strings.Replace(url, "ws://", "ws://%zz:b%41@", 1), DialOptions{Jar: evilJar{}}); err != nil {
		t.Fatal(err)
	}
	r := receive(t, requests, "a request")
	if user, password, _ := r.BasicAuth(); user != "%zz" || password != "bA" {
		t.Errorf("%q, %q", user, password)
	}
	if got := fmt.Sprint(r.Header["Cookie"]); got != `[ok="1X: y"]` {
		t.Error(got)
	}
	within(t, timeoutOf(5), "the panic is counted", func() bool { return c.Stats().Panics == 1 })
	if _, err := c.Dial(t.Context(), strings.Replace(url, "ws://", "ws://me:b@", 1), DialOptions{Header: http.Header{"authorization": {"Bearer x"}, "cookie": {"c=d"}, "Cookie": {"e=f"}}}); err != nil {
		t.Fatal(err)
	}
	r = receive(t, requests, "a request")
	if got := fmt.Sprint(r.Header["Authorization"], r.Header["Cookie"]); got != "[Bearer x] [e=f; c=d]" {
		t.Error(got)
	}
}

// TestAnswerBodies: a refusal is told at once when its body is there, whatever says where that ends, and soon when nothing does.
func TestAnswerBodies(t *testing.T) {
	long := strings.Repeat("0123456789abcdef", 100)
	for name, k := range map[string]struct{ answer, body string }{
		"a length":        {"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nhello", "hello"},
		"a long one":      {"HTTP/1.1 404 Not Found\r\nContent-Length: 1600\r\n\r\n" + long, long[:1024]},
		"none":            {"HTTP/1.1 204 No Content\r\n\r\n", ""},
		"chunks":          {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", "hello"},
		"long chunks":     {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n640\r\n" + long, long[:1024]},
		"broken chunks":   {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\nz\r\n", "he"},
		"chunks that end": {"HTTP/1.1 503 x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", "hel"},
		"no end":          {"HTTP/1.1 403 x\r\n\r\nhello", "hello"},
		"half a body":     {"HTTP/1.1 403 x\r\nContent-Length: 10\r\n\r\nhello", "hello"},
	} {
		for _, piece := range []int{1 << 20, 1} {
			t.Run(fmt.Sprint(name, piece), func(t *testing.T) {
				t.Parallel()
				url := answersInPieces(t, k.answer, piece)
				c := newClient(t, Funcs{}, ClientOptions{HandshakeTimeout: timeoutOf(60)})
				_, err := c.Dial(t.Context(), url, DialOptions{})
				var h *HandshakeError
				if !errors.As(err, &h) || h.Reason != "status" || piece > 1 && string(h.Body) != k.body || !strings.HasPrefix(k.body, string(h.Body)) {
					t.Errorf("%v, %+v", err, h)
				}
			})
		}
	}
}

// answersInPieces answers in pieces of so many bytes, and then waits for the client's end.
func answersInPieces(t *testing.T, answer string, piece int) (url string) {
	t.Helper()
	return "ws://" + takes(t, func(nc net.Conn) {
		for i := 0; i < len(answer); i += piece {
			if _, err := io.WriteString(nc, answer[i:min(i+piece, len(answer))]); err != nil {
				return
			}
		}
		_, _ = io.Copy(io.Discard, nc)
	})
}

// TestAnswerBeforeRequest: a server that says why and leaves, without reading the request, is heard.
func TestAnswerBeforeRequest(t *testing.T) {
	at := takes(t, func(nc net.Conn) {
		_, _ = io.WriteString(nc, "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 7\r\nContent-Length: 4\r\n\r\nfull")
	})
	for way, set := range waysToTransport {
		c := newClient(t, Funcs{}, ClientOptions{})
		set(c)
		for range 20 {
			_, err := c.Dial(t.Context(), "ws://"+at, DialOptions{})
			var h *HandshakeError
			if !errors.As(err, &h) || h.Status != 503 && h.Reason != "connection-lost" {
				t.Errorf("%s: %v", way, err)
			}
		}
	}
}

// TestDialWaitsForOnOpen: Dial returns when OnOpen has, however that ends.
func TestDialWaitsForOnOpen(t *testing.T) {
	_, at := echoes(t)
	for _, workers := range []int{0, 2} {
		for name, end := range map[string]func(){"returns": func() {}, "panics": func() { panic("meant") }, "ends its goroutine": runtime.Goexit} {
			called := false
			c := newClient(t, Funcs{Open: func(*Conn) { time.Sleep(10 * time.Millisecond); called = true; end() }}, ClientOptions{Workers: workers})
			ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(10))
			conn, err := c.Dial(ctx, "ws://"+at, DialOptions{})
			cancel()
			if conn == nil || err != nil || !called {
				t.Errorf("%d workers, OnOpen %s: %v, %v, %v", workers, name, conn, err, called)
			}
		}
	}
}
