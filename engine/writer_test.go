package engine

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gobwas/ws"
)

// A message in fragments (Conn.NewWriter).

func (f *foreign) wantsFrame(op ws.OpCode, fin bool, payload string) {
	f.t.Helper()
	fr := f.next()
	if fr.Header.OpCode != op || fr.Header.Fin != fin || string(fr.Payload) != payload {
		f.t.Fatalf("got %v fin=%v %.60q, want %v fin=%v %.60q", fr.Header.OpCode, fr.Header.Fin, fr.Payload, op, fin, payload)
	}
}

func TestWriterFragments(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		large := strings.Repeat("x", 70_000)
		w := c.NewWriter(OpText)
		for _, p := range []string{"one", "", "two", large} {
			if n, err := io.WriteString(w, p); n != len(p) || err != nil {
				t.Fatal(n, err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.wantsFrame(ws.OpText, false, "one")
		f.wantsFrame(ws.OpContinuation, false, "two")
		f.wantsFrame(ws.OpContinuation, false, large)
		f.wantsFrame(ws.OpContinuation, true, "")
		if _, err := w.Write([]byte("x")); err != ErrInvalidState {
			t.Error("Write after Close:", err)
		}
		if err := w.Close(); err != ErrInvalidState {
			t.Error("Close twice:", err)
		}
		if err := c.NewWriter(OpBinary).Close(); err != nil { // an empty message is one too
			t.Error(err)
		}
		f.wantsFrame(ws.OpBinary, true, "")
		within(t, timeoutOf(5), "bufferedAmount 0, two messages counted", func() bool {
			return c.BufferedAmount() == 0 && s.Stats().MessagesOut == 2
		})
		if st := s.Stats(); st.BytesOut != uint64(6+len(large)) {
			t.Error("bytes out:", st.BytesOut)
		}
	})
}

// While a writer is open other data waits behind it and is counted; control frames pass.
func TestWriterInterleaved(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		large := bytes.Repeat([]byte("L"), 20_000)
		w := c.NewWriter(OpText)
		if _, err := c.NewWriter(OpText).Write([]byte("x")); err != ErrInvalidState {
			t.Error("a second writer:", err)
		}
		_, _ = io.WriteString(w, "first ")
		f.wantsFrame(ws.OpText, false, "first ")
		for i, way := range senders {
			p := large
			if i%2 == 0 {
				p = []byte(way.name)
			}
			if err := way.send(c, OpText, p); err != nil {
				t.Fatal(way.name, err)
			}
		}
		counted := uint64(len("first "))
		for i, way := range senders {
			if i%2 == 0 {
				counted += uint64(len(way.name))
			} else {
				counted += uint64(len(large))
			}
		}
		if n := c.BufferedAmount(); n != counted {
			t.Errorf("bufferedAmount %d, want %d", n, counted)
		}
		_ = c.Ping([]byte("passes"))
		f.wants(ws.OpPing, "passes")
		f.send(ws.OpPing, true, "answered")
		f.wants(ws.OpPong, "answered")
		_, _ = io.WriteString(w, "last")
		f.wantsFrame(ws.OpContinuation, false, "last")
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.wantsFrame(ws.OpContinuation, true, "")
		for i, way := range senders {
			if i%2 == 0 {
				f.wantsFrame(ws.OpText, true, way.name)
			} else {
				f.wantsFrame(ws.OpText, true, string(large))
			}
		}
		within(t, timeoutOf(5), "bufferedAmount 0", func() bool { return c.BufferedAmount() == 0 })
	})
}

// What waits costs little more than its bytes, in order: small messages share buffers.
func TestManySmallMessagesBehindAWriter(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		w := c.NewWriter(OpText)
		_, _ = io.WriteString(w, "open")
		const messages = 3000
		bytesSent := 0
		text := func(i int) string { return strings.Repeat(strconv.Itoa(i), i%7) }
		for i := range messages {
			if err := c.SendText(text(i)); err != nil {
				t.Fatal(err)
			}
			bytesSent += len(text(i))
		}
		if b := s.Stats().Buffers; b.OutBytes > int64(bytesSent*5/4+2*outgoing.TailBytes) {
			t.Errorf("%d buffers of %d bytes for %d bytes of messages", b.Out, b.OutBytes, bytesSent)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		f.wantsFrame(ws.OpText, false, "open")
		f.wantsFrame(ws.OpContinuation, true, "")
		for i := range messages {
			f.wantsFrame(ws.OpText, true, text(i))
		}
		within(t, timeoutOf(5), "no buffer out", func() bool { return s.Stats().Buffers.Out == 0 })
	})
}

