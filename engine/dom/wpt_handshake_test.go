package dom

import (
	"errors"
	"strings"
	"testing"
	"time"
)

// handshakeCase is a server's answer, and whether the connection opens.
type handshakeCase struct {
	rule, name string
	protocols  []string
	answer     func(p *peer)
	protocol   string // if it opens
	opens      bool
}

// edited answers what a good answer becomes by a replacement.
func edited(from, to string) func(p *peer) {
	return func(p *peer) { p.write(strings.Replace(p.switching(), from, to, 1)) }
}

func answering(lines ...string) func(p *peer) { return func(p *peer) { p.accept(lines...) } }

func status(line string) func(p *peer) {
	return func(p *peer) { p.write("HTTP/1.1 " + line + "\r\nContent-Length: 0\r\n\r\n") }
}

const chosen = "Sec-WebSocket-Protocol: "

var handshakeCases = []handshakeCase{
	{"WS established 1", "a good answer", nil, answering(), "", true},
	{"WS established 3: protocol", "a protocol of those offered", []string{"a", "b"}, answering(chosen + "b"), "b", true},
	{"RFC 9110 5.1: field names have no case", "field names", []string{"a"}, answering("sec-websocket-PROTOCOL:a"), "a", true},
	{"RFC 6455 4.1 client 2: Upgrade has no case", "Upgrade: WebSocket", nil, edited("websocket", "WebSocket"), "", true},
	{"RFC 6455 4.1 client 3: Connection is a list", "Connection: keep-alive, upgrade", nil, edited("Connection: Upgrade", "Connection: keep-alive, upgrade"), "", true},
	{"RFC 6455 4.1 client 1: another status", "200", nil, status("200 OK"), "", false},
	{"RFC 6455 4.1 client 1: another status", "204", nil, status("204 No Content"), "", false},
	{"WS establish: redirects are not followed", "301", nil, status("301 Moved Permanently\r\nLocation: /x"), "", false},
	{"WS establish: redirects are not followed", "302", nil, status("302 Found\r\nLocation: ws://example.com/"), "", false},
	{"WS establish: redirects are not followed", "307", nil, status("307 Temporary Redirect\r\nLocation: /x"), "", false},
	{"WS establish: credentials are not asked for", "401", nil, status("401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"a\""), "", false},
	{"RFC 6455 4.1 client 1: another status", "403", nil, status("403 Forbidden"), "", false},
	{"RFC 6455 4.1 client 1: another status", "404", nil, status("404 Not Found"), "", false},
	{"RFC 6455 4.1 client 1: another status", "426", nil, status("426 Upgrade Required"), "", false},
	{"RFC 6455 4.1 client 1: another status", "500", nil, status("500 Internal Server Error"), "", false},
	{"RFC 6455 4.1 client 1: another status", "503", nil, status("503 Service Unavailable"), "", false},
	{"RFC 9112 4: what is no HTTP", "no HTTP", nil, func(p *peer) { p.write("SSH-2.0-OpenSSH_9\r\n\r\n") }, "", false},
	{"RFC 6455 4.1 client 2: no Upgrade", "no Upgrade", nil, edited("Upgrade: websocket\r\n", ""), "", false},
	{"RFC 6455 4.1 client 2: another Upgrade", "Upgrade: h2c", nil, edited("websocket", "h2c"), "", false},
	{"RFC 6455 4.1 client 3: no Connection", "no Connection", nil, edited("Connection: Upgrade\r\n", ""), "", false},
	{"RFC 6455 4.1 client 3: another Connection", "Connection: close", nil, edited("Connection: Upgrade", "Connection: close"), "", false},
	{"RFC 6455 4.1 client 4: no Accept", "no Accept", nil, edited("Sec-WebSocket-Accept", "X"), "", false},
	{"RFC 6455 4.1 client 4: a wrong Accept", "a wrong Accept", nil, edited("Accept: ", "Accept: x"), "", false},
	{"RFC 6455 4.1 client 6: not offered", "a protocol though none was offered", nil, answering(chosen + "a"), "", false},
	{"RFC 6455 4.1 client 6: not offered", "another protocol", []string{"a"}, answering(chosen + "b"), "", false},
	{"RFC 6455 4.1 client 6: the case counts", "a protocol in another case", []string{"a"}, answering(chosen + "A"), "", false},
	{"RFC 6455 4.1 client 6", "an empty protocol", []string{"a"}, answering(chosen), "", false},
	{"RFC 6455 4.1 client 6: one value", "a list of protocols", []string{"a", "b"}, answering(chosen + "a, b"), "", false},
	{"RFC 6455 4.1 client 6: one field", "two fields of protocols", []string{"a", "b"}, answering(chosen+"a", chosen+"b"), "", false},
	{"WS establish: a protocol that was offered has to be chosen", "no protocol though some were offered", []string{"a"}, answering(), "", false},
	{"RFC 6455 4.1 client 5: not offered", "an extension that was not offered", nil, answering("Sec-WebSocket-Extensions: x-gzip"), "", false},
	{"RFC 7692 7.1: a parameter that was not offered", "a parameter of permessage-deflate", nil,
		answering("Sec-WebSocket-Extensions: permessage-deflate; x=1"), "", false},
	{"WS establish: a network error", "no answer", nil, func(*peer) {}, "", false},
	{"WS establish: a network error", "a reset", nil, func(p *peer) { p.reset() }, "", false},
	{"WS establish: a network error", "half an answer", nil, func(p *peer) { p.write("HTTP/1.1 101 Switching") }, "", false},
}

