package dom

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// sending is a way to send n bytes.
type sending struct {
	name string
	send func(w *WebSocket, n int) error
}

var sendings = []sending{
	{"text", func(w *WebSocket, n int) error { return w.SendText(strings.Repeat("a", n)) }},
	{"bytes", func(w *WebSocket, n int) error { return w.SendBytes(make([]byte, n)) }},
	{"blob", func(w *WebSocket, n int) error { return w.SendBlob(NewBlob(make([]byte, n))) }},
}

// inState has f called with a WebSocket in a state: in a handler, but for CONNECTING.
func inState(t *testing.T, s ReadyState, f func(w *WebSocket)) {
	t.Helper()
	w := open(t, serve(t, echo, engine.Options{}), Options{})
	called := false
	call := func() { called = true; f(w) }
	switch s {
	case Connecting:
		call()
		w.OnOpen(func(*OpenEvent) { _ = w.Close() })
	case Open:
		w.OnOpen(func(*OpenEvent) { call(); _ = w.Close() })
	case Closing:
		w.OnOpen(func(*OpenEvent) { _ = w.Close(); call() })
	case Closed:
		w.OnOpen(func(*OpenEvent) { _ = w.Close() })
		w.OnClose(func(*CloseEvent) { call() })
	}
	run(t, w)
	if !called {
		t.Errorf("never in %v", s)
	}
}

var states = []ReadyState{Connecting, Open, Closing, Closed}

func sendRows() (rows []row) {
	rules := map[ReadyState]string{
		Connecting: "WS send 1: InvalidStateError", Open: "WS send 2", Closing: "WS send 2: counted, and not sent", Closed: "WS send 2: counted, and not sent",
	}
	for _, s := range states {
		for _, k := range sendings {
			rows = append(rows, row{rules[s], fmt.Sprint(k.name, " in ", s), func(t *testing.T) {
				inState(t, s, func(w *WebSocket) {
					before := w.BufferedAmount()
					err := k.send(w, 7)
					added := w.BufferedAmount() - before
					switch s {
					case Connecting:
						if err != ErrInvalidState || added != 0 {
							t.Error(err, added)
						}
					case Open:
						if err != nil || added != 7 {
							t.Error(err, added)
						}
					default:
						if !errors.Is(err, ErrInvalidState) || !errors.Is(err, net.ErrClosed) || added != 7 {
							t.Error(err, added)
						}
					}
					if w.ReadyState() != s {
						t.Error("the state became", w.ReadyState())
					}
				})
			}})
		}
	}
	return append(append(rows, textRows()...), arrivalRows()...)
}

// textRows: what is not UTF-8.
func textRows() (rows []row) {
	for _, s := range []ReadyState{Open, Closing, Closed} {
		rows = append(rows, row{"DOM.md send: ErrInvalidUTF8 with the offset, nothing counted", fmt.Sprint("a text that is not UTF-8 in ", s), func(t *testing.T) {
			inState(t, s, func(w *WebSocket) {
				before := w.BufferedAmount()
				err := w.SendText("abc\xed\xa0\x80")
				var at *engine.UTF8Error
				if !errors.Is(err, ErrInvalidUTF8) || !errors.Is(err, ErrSyntax) || !errors.As(err, &at) || at.Offset != 4 {
					t.Errorf("%v, %+v", err, at)
				}
				if w.BufferedAmount() != before || w.ReadyState() != s {
					t.Error(w.BufferedAmount(), w.ReadyState())
				}
			})
		}})
	}
	for _, c := range []struct{ in, out string }{
		{"a\xffb", "a\uFFFDb"},
		{"\xe2\x82", "\uFFFD"},
		{"\xe2\x82A", "\uFFFDA"},
		{"\xed\xa0\x80", "\uFFFD\uFFFD\uFFFD"},
		{"\xf0\x9f\x92", "\uFFFD"},
		{"\xf0\x80\x80\x80", "\uFFFD\uFFFD\uFFFD\uFFFD"},
		{"\xf4\x90\x80\x80€", "\uFFFD\uFFFD\uFFFD\uFFFD€"},
		{"\xc0\xaf", "\uFFFD\uFFFD"},
		{"\uFFFD€", "\uFFFD€"},
	} {
		rows = append(rows, row{"Encoding Standard, UTF-8 decoder (WebIDL USVString)", fmt.Sprintf("replaced %q", c.in), func(t *testing.T) {
			w := open(t, serve(t, echo, engine.Options{}), Options{ReplaceInvalid: true})
			w.OnOpen(func(*OpenEvent) {
				if err := w.SendText(c.in); err != nil || w.BufferedAmount() != uint64(len(c.out)) {
					t.Error(err, w.BufferedAmount())
				}
			})
			w.OnMessage(func(e *MessageEvent) {
				if e.Data != c.out {
					t.Errorf("%q, want %q", e.Data, c.out)
				}
				_ = w.Close()
			})
			run(t, w)
		}})
	}
	return rows
}

