package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// TestListenAndServeTLS: on an address, on a unix socket, beside plain listeners; every connection is in Conns, gets broadcasts, and is closed by Shutdown. None is bridged.
func TestListenAndServeTLS(t *testing.T) {
	noGoroutinesLeft(t)
	descriptorsLeft(t)
	s := bare(t, echoHandler, Options{Loops: 2, TLSConfig: houseTLS()}, false)
	at := filepath.Join(t.TempDir(), "s")
	done := make(chan error, 4)
	plain, _ := listenTCP(t)
	secure, _ := listenTCP(t)
	for i, serve := range []func() error{
		func() error { return s.ListenAndServeTLS("tcp", "127.0.0.1:0") },
		func() error { return s.ListenAndServeTLS("unix", at) },
		func() error { return s.Serve(plain) },
		func() error { return s.ServeTLS(secure) },
	} {
		go func() { done <- serve() }()
		within(t, timeoutOf(5), "it serves", func() bool { return len(s.Addrs()) == i+1 })
	}
	var guests []*guest
	for i, a := range s.Addrs() {
		for range 4 {
			nc, err := net.Dial(a.Network(), a.String())
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			if i != 2 {
				nc = tls.Client(nc, guestTLS())
			}
			g := welcome(t, nc, ws.Dialer{})
			g.say(t, ws.OpText, []byte("hello"))
			g.hear(t, ws.OpText, []byte("hello"))
			guests = append(guests, g)
		}
	}
	if st := s.Stats(); st.Open != 16 || st.Bridged != 0 || st.TLS.Conns != 12 || st.TLS.Handshakes != 12 || len(st.TLS.Failed) != 0 {
		t.Errorf("%+v", st)
	}
	n := 0
	for c := range s.Conns() {
		if n++; strings.HasPrefix(c.URL(), "wss") != (c.LocalAddr().String() != plain.Addr().String()) {
			t.Error(c.URL(), c.LocalAddr())
		}
	}
	p, err := Prepare(OpText, []byte("to all"))
	if err != nil || n != 16 {
		t.Error(err, n)
	}
	s.Broadcast(p, nil)
	for _, g := range guests {
		g.hear(t, ws.OpText, []byte("to all"))
	}
	over := make(chan error, 1)
	go func() { over <- s.Shutdown(context.Background()) }()
	for _, g := range guests {
		g.hearClose(t, StatusGoingAway, "server shutting down")
		g.sayClose(t, StatusGoingAway, "")
		if n, err := g.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Error("behind the Close frame:", n, err)
		}
	}
	if err := receive(t, over, "Shutdown"); err != nil {
		t.Error(err)
	}
	for range 4 {
		if err := receive(t, done, "Serve"); err != ErrServerClosed {
			t.Error(err)
		}
	}
	if st := s.Stats(); st.TLS.Conns != 0 {
		t.Errorf("%+v", st.TLS)
	}
	if err := s.ServeTLS(plain); err != ErrServerClosed {
		t.Error(err)
	}
}

// TestServeTLSRacesClose: whenever Close comes, ServeTLS returns, and nothing is left.
func TestServeTLSRacesClose(t *testing.T) {
	noGoroutinesLeft(t)
	descriptorsLeft(t)
	for i := range 50 {
		s := bare(t, echoHandler, Options{Loops: 2, TLSConfig: houseTLS()}, false)
		done := make(chan error, 2)
		ln, _ := listenTCP(t)
		go func() { done <- s.ListenAndServeTLS("tcp", "127.0.0.1:0") }()
		go func() { done <- s.ServeTLS(ln) }()
		time.Sleep(time.Duration(i) * 20 * time.Microsecond)
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for range 2 {
			if err := receive(t, done, "ServeTLS"); err != ErrServerClosed {
				t.Error(err)
			}
		}
		if err := s.ListenAndServeTLS("tcp", "127.0.0.1:0"); err != ErrServerClosed {
			t.Error(err)
		}
	}
}

// TestTLSListenerClosed: whoever closes the listener ends ServeTLS; connections go on, and another listener may be served.
func TestTLSListenerClosed(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 2, TLSConfig: houseTLS()}, false)
	for range 2 {
		ln, _ := listenTCP(t)
		done := make(chan error, 1)
		go func() { done <- s.ServeTLS(ln) }()
		within(t, timeoutOf(5), "an address", func() bool { return s.Addr() != nil })
		g := openTLS(t, s)
		_ = ln.Close()
		if err := receive(t, done, "ServeTLS"); !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		g.say(t, ws.OpText, []byte("hello"))
		g.hear(t, ws.OpText, []byte("hello"))
	}
}

