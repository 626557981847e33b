package engine

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gannet-ws/gannet/engine/internal/outgoing"
	"github.com/gannet-ws/gannet/pool"
	"github.com/gobwas/ws"
)

// What send answers, and what then is on the wire (DOM.md, "send").

// senders are the ways to send one message. Each promises the same.
var senders = []struct {
	name string
	send func(c *Conn, op Opcode, p []byte) error
}{
	{"Send", func(c *Conn, op Opcode, p []byte) error { return c.Send(op, p) }},
	{"Send NoCompress", func(c *Conn, op Opcode, p []byte) error { return c.Send(op, p, NoCompress) }},
	{"SendOwned", func(c *Conn, op Opcode, p []byte) error {
		b := c.loop.engine.pool.Get(len(p))
		b.Append(p)
		return c.SendOwned(op, b)
	}},
	{"SendPrepared", func(c *Conn, op Opcode, p []byte) error {
		prepared, err := Prepare(op, p)
		if err != nil {
			return err
		}
		return c.SendPrepared(prepared)
	}},
	{"SendText or SendBinary", func(c *Conn, op Opcode, p []byte) error {
		if op == OpText {
			return c.SendText(string(p))
		}
		return c.SendBinary(p)
	}},
}

// One call, one message, whatever its length and the way it is sent; the caller's slice stays as it was.
func TestSendOneMessageEach(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for _, n := range []int{0, 1, 125, 126, 127, 4095, 4096, 4097, 16 << 10, outgoing.CorkBytes - 1, outgoing.CorkBytes, outgoing.CorkBytes + 1, 65535, 65536, 1 << 20} {
			p := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
			for _, op := range []Opcode{OpText, OpBinary} {
				for _, way := range senders {
					mine := bytes.Clone(p)
					var sending sync.WaitGroup
					sending.Go(func() { // a large message needs a reader before the call can be judged
						if err := way.send(c, op, mine); err != nil {
							t.Errorf("%s of %d bytes: %v", way.name, n, err)
						}
						if !bytes.Equal(mine, p) {
							t.Errorf("%s changed the caller's slice", way.name)
						}
					})
					fr := f.next()
					sending.Wait() // it may hold a buffer until it returns
					if fr.Header.OpCode != op || !fr.Header.Fin || fr.Header.Rsv != 0 || !bytes.Equal(fr.Payload, p) {
						t.Fatalf("%s of %d bytes came as %+v", way.name, n, fr.Header)
					}
				}
			}
		}
		within(t, timeoutOf(5), "bufferedAmount 0", func() bool { return c.BufferedAmount() == 0 })
	})
}

// The slice is the caller's again when Send returns: what is done to it then is not sent.
func TestSendCopies(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
	f := dialForeign(t, s, 4096)
	c := d.conn()
	p := make([]byte, 100_000)
	const messages = 150 // more than the kernel takes
	for i := range messages {
		for k := range p {
			p[k] = byte(i)
		}
		if err := c.SendBinary(p); err != nil {
			t.Fatal(err)
		}
	}
	if c.BufferedAmount() == 0 {
		t.Fatal("the socket took everything: nothing was queued")
	}
	for i := range messages {
		fr := f.next()
		if len(fr.Payload) != len(p) || bytes.Count(fr.Payload, []byte{byte(i)}) != len(p) {
			t.Fatalf("message %d has other bytes", i)
		}
	}
}

func TestSendInEveryState(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Upgrade: func(u *Upgrade) {
				for _, way := range senders {
					err := way.send(u.Conn(), OpText, []byte("early"))
					if !errors.Is(err, ErrInvalidState) || errors.Is(err, ErrClosed) {
						t.Errorf("CONNECTING, %s: %v", way.name, err)
					}
				}
				if n := u.Conn().BufferedAmount(); n != 0 {
					t.Error("CONNECTING counts:", n)
				}
			},
		}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		refused := func(state ReadyState) {
			t.Helper()
			for _, way := range senders {
				before := c.BufferedAmount()
				err := way.send(c, OpText, []byte("seven b"))
				isAll(t, err, ErrClosed, ErrInvalidState, net.ErrClosed)
				if n := c.BufferedAmount() - before; n != 7 {
					t.Errorf("%v, %s adds %d to bufferedAmount, want 7", state, way.name, n)
				}
			}
			w := c.NewWriter(OpText)
			if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) || !errors.Is(w.Close(), ErrClosed) {
				t.Errorf("%v, NewWriter: %v", state, err)
			}
			isAll(t, c.Ping(nil), ErrClosed)
			if got := c.ReadyState(); got != state {
				t.Errorf("state %v, want %v", got, state)
			}
		}
		_ = c.Close()
		refused(Closing)
		f.wantsClose(1000, "") // and nothing of the above
		f.closeWith(1000, "")
		d.end()
		refused(Closed)
		f.wantsEnd()
	})
}

