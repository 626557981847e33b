package dom

import (
	"fmt"
	"slices"
	"testing"
)

// listenerCase is what a page does with its listeners of message, and who hears "a" and "b".
type listenerCase struct {
	rule, name string
	page       func(w *WebSocket, say func(string))
	want       []string
}

// says is a listener that says a name and the message.
func says(name string, say func(string)) func(Event) {
	return func(e Event) { say(name + " " + e.(*MessageEvent).Data.(string)) }
}

func saysOn(name string, say func(string)) func(*MessageEvent) {
	return func(e *MessageEvent) { say(name + " " + e.Data.(string)) }
}

var listenerCases = []listenerCase{
	{"DOM inner invoke: in the order of registration", "two listeners", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", says("1", say))
		w.AddEventListener("message", says("2", say))
	}, []string{"1 a", "2 a", "1 b", "2 b"}},
	{"HTML 8.1.8.1: an event handler is a listener, where it was first set", "a handler between listeners", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", says("1", say))
		w.OnMessage(saysOn("on", say))
		w.AddEventListener("message", says("2", say))
	}, []string{"1 a", "on a", "2 a", "1 b", "on b", "2 b"}},
	{"HTML 8.1.8.1: setting it again keeps the place", "a handler that is replaced", func(w *WebSocket, say func(string)) {
		w.OnMessage(saysOn("first", say))
		w.AddEventListener("message", says("1", say))
		w.OnMessage(saysOn("second", say))
	}, []string{"second a", "1 a", "second b", "1 b"}},
	{"HTML 8.1.8.1: null deactivates it", "a handler that is removed", func(w *WebSocket, say func(string)) {
		w.OnMessage(saysOn("on", say))
		w.OnMessage(nil)
	}, nil},
	{"HTML 8.1.8.1: set after null it comes last", "a handler that is removed and set", func(w *WebSocket, say func(string)) {
		w.OnMessage(saysOn("on", say))
		w.AddEventListener("message", says("1", say))
		w.OnMessage(nil)
		w.OnMessage(saysOn("again", say))
	}, []string{"1 a", "again a", "1 b", "again b"}},
	{"HTML 8.1.8.1: null when there is none", "nil, and nothing before", func(w *WebSocket, say func(string)) { w.OnMessage(nil) }, nil},
	{"HTML 8.1.8.1: the handler at the time of the call", "a handler that a listener before it replaces", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", func(Event) { w.OnMessage(saysOn("new", say)) })
		w.OnMessage(saysOn("old", say))
	}, []string{"new a", "new b"}},
	{"DOM inner invoke: the list is cloned", "one adds another", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", func(e Event) {
			says("1", say)(e)
			w.AddEventListener("message", says("new", say), Once)
		}, Once)
	}, []string{"1 a", "new b"}},
	{"DOM inner invoke: a removed one is not called", "one removes the next", func(w *WebSocket, say func(string)) {
		var remove func()
		w.AddEventListener("message", func(e Event) { says("1", say)(e); remove() })
		remove = w.AddEventListener("message", says("2", say))
	}, []string{"1 a", "1 b"}},
	{"DOM inner invoke: one that was called may be removed", "one removes the one before", func(w *WebSocket, say func(string)) {
		remove := w.AddEventListener("message", says("1", say))
		w.AddEventListener("message", func(e Event) { says("2", say)(e); remove() })
	}, []string{"1 a", "2 a", "2 b"}},
	{"DOM inner invoke: it may remove itself", "one removes itself", func(w *WebSocket, say func(string)) {
		var remove func()
		remove = w.AddEventListener("message", func(e Event) { says("1", say)(e); remove(); remove() })
		w.AddEventListener("message", says("2", say))
	}, []string{"1 a", "2 a", "2 b"}},
	{"DOM: once", "once", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", says("once", say), Once)
		w.AddEventListener("message", says("2", say))
	}, []string{"once a", "2 a", "2 b"}},
	{"DOM: removing one twice", "removed twice", func(w *WebSocket, say func(string)) {
		remove := w.AddEventListener("message", says("1", say))
		w.AddEventListener("message", says("2", say))
		remove()
		remove()
	}, []string{"2 a", "2 b"}},
	{"DOM (a func has no identity): each registration is one", "added twice", func(w *WebSocket, say func(string)) {
		f := says("1", say)
		remove := w.AddEventListener("message", f)
		w.AddEventListener("message", f)
		remove()
	}, []string{"1 a", "1 b"}},
	{"DOM: another type", "a type that there is not", func(w *WebSocket, say func(string)) {
		w.AddEventListener("Message", says("1", say))()
		w.AddEventListener("", says("2", say))
		w.AddEventListener("messages", says("3", say))
	}, nil},
	{"DOM: a null callback is never called", "a nil func", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", nil)()
		w.AddEventListener("message", says("1", say))
	}, []string{"1 a", "1 b"}},
	{"HTML report an exception: the others are called", "one panics", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", func(Event) { panic("on purpose") })
		w.OnMessage(func(e *MessageEvent) { say("on " + e.Data.(string)); panic(fmt.Errorf("on purpose")) })
		w.AddEventListener("message", says("2", say))
	}, []string{"on a", "2 a", "on b", "2 b"}},
	{"DOM: once, also when it panics", "once, and panics", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", func(e Event) { says("1", say)(e); panic("on purpose") }, Once)
	}, []string{"1 a"}},
	{"DOM: all listeners get the same event", "the same event", func(w *WebSocket, say func(string)) {
		var first Event
		w.AddEventListener("message", func(e Event) { first = e })
		w.OnMessage(func(e *MessageEvent) { say(fmt.Sprint(first == Event(e))) })
	}, []string{"true", "true"}},
	{"HTML event loop: one task after the other", "a posted task waits for its turn", func(w *WebSocket, say func(string)) {
		w.AddEventListener("message", func(e Event) {
			_ = w.Post(func() { say("posted") })
			says("1", say)(e)
		}, Once)
		w.AddEventListener("message", says("2", say), Once)
	}, []string{"1 a", "2 a", "posted"}},
}

func listenerRows() (rows []row) {
	for _, c := range listenerCases {
		rows = append(rows, row{c.rule, c.name, func(t *testing.T) {
			closing := make(chan struct{})
			w := open(t, peers(t, func(p *peer) {
				p.accept()
				p.text("a")
				p.text("b")
				<-closing
				p.close(body(1000, ""))
				p.untilEnd()
			}), Options{})
			var got []string
			c.page(w, func(s string) { got = append(got, s) })
			seen := 0
			w.AddEventListener("message", func(Event) {
				if seen++; seen == 2 {
					_ = w.Post(func() { close(closing) })
				}
			})
			run(t, w)
			if !slices.Equal(got, c.want) {
				t.Errorf("%q, want %q", got, c.want)
			}
		}})
	}
	return rows
}