// TestTLSOfUpgrade: what the handshake of TLS agreed on is there when a request is decided, at once and later.
func TestTLSOfUpgrade(t *testing.T) {
	for _, later := range []bool{false, true} {
		states := make(chan *tls.ConnectionState, 1)
		h := echoHandler
		h.Upgrade = func(u *Upgrade) {
			if later {
				u.Later()
				go func() { states <- u.TLS(); _ = u.Accept() }()
				return
			}
			states <- u.Request().TLS
		}
		config := houseTLS()
		config.ClientAuth = tls.RequireAnyClientCert
		s := startServerTLS(t, h, Options{Loops: 1, TLSConfig: config, Logger: quietLogger})
		with := guestTLS()
		with.Certificates, with.ServerName, with.NextProtos = []tls.Certificate{houseCertificate()}, "chat.example", []string{"h2", "http/1.1"}
		g := welcome(t, dialTLS(t, s, with), ws.Dialer{})
		st := receive(t, states, "the state")
		if st == nil || st.ServerName != "chat.example" || st.NegotiatedProtocol != "http/1.1" || len(st.PeerCertificates) != 1 || !st.HandshakeComplete {
			t.Fatalf("later %t: %+v", later, st)
		}
		if want, _ := x509.ParseCertificate(houseCertificate().Certificate[0]); !st.PeerCertificates[0].Equal(want) {
			t.Error("another's certificate")
		}
		g.say(t, ws.OpText, []byte("hello"))
		g.hear(t, ws.OpText, []byte("hello"))
	}
}

// TestTLSOrigin: over TLS the server's own origin is https.
func TestTLSOrigin(t *testing.T) {
	s := startServerTLS(t, echoHandler, Options{Loops: 1, Logger: quietLogger})
	for origin, status := range map[string]int{"https://victim.example": 101, "http://victim.example": 403} {
		a := attackerOn(dialTLS(t, s, nil))
		a.say(t, requestFor("/", "Origin: "+origin))
		a.expectStatus(t, status)
	}
}

