package main

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/engine"
)

var echoes = []conversation{
	{"echo of every length", anything, echoOfEveryLength},
	{"fragments sent", anything, fragmentsSent},
	{"fragments received", anything, fragmentsReceived},
	{"pings sent", anything, pingsSent},
	{"pings received", anything, pingsReceived},
	{"messages right after the answer", anything, messagesAfterAnswer},
	{"ten thousand small messages", anything, tenThousand},
	{"a client that reads slowly", anything, slowClient},
	{"a server that reads slowly", anything, slowServer},
}

// lengths are those at which a frame's header changes, and larger ones (RFC 6455 5.2).
var lengths = []int{0, 1, 125, 126, 127, 65535, 65536, 1 << 20, 16 << 20}

// prose is text of exactly n bytes with characters of one to four bytes.
func prose(n int) []byte {
	const line = "Die Möwe 🐦 fliegt über 日本 and says nothing. "
	b := bytes.Repeat([]byte(line), n/len(line))
	return append(b, strings.Repeat("x", n-len(b))...)
}

// noise is n bytes that no compressor makes shorter.
func noise(n int) []byte {
	b := make([]byte, n)
	random := rand.NewChaCha8([32]byte{byte(n)})
	random.Read(b)
	return b
}

// echoed sends a message and waits for it as the n-th.
func (t *talk) echoed(c *engine.Conn, n int, op engine.Opcode, data []byte) {
	err := c.Send(op, data)
	t.want(err == nil, "Send of %d bytes: %v", len(data), err)
	t.same(n, op, data)
}

// same waits for the n-th message, and compares it.
func (t *talk) same(n int, op engine.Opcode, data []byte) {
	m := t.message(n)
	t.want(m.op == op && bytes.Equal(m.data, data), "message %d: opcode %d and %d bytes were sent, %d and %d came: %.60q",
		n, op, len(data), m.op, len(m.data), m.data)
}

func echoOfEveryLength(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	for i, n := range lengths {
		t.echoed(c, 2*i, engine.OpText, prose(n))
		t.echoed(c, 2*i+1, engine.OpBinary, noise(n))
	}
	t.closeCleanly(c, "open message close")
}

// fragmentsSent: empty fragments are legal, and one may end inside a character.
func fragmentsSent(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	text := prose(200_000)
	for i, cuts := range [][]int{{0, 0}, {1, 100, 100, 101}, {125, 251, 66_000}, {11, 12, 13, 14, 15, 16}} {
		w := c.NewWriter(engine.OpText)
		from := 0
		for _, cut := range append(cuts, len(text)) {
			_, err := w.Write(text[from:cut])
			t.want(err == nil, "a fragment: %v", err)
			t.want(c.Ping([]byte("between")) == nil, "a ping between fragments was refused")
			from = cut
		}
		t.want(w.Close() == nil, "the last fragment was refused")
		t.same(i, engine.OpText, text)
	}
	w := c.NewWriter(engine.OpBinary)
	_, err := io.Copy(w, bytes.NewReader(noise(300_000)))
	t.want(err == nil && w.Close() == nil, "copying into fragments: %v", err)
	t.same(4, engine.OpBinary, noise(300_000))
	t.closeCleanly(c, "open message close")
}

// fragmentsReceived: the server answers in three fragments, with a ping between them.
func fragmentsReceived(t *talk) {
	c := t.open("/fragments", engine.DialOptions{})
	for i, n := range []int{3, 300, 70_000, 1 << 20} {
		t.echoed(c, 2*i, engine.OpText, prose(n))
		t.echoed(c, 2*i+1, engine.OpBinary, noise(n))
	}
	t.closeCleanly(c, "open message close")
}

func pingsSent(t *talk) {
	c := t.open("/echo", engine.DialOptions{})
	payloads := []string{"", "p", strings.Repeat("q", 125)}
	for i, p := range payloads {
		t.want(c.Ping([]byte(p)) == nil, "Ping answered an error")
		t.await("the pong", func(h *heard) bool { return len(h.pongs) > i && h.pongs[i] == p })
	}
	t.want(c.Ping(make([]byte, 126)) != nil, "a ping of 126 bytes was sent")
	t.echoed(c, 0, engine.OpText, []byte("still there"))
	t.closeCleanly(c, "open message close")
}

// pingsReceived: the server pings with what we send, and says "pong" and the payload when it is answered.
func pingsReceived(t *talk) {
	c := t.open("/ping", engine.DialOptions{})
	for i, p := range []string{"p", strings.Repeat("q", 125)} {
		t.want(c.SendText(p) == nil, "SendText answered an error")
		t.same(i, engine.OpText, []byte("pong "+p))
		t.await("the ping", func(h *heard) bool { return len(h.pings) > i && h.pings[i] == p })
	}
	t.closeCleanly(c, "open message close")
}

// greeting is the n-th message of /greet.
func greeting(n, size int) []byte {
	b := fmt.Appendf(nil, "%d", n)
	return append(b, bytes.Repeat([]byte("."), max(0, size-len(b)))...)
}

// messagesAfterAnswer: what stands behind the answer is the first frames.
func messagesAfterAnswer(t *talk) {
	for range 20 {
		c := t.open("/greet?count=5&size=1", engine.DialOptions{})
		for i := range 5 {
			t.same(i, engine.OpText, greeting(i, 1))
		}
		t.closeCleanly(c, "open message close")
	}
}

func tenThousand(t *talk) {
	const count = 10_000
	c := t.open("/echo", engine.DialOptions{})
	for i := range count {
		err := c.SendText(fmt.Sprint("message ", i))
		t.want(err == nil, "SendText %d: %v", i, err)
	}
	t.message(count - 1)
	for i := range count {
		t.same(i, engine.OpText, fmt.Append(nil, "message ", i))
	}
	t.want(c.BufferedAmount() == 0, "all has come back, and BufferedAmount is %d", c.BufferedAmount())
	t.closeCleanly(c, "open message close")
}

// slowClient does not read for a while: the server has to wait, and loses nothing.
func slowClient(t *talk) {
	const count, size = 300, 64 << 10
	t.opened = func(c *engine.Conn) { c.Pause() }
	c := t.open(fmt.Sprintf("/greet?count=%d&size=%d", count, size), engine.DialOptions{})
	time.Sleep(300 * time.Millisecond)
	t.await("nothing while paused", func(h *heard) bool { return len(h.messages) == 0 })
	c.Resume()
	for i := range count {
		t.same(i, engine.OpText, greeting(i, size))
	}
	t.closeCleanly(c, "open message close")
}

// slowServer reads nothing for half a second, and then echoes while we may have more to say: nobody waits for ever, and all arrives.
func slowServer(t *talk) {
	const count, size = 150, 256 << 10 // more than the kernels on the way hold, less than MaxBufferedAmount
	c := t.open("/slow", engine.DialOptions{})
	data := noise(size)
	for i := range count {
		err := c.SendBinary(data)
		t.want(err == nil, "SendBinary %d: %v", i, err)
	}
	waiting := c.BufferedAmount()
	t.want(waiting <= count*size, "BufferedAmount is %d of %d", waiting, count*size)
	for i := range count {
		t.same(i, engine.OpBinary, data)
	}
	t.want(c.BufferedAmount() == 0, "all has come back, and BufferedAmount is %d", c.BufferedAmount())
	t.closeCleanly(c, "open message close")
}
