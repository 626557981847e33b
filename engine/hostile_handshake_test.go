package engine

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// badHandshake is a request, and the status it is answered with.
type badHandshake struct {
	name, head string
	status     int
}

// badHandshakes are the classes of the hostile list, over the socket; each way in which a
// class comes is among the parser's own tests.
func badHandshakes() (all []badHandshake) {
	add := func(name string, status int, head string) { all = append(all, badHandshake{name, head, status}) }
	instead := func(old, by string) string {
		head := requestFor("/echo")
		if strings.Count(head, old) != 1 {
			panic(old)
		}
		return strings.Replace(head, old, by, 1)
	}
	add("POST", 405, instead("GET", "POST"))
	add("no method", 400, "\r\n"+requestFor("/"))
	add("TLS", 400, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
	add("endless method", 501, strings.Repeat("A", 100))
	add("HTTP/1.0", 400, instead("HTTP/1.1", "HTTP/1.0"))
	add("HTTP/2", 505, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
	add("no HTTP version", 400, instead(" HTTP/1.1", ""))
	add("version 8", 426, instead("Version: 13", "Version: 8"))
	add("no version", 426, instead("Sec-WebSocket-Version: 13\r\n", ""))
	add("Host missing", 400, instead("Host: victim.example\r\n", ""))
	add("Host twice", 400, requestFor("/", "Host: evil.example"))
	add("no key", 400, instead("Sec-WebSocket-Key: "+attackerKey+"\r\n", ""))
	add("key of 15 bytes", 400, instead(attackerKey, "AAAAAAAAAAAAAAAAAAAA"))
	add("key of 17 bytes", 400, instead(attackerKey, "AAAAAAAAAAAAAAAAAAAAAAA="))
	add("key that is not base64", 400, instead(attackerKey, "????????????????????????"))
	add("key twice", 400, requestFor("/", "Sec-WebSocket-Key: "+attackerKey))
	add("version twice", 400, requestFor("/", "Sec-WebSocket-Version: 13"))
	add("folded", 400, requestFor("/", "X: a", " b"))
	add("NUL in a value", 400, requestFor("/", "X: a\x00b"))
	add("CR in a value", 400, requestFor("/", "X: a\rb"))
	add("LF in a value", 400, requestFor("/", "X: a\nb"))
	add("request line over the limit", 414, "GET /"+strings.Repeat("a", 9000))
	add("head over 16 KiB", 431, requestFor("/", "Cookie: "+strings.Repeat("a", 17<<10)))
	add("head without an end", 431, "GET / HTTP/1.1\r\nX: "+strings.Repeat("a", 17<<10))
	add("10,000 headers", 431, requestFor("/", slicesRepeat("a:b", 10_000)...))
	add("a megabyte of headers", 431, requestFor("/", slicesRepeat("X-Filler: "+strings.Repeat("x", 90), 10_000)...))
	add("a body", 400, requestFor("/", "Content-Length: 5")+"hello")
	add("a chunked body", 400, requestFor("/", "Transfer-Encoding: chunked")+"0\r\n\r\n")
	add("smuggling", 400, requestFor("/", "Content-Length: 0", "Transfer-Encoding: chunked"))
	add("plain HTTP", 426, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	return all
}

func slicesRepeat(s string, n int) []string {
	return strings.Split(strings.Repeat(s+"\n", n-1)+s, "\n")
}

// TestHandshakes: each is answered with its status, whole or byte by byte, the stream ends,
// and the innocent goes on.
func TestHandshakes(t *testing.T) {
	s := startServer(t, echoHandler, Options{})
	besideInnocent(t, s, func() {
		for _, k := range badHandshakes() {
			t.Run(k.name, func(t *testing.T) {
				a := knock(t, "tcp", s.Addr().String())
				a.try([]byte(k.head))
				r := a.expectStatus(t, k.status)
				if k.status == 426 && (r.Header.Get("Upgrade") != "websocket" || r.Header.Get("Sec-WebSocket-Version") != "13") {
					t.Error(r.Header)
				}
				a.reset()
			})
		}
	})
	within(t, timeoutOf(5), "all are gone", func() bool { return s.conns() <= 1 })
}

// TestHandshakesCutAnywhere: the answer does not depend on how a head comes, and it
// comes with the byte that decides.
func TestHandshakesCutAnywhere(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{})
	for _, k := range append(badHandshakes(), badHandshake{"good", requestFor("/"), 101}) {
		step := max(len(k.head)/200, 1)
		for cut := 0; cut < len(k.head); cut += step {
			r.connect()
			r.feed([]byte(k.head[:cut]))
			r.feed([]byte(k.head[cut:]))
			if want := fmt.Sprintf("HTTP/1.1 %d ", k.status); !strings.HasPrefix(string(r.sys.out), want) || bytes.Count(r.sys.out, []byte("\r\n\r\n")) != 1 {
				t.Fatalf("%s, cut at %d: %q", k.name, cut, r.sys.out)
			}
			r.end()
		}
	}
}

// TestRefusalNobodyTakes: the answer to a bad request cannot be written, or not at once.
// The buffer it is in comes back all the same.
func TestRefusalNobodyTakes(t *testing.T) {
	for name, broken := range map[string]func(*tape){
		"reset":            func(p *tape) { p.refused = syscall.ECONNRESET },
		"full for ever":    func(p *tape) { p.room = 0 },
		"full in between":  func(p *tape) { p.room = 10 },
		"reset in between": func(p *tape) { p.room = 10; p.ended = syscall.ECONNRESET },
	} {
		t.Run(name, func(t *testing.T) {
			r := newTapeRig(t, Funcs{}, Options{})
			r.connect()
			broken(r.sys)
			r.feed([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
			r.pass(lingerTime + time.Second)
			if r.conn() != nil {
				t.Error("the connection is still there")
			}
			r.end()
		})
	}
}

// TestSlowHead: one byte at a time is refused (408) at HandshakeTimeout, counted from accept, and cut off lingerTime later,
// whatever still comes. It costs nothing per byte: no timer, no growing buffer, no second look at what came before.
func TestSlowHead(t *testing.T) {
	r := newTapeRig(t, Funcs{}, Options{HandshakeTimeout: 10 * time.Second})
	head := []byte(requestFor("/", "Cookie: "+strings.Repeat("a", 15<<10)))
	r.connect()
	for i := 0; r.conn() != nil; i++ {
		if answered := len(r.sys.out) > 0; answered != (i > 10) && i != 10 || i == 14 {
			t.Fatalf("after %d seconds: %q", i, r.sys.out)
		}
		r.feed(head[i : i+1])
		r.pass(time.Second)
	}
	if !strings.HasPrefix(string(r.sys.out), "HTTP/1.1 408 ") || !strings.Contains(string(r.sys.out), "\r\nConnection: close\r\n") ||
		r.s.Stats().Refusals["timeout"] != 1 {
		t.Errorf("%q, %+v", r.sys.out, r.s.Stats().Refusals)
	}
	r.end()

	r.connect()
	r.feed(head[:1])
	gets, timer, reads := r.s.Stats().Buffers.Gets, r.sys.timer, make([][]byte, 1)
	at := 1
	allocs := testing.AllocsPerRun(1, func() {
		for range 7000 {
			reads[0] = head[at : at+1]
			r.sys.in = reads
			r.l.OnEvent(tapeFD, netio.Readable)
			at++
		}
	})
	if st := r.s.Stats().Buffers; st.Gets != gets || st.OutBytes > 32<<10 || allocs > 20 || r.sys.timer != timer {
		t.Errorf("7,000 bytes one by one: %v allocations, %+v", allocs, st)
	}
	r.end()
}

// TestSlowHeadsOverTheSocket: 200 of them at once neither stay nor hurt.
func TestSlowHeadsOverTheSocket(t *testing.T) {
	s := startServer(t, echoHandler, Options{HandshakeTimeout: aliveWithin() / 2})
	besideInnocent(t, s, func() {
		var all []*attacker
		for range 200 {
			all = append(all, knock(t, "tcp", s.Addr().String()))
		}
		began := time.Now()
		for i := 0; s.conns() > 1; i++ {
			for _, a := range all {
				a.try([]byte(requestFor("/")[i%100:][:1]))
			}
			time.Sleep(20 * time.Millisecond) // the attackers' pace
			if time.Since(began) > timeoutOf(5) {
				t.Fatal("still there")
			}
		}
		for _, a := range all {
			a.reset()
		}
	})
}

// TestPipelinedFrames: what comes in the same segment as the request is kept, whatever
// part of it, and is heard after OnOpen.
func TestPipelinedFrames(t *testing.T) {
	frames := append(maskedFrame(0x81, []byte("one")), maskedFrame(0x01, []byte("tw"))...)
	frames = append(append(frames, maskedFrame(0x89, []byte("ping"))...), maskedFrame(0x80, []byte("o"))...)
	heard := ""
	r := newTapeRig(t, Funcs{
		Open:    func(*Conn) { heard += "open " },
		Message: func(_ *Conn, m Message) { heard += string(m.Data) + " " },
		Ping:    func(_ *Conn, p []byte) { heard += string(p) + " " },
	}, Options{})
	whole := requestFor("/") + string(frames)
	for cut := range whole {
		heard = ""
		r.connect()
		r.feed([]byte(whole[:cut]), []byte(whole[cut:]))
		if heard != "open one ping two " {
			t.Fatalf("cut at %d: %q", cut, heard)
		}
		r.end()
	}
	s := startServer(t, echoHandler, Options{})
	a := knock(t, "tcp", s.Addr().String())
	a.say(t, whole)
	a.expect101(t)
	for _, want := range []string{"one", "ping", "two"} {
		if f, err := a.hear(); err != nil || string(f.payload) != want {
			t.Errorf("%q, %v, want %q", f.payload, err, want)
		}
	}
}

// TestPlainHTTP is answered 426, or by the fallback, and keeps no connection.
func TestPlainHTTP(t *testing.T) {
	s := startServer(t, echoHandler, Options{})
	r, err := http.Get("http://" + s.Addr().String() + "/")
	if err != nil || r.StatusCode != http.StatusUpgradeRequired || !r.Close {
		t.Error(r, err)
	}
	r.Body.Close()
	f := startServer(t, echoHandler, Options{Fallback: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "fallback of ", r.URL.Path)
	})})
	besideInnocent(t, f, func() {
		for i := range 50 {
			r, err := http.Get(fmt.Sprintf("http://%s/%d", f.Addr(), i))
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r.Body)
			if r.Body.Close(); string(b) != fmt.Sprintf("fallback of /%d", i) || err != nil {
				t.Errorf("%q, %v", b, err)
			}
		}
	})
}