// Text that is not UTF-8 is refused with the offset of the first byte that can not
// continue it, nothing is counted or sent, and the connection stays as it was.
func TestSendTextMustBeUTF8(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	long := strings.Repeat("a", 100_000)
	for _, k := range []struct {
		text string
		at   int
	}{
		{"\xff", 0}, {"a\x80", 1}, {"\xc0\xaf", 0}, {"\xed\xa0\x80", 1}, {"ab\xf4\x90\x80\x80", 3},
		{"€\xe2\x82", 5}, {"\xf0\x9f\x98", 3}, {long + "\xfe", 100_000}, {"ab\xe2\x28\xa1", 3}, {"κόσμε\xc3", 11},
	} {
		for _, way := range senders {
			err := way.send(c, OpText, []byte(k.text))
			isAll(t, err, ErrInvalidUTF8, ErrSyntax)
			var where *UTF8Error
			if !errors.As(err, &where) || where.Offset != k.at {
				t.Errorf("%s of %.20q: %v, want the offset %d", way.name, k.text, err, k.at)
			} else if !strings.Contains(err.Error(), fmt.Sprint(k.at)) {
				t.Errorf("the message does not say where: %v", err)
			}
		}
		if n := c.BufferedAmount(); n != 0 || c.ReadyState() != Open {
			t.Fatal("counted, or closed:", n, c.ReadyState())
		}
	}
	// As binary the same bytes may be sent; text keeps noncharacters and a byte-order mark.
	kept := "\ufeff\uffff\x00\U0010ffff"
	if err := errors.Join(c.SendBinary([]byte("\xff")), c.SendText(kept)); err != nil {
		t.Fatal(err)
	}
	f.wants(ws.OpBinary, "\xff")
	f.wants(ws.OpText, kept)
}

// The offset is right for random damage at random places, against the obvious twin.
func TestSendUTF8OffsetTwin(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		p := []byte(strings.Repeat("aé€😀", 8)[r.IntN(10):][:1+r.IntN(20)])
		p[r.IntN(len(p))] = byte(r.Uint32())
		err := checkText(p)
		if utf8.Valid(p) {
			if err != nil {
				t.Fatalf("%q: %v", p, err)
			}
			continue
		}
		var where *UTF8Error
		if !errors.As(err, &where) || where.Offset != firstImpossible(p) {
			t.Fatalf("%q: %v, want %d", p, err, firstImpossible(p))
		}
	}
}

// firstImpossible tries for each prefix whether any continuation makes it valid.
func firstImpossible(p []byte) int {
	for n := 1; n <= len(p); n++ {
		if !continuable(p[:n]) {
			return n - 1
		}
	}
	return len(p)
}

func continuable(p []byte) bool {
	if utf8.Valid(p) {
		return true
	}
	for _, tail := range []string{"\x80", "\x90", "\xa0", "\x80\x80", "\x90\x80", "\xa0\x80", "\x80\x80\x80", "\x90\x80\x80"} {
		if utf8.Valid(append(bytes.Clone(p), tail...)) {
			return true
		}
	}
	return false
}

func TestSendOpcodes(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	dialForeign(t, s, 0)
	c := d.conn()
	for op := range Opcode(16) {
		if op == OpText || op == OpBinary {
			continue
		}
		for _, way := range senders[:4] {
			isAll(t, way.send(c, op, []byte("x")), ErrSyntax)
		}
		_, err := c.NewWriter(op).Write([]byte("x"))
		isAll(t, err, ErrSyntax)
	}
	isAll(t, c.Ping(make([]byte, 126)), ErrSyntax)
	if n := c.BufferedAmount(); n != 0 || c.ReadyState() != Open {
		t.Error(n, c.ReadyState())
	}
}

// One byte over the ceiling is refused by its length alone: no byte of it is looked at.
func TestSendTooBig(t *testing.T) {
	if uint64(math.MaxInt) <= MaxMessage {
		t.Skip("no slice is longer than the ceiling here")
	}
	size := int64(MaxMessage)
	over, free := untouchable(int(size + 1))
	defer free()
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	for _, op := range []Opcode{OpText, OpBinary} {
		isAll(t, c.Send(op, over), ErrMessageTooBig)
		_, err := Prepare(op, over)
		isAll(t, err, ErrMessageTooBig)
		w := c.NewWriter(op)
		_, err = w.Write(over)
		isAll(t, err, ErrMessageTooBig)
		if err := w.Close(); err != nil {
			t.Error(err)
		}
		f.wants(op, "") // what the writer sent in the end
	}
	within(t, timeoutOf(5), "nothing queued", func() bool { return c.BufferedAmount() == 0 })
	if c.ReadyState() != Open {
		t.Error("state:", c.ReadyState())
	}
	_ = c.SendText("still open")
	f.wants(ws.OpText, "still open")
}

