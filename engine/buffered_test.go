package engine

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/codec"
	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// bufferedAmount, to the byte (DOM.md, "bufferedAmount").

// Inside one handler nothing leaves before its end: 1, 3, 6, 10 after sends of 1, 2, 3, 4 bytes.
func TestBufferedAmountInsideAHandler(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		counted, ponged := make(chan []uint64, 4), make(chan struct{})
		count := func(c *Conn) {
			var got []uint64
			for _, p := range []string{"a", "bb", "ccc", "dddd", "", "¥¥¥¥¥¥"} {
				if err := c.SendText(p); err != nil {
					t.Error(err)
				}
				got = append(got, c.BufferedAmount())
			}
			counted <- got
		}
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{
			Open:    func(c *Conn) { count(c) },
			Message: func(c *Conn, _ Message) { count(c) },
			Ping: func(c *Conn, _ []byte) {
				if m.workers != 0 {
					<-ponged // the loop answers, and takes along what a worker has said before
				}
				count(c)
			},
		}), Options{})
		f := dialForeign(t, s, 0)
		c := d.conn()
		for _, begin := range []func(){
			func() {}, // OnOpen
			func() { f.text("go") },
			func() {
				f.send(ws.OpPing, true, "")
				if fr := f.next(); fr.Header.OpCode != ws.OpPong {
					t.Fatalf("got %v, want a pong", fr.Header.OpCode)
				}
				close(ponged)
			},
			func() { _ = c.Post(count) },
		} {
			begin()
			got := receive(t, counted, "the counts")
			for i, want := range []uint64{1, 3, 6, 10, 10, 22} {
				if got[i] != want {
					t.Fatalf("bufferedAmount %v, want 1 3 6 10 10 22", got)
				}
			}
			for _, want := range []string{"a", "bb", "ccc", "dddd", "", "¥¥¥¥¥¥"} {
				if fr := f.next(); fr.Header.OpCode != ws.OpText || string(fr.Payload) != want {
					t.Fatalf("got %v %q, want %q", fr.Header.OpCode, fr.Payload, want)
				}
			}
		}
		within(t, timeoutOf(5), "exactly 0", func() bool { return c.BufferedAmount() == 0 })
	})
}

// Other goroutines' sends count the same while a callback holds the cork.
func TestBufferedAmountOfOthersDuringACallback(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		inside, sent := make(chan *Conn), make(chan struct{})
		got := make(chan uint64, 1)
		s := m.start(t, Funcs{Message: func(c *Conn, _ Message) {
			_ = c.SendText("12345")
			inside <- c
			<-sent
			got <- c.BufferedAmount()
		}}, Options{})
		f := dialForeign(t, s, 0)
		f.text("go")
		c := receive(t, inside, "OnMessage")
		_ = c.SendText("678")
		close(sent)
		if n := receive(t, got, "the count"); n != 8 {
			t.Error("bufferedAmount:", n)
		}
		f.wants(ws.OpText, "12345")
		f.wants(ws.OpText, "678")
	})
}

// meter is a system whose socket takes as many bytes as there is credit for.
type meter struct {
	nullSystem
	input   []byte
	credit  int
	taken   []byte
	watched netio.Interest
	late    time.Duration // how much time has passed that nobody waited for
}

func (m *meter) Now() time.Duration { return m.nullSystem.Now() + m.late }

func (m *meter) Read(_ int, p []byte) (int, error) {
	n := copy(p, m.input)
	m.input = m.input[n:]
	if n == 0 {
		return 0, netio.ErrAgain
	}
	return n, nil
}

func (m *meter) Write(_ int, p []byte) (int, error) {
	n := min(len(p), m.credit)
	m.credit -= n
	m.taken = append(m.taken, p[:n]...)
	if n == 0 && len(p) > 0 {
		return 0, netio.ErrAgain
	}
	return n, nil
}

func (m *meter) Writev(fd int, v [][]byte) (total int, err error) {
	for _, p := range v {
		n, err := m.Write(fd, p)
		total += n
		if n < len(p) {
			if total > 0 {
				err = nil
			}
			return total, err
		}
	}
	return total, nil
}

