package netio

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// failedHandshake is what the engine's end reads, after which it closes as how says.
func failedHandshake(t *testing.T, l *loop, fd int, how func(fd int) error) *HandshakeError {
	t.Helper()
	ended := make(chan error, 1)
	l.add(fd, func(Event) {
		if _, err := l.Read(fd, make([]byte, 100)); err != ErrAgain {
			tell(ended, err)
			l.Remove(fd)
			delete(l.events, fd)
			l.post(func() { l.post(func() { _ = how(fd) }) })
		}
	})
	err := await(t, ended, "the handshake to fail")
	var h *HandshakeError
	if !errors.As(err, &h) {
		t.Fatalf("read %v", err)
	}
	return h
}

func countOf(l *loop, why HandshakeReason) uint64 {
	return l.System.(*Secure).shakes.Counts.Failed[why].Load()
}

// Each way to fail has a reason, which is counted, and what crypto/tls said is in the error.
func TestSecureServerHandshakeFails(t *testing.T) {
	pool := x509.NewCertPool()
	for name, c := range map[string]struct {
		server func(c *tls.Config)
		client func(c *tls.Config)
		want   HandshakeReason
	}{
		"version":        {func(c *tls.Config) { c.MinVersion = tls.VersionTLS13 }, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, HandshakeVersion},
		"cipher":         {func(c *tls.Config) { c.CipherSuites = []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256} }, func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 }, HandshakeCipher},
		"protocol":       {func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }, func(c *tls.Config) { c.NextProtos = []string{"h2"} }, HandshakeALPN},
		"no certificate": {func(c *tls.Config) { c.ClientAuth = tls.RequireAndVerifyClientCert }, nil, HandshakeCertificate},
		"untrusted": {func(c *tls.Config) { c.ClientAuth, c.ClientCAs = tls.RequireAndVerifyClientCert, pool },
			func(c *tls.Config) { c.Certificates = []tls.Certificate{testCertificate()} }, HandshakeCertificate},
		"theirs": {nil, func(c *tls.Config) { c.InsecureSkipVerify, c.RootCAs, c.ServerName = false, pool, "example.org" }, HandshakeRefused},
		"panic": {func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { panic("oh") }
			c.Certificates = nil
		}, nil, HandshakeOther},
		"goexit": {func(c *tls.Config) {
			c.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { runtime.Goexit(); return nil, nil }
			c.Certificates = nil
		}, nil, HandshakeOther},
		"an answer": {func(c *tls.Config) {
			c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return nil, errors.New("none") }
		}, nil, HandshakeOther},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, secureRig())
			sc, cc := serverConfig(), clientConfig(0)
			if c.server != nil {
				c.server(sc)
			}
			if c.client != nil {
				c.client(cc)
			}
			fd, raw := secureServer(t, l, sc)
			heard := make(chan error, 1)
			go func() {
				peer := tls.Client(raw, cc)
				_ = peer.SetDeadline(time.Now().Add(patience))
				err := peer.Handshake()
				if err == nil {
					_, err = peer.Read(make([]byte, 1))
				}
				peer.Close()
				heard <- err
			}()
			h := failedHandshake(t, l, fd, l.Abort)
			if h.Reason != c.want {
				t.Errorf("reason %v (%v), want %v", h.Reason, h.Err, c.want)
			}
			if n := countOf(l, c.want); n != 1 {
				t.Errorf("counted %d times", n)
			}
			err := await(t, heard, "the peer")
			if alert := c.want != HandshakeRefused && name != "panic" && name != "goexit"; alert && !strings.Contains(err.Error(), "remote error") {
				t.Errorf("the peer has no alert: %v", err)
			}
		})
	}
}

