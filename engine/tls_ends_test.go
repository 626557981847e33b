package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
)

// How a TLS connection ends. close_notify is what FIN is on a plain socket; a FIN without it is a truncation, from which nobody can tell
// whether somebody else cut the stream (RFC 8446, 6.1).

// saidBefore are what a peer has said before it ends. A server's frames are not masked.
var saidBefore = map[string]struct {
	client, server string
	closes         bool
}{
	"idle":             {},
	"in a header":      {"\x82\xfe", "\x82\x7e", false},
	"in a frame":       {string(frameHead(0x82, 1000)) + "some", string(bareHead(0x82, 1000)) + "some", false},
	"in a message":     {string(maskedFrame(0x01, []byte("begun"))), string(bareFrame(0x01, []byte("begun"))), false},
	"behind its Close": {string(maskedFrame(0x88, []byte{3, 232})), string(bareFrame(0x88, []byte{3, 232})), true},
}

// tlsEnds are the ways to end, once said.
var tlsEnds = map[string]struct {
	end func(f *forger) error
	cut bool // the stream is truncated
}{
	"close_notify":         {func(f *forger) error { return f.raw(f.alert(1, alertCloseNotify)) }, false},
	"close_notify and FIN": {func(f *forger) error { _ = f.raw(f.alert(1, alertCloseNotify)); return under(f).CloseWrite() }, false},
	"a fatal close_notify": {func(f *forger) error { return f.raw(f.alert(2, alertCloseNotify)) }, false},
	"data behind close_notify": {func(f *forger) error {
		b := f.alert(1, alertCloseNotify)
		return f.raw(append(append(b, f.data(maskedFrame(0x81, []byte("too late")), 100)...), f.data(bareFrame(0x81, []byte("too late")), 100)...))
	}, false},
	"close_notify twice": {func(f *forger) error {
		return f.raw(append(f.alert(1, alertCloseNotify), f.alert(1, alertCloseNotify)...))
	}, false},
	"FIN":                    {func(f *forger) error { return under(f).CloseWrite() }, true},
	"FIN in a record":        {func(f *forger) error { return cutRecord(f, 30) }, true},
	"FIN in a record's head": {func(f *forger) error { return cutRecord(f, 3) }, true},
	"FIN in a close_notify":  {func(f *forger) error { _ = f.raw(f.alert(1, alertCloseNotify)[:10]); return under(f).CloseWrite() }, true},
}

// cutRecord sends so many bytes of a record of a Close frame, and FIN.
func cutRecord(f *forger, n int) error {
	if err := f.raw(f.record(recordData, append(maskedFrame(0x88, []byte{3, 232}), make([]byte, 100)...))[:n]); err != nil {
		return err
	}
	return under(f).CloseWrite()
}

// endedBy checks what OnClose says of such an end.
func endedBy(t *testing.T, name string, closes, cut bool, st Stats, e CloseEvent) {
	t.Helper()
	if st.TLS.Handshakes == 0 && errors.Is(e.Err, io.ErrUnexpectedEOF) != cut { // on a bridge: crypto/tls by itself takes a FIN between two records for close_notify
		cut = !cut
	}
	switch {
	case closes && (e.Code != 1000 || !e.WasClean || e.Err != nil):
	case !closes && (e.Code != 1006 || e.WasClean || !errors.Is(e.Err, ErrAbnormal)):
	case !closes && cut != errors.Is(e.Err, io.ErrUnexpectedEOF):
	default:
		return
	}
	t.Errorf("%s: %+v", name, e)
}

func TestTLSEnds(t *testing.T) {
	for version, number := range tlsVersions {
		t.Run("tls/"+version, func(t *testing.T) {
			heard := Funcs{Message: func(_ *Conn, m Message) { t.Errorf("heard %q", m.Data) }}
			h, ends := watching(heard)
			s := startServerTLS(t, h, Options{Loops: 1})
			config := guestTLS()
			config.MinVersion, config.MaxVersion = number, number
			n := 0
			for state, word := range saidBefore {
				for how, k := range tlsEnds {
					n++
					path, name := fmt.Sprintf("/%d", n), state+", "+how
					f := forgeClient(t, s, config)
					a := attackOver(t, f, path)
					a.say(t, word.client)
					if word.closes {
						if got, err := a.hear(); err != nil || got.op != 8 {
							t.Errorf("%s: heard %+v, %v", name, got, err)
						}
					}
					if err := k.end(f); err != nil && !word.closes {
						t.Errorf("%s: %v", name, err)
					}
					endedBy(t, name, word.closes, k.cut, s.Stats(), ends.one(t, path))
					if _, err := io.Copy(io.Discard, a.r); isTimeout(err) {
						t.Errorf("%s: the server's end never came: %v", name, err)
					}
				}
			}
			within(t, timeoutOf(5), "nobody is left", func() bool { return s.conns() == 0 })
		})
	}
}

