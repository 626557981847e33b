package engine

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	proxyproto "github.com/pires/go-proxyproto"
)

// proxyV2 is a version 2 header, made by hand.
func proxyV2(command, family byte, addresses ...byte) []byte {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), 0x20|command, family)
	return append(binary.BigEndian.AppendUint16(b, uint16(len(addresses))), addresses...)
}

// proxyV2From names a client.
func proxyV2From(client string) []byte {
	p := netip.MustParseAddrPort(client)
	family, to := byte(0x11), netip.MustParseAddr("192.0.2.99")
	if p.Addr().Is6() {
		family, to = 0x21, netip.MustParseAddr("2001:db8::99")
	}
	b := append(p.Addr().AsSlice(), to.AsSlice()...)
	return proxyV2(1, family, binary.BigEndian.AppendUint16(binary.BigEndian.AppendUint16(b, p.Port()), 443)...)
}

func proxyV1From(client string) []byte {
	p := netip.MustParseAddrPort(client)
	if p.Addr().Is6() {
		return fmt.Appendf(nil, "PROXY TCP6 %v 2001:db8::99 %d 443\r\n", p.Addr(), p.Port())
	}
	return fmt.Appendf(nil, "PROXY TCP4 %v 192.0.2.99 %d 443\r\n", p.Addr(), p.Port())
}

// goodProxyHeaders and the address that each names; "" where it names none, and the
// connection's own stands.
var goodProxyHeaders = []struct {
	name   string
	header []byte
	client string
}{
	{"v1 IPv4", proxyV1From("192.0.2.7:4242"), "192.0.2.7:4242"},
	{"v1 IPv6", proxyV1From("[2001:db8::7]:4242"), "[2001:db8::7]:4242"},
	{"v1 UNKNOWN", []byte("PROXY UNKNOWN\r\n"), ""},
	{"v1 UNKNOWN, the longest", []byte("PROXY UNKNOWN " + longIPv6 + " " + longIPv6 + " 65535 65535\r\n"), ""},
	{"v2 IPv4", proxyV2From("192.0.2.7:4242"), "192.0.2.7:4242"},
	{"v2 IPv6", proxyV2From("[2001:db8::7]:4242"), "[2001:db8::7]:4242"},
	{"v2 with extensions", withTLVs(proxyV2From("192.0.2.7:4242"), 1000), "192.0.2.7:4242"},
	{"v2 as long as may be", withTLVs(proxyV2From("192.0.2.7:4242"), 4<<10-12), "192.0.2.7:4242"},
	{"v2 LOCAL", proxyV2(0, 0), ""},
	{"v2 LOCAL with something to ignore", proxyV2(0, 0x11, 1, 2, 3), ""},
	{"v2 unix", proxyV2(1, 0x31, make([]byte, 216)...), ""},
}

var longIPv6 = strings.TrimSuffix(strings.Repeat("ffff:", 8), ":")

// withTLVs appends n bytes of extensions to a version 2 header.
func withTLVs(h []byte, n int) []byte {
	tlv := binary.BigEndian.AppendUint16([]byte{0xee}, uint16(n-3))
	h = append(append(slices.Clone(h), tlv...), make([]byte, n-3)...)
	binary.BigEndian.PutUint16(h[14:], uint16(len(h)-16))
	return h
}

var badProxyHeaders = map[string][]byte{
	"none":                           []byte(requestFor("/")),
	"none, after one byte of v2":     []byte("\rGET"),
	"none, after four bytes of v1":   []byte("PROXIMATE"),
	"v1 of no family":                []byte("PROXY\r\n"),
	"v1 of an unknown family":        []byte("PROXY UDP4 192.0.2.7 192.0.2.99 1 2\r\n"),
	"v1 with too little":             []byte("PROXY TCP4 192.0.2.7 192.0.2.99 1\r\n"),
	"v1 IPv6 as IPv4":                []byte("PROXY TCP4 2001:db8::7 192.0.2.99 1 2\r\n"),
	"v1 with a name":                 []byte("PROXY TCP4 client.example 192.0.2.99 1 2\r\n"),
	"v1 with a port over 65535":      []byte("PROXY TCP4 192.0.2.7 192.0.2.99 65536 2\r\n"),
	"v1 that ends with LF":           []byte("PROXY TCP4 192.0.2.7 192.0.2.99 1 2\n"),
	"v1 that does not end":           []byte("PROXY TCP4 192.0.2.7 192.0.2.99 1 " + strings.Repeat("2", 200)),
	"v2 of version 3":                slices.Concat([]byte("\r\n\r\n\x00\r\nQUIT\n"), []byte{0x31, 0x11, 0, 0}),
	"v2 with an unknown command":     proxyV2(2, 0x11, make([]byte, 12)...),
	"v2 with an unknown family":      proxyV2(1, 0x41, make([]byte, 12)...),
	"v2 PROXY for nobody":            proxyV2(1, 0),
	"v2 IPv4 too short":              proxyV2(1, 0x11, make([]byte, 11)...),
	"v2 IPv6 too short":              proxyV2(1, 0x21, make([]byte, 12)...),
	"v2 longer than we keep":         proxyV2(1, 0x11, make([]byte, 4<<10+1)...)[:16], // refused before it has come
	"v2 LOCAL longer than we keep":   proxyV2(0, 0, make([]byte, 4<<10+1)...)[:16],
	"v2 with the length of the file": slices.Concat([]byte("\r\n\r\n\x00\r\nQUIT\n"), []byte{0x21, 0x11, 0xff, 0xff}),
}

