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
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/handshake"
	"github.com/gobwas/ws"
)

// taking serves each connection that comes to ln in a goroutine of its own, until the test ends.
func taking(t testing.TB, ln net.Listener, serve func(nc net.Conn)) (addr string) {
	t.Helper()
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer nc.Close()
				serve(nc)
			}()
		}
	}()
	return ln.Addr().String()
}

// takes is taking at a port of its own.
func takes(t testing.TB, serve func(nc net.Conn)) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if secured(t) {
		ln = tls.NewListener(ln, houseTLS())
	}
	return taking(t, ln, serve)
}

// scripted serves each connection by a script, which gets the request and its key.
func scripted(t *testing.T, script func(nc net.Conn, r *bufio.Reader, req *http.Request)) string {
	t.Helper()
	return schemeOf(t) + takes(t, func(nc net.Conn) {
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		r := bufio.NewReader(nc)
		if req, err := http.ReadRequest(r); err == nil {
			script(nc, r, req)
		}
	}) + "/"
}

// switching is a right answer; what extra says is added, "-Name" removes a field.
func switching(req *http.Request, extra ...string) string {
	lines := []string{
		"HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade",
		"Sec-WebSocket-Accept: " + string(handshake.AcceptKey(nil, []byte(req.Header.Get("Sec-WebSocket-Key")))),
	}
	for _, x := range extra {
		if name, ok := strings.CutPrefix(x, "-"); ok {
			for i := range lines {
				if strings.HasPrefix(lines[i], name) {
					lines = append(lines[:i], lines[i+1:]...)
					break
				}
			}
			continue
		}
		lines = append(lines, x)
	}
	return strings.Join(lines, "\r\n") + "\r\n\r\n"
}

// eventsOf writes down what a handler hears.
func eventsOf(events chan<- string) Funcs {
	return Funcs{
		Open:    func(c *Conn) { events <- "open " + c.ReadyState().String() },
		Message: func(c *Conn, m Message) { events <- fmt.Sprintf("message %q %v", m.Data, c.ReadyState()) },
		Error:   func(c *Conn, err error) { events <- "error " + c.ReadyState().String() },
		Close: func(c *Conn, e CloseEvent) {
			events <- fmt.Sprint("close ", c.ReadyState(), " ", e.Code, " ", e.WasClean)
		},
	}
}

const (
	failsBefore = "error CLOSED, close CLOSED 1006 false"
	failsAfter  = "open OPEN, error CLOSED, close CLOSED 1006 false"
)

