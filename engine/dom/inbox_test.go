package dom

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

// flood is a server that sends as much as it can of one message, and counts what has left.
func flood(t *testing.T, size, most int, left *atomic.Int64) string {
	m := strings.Repeat("a", size)
	return serve(t, engine.Funcs{Open: func(c *engine.Conn) {
		go func() {
			for range most {
				for c.BufferedAmount() > 256<<10 {
					if c.ReadyState() != engine.Open {
						return
					}
					time.Sleep(time.Millisecond)
				}
				if c.SendText(m) != nil {
					return
				}
				left.Add(int64(size))
			}
			_ = c.Close()
		}()
	}}, engine.Options{SendBuffer: 64 << 10, Limits: engine.Limits{WriteStallTimeout: -1, CloseTimeout: patience()}})
}

// waiting is what waits in the inbox.
func waiting(w *WebSocket) (bytes int64, tasks int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inbox.bytes, len(w.inbox.tasks) - w.inbox.head
}

// stopped tells whether the inbox has stopped the server.
func stopped(w *WebSocket) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.inbox.paused
}

// TestInboxStopsTheServer: while the handlers do nothing the inbox does not grow beyond its size, of whatever messages; and then all of them
// come.
func TestInboxStopsTheServer(t *testing.T) {
	for _, c := range []struct{ size, most int }{{0, 200_000}, {1, 200_000}, {5000, 4000}, {100_000, 300}} {
		t.Run(fmt.Sprint(c.size), func(t *testing.T) {
			t.Parallel()
			const inbox = 64 << 10
			var left atomic.Int64
			w := open(t, flood(t, c.size, c.most, &left), Options{InboxBytes: inbox})
			within(t, "a full inbox", func() bool { bytes, _ := waiting(w); return bytes > inbox })
			time.Sleep(50 * time.Millisecond)
			over := int64(eventBytes + max(2*c.size, firstPiece))
			if bytes, tasks := waiting(w); bytes > inbox+over || tasks > int(inbox+over)/eventBytes+1 {
				t.Errorf("%d bytes in %d tasks wait, %d are allowed", bytes, tasks, inbox)
			}
			n := 0
			w.OnMessage(func(e *MessageEvent) {
				if n++; len(e.Data.(string)) != c.size {
					t.Error(len(e.Data.(string)))
				}
			})
			w.OnClose(func(e *CloseEvent) {
				if !e.WasClean || n != c.most {
					t.Errorf("%+v after %d messages of %d", e, n, c.most)
				}
			})
			run(t, w)
		})
	}
}

// TestMessageOverTheInbox: a message that is longer than the inbox arrives all the same, before Start and after, alone and behind others.
func TestMessageOverTheInbox(t *testing.T) {
	var left atomic.Int64
	w := open(t, flood(t, 300_000, 20, &left), Options{InboxBytes: 1})
	n := 0
	w.OnMessage(func(*MessageEvent) { n++ })
	run(t, w)
	if n != 20 {
		t.Error(n, "messages")
	}
}

// TestSlowHandlerStopsTheServer: the same while a handler runs.
func TestSlowHandlerStopsTheServer(t *testing.T) {
	var left atomic.Int64
	w := open(t, flood(t, 1000, 100_000, &left), Options{InboxBytes: 10_000})
	n := 0
	w.OnMessage(func(*MessageEvent) {
		if n++; n != 1 {
			return
		}
		within(t, "a full inbox", func() bool { return stopped(w) })
		time.Sleep(50 * time.Millisecond)
		if bytes, _ := waiting(w); bytes > 10_000+eventBytes+1000 {
			t.Errorf("%d bytes wait", bytes)
		}
	})
	run(t, w)
	if n != 100_000 {
		t.Error(n, "messages")
	}
}

// TestCloseEndsAFullInbox: whoever closes while the server is stopped hears the end.
func TestCloseEndsAFullInbox(t *testing.T) {
	var left atomic.Int64
	w := open(t, flood(t, 1000, 1_000_000, &left), Options{InboxBytes: 10_000, Limits: engine.Limits{CloseTimeout: time.Second}})
	w.OnMessage(func(*MessageEvent) {
		within(t, "a full inbox", func() bool { return stopped(w) })
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		w.OnMessage(func(*MessageEvent) { t.Error("a message after Close") })
	})
	run(t, w)
	if w.ReadyState() != Closed {
		t.Error(w.ReadyState())
	}
}