// TestOrigins: same-origin is the default for requests that carry Origin, compared exactly,
// with a list of patterns and a hook that decides instead.
func TestOrigins(t *testing.T) {
	hook := func(u *Upgrade) bool { return u.Origin() == "https://hook.example" }
	for _, k := range []struct {
		name, origin string
		o            Options
		status       int
	}{
		{"none", "", Options{}, 101},
		{"the same", "http://victim.example", Options{}, 101},
		{"the same in other case", "http://VICTIM.example", Options{}, 101},
		{"the same with the default port", "http://victim.example:80", Options{}, 101},
		{"another scheme", "https://victim.example", Options{}, 403},
		{"another port", "http://victim.example:81", Options{}, 403},
		{"another host", "http://evil.example", Options{}, 403},
		{"ours as a prefix", "http://victim.example.evil.example", Options{}, 403},
		{"ours as a suffix", "http://evilvictim.example", Options{}, 403},
		{"ours as a user", "http://victim.example@evil.example", Options{}, 403},
		{"ours with a path", "http://victim.example/", Options{}, 403},
		{"null", "null", Options{}, 403},
		{"garbage", "://", Options{}, 403},
		{"empty", " ", Options{}, 403},
		{"empty, and any", " ", Options{Origins: []string{"*"}}, 101},
		{"empty, and others", " ", Options{Origins: []string{"null", "https://*", "file://"}}, 403},
		{"two in one", "http://victim.example http://evil.example", Options{}, 403},
		{"listed", "https://a.example", Options{Origins: []string{"https://a.example"}}, 101},
		{"listed, another port", "https://a.example:444", Options{Origins: []string{"https://a.example"}}, 403},
		{"listed with any port", "https://a.example:444", Options{Origins: []string{"https://a.example:*"}}, 101},
		{"sub-domain", "https://x.a.example", Options{Origins: []string{"https://*.a.example"}}, 101},
		{"not a sub-domain", "https://xa.example", Options{Origins: []string{"https://*.a.example"}}, 403},
		{"not the domain itself", "https://a.example", Options{Origins: []string{"https://*.a.example"}}, 403},
		{"a dot is a dot", "https://aXexample", Options{Origins: []string{"https://a.example"}}, 403},
		{"the own one besides the list", "http://victim.example", Options{Origins: []string{"https://a.example"}}, 101},
		{"null, listed", "null", Options{Origins: []string{"null"}}, 101},
		{"any", "http://evil.example", Options{Origins: []string{"*"}}, 101},
		{"the hook's", "https://hook.example", Options{CheckOrigin: hook}, 101},
		{"not the hook's", "http://victim.example", Options{CheckOrigin: hook, Origins: []string{"*"}}, 403},
		{"none, for the hook", "", Options{CheckOrigin: hook}, 403},
	} {
		t.Run(k.name, func(t *testing.T) {
			s := startServer(t, echoHandler, k.o)
			a := knock(t, "tcp", s.Addr().String())
			var lines []string
			if k.origin != "" {
				lines = append(lines, "Origin: "+schemeFor(t, k.origin))
			}
			a.say(t, requestFor("/", lines...))
			a.expectStatus(t, k.status)
		})
	}
	if _, err := NewServer(Funcs{}, Options{Origins: []string{"https://a.*.example"}}); err == nil {
		t.Error("a star inside a pattern is accepted")
	}
}

