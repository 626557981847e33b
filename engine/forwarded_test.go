package engine

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

// forwardingDoors are the ways in behind a proxy: what each listens on, and whether net/http is in between.
var forwardingDoors = map[string]func(t *testing.T, h Handler, o Options) (caller, *Server){
	"tcp":          ownDoor("tcp"),
	"bridged tcp":  ownDoor("bridged tcp"),
	"loopless tcp": ownDoor("loopless tcp"),
	"ServeHTTP": func(t *testing.T, h Handler, o Options) (caller, *Server) {
		n := innOn(t, h, o, false, (*httptest.Server).Start)
		return n, n.Server
	},
}

type caller interface{ call(t testing.TB) net.Conn }

func ownDoor(name string) func(t *testing.T, h Handler, o Options) (caller, *Server) {
	return func(t *testing.T, h Handler, o Options) (caller, *Server) {
		w := doorNamed(t, name).build(t, h, o)
		return w, w.Server
	}
}

// whereFrom answers a handshake with what the handler is told of its client.
func whereFrom() Funcs {
	h := echoHandler
	h.Upgrade = func(u *Upgrade) { _ = u.AddHeader("X-Remote", u.RemoteAddr().String()) }
	h.Message = func(c *Conn, _ Message) { _ = c.SendText(c.RemoteAddr().String() + " " + c.URL()) }
	return h
}

// told is what a client with these header lines is: the address, and the URL of its connection.
func told(t *testing.T, d caller, lines ...string) (remote, url string) {
	t.Helper()
	a := attackerOn(d.call(t))
	a.say(t, requestFor("/", lines...))
	r, err := http.ReadResponse(a.r, nil)
	if err != nil || r.StatusCode != 101 {
		t.Fatalf("%q: %v %v", lines, r, err)
	}
	g := &guest{a.Conn, a.r}
	g.say(t, ws.OpText, []byte("who?"))
	remote, url, _ = strings.Cut(hearText(t, g), " ")
	if got := r.Header.Get("X-Remote"); got != remote {
		t.Errorf("%q: Upgrade says %s, Conn %s", lines, got, remote)
	}
	if remote == a.LocalAddr().String() {
		remote = "own"
	}
	g.sayClose(t, 1000, "")
	g.hearClose(t, 1000, "")
	return remote, url
}

func hearText(t *testing.T, g *guest) string {
	t.Helper()
	f, err := readFrame(g)
	if err != nil {
		t.Fatal(err)
	}
	return string(f.Payload)
}