// TestServerFaults: whatever a server does wrong, the handler hears it once, in order, and the error says what it was.
func TestServerFaults(t *testing.T) {
	frame := func(b ...byte) string { return string(b) }
	for _, c := range []struct {
		name   string
		answer func(req *http.Request) string
		frames string
		want   string // events
		reason string // of a HandshakeError
		code   int    // of the Close frame that the server gets; 0: none
	}{
		{name: "status 200", answer: func(*http.Request) string { return "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi" }, want: failsBefore, reason: "status"},
		{name: "status 401", answer: func(*http.Request) string { return "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n" }, want: failsBefore, reason: "status"},
		{name: "a redirect", answer: func(*http.Request) string { return "HTTP/1.1 302 Found\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n" }, want: failsBefore, reason: "status"},
		{name: "100 before the answer", answer: func(r *http.Request) string { return "HTTP/1.1 100 Continue\r\n\r\n" + switching(r) }, want: failsBefore, reason: "status"},
		{name: "an early hint before the answer", answer: func(r *http.Request) string {
			return "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" + switching(r)
		}, want: failsBefore, reason: "status"},
		{name: "HTTP/1.0", answer: func(r *http.Request) string { return strings.Replace(switching(r), "1.1", "1.0", 1) }, want: failsBefore, reason: "http-1.0"},
		{name: "no HTTP", answer: func(*http.Request) string { return "220 hello\r\n" }, want: failsBefore, reason: "not-http"},
		{name: "a bad status line", answer: func(*http.Request) string { return "HTTP/1.1 1o1 x\r\n\r\n" }, want: failsBefore, reason: "bad-status-line"},
		{name: "no Upgrade", answer: func(r *http.Request) string { return switching(r, "-Upgrade") }, want: failsBefore, reason: "no-upgrade"},
		{name: "another Upgrade", answer: func(r *http.Request) string { return switching(r, "-Upgrade", "Upgrade: h2c") }, want: failsBefore, reason: "no-upgrade"},
		{name: "no Connection", answer: func(r *http.Request) string { return switching(r, "-Connection") }, want: failsBefore, reason: "no-connection-upgrade"},
		{name: "no Accept", answer: func(r *http.Request) string { return switching(r, "-Sec-WebSocket-Accept") }, want: failsBefore, reason: "no-accept"},
		{name: "a wrong Accept", answer: func(r *http.Request) string {
			return switching(r, "-Sec-WebSocket-Accept", "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		}, want: failsBefore, reason: "wrong-accept"},
		{name: "two Accepts", answer: func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		}, want: failsBefore, reason: "repeated-accept"},
		{name: "no protocol", answer: func(r *http.Request) string { return switching(r, "-Sec-WebSocket-Protocol") }, want: failsBefore, reason: "no-protocol"},
		{name: "another protocol", answer: func(r *http.Request) string { return switching(r, "Sec-WebSocket-Protocol: c") }, want: failsBefore, reason: "wrong-protocol"},
		{name: "a protocol in another case", answer: func(r *http.Request) string { return switching(r, "Sec-WebSocket-Protocol: A") }, want: failsBefore, reason: "wrong-protocol"},
		{name: "an empty protocol", answer: func(r *http.Request) string { return switching(r, "Sec-WebSocket-Protocol: ") }, want: failsBefore, reason: "wrong-protocol"},
		{name: "two protocols", answer: func(r *http.Request) string { return switching(r, "Sec-WebSocket-Protocol: a, b") }, want: failsBefore, reason: "repeated-protocol"},
		{name: "two protocol lines", answer: func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Protocol: b")
		}, want: failsBefore, reason: "repeated-protocol"},
		{name: "an extension unasked", answer: func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: x-y")
		}, want: failsBefore, reason: "extension"},
		{name: "a parameter unasked", answer: func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: permessage-deflate; x=y")
		}, want: failsBefore, reason: "extension"},
		{name: "an extension twice", answer: func(r *http.Request) string {
			return switching(r, "Sec-WebSocket-Protocol: a", "Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate")
		}, want: failsBefore, reason: "extension"},
		{name: "a bare LF", answer: func(r *http.Request) string { return strings.ReplaceAll(switching(r), "\r\n", "\n") }, want: failsBefore, reason: "bare-lf"},
		{name: "a folded field", answer: func(r *http.Request) string { return switching(r, "X: a", " b") }, want: failsBefore, reason: "folded-field"},
		{name: "a NUL", answer: func(r *http.Request) string { return switching(r, "X: a\x00b") }, want: failsBefore, reason: "bad-field-value"},
		{name: "too many fields", answer: func(r *http.Request) string { return switching(r, strings.Repeat("A: b\r\n", 1000)+"A: b") }, want: failsBefore, reason: "too-many-fields"},
		{name: "too long", answer: func(r *http.Request) string { return switching(r, "X: "+strings.Repeat("a", 20<<10)) }, want: failsBefore, reason: "head-too-long"},
		{name: "10 MB of it", answer: func(r *http.Request) string {
			return switching(r, strings.Repeat("X-Y: "+strings.Repeat("z", 100)+"\r\n", 100_000)+"A: b")
		}, want: failsBefore, reason: "too-many-fields"},
		{name: "nothing", answer: func(*http.Request) string { return "" }, want: failsBefore, reason: "connection-lost"},
		{name: "half an answer", answer: func(*http.Request) string { return "HTTP/1.1 101 Swit" }, want: failsBefore, reason: "connection-lost"},

		{name: "a masked frame", frames: frame(0x81, 0x81, 1, 2, 3, 4, 'a'), want: failsAfter, code: 1002},
		{name: "RSV1", frames: frame(0xc1, 0), want: failsAfter, code: 1002},
		{name: "RSV2", frames: frame(0xa1, 0), want: failsAfter, code: 1002},
		{name: "a reserved opcode", frames: frame(0x83, 0), want: failsAfter, code: 1002},
		{name: "a reserved control opcode", frames: frame(0x8b, 0), want: failsAfter, code: 1002},
		{name: "a long ping", frames: frame(0x89, 126, 0, 200), want: failsAfter, code: 1002},
		{name: "a ping in fragments", frames: frame(0x09, 0), want: failsAfter, code: 1002},
		{name: "a continuation of nothing", frames: frame(0x80, 0), want: failsAfter, code: 1002},
		{name: "a message within a message", frames: frame(0x01, 0, 0x81, 0), want: failsAfter, code: 1002},
		{name: "a length that is not the shortest", frames: frame(0x81, 126, 0, 1, 'a'), want: failsAfter, code: 1002},
		{name: "a negative length", frames: frame(0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0), want: failsAfter, code: 1002},
		{name: "more than 2 GiB", frames: frame(0x82, 127, 0, 0, 0, 0, 0x80, 0, 0, 0), want: failsAfter, code: 1009},
		{name: "no UTF-8", frames: frame(0x81, 2, 0xc3, 0x28), want: failsAfter, code: 1007},
		{name: "a Close of one byte", frames: frame(0x88, 1, 3), want: failsAfter, code: 1002},
		{name: "a Close with 1005", frames: frame(0x88, 2, 0x03, 0xed), want: failsAfter, code: 1002},
		{name: "a reason that is no UTF-8", frames: frame(0x88, 3, 0x03, 0xe8, 0xff), want: failsAfter, code: 1007},
		{name: "the end without a Close", frames: "", want: failsAfter},
		{name: "the end in a message", frames: frame(0x81, 5, 'a'), want: failsAfter},
		{name: "a message, then a fault", frames: frame(0x81, 1, 'a', 0x83, 0), want: `open OPEN, message "a" OPEN, error CLOSED, close CLOSED 1006 false`, code: 1002},
		{name: "a Close", frames: frame(0x88, 2, 0x0f, 0xa0), want: "open OPEN, close CLOSED 4000 true", code: 4000},
	} {
		for _, o := range []ClientOptions{{}, {Workers: 2, Deflate: &deflate.Policy{}}} {
			t.Run(fmt.Sprint(c.name, o.Workers), func(t *testing.T) {
				t.Parallel()
				codes := make(chan int, 1)
				url := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
					if c.answer != nil {
						_, _ = io.WriteString(nc, c.answer(req))
						if c.reason == "connection-lost" {
							return
						}
						_, _ = io.Copy(io.Discard, r)
						return
					}
					_, _ = io.WriteString(nc, switching(req, "Sec-WebSocket-Protocol: a")+c.frames)
					if c.code == 0 {
						return
					}
					codes <- closeCodeFrom(r)
				})
				events := make(chan string, 10)
				client := newClient(t, eventsOf(events), o)
				ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(20))
				defer cancel()
				_, err := client.Dial(ctx, url, DialOptions{Protocols: []string{"a", "b"}})
				var h *HandshakeError
				if errors.As(err, &h); (c.reason != "") != (h != nil) || h != nil && h.Reason != c.reason {
					t.Errorf("Dial: %v, want reason %q", err, c.reason)
				}
				for want := range strings.SplitSeq(c.want, ", ") {
					if got := receive(t, events, want); got != want {
						t.Fatalf("heard %q, want %q", got, want)
					}
				}
				if c.code != 0 {
					if got := receive(t, codes, "a Close frame"); got != c.code {
						t.Errorf("the server got code %d, want %d", got, c.code)
					}
				}
			})
		}
	}
}