// A request in plaintext has an answer in plaintext, which the peer can read although it has sent more than anybody reads.
func TestSecurePlainHTTP(t *testing.T) {
	for name, request := range map[string]string{
		"get": "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "long": "POST /x HTTP/1.1\r\n\r\n" + strings.Repeat("x", 100_000), "options": "OPTIONS * HTTP/1.1\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, secureRig())
			fd, peer := secureServer(t, l, serverConfig())
			go func() {
				for i := range len(request) { // a byte at a time, at first
					if i == 20 {
						peer.Write([]byte(request[i:]))
						break
					}
					peer.Write([]byte(request[i : i+1]))
				}
			}()
			if h := failedHandshake(t, l, fd, l.Abort); h.Reason != HandshakePlainHTTP {
				t.Errorf("%v", h)
			}
			const want = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
			if got := readAll(t, peer); string(got) != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestSecureFirstBytes(t *testing.T) {
	for name, c := range map[string]struct {
		says string
		ends bool
		want HandshakeReason
	}{
		"another protocol": {"\x00\x01\x02", false, HandshakeNotTLS},
		"a name":           {"PROXY TCP4", false, HandshakeNotTLS},
		"half a method":    {"GE", true, HandshakeNotTLS},
		"nothing":          {"", true, HandshakeEnded},
		"half a header":    {"\x16\x03", true, HandshakeEnded},
		"half a record":    {"\x16\x03\x01\x01\x00abc", true, HandshakeEnded},
		"no hello":         {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", false, HandshakeOther},
		"version 9":        {"\x16\x99\x01\x00\x04\x01\x00\x00\x00", false, HandshakeNotTLS},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, secureRig())
			fd, peer := secureServer(t, l, serverConfig())
			if _, err := peer.Write([]byte(c.says)); err != nil {
				t.Fatal(err)
			}
			if c.ends {
				closeWrite(t, peer)
			}
			if h := failedHandshake(t, l, fd, l.Close); h.Reason != c.want {
				t.Errorf("%v: %v", h.Reason, h)
			}
			peer.Close()
		})
	}
}

func TestSecureClientHandshakeFails(t *testing.T) {
	for name, c := range map[string]struct {
		config *tls.Config
		server func(t *testing.T, raw net.Conn)
		want   HandshakeReason
	}{
		"untrusted": {&tls.Config{ServerName: "example.org", RootCAs: x509.NewCertPool()}, func(t *testing.T, raw net.Conn) {
			if err := tls.Server(raw, serverConfig()).Handshake(); err == nil || !strings.Contains(err.Error(), "remote error") {
				t.Errorf("the server has no alert: %v", err)
			}
		}, HandshakeCertificate},
		"plain": {clientConfig(0), func(_ *testing.T, raw net.Conn) {
			raw.Read(make([]byte, 100))
			raw.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
		}, HandshakeNotTLS},
		"gone": {clientConfig(0), func(_ *testing.T, raw net.Conn) { io.ReadAtLeast(raw, make([]byte, 4096), 500); raw.Close() }, HandshakeEnded},
		"version": {clientConfig(tls.VersionTLS12), func(_ *testing.T, raw net.Conn) {
			c := serverConfig()
			c.MinVersion = tls.VersionTLS13
			tls.Server(raw, c).Handshake()
		}, HandshakeVersion},
		"no server": {&tls.Config{}, func(*testing.T, net.Conn) {}, HandshakeOther},
	} {
		t.Run(name, func(t *testing.T) {
			l := startLoop(t, secureRig())
			fd, raw := adoptPair(t, l)
			l.do(func() { l.System.(*Secure).Client(fd, c.config) })
			done := make(chan struct{})
			go func() { c.server(t, raw); close(done) }()
			if h := failedHandshake(t, l, fd, l.Close); h.Reason != c.want {
				t.Errorf("%v: %v", h.Reason, h.Err)
			}
			await(t, done, "the server")
		})
	}
}

// Silent peers cost no goroutine, and a handshake under way ends with its connection or with its time; so on a loop that a callback has locked
// to its thread.
func TestSecureHandshakesLeaveNothing(t *testing.T) {
	t.Run("loop", func(t *testing.T) { testHandshakesLeaveNothing(t, startLoop(t, secureRig())) })
	t.Run("locked to its thread", func(t *testing.T) {
		l := startLoop(t, secureRig())
		l.do(runtime.LockOSThread)
		testHandshakesLeaveNothing(t, l)
	})
}

func testHandshakesLeaveNothing(t *testing.T, l *loop) {
	before := runtime.NumGoroutine()
	hello := helloOf(t)
	for i := range 60 {
		fd, peer := secureServer(t, l, serverConfig())
		defer peer.Close()
		l.add(fd, func(Event) {
			if _, err := l.Read(fd, make([]byte, 1)); err == nil || err == ErrAgain {
				t.Errorf("Read: %v", err)
			}
		})
		if i == 29 {
			if n := runtime.NumGoroutine() - before; n > 5 {
				t.Errorf("%d goroutines for 30 silent peers", n)
			}
		}
		if i >= 30 {
			if _, err := peer.Write(hello); err != nil {
				t.Fatal(err)
			}
			_ = peer.SetReadDeadline(time.Now().Add(patience))
			if _, err := peer.Read(make([]byte, 1)); err != nil { // the server's flight: it waits for ours
				t.Fatal(err)
			}
		}
		l.do(func() {
			switch i % 3 {
			case 0:
				l.System.(*Secure).Expire(fd)
			case 1:
				l.drop(fd)
			case 2:
				delete(l.events, fd)
				l.Remove(fd)
				_ = l.Abort(fd)
			}
		})
	}
	within(t, "the goroutines to end", func() bool { return runtime.NumGoroutine() <= before+3 })
	if e, a := countOf(l, HandshakeTimeout), countOf(l, HandshakeAbandoned); e != 20 || a != 40 {
		t.Errorf("%d timed out, %d were abandoned", e, a)
	}
}