func TestTrustedProxies(t *testing.T) {
	local := []string{"127.0.0.0/8", "10.0.0.0/8"}
	for _, c := range []struct {
		name    string
		trusted []string
		header  string
		lines   []string
		remote  string
		secure  bool
	}{
		{name: "as nginx writes it", trusted: local, lines: []string{"X-Real-IP: 192.0.2.1", "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, remote: "192.0.2.1:0", secure: true},
		{name: "what the client had written, too", trusted: local, lines: []string{"X-Forwarded-For: 127.0.0.1, 198.51.100.9, 192.0.2.1"}, remote: "192.0.2.1:0"},
		{name: "as haproxy writes it: a line of its own", trusted: local, lines: []string{"X-Forwarded-For: 127.0.0.1", "x-forwarded-for: 192.0.2.1"}, remote: "192.0.2.1:0"},
		{name: "through two", trusted: local, lines: []string{"X-Forwarded-For: 198.51.100.9, 2001:db8::1, 10.0.0.2"}, remote: "[2001:db8::1]:0"},
		{name: "a single address", trusted: []string{"127.0.0.1"}, lines: []string{"X-Forwarded-For: 192.0.2.1:99"}, remote: "192.0.2.1:99"},
		{name: "IPv4 in IPv6", trusted: []string{"::ffff:127.0.0.0/104"}, lines: []string{"X-Forwarded-For: 192.0.2.1"}, remote: "192.0.2.1:0"},
		{name: "RFC 7239", trusted: local, header: "forwarded", lines: []string{`Forwarded: for="[2001:db8::1]:4711";proto=https`, "X-Forwarded-For: 198.51.100.9"}, remote: "[2001:db8::1]:4711"},
		{name: "the proxy does not know", trusted: local, lines: []string{"X-Forwarded-For: 192.0.2.1, unknown"}, remote: "own"},
		{name: "nothing", trusted: local, remote: "own"},
		{name: "the other field", trusted: local, lines: []string{"Forwarded: for=192.0.2.1"}, remote: "own"},
		{name: "another field", trusted: local, header: "Forwarded", lines: []string{"X-Forwarded-For: 192.0.2.1", "X-Real-IP: 192.0.2.1"}, remote: "own"},
		{name: "http", trusted: local, lines: []string{"X-Forwarded-Proto: http"}, remote: "own"},
		{name: "the host never", trusted: local, lines: []string{"X-Forwarded-Host: elsewhere.example"}, remote: "own"},
		{name: "a client that comes directly", trusted: []string{"10.0.0.0/8"}, lines: []string{"X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"}, remote: "own"},
		{name: "and claims to be a proxy", trusted: []string{"10.0.0.0/8", "unix"}, lines: []string{"X-Forwarded-For: 192.0.2.1, 10.0.0.1", "X-Forwarded-Proto: https"}, remote: "own"},
		{name: "and by RFC 7239", trusted: []string{"::1"}, header: "Forwarded", lines: []string{"Forwarded: for=192.0.2.1;proto=https"}, remote: "own"},
		{name: "off", lines: []string{"X-Forwarded-For: 192.0.2.1", "Forwarded: for=192.0.2.1", "X-Forwarded-Proto: https"}, remote: "own"},
	} {
		for door, build := range forwardingDoors {
			t.Run(c.name+" "+door, func(t *testing.T) {
				d, _ := build(t, whereFrom(), Options{Loops: 1, TrustedProxies: c.trusted, ForwardedHeader: c.header, Logger: quietLogger})
				scheme := "ws://"
				if c.secure {
					scheme = "wss://"
				}
				remote, url := told(t, d, c.lines...)
				if remote != c.remote || !strings.HasPrefix(url, scheme) || strings.Contains(url, "elsewhere") {
					t.Errorf("%s, %s", remote, url)
				}
			})
		}
	}
}

// A peer that comes by a unix socket has no address: it is trusted by name.
func TestTrustedUnixProxy(t *testing.T) {
	for _, door := range []string{"unix", "loopless unix"} {
		for _, trusted := range []string{"unix", "0.0.0.0/0"} {
			t.Run(door+" "+trusted, func(t *testing.T) {
				w := doorNamed(t, door).build(t, whereFrom(), Options{Loops: 1, TrustedProxies: []string{trusted}, MaxConnsPerAddress: 1})
				remote, url := told(t, w, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https")
				if believed := remote == "192.0.2.1:0"; believed != (trusted == "unix") || strings.HasPrefix(url, "wss:") != believed {
					t.Error(remote, url)
				}
			})
		}
	}
}

// What has no address and is no unix socket either is nobody's proxy.
func TestTrustedUnixIsNoPipe(t *testing.T) {
	w := doorNamed(t, "bridged pipe").build(t, whereFrom(), Options{Loops: 1, TrustedProxies: []string{"unix"}})
	if remote, url := told(t, w, "X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https"); remote != "own" || strings.HasPrefix(url, "wss:") {
		t.Error(remote, url)
	}
}

// TestForwardedSameOrigin: a page that came by https is of the same origin where the proxy says that its clients come so.
func TestForwardedSameOrigin(t *testing.T) {
	for door, build := range forwardingDoors {
		t.Run(door, func(t *testing.T) {
			for _, c := range []struct {
				trusted, proto, origin string
				status                 int
			}{
				{"127.0.0.0/8", "https", "https://victim.example", 101},
				{"127.0.0.0/8", "https", "http://victim.example", 403},
				{"127.0.0.0/8", "http", "https://victim.example", 403},
				{"127.0.0.0/8", "http", "http://victim.example", 101},
				{"10.0.0.0/8", "https", "https://victim.example", 403},
			} {
				d, _ := build(t, echoHandler, Options{Loops: 1, TrustedProxies: []string{c.trusted}, Logger: quietLogger})
				a := attackerOn(d.call(t))
				a.say(t, requestFor("/", "Origin: "+c.origin, "X-Forwarded-Proto: "+c.proto))
				if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != c.status {
					t.Errorf("%+v: %v %v", c, r, err)
				}
				_ = a.Close()
			}
		})
	}
}

// TestForwardedAddressesAreCounted: MaxConnsPerAddress is about who is behind the proxy, whatever he claims.
func TestForwardedAddressesAreCounted(t *testing.T) {
	for door, build := range forwardingDoors {
		t.Run(door, func(t *testing.T) {
			d, s := build(t, echoHandler, Options{Loops: 2, TrustedProxies: []string{"127.0.0.0/8", "10.0.0.0/8"}, MaxConnsPerAddress: 2, Logger: quietLogger})
			refused := uint64(0)
			enter := func(list string, status int) *attacker {
				t.Helper()
				a := attackerOn(d.call(t))
				a.say(t, requestFor("/", "X-Forwarded-For: "+list))
				if r, err := http.ReadResponse(a.r, nil); err != nil || r.StatusCode != status {
					t.Fatalf("%s: %v %v, want %d", list, r, err, status)
				}
				if status != 101 {
					refused++
				}
				return a
			}
			first := enter("192.0.2.1", 101)
			enter("198.51.100.7, 192.0.2.1", 101)
			enter("192.0.2.1", 503)
			enter("192.0.2.9, 10.0.0.1, 192.0.2.1", 503)
			enter("192.0.2.1:4711, 10.0.0.1", 503)
			enter("192.0.2.2", 101)
			enter("2001:db8:0:1::1", 101)
			enter("2001:db8:0:1::2", 101)
			enter("[2001:db8:0:1:ffff::3]:9", 503) // the same /64
			for range 4 {                          // the proxies themselves, and whom they do not name, count for nobody
				enter("unknown", 101)
				enter("10.0.0.1", 101)
			}
			if got := s.Stats().Refusals["max-conns-per-address"]; got != refused {
				t.Errorf("%d were refused", got)
			}
			g := &guest{first.Conn, first.r}
			g.sayClose(t, 1000, "")
			g.hearClose(t, 1000, "")
			_ = g.Close()
			within(t, timeoutOf(5), "room for 192.0.2.1", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.addresses[netip.MustParseAddr("192.0.2.1")] == 1
			})
			enter("192.0.2.1", 101)
			enter("192.0.2.1", 503)
		})
	}
}

// TestForwardedBehindFallback: a connection of a proxy's that net/http has served carries a handshake of anybody.
func TestForwardedBehindFallback(t *testing.T) {
	w := doorNamed(t, "tcp").build(t, whereFrom(), Options{Loops: 1, TrustedProxies: []string{"127.0.0.1"}, MaxConnsPerAddress: 1,
		Fallback: http.HandlerFunc(parlour), Logger: quietLogger})
	for range 2 {
		a := attackerOn(w.call(t))
		a.say(t, "GET /who HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.7\r\n\r\n")
		if got := a.expectAnswer(t, "GET", "/who", nil).Get("X-Remote"); got != a.LocalAddr().String() {
			t.Error("the fallback's RemoteAddr is", got)
		}
		a.say(t, requestFor("/", "X-Forwarded-For: 192.0.2.1"))
		r, err := http.ReadResponse(a.r, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Header.Get("X-Remote"); r.StatusCode == 101 && got != "192.0.2.1:0" {
			t.Error("RemoteAddr is", got)
		}
		defer func() { _ = a.Close() }()
	}
	if got := w.Stats().Refusals["max-conns-per-address"]; got != 1 {
		t.Errorf("%d were refused", got)
	}
}

func TestTrustedProxiesThatCannotBe(t *testing.T) {
	for _, c := range []struct {
		o     Options
		names []string
	}{
		{Options{ForwardedHeader: "X-Forwarded-For"}, []string{"ForwardedHeader", "TrustedProxies"}},
		{Options{TrustedProxies: []string{"10.0.0.1"}, ForwardedHeader: "X-Real-IP"}, []string{"ForwardedHeader", "X-Real-IP"}},
		{Options{TrustedProxies: []string{"10.0.0.1"}, ProxyProtocol: true}, []string{"ProxyProtocol", "TrustedProxies"}},
		{Options{TrustedProxies: []string{"10.0.0.1", ""}}, []string{"TrustedProxies"}},
		{Options{TrustedProxies: []string{"10.0.0.0/33"}}, []string{"TrustedProxies", "10.0.0.0/33"}},
		{Options{TrustedProxies: []string{"10.0.0.0-10.0.0.9"}}, []string{"TrustedProxies"}},
		{Options{TrustedProxies: []string{"proxy.example"}}, []string{"TrustedProxies", "proxy.example"}},
		{Options{TrustedProxies: []string{"10.0.0.1:80"}}, []string{"TrustedProxies"}},
		{Options{TrustedProxies: []string{"fe80::1%eth0"}}, []string{"TrustedProxies"}},
		{Options{TrustedProxies: []string{"*"}}, []string{"TrustedProxies"}},
		{Options{TrustedProxies: []string{" 10.0.0.1"}}, []string{"TrustedProxies"}},
	} {
		_, err := NewServer(Funcs{}, c.o)
		if !errors.Is(err, ErrSyntax) {
			t.Errorf("%+v: %v", c.o, err)
			continue
		}
		for _, name := range c.names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%v does not name %s", err, name)
			}
		}
	}
	for _, good := range []string{"10.0.0.1", "10.0.0.1/8", "::1", "2001:db8::/32", "::ffff:10.0.0.1", "::/0", "unix"} {
		if _, err := NewServer(Funcs{}, Options{TrustedProxies: []string{good}}); err != nil {
			t.Error(err)
		}
	}
}
