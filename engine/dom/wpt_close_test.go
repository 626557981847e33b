package dom

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// closeCase is a call of close, and its error.
type closeCase struct {
	rule   string
	code   int
	reason string
	err    error
}

var closeCases = []closeCase{
	{"WS close 1: 1000", 1000, "", nil},
	{"WS close 1: 3000 to 4999", 3000, "", nil},
	{"WS close 1: 3000 to 4999", 3999, "", nil},
	{"WS close 1: 3000 to 4999", 4000, "", nil},
	{"WS close 1: 3000 to 4999", 4999, "", nil},
	{"WS close 1: anything else", 0, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1, "", ErrInvalidAccess},
	{"WS close 1: anything else", 500, "", ErrInvalidAccess},
	{"WS close 1: anything else", 999, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1001, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1002, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1004, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1005, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1006, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1011, "", ErrInvalidAccess},
	{"WS close 1: anything else", 1015, "", ErrInvalidAccess},
	{"WS close 1: anything else", 2999, "", ErrInvalidAccess},
	{"WS close 1: anything else", 5000, "", ErrInvalidAccess},
	{"WS close 1: anything else", 65535, "", ErrInvalidAccess},
	{"WebIDL [Clamp]: it does not wrap to 0", 65536, "", ErrInvalidAccess},
	{"WebIDL [Clamp]: it does not wrap to 1000", 65536 + 1000, "", ErrInvalidAccess},
	{"WebIDL [Clamp]: it does not wrap to 1000", 1000 - 65536, "", ErrInvalidAccess},
	{"WS close 1: anything else", -1, "", ErrInvalidAccess},
	{"WS close 1: anything else", -1000, "", ErrInvalidAccess},
	{"WS close 1: anything else", math.MaxInt, "", ErrInvalidAccess},
	{"WS close 1: anything else", math.MinInt, "", ErrInvalidAccess},
	{"WS close 2: 123 bytes", 1000, strings.Repeat("a", 123), nil},
	{"WS close 2: 124 bytes", 1000, strings.Repeat("a", 124), ErrSyntax},
	{"WS close 2: 61 times two bytes, and one", 3000, strings.Repeat("ä", 61) + "a", nil},
	{"WS close 2: 62 times two bytes", 3000, strings.Repeat("ä", 62), ErrSyntax},
	{"WS close 2: 41 times three bytes", 3000, strings.Repeat("€", 41), nil},
	{"WS close 2: 42 times three bytes", 3000, strings.Repeat("€", 42), ErrSyntax},
	{"DOM.md: a reason that is not UTF-8", 1000, "a\xff", ErrSyntax},
	{"WS close 1 comes before 2", 1001, strings.Repeat("a", 124), ErrInvalidAccess},
}

func closeRows() (rows []row) {
	for i, c := range closeCases {
		for _, s := range states {
			if i%5 != 0 && s != Open && c.err == nil { // what is allowed does the same thing each time
				continue
			}
			rows = append(rows, row{c.rule + " (in every state)", fmt.Sprintf("%d with %d bytes in %v: %d", c.code, len(c.reason), s, i), func(t *testing.T) {
				inState(t, s, func(w *WebSocket) {
					err := w.CloseWith(c.code, c.reason)
					if !errors.Is(err, c.err) || err != nil && c.err == ErrSyntax && errors.Is(err, ErrInvalidAccess) {
						t.Errorf("%v, want %v", err, c.err)
					}
					want := s
					if c.err == nil {
						want = max(s, Closing)
					}
					if w.ReadyState() != want {
						t.Errorf("%v, want %v", w.ReadyState(), want)
					}
				})
			}})
		}
	}
	return append(rows, sentCloseRows()...)
}

// sentCloseRows: what the server gets.
func sentCloseRows() (rows []row) {
	for _, c := range []struct {
		rule, name, want string
		close            func(w *WebSocket) error
	}{
		{"DOM.md: Close sends 1000", "Close", "close 1000 ", (*WebSocket).Close},
		{"WS close 3: a Close frame without a body", "CloseNoStatus", "close", (*WebSocket).CloseNoStatus},
		{"WS close 3: code and reason", "CloseWith", "close 3999 tschüß", func(w *WebSocket) error { return w.CloseWith(3999, "tschüß") }},
		{"WS close 3: a code without a reason", "CloseWith a code", "close 1000 ", func(w *WebSocket) error { return w.CloseWith(1000, "") }},
		{"WS close 3: the second call changes nothing", "twice", "close 3001 a", func(w *WebSocket) error {
			_ = w.CloseWith(3001, "a")
			return w.CloseWith(3002, "b")
		}},
		{"WS close 3: an error changes nothing", "after an error", "close 3002 b", func(w *WebSocket) error {
			_ = w.CloseWith(1001, "a")
			return w.CloseWith(3002, "b")
		}},
	} {
		rows = append(rows, row{c.rule, c.name, func(t *testing.T) {
			got := make(chan string, 1)
			url := peers(t, func(p *peer) {
				p.accept()
				got <- p.read()
				p.close(body(4000, "yours"))
			})
			w := open(t, url, Options{})
			r := watch(w)
			w.OnOpen(func(*OpenEvent) {
				if err := c.close(w); err != nil {
					t.Error(err)
				}
				r.say("closed")
			})
			run(t, w)
			r.want(t, "OPEN open", "CLOSING closed", `CLOSED close 4000 "yours" true`)
			if sent := receive(t, got, "a Close frame"); sent != c.want {
				t.Errorf("sent %q, want %q", sent, c.want)
			}
		}})
	}
	return append(rows, row{"WS close 3: what was sent before leaves before", "messages before the Close frame", func(t *testing.T) {
		got := make(chan string, 3)
		url := peers(t, func(p *peer) {
			p.accept()
			got <- p.read()
			got <- p.read()
			got <- p.read()
			p.close(body(1000, ""))
		})
		w := open(t, url, Options{})
		w.OnOpen(func(*OpenEvent) { _ = w.SendText("a"); _ = w.SendText("b"); _ = w.Close(); _ = w.SendText("c") })
		run(t, w)
		for _, want := range []string{"text a", "text b", "close 1000 "} {
			if f := receive(t, got, want); f != want {
				t.Errorf("%q, want %q", f, want)
			}
		}
		if n := w.BufferedAmount(); n != 1 {
			t.Errorf("%d bytes are buffered, of what was sent after Close", n)
		}
	}})
}