// A writer used inside a callback, and one that outlives its callback.
func TestWriterInsideACallback(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		var w io.WriteCloser
		s := m.start(t, Funcs{Message: func(c *Conn, msg Message) {
			if string(msg.Data) == "begin" {
				w = c.NewWriter(OpText)
				_, _ = io.WriteString(w, "a")
				_ = c.SendText("behind")
				return
			}
			_, _ = io.WriteString(w, "b")
			_ = w.Close()
			_ = c.SendText("after")
		}}, Options{})
		f := dialForeign(t, s, 0)
		f.text("begin")
		f.wantsFrame(ws.OpText, false, "a")
		f.text("end")
		f.wantsFrame(ws.OpContinuation, false, "b")
		f.wantsFrame(ws.OpContinuation, true, "")
		f.wantsFrame(ws.OpText, true, "behind")
		f.wantsFrame(ws.OpText, true, "after")
	})
}

// Text across fragments is UTF-8 as a whole. A fragment that can not be is refused with
// its place in the message, and the message goes on without it.
func TestWriterUTF8(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	w := c.NewWriter(OpText)
	offset := func(err error) int {
		t.Helper()
		isAll(t, err, ErrInvalidUTF8, ErrSyntax)
		var where *UTF8Error
		if !errors.As(err, &where) {
			t.Fatal(err)
		}
		return where.Offset
	}
	_, _ = io.WriteString(w, "ab\xe2\x82")
	if _, err := io.WriteString(w, "\x28"); offset(err) != 4 {
		t.Error(err)
	}
	if err := w.Close(); offset(err) != 4 {
		t.Error("Close inside a code point:", err)
	}
	if n, err := io.WriteString(w, "\xacc"); n != 2 || err != nil {
		t.Error("the code point's end:", n, err)
	}
	if n, err := io.WriteString(w, "d\xff"); n != 0 || offset(err) != 7 {
		t.Error(n, err)
	}
	if n := c.BufferedAmount(); n != 6 {
		t.Error("refused bytes are counted:", n)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	f.wantsFrame(ws.OpText, false, "ab\xe2\x82")
	f.wantsFrame(ws.OpContinuation, false, "\xacc")
	f.wantsFrame(ws.OpContinuation, true, "")
	w = c.NewWriter(OpBinary)
	_, _ = w.Write([]byte{0xff})
	if err := w.Close(); err != nil {
		t.Error("binary:", err)
	}
}

// Close aborts a writer that has begun: its message stays unfinished, those behind it can
// not be sent any more, and all of it stays counted.
func TestWriterAbortedByClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		w := c.NewWriter(OpText)
		_, _ = io.WriteString(w, "begun")
		f.wantsFrame(ws.OpText, false, "begun")
		_ = c.SendText("behind")
		_ = c.CloseWith(3000, "no more")
		if n, err := io.WriteString(w, "xyz"); n != 0 || err != ErrClosed {
			t.Error("Write while CLOSING:", n, err)
		}
		if err := w.Close(); err != ErrClosed {
			t.Error("Close while CLOSING:", err)
		}
		f.wantsClose(3000, "no more")
		f.closeWith(3000, "")
		if e := d.end(); !e.WasClean {
			t.Errorf("%+v", e)
		}
		if n := c.BufferedAmount(); n != 5+6+3 {
			t.Error("bufferedAmount:", n)
		}
		if st := s.Stats(); st.MessagesOut != 0 {
			t.Error("messages out:", st.MessagesOut)
		}
	})
}

// A writer that has not begun holds nobody up: what waited behind it leaves before the Close frame.
func TestWriterNotBegunAtClose(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		w := c.NewWriter(OpText)
		_ = c.SendText("queued")
		_ = c.SendText("messages leave")
		_ = c.Close()
		f.wants(ws.OpText, "queued")
		f.wants(ws.OpText, "messages leave")
		f.wantsClose(1000, "")
		f.closeWith(1000, "")
		d.end()
		if err := w.Close(); err != ErrClosed {
			t.Error(err)
		}
		if n := c.BufferedAmount(); n != 0 {
			t.Error(n)
		}
	})
}

// What waits behind a writer counts against MaxBufferedAmount.
func TestWriterAndMaxBufferedAmount(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Limits: Limits{MaxBufferedAmount: 1000, Overflow: DropMessage}})
	f := dialForeign(t, s, 0)
	c := d.conn()
	w := c.NewWriter(OpBinary)
	if err := c.SendBinary(make([]byte, 900)); err != nil {
		t.Fatal(err)
	}
	if err := c.SendBinary(make([]byte, 200)); err != ErrBufferFull {
		t.Error("over the limit behind a writer:", err)
	}
	if n := c.BufferedAmount(); n != 900 {
		t.Error(n)
	}
	_ = w.Close()
	f.wantsFrame(ws.OpBinary, true, "")
	f.wantsFrame(ws.OpBinary, true, string(make([]byte, 900)))
	if n := s.Stats().MessagesDropped; n != 1 {
		t.Error("dropped:", n)
	}
}