// arrivalRows: what is sent arrives as it was, one call one message.
func arrivalRows() (rows []row) {
	for _, n := range []int{0, 1, 125, 126, 65535, 65536, 300_000} {
		for _, k := range sendings {
			rows = append(rows, row{"WS send 2: one call, one message", fmt.Sprintf("%s of %d bytes", k.name, n), func(t *testing.T) {
				w := open(t, serve(t, echo, engine.Options{}), Options{})
				w.OnOpen(func(*OpenEvent) {
					if err := k.send(w, n); err != nil {
						t.Error(err)
					}
				})
				w.OnMessage(func(e *MessageEvent) {
					var got int
					switch d := e.Data.(type) {
					case string:
						got = len(d)
					case *Blob:
						got = int(d.Size())
					}
					if _, text := e.Data.(string); got != n || text != (k.name == "text") {
						t.Errorf("%T of %d bytes", e.Data, got)
					}
					_ = w.Close()
				})
				run(t, w)
			}})
		}
	}
	rows = append(rows, row{"DOM.md send: the caller's slice is never masked, kept or changed", "the slice stays", func(t *testing.T) {
		w := open(t, serve(t, echo, engine.Options{}), Options{})
		p := []byte("abc")
		w.OnOpen(func(*OpenEvent) {
			_ = w.SendBytes(p)
			copy(p, "xyz")
		})
		w.OnMessage(func(e *MessageEvent) {
			if got, _ := e.Data.(*Blob).Text(); got != "abc" || string(p) != "xyz" {
				t.Error(got, string(p))
			}
			_ = w.Close()
		})
		run(t, w)
	}})
	for _, s := range []string{"\uFEFFa", "\uFFFE\uFFFF\U0010FFFF", "\x00", "¥¥¥¥¥¥", "𝔘", "\uFFFD"} {
		rows = append(rows, row{"RFC 6455 5.6: text is UTF-8, whatever it says (DOM.md: noncharacters and a byte-order mark stay)", fmt.Sprintf("%q", s), func(t *testing.T) {
			w := open(t, serve(t, echo, engine.Options{}), Options{})
			w.OnOpen(func(*OpenEvent) { _ = w.SendText(s) })
			w.OnMessage(func(e *MessageEvent) {
				if e.Data != s {
					t.Errorf("%q", e.Data)
				}
				_ = w.Close()
			})
			run(t, w)
		}})
	}
	return rows
}

// bufferedCase is a list of sends in one handler, and the amount after each.
type bufferedCase struct {
	rule, name string
	do         func(w *WebSocket)
	want       []uint64
}

var bufferedCases = []bufferedCase{
	{"WS bufferedAmount: each send in one task adds", "1, 2, 3, 4 bytes", func(w *WebSocket) {}, []uint64{1, 3, 6, 10}},
	{"WS bufferedAmount: in CLOSING it grows on", "1, 2, 3, 4 bytes after Close", func(w *WebSocket) { _ = w.Close() }, []uint64{1, 3, 6, 10}},
}