// TestAcceptKey: exactly the one of RFC 6455 1.3.
func TestAcceptKey(t *testing.T) {
	s := startServer(t, echoHandler, Options{})
	a := knock(t, "tcp", s.Addr().String())
	a.say(t, requestFor("/"))
	if r := a.expectStatus(t, 101); r.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Error(r.Header)
	}
}

// TestDecidingLater: early frames are kept and heard after OnOpen; whoever vanishes
// meanwhile leaves nothing.
func TestDecidingLater(t *testing.T) {
	pending := make(chan *Upgrade, 16)
	h, ends := watching(echoHandler)
	h.Upgrade = func(u *Upgrade) {
		if u.Target() != "/echo" {
			u.Later()
			pending <- u
		}
	}
	s := startServer(t, h, Options{HandshakeTimeout: aliveWithin() / 2})
	besideInnocent(t, s, func() {
		ends.reset()
		late := func(path string, then ...string) (*attacker, *Upgrade) {
			a := knock(t, "tcp", s.Addr().String())
			a.say(t, requestFor(path)+strings.Join(then, ""))
			return a, <-pending
		}
		// Half of the early frames come with the request, half while it is decided about.
		a, u := late("/accepted", string(maskedFrame(0x81, []byte("early")))+string(frameHead(0x81, 5)))
		a.say(t, string(masked([]byte("split"))), string(maskedFrame(0x81, make([]byte, 200_000))))
		if err := u.Accept(); err != nil {
			t.Error(err)
		}
		if err := u.Accept(); err != ErrInvalidState {
			t.Error("a second decision:", err)
		}
		a.expect101(t)
		for _, want := range []int{5, 5, 200_000} {
			if f, err := a.hear(); err != nil || len(f.payload) != want {
				t.Errorf("%d bytes, %v", len(f.payload), err)
			}
		}
		a.reset()
		ends.one(t, "/accepted")

		a, u = late("/refused", string(maskedFrame(0x81, []byte("early"))))
		if err := u.Refuse(401, "who are you"); err != nil {
			t.Error(err)
		}
		a.expectStatus(t, 401)
		a.reset()

		for name, decide := range map[string]func(*Upgrade) error{
			"accept": (*Upgrade).Accept, "refuse": func(u *Upgrade) error { return u.Refuse(403, "no") },
		} {
			a, u = late("/vanished-"+name, string(maskedFrame(0x81, []byte("early"))))
			a.reset()
			switch err := decide(u); {
			case err == nil && name == "accept":
				ends.one(t, "/vanished-accept")
			case err != nil && err != ErrClosed: // on a slow machine its going is noticed first
				t.Error(name, err)
			}
		}

		a, u = late("/too-late")
		a.expectStatus(t, 503)
		a.reset()
		within(t, timeoutOf(5), "the late one is known to be gone", func() bool { return u.Accept() == ErrClosed })
		within(t, timeoutOf(5), "all are gone", func() bool { return s.conns() == 1 })
	})
	if _, c := ends.of("/refused"); len(c) != 0 {
		t.Error("OnClose for a refused one")
	}
}

// TestDecidingLaterHoldsLittle: while a decision is pending nothing more is read, so a peer
// that floods waits in the kernel.
func TestDecidingLaterHoldsLittle(t *testing.T) {
	pending := make(chan *Upgrade, 1)
	s := startServer(t, Funcs{Upgrade: func(u *Upgrade) { u.Later(); pending <- u }}, Options{HandshakeTimeout: aliveWithin() / 2})
	a := knock(t, "tcp", s.Addr().String())
	a.say(t, requestFor("/"))
	<-pending
	done := make(chan struct{})
	go func() {
		defer close(done)
		for a.try(make([]byte, 1<<20)) {
		}
	}()
	most := int64(0)
	for s.conns() > 0 {
		most = max(most, s.Stats().Buffers.OutBytes)
		runtime.Gosched()
	}
	<-done
	if most > slabBytes+64<<10 {
		t.Errorf("a pending decision held %d bytes", most)
	}
}