// receivedCase is a Close frame of the server's: the event, and the answer to it.
type receivedCase struct {
	rule, name, body, event, answer string
	fails                           bool
}

func receivedRows() (rows []row) {
	cases := []receivedCase{
		{"RFC 6455 7.1.5: no code", "no body", "", `1005 "" true`, "close", false},
		{"RFC 6455 7.1.6: a reason", "1000 with a reason", body(1000, "bye"), `1000 "bye" true`, "close 1000 ", false},
		{"RFC 6455 7.1.6: a reason beyond ASCII", "3000 with a reason", body(3000, "tschüß€"), `3000 "tschüß€" true`, "close 3000 ", false},
		{"RFC 6455 5.5.1: a body of one byte", "one byte", "\x03", `1006 "" false`, "close 1002 ", true},
		{"RFC 6455 5.5.1: a reason that is not UTF-8", "a reason that is not UTF-8", body(1000, "\xff"), `1006 "" false`, "close 1007 ", true},
	}
	for _, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999} {
		cases = append(cases, receivedCase{"RFC 6455 7.4: a code is answered with itself; a clean Close is no error",
			fmt.Sprint(code), body(code, ""), fmt.Sprint(code, ` "" true`), fmt.Sprintf("close %d ", code), false})
	}
	for _, code := range []int{0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535} {
		cases = append(cases, receivedCase{"RFC 6455 7.4: a code that may not be sent",
			fmt.Sprint(code), body(code, ""), `1006 "" false`, "close 1002 ", true})
	}
	for _, c := range cases {
		rows = append(rows, row{c.rule, c.name, func(t *testing.T) {
			got := make(chan string, 1)
			url := peers(t, func(p *peer) {
				p.accept()
				p.close(c.body)
				got <- p.read()
			})
			w := open(t, url, Options{})
			r := watch(w)
			w.OnClose(func(e *CloseEvent) {
				if (e.Err != nil) != c.fails {
					t.Error(e.Err)
				}
			})
			run(t, w)
			want := []string{"OPEN open", "CLOSED close " + c.event}
			if c.fails {
				want = []string{"OPEN open", "CLOSED error", "CLOSED close " + c.event}
			}
			r.want(t, want...)
			if answer := receive(t, got, "an answer"); answer != c.answer {
				t.Errorf("answered %q, want %q", answer, c.answer)
			}
		}})
	}
	return append(rows, row{"WS closing handshake started: CLOSING; DOM.md: nothing after a Close is processed", "a message after a Close", func(t *testing.T) {
		url := peers(t, func(p *peer) {
			p.accept()
			p.text("a")
			p.close(body(1000, ""))
			p.text("b")
			p.untilEnd()
		})
		w := open(t, url, Options{})
		r := watch(w)
		run(t, w)
		r.want(t, "OPEN open", `OPEN message "a"`, `CLOSED close 1000 "" true`)
	}}, row{"WS closing handshake started: the state is CLOSING when the messages before were dispatched", "CLOSING by the server", func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.Background())
		url := peers(t, func(p *peer) {
			p.accept()
			_, _ = p.r.ReadByte()
			p.text("a")
			p.close(body(1000, ""))
			<-ctx.Done() // until then our answer cannot leave, behind all the rest, and CLOSING does not end
			p.untilEnd()
		})
		t.Cleanup(cancel)
		w := open(t, url, Options{Limits: engine.Limits{HighWater: 40 << 20}}) // else the Close frame would not be read
		r := watch(w)
		w.OnOpen(func(*OpenEvent) {
			_ = w.SendBytes(make([]byte, 32<<20)) // more than the kernel takes
			within(t, "the Close frame", func() bool { return w.conn.ReadyState() == Closing })
			r.say("the server has closed")
			if err := w.Post(func() { r.say("task") }); err != nil {
				t.Error(err)
			}
		})
		w.OnMessage(func(*MessageEvent) { _ = w.Post(cancel) })
		w.AddEventListener("message", func(Event) { r.say("message is over") })
		if err := w.Run(ctx); err != context.Canceled || w.ReadyState() != Closing || w.SendText("x") != ErrClosed || w.Close() != nil {
			t.Error(err, w.ReadyState())
		}
		run(t, w)
		r.want(t, "OPEN open", "OPEN the server has closed", `OPEN message "a"`, "OPEN message is over", "CLOSING task", `CLOSED close 1000 "" true`)
	}})
}
