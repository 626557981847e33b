package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// What those who dial can do to a client: where they call it from, what they do with what they gave it, and what their functions do.

// TestDialOnWorker: Dial would wait for an OnOpen that waits for the worker it holds.
func TestDialOnWorker(t *testing.T) {
	_, at := echoes(t)
	got := make(chan error, 1)
	var c *Client
	c = newClient(t, Funcs{Message: func(conn *Conn, m Message) {
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
		defer cancel()
		_, err := c.Dial(ctx, "ws://"+at, DialOptions{})
		got <- err
	}}, ClientOptions{Workers: 1})
	conn := mustDial(t, c, "ws://"+at, DialOptions{})
	_ = conn.SendText("x")
	if err := receive(t, got, "Dial's answer"); err != ErrOnLoop {
		t.Error(err)
	}
}

// TestDialContextEndsDuringOnOpen: it has no effect any more. (The race detector looks who writes what was agreed.)
func TestDialContextEndsDuringOnOpen(t *testing.T) {
	_, at := echoes(t)
	for _, workers := range []int{0, 1} {
		ended := make(chan context.Context, 1)
		c := newClient(t, Funcs{Open: func(*Conn) { <-(<-ended).Done() }}, ClientOptions{Workers: workers})
		ctx, cancel := context.WithTimeout(t.Context(), aliveWithin())
		defer cancel()
		ended <- ctx
		if conn, err := c.Dial(ctx, "ws://"+at, DialOptions{}); err != nil || conn.ReadyState() != Open {
			t.Errorf("%d workers: %v, %v", workers, conn, err)
		}
	}
}

// goneJar ends the goroutine that gives it cookies.
type goneJar struct{}

func (goneJar) SetCookies(*url.URL, []*http.Cookie) { runtime.Goexit() }
func (goneJar) Cookies(*url.URL) []*http.Cookie     { return nil }

// TestJarEndsGoroutine: the connection fails, and the loop goes on.
func TestJarEndsGoroutine(t *testing.T) {
	for status, answer := range map[string]func(*http.Request) string{
		"101": func(r *http.Request) string {
			return strings.Replace(switching(r), "\r\n\r\n", "\r\nSet-Cookie: a=b\r\n\r\n", 1)
		},
		"403": func(*http.Request) string {
			return "HTTP/1.1 403 Forbidden\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
		},
	} {
		t.Run(status, func(t *testing.T) {
			at := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
				_, _ = io.WriteString(nc, answer(req))
				_, _ = io.Copy(io.Discard, r)
			})
			_, works := echoes(t)
			events := make(chan string, 10)
			c := newClient(t, Funcs{}, ClientOptions{Loops: 1})
			_, err := c.Dial(t.Context(), at, DialOptions{Jar: goneJar{}, Handler: eventsOf(events)})
			if !errors.Is(err, ErrHandlerExit) {
				t.Error(err)
			}
			hears(t, events, failsBefore)
			mustDial(t, c, "ws://"+works, DialOptions{})
		})
	}
}

// TestDialOptionsAreCopied: what the caller changes later is nobody's but the caller's.
func TestDialOptionsAreCopied(t *testing.T) {
	config, via := &tls.Config{MinVersion: tls.VersionTLS13}, &url.URL{Scheme: "https", Host: "proxy.example"}
	p, err := newPlan("ws://h.example", DialOptions{TLSConfig: config, Proxy: http.ProxyURL(via)})
	if err != nil {
		t.Fatal(err)
	}
	config.MinVersion, via.Host = tls.VersionTLS10, "evil.example"
	if k := p.proxyTLS(); k.MinVersion != tls.VersionTLS13 || k.ServerName != "proxy.example" {
		t.Errorf("TLS to %s, from version %x on", k.ServerName, k.MinVersion)
	}
}

// lateTunnel is a proxy's answer to CONNECT that comes at the moment when ConnectTimeout has ended the waiting for it.
type lateTunnel struct {
	net.Conn
	late chan struct{}
	end  func()
	said bool
}

func (l *lateTunnel) SetDeadline(time.Time) error { l.end(); return nil }

func (l *lateTunnel) Read(p []byte) (int, error) {
	if l.said {
		return l.Conn.Read(p)
	}
	<-l.late
	l.said = true
	return copy(p, "HTTP/1.1 200 OK\r\n\r\n"), nil
}

// TestTunnelTooLate: one whose reads have a deadline in the past is no tunnel.
func TestTunnelTooLate(t *testing.T) {
	events := make(chan string, 10)
	c := newClient(t, eventsOf(events), ClientOptions{
		ConnectTimeout: 50 * time.Millisecond, HandshakeTimeout: time.Second,
		DialContext: func(context.Context, string, string) (net.Conn, error) {
			ours, theirs := net.Pipe()
			go func() { _, _ = io.Copy(io.Discard, theirs) }()
			late := make(chan struct{})
			return &lateTunnel{Conn: ours, late: late, end: sync.OnceFunc(func() { close(late) })}, nil
		},
	})
	_, err := c.Dial(t.Context(), "ws://h.example", DialOptions{Proxy: http.ProxyURL(&url.URL{Scheme: "http", Host: "p.example"})})
	var d *DialError
	if !errors.As(err, &d) || d.Op != "proxy" || d.Reason != "timeout" {
		t.Errorf("%v", err)
	}
	hears(t, events, failsBefore)
}

// TestSecondAnswer: a connection whose server has answered wrong never opens, though somebody holds its lock when that comes,
// and a right answer follows.
func TestSecondAnswer(t *testing.T) {
	asked, more, sent := make(chan struct{}), make(chan struct{}), make(chan struct{})
	at := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
		asked <- struct{}{}
		<-more
		_, _ = io.WriteString(nc, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
		<-more
		_, _ = io.WriteString(nc, switching(req))
		close(sent)
		_, _ = io.Copy(io.Discard, r)
	})
	events := make(chan string, 10)
	c := newClient(t, eventsOf(events), ClientOptions{})
	conn, err := c.Start(at, DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	receive(t, asked, "the request")
	conn.lock()
	more <- struct{}{}
	held := eventually(timeoutOf(5), func() bool { return conn.owed.Load()&todoClose != 0 })
	more <- struct{}{}
	<-sent
	time.Sleep(20 * time.Millisecond) // it is read, most likely
	conn.unlock()
	if !held {
		t.Error("the wrong answer was not taken")
	}
	hears(t, events, failsBefore)
}
