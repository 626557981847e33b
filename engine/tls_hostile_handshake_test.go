package engine

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// What a client can do instead of a TLS handshake. Nothing of it opens, each ends by itself or at HandshakeTimeout, and whoever can read an answer gets one.

// clientHello is the first record that crypto/tls says.
func clientHello(t testing.TB, config *tls.Config) []byte {
	t.Helper()
	ours, theirs := net.Pipe()
	defer theirs.Close()
	go func() {
		_ = tls.Client(ours, config).Handshake()
		ours.Close()
	}()
	b := make([]byte, 1<<17)
	n, err := io.ReadAtLeast(theirs, b, 5)
	if err != nil {
		t.Fatal(err)
	}
	for whole := recordsIn(b[:n]); n < whole || whole == 0; whole = recordsIn(b[:n]) {
		k, err := theirs.Read(b[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return b[:n]
}

// recordsIn is how long the records of the handshake message in b are, all together; 0: its length is not there yet.
func recordsIn(b []byte) int {
	if len(b) < 9 {
		return 0
	}
	message := 4 + int(b[6])<<16 + int(b[7])<<8 + int(b[8])
	return message + 5*((message+1<<14-1)/(1<<14))
}

// longHello is a configuration whose ClientHello is of about n bytes.
func longHello(n int) *tls.Config {
	config := guestTLS()
	for i := range n / 251 {
		config.NextProtos = append(config.NextProtos, fmt.Sprintf("%0250d", i))
	}
	config.NextProtos = append(config.NextProtos, "http/1.1")
	return config
}

// inRecords puts a handshake message into records of n bytes each.
func inRecords(message []byte, n int) (b []byte) {
	for len(message) > 0 {
		k := min(n, len(message))
		b = append(append(b, recordHead(recordHandshake, k)...), message[:k]...)
		message = message[k:]
	}
	return b
}

// notHandshakes are what comes instead of a handshake, and what the client is told.
func notHandshakes(t testing.TB) map[string]struct{ say, hears string } {
	hello := clientHello(t, guestTLS())
	plain := "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
	sslv2 := append([]byte{0x80, 46, 1, 3, 1, 0, 21, 0, 0, 0, 16}, make([]byte, 37)...)
	body := func(b ...byte) string { return string(b) }
	return map[string]struct{ say, hears string }{
		"a plain GET":              {"GET / HTTP/1.1\r\nHost: h\r\n\r\n", plain},
		"a plain upgrade":          {requestFor("/"), plain},
		"a plain POST":             {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 100_000), plain},
		"a plain OPTIONS":          {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", plain},
		"a plain HEAD":             {"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n", plain},
		"a frame":                  {string(maskedFrame(0x81, []byte("hello"))), ""},
		"garbage":                  {strings.Repeat("\xff\x00garbage", 10_000), ""},
		"zeros":                    {strings.Repeat("\x00", 100_000), ""},
		"SSLv2":                    {body(sslv2...), ""},
		"application data":         {body(append(recordHead(recordData, 5), "hello"...)...), ""},
		"a ChangeCipherSpec":       {body(append(recordHead(recordChangeCipherSpec, 1), 1)...), ""},
		"a flood of CCS":           {body(bytes.Repeat(append(recordHead(recordChangeCipherSpec, 1), 1), 10_000)...), ""},
		"a hello of version 4.0":   {body(append([]byte{22, 0x10, 0, 0, 5}, "hello"...)...), ""},
		"another message":          {body(inRecords([]byte{20, 0, 0, 1, 1}, 100)...), ""},
		"an unknown message":       {body(inRecords([]byte{99, 0, 0, 1, 1}, 100)...), ""},
		"a hello of no byte":       {body(inRecords([]byte{1, 0, 0, 0}, 100)...), ""},
		"a hello cut short":        {body(inRecords(append([]byte{1, 0, 0, byte(len(hello) - 20)}, hello[9:len(hello)-11]...), 16000)...), ""},
		"a hello of 16 MiB":        {body(inRecords(append([]byte{1, 255, 255, 255}, make([]byte, 200_000)...), 16000)...), ""},
		"a hello in empty records": {body(bytes.Repeat(recordHead(recordHandshake, 0), 10_000)...), ""},
		"an oversized record":      {body(append(recordHead(recordHandshake, 65535), make([]byte, 65535)...)...), ""},
		"a close_notify":           {body(21, 3, 1, 0, 2, 1, 0), ""},
		"a fatal alert":            {body(21, 3, 1, 0, 2, 2, 40), ""},
		"a flood of warnings":      {body(bytes.Repeat([]byte{21, 3, 1, 0, 2, 1, 90}, 10_000)...), ""},
		"two hellos":               {body(append(bytes.Clone(hello), hello...)...), ""},
	}
}

func TestTLSInsteadOfAHandshake(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		h, ends := watching(echoHandler)
		s := startServerTLS(t, h, Options{Loops: 1, HandshakeTimeout: aliveWithin(), Logger: quietLogger})
		all := notHandshakes(t)
		besideInnocent(t, s, func() {
			peak := peakMemory(s, func() {
				var each sync.WaitGroup
				for name, k := range all {
					nc := dialBare(t, s)
					each.Go(func() {
						go func() { _, _ = io.WriteString(nc, k.say) }()
						got, err := io.ReadAll(nc)
						if isTimeout(err) || k.hears != "" && string(got) != k.hears {
							t.Errorf("%s: heard %q, %v", name, got, err)
						}
					})
				}
				each.Wait()
			})
			if peak > 16<<20 {
				t.Errorf("%d bytes of memory", peak)
			}
		})
		if opened, _ := ends.total(); opened > 1 {
			t.Error(opened, "opened") // the innocent's path is one of them
		}
		within(t, timeoutOf(5), "nobody is left", func() bool { return s.conns() == 0 })
	})
}

// TestTLSSlowHandshakes: a handshake that comes a byte at a time, and a hello without end, last until HandshakeTimeout and cost next to nothing.
func TestTLSSlowHandshakes(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		const slow = 50
		hello := clientHello(t, guestTLS())
		s := startServerTLS(t, echoHandler, Options{Loops: 1, HandshakeTimeout: aliveWithin(), Logger: quietLogger})
		besideInnocent(t, s, func() {
			before := s.Stats().TLS.Failed["timeout"]
			peak := peakMemory(s, func() {
				var all sync.WaitGroup
				for i := range slow {
					nc := dialBare(t, s)
					all.Go(func() {
						go drip(nc, hello, 10*time.Millisecond) // the attacker's pace
						began := time.Now()
						if _, err := io.Copy(io.Discard, nc); isTimeout(err) || time.Since(began) < aliveWithin()/2 {
							t.Errorf("%d ended after %v: %v", i, time.Since(began), err)
						}
					})
				}
				all.Wait()
			})
			if peak > slow*32<<10+4<<20 {
				t.Errorf("%d bytes of memory", peak)
			}
			if n := s.Stats().TLS.Failed["timeout"] - before; s.Stats().Bridged == 0 && n != slow {
				t.Errorf("%d ended at the time-out: %+v", n, s.Stats().TLS)
			}
		})
	})
}