// TestTLSFailuresAreTold: each handshake that fails is counted by its reason, logged at Debug, and one a minute at Warn. None is a refusal of a request, and none keeps its place.
func TestTLSFailuresAreTold(t *testing.T) {
	var log sharedLog
	config := houseTLS()
	config.MinVersion = tls.VersionTLS13
	s := startServerTLS(t, echoHandler, Options{
		Loops: 1, TLSConfig: config, HandshakeTimeout: aliveWithin() / 2,
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	tries := func(change func(*tls.Config)) func(net.Conn) {
		return func(nc net.Conn) {
			c := guestTLS()
			change(c)
			if err := tls.Client(nc, c).Handshake(); err == nil {
				t.Error("it succeeded")
			}
		}
	}
	for reason, try := range map[string]func(net.Conn){
		"version": tries(func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }),
		"alpn":    tries(func(c *tls.Config) { c.NextProtos = []string{"h2"} }),
		"refused": tries(func(c *tls.Config) { c.InsecureSkipVerify, c.ServerName = false, "house.example" }),
		"plain-http": func(nc net.Conn) {
			_, _ = io.WriteString(nc, requestFor("/"))
			if b, err := io.ReadAll(nc); err != nil || !bytes.HasPrefix(b, []byte("HTTP/1.0 400 Bad Request\r\n")) || !bytes.Contains(b, []byte("HTTPS server")) {
				t.Errorf("%q, %v", b, err)
			}
		},
		"not-tls": func(nc net.Conn) { _, _ = io.WriteString(nc, "SSH-2.0-x\r\n"); _, _ = io.Copy(io.Discard, nc) },
		"ended":   func(nc net.Conn) { _, _ = nc.Write([]byte{22, 3, 1}); _ = nc.Close() },
		"timeout": func(nc net.Conn) {
			_, _ = nc.Write([]byte{22, 3, 1})
			if b, err := io.ReadAll(nc); len(b) != 0 || isTimeout(err) {
				t.Errorf("told %x, %v", b, err)
			}
		},
	} {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		try(nc)
		_ = nc.Close()
		within(t, timeoutOf(5), reason+" is counted", func() bool { return s.Stats().TLS.Failed[reason] == 1 })
		within(t, timeoutOf(5), reason+" is logged", func() bool { return strings.Contains(log.String(), "reason="+reason) })
	}
	within(t, timeoutOf(5), "nothing is left", func() bool { st := s.Stats(); return st.Connecting == 0 && st.TLS.Conns == 0 && s.conns() == 0 })
	if st := s.Stats(); st.TLS.Handshakes != 0 || len(st.TLS.Failed) != 7 || len(st.Refusals) != 0 {
		t.Errorf("%+v, %v", st.TLS, st.Refusals)
	}
	if got := strings.Count(log.String(), "level=WARN"); got != 1 {
		t.Errorf("%d warnings:\n%s", got, log.String())
	}
	g := openTLS(t, s)
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
}

// TestTLSHandshakeTimeout: both handshakes together have HandshakeTimeout. Who is in the first is closed without a word, who has begun a
// request is answered 408.
func TestTLSHandshakeTimeout(t *testing.T) {
	s := startServerTLS(t, echoHandler, Options{Loops: 1, HandshakeTimeout: aliveWithin() / 2, Logger: quietLogger})
	silent, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	half, mute := attackerOn(dialTLS(t, s, nil)), attackerOn(dialTLS(t, s, nil))
	half.say(t, "GET / HTTP/1.1\r\n")
	half.expectStatus(t, 408)
	_ = silent.SetDeadline(time.Now().Add(timeoutOf(20)))
	for _, nc := range []net.Conn{silent, mute} {
		if b, err := io.ReadAll(nc); len(b) != 0 || isTimeout(err) {
			t.Errorf("told %q, %v", b, err)
		}
	}
	within(t, timeoutOf(5), "each is counted once", func() bool { return lateHandshakes(s.Stats()) == 3 })
	if st := s.Stats(); st.Refusals["timeout"] != 2 || st.TLS.Failed["timeout"] != 1 || st.TLS.Handshakes != 2 {
		t.Errorf("%+v, %v", st.TLS, st.Refusals)
	}
}

// TestSessionsAreResumed: by a server itself, by another process with the same keys, whether they were set before or while it serves; not with
// others. A client resumes though each dial has a copy of its config.
func TestSessionsAreResumed(t *testing.T) {
	key, other := [32]byte{1}, [32]byte{2}
	given := houseTLS()
	given.SetSessionTicketKeys([][32]byte{key})
	before := startServerTLS(t, echoHandler, Options{Loops: 2, TLSConfig: given, Logger: quietLogger})
	set := startServerTLS(t, echoHandler, Options{Loops: 2, Logger: quietLogger})
	if err := set.SetSessionTicketKeys([][32]byte{other, key}); err != nil {
		t.Fatal(err)
	}
	own := startServerTLS(t, echoHandler, Options{Loops: 2, Logger: quietLogger})
	for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		for _, k := range []struct {
			name   string
			s      *Server
			resume bool
		}{{"the first", before, false}, {"itself", before, true}, {"another with its key", set, true}, {"itself, with a new ticket", set, true}, {"another without", own, false}, {"own keys", own, true}} {
			if k.name == "the first" {
				resuming.cache = tls.NewLRUClientSessionCache(8)
			}
			c := newClient(t, Funcs{Message: func(c *Conn, _ Message) { _ = c.Close() }}, ClientOptions{Loops: 1})
			config := guestTLS()
			config.ClientSessionCache, config.ServerName, config.MaxVersion = resuming.cache, "house.example", version
			was := k.s.Stats().TLS.Resumed
			closed := make(chan CloseEvent, 1)
			conn, err := c.Dial(t.Context(), "wss://"+k.s.Addr().String(), DialOptions{TLSConfig: config, Handler: Funcs{
				Message: func(c *Conn, _ Message) { _ = c.Close() }, Close: func(_ *Conn, e CloseEvent) { closed <- e },
			}})
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SendText("a ticket comes before its echo")
			if e := receive(t, closed, "OnClose"); !e.WasClean {
				t.Errorf("%+v", e)
			}
			if got := k.s.Stats().TLS.Resumed - was; (got == 1) != k.resume {
				t.Errorf("%x: %s: %d resumed", version, k.name, got)
			}
			if st := c.Stats(); st.TLS.Handshakes != 1 || (st.TLS.Resumed == 1) != k.resume || st.Bridged != 0 {
				t.Errorf("%x: %s: the client has %+v", version, k.name, st.TLS)
			}
		}
	}
}