var proxyDoors = []string{"tcp", "bridged pipe", "loopless tcp", "bridged tls"}

func TestProxyHeader(t *testing.T) {
	for _, name := range proxyDoors {
		t.Run(name, func(t *testing.T) {
			remotes := make(chan net.Addr, 2)
			h := echoHandler
			h.Upgrade = func(u *Upgrade) { remotes <- u.RemoteAddr() }
			h.Open = func(c *Conn) { remotes <- c.RemoteAddr() }
			w := doorNamed(t, name).build(t, h, Options{Loops: 1, ProxyProtocol: true})
			for _, c := range goodProxyHeaders {
				t.Run(c.name, func(t *testing.T) {
					for _, cut := range []string{"in one write", "in two", "byte by byte"} {
						a := attackerOn(w.call(t))
						all := slices.Concat(c.header, []byte(requestFor("/")), saidFrame(ws.OpText, true, []byte("early")))
						if len(c.header) > 1000 && cut == "byte by byte" {
							continue // it is the header's end that matters
						}
						go sayCut(a, all, len(c.header), cut)
						a.expect101(t)
						want := c.client
						if want == "" {
							want = a.LocalAddr().String()
						}
						for range 2 {
							if got := <-remotes; got == nil || got.String() != want {
								t.Errorf("%s: RemoteAddr is %v, want %s", cut, got, want)
							}
						}
						g := &guest{a.Conn, a.r}
						g.hear(t, ws.OpText, []byte("early"))
						g.sayClose(t, 1000, "")
						g.hearClose(t, 1000, "")
						_ = g.Close()
					}
				})
			}
		})
	}
}

func sayCut(a *attacker, b []byte, at int, cut string) {
	switch cut {
	case "in one write":
		a.try(b)
	case "in two":
		_ = a.try(b[:at]) && a.try(b[at:])
	default:
		for i := range b {
			if !a.try(b[i : i+1]) {
				return
			}
		}
	}
}

// TestProxyHeaderAgreesWithAnotherMaker holds our hand-made headers to a library's.
func TestProxyHeaderAgreesWithAnotherMaker(t *testing.T) {
	for _, c := range goodProxyHeaders {
		if c.client == "" || len(c.header) > 100 {
			continue
		}
		p := net.TCPAddrFromAddrPort(netip.MustParseAddrPort(c.client))
		to := &net.TCPAddr{IP: net.ParseIP("192.0.2.99"), Port: 443}
		if p.IP.To4() == nil {
			to.IP = net.ParseIP("2001:db8::99")
		}
		h := proxyproto.HeaderProxyFromAddrs(2-c.header[0]>>6, p, to) // "P" is 0x50, CR is 0x0d
		b, err := h.Format()
		if err != nil || !bytes.Equal(b, c.header) {
			t.Errorf("%s: %q, the library makes %q (%v)", c.name, c.header, b, err)
		}
	}
}

func TestBadProxyHeaderIsRefused(t *testing.T) {
	for _, name := range proxyDoors {
		t.Run(name, func(t *testing.T) {
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 1, ProxyProtocol: true, HandshakeTimeout: time.Minute})
			for what, b := range badProxyHeaders {
				for _, cut := range []string{"in one write", "byte by byte"} {
					if cut == "byte by byte" && len(b) > 250 {
						continue
					}
					a := attackerOn(w.call(t))
					go sayCut(a, b, 0, cut)
					r, err := http.ReadResponse(a.r, nil)
					if err != nil {
						t.Errorf("%s, %s: %v", what, cut, err)
						continue
					}
					if r.StatusCode != 400 {
						t.Errorf("%s, %s: %s", what, cut, r.Status)
					}
					_, _ = io.Copy(io.Discard, r.Body)
					_ = a.Close()
				}
			}
			if st := w.Stats(); st.Refusals["proxy-header"] == 0 || len(st.Refusals) != 1 {
				t.Error(st.Refusals)
			}
		})
	}
}

