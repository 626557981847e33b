package engine

import (
	"bufio"
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
	"strings"
	"testing"

	"golang.org/x/net/http/httpproxy"
)

// Proxies that work, those that ask for a password, and who is dialled through which.

// socksEnd is a SOCKS5 proxy (RFC 1928, RFC 1929) that asks for a user and a password, if it has some, and resolves names itself: all of them are
// this machine.
type socksEnd struct {
	user, password string
	asked          chan string // what each client wanted, or how it was refused
}

func (p *socksEnd) start(t *testing.T) string {
	t.Helper()
	return takes(t, p.serve)
}

func (p *socksEnd) serve(nc net.Conn) {
	next := func(n int) []byte {
		b := make([]byte, n)
		_, _ = io.ReadFull(nc, b)
		return b
	}
	methods := string(next(int(next(2)[1])))
	if p.user == "" {
		_, _ = nc.Write([]byte{5, 0})
	} else if said := p.admits(nc, methods, next); said != "" {
		p.asked <- said
		return
	}
	var name string
	switch kind := next(4)[3]; kind {
	case 1:
		name = netip.AddrFrom4([4]byte(next(4))).String()
	case 3:
		name = string(next(int(next(1)[0])))
	default:
		p.asked <- fmt.Sprint("for an address of kind ", kind)
		return
	}
	b := next(2)
	at := fmt.Sprint(int(b[0])<<8 | int(b[1]))
	p.asked <- "for " + name + ":" + at
	to, err := net.Dial("tcp", "127.0.0.1:"+at)
	if err != nil {
		_, _ = nc.Write([]byte{5, 5, 0, 1, 0, 0, 0, 0, 0, 0})
		return
	}
	_, _ = nc.Write([]byte{5, 0, 0, 3, 4, 'h', 'o', 's', 't', 0, 1}) // bound to a name, as some say
	carryBoth(nc, to)
}

// admits asks for user and password, and says why it refuses; "" if it does not.
func (p *socksEnd) admits(nc net.Conn, methods string, next func(int) []byte) string {
	if !strings.Contains(methods, "\x02") {
		_, _ = nc.Write([]byte{5, 0xff})
		return "without a password"
	}
	_, _ = nc.Write([]byte{5, 2})
	user := string(next(int(next(2)[1])))
	if password := string(next(int(next(1)[0]))); user != p.user || password != p.password {
		_, _ = nc.Write([]byte{1, 1})
		return "with a wrong password"
	}
	_, _ = nc.Write([]byte{1, 0})
	return ""
}

// carryBoth copies both ways until one end is gone.
func carryBoth(a, b net.Conn) {
	go func() { _, _ = io.Copy(b, a); b.Close() }()
	_, _ = io.Copy(a, b)
	a.Close()
}