// drip writes all but the last byte, one at a time, and then nothing.
func drip(nc net.Conn, b []byte, pause time.Duration) {
	for i := range b[1:] {
		if _, err := nc.Write(b[i : i+1]); err != nil {
			return
		}
		time.Sleep(pause)
	}
}

// TestTLSHelloCutAnywhere: a handshake does not depend on how its bytes come, nor on how many records they are in.
func TestTLSHelloCutAnywhere(t *testing.T) {
	for version, number := range tlsVersions {
		t.Run("tls/"+version, func(t *testing.T) {
			s := startServerTLS(t, echoHandler, Options{Loops: 1})
			for _, piece := range []int{1, 2, 3, 5, 7, 100, 1000} {
				config := guestTLS()
				config.MinVersion, config.MaxVersion = number, number
				c := tls.Client(chopped{dialBare(t, s), piece}, config)
				a := attackOver(t, c, "/")
				a.say(t, string(maskedFrame(0x81, []byte("hello"))))
				if f, err := a.hear(); err != nil || string(f.payload) != "hello" {
					t.Fatalf("in pieces of %d: %+v, %v", piece, f, err)
				}
			}
		})
	}
}

// chopped writes some bytes at a time.
type chopped struct {
	net.Conn
	piece int
}

func (c chopped) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var k int
		k, err = c.Conn.Write(p[n:min(len(p), n+c.piece)])
		n += k
		if n%64 == 0 {
			time.Sleep(100 * time.Microsecond) // the kernel puts what comes together
		}
	}
	return n, err
}

// TestTLSLongHellos: one of 60 KiB is as good as another; what is longer than crypto/tls takes is not.
func TestTLSLongHellos(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		s := startServerTLS(t, echoHandler, Options{Loops: 1, HandshakeTimeout: aliveWithin(), Logger: quietLogger})
		besideInnocent(t, s, func() {
			for _, n := range []int{2_000, 16_384, 40_000, 60_000} {
				attackOver(t, tls.Client(dialBare(t, s), longHello(n)), "/")
			}
			nc := dialBare(t, s)
			hello := append([]byte{1, 1, 0, 1}, make([]byte, 65537)...)
			go func() { _, _ = nc.Write(inRecords(hello, 1<<14)) }()
			if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
				t.Error("a hello of 65537 bytes:", err)
			}
		})
	})
}

