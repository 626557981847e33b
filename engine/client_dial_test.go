package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"
)

// names resolves names as a test says.
type names map[string][]netip.Addr

func (n names) LookupNetIP(_ context.Context, network, host string) ([]netip.Addr, error) {
	if a, ok := n[host]; ok && network == "ip" {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

func addrs(all ...string) (out []netip.Addr) {
	for _, a := range all {
		out = append(out, netip.MustParseAddr(a))
	}
	return out
}

// echoes is a server for clients of a test; it answers its address.
func echoes(t *testing.T) (*house, string) {
	t.Helper()
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{})
	return w, w.Addr().String()
}

func port(t *testing.T, addr string) string {
	t.Helper()
	_, p, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// roundTrip dials, and has a message come back.
func roundTrip(t *testing.T, o ClientOptions, address string, d DialOptions) *Conn {
	t.Helper()
	heard := make(chan string, 10)
	c := newClient(t, Funcs{Message: func(_ *Conn, m Message) { heard <- string(m.Data) }}, o)
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(10))
	defer cancel()
	conn, err := c.Dial(ctx, address, d)
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.SendText("there and back"); err != nil {
		t.Fatal(err)
	}
	if got := receive(t, heard, "the echo"); got != "there and back" {
		t.Errorf("%q came back", got)
	}
	return conn
}

func TestDialNames(t *testing.T) {
	_, at := echoes(t)
	n := names{"gannet.example": addrs("127.0.0.1"), "xn--bcher-kva.example": addrs("127.0.0.1"), "two.example": addrs("192.0.2.1", "127.0.0.1"), "none.example": {}}
	for _, host := range []string{"gannet.example", "GANNET.example", "bücher.example"} {
		conn := roundTrip(t, ClientOptions{Resolver: n}, "ws://"+host+":"+port(t, at)+"/", DialOptions{})
		if got := conn.RemoteAddr().String(); got != at {
			t.Errorf("%s: %s", host, got)
		}
	}
	c := newClient(t, Funcs{}, ClientOptions{Resolver: n})
	for _, host := range []string{"missing.example", "none.example"} {
		_, err := c.Dial(t.Context(), "ws://"+host, DialOptions{})
		var d *DialError
		if !errors.As(err, &d) || d.Op != "resolve" || d.Addr != host {
			t.Errorf("%s: %v", host, err)
		}
	}
}

// A name with a dead IPv6 and a live IPv4 address: the second one is tried beside the first.
func TestDialBothFamilies(t *testing.T) {
	_, at := echoes(t)
	for _, dead := range []string{"100::1", "2001:db8::1"} { // discarded, or unreachable at once
		n := names{"both.example": addrs(dead, dead, "127.0.0.1")}
		began := time.Now()
		roundTrip(t, ClientOptions{Resolver: n}, "ws://both.example:"+port(t, at), DialOptions{})
		if took := time.Since(began); took > timeoutOf(1) {
			t.Errorf("%s: it took %v", dead, took)
		}
	}
}

func TestByTurns(t *testing.T) {
	got := fmt.Sprint(byTurns(addrs("::1", "::2", "::3", "1.1.1.1", "::ffff:2.2.2.2")))
	if want := "[::1 1.1.1.1 ::2 ::ffff:2.2.2.2 ::3]"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestDialLocalAddrs(t *testing.T) {
	w, at := echoes(t)
	c := newClient(t, Funcs{}, ClientOptions{LocalAddrs: addrs("127.0.0.5", "127.0.0.6", "::1")})
	from := map[string]int{}
	for range 10 {
		conn, err := c.Dial(t.Context(), "ws://"+at, DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := net.SplitHostPort(conn.LocalAddr().String())
		from[host]++
	}
	if from["127.0.0.5"] != 5 || from["127.0.0.6"] != 5 {
		t.Error(from)
	}
	within(t, timeoutOf(5), "they are there", func() bool { return w.Stats().Open == 10 })
}

func TestDialUnix(t *testing.T) {
	path := t.TempDir() + "/s"
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s, err := NewServer(echoHandler, Options{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	go func() { _ = s.Serve(ln) }()
	conn := roundTrip(t, ClientOptions{}, "ws://anything.example/x", DialOptions{Unix: path})
	if got := conn.URL(); got != "ws://anything.example/x" {
		t.Error(got)
	}
	c := newClient(t, Funcs{}, ClientOptions{})
	if _, err := c.Dial(t.Context(), "ws://h", DialOptions{Unix: path + "no"}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestDialTLS(t *testing.T) {
	s, err := NewServer(echoHandler, Options{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hs := httptest.NewTLSServer(http.HandlerFunc(s.ServeHTTP))
	defer hs.Close()
	config := hs.Client().Transport.(*http.Transport).TLSClientConfig
	conn := roundTrip(t, ClientOptions{}, strings.Replace(hs.URL, "https", "wss", 1), DialOptions{TLSConfig: config})
	if got := conn.URL(); !strings.HasPrefix(got, "wss://127.0.0.1:") {
		t.Error(got)
	}
	c := newClient(t, Funcs{}, ClientOptions{})
	for _, bad := range []*tls.Config{nil, {RootCAs: config.RootCAs, ServerName: "other.example"}} {
		_, err := c.Dial(t.Context(), hs.URL, DialOptions{TLSConfig: bad})
		var d *DialError
		if !errors.As(err, &d) || d.Op != "tls" {
			t.Error(err)
		}
	}
}

// TestDialProxies: an HTTP proxy that asks for credentials, and a SOCKS5 one, each with a server's first frame close behind the answer.
func TestDialProxies(t *testing.T) {
	_, at := echoes(t)
	asked := make(chan string, 10)
	through := connectEnd(at, asked)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Proxy-Authorization") == "" {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		through.ServeHTTP(w, r)
	}))
	defer proxy.Close()
	via, _ := url.Parse(proxy.URL)
	via.User = url.UserPassword("me", "a:b")
	roundTrip(t, ClientOptions{}, "ws://"+at, DialOptions{Proxy: http.ProxyURL(via)})
	if got := receive(t, asked, "CONNECT"); got != "CONNECT "+at+" Basic bWU6YTpi" {
		t.Error(got)
	}
	c := newClient(t, Funcs{}, ClientOptions{})
	via.User = nil
	_, err := c.Dial(t.Context(), "ws://"+at, DialOptions{Proxy: http.ProxyURL(via)})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "proxy" || !strings.Contains(err.Error(), "407") {
		t.Error(err)
	}
	open := &socksEnd{asked: make(chan string, 1)}
	roundTrip(t, ClientOptions{}, "ws://"+at, DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "socks5", Host: open.start(t)})})
	if got := receive(t, open.asked, "what the proxy is asked"); got != "for "+at {
		t.Error(got)
	}
}

func TestDialContext(t *testing.T) {
	_, at := echoes(t)
	got := ""
	o := ClientOptions{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		got = network + " " + addr
		return net.Dial("tcp", at)
	}}
	roundTrip(t, o, "ws://some.example/", DialOptions{})
	if got != "tcp some.example:80" {
		t.Error(got)
	}
	c := newClient(t, Funcs{}, ClientOptions{DialContext: func(context.Context, string, string) (net.Conn, error) { panic("meant") }})
	if _, err := c.Dial(t.Context(), "ws://h", DialOptions{}); err == nil || !strings.Contains(err.Error(), "meant") {
		t.Error(err)
	}
}

// TestDialRequest: what the request says, and what becomes of the answer.
func TestDialRequest(t *testing.T) {
	requests := make(chan *http.Request, 10)
	address := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		requests <- req
		_, _ = io.WriteString(nc, switching(req, "Set-Cookie: b=2", "X-Answer: yes"))
		_, _ = io.Copy(io.Discard, r)
	})
	jar, _ := cookiejar.New(nil)
	u, _ := url.Parse(strings.Replace(address, "ws", "http", 1))
	jar.SetCookies(u, []*http.Cookie{{Name: "a", Value: "1"}})
	c := newClient(t, Funcs{}, ClientOptions{})
	conn, err := c.Dial(t.Context(), strings.Replace(address, "ws://", "ws://us%40r:p@", 1)+"päth?q", DialOptions{
		Origin: "https://origin.example", Host: "host.example", Header: http.Header{"X-Y": {"1", "2"}, "Cookie": {"c=3"}}, Jar: jar, KeepHeader: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := receive(t, requests, "the request")
	user, password, _ := r.BasicAuth()
	if got := fmt.Sprint(r.Method, r.RequestURI, r.Host, r.Header["X-Y"], r.Header["Origin"], user, password); got != "GET /p%C3%A4th?q host.example [1 2] [https://origin.example] us@r p" &&
		got != "GET/p%C3%A4th?qhost.example[1 2] [https://origin.example]us@rp" {
		t.Error(got)
	}
	if got := fmt.Sprint(r.Cookies()); got != "[a=1 c=3]" && got != "[c=3 a=1]" {
		t.Error(got)
	}
	if len(jar.Cookies(u)) != 2 || conn.Header().Get("X-Answer") != "yes" {
		t.Error(jar.Cookies(u), conn.Header())
	}
}

// TestDialTimeouts: nobody answers the connect, the TLS or the handshake, or a byte a moment.
func TestDialTimeouts(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	drip := scripted(t, func(nc net.Conn, _ *bufio.Reader, req *http.Request) {
		for _, c := range []byte(switching(req, strings.Repeat("X: y\r\n", 50)+"A: b")) {
			if _, err := nc.Write([]byte{c}); err != nil {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	})
	short := 200 * time.Millisecond
	for name, c := range map[string]struct {
		o    ClientOptions
		url  string
		want func(error) bool
	}{
		"connect":   {ClientOptions{ConnectTimeout: short, DialContext: waits}, "ws://h", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"resolve":   {ClientOptions{ConnectTimeout: short, Resolver: slowResolver{}}, "ws://h", func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"tls":       {ClientOptions{TLSTimeout: short}, "wss://" + silent.Addr().String(), func(err error) bool { return errors.Is(err, context.DeadlineExceeded) }},
		"handshake": {ClientOptions{HandshakeTimeout: short}, "ws://" + silent.Addr().String(), func(err error) bool { return errors.Is(err, ErrHandshakeTimeout) }},
		"drip":      {ClientOptions{HandshakeTimeout: short}, drip, func(err error) bool { return errors.Is(err, ErrHandshakeTimeout) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := make(chan string, 10)
			client := newClient(t, eventsOf(events), c.o)
			_, err := client.Dial(t.Context(), c.url, DialOptions{})
			if err == nil || !c.want(err) {
				t.Error(err)
			}
			for want := range strings.SplitSeq(failsBefore, ", ") {
				if got := receive(t, events, want); got != want {
					t.Errorf("heard %q, want %q", got, want)
				}
			}
		})
	}
}

func waits(ctx context.Context, _, _ string) (net.Conn, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

type slowResolver struct{}

func (slowResolver) LookupNetIP(ctx context.Context, _, _ string) ([]netip.Addr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// TestDialEnded: a connection that is CONNECTING is closed, its context ends, or the client does: OnError, OnClose, and nothing else.
func TestDialEnded(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { silent.Close() })
	for where, c := range map[string]struct {
		o   ClientOptions
		url string
	}{
		"resolving":  {ClientOptions{Resolver: slowResolver{}}, "ws://h"},
		"connecting": {ClientOptions{DialContext: waits}, "ws://h"},
		"answering":  {ClientOptions{}, "ws://" + silent.Addr().String()},
		"tls":        {ClientOptions{Workers: 1}, "wss://" + silent.Addr().String()},
	} {
		for how, end := range map[string]func(*Client, *Conn){
			"Close":     func(_ *Client, c *Conn) { _ = c.Close() },
			"Terminate": func(_ *Client, c *Conn) { c.Terminate() },
			"Shutdown":  func(c *Client, _ *Conn) { _ = c.Shutdown(context.Background()) },
			"the end":   func(c *Client, _ *Conn) { _ = c.Close() },
		} {
			t.Run(where+" "+how, func(t *testing.T) {
				t.Parallel()
				events := make(chan string, 10)
				client := newClient(t, eventsOf(events), c.o)
				conn, err := client.Start(c.url, DialOptions{})
				if err != nil {
					t.Fatal(err)
				}
				if s := conn.ReadyState(); s != Connecting {
					t.Error(s)
				}
				if err := conn.SendText("early"); err != ErrInvalidState || conn.BufferedAmount() != 0 {
					t.Error(err, conn.BufferedAmount())
				}
				time.Sleep(20 * time.Millisecond)
				end(client, conn)
				for want := range strings.SplitSeq(failsBefore, ", ") {
					if got := receive(t, events, want); got != want {
						t.Errorf("heard %q, want %q", got, want)
					}
				}
				if s := conn.ReadyState(); s != Closed {
					t.Error(s)
				}
			})
		}
	}
	c := newClient(t, Funcs{}, ClientOptions{Resolver: slowResolver{}})
	ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errors.New("enough"))
	defer cancel()
	if _, err := c.Dial(ctx, "ws://h", DialOptions{}); err == nil || !strings.Contains(err.Error(), "enough") {
		t.Error(err)
	}
	_ = c.Close()
	if _, err := c.Start("ws://h", DialOptions{}); err != ErrClientClosed {
		t.Error(err)
	}
}

func TestDialArguments(t *testing.T) {
	c := newClient(t, Funcs{}, ClientOptions{})
	for _, u := range []string{"", "/x", "ftp://h", "ws://h#", "ws://h#f", "ws://", "ws://a b", "ws://h:-1", "ws://h:65536", "ws://h:8080x"} {
		if _, err := c.Start(u, DialOptions{}); !errors.Is(err, ErrSyntax) {
			t.Errorf("%q: %v", u, err)
		}
	}
	for _, p := range badPorts {
		if _, err := c.Start(fmt.Sprint("wss://127.0.0.1:", p), DialOptions{}); !errors.Is(err, ErrSecurity) {
			t.Errorf("port %d: %v", p, err)
		}
	}
	if _, err := c.Start("ws://127.0.0.1:22", DialOptions{AllowPort: 22}); err != nil {
		t.Error(err)
	}
	for name, o := range map[string]DialOptions{
		"a protocol twice":  {Protocols: []string{"a", "A"}},
		"an empty protocol": {Protocols: []string{""}},
		"no token":          {Protocols: []string{"a b"}},
		"Host in Header":    {Header: http.Header{"Host": {"x"}}},
		"Upgrade":           {Header: http.Header{"Upgrade": {"x"}}},
		"a key":             {Header: http.Header{"Sec-Websocket-Key": {"x"}}},
		"a line":            {Header: http.Header{"X": {"a\r\nB: c"}}},
		"no host":           {Host: "a b"},
		"an origin":         {Origin: "a\r\nb"},
	} {
		if _, err := c.Start("ws://127.0.0.1", o); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, o := range map[string]ClientOptions{
		"connect": {ConnectTimeout: -1}, "tls": {TLSTimeout: 300 * 24 * time.Hour}, "both": {DialContext: waits, LocalAddrs: addrs("127.0.0.1")},
		"local": {LocalAddrs: addrs("0.0.0.0")}, "limits": {Limits: Limits{MaxMessageSize: -1}},
	} {
		if _, err := NewClient(Funcs{}, o); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