// meteredConn is an open connection whose loop the test turns by hand.
func meteredConn(t *testing.T, h Handler, o Options) (*loop, *meter, *Conn) {
	t.Helper()
	o.Loops = 1
	s, err := NewServer(h, o)
	if err != nil {
		t.Fatal(err)
	}
	m := &meter{credit: 1 << 20}
	m.start = time.Now()
	l := s.newLoop(m, nil, nil)
	s.loops.Store(&[]*loop{l})
	l.adopt(arrival{fd: 5})
	m.input = []byte("GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	l.OnEvent(5, netio.Readable)
	l.OnBatchEnd()
	c := l.table.get(5)
	if c.ReadyState() != Open {
		t.Fatal("not open")
	}
	m.credit, m.taken = 0, nil
	t.Cleanup(func() {
		c.Terminate()
		l.OnWake()
		l.OnWake()
		if n := s.Stats().Buffers.Out; n != 0 {
			t.Errorf("%d buffers are still out: %v", n, s.pool.Leaks())
		}
	})
	return l, m, c
}

// room gives the socket room for n bytes more.
func (m *meter) room(l *loop, n int) {
	m.credit += n
	l.OnWake() // the letter that asks to be told of room
	l.OnEvent(5, netio.Writable)
	l.OnWake()
}

// A message counts until its last byte has left, framing and control frames never.
func TestBufferedAmountByteByByte(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{})
	sizes := []int{1, 5, 0, 125, 126, 300, 4096, 5000, 0, 20_000, 3}
	var ends, payloads []int
	stream := 0
	for i, n := range sizes {
		if i == 4 { // a control frame in between counts nothing
			_ = c.Ping([]byte("ping"))
			stream += 6
		}
		p := bytes.Repeat([]byte{byte(i)}, n)
		if err := senders[i%4].send(c, OpBinary, p); err != nil {
			t.Fatal(err)
		}
		stream += n + len(codec.AppendHeader(nil, OpBinary, true, false, uint64(n)))
		ends, payloads = append(ends, stream), append(payloads, n)
	}
	r := rand.New(rand.NewPCG(3, 4))
	for left := 0; ; {
		var want uint64
		for i := range ends {
			if ends[i] > left {
				want += uint64(payloads[i])
			}
		}
		if n := c.BufferedAmount(); n != want {
			t.Fatalf("after %d of %d bytes: %d, want %d", left, stream, n, want)
		}
		if left == stream {
			break
		}
		step := min(1+r.IntN(1+r.IntN(700)), stream-left)
		m.room(l, step)
		left += step
		if len(m.taken) != left {
			t.Fatalf("%d bytes were taken, want %d", len(m.taken), left)
		}
	}
	if st := l.engine.snapshot(); st.MessagesOut != uint64(len(sizes)) || st.BytesOut != 29_656 {
		t.Error(st.MessagesOut, st.BytesOut)
	}
}

// A fragmented message counts as a whole, until its last frame has left.
func TestBufferedAmountOfFragments(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{})
	w := c.NewWriter(OpBinary)
	for _, n := range []int{10, 20, 30} {
		if k, err := w.Write(make([]byte, n)); k != n || err != nil {
			t.Fatal(k, err)
		}
	}
	if n := c.BufferedAmount(); n != 60 {
		t.Error("three fragments:", n)
	}
	m.room(l, 1<<20)
	if n := c.BufferedAmount(); n != 60 || len(m.taken) != 66 {
		t.Error("all fragments left, the message has not:", n, len(m.taken))
	}
	m.credit = 1
	_ = c.SendText("behind")
	if n := c.BufferedAmount(); n != 66 {
		t.Error("with one behind:", n)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if n := c.BufferedAmount(); n != 66 {
		t.Error("half of the last frame left:", n)
	}
	m.room(l, 1)
	if n := c.BufferedAmount(); n != 6 {
		t.Error("the last frame left:", n)
	}
	m.room(l, 8)
	if n := c.BufferedAmount(); n != 0 {
		t.Error("all left:", n)
	}
}

// Closing resets nothing; what could not be delivered stays, and each further send adds to it.
func TestBufferedAmountIsNotReset(t *testing.T) {
	l, m, c := meteredConn(t, Funcs{}, Options{})
	for range 3 {
		_ = c.SendBinary(make([]byte, 100))
	}
	m.room(l, 102) // the first leaves
	if n := c.BufferedAmount(); n != 200 {
		t.Fatal(n)
	}
	_ = c.Close()
	if n := c.BufferedAmount(); n != 200 || c.ReadyState() != Closing {
		t.Error("after Close:", n, c.ReadyState())
	}
	if err := c.SendText("12345"); err != ErrClosed {
		t.Error(err)
	}
	if n := c.BufferedAmount(); n != 205 {
		t.Error("a send while CLOSING:", n)
	}
	m.room(l, 102) // the second leaves, CLOSING or not
	if n := c.BufferedAmount(); n != 105 {
		t.Error("after the second:", n)
	}
	c.Terminate()
	l.OnWake()
	if n := c.BufferedAmount(); n != 105 || c.ReadyState() != Closed {
		t.Error("after the end:", n, c.ReadyState())
	}
	_ = c.SendText("678")
	_ = c.SendOwned(OpText, l.engine.pool.Get(0))
	if n := c.BufferedAmount(); n != 108 {
		t.Error("a send in CLOSED:", n)
	}
	isAll(t, c.Drain(context.Background()), ErrClosed)
}

