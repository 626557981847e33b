package engine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// parlour is a fallback that says what it was asked.
func parlour(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("X-Secure", fmt.Sprint(r.TLS != nil))
	w.Header().Set("X-Remote", r.RemoteAddr)
	fmt.Fprintf(w, "%s %s %x", r.Method, r.URL.Path, sha256.Sum256(body))
}

// answer is what parlour says to a request.
func answer(method, path string, body []byte) string {
	return fmt.Sprintf("%s %s %x", method, path, sha256.Sum256(body))
}

// expectAnswer reads one answer of parlour's, after which the connection stays open.
func (a *attacker) expectAnswer(t testing.TB, method, path string, body []byte) http.Header {
	t.Helper()
	r, err := http.ReadResponse(a.r, &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(r.Body)
	if err != nil || r.StatusCode != 200 || string(got) != answer(method, path, body) {
		t.Fatalf("%s %s: %s %q %v", method, path, r.Status, got, err)
	}
	return r.Header
}

// TestFallback: requests of all kinds on one connection, and then a WebSocket on it.
func TestFallback(t *testing.T) {
	for _, d := range doors {
		t.Run(d.name, func(t *testing.T) {
			conns := make(chan *Conn, 1)
			h := echoHandler
			h.Open = func(c *Conn) { conns <- c }
			h.Upgrade = func(u *Upgrade) {
				if (u.TLS() != nil) != d.secure {
					t.Error("TLS state over", d.name)
				}
			}
			w := d.build(t, h, Options{Loops: 2, Fallback: http.HandlerFunc(parlour), Logger: quietLogger})
			a := attackerOn(w.call(t))
			a.say(t, "GET /plain HTTP/1.1\r\nHost: x\r\n\r\n")
			header := a.expectAnswer(t, "GET", "/plain", nil)
			if got := header.Get("X-Secure"); got != fmt.Sprint(d.secure) {
				t.Error("Request.TLS is there:", got)
			}
			if got := header.Get("X-Remote"); d.name != "unix" && d.name != "loopless unix" && got != a.LocalAddr().String() {
				t.Errorf("Request.RemoteAddr is %q, want %v", got, a.LocalAddr())
			}
			if st := w.Stats(); st.Bridged != 0 || st.Connecting != 0 || st.Accepted != 1 {
				t.Errorf("while net/http has the connection: %+v", st)
			}
			a.say(t, "POST /split HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12", "345", "67890")
			a.expectAnswer(t, "POST", "/split", []byte("1234567890"))
			big := bytes.Repeat([]byte("0123456789abcdef"), 1<<17)
			go a.try(append(fmt.Appendf(nil, "PUT /big HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", len(big)), big...))
			a.expectAnswer(t, "PUT", "/big", big)
			go a.try([]byte("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\n\r\n"))
			a.expectAnswer(t, "GET", "/1", nil)
			a.expectAnswer(t, "POST", "/2", []byte("abc"))
			a.expectAnswer(t, "GET", "/3", nil)
			a.say(t, requestFor("/room"))
			a.expect101(t)
			g := &guest{a.Conn, a.r}
			g.say(t, ws.OpText, []byte("hello"))
			g.hear(t, ws.OpText, []byte("hello"))
			c := <-conns
			if got, want := c.URL(), map[bool]string{false: "ws", true: "wss"}[d.secure]+"://victim.example/room"; got != want {
				t.Error(got, "want", want)
			}
			if got := w.Stats().Bridged == 1; got != d.bridged {
				t.Error("bridged after its return:", got)
			}
			g.sayClose(t, 1000, "")
			g.hearClose(t, 1000, "")
		})
	}
}

// TestFallbackAllInOneWrite: net/http's buffer ends in the middle of what follows the
// request that it lets go.
func TestFallbackAllInOneWrite(t *testing.T) {
	for _, name := range []string{"tcp", "unix", "tls", "bridged tls", "bridged pipe", "loopless tcp"} {
		t.Run(name, func(t *testing.T) {
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 1, Fallback: http.HandlerFunc(parlour)})
			for _, size := range []int{10, 3000, 4096, 9000, 40_000} {
				a := attackerOn(w.call(t))
				p := bytes.Repeat([]byte("x"), size)
				go a.try(slices.Concat([]byte("GET /a HTTP/1.1\r\nHost: x\r\n\r\n"), []byte(requestFor("/")),
					saidFrame(ws.OpBinary, true, p), saidFrame(ws.OpText, true, []byte("last"))))
				a.expectAnswer(t, "GET", "/a", nil)
				a.expect101(t)
				g := &guest{a.Conn, a.r}
				g.hear(t, ws.OpBinary, p)
				g.hear(t, ws.OpText, []byte("last"))
				g.sayClose(t, 1000, "")
				g.hearClose(t, 1000, "")
			}
		})
	}
}