// closeCodeFrom is the code of the Close frame that a client sends, which is masked.
func closeCodeFrom(r io.Reader) int {
	for {
		f, err := readAnyFrame(r)
		if err != nil || !f.Header.Masked {
			return -1
		}
		ws.Cipher(f.Payload, f.Header.Mask, 0)
		if f.Header.OpCode == ws.OpClose {
			code, _ := ws.ParseCloseFrameData(f.Payload)
			return int(code)
		}
	}
}

// What is refused before it was parsed says nothing of the answer that its loop has parsed before.
func TestRefusalsDoNotMix(t *testing.T) {
	n := 0
	url := scripted(t, func(nc net.Conn, _ *bufio.Reader, _ *http.Request) {
		if n++; n == 1 {
			_, _ = io.WriteString(nc, "HTTP/1.1 404 Not Found\r\nX-Secret: of another connection\r\nContent-Length: 0\r\n\r\n")
			return
		}
		_, _ = io.WriteString(nc, "220 hello\r\n")
	})
	c := newClient(t, Funcs{}, ClientOptions{Loops: 1})
	for _, want := range []int{http.StatusNotFound, 0} {
		ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(5))
		_, err := c.Dial(ctx, url, DialOptions{})
		cancel()
		var h *HandshakeError
		if !errors.As(err, &h) || h.Status != want || (h.Header == nil) != (want == 0) {
			t.Errorf("%v: %+v, status %d was wanted", err, h, want)
		}
	}
}