// TestTLSOldVersions: a client that speaks no more than TLS 1.1 hears why.
func TestTLSOldVersions(t *testing.T) {
	t.Run("tls", func(t *testing.T) {
		s := startServerTLS(t, echoHandler, Options{Loops: 1, Logger: quietLogger})
		besideInnocent(t, s, func() {
			for _, v := range []uint16{tls.VersionTLS10, tls.VersionTLS11} {
				err := tls.Client(dialBare(t, s), &tls.Config{InsecureSkipVerify: true, MinVersion: v, MaxVersion: v}).Handshake()
				if err == nil || !strings.Contains(err.Error(), "protocol version not supported") {
					t.Errorf("%x: %v", v, err)
				}
			}
		})
	})
}

// TestTLSClientCertificates: where one is required, a client without it, or with one that is not trusted, never opens; it hears why, and one with it opens.
func TestTLSClientCertificates(t *testing.T) {
	for version, number := range tlsVersions {
		t.Run("tls/"+version, func(t *testing.T) {
			h, ends := watching(echoHandler)
			config := houseTLS()
			config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
			leaf, err := x509.ParseCertificate(houseCertificate().Certificate[0])
			if err != nil {
				t.Fatal(err)
			}
			config.ClientCAs.AddCert(leaf)
			s := startServerTLS(t, h, Options{Loops: 1, Logger: quietLogger, TLSConfig: config})
			stranger := makeCertificate("stranger.example")
			for name, k := range map[string]struct {
				certificates []tls.Certificate
				opens        bool
			}{"none": {nil, false}, "a stranger's": {[]tls.Certificate{stranger}, false}, "ours": {[]tls.Certificate{houseCertificate()}, true}} {
				guest := guestTLS()
				guest.MinVersion, guest.MaxVersion = number, number
				guest.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
					if len(k.certificates) == 0 {
						return new(tls.Certificate), nil
					}
					return &k.certificates[0], nil
				}
				nc := tls.Client(dialBare(t, s), guest)
				_, _ = io.WriteString(nc, requestFor("/"+strings.ReplaceAll(name, " ", "-")))
				b := make([]byte, 1000)
				n, err := nc.Read(b)
				if k.opens != strings.HasPrefix(string(b[:n]), "HTTP/1.1 101") || !k.opens && !strings.Contains(fmt.Sprint(err), "remote error: tls: ") {
					t.Errorf("%s: %q, %v", name, b[:n], err)
				}
			}
			if opened, _ := ends.total(); opened != 1 {
				t.Error(opened, "opened")
			}
		})
	}
}

// TestTLSLeavesInTheHandshake: a client goes, in each way, after each flight and in its middle.
func TestTLSLeavesInTheHandshake(t *testing.T) {
	leave := map[string]func(nc net.Conn){
		"reset":        func(nc net.Conn) { _ = under(nc).SetLinger(0); _ = nc.Close() },
		"FIN":          func(nc net.Conn) { _ = under(nc).CloseWrite() },
		"close_notify": func(nc net.Conn) { _, _ = nc.Write([]byte{21, 3, 3, 0, 2, 1, 0}) },
		"alert":        func(nc net.Conn) { _, _ = nc.Write([]byte{21, 3, 3, 0, 2, 2, 42}) },
		"silence":      func(net.Conn) {},
	}
	for version, number := range tlsVersions {
		t.Run("tls/"+version, func(t *testing.T) {
			h, ends := watching(echoHandler)
			s := startServerTLS(t, h, Options{Loops: 1, HandshakeTimeout: aliveWithin(), Logger: quietLogger})
			config := guestTLS()
			config.MinVersion, config.MaxVersion = number, number
			besideInnocent(t, s, func() {
				var all sync.WaitGroup
				for how, leaves := range leave {
					for bytesIn := 0; bytesIn < 700; bytesIn += 37 {
						nc := dialBare(t, s)
						all.Go(func() {
							c := tls.Client(&shortOfWords{nc, bytesIn}, config)
							done := make(chan error, 1)
							go func() { done <- c.Handshake() }()
							select {
							case err := <-done:
								if err != nil && !errors.Is(err, errNoMoreWords) {
									t.Errorf("%s after %d bytes: %v", how, bytesIn, err)
								}
							case <-time.After(timeoutOf(10)):
								t.Errorf("%s after %d bytes: nothing", how, bytesIn)
							}
							leaves(nc)
							if how != "reset" {
								if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
									t.Errorf("%s after %d bytes: the server's end never came", how, bytesIn)
								}
							}
						})
					}
				}
				all.Wait()
				within(t, timeoutOf(5), "only the innocent is left", func() bool { return s.conns() <= 1 })
			})
			if opened, _ := ends.total(); opened > 2*attackTries {
				t.Error(opened, "opened")
			}
		})
	}
}

var errNoMoreWords = errors.New("no more words")

// shortOfWords is a client's socket that says so many bytes, and no more.
type shortOfWords struct {
	net.Conn
	left int
}

func (s *shortOfWords) Write(p []byte) (int, error) {
	n, err := s.Conn.Write(p[:min(len(p), s.left)])
	s.left -= n
	if err == nil && n < len(p) {
		err = errNoMoreWords
	}
	return n, err
}