var resuming struct{ cache tls.ClientSessionCache }

// TestProxyHeaderBeforeTLS: it comes in plain text, whatever it is cut into, and may share a segment with the ClientHello.
func TestProxyHeaderBeforeTLS(t *testing.T) {
	remotes := make(chan net.Addr, 2)
	h := echoHandler
	h.Upgrade = func(u *Upgrade) { remotes <- u.RemoteAddr() }
	h.Open = func(c *Conn) { remotes <- c.RemoteAddr() }
	s := startServerTLS(t, h, Options{Loops: 1, ProxyProtocol: true, MaxConnsPerAddress: 1, Logger: quietLogger, HandshakeTimeout: time.Minute})
	call := func() net.Conn {
		nc, err := net.Dial("tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		t.Cleanup(func() { _ = nc.Close() })
		return nc
	}
	for i, c := range goodProxyHeaders {
		for _, cut := range []string{"in one write", "in two", "byte by byte"} {
			if len(c.header) > 1000 && cut == "byte by byte" {
				continue
			}
			nc := call()
			g := welcome(t, tls.Client(&behindHeader{Conn: nc, header: c.header, cut: cut}, guestTLS()), ws.Dialer{})
			want := c.client
			if want == "" {
				want = nc.LocalAddr().String()
			}
			for range 2 {
				if got := receive(t, remotes, "an address"); got == nil || got.String() != want {
					t.Errorf("%d, %s: RemoteAddr is %v, want %s", i, cut, got, want)
				}
			}
			g.say(t, ws.OpText, []byte("hello"))
			g.hear(t, ws.OpText, []byte("hello"))
			if c.client != "" { // one more of that address is one too many
				over := tls.Client(&behindHeader{Conn: call(), header: c.header, cut: cut}, guestTLS())
				if _, err := io.WriteString(over, requestFor("/")); err == nil {
					t.Error("one more was let in")
				}
				_ = over.NetConn().Close() // else its descriptor waits for it
			}
			g.sayClose(t, 1000, "")
			g.hearClose(t, 1000, "")
			_ = g.Close()
			within(t, timeoutOf(5), "it is gone", func() bool { return s.conns() == 0 })
		}
	}
	for _, b := range badProxyHeaders {
		if len(b) > 250 {
			continue
		}
		nc := call()
		_, _ = nc.Write(b)
		if got, _ := io.ReadAll(nc); !bytes.HasPrefix(got, []byte("HTTP/1.1 400")) {
			t.Errorf("%q is answered %.40q", b, got)
		}
	}
}

// behindHeader sends a header before what is written first.
type behindHeader struct {
	net.Conn
	header []byte
	cut    string
	once   sync.Once
}

func (b *behindHeader) Write(p []byte) (int, error) {
	b.once.Do(func() {
		a := &attacker{Conn: b.Conn}
		sayCut(a, append(slices.Clone(b.header), p...), len(b.header), b.cut)
		p = nil
	})
	if p == nil {
		return 0, nil
	}
	return b.Conn.Write(p)
}

// TestTLSPollerFails: the connections of a loop over TLS are lost with its poller, whoever serves with it is told, and plain ones go on.
func TestTLSPollerFails(t *testing.T) {
	d := newDiary(t)
	s, pollers := breakableServer(t, d.handler(echoHandler), Options{Loops: 1, TLSConfig: houseTLS()})
	plain, secure := make(chan error, 1), make(chan error, 1)
	go func() { plain <- s.ListenAndServe("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "it serves", func() bool { return len(s.Addrs()) == 1 })
	go func() { secure <- s.ListenAndServeTLS("tcp", "127.0.0.1:0") }()
	within(t, timeoutOf(5), "it serves both", func() bool { return len(s.Addrs()) == 2 })
	at := s.Addrs()
	call := func(a net.Addr) net.Conn {
		nc, err := net.Dial("tcp", a.String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		return nc
	}
	g := welcome(t, call(at[0]), ws.Dialer{})
	welcome(t, tls.Client(call(at[1]), guestTLS()), ws.Dialer{})
	(*pollers)[1].fail()
	isAll(t, receive(t, d.closed, "OnClose").Err, ErrAbnormal, errBroken)
	isAll(t, receive(t, secure, "ListenAndServeTLS"), errBroken)
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
	_ = s.Close()
	if err := receive(t, plain, "ListenAndServe"); err != ErrServerClosed {
		t.Error(err)
	}
}
