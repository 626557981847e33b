package dom

import (
	"fmt"
	"slices"
	"testing"
)

// What web-platform-tests check of a WebSocket, in rows of our own: each says which rule of a standard it is about.
//
//	WS   WHATWG WebSockets Standard   URL   URL Standard   HTML, DOM, File API, Fetch   by their names   DOM.md   where the two leave a choice
//
// The rows are in the files wpt_*_test.go.

// row is one behaviour.
type row struct {
	rule, name string
	check      func(t *testing.T)
}

func TestWebPlatform(t *testing.T) {
	areas := []struct {
		name string
		rows []row
	}{
		{"url", urlRows()}, {"wire", wireRows()}, {"protocols", protocolRows()}, {"ports", portRows()}, {"constants", constantRows()},
		{"handshake", handshakeRows()}, {"send", sendRows()}, {"buffered", bufferedRows()}, {"close", closeRows()}, {"received", receivedRows()},
		{"events", eventRows()}, {"listeners", listenerRows()}, {"binary", binaryRows()},
	}
	seen, count := map[string]bool{}, 0
	for _, a := range areas {
		if a.name != "ports" {
			count += len(a.rows)
		}
		t.Run(a.name, func(t *testing.T) {
			for _, r := range a.rows {
				name := a.name + "/" + r.name
				if r.rule == "" || seen[name] {
					t.Errorf("%s: the row has no rule, or is there twice", name)
				}
				seen[name] = true
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					r.check(t)
					if t.Failed() {
						t.Log("the rule:", r.rule)
					}
				})
			}
		})
	}
	if count < 150 {
		t.Errorf("%d rows without those of the ports, and 150 are promised", count)
	}
}

// record keeps what a WebSocket dispatches: each event with the state in it.
type record struct {
	w    *WebSocket
	got  []string
	test testing.TB
}

func watch(w *WebSocket) *record {
	r := &record{w: w}
	for _, typ := range []string{"open", "message", "error", "close"} {
		w.AddEventListener(typ, r.hear)
	}
	return r
}

func (r *record) hear(e Event) {
	line := e.Type()
	switch e := e.(type) {
	case *MessageEvent:
		line += " " + dataOf(e)
	case *CloseEvent:
		line += fmt.Sprintf(" %d %q %v", e.Code, e.Reason, e.WasClean)
	}
	r.say(line)
}

// say adds a line with the state.
func (r *record) say(line string) { r.got = append(r.got, r.w.ReadyState().String()+" "+line) }

func dataOf(e *MessageEvent) string {
	switch d := e.Data.(type) {
	case []byte:
		return fmt.Sprintf("%x", d)
	case *Blob:
		p, err := d.Bytes()
		return fmt.Sprintf("Blob %x %v", p, err)
	}
	return fmt.Sprintf("%q", e.Data)
}

func (r *record) want(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(r.got, want) {
		t.Errorf("got\n%q, want\n%q", r.got, want)
	}
}
