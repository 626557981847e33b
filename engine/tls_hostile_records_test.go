package engine

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// What a peer can do with the records of TLS once a connection is open: each breaks a rule, ends its own connection, and the peer hears the
// alert that says why.

type illegalRecord struct {
	name  string
	only  string // the version it is for; empty: both
	say   func(f *forger) []byte
	err   string // what OnClose's Err says
	alert string // what the peer hears; empty: none is owed
}

// withoutEnd is left out under the race detector where a goroutine reads and another one writes, over a bridge: crypto/tls sends the alert for it
// from Read without the lock that Write has (conn.go, readHandshake in Go 1.26). On the loops a session has one lock for both.
const withoutEnd = "a handshake message without end"

func illegalRecords() []illegalRecord {
	handshake := func(m ...byte) func(*forger) []byte {
		return func(f *forger) []byte { return f.record(recordHandshake, m) }
	}
	many := func(n int, one func(f *forger) []byte) func(*forger) []byte {
		return func(f *forger) (b []byte) {
			for range n {
				b = append(b, one(f)...)
			}
			return b
		}
	}
	const manyUseless = 17 // crypto/tls bears 16 in a row
	empty := func(f *forger) []byte { return f.record(recordData, nil) }
	return []illegalRecord{
		{"a bad MAC", "", func(f *forger) []byte {
			b := f.record(recordData, maskedFrame(0x81, []byte("never to be heard")))
			b[len(b)-1] ^= 1
			return b
		}, "bad record MAC", "bad record MAC"},
		{"a record sent twice", "", func(f *forger) []byte {
			b := empty(f)
			return append(b, b...)
		}, "bad record MAC", "bad record MAC"},
		{"a record left out", "", func(f *forger) []byte { f.seq++; return empty(f) }, "bad record MAC", "bad record MAC"},
		{"garbage", "", func(*forger) []byte { return bytes.Repeat([]byte{0xff}, 100) }, "tls: ", ""},
		{"a record in plaintext", "", func(*forger) []byte { return append(recordHead(recordData, 5), "hello"...) }, "tls: ", ""},
		{"a plaintext alert", "", func(*forger) []byte { return append(recordHead(recordAlert, 2), 2, 40) }, "tls: ", ""},
		{"another version", "", func(f *forger) []byte { b := empty(f); b[2] = 1; return b }, "version", "protocol version not supported"},
		{"a record of 2^14+257 bytes", "1.3", func(*forger) []byte { return append(recordHead(recordData, 1<<14+257), make([]byte, 1<<14+257)...) }, "oversized record", "record overflow"},
		{"a record of 2^14+2049 bytes", "1.2", func(*forger) []byte { return append(recordHead(recordData, 1<<14+2049), make([]byte, 1<<14+2049)...) }, "oversized record", "record overflow"},
		{"the head of an oversized record", "", func(*forger) []byte { return recordHead(recordData, 65535) }, "oversized record", "record overflow"},
		{"2^14+1 bytes of plaintext", "", func(f *forger) []byte { return f.record(recordData, make([]byte, 1<<14+1)) }, "record overflow", "record overflow"},
		{"an unknown type", "", func(f *forger) []byte { return f.record(99, []byte("x")) }, "unexpected message", "unexpected message"},
		{"a record without a type", "1.3", func(f *forger) []byte { return f.record(0, make([]byte, 50)) }, "unexpected message", "unexpected message"},
		{"an empty handshake record", "", func(f *forger) []byte {
			return many(manyUseless, func(f *forger) []byte { return f.record(recordHandshake, nil) })(f)
		}, "tls: ", ""},
		{"an alert of one byte", "", func(f *forger) []byte { return f.record(recordAlert, []byte{1}) }, "unexpected message", "unexpected message"},
		{"a fatal alert", "", func(f *forger) []byte { return f.alert(2, 40) }, "handshake failure", ""},
		{"an unknown alert", "", func(f *forger) []byte { return f.alert(2, 255) }, "alert(255)", ""},
		{"a flood of warnings", "", many(manyUseless, func(f *forger) []byte { return f.alert(1, alertUserCanceled) }), "too many ignored records", "unexpected message"},
		{"a flood of empty records", "", many(manyUseless, empty), "too many ignored records", "unexpected message"},
		{"a ChangeCipherSpec", "1.2", func(f *forger) []byte { return f.record(recordChangeCipherSpec, []byte{1}) }, "unexpected message", "unexpected message"},
		{"a ChangeCipherSpec of two bytes", "1.3", func(*forger) []byte { return append(recordHead(recordChangeCipherSpec, 2), 1, 1) }, "tls: ", "error decoding message"},
		{"a flood of ChangeCipherSpec", "1.3", many(manyUseless, func(*forger) []byte { return append(recordHead(recordChangeCipherSpec, 1), 1) }), "too many ignored records", "unexpected message"},
		{"a flood of KeyUpdates", "1.3", many(manyUseless, func(f *forger) []byte { return f.keyUpdate(false) }), "too many non-advancing records", "unexpected message"},
		{"a flood of KeyUpdates that ask for one", "1.3", many(manyUseless, func(f *forger) []byte { return f.keyUpdate(true) }), "too many non-advancing records", "unexpected message"},
		{"a KeyUpdate that asks for what is not", "1.3", handshake(24, 0, 0, 1, 7), "tls: ", ""},
		{"a KeyUpdate of no byte", "1.3", handshake(24, 0, 0, 0), "tls: ", ""},
		{"a ClientHello", "", handshake(append([]byte{1, 0, 0, 41, 3, 3}, make([]byte, 39)...)...), "tls: ", ""},
		{"a ServerHello", "", handshake(append([]byte{2, 0, 0, 38, 3, 3}, make([]byte, 36)...)...), "tls: ", ""},
		{"a Finished", "", handshake(append([]byte{20, 0, 0, 32}, make([]byte, 32)...)...), "tls: ", ""},
		{"a HelloRequest", "1.2", handshake(0, 0, 0, 0), "no renegotiation", ""}, // a warning, which crypto/tls does not tell of
		{"an unknown handshake message", "", handshake(200, 0, 0, 0), "tls: ", ""},
		{withoutEnd, "", handshake(24, 0xff, 0xff, 0xff), "tls: ", ""},
		{"data inside a handshake message", "1.3", func(f *forger) []byte {
			return append(f.record(recordHandshake, []byte{24, 0, 0}), f.data([]byte("x"), 1)...)
		}, "unexpected message", "unexpected message"},
	}
}