func handshakeRows() (rows []row) {
	for _, c := range handshakeCases {
		rows = append(rows, row{c.rule, c.name, func(t *testing.T) {
			url := peers(t, func(p *peer) {
				c.answer(p)
				if c.opens {
					p.untilEnd()
				}
			})
			w := open(t, url, Options{Protocols: c.protocols})
			r := watch(w)
			w.OnOpen(func(*OpenEvent) { r.say("protocol " + w.Protocol()); w.conn.Terminate() })
			run(t, w)
			if c.opens {
				r.want(t, "OPEN open", "OPEN protocol "+c.protocol, `CLOSED close 1006 "" false`)
			} else {
				r.want(t, "CLOSED error", `CLOSED close 1006 "" false`)
			}
		}})
	}
	return append(rows, unreachableRows()...)
}

func unreachableRows() []row {
	fails := func(url string, o func(t *testing.T) Options) func(t *testing.T) {
		return func(t *testing.T) {
			w := open(t, url, o(t))
			r := watch(w)
			var err error
			w.OnError(func(e *ErrorEvent) { err = e.Err })
			w.OnClose(func(e *CloseEvent) {
				if err == nil || e.Err != err {
					t.Errorf("error says %v, close %v", err, e.Err)
				}
			})
			run(t, w)
			r.want(t, "CLOSED error", `CLOSED close 1006 "" false`)
		}
	}
	plain := func(*testing.T) Options { return Options{} }
	return []row{
		{"WS closed 2: fail the connection", "a name that is not there", fails("ws://nobody.invalid/", func(t *testing.T) Options { return Options{Client: nameless(t)} })},
		{"WS closed 2: fail the connection", "nobody listens", fails("ws://127.0.0.1:2/", plain)},
		{"WS closed 2: fail the connection", "TLS where there is none", func(t *testing.T) {
			url := peers(t, func(*peer) {})
			fails("wss"+strings.TrimPrefix(url, "ws"), plain)(t)
		}},
		{"WS closed 2: fail the connection", "a dial that fails", fails("ws://example.com/", func(t *testing.T) Options { return Options{Client: lonely(t)} })},
		{"DOM.md: time-out", "a server that does not answer", func(t *testing.T) {
			url := peers(t, func(p *peer) { p.untilEnd() })
			fails(url, func(*testing.T) Options { return Options{OpenTimeout: 20 * time.Millisecond} })(t)
		}},
		{"DOM.md: time-out", "it says that it was one", func(t *testing.T) {
			w := open(t, peers(t, func(p *peer) { p.untilEnd() }), Options{OpenTimeout: time.Millisecond})
			w.OnClose(func(e *CloseEvent) {
				var late interface{ Timeout() bool }
				if !errors.As(e.Err, &late) || !late.Timeout() {
					t.Error(e.Err)
				}
			})
			run(t, w)
		}},
		{"WS established: what comes with the 101 comes after open", "frames in the same segment", func(t *testing.T) {
			url := peers(t, func(p *peer) {
				p.write(p.switching() + "\x81\x01a" + "\x81\x01b" + "\x88\x02\x03\xe8")
				p.untilEnd()
			})
			w := open(t, url, Options{})
			r := watch(w)
			run(t, w)
			r.want(t, "OPEN open", `OPEN message "a"`, `OPEN message "b"`, `CLOSED close 1000 "" true`)
		}},
	}
}