func bufferedRows() (rows []row) {
	for _, c := range bufferedCases {
		for _, k := range sendings {
			for _, x := range []*deflate.Policy{nil, {MinSize: 1}} {
				rows = append(rows, row{c.rule, fmt.Sprintf("%s, %s, deflate %v", c.name, k.name, x != nil), func(t *testing.T) {
					w := open(t, serve(t, echo, engine.Options{Deflate: x}), Options{})
					w.OnOpen(func(*OpenEvent) {
						c.do(w)
						for i, want := range c.want {
							_ = k.send(w, i+1)
							if got := w.BufferedAmount(); got != want {
								t.Errorf("after %d sends: %d, want %d", i+1, got, want)
							}
						}
						_ = w.Close()
					})
					run(t, w)
				}})
			}
		}
	}
	inOpen := func(rule, name string, f func(t *testing.T, w *WebSocket)) row {
		return row{rule, name, func(t *testing.T) {
			w := open(t, serve(t, echo, engine.Options{Deflate: &deflate.Policy{MinSize: 1}}), Options{})
			w.OnOpen(func(*OpenEvent) { f(t, w); _ = w.Close() })
			run(t, w)
		}}
	}
	amount := func(t *testing.T, w *WebSocket, want uint64) {
		t.Helper()
		if got := w.BufferedAmount(); got != want {
			t.Errorf("%d, want %d", got, want)
		}
	}
	return append(rows,
		inOpen("WS bufferedAmount: bytes of UTF-8", "six characters of ¥", func(t *testing.T, w *WebSocket) { _ = w.SendText("¥¥¥¥¥¥"); amount(t, w, 12) }),
		inOpen("WS bufferedAmount: without framing", "an empty text", func(t *testing.T, w *WebSocket) { _ = w.SendText(""); amount(t, w, 0) }),
		inOpen("WS bufferedAmount: compression does not change it", "65536 times the same", func(t *testing.T, w *WebSocket) {
			_ = w.SendText(strings.Repeat("a", 65536))
			amount(t, w, 65536)
		}),
		inOpen("WS bufferedAmount: reading it changes nothing", "read twice", func(t *testing.T, w *WebSocket) {
			_ = w.SendText("abc")
			amount(t, w, 3)
			amount(t, w, 3)
		}),
		inOpen("WS bufferedAmount: the slice of a Blob counts alone", "a slice", func(t *testing.T, w *WebSocket) {
			_ = w.SendBlob(NewBlob([]byte("abcdef")).Slice(1, 3))
			amount(t, w, 2)
		}),
		row{"WS bufferedAmount: 0 when all was handed to the network", "0 in a later task", func(t *testing.T) {
			w := open(t, serve(t, echo, engine.Options{}), Options{})
			w.OnOpen(func(*OpenEvent) { _ = w.SendText("abc") })
			w.OnMessage(func(*MessageEvent) { amount(t, w, 0); _ = w.Close() })
			run(t, w)
		}},
		row{"WS bufferedAmount: not reset when the connection closes", "unsent in close", func(t *testing.T) {
			url := peers(t, func(p *peer) { p.accept(); p.read(); p.reset() })
			w := open(t, url, Options{})
			w.OnOpen(func(*OpenEvent) { _ = w.SendText("a") })
			w.OnClose(func(*CloseEvent) {
				before := w.BufferedAmount()
				_ = w.SendText("abc")
				_ = w.SendBytes(make([]byte, 4))
				amount(t, w, before+7)
			})
			run(t, w)
			before := w.BufferedAmount()
			_ = w.SendText("ab")
			amount(t, w, before+2)
		}},
		row{"WS bufferedAmount: a failed attempt counts as well", "a connection that never was", func(t *testing.T) {
			w := open(t, "ws://127.0.0.1:2/", Options{})
			run(t, w)
			_ = w.SendText("ab")
			amount(t, w, 2)
		}},
	)
}