// TestFallbackHeadByteByByte: what a loop has parsed in pieces is handed over whole.
func TestFallbackHeadByteByByte(t *testing.T) {
	for _, name := range []string{"tcp", "bridged pipe"} {
		w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 1, Fallback: http.HandlerFunc(parlour)})
		a := attackerOn(w.call(t))
		for _, b := range []byte("POST /slow HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nslow") {
			a.say(t, string(b))
		}
		a.expectAnswer(t, "POST", "/slow", []byte("slow"))
	}
}

func TestFallbackRefusesBadHandshakes(t *testing.T) {
	h := echoHandler
	h.Upgrade = func(u *Upgrade) { _ = u.Refuse(401, "not you") }
	w := doorNamed(t, "tcp").build(t, h, Options{Loops: 1, Fallback: http.HandlerFunc(parlour), Logger: quietLogger})
	a := attackerOn(w.call(t))
	a.say(t, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
	a.expectAnswer(t, "GET", "/a", nil)
	// What is refused ends the connection, as it does on a loop, and with it its place under the limits.
	a.say(t, strings.Replace(requestFor("/"), "Version: 13", "Version: 8", 1))
	a.expectStatus(t, 426)
	a = attackerOn(w.call(t))
	a.say(t, "GET /b HTTP/1.1\r\nHost: x\r\n\r\n")
	a.expectAnswer(t, "GET", "/b", nil)
	a.say(t, requestFor("/"))
	a.expectStatus(t, 401)
	within(t, timeoutOf(5), "their places are free", func() bool { return w.conns() == 0 })
}

// occupied is a fallback whose requests last until they are let go or cut off.
type occupied struct {
	came, cut chan struct{}
	let       chan struct{}
}

func newOccupied() *occupied {
	return &occupied{make(chan struct{}, 8), make(chan struct{}, 8), make(chan struct{})}
}

func (o *occupied) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/quick" {
		parlour(w, r)
		return
	}
	o.came <- struct{}{}
	select {
	case <-o.let:
		parlour(w, r)
	case <-r.Context().Done():
		o.cut <- struct{}{}
	}
}

func TestCloseEndsFallbackConnections(t *testing.T) {
	for _, name := range []string{"tcp", "unix", "tls", "tls unix", "bridged tls", "loopless tcp"} {
		t.Run(name, func(t *testing.T) {
			o := newOccupied()
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 1, Fallback: o, Logger: quietLogger})
			idle, busy := attackerOn(w.call(t)), attackerOn(w.call(t))
			idle.say(t, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
			idle.expectAnswer(t, "GET", "/quick", nil)
			busy.say(t, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
			<-o.came
			if err := w.Close(); err != nil {
				t.Error(err)
			}
			select {
			case <-o.cut:
			case <-time.After(timeoutOf(5)):
				t.Error("the request under way was not told")
			}
			for _, a := range []*attacker{idle, busy} {
				if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
					t.Error("a connection of the fallback outlived Close:", n, err)
				}
			}
		})
	}
}

// TestCloseWhileHandingOver: no connection is lost between the loop and net/http.
func TestCloseWhileHandingOver(t *testing.T) {
	descriptorsLeft(t)
	for i := range 30 {
		d := doors[i%len(doors)]
		w := d.build(t, echoHandler, Options{Loops: 2, Fallback: http.HandlerFunc(parlour), Logger: quietLogger})
		var all []*attacker
		for range 8 {
			all = append(all, attackerOn(w.call(t)))
		}
		wrote := make(chan struct{}, len(all))
		for _, a := range all {
			go func() { a.try([]byte("GET /a HTTP/1.1\r\nHost: x\r\n\r\n")); wrote <- struct{}{} }()
		}
		for range i % len(all) {
			<-wrote
		}
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		for _, a := range all {
			if _, err := io.Copy(io.Discard, a.r); isTimeout(err) {
				t.Fatal("a connection outlived Close:", err)
			}
		}
	}
}