// TestUnfinishedProxyHeader: one that never ends is waited for as the handshake is.
func TestUnfinishedProxyHeader(t *testing.T) {
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, ProxyProtocol: true, HandshakeTimeout: 50 * time.Millisecond})
	for _, b := range [][]byte{{}, []byte("PROXY TCP4 "), proxyV2From("192.0.2.7:1")[:20], proxyV2From("192.0.2.7:1")} {
		a := attackerOn(w.call(t))
		a.try(b)
		if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
			t.Error(n, err)
		}
	}
	if got := w.Stats().Refusals["timeout"]; got != 4 {
		t.Errorf("%d time-outs", got)
	}
}

// TestProxiedAddressesAreCounted: MaxConnsPerAddress is about who is behind the proxy.
func TestProxiedAddressesAreCounted(t *testing.T) {
	for _, name := range []string{"tcp", "bridged tcp", "loopless tcp"} {
		t.Run(name, func(t *testing.T) {
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 2, ProxyProtocol: true, MaxConnsPerAddress: 2, Fallback: http.HandlerFunc(parlour), Logger: quietLogger})
			enter := func(header []byte, status int) *attacker {
				t.Helper()
				a := attackerOn(w.call(t))
				go a.try(append(slices.Clone(header), requestFor("/")...))
				r, err := http.ReadResponse(a.r, nil)
				if err != nil || r.StatusCode != status {
					t.Fatalf("%.40q: %v %v, want %d", header, r, err, status)
				}
				return a
			}
			var first *attacker
			for i, client := range []string{"192.0.2.1:1", "192.0.2.2:1", "[2001:db8:0:1::1]:1"} {
				v1, v2 := proxyV1From(client), proxyV2From(client)
				a := enter(v1, 101)
				enter(v2, 101)
				enter(v1, 503)
				enter(v2, 503)
				if i == 0 {
					first = a
				}
			}
			enter(proxyV2From("[2001:db8:0:1:ffff::2]:9"), 503) // the same /64
			enter(proxyV2From("[2001:db8:0:2::1]:1"), 101)
			// The proxy itself, and whom it does not name, count for nobody.
			for range 4 {
				enter(proxyV2(0, 0), 101)
				enter([]byte("PROXY UNKNOWN\r\n"), 101)
				silent := w.call(t)
				defer silent.Close()
			}
			if got := w.Stats().Refusals["max-conns-per-address"]; got != 7 {
				t.Errorf("%d were refused", got)
			}
			// One goes, another may come; net/http's connections count, too.
			g := &guest{first.Conn, first.r}
			g.sayClose(t, 1000, "")
			g.hearClose(t, 1000, "")
			_ = g.Close()
			within(t, timeoutOf(5), "room for 192.0.2.1", func() bool {
				w.mu.Lock()
				defer w.mu.Unlock()
				return w.addresses[netip.MustParseAddr("192.0.2.1")] == 1
			})
			a := attackerOn(w.call(t))
			go a.try(append(proxyV1From("192.0.2.1:77"), "GET /who HTTP/1.1\r\nHost: x\r\n\r\n"...))
			if got := a.expectAnswer(t, "GET", "/who", nil).Get("X-Remote"); got != "192.0.2.1:77" {
				t.Error("the fallback's RemoteAddr is", got)
			}
			enter(proxyV1From("192.0.2.1:78"), 503)
			a.say(t, requestFor("/"))
			a.expect101(t)
			enter(proxyV1From("192.0.2.1:78"), 503)
			// By ServeHTTP the 101 is on its way before the connection is on a loop.
			within(t, timeoutOf(5), "a connection with the address that came through the fallback", func() bool {
				for c := range w.Conns() {
					if c.RemoteAddr().String() == "192.0.2.1:77" {
						return true
					}
				}
				return false
			})
		})
	}
}

// TestServeHTTPBesideProxyProtocol: what net/http brings has no header of its own.
func TestServeHTTPBesideProxyProtocol(t *testing.T) {
	h := echoHandler
	h.Upgrade = func(u *Upgrade) { _ = u.AddHeader("X-Remote", u.RemoteAddr().String()) }
	s := bare(t, h, Options{Loops: 1, ProxyProtocol: true, MaxConnsPerAddress: 1}, false)
	ln, knock := listenTCP(t)
	front := &http.Server{Handler: s, ErrorLog: discardedLog}
	done := make(chan error, 1)
	go func() { done <- front.Serve(&proxyproto.Listener{Listener: ln}) }()
	t.Cleanup(func() {
		_ = front.Shutdown(context.Background())
		<-done
	})
	w := &house{Server: s, knock: knock}
	for i, want := range []int{101, 503} {
		a := attackerOn(w.call(t))
		a.say(t, string(proxyV1From("192.0.2.7:4242")), requestFor("/"))
		r, err := http.ReadResponse(a.r, nil)
		if err != nil || r.StatusCode != want {
			t.Fatal(i, r, err)
		}
		if got := r.Header.Get("X-Remote"); want == 101 && got != "192.0.2.7:4242" {
			t.Error("RemoteAddr is", got)
		}
	}
}