func TestTLSClientEnds(t *testing.T) {
	for way := range waysToTransport {
		for version, number := range tlsVersions {
			t.Run(way+"/tls/"+version, func(t *testing.T) {
				config := houseTLS()
				config.MinVersion, config.MaxVersion = number, number
				var now atomic.Pointer[[2]string]
				done := make(chan struct{}, 1)
				at := "wss://" + rogue(t, config, func(f *forger, a *attacker, _ *http.Request) {
					k := *now.Load()
					a.say(t, saidBefore[k[0]].server)
					if err := tlsEnds[k[1]].end(f); err != nil && !saidBefore[k[0]].closes { // a client that has answered a Close may go
						t.Errorf("%v: %v", k, err)
					}
					if _, err := io.Copy(io.Discard, a.r); isTimeout(err) {
						t.Errorf("%v: the client's end never came: %v", k, err)
					}
					done <- struct{}{}
				})
				c := hostileClient(t, way, ClientOptions{})
				for state, word := range saidBefore {
					for how, k := range tlsEnds {
						now.Store(&[2]string{state, how})
						a := meet(t, c, at, DialOptions{TLSConfig: guestTLS()})
						endedBy(t, state+", "+how, word.closes, k.cut, c.Stats(), a.ends(t))
						receive(t, done, "the end of the server's stream")
						if a.messages != 0 {
							t.Errorf("%s, %s: heard %d messages", state, how, a.messages)
						}
					}
				}
				nothingWaits(t, c)
			})
		}
	}
}

// TestTLSOurCloseNotify: whatever ends in order says close_notify behind its last byte, and only what is terminated does not.
func TestTLSOurCloseNotify(t *testing.T) {
	say := func(b ...byte) func(*attacker) { return func(a *attacker) { a.try(b) } }
	for name, k := range map[string]struct {
		request string
		then    func(a *attacker) // once the server has answered 101
		answer  bool              // the peer answers a Close
		cut     bool
	}{
		"the peer closes":           {request: requestFor("/"), then: say(maskedFrame(0x88, []byte{3, 232})...)},
		"the peer breaks a rule":    {request: requestFor("/"), then: say(0xff, 0x80, 0, 0, 0, 0)},
		"we close":                  {request: requestFor("/"), then: say(maskedFrame(0x81, []byte("close"))...), answer: true},
		"we close behind a message": {request: requestFor("/"), then: say(maskedFrame(0x81, []byte("flood and close"))...), answer: true},
		"we terminate":              {request: requestFor("/"), then: say(maskedFrame(0x81, []byte("terminate"))...), cut: true},
		"a refusal":                 {request: requestFor("/refused")},
		"a bad request":             {request: "hello\r\n\r\n"},
		"no request of ours":        {request: "GET / HTTP/1.1\r\nHost: h\r\n\r\n"},
	} {
		for version, number := range tlsVersions {
			t.Run(name+"/tls/"+version, func(t *testing.T) {
				base := deathbedHandler()
				h := base
				h.Upgrade = func(u *Upgrade) {
					if u.Target() == "/refused" {
						_ = u.Refuse(403, strings.Repeat("no ", 10_000))
					}
				}
				h.Message = func(c *Conn, m Message) {
					if string(m.Data) == "terminate" {
						c.Terminate()
						return
					}
					base.Message(c, m)
				}
				s := startServerTLS(t, h, Options{Loops: 1, Limits: Limits{MaxBufferedAmount: -1}})
				config := guestTLS()
				config.MinVersion, config.MaxVersion = number, number
				a := &attacker{Conn: dialTLS(t, s, config)}
				a.r = newReader(a.Conn)
				a.say(t, k.request)
				if k.then != nil {
					a.expect101(t)
					k.then(a)
				}
				for k.answer {
					f, err := a.hear()
					if err != nil {
						t.Fatal(err)
					}
					if f.op == 8 {
						a.try(maskedFrame(0x88, f.payload))
						break
					}
				}
				if _, err := io.Copy(io.Discard, a.r); k.cut == (err == nil) {
					t.Errorf("the end of the stream: %v", err)
				}
			})
		}
	}
}

// TestTLSClientsCloseNotify: so does a client.
func TestTLSClientsCloseNotify(t *testing.T) {
	for way := range waysToTransport {
		for name, serverCloses := range map[string]bool{"we close": false, "the server closes": true} {
			t.Run(way+"/"+name, func(t *testing.T) {
				end := make(chan error, 1)
				at := "wss://" + rogue(t, houseTLS(), func(f *forger, a *attacker, _ *http.Request) {
					if serverCloses {
						a.say(t, string(bareFrame(0x88, []byte{3, 232})))
					}
					if code := closeCodeFrom(a.r); code != 1000 {
						t.Error("Close", code)
					}
					if !serverCloses {
						a.say(t, string(bareFrame(0x88, []byte{3, 232})))
					}
					_ = tlsEnds["close_notify and FIN"].end(f)
					_, err := io.Copy(io.Discard, a.r)
					end <- err
				})
				c := hostileClient(t, way, ClientOptions{})
				a := meet(t, c, at, DialOptions{TLSConfig: guestTLS(), Handler: Funcs{Open: func(c *Conn) {
					if !serverCloses {
						_ = c.Close()
					}
				}}})
				if e := a.ends(t); !e.WasClean || e.Code != 1000 {
					t.Errorf("%+v", e)
				}
				if err := receive(t, end, "the end of the client's stream"); err != nil {
					t.Error("the end of the client's stream:", err)
				}
			})
		}
	}
}