// helloOf is the bytes of a ClientHello.
func helloOf(t *testing.T) []byte {
	a, b := net.Pipe()
	defer a.Close()
	go func() { _ = tls.Client(b, clientConfig(0)).Handshake() }()
	p := make([]byte, 4096)
	n, err := a.Read(p)
	if err != nil {
		t.Fatal(err)
	}
	return p[:n]
}

// A callback that waits holds no slot for long: others shake hands meanwhile.
func TestSecureCallbackThatWaits(t *testing.T) {
	l := startLoop(t, secureRig())
	release := make(chan struct{})
	var once sync.Once
	defer once.Do(func() { close(release) })
	slow := serverConfig()
	slow.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { <-release; return nil, nil }
	shake := func(config *tls.Config) chan error {
		fd, raw := secureServer(t, l, config)
		l.add(fd, func(Event) {})
		done := make(chan error, 1)
		go func() {
			peer := tls.Client(raw, clientConfig(0))
			_ = peer.SetDeadline(time.Now().Add(patience))
			done <- peer.Handshake()
		}()
		return done
	}
	late := []chan error{shake(slow), shake(slow), shake(slow)}
	if err := await(t, shake(serverConfig()), "another's handshake"); err != nil {
		t.Fatal(err)
	}
	once.Do(func() { close(release) })
	for _, done := range late {
		if err := await(t, done, "the slow handshake"); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "the slots to be as many as at first", func() bool {
		s := l.System.(*Secure).shakes
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.running == 0
	})
}

// Too many that wait: a server's oldest is shed; a client's waits on.
func TestHandshakesShed(t *testing.T) {
	t.Run("server", func(t *testing.T) { testHandshakesShed(t, (*Secure).Server, serverConfig(), 1) })
	t.Run("client", func(t *testing.T) { testHandshakesShed(t, (*Secure).Client, clientConfig(0), 0) })
}

func testHandshakesShed(t *testing.T, make func(*Secure, int, *tls.Config), config *tls.Config, shed uint64) {
	s := NewHandshakes(1, func(func()) {}) // nobody works
	s.patience = patience
	sock := &fakeSocket{}
	secure := NewSecure(sock, s)
	var first *session
	for i := range mostQueued + 1 {
		make(secure, i, config)
		k := secure.table.at(i)
		if first == nil {
			first = k
		}
		k.registered = true
		k.begin()
	}
	secure.servePosts()
	if _, err := first.read([]byte{0}); errors.Is(err, errShed) != (shed > 0) {
		t.Fatal(err)
	}
	if n := s.Counts.Failed[HandshakeShed].Load(); n != shed {
		t.Fatal(n)
	}
}

// The slots are never more than was said while nobody waits for something else.
func TestHandshakesKeepTheirSlots(t *testing.T) {
	n, err := NewNative()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	now, most := 0, 0
	config := serverConfig()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		mu.Lock()
		now++
		most = max(most, now)
		mu.Unlock()
		runtime.Gosched()
		mu.Lock()
		now--
		mu.Unlock()
		return nil, nil
	}
	shakes := NewHandshakes(2, func(f func()) { go f() })
	shakes.patience = patience
	r := rig{open: func(testing.TB) System { return NewSecure(n, shakes) }}
	l := startLoop(t, r)
	var all []chan error
	for range 50 {
		fd, raw := secureServer(t, l, config)
		l.add(fd, func(Event) {})
		done := make(chan error, 1)
		all = append(all, done)
		go func() { done <- tls.Client(raw, clientConfig(0)).Handshake() }()
	}
	for _, done := range all {
		if err := await(t, done, "a handshake"); err != nil {
			t.Fatal(err)
		}
	}
	if most > 2 {
		t.Errorf("%d at a time", most)
	}
}
