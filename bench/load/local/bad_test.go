package local

import (
	"bufio"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/gannet-ws/gannet/bench/load"
)

// badServer is the URL of a server that treats each connection as f says, and closes it then.
func badServer(t *testing.T, f func(c *net.TCPConn)) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				f(c.(*net.TCPConn))
			}()
		}
	}()
	return "ws://" + ln.Addr().String()
}

// silent reads and says nothing, until the peer is gone.
func silent(c *net.TCPConn) { _, _ = io.Copy(io.Discard, c) }

// answering reads a request, and answers it.
func answering(answer string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		for r := bufio.NewReader(c); ; {
			line, err := r.ReadString('\n')
			if err != nil || strings.TrimSpace(line) == "" {
				break
			}
		}
		_, _ = io.WriteString(c, answer)
	}
}

func resetting(c *net.TCPConn) { _ = c.SetLinger(0) }

// open shakes hands, and then does f.
func open(f func(c *net.TCPConn)) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		if _, err := ws.Upgrade(c); err == nil {
			f(c)
		}
	}
}

// sends writes bytes at once, and reads on.
func sends(b string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		_, _ = io.WriteString(c, b)
		silent(c)
	}
}

// changing sends back what change makes of each message.
func changing(change func(string) []string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		for {
			m, err := wsutil.ReadClientText(c)
			if err != nil {
				return
			}
			for _, answer := range change(string(m)) {
				if wsutil.WriteServerText(c, []byte(answer)) != nil {
					return
				}
			}
		}
	}
}

// flooding writes frames without end.
func flooding(frame string) func(*net.TCPConn) {
	return func(c *net.TCPConn) {
		go silent(c)
		for b := []byte(strings.Repeat(frame, 1000)); ; {
			if _, err := c.Write(b); err != nil {
				return
			}
		}
	}
}

// TestBadServers: what a server does wrong has its class, once for each time; and the run goes on and ends.
func TestBadServers(t *testing.T) {
	const connections = 3
	nobody := func() string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer ln.Close()
		return "ws://" + ln.Addr().String()
	}
	for _, k := range []struct {
		name  string
		class load.Class
		what  string // "*": whatever
		each  bool   // there is one such error for each connection, and none else
		url   string
	}{
		{"refuses", load.Refused, "connect: refused", true, nobody()},
		{"says nothing", load.TimedOut, "handshake", true, badServer(t, silent)},
		{"answers 404", load.Handshake, "404", true, badServer(t, answering("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno"))},
		{"answers 200", load.Handshake, "200", true, badServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))},
		{"answers a wrong key", load.Handshake, "*", true, badServer(t, answering("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\n\r\n"))},
		{"answers garbage", load.Handshake, "*", true, badServer(t, answering("\x00\x01\x02\r\n\r\n"))},
		{"speaks another protocol", load.Handshake, "*", true, badServer(t, sends("220 mail ready\r\n"))},
		{"closes at once", load.Unreachable, "connection lost in the handshake", true, badServer(t, func(*net.TCPConn) {})},
		{"closes half an answer", load.Unreachable, "connection lost in the handshake", true, badServer(t, answering("HTTP/1.1 101 Switching"))},
		{"resets at once", load.Unreachable, "*", true, badServer(t, resetting)},
		{"ends without a Close", load.Closed, "1006", true, badServer(t, open(func(c *net.TCPConn) {}))},
		{"resets when it is open", load.Closed, "1006", true, badServer(t, open(resetting))},
		{"closes with 1013", load.Closed, "1013", true, badServer(t, open(sends("\x88\x02\x03\xf5")))},
		{"ends in a frame", load.Closed, "1006", true, badServer(t, open(func(c *net.TCPConn) { _, _ = io.WriteString(c, "\x81\x05ab") }))},
		{"sends what is no frame", load.Closed, "1006, closed from here with 1002", true, badServer(t, open(sends("\xff\xff\xff\xff")))},
		{"sends text that is none", load.Closed, "1006, closed from here with 1007", true, badServer(t, open(sends("\x81\x01\xff")))},
		{"declares more than there is", load.Closed, "1006, closed from here with 1009", true, badServer(t, open(sends("\x82\x7f\x00\x00\x00\xff\xff\xff\xff\xff")))},
		{"sends half a frame", load.TimedOut, "answer", false, badServer(t, open(sends("\x81\x05ab")))},
		{"never answers", load.TimedOut, "answer", false, badServer(t, open(silent))},
		{"answers other bytes", load.Verify, "other bytes", false, badServer(t, open(changing(func(m string) []string { return []string{"x" + m[1:]} })))},
		{"answers less", load.Verify, "127 bytes instead of 128", false, badServer(t, open(changing(func(m string) []string { return []string{m[1:]} })))},
		{"answers twice", load.Unasked, "message", false, badServer(t, open(changing(func(m string) []string { return []string{m, m} })))},
		{"floods messages", load.Unasked, "message", false, badServer(t, open(flooding("\x81\x00")))},
		{"reads nothing", load.TimedOut, "answer", false, badServer(t, open(func(*net.TCPConn) { <-t.Context().Done() }))},
	} {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			g := made(t, load.Plan{URL: k.url, Connections: connections, ConnectRate: fast, Rate: 300, Verify: true,
				ConnectTimeout: load.Duration(500 * time.Millisecond), AnswerTimeout: load.Duration(100 * time.Millisecond)})
			w := beaten(t, g, k.class)
			total := int64(0)
			for _, n := range w.Errors[k.class] {
				total += n
			}
			if _, ok := w.Errors[k.class][k.what]; !ok && k.what != "*" || total == 0 {
				t.Errorf("%v, want %s: %s", w.Errors, k.class, k.what)
			}
			if k.each && (total != connections || len(w.Errors) != 1) {
				t.Errorf("%v, want %d of %s", w.Errors, connections, k.class)
			}
			if w.Attempted != connections || w.Opened != w.Ended || w.Open != 0 || w.Due != w.Sent+w.Unsent {
				t.Errorf("%+v", w)
			}
		})
	}
}

// TestPingFlood: a machine that is fast enough closes for it (10,000 pings a second are too many), and a slower one lives with it. The run ends.
func TestPingFlood(t *testing.T) {
	url := badServer(t, open(flooding("\x89\x00")))
	g := made(t, load.Plan{URL: url, Connections: 3, ConnectRate: fast, Rate: 300, AnswerTimeout: load.Duration(100 * time.Millisecond)})
	w := beaten(t, g, load.TimedOut)
	for class, whats := range w.Errors {
		for what, n := range whats {
			if class != load.TimedOut && (class != load.Closed || what != "1006, closed from here with 1008" || n > 3) {
				t.Errorf("%s: %s: %d", class, what, n)
			}
		}
	}
	if w.Open != 0 || w.Opened != 3 || w.Ended != 3 {
		t.Errorf("%+v", w)
	}
}

// beaten runs g until an error of the class, or until the connections have had their time, and ends it.
func beaten(t *testing.T, g *generator, class load.Class) *load.Tally {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := g.Connect(ctx); err != nil {
		t.Fatal(err)
	}
	begin(t, g)
	w := load.NewTally()
	until(t, "messages or errors", func() bool {
		r, err := g.Report()
		if err != nil {
			t.Fatal(err)
		}
		w.Follow(r)
		return (w.Due > 30 || class == load.Closed) && (w.Errors[class] != nil && w.Open == 0 || class != load.Closed)
	})
	last, err := g.End(ctx)
	if err != nil {
		t.Fatal(err)
	}
	w.Follow(last)
	return w
}