// TestDialSOCKSPassword: the user information of the proxy's URL is what a SOCKS5 proxy gets; with a wrong one, or none, it refuses, and the error says so without showing it. The
// name goes to the proxy: nothing resolves it here.
func TestDialSOCKSPassword(t *testing.T) {
	_, at := echoes(t)
	p := &socksEnd{"me", "p:w@x", make(chan string, 10)}
	via := url.URL{Host: p.start(t)}
	never := names{} // a name that comes here is not found
	target := "only-the-proxy-knows.example:" + port(t, at)
	for _, via.Scheme = range []string{"socks5", "socks5h"} {
		via.User = url.UserPassword("me", "p:w@x")
		roundTrip(t, ClientOptions{Resolver: never}, "ws://"+target, DialOptions{Proxy: http.ProxyURL(&via)})
		if got := receive(t, p.asked, "what the proxy is asked"); got != "for "+target {
			t.Error(got)
		}
		c := newClient(t, Funcs{}, ClientOptions{Resolver: never})
		for want, user := range map[string]*url.Userinfo{"without a password": nil, "with a wrong password": url.UserPassword("me", "secret")} {
			via.User = user
			_, err := c.Dial(t.Context(), "ws://"+target, DialOptions{Proxy: http.ProxyURL(&via)})
			var d *DialError
			if !errors.As(err, &d) || d.Op != "proxy" || d.Reason != "proxy-auth" || !strings.Contains(err.Error(), "user and password") || strings.Contains(err.Error(), "secret") {
				t.Errorf("%s: %v", want, err)
			}
			if got := receive(t, p.asked, "what the proxy is asked"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		}
	}
}

// TestDialSOCKSRefusal: the proxy does not reach the target.
func TestDialSOCKSRefusal(t *testing.T) {
	p := &socksEnd{"me", "x", make(chan string, 10)}
	via := &url.URL{Scheme: "socks5", Host: p.start(t), User: url.UserPassword("me", "x")}
	c := newClient(t, Funcs{}, ClientOptions{})
	_, err := c.Dial(t.Context(), "ws://h.example:"+port(t, closedPort(t)), DialOptions{Proxy: http.ProxyURL(via)})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "proxy" || d.Reason != "proxy-refused" || !strings.Contains(err.Error(), "connection refused") {
		t.Error(err)
	}
}

// connectEnd is an HTTP proxy, all of whose names are one address.
func connectEnd(to string, asked chan<- string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.Host + " " + r.Header.Get("Proxy-Authorization")
		target, err := net.Dial("tcp", to)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		_, _ = io.WriteString(nc, "HTTP/1.1 200 Connection established\r\n\r\n")
		carryBoth(nc, target)
	})
}

// proxyOverTLS serves a proxy over TLS, and answers its URL and whom a client has to trust.
func proxyOverTLS(t *testing.T, h http.Handler) (*url.URL, *tls.Config) {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(s.Close)
	u, _ := url.Parse(s.URL)
	return u, s.Client().Transport.(*http.Transport).TLSClientConfig
}

// TestDialHTTPSProxy: a proxy over TLS carries ws, and wss within its own TLS. One that is not trusted is told of, and gets no password.
func TestDialHTTPSProxy(t *testing.T) {
	_, at := echoes(t)
	asked := make(chan string, 10)
	via, trusted := proxyOverTLS(t, connectEnd(at, asked))
	via.User = url.UserPassword("me", "secret")
	roundTrip(t, ClientOptions{}, "ws://plain.example", DialOptions{Proxy: http.ProxyURL(via), TLSConfig: trusted})
	if got := receive(t, asked, "CONNECT"); got != "CONNECT plain.example:80 Basic bWU6c2VjcmV0" {
		t.Error(got)
	}
	c := newClient(t, Funcs{}, ClientOptions{})
	_, err := c.Dial(t.Context(), "ws://plain.example", DialOptions{Proxy: http.ProxyURL(via)})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "proxy" || d.Reason != "certificate" || strings.Contains(err.Error(), "secret") || strings.Count(err.Error(), "RootCAs") != 1 || len(asked) > 0 {
		t.Error(err, len(asked))
	}

	s, err := NewServer(echoHandler, Options{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	secure := httptest.NewTLSServer(s)
	defer secure.Close()
	via, trusted = proxyOverTLS(t, connectEnd(secure.Listener.Addr().String(), asked))
	roundTrip(t, ClientOptions{}, "wss://example.com", DialOptions{Proxy: http.ProxyURL(via), TLSConfig: trusted})
	if got := receive(t, asked, "CONNECT"); got != "CONNECT example.com:443 " {
		t.Error(got)
	}
}

// TestDialProxyWithFirstBytes: what comes in one piece with a proxy's 200 is what the target says first, and the connection's.
func TestDialProxyWithFirstBytes(t *testing.T) {
	for _, secure := range []bool{false, true} {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		go func() { // a proxy, and a target that speaks before it is asked
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			defer nc.Close()
			r := bufio.NewReader(nc)
			if _, err := http.ReadRequest(r); err != nil {
				return
			}
			_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 401 Unauthorized\r\nContent-Length: 5\r\n\r\nearly")
			_, _ = io.Copy(io.Discard, r)
		}()
		events := make(chan string, 10)
		c := newClient(t, eventsOf(events), ClientOptions{})
		address, want := "ws://h.example", 401
		if secure { // no TLS begins so
			address, want = "wss://h.example", 0
		}
		_, err = c.Dial(t.Context(), address, DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: ln.Addr().String()})})
		var h *HandshakeError
		var d *DialError
		if errors.As(err, &h); want != 0 && (h == nil || h.Status != want || string(h.Body) != "early") {
			t.Errorf("%v, %+v", err, h)
		}
		if errors.As(err, &d); want == 0 && (d == nil || d.Op != "tls" || d.Reason != "not-tls") {
			t.Errorf("%v, %+v", err, d)
		}
		hears(t, events, failsBefore)
	}
	// Its 200 is cut, and the target's answer has its first frames behind it.
	events := make(chan string, 10)
	at := scripted(t, func(nc net.Conn, r *bufio.Reader, connect *http.Request) {
		_, _ = io.WriteString(nc, "HTTP/1.1 200 OK\r\n\r")
		_, _ = io.WriteString(nc, "\n")
		req, err := http.ReadRequest(r)
		if err != nil {
			return
		}
		_, _ = io.WriteString(nc, switching(req)+string(bareFrame(0x81, []byte("a")))+string(bareFrame(0x88, []byte{3, 232})))
		_, _ = io.Copy(io.Discard, r)
	})
	c := newClient(t, eventsOf(events), ClientOptions{})
	if _, err := c.Dial(t.Context(), "ws://h.example", DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: strings.Trim(at, "ws:/")})}); err != nil {
		t.Fatal(err)
	}
	hears(t, events, `open OPEN, message "a" OPEN, close CLOSED 1000 true`)
}

