package engine

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// What NewWriter sends behind a long message that is not compressed yet.

// NewWriter right behind a long message: its fragments come behind all of it.
func TestWriterBehindALongMessage(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		_, p, c := flateEcho(t, m, Options{})
		r := rand.New(rand.NewPCG(17, 18))
		long, last := records(r, unraced(2<<20, 1<<19)), records(r, unraced(1<<20, 1<<18))
		if err := errors.Join(c.SendBinary(long), c.SendText("between")); err != nil {
			t.Fatal(err)
		}
		w := c.NewWriter(OpText)
		for range 3 {
			if _, err := w.Write(lotsOfText); err != nil {
				t.Fatal(err)
			}
		}
		if err := errors.Join(c.SendBinary(last), w.Close()); err != nil {
			t.Fatal(err)
		}
		p.wants(OpBinary, long)
		p.wants(OpText, []byte("between"))
		p.wants(OpText, bytes.Repeat(lotsOfText, 3))
		p.wants(OpBinary, last)
		settledAt0(t, c)
	})
}

// Nothing is compressed ahead of its turn for a writer: in a callback, the loop is not held.
func TestWriterDoesNotHurryALongMessage(t *testing.T) {
	r := rand.New(rand.NewPCG(19, 20))
	long := records(r, unraced(8<<20, 2<<20))
	left := make(chan uint64, 1)
	s := startServer(t, Funcs{Message: func(c *Conn, _ Message) {
		err := c.SendBinary(long)
		for range 2 {
			w := c.NewWriter(OpText)
			for range 5 {
				_, werr := w.Write(lotsOfText)
				err = errors.Join(err, werr)
			}
			err = errors.Join(err, w.Close())
		}
		c.mu.Lock()
		left <- c.out.Account().Long
		c.unlock()
		if err != nil {
			t.Error(err)
		}
	}}, deflating(Options{Loops: 1}))
	p := dialFlate(t, s, justDeflate)
	p.sends(OpText, lotsOfText)
	p.wants(OpBinary, long)
	for range 2 {
		if got := p.wants(OpText, bytes.Repeat(lotsOfText, 5)); got.frames != 6 {
			t.Error("frames:", got.frames)
		}
	}
	if n := receive(t, left, "the callback's end"); n != uint64(len(long)-outgoing.SliceBytes) {
		t.Errorf("%d bytes were left to be compressed", n)
	}
}

// Close while a writer waits: what was sent before it and after it leaves, its own fragments
// do not, and stay counted.
func TestCloseBehindAWaitingWriter(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{})
	long := records(rand.New(rand.NewPCG(21, 22)), 1<<20)
	whole, open := c.NewWriter(OpText), io.WriteCloser(nil)
	_, err := whole.Write([]byte("begun"))
	if err = errors.Join(err, c.SendBinary(long), whole.Close(), c.SendText("before")); err != nil {
		t.Fatal(err)
	}
	whole = c.NewWriter(OpText)
	_, err = whole.Write([]byte("whole"))
	if err = errors.Join(err, whole.Close()); err == nil {
		open = c.NewWriter(OpText)
		_, err = open.Write(lotsOfText)
	}
	if err = errors.Join(err, c.SendText("after"), c.CloseWith(4000, "")); err != nil {
		t.Fatal(err)
	}
	_, err = open.Write([]byte("late"))
	isAll(t, errors.Join(err, open.Close()), ErrClosed)
	for range 100 {
		m.room(l, 100_000)
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	p.wants(OpText, []byte("begun"))
	p.wants(OpBinary, long)
	for _, text := range []string{"before", "whole", "after"} {
		p.wants(OpText, []byte(text))
	}
	p.wantsClose(4000)
	if n := c.BufferedAmount(); n != uint64(len(lotsOfText)+len("late")) {
		t.Error("bufferedAmount:", n)
	}
}

// A writer's fragments that wait count against MaxBufferedAmount, and its end does not.
func TestWaitingWriterAndMaxBufferedAmount(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{Limits: Limits{MaxBufferedAmount: 2 << 20, Overflow: DropMessage}})
	r := rand.New(rand.NewPCG(23, 24))
	long, part := records(r, 1<<20), records(r, 512<<10)
	if err := c.SendBinary(long); err != nil {
		t.Fatal(err)
	}
	w := c.NewWriter(OpBinary)
	for range 2 {
		if n, err := w.Write(part); n != len(part) || err != nil {
			t.Fatal(n, err)
		}
	}
	before := c.BufferedAmount()
	if n, err := w.Write(part); n != 0 || err != ErrBufferFull {
		t.Error(n, err)
	}
	if n := c.BufferedAmount(); n != before || n != 2<<20 {
		t.Errorf("bufferedAmount %d, and %d before", n, before)
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 100_000); turn > 1000 {
			t.Fatal("it does not end:", c.BufferedAmount())
		}
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	p.wants(OpBinary, long)
	p.wants(OpBinary, bytes.Repeat(part, 2))
	if !c.out.Idle() {
		t.Error("an outbound is left")
	}
}

