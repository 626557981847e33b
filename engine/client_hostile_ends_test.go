package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serverEnds are the places where a server goes: what it has said by then (nil: nothing, and it has read no request), and whether the client is OPEN there.
var serverEnds = map[string]struct {
	said   func(*http.Request) string
	secure bool // the client speaks TLS
	open   bool
	status int // of a HandshakeError
	closes bool
}{
	"before the request":      {},
	"in TLS":                  {secure: true},
	"before the answer":       {said: func(*http.Request) string { return "" }},
	"in the answer":           {said: func(r *http.Request) string { return switching(r)[:40] }},
	"in a refusal's body":     {said: func(*http.Request) string { return "HTTP/1.1 404 x\r\nContent-Length: 10\r\n\r\nabc" }, status: 404},
	"open":                    {said: func(r *http.Request) string { return switching(r) }, open: true},
	"in a frame's header":     {said: func(r *http.Request) string { return switching(r) + "\x82" }, open: true},
	"in a frame":              {said: func(r *http.Request) string { return switching(r) + "\x82\x05ab" }, open: true},
	"in a ping":               {said: func(r *http.Request) string { return switching(r) + "\x89\x05ab" }, open: true},
	"in a fragmented message": {said: func(r *http.Request) string { return switching(r) + "\x02\x02ab" }, open: true},
	"after our Close":         {said: func(r *http.Request) string { return switching(r) }, open: true, closes: true},
}

// TestClientServerGoes: a server resets the connection, or ends its half of it, in every state: OnError and OnClose (1006) once each, and nothing is left.
func TestClientServerGoes(t *testing.T) {
	for way := range waysToTransport {
		for _, how := range []string{"reset", "half-close"} {
			t.Run(way+"/"+how, func(t *testing.T) {
				c := hostileClient(t, way, ClientOptions{})
				servers := map[string]string{}
				for where := range serverEnds {
					servers[where] = goesServer(t, where, how)
				}
				besideInnocentOf(t, c, func() {
					for where, k := range serverEnds {
						o := DialOptions{Handler: Funcs{Open: func(c *Conn) {
							if k.closes {
								_ = c.Close()
							}
						}}}
						a := meet(t, c, servers[where], o)
						e := a.ends(t)
						var h *HandshakeError
						var d *DialError
						if e.Code != 1006 || e.WasClean || e.Err == nil || a.messages != 0 {
							t.Errorf("%s: %+v", where, e)
						}
						errors.As(e.Err, &h)
						errors.As(e.Err, &d)
						if !k.open && h == nil && d == nil || h != nil && h.Status != k.status && h.Reason != "connection-lost" || k.secure && (d == nil || d.Op != "tls") {
							t.Errorf("%s: %v", where, e.Err)
						}
					}
					nothingWaits(t, c)
				})
			})
		}
	}
}

// goesServer is a server that goes somewhere.
func goesServer(t *testing.T, where, how string) string {
	t.Helper()
	k := serverEnds[where]
	serve := takes
	if k.secure {
		serve = takesPlain
	}
	at := serve(t, func(nc net.Conn) {
		a := &attacker{nc, bufio.NewReader(nc)}
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		switch {
		case k.secure:
			_, _ = a.r.ReadByte()
		case k.said != nil:
			if req, err := http.ReadRequest(a.r); err == nil {
				_, _ = io.WriteString(nc, k.said(req))
			}
		}
		if k.closes {
			_ = closeCodeFrom(a.r)
		}
		if how == "half-close" {
			_ = endsSpeech(nc)
			_, _ = io.Copy(io.Discard, a.r)
		}
		a.reset()
	})
	if k.secure {
		return "wss://" + at
	}
	return schemeOf(t) + at
}

// neverReads opens, and then neither reads nor says anything: the kernel's buffers are all that it takes.
func neverReads(t *testing.T) string {
	return scripted(t, func(nc net.Conn, _ *bufio.Reader, req *http.Request) {
		_ = under(nc).SetReadBuffer(4 << 10)
		_, _ = io.WriteString(nc, switching(req))
		<-t.Context().Done()
	})
}