// TestDialProxyFromEnvironment: HTTP_PROXY is for ws, HTTPS_PROXY for wss, and who is in NO_PROXY is dialled directly. net/http reads the environment once, so the
// function is that which it calls, with a configuration.
func TestDialProxyFromEnvironment(t *testing.T) {
	_, at := echoes(t)
	asked := make(chan string, 10)
	proxy := httptest.NewServer(connectEnd(at, asked))
	defer proxy.Close()
	dead := "http://" + closedPort(t)
	from := func(k httpproxy.Config) func(*http.Request) (*url.URL, error) {
		proxyFor := k.ProxyFunc()
		return func(r *http.Request) (*url.URL, error) { return proxyFor(r.URL) }
	}
	n := names{"direct.example": addrs("127.0.0.1"), "a.direct.example": addrs("127.0.0.1")}
	for _, k := range []struct {
		name, url string
		config    httpproxy.Config
		asks      string // of the proxy
	}{
		{"by HTTP_PROXY", "ws://far.example", httpproxy.Config{HTTPProxy: proxy.URL, HTTPSProxy: dead}, "CONNECT far.example:80 "},
		{"beside NO_PROXY", "ws://far.example:8080", httpproxy.Config{HTTPProxy: proxy.URL, NoProxy: "direct.example"}, "CONNECT far.example:8080 "},
		{"NO_PROXY", "ws://direct.example:" + port(t, at), httpproxy.Config{HTTPProxy: dead, NoProxy: "direct.example"}, ""},
		{"a domain in NO_PROXY", "ws://a.direct.example:" + port(t, at), httpproxy.Config{HTTPProxy: dead, NoProxy: ".direct.example"}, ""},
		{"a network in NO_PROXY", "ws://" + at, httpproxy.Config{HTTPProxy: dead, NoProxy: "127.0.0.0/8"}, ""},
		{"no proxy for all", "ws://direct.example:" + port(t, at), httpproxy.Config{HTTPProxy: dead, NoProxy: "*"}, ""},
		{"none for ws", "ws://direct.example:" + port(t, at), httpproxy.Config{HTTPSProxy: dead}, ""},
	} {
		roundTrip(t, ClientOptions{Resolver: n}, k.url, DialOptions{Proxy: from(k.config)})
		got := ""
		select {
		case got = <-asked:
		default:
		}
		if got != k.asks {
			t.Errorf("%s: the proxy was asked %q, want %q", k.name, got, k.asks)
		}
	}
	c := newClient(t, Funcs{}, ClientOptions{Resolver: n})
	_, err := c.Dial(t.Context(), "wss://far.example", DialOptions{Proxy: from(httpproxy.Config{HTTPProxy: proxy.URL, HTTPSProxy: dead})})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "proxy" || d.Addr != dead {
		t.Error("wss goes by HTTPS_PROXY:", err)
	}
}

