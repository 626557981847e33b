package dom

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/engine"
)

// SendText sends a text message. It never blocks.
//
// Errors of this and the other sends: ErrInvalidState in CONNECTING; in CLOSING and CLOSED ErrClosed, and the bytes count in BufferedAmount all the
// same; ErrInvalidUTF8; ErrMessageTooBig, and the connection stays OPEN; at Limits.MaxBufferedAmount ErrBufferFull, or engine.ErrSlowConsumer when this
// message closed the connection.
func (w *WebSocket) SendText(s string) error {
	if w.connecting() {
		return ErrInvalidState
	}
	if w.replace {
		s = toUnicode(s)
	}
	return w.sent(len(s), w.conn.SendText(s))
}

// SendBytes sends a binary message. It copies p before it returns. Errors: see SendText.
func (w *WebSocket) SendBytes(p []byte) error {
	if w.connecting() {
		return ErrInvalidState
	}
	return w.sent(len(p), w.conn.SendBinary(p))
}

// SendBlob sends a Blob's bytes as one binary message. The Blob stays the caller's. Errors: see SendText; ErrInvalidState for
// one that was released.
func (w *WebSocket) SendBlob(b *Blob) error {
	switch {
	case w.connecting():
		return ErrInvalidState
	case b == nil:
		return misused("SendBlob needs a Blob, and this one is nil")
	case b.Size() > engine.MaxMessage:
		return ErrMessageTooBig
	}
	buf, err := b.buffer()
	if err != nil {
		return err
	}
	return w.sent(int(b.Size()), w.conn.SendOwned(engine.OpBinary, buf))
}

func (w *WebSocket) connecting() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.state == Connecting
}

// sent counts what a send has added to the amount during this task.
func (w *WebSocket) sent(n int, err error) error {
	if err == nil || err == ErrClosed {
		w.mu.Lock()
		w.turn.sent += uint64(n)
		w.mu.Unlock()
	}
	return err
}

// turn is the task under way, as far as bufferedAmount goes by it.
type turn struct {
	running bool
	posted  bool      // it is of Post
	base    uint64    // what was buffered when it began
	sent    uint64    // what was sent since
	asked   time.Time // when BufferedAmount was first called since then
	at      uint64    // what had been sent at that time
}

// waited is how long a handler may ask for BufferedAmount without sending, before it is told what has left meanwhile.
const waited = time.Second

// BufferedAmount is the number of payload bytes that the sends have taken and that have not been given to the network: not what compression or framing
// makes of them. What could not be sent stays counted when the connection closes, and what is sent afterwards is added.
//
// While a handler runs nothing leaves it (WHATWG: "as of the last time the event loop reached step 1"): after sends of 1, 2, 3 and 4 bytes it is 1, 3, 6 and
// 10, however quick the network is. A page that waits for 0 in a handler waits for ever; here the handler that asks, and sends nothing, for a
// second is told the truth. To wait for 0: Conn().Drain, outside of handlers.
func (w *WebSocket) BufferedAmount() uint64 {
	now := w.conn.BufferedAmount()
	w.mu.Lock()
	defer w.mu.Unlock()
	t := &w.turn
	switch {
	case !t.running:
		return now
	case t.asked.IsZero() || t.at != t.sent:
		t.asked, t.at = time.Now(), t.sent
	case time.Since(t.asked) > waited:
		return now
	}
	return max(now, t.base+t.sent) // a send in another goroutine may be in now already, and not in sent
}

// toUnicode has U+FFFD for what is not UTF-8, as the Encoding Standard's decoder does: one for each longest beginning of a
// character, or for each byte that begins none.
func toUnicode(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if r == utf8.RuneError && n == 1 {
			n = begun(s)
		}
		b.WriteRune(r)
		s = s[n:]
	}
	return b.String()
}

// begun is how many bytes at the start of s begin a character that does not follow: 1 at least.
func begun(s string) (n int) {
	for n = 1; n < len(s) && !utf8.FullRuneInString(s[:n+1]); n++ {
	}
	return n
}