func TestShutdownLetsTheFallbackFinish(t *testing.T) {
	for _, name := range []string{"tcp", "tls", "bridged tls"} {
		t.Run(name, func(t *testing.T) {
			o := newOccupied()
			w := doorNamed(t, name).build(t, echoHandler, Options{Loops: 1, Fallback: o})
			idle, busy := attackerOn(w.call(t)), attackerOn(w.call(t))
			idle.say(t, "GET /quick HTTP/1.1\r\nHost: x\r\n\r\n")
			idle.expectAnswer(t, "GET", "/quick", nil)
			busy.say(t, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
			<-o.came
			done := make(chan error, 1)
			go func() { done <- w.Shutdown(context.Background()) }()
			if n, err := idle.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
				t.Error("the idle connection goes on:", n, err)
			}
			select {
			case err := <-done:
				t.Error("Shutdown did not wait for a request:", err)
			default:
			}
			close(o.let)
			busy.expectAnswer(t, "GET", "/long", nil)
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}

func TestShutdownOfAFallbackRunsOutOfTime(t *testing.T) {
	o := newOccupied()
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Fallback: o})
	busy := attackerOn(w.call(t))
	busy.say(t, "GET /long HTTP/1.1\r\nHost: x\r\n\r\n")
	<-o.came
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := w.Shutdown(ctx); err != context.Canceled {
		t.Error(err)
	}
	<-o.cut
}

// TestFallbackCountsAgainstTheLimits: a connection that net/http has is one.
func TestFallbackCountsAgainstTheLimits(t *testing.T) {
	for _, c := range []struct {
		o      Options
		reason string
	}{{Options{MaxConns: 1}, "max-conns"}, {Options{MaxConnsPerAddress: 1}, "max-conns-per-address"}} {
		for _, name := range []string{"tcp", "tls", "bridged tcp", "loopless tls"} {
			t.Run(c.reason+" "+name, func(t *testing.T) {
				o := c.o
				o.Loops, o.Fallback, o.Logger = 1, http.HandlerFunc(parlour), quietLogger
				w := doorNamed(t, name).build(t, echoHandler, o)
				first := attackerOn(w.call(t))
				first.say(t, "GET /a HTTP/1.1\r\nHost: x\r\n\r\n")
				first.expectAnswer(t, "GET", "/a", nil)
				second := attackerOn(w.call(t))
				second.try([]byte("GET /b HTTP/1.1\r\nHost: x\r\n\r\n"))
				second.expectStatus(t, 503)
				if got := w.Stats().Refusals[c.reason]; got != 1 {
					t.Errorf("%s is counted %d times", c.reason, got)
				}
				// The one that is in may become a WebSocket.
				first.say(t, requestFor("/"))
				first.expect101(t)
				_ = first.Close()
				within(t, timeoutOf(5), "there is room again", func() bool {
					nc, err := w.knock()
					if err != nil {
						return false
					}
					defer nc.Close()
					_ = nc.SetDeadline(time.Now().Add(timeoutOf(1)))
					if _, err := io.WriteString(nc, "GET /c HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
						return false
					}
					b, _ := io.ReadAll(nc)
					return bytes.Contains(b, []byte(answer("GET", "/c", nil)))
				})
			})
		}
	}
}

func TestFallbackThatPanics(t *testing.T) {
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Logger: quietLogger, Fallback: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/panic" {
			panic("as planned")
		}
		parlour(w, r)
	})})
	a := attackerOn(w.call(t))
	a.say(t, "GET /panic HTTP/1.1\r\nHost: x\r\n\r\n")
	if n, err := a.r.Read(make([]byte, 1)); n != 0 || isTimeout(err) {
		t.Error(n, err)
	}
	g := w.visit(t)
	g.say(t, ws.OpText, []byte("hello"))
	g.hear(t, ws.OpText, []byte("hello"))
}

// TestFallbackThatHijacks: the connection is the handler's then, and nobody waits for it.
func TestFallbackThatHijacks(t *testing.T) {
	taken := make(chan net.Conn, 1)
	w := doorNamed(t, "tcp").build(t, echoHandler, Options{Loops: 1, Fallback: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		nc, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		taken <- nc
	})})
	a := attackerOn(w.call(t))
	a.say(t, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	nc := <-taken
	defer nc.Close()
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if _, err := nc.Write([]byte("mine")); err != nil {
		t.Error(err)
	}
	b := make([]byte, 4)
	if _, err := io.ReadFull(a.r, b); err != nil || string(b) != "mine" {
		t.Errorf("%q, %v", b, err)
	}
}