func TestTLSIllegalRecords(t *testing.T) {
	for version, number := range tlsVersions {
		config := guestTLS()
		config.MinVersion, config.MaxVersion = number, number
		t.Run("tls/"+version, func(t *testing.T) {
			h, ends := watching(echoHandler)
			s := startServerTLS(t, h, Options{Loops: 1, Logger: quietLogger})
			n := 0
			besideInnocent(t, s, func() {
				for _, k := range illegalRecords() {
					if k.only != "" && k.only != version {
						continue
					}
					n++
					path := fmt.Sprintf("/%d", n)
					f := forgeClient(t, s, config)
					a := attackOver(t, f, path)
					if err := f.raw(k.say(f)); err != nil {
						t.Errorf("%s: %v", k.name, err)
					}
					k.heard(t, a)
					k.closed(t, ends.one(t, path))
				}
			})
			within(t, timeoutOf(5), "nobody is left", func() bool { return s.conns() == 0 })
		})
	}
}

// heard checks what the peer heard of the end.
func (k illegalRecord) heard(t *testing.T, a *attacker) {
	t.Helper()
	_, err := io.Copy(io.Discard, a.r)
	if errors.Is(err, net.ErrClosed) || isTimeout(err) || k.alert != "" && !strings.Contains(fmt.Sprint(err), "remote error: tls: "+k.alert) {
		t.Errorf("%s: the peer heard %v", k.name, err)
	}
}

// closed checks what the handler heard of it.
func (k illegalRecord) closed(t *testing.T, e CloseEvent) {
	t.Helper()
	if e.Code != 1006 || e.WasClean || !errors.Is(e.Err, ErrAbnormal) || !strings.Contains(fmt.Sprint(e.Err), k.err) {
		t.Errorf("%s: %+v", k.name, e)
	}
}

// TestTLSClientIllegalRecords is the same from a server.
func TestTLSClientIllegalRecords(t *testing.T) {
	for way := range waysToTransport {
		for version, number := range tlsVersions {
			config := houseTLS()
			config.MinVersion, config.MaxVersion = number, number
			t.Run(way+"/tls/"+version, func(t *testing.T) {
				var what atomic.Pointer[illegalRecord]
				heard := make(chan struct{}, 1)
				at := "wss://" + rogue(t, config, func(f *forger, a *attacker, _ *http.Request) {
					k := what.Load()
					if err := f.raw(k.say(f)); err != nil {
						t.Errorf("%s: %v", k.name, err)
					}
					k.heard(t, a)
					heard <- struct{}{}
				})
				c := hostileClient(t, way, ClientOptions{})
				besideInnocentOf(t, c, func() {
					for _, k := range illegalRecords() {
						if k.only != "" && k.only != version || raceEnabled && way == "bridge" && k.name == withoutEnd {
							continue
						}
						what.Store(&k)
						a := meet(t, c, at, DialOptions{TLSConfig: guestTLS()})
						k.closed(t, a.ends(t))
						receive(t, heard, "what the server heard")
					}
					nothingWaits(t, c)
				})
			})
		}
	}
}

// rogue is a server that makes the handshakes and then does what script says. Its address has no scheme.
func rogue(t *testing.T, config *tls.Config, script func(f *forger, a *attacker, req *http.Request)) string {
	t.Helper()
	return takesPlain(t, func(nc net.Conn) {
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		f, err := forgeServer(nc, config)
		if err != nil {
			t.Error("the rogue's handshake:", err)
			return
		}
		a := &attacker{f, newReader(f)}
		req, err := http.ReadRequest(a.r)
		if err != nil {
			t.Error("the rogue's request:", err)
			return
		}
		if _, err := io.WriteString(f, switching(req)); err == nil {
			script(f, a, req)
		}
	})
}