// A peer that reads everything is not slow, however much waits behind the writer.
func TestWriterHasRoomWhenItsTurnComes(t *testing.T) {
	r := rand.New(rand.NewPCG(25, 26))
	long, part, behind := records(r, 512<<10), records(r, 500<<10), records(r, 600<<10)
	say := func(c *Conn) error {
		err := c.SendBinary(long)
		w := c.NewWriter(OpBinary)
		err = errors.Join(err, c.SendBinary(behind))
		for range 3 {
			_, werr := w.Write(part)
			err = errors.Join(err, werr)
		}
		return errors.Join(err, w.Close())
	}
	limits := Limits{MaxBufferedAmount: 1 << 20}
	t.Run("in a callback", func(t *testing.T) {
		failure := make(chan error, 1)
		s := startServer(t, Funcs{Message: func(c *Conn, _ Message) { failure <- say(c) }}, deflating(Options{Limits: limits}))
		p := dialFlate(t, s, justDeflate)
		p.sends(OpText, []byte("go"))
		p.wants(OpBinary, long)
		p.wants(OpBinary, bytes.Repeat(part, 3))
		p.wants(OpBinary, behind)
		if err := <-failure; err != nil {
			t.Error(err)
		}
	})
	t.Run("elsewhere", func(t *testing.T) {
		_, m, c := meteredDeflate(t, Funcs{}, Options{Limits: limits})
		m.credit = 1 << 30
		if err := say(c); err != nil || c.ReadyState() != Open {
			t.Error(err, c.ReadyState())
		}
	})
}

// At level 9 what is long is shorter than what shares a buffer.
func TestLongMessageInASharedBuffer(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{Deflate: &deflate.Policy{Level: 9}})
	r := rand.New(rand.NewPCG(27, 28))
	first, second := records(r, 20_000), records(r, 10_000)
	if err := errors.Join(c.SendBinary(first), c.SendBinary(second), c.SendBinary(nil)); err != nil {
		t.Fatal(err)
	}
	for c.out.Account().Deferred > 1 { // until the second is under way
		m.room(l, 500)
	}
	if err := c.SendText("intruder"); err != nil {
		t.Fatal(err)
	}
	for range 100 {
		m.room(l, 100_000)
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	p.wants(OpBinary, first)
	p.wants(OpBinary, second)
	p.wants(OpBinary, nil)
	p.wants(OpText, []byte("intruder"))
}

// A fragment that waits costs the same whatever waits behind its writer, and is not copied again.
func TestFragmentsThatWait(t *testing.T) {
	l, m, c := meteredDeflate(t, Funcs{}, Options{Compress: func(_ Opcode, n int) bool { return n > 0 }})
	long := records(rand.New(rand.NewPCG(29, 30)), 1<<20)
	if err := c.SendBinary(long); err != nil {
		t.Fatal(err)
	}
	const fragments = 5000
	behind := unraced(200_000, 20_000)
	w := c.NewWriter(OpBinary)
	for range behind {
		if err := c.SendText("x"); err != nil {
			t.Fatal(err)
		}
	}
	const groups = 50
	least := time.Duration(math.MaxInt64) // for the machine may do other things meanwhile
	for range groups {
		began := time.Now()
		for range fragments / groups {
			if _, err := w.Write([]byte{1}); err != nil {
				t.Fatal(err)
			}
		}
		least = min(least, time.Since(began))
	}
	if least*groups > time.Second { // a list that each of them shifts takes seconds
		t.Errorf("%d fragments took %v", fragments/groups, least)
	}
	large, most := make([]byte, 4<<20), int64(len(long))+512<<10
	if _, err := w.Write(large); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 100_000); turn > 100_000 {
			t.Fatal("it does not end")
		}
		// Counted, and not in bytes: a mapping that an earlier test gave back may be twice as large.
		b := c.loop.engine.pool.Stats()
		if small := b.OutBytes - b.LargeBytes; b.LargeOut > 1 || small > most {
			t.Fatalf("%d large buffers, and %d bytes of small ones", b.LargeOut, small)
		}
	}
	p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
	p.wants(OpBinary, long)
	p.wants(OpBinary, append(bytes.Repeat([]byte{1}, fragments), large...))
	for range behind {
		p.wants(OpText, []byte("x"))
	}
}