// TestDialTLSVersions: DialOptions.TLSConfig bounds the version.
func TestDialTLSVersions(t *testing.T) {
	s, err := NewServer(echoHandler, Options{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	old := httptest.NewUnstartedServer(s)
	old.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	old.TLS = &tls.Config{MaxVersion: tls.VersionTLS12}
	old.StartTLS()
	defer old.Close()
	trusted := old.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	address := strings.Replace(old.URL, "https", "wss", 1)
	roundTrip(t, ClientOptions{}, address, DialOptions{TLSConfig: trusted})
	trusted.MinVersion = tls.VersionTLS13
	c := newClient(t, Funcs{}, ClientOptions{})
	_, err = c.Dial(t.Context(), address, DialOptions{TLSConfig: trusted})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "tls" || !strings.Contains(err.Error(), "version") {
		t.Error("TLS 1.3 at least, of a server that has 1.2:", err)
	}
}

// TestDialHTTP2Alone: a server that speaks HTTP/2 alone is told of in words, whether it says so in TLS's handshake or begins to speak it.
func TestDialHTTP2Alone(t *testing.T) {
	web := httptest.NewUnstartedServer(http.NotFoundHandler())
	web.StartTLS()
	defer web.Close()
	trusted := web.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	trusted.NextProtos = []string{"h2", "http/1.1"} // what a user copied from elsewhere
	certificates := web.TLS.Certificates
	settings := scriptedTLS(t, &tls.Config{Certificates: certificates}, "\x00\x00\x00\x04\x00\x00\x00\x00\x00")
	for way, set := range waysToTransport {
		c := newClient(t, Funcs{}, ClientOptions{})
		set(c)
		// net/http's own server lets http/1.1 pass where h2 alone is set: this name stands for h2.
		_, err := c.Dial(t.Context(), "wss://"+tlsEnd(t, &tls.Config{Certificates: certificates, NextProtos: []string{"h3"}}), DialOptions{TLSConfig: trusted})
		var d *DialError
		if !errors.As(err, &d) || d.Op != "tls" || d.Reason != "alpn" || !strings.Contains(err.Error(), "no HTTP/1.1") {
			t.Errorf("%s: it refuses in TLS: %v", way, err)
		}
		_, err = c.Dial(t.Context(), "wss://"+settings, DialOptions{TLSConfig: trusted})
		var h *HandshakeError
		if !errors.As(err, &h) || h.Reason != "not-http" || !strings.Contains(err.Error(), "HTTP/1.1") {
			t.Errorf("%s: it speaks HTTP/2: %v", way, err)
		}
	}
	if got := dialReason(errors.New("tls: server selected unadvertised ALPN protocol")); got != "alpn" {
		t.Error(got)
	}
}

// scriptedTLS says the same to everybody, over TLS.
func scriptedTLS(t *testing.T, config *tls.Config, words string) string {
	t.Helper()
	ln, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	return taking(t, ln, func(nc net.Conn) {
		_, _ = io.WriteString(nc, words)
		_, _ = io.Copy(io.Discard, nc)
	})
}
