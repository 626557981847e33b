package engine

import (
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestDialRace: a name whose first address answers nothing connects by the second one within 0.4 s; one whose first address refuses, at once.
func TestDialRace(t *testing.T) {
	_, at := echoes(t)
	p, _ := strconv.Atoi(port(t, at))
	dead := nowhere(t, uint16(p))
	for way, set := range waysToTransport {
		for name, c := range map[string]struct {
			n    names
			most time.Duration
		}{
			"nobody": {names{"h": append(dead, addrs("127.0.0.1")...)}, 400 * time.Millisecond},
			"no":     {names{"h": addrs("127.0.0.9", "127.0.0.8", "127.0.0.1")}, 200 * time.Millisecond},
		} {
			best := time.Hour
			for try := 0; try < 10 && best > c.most; try++ { // the machine may be busy
				k := newClient(t, Funcs{}, ClientOptions{Resolver: c.n})
				set(k)
				began := time.Now()
				if _, err := k.Dial(t.Context(), "ws://h:"+strconv.Itoa(p), DialOptions{}); err != nil {
					t.Fatal(err)
				}
				best = min(best, time.Since(began))
			}
			if best > c.most {
				t.Errorf("%s, %s: it took %v", way, name, best)
			}
		}
	}
}

// TestDialHostileProxies: whatever a proxy answers, the dial ends with an error that says so, and the target's fields have not left.
func TestDialHostileProxies(t *testing.T) {
	for name, k := range map[string]struct {
		scheme, answer string
		drip           bool
		reason         string
	}{
		"it wants a password": {"http", "HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic\r\n\r\n", false, "proxy-auth"},
		"it refuses":          {"http", "HTTP/1.1 403 Forbidden\r\n\r\n", false, "proxy-refused"},
		"it sends away":       {"http", "HTTP/1.1 302 Found\r\nLocation: http://evil.example\r\n\r\n", false, "proxy-refused"},
		"it says too much":    {"http", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 20_000), false, "proxy-refused"},
		"it speaks no HTTP":   {"http", "220 hello\r\n\r\n", false, "other"},
		"it drips":            {"http", "HTTP/1.1 200 OK\r\n" + strings.Repeat("X: y\r\n", 10_000), true, "timeout"},
		"SOCKS: no method":    {"socks5", "\x05\xff", false, "proxy-auth"},
		"SOCKS: it refuses":   {"socks5", "\x05\x00\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00", false, "proxy-refused"},
		"SOCKS: another":      {"socks5", "\x04\x00", false, "proxy-refused"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := make(chan string, 1)
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer ln.Close()
			go func() {
				nc, err := ln.Accept()
				if err != nil {
					return
				}
				defer nc.Close()
				piece := len(k.answer)
				if k.drip {
					piece = 1
				}
				for i := 0; i < len(k.answer); i += piece {
					if _, err := io.WriteString(nc, k.answer[i:i+piece]); err != nil {
						break
					}
					if k.drip {
						time.Sleep(10 * time.Millisecond)
					}
				}
				b, _ := io.ReadAll(nc)
				got <- string(b)
			}()
			o := ClientOptions{}
			if k.drip {
				o.ConnectTimeout = 200 * time.Millisecond
			}
			events := make(chan string, 10)
			c := newClient(t, eventsOf(events), o)
			_, err = c.Dial(t.Context(), "ws://me:secret@h.example", DialOptions{
				Header: http.Header{"X-Secret": {"s"}}, Proxy: http.ProxyURL(&url.URL{Scheme: k.scheme, Host: ln.Addr().String()}),
			})
			var d *DialError
			if !errors.As(err, &d) || d.Op != "proxy" || d.Reason != k.reason {
				t.Errorf("%v, %+v", err, d)
			}
			hears(t, events, failsBefore)
			if s := receive(t, got, "what the proxy got"); strings.Contains(s, "ecret") || strings.Contains(s, "Authorization") || strings.Contains(s, "User-Agent") {
				t.Errorf("the proxy got %q", s)
			}
		})
	}
}

// TestDialTLSServers: one that wants a certificate gets it.
func TestDialTLSServers(t *testing.T) {
	s, err := NewServer(echoHandler, Options{Logger: quietLogger})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	hs := httptest.NewUnstartedServer(http.HandlerFunc(s.ServeHTTP))
	hs.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	hs.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
	hs.StartTLS()
	defer hs.Close()
	with := hs.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	without := with.Clone()
	with.Certificates = hs.TLS.Certificates
	roundTrip(t, ClientOptions{}, hs.URL, DialOptions{TLSConfig: with})
	c := newClient(t, Funcs{}, ClientOptions{})
	if _, err := c.Dial(t.Context(), hs.URL, DialOptions{TLSConfig: without}); err == nil {
		t.Error("without a certificate it opened")
	}
}