// The ceiling itself passes, into an empty queue and whatever MaxBufferedAmount is. The
// buffer's pages are never written, so they cost nothing.
func TestSendExactlyTheCeiling(t *testing.T) {
	if strconv.IntSize == 32 {
		t.Skip("a 32-bit process has no room for a message of 2 GiB")
	}
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	dialForeign(t, s, 4096)
	c := d.conn()
	b := s.pool.Get(MaxMessage)
	b.B = b.B[:MaxMessage]
	b.Retain()
	if err := c.SendOwned(OpBinary, b); err != nil {
		t.Error(err)
	}
	if n := c.BufferedAmount(); n != MaxMessage {
		t.Error("bufferedAmount:", n)
	}
	if n := b.Refs(); n != 2 {
		t.Error("references while it is queued:", n)
	}
	c.Terminate()
	d.end()
	if n := b.Refs(); n != 1 {
		t.Error("references after the end:", n)
	}
	b.Release()
	if n := c.BufferedAmount(); n != MaxMessage {
		t.Error("bufferedAmount after the end:", n)
	}
}

// SendOwned takes over exactly one reference, whatever it answers.
func TestSendOwnedReferences(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	owned := func(p string) *pool.Buffer {
		b := s.pool.Get(len(p))
		b.Append([]byte(p))
		b.Retain() // ours, to look at
		return b
	}
	released := func(b *pool.Buffer, what string) {
		t.Helper()
		within(t, timeoutOf(5), what+": one reference left", func() bool { return b.Refs() == 1 })
		b.Release()
	}
	large := strings.Repeat("x", 100_000)
	for _, p := range []string{"", "small", large} {
		b := owned(p)
		if err := c.SendOwned(OpText, b); err != nil {
			t.Fatal(err)
		}
		f.wants(ws.OpText, p)
		released(b, "sent")
	}
	for what, send := range map[string]func(b *pool.Buffer) error{
		"an opcode": func(b *pool.Buffer) error { return c.SendOwned(OpPing, b) },
		"not UTF-8": func(b *pool.Buffer) error { b.B[0] = 0xff; return c.SendOwned(OpText, b) },
	} {
		b := owned(large)
		isAll(t, send(b), ErrSyntax)
		released(b, what)
	}
	w := c.NewWriter(OpText)
	b := owned(large)
	if err := c.SendOwned(OpText, b); err != nil || b.Refs() != 2 {
		t.Error("behind a writer:", err, b.Refs())
	}
	_ = w.Close()
	f.wants(ws.OpText, "")
	f.wants(ws.OpText, large)
	released(b, "behind a writer")
	_ = c.Close()
	b = owned(large)
	isAll(t, c.SendOwned(OpText, b), ErrClosed)
	released(b, "closing")
}

// Sends from many goroutines: each message whole, each goroutine's in its order.
func TestSendFromManyGoroutines(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		const goroutines, each = 16, 60
		d := newDiary(t)
		s := m.start(t, d.handler(echoHandler), Options{Limits: Limits{MaxBufferedAmount: -1}})
		f := dialForeign(t, s, 0)
		c := d.conn()
		filler := strings.Repeat("-", 9000)
		for g := range goroutines {
			go func() {
				for i := range each {
					text := fmt.Sprintf("%d %d %s", g, i, filler[:(g*97+i*631)%len(filler)])
					if err := senders[(g+i)%len(senders)].send(c, OpText, []byte(text)); err != nil {
						t.Error(err)
					}
				}
			}()
		}
		var next [goroutines]int
		for range goroutines * each {
			var g, i int
			fr := f.next()
			if _, err := fmt.Sscanf(string(fr.Payload), "%d %d", &g, &i); err != nil || next[g] != i {
				t.Fatalf("%.20q, want the number %d: %v", fr.Payload, next[g], err)
			}
			if want := fmt.Sprintf("%d %d ", g, i); len(fr.Payload) != len(want)+(g*97+i*631)%len(filler) {
				t.Fatalf("%.20q has %d bytes", fr.Payload, len(fr.Payload))
			}
			next[g]++
		}
		within(t, timeoutOf(5), "bufferedAmount 0", func() bool { return c.BufferedAmount() == 0 })
	})
}

// HOSTILE.md: Send, Close and Terminate from 64 goroutines at once. Exactly one OnClose,
// and every byte either left or stays counted.
func TestSendCloseTerminateAtOnce(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{CloseTimeout: time.Second}})
		const conns = 6
		for i := range conns {
			f := dialForeign(t, s, 0)
			c := d.conn()
			go f.drain()
			var all sync.WaitGroup
			for g := range 64 {
				all.Add(1)
				go func() {
					defer all.Done()
					for k := range 20 {
						_ = senders[g%len(senders)].send(c, OpText, []byte("message"))
						switch {
						case g == 63 && k == 10 && i%2 == 0:
							c.Terminate()
						case g >= 60 && k == 10:
							_ = c.CloseWith(3000+g, "")
						case g == 50:
							_ = c.Ping(nil)
						case g == 51:
							c.Pause()
						}
					}
				}()
			}
			all.Wait()
			f.raw.Close() // whatever it came to: here it ends
			d.end()
			if c.ReadyState() != Closed {
				t.Error(c.ReadyState())
			}
		}
		settled(t, s)
		select {
		case e := <-d.closed:
			t.Errorf("one OnClose too many: %+v", e)
		default:
		}
		if st := s.Stats(); st.BytesOut != 7*st.MessagesOut {
			t.Errorf("%d messages out, %d bytes", st.MessagesOut, st.BytesOut)
		}
	})
}