// Over a real socket with a slow reader: never more than was sent, never growing by
// itself, and exactly 0 in the end.
func TestBufferedAmountWithASlowReader(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		const size, messages = 50_000, 200
		p := make([]byte, size)
		for range messages {
			if err := c.SendBinary(p); err != nil {
				t.Fatal(err)
			}
		}
		before := c.BufferedAmount()
		if before == 0 || before%size != 0 || before > size*messages {
			t.Fatal("bufferedAmount with nobody reading:", before)
		}
		for i := range messages {
			if fr := f.next(); len(fr.Payload) != size {
				t.Fatal(len(fr.Payload))
			}
			n := c.BufferedAmount()
			if n > before || n%size != 0 || n > uint64(messages-1-i)*size {
				t.Fatalf("after %d messages were read: %d, before it %d", i+1, n, before)
			}
			before = n
		}
		within(t, timeoutOf(5), "exactly 0", func() bool { return c.BufferedAmount() == 0 })
		within(t, timeoutOf(5), "all is counted", func() bool { return s.Stats().MessagesOut == messages })
		if n := s.Stats().BytesOut; n != size*messages {
			t.Error(n)
		}
	})
}

// What was lost with the transport stays counted.
func TestBufferedAmountOfALostConnection(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		for range 200 {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		f.reset()
		d.end()
		n := c.BufferedAmount()
		if n == 0 || n%50_000 != 0 {
			t.Error("bufferedAmount after the loss:", n)
		}
		_ = c.SendText(strings.Repeat("x", 7))
		if c.BufferedAmount() != n+7 {
			t.Error("a send in CLOSED:", c.BufferedAmount())
		}
		st := s.Stats()
		if st.BytesOut+n != 200*50_000 {
			t.Errorf("%d bytes left and %d did not, of %d", st.BytesOut, n, 200*50_000)
		}
	})
}

// Drain waits for 0, and knows when it can not come.
func TestDrain(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		fromCallback := make(chan error, 1)
		d := newDiary(t)
		s := m.start(t, d.handler(Funcs{Message: func(c *Conn, _ Message) {
			fromCallback <- c.Drain(context.Background())
		}}), Options{Limits: Limits{HighWater: 64 << 20}})
		f := dialForeign(t, s, 4096)
		c := d.conn()
		background := context.Background()
		if err := c.Drain(background); err != nil {
			t.Error("with nothing queued:", err)
		}
		f.text("drain in a callback")
		if err := receive(t, fromCallback, "Drain's answer"); m.workers == 0 && err != ErrOnLoop || m.workers != 0 && err != nil {
			t.Error("inside a callback:", err)
		}
		const messages = 200
		for range messages {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		short, cancel := context.WithTimeout(background, 20*time.Millisecond)
		defer cancel()
		if err := c.Drain(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Error("with nobody reading:", err)
		}
		drained := make(chan error, 2)
		for range 2 {
			go func() { drained <- c.Drain(background) }()
		}
		for range messages {
			f.next()
		}
		for range 2 {
			if err := receive(t, drained, "Drain"); err != nil {
				t.Error("all read:", err)
			}
		}
		if n := c.BufferedAmount(); n != 0 {
			t.Error("after Drain:", n)
		}
		for range messages {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		go func() { drained <- c.Drain(background) }()
		within(t, timeoutOf(5), "a waiter", func() bool {
			c.mu.Lock()
			defer c.unlock()
			return !c.out.Idle() && c.out.Waiters() == 1
		})
		c.Terminate()
		if err := receive(t, drained, "Drain"); err != ErrClosed {
			t.Error("terminated while waiting:", err)
		}
		d.end()
		if err := c.Drain(background); err != ErrClosed {
			t.Error("closed with bytes undelivered:", err)
		}
	})
}

// A clean end leaves nothing to wait for.
func TestDrainAfterACleanEnd(t *testing.T) {
	d := newDiary(t)
	s := startServer(t, d.handler(Funcs{}), Options{})
	f := dialForeign(t, s, 0)
	c := d.conn()
	_ = c.SendText("all of it")
	_ = c.Close()
	f.wants(ws.OpText, "all of it")
	f.wantsClose(1000, "")
	f.closeWith(1000, "")
	d.end()
	if err := c.Drain(context.Background()); err != nil {
		t.Error(err)
	}
}