// TestClientServerThatNeverReads: what is queued for it stays under MaxBufferedAmount. With DropMessage it is refused and counted, until the stall clock ends the connection (1013); with CloseSlow the
// message that would pass ends it.
func TestClientServerThatNeverReads(t *testing.T) {
	const most, size = 1 << 20, 10_000
	for way := range waysToTransport {
		for _, overflow := range []Overflow{DropMessage, CloseSlow} {
			t.Run(fmt.Sprint(way, "/", overflow), func(t *testing.T) {
				at := neverReads(t)
				c := hostileClient(t, way, ClientOptions{SendBuffer: 32 << 10})
				besideInnocentOf(t, c, func() {
					peak := peakMemory(c, func() {
						opened := make(chan struct{})
						a := meet(t, c, at, DialOptions{
							Limits:  Limits{MaxBufferedAmount: most, Overflow: overflow, WriteStallTimeout: aliveWithin() / 2, CloseTimeout: aliveWithin() / 2},
							Handler: Funcs{Open: func(*Conn) { close(opened) }},
						})
						receive(t, opened, "OnOpen")
						refused, payload := 0, make([]byte, size)
						within(t, timeoutOf(10), "a message is refused", func() bool {
							for range 100 {
								if err := a.SendBinary(payload); err != nil {
									refused++
								} else if n := a.BufferedAmount(); n >= most+size { // of which at most is queued: a message counts whole until its last byte has left
									t.Fatalf("%d bytes wait", n)
								}
							}
							return refused > 0
						})
						e := a.ends(t)
						if e.Code != 1006 || e.WasClean || closeCodeOf(e.Err) != 1013 {
							t.Errorf("%+v", e)
						}
					})
					if peak > 4*most+8<<20 {
						t.Errorf("%d bytes of memory", peak)
					}
					nothingWaits(t, c)
				})
			})
		}
	}
}

// TestClientCloseIgnored: a server that does not answer our Close is cut off at CloseTimeout, whatever it says meanwhile, and none of that is heard.
func TestClientCloseIgnored(t *testing.T) {
	for name, more := range map[string][]byte{
		"silent": nil, "messages": bareFrame(0x82, make([]byte, 500)), "pings": bareFrame(0x89, nil), "half a frame": bareHead(0x82, 1<<30),
	} {
		for way := range waysToTransport {
			t.Run(name+"/"+way, func(t *testing.T) {
				left := make(chan struct{}, 10*attackTries)
				at := scripted(t, func(nc net.Conn, r *bufio.Reader, req *http.Request) {
					_, err := io.WriteString(nc, switching(req))
					closeCodeFrom(r)
					for say := more; err == nil; time.Sleep(time.Millisecond) { // the attacker's pace
						if len(say) == 0 {
							_, err = r.ReadByte()
							continue
						}
						if _, err = nc.Write(say); strings.HasPrefix(name, "half") {
							say = make([]byte, 4096)
						}
					}
					left <- struct{}{}
				})
				c := hostileClient(t, way, ClientOptions{Limits: Limits{CloseTimeout: aliveWithin() / 4, WriteStallTimeout: aliveWithin()}, MaxClosing: aliveWithin()})
				besideInnocentOf(t, c, func() {
					a := meet(t, c, at, DialOptions{Handler: Funcs{
						Open: func(c *Conn) { _ = c.CloseWith(4000, "go") },
						Ping: func(*Conn, []byte) { t.Error("a ping was heard") },
					}})
					if e := a.ends(t); e.Code != 1006 || e.WasClean || a.messages != 0 {
						t.Errorf("%+v after %d messages", e, a.messages)
					}
					receive(t, left, "the server was cut off")
					nothingWaits(t, c)
				})
			})
		}
	}
}
