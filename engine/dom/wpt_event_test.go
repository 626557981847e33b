package dom

import (
	"errors"
	"fmt"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// eventCase is a server's script and a page's, and what is dispatched.
type eventCase struct {
	rule, name string
	server     func(p *peer) // after it the connection ends
	page       func(w *WebSocket, r *record)
	want       []string
}

// nothing is a page that only watches.
func nothing(*WebSocket, *record) {}

const lost = `CLOSED close 1006 "" false`

var eventCases = []eventCase{
	{"WS closed: no Close frame", "the server goes", func(p *peer) { p.accept() }, nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"WS closed: no Close frame", "the server resets", func(p *peer) { p.accept(); p.reset() }, nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"WS message received: in order", "messages, then the server goes", func(p *peer) { p.accept(); p.text("a"); p.text(""); p.binary([]byte{1}) }, nothing,
		[]string{"OPEN open", `OPEN message "a"`, `OPEN message ""`, "OPEN message Blob 01 <nil>", "CLOSED error", lost}},
	{"RFC 6455 5.4: fragments are one message", "fragments", func(p *peer) {
		p.accept()
		p.write("\x01\x01a" + "\x89\x00" + "\x00\x00" + "\x80\x01b")
		p.close(body(1000, ""))
		p.untilEnd()
	}, nothing, []string{"OPEN open", `OPEN message "ab"`, `CLOSED close 1000 "" true`}},
	{"RFC 6455 5.4: a message that is not whole is none", "half a message", func(p *peer) { p.accept(); p.write("\x01\x01a") }, nothing,
		[]string{"OPEN open", "CLOSED error", lost}},
	{"WS message received: only whole messages", "half a message before a Close", func(p *peer) {
		p.accept()
		p.write("\x01\x01a")
		p.close(body(1000, ""))
		p.untilEnd()
	}, nothing, []string{"OPEN open", `CLOSED close 1000 "" true`}},
	{"RFC 6455 5.5.2: a ping is no event", "pings and pongs", func(p *peer) {
		p.accept()
		p.write("\x89\x01a" + "\x8a\x00")
		if got := p.read(); got != "OpPong 61" && got != "10 61" {
			p.t.Error("answered", got)
		}
		p.close(body(1000, ""))
		p.untilEnd()
	}, nothing, []string{"OPEN open", `CLOSED close 1000 "" true`}},

	// Errors of the server's.
	{"RFC 6455 5.1: a masked frame", "a masked frame", broken("\x81\x81\x00\x00\x00\x00a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.2: RSV1 without an extension", "RSV1", broken("\xc1\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.2: RSV2", "RSV2", broken("\xa1\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.2: reserved opcodes", "opcode 3", broken("\x83\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.2: reserved opcodes", "opcode 11", broken("\x8b\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.4: a continuation of nothing", "a continuation", broken("\x80\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.4: a message inside another", "a text in a text", broken("\x01\x01a\x81\x01b"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.5: a ping in fragments", "a ping in fragments", broken("\x09\x01a"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.5: a long ping", "a ping of 126 bytes", broken("\x89\x7e\x00\x7e"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.6: text is UTF-8", "text that is not UTF-8", broken("\x81\x01\xff"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.6: text is UTF-8 in all its fragments", "the second fragment is not UTF-8", broken("\x01\x01\xe2\x80\x01A"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.6: text ends with a character", "text that stops inside a character", broken("\x81\x02\xe2\x82"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"RFC 6455 5.2: the length's most significant bit", "a length of 2^63", broken("\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"DOM.md cap: a header that would pass it", "a length of 2^31", broken("\x82\x7f\x00\x00\x00\x00\x80\x00\x00\x00"), nothing, []string{"OPEN open", "CLOSED error", lost}},
	{"WS message received: what came before an error", "a message before an error", broken("\x81\x01a\x83\x00"), nothing,
		[]string{"OPEN open", `OPEN message "a"`, "CLOSED error", lost}},

	// The page closes.
	{"WS close 3: CLOSING when it returns, no message after", "Close in open", chatty, closesIn("open"),
		[]string{"OPEN open", "CLOSING closed", `CLOSED close 1000 "" true`}},
	{"WS close 3: CLOSING when it returns, no message after", "Close in message", chatty, closesIn("message"),
		[]string{"OPEN open", `OPEN message "a"`, "CLOSING closed", `CLOSED close 1000 "" true`}},
	{"WS close 3: in CLOSED it does nothing", "Close in close", chatty, func(w *WebSocket, r *record) {
		closesIn("open")(w, r)
		closesIn("close")(w, r)
	}, []string{"OPEN open", "CLOSING closed", `CLOSED close 1000 "" true`, "CLOSED closed"}},
	{"WS close 3: in CLOSED it does nothing", "Close in error", func(p *peer) { p.accept() }, closesIn("error"),
		[]string{"OPEN open", "CLOSED error", "CLOSED closed", lost}},
	{"WS close 3: not yet established: fail", "Close in CONNECTING", func(p *peer) { p.untilEnd() }, func(w *WebSocket, r *record) {
		_ = w.Close()
		r.say("closed")
	}, []string{"CLOSING closed", "CLOSED error", lost}},
	{"WS close 3: not yet established: fail", "Close in CONNECTING, twice, with codes", func(p *peer) { p.untilEnd() }, func(w *WebSocket, r *record) {
		_ = w.CloseWith(3000, "a")
		_ = w.CloseWith(3001, "b")
		r.say("closed")
	}, []string{"CLOSING closed", "CLOSED error", lost}},
	{"WS close 3: not yet established: fail", "Close in CONNECTING without a code", func(p *peer) { p.untilEnd() }, func(w *WebSocket, r *record) {
		_ = w.CloseNoStatus()
		r.say("closed")
	}, []string{"CLOSING closed", "CLOSED error", lost}},
	{"WS established: open in OPEN; DOM.md: an attempt that was closed in CONNECTING fails", "Close before the tasks run", chatty, func(w *WebSocket, r *record) {
		within(r.test, "the handshake", func() bool { return w.conn.ReadyState() >= Open })
		r.say("opened")
		_ = w.Close()
		r.say("closed")
	}, []string{"CONNECTING opened", "CLOSING closed", "CLOSED error", lost}},
	{"DOM.md: an attempt that was closed in CONNECTING fails, also one that is over", "Close after the server's Close, before the tasks run",
		func(p *peer) { p.accept(); p.text("a"); p.close(body(1000, "")); p.untilEnd() }, func(w *WebSocket, r *record) {
			within(r.test, "the end", func() bool { return w.conn.ReadyState() == Closed })
			_ = w.Close()
			r.say("closed")
		}, []string{"CLOSING closed", "CLOSED error", lost}},
	{"WS: what happens is queued as tasks", "all is over before the tasks run", func(p *peer) { p.accept(); p.text("a"); p.close(body(1000, "")); p.untilEnd() },
		func(w *WebSocket, r *record) {
			within(r.test, "the end", func() bool { return w.conn.ReadyState() == Closed })
			if err := w.SendText("x"); err != ErrInvalidState {
				r.test.Error("a send in CONNECTING:", err)
			}
		}, []string{"OPEN open", `OPEN message "a"`, `CLOSED close 1000 "" true`}},
	{"WS closed: the server's code though we closed as well", "both close", func(p *peer) {
		p.accept()
		p.close(body(4001, "mine"))
		p.untilEnd()
	}, func(w *WebSocket, r *record) {
		w.OnOpen(func(*OpenEvent) {
			within(r.test, "the server's Close", func() bool { return w.conn.ReadyState() >= Closing })
			_ = w.CloseWith(3001, "yours")
			r.say("closed")
		})
	}, []string{"OPEN open", "CLOSING closed", `CLOSED close 4001 "mine" true`}},
	{"DOM.md: no Close frame received: 1006, not clean", "the server goes after our Close", func(p *peer) { p.accept(); p.read() }, closesIn("open"),
		[]string{"OPEN open", "CLOSING closed", "CLOSED error", lost}},
	{"DOM.md: if the server half-closes after its Close, it still gets ours", "half-closed after a Close", func(p *peer) {
		p.accept()
		p.close(body(1000, ""))
		if c, ok := p.conn.(interface{ CloseWrite() error }); ok {
			_ = c.CloseWrite()
		}
		if got := p.read(); got != "close 1000 " {
			p.t.Error("answered", got)
		}
	}, nothing, []string{"OPEN open", `CLOSED close 1000 "" true`}},
}

// broken sends what breaks a rule.
func broken(frames string) func(p *peer) {
	return func(p *peer) {
		p.accept()
		p.write(frames)
		p.untilEnd()
	}
}

// chatty sends two messages, and answers a Close.
func chatty(p *peer) {
	p.accept()
	p.text("a")
	p.text("b")
	for got := p.read(); got != "end"; got = p.read() {
		if got == "close 1000 " {
			p.close(body(1000, ""))
			p.untilEnd()
			return
		}
	}
}

// closesIn is a page that closes in an event.
func closesIn(typ string) func(w *WebSocket, r *record) {
	return func(w *WebSocket, r *record) {
		w.AddEventListener(typ, func(Event) {
			if err := w.Close(); err != nil {
				r.test.Error(err)
			}
			r.say("closed")
		}, Once)
	}
}

func eventRows() (rows []row) {
	for _, c := range eventCases {
		rows = append(rows, row{c.rule, c.name, func(t *testing.T) {
			w := open(t, peers(t, c.server), Options{})
			r := watch(w)
			r.test = t
			c.page(w, r)
			run(t, w)
			r.want(t, c.want...)
		}})
	}
	return append(rows, row{"HTML MessageEvent: origin is the URL's", "the event's attributes", func(t *testing.T) {
		url := peers(t, func(p *peer) { p.accept(); p.text("a"); p.close(body(1000, "")); p.untilEnd() })
		w := open(t, url+"/path?query", Options{})
		w.OnMessage(func(e *MessageEvent) {
			if e.Type() != "message" || e.Target() != w || e.Origin != url || e.LastEventID != "" {
				t.Errorf("%+v, and the URL is %s", e, url)
			}
		})
		run(t, w)
	}}, row{"DOM.md: error has a cause, and close the same", "the cause", func(t *testing.T) {
		w := open(t, peers(t, broken("\x83\x00")), Options{})
		var first error
		w.OnError(func(e *ErrorEvent) { first = e.Err })
		w.OnClose(func(e *CloseEvent) {
			var c *engine.CloseError
			if e.Err != first || !errors.As(e.Err, &c) || c.Code != 1002 {
				t.Error(first, e.Err)
			}
		})
		run(t, w)
	}})
}

func binaryRows() (rows []row) {
	deliver := func(t *testing.T, as BinaryType, page func(w *WebSocket), check func(e *MessageEvent)) {
		w := open(t, peers(t, func(p *peer) {
			p.accept()
			p.binary([]byte{1, 2, 3})
			p.close(body(1000, ""))
			p.untilEnd()
		}), Options{})
		if as != "" {
			if err := w.SetBinaryType(as); err != nil {
				t.Fatal(err)
			}
		}
		page(w)
		heard := false
		w.OnMessage(func(e *MessageEvent) { heard = true; check(e) })
		run(t, w)
		if !heard {
			t.Error("no message")
		}
	}
	none := func(*WebSocket) {}
	for _, as := range []BinaryType{"", "blob", "arraybuffer"} {
		rows = append(rows, row{"WS message received 2: dataForEvent", fmt.Sprintf("%q", as), func(t *testing.T) {
			deliver(t, as, none, func(e *MessageEvent) {
				_, isBlob := e.Data.(*Blob)
				_, isBytes := e.Data.([]byte)
				if isBlob != (as != "arraybuffer") || isBytes != (as == "arraybuffer") {
					t.Errorf("%T", e.Data)
				}
			})
		}})
	}
	for _, wrong := range []BinaryType{"", "Blob", "ArrayBuffer", "blob ", "string", "foo"} {
		rows = append(rows, row{"WebIDL enumeration (DOM.md: an error that changes nothing)", fmt.Sprintf("set to %q", wrong), func(t *testing.T) {
			w := open(t, "ws://127.0.0.1:2/", Options{Client: lonely(t)})
			for _, was := range []BinaryType{BinaryBlob, BinaryArrayBuffer} {
				_ = w.SetBinaryType(was)
				if err := w.SetBinaryType(wrong); !errors.Is(err, ErrSyntax) || w.BinaryType() != was {
					t.Error(err, w.BinaryType())
				}
			}
		}})
	}
	return append(rows, row{"WS message received 2: the binary type when the task runs", "changed after the message has arrived", func(t *testing.T) {
		deliver(t, "blob", func(w *WebSocket) {
			within(t, "the end", func() bool { return w.conn.ReadyState() == Closed })
			_ = w.SetBinaryType("arraybuffer")
		}, func(e *MessageEvent) {
			if dataOf(e) != "010203" {
				t.Errorf("%T", e.Data)
			}
		})
	}}, row{"WS binaryType: it can be set in every state", "set in close", func(t *testing.T) {
		inState(t, Closed, func(w *WebSocket) {
			if w.SetBinaryType("arraybuffer") != nil || w.BinaryType() != "arraybuffer" {
				t.Error(w.BinaryType())
			}
		})
	}}, row{"WS message received 2: text is never a Blob", "a text under arraybuffer", func(t *testing.T) {
		w := open(t, peers(t, func(p *peer) { p.accept(); p.text("a"); p.close(""); p.untilEnd() }), Options{})
		_ = w.SetBinaryType("arraybuffer")
		r := watch(w)
		run(t, w)
		r.want(t, "OPEN open", `OPEN message "a"`, `CLOSED close 1005 "" true`)
	}})
}
