package engine

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine/internal/netio"
	"github.com/gannet-ws/gannet/engine/internal/outgoing"
)

// Limits and permessage-deflate: who reads is served, however little is between what was
// read and what can be sent.

// A client that sends all it has before the server has answered much, and reads everything:
// it is held up, and never closed as a slow consumer.
func TestDeflatePipelining(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		for _, k := range []struct {
			name      string
			messages  int
			size      int
			limits    Limits
			incessant bool // what the messages inflate to is far more than their bytes
		}{
			{"long letters", 100, 1 << 20, Limits{}, true},
			{"long letters, small limits", 40, 1 << 20, Limits{HighWater: 64 << 10, MaxBufferedAmount: 2 << 20}, true},
			{"middling letters, small limits", 300, 100_000, Limits{HighWater: 64 << 10, MaxBufferedAmount: 256 << 10}, true},
			{"long records, smallest limits", 12, 300_000, Limits{HighWater: 1, MaxBufferedAmount: 2}, false},
			{"records", 2000, 2000, Limits{HighWater: 8 << 10, MaxBufferedAmount: 256 << 10}, false},
		} {
			t.Run(k.name, func(t *testing.T) {
				k.messages = unraced(k.messages, max(4, k.messages/20))
				h, _ := noteOpen(Funcs{Message: func(c *Conn, m Message) {
					if err := c.Send(m.Op, m.Data); err != nil {
						t.Error(err)
					}
				}})
				s := m.start(t, h, deflating(Options{Limits: k.limits}))
				p := dialFlate(t, s, justDeflate)
				p.squeeze.level = 1
				payload := records(rand.New(rand.NewPCG(1, 1)), k.size)
				if k.incessant {
					payload = letters(nil, k.size)
				}
				failed := make(chan error, 1)
				go func() {
					var all []byte
					for range k.messages {
						all = append(all, maskedFrame(finBit|rsv1Bit|2, p.squeeze.message(payload))...)
					}
					_, err := p.Write(all)
					failed <- err
				}()
				for i := range k.messages {
					got, err := p.hear()
					if err != nil || !bytes.Equal(got.payload, payload) {
						t.Fatalf("message %d: %d bytes, %v", i, len(got.payload), err)
					}
				}
				if err := <-failed; err != nil {
					t.Error(err)
				}
				if n := s.Stats().Failures[1013]; n != 0 {
					t.Error("closed as slow consumers:", n)
				}
			})
		}
	})
}

// The same with a client that reads late: then it has to wait, with no more than the limits
// allow held for it, and the messages behind it come in order all the same.
func TestDeflateClientThatReadsLate(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		d := newDiary(t)
		var highs, drains atomic.Int32
		s := m.start(t, d.handler(Funcs{
			Message:   echoHandler.Message,
			HighWater: func(*Conn) { highs.Add(1) },
			Drain:     func(*Conn) { drains.Add(1) },
		}), deflating(Options{Limits: Limits{HighWater: 256 << 10}}))
		p := dialFlate(t, s, justDeflate)
		p.squeeze.level = 1
		c := d.conn()
		payload := half(rand.New(rand.NewPCG(2, 1)), 400_000) // begins as what shrinks, so it goes in slices
		messages := unraced(60, 40)                           // more than the kernel takes: alone in the loop's hands each passes no mark
		said := make(chan error, 1)
		go func() {
			for range messages {
				if err := p.say(OpBinary, payload); err != nil {
					said <- err
					return
				}
			}
			said <- nil
		}()
		within(t, timeoutOf(10), "OnHighWater", func() bool { return highs.Load() > 0 })
		time.Sleep(50 * time.Millisecond) // so that more could come in
		if n := c.BufferedAmount(); n > 8<<20 {
			t.Error("queued meanwhile:", n)
		}
		for i := range messages {
			got, err := p.hear()
			if err != nil || !bytes.Equal(got.payload, payload) {
				t.Fatalf("message %d: %d bytes, %v", i, len(got.payload), err)
			}
		}
		if err := receive(t, said, "the client's end"); err != nil {
			t.Error(err)
		}
		settledAt0(t, c)
		within(t, timeoutOf(5), "as often drained as high", func() bool { return highs.Load() == drains.Load() })
	})
}

// OnHighWater counts what is yet to be compressed, so that who sends with the marks in mind
// does not fill memory; OnDrain comes when that has left.
func TestHighWaterCountsWhatIsToBeCompressed(t *testing.T) {
	var events []string
	l, m, c := meteredDeflate(t, Funcs{
		HighWater: func(*Conn) { events = append(events, "high") },
		Drain:     func(c *Conn) { events = append(events, "drain") },
	}, Options{Limits: Limits{HighWater: 1 << 20}})
	r := rand.New(rand.NewPCG(3, 1))
	m.credit = 64 << 20 // it reads all it is sent
	if err := c.SendBinary(records(r, 1<<20)); err != nil {
		t.Fatal(err)
	}
	l.mailboxServed()
	if len(events) != 0 {
		t.Error("1 MiB, of which a slice has left:", events)
	}
	if err := c.SendBinary(records(r, 1<<20)); err != nil {
		t.Fatal(err)
	}
	l.mailboxServed()
	if len(events) != 1 || m.reading() {
		t.Error("2 MiB:", events, m.reading())
	}
	unmade := func() uint64 { return c.out.Account().Unframed + c.out.Account().Long }
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		before := unmade()
		if l.OnWake(); turn > 1000 {
			t.Fatal("it does not end:", c.BufferedAmount())
		}
		if !c.out.Idle() && before-unmade() > 2*outgoing.SliceBytes+outgoing.DeferredOverhead { // the first slice of the next message as well
			t.Fatalf("one turn made %d bytes", before-unmade())
		}
	}
	l.OnWake()
	if len(events) != 2 || events[1] != "drain" || !m.reading() {
		t.Error("all has left:", events, m.reading())
	}
}

// mailboxServed serves the letters, and no unfinished work.
func (l *loop) mailboxServed() {
	l.serveMail()
}

// MaxBufferedAmount with a peer that does not read: it is what waits, uncompressed, that counts.
func TestMaxBufferedAmountOfLongMessages(t *testing.T) {
	for _, policy := range []Overflow{DropMessage, CloseSlow} {
		d := newDiary(t)
		l, m, c := meteredDeflate(t, d.handler(Funcs{}), Options{Limits: Limits{MaxBufferedAmount: 2 << 20, Overflow: policy}})
		r := rand.New(rand.NewPCG(4, 1))
		long := records(r, 1<<20)
		if err := errors.Join(c.SendBinary(long), c.SendBinary(long)); err != nil {
			t.Fatal(err)
		}
		l.OnWake()
		before := c.BufferedAmount()
		want := map[Overflow]error{DropMessage: ErrBufferFull, CloseSlow: ErrSlowConsumer}[policy]
		if err := c.SendBinary(long); err != want {
			t.Errorf("%d: %v", policy, err)
		}
		if n := c.BufferedAmount(); n != before || n != 2<<20 {
			t.Errorf("bufferedAmount %d, and %d before", n, before)
		}
		for turn := 0; c.BufferedAmount() != 0; turn++ {
			if m.room(l, 100_000); turn > 1000 {
				t.Fatal("it does not end:", c.BufferedAmount())
			}
		}
		p := &flatePeer{t: t, agreed: true, server: flateContext{15, true}, attacker: &attacker{r: newReaderOf(m.taken)}}
		p.wants(OpBinary, long)
		p.wants(OpBinary, long)
		if policy == CloseSlow {
			p.wantsClose(1013)
			isAll(t, d.end().Err, ErrSlowConsumer)
		} else if _, err := p.hear(); err != io.EOF {
			t.Error(err)
		}
	}
}

// In a callback nothing has left before its end, which is our doing and not the peer's.
// (Behind a bridge a socket has room only when its goroutine has written.)
func TestMaxBufferedAmountInACallback(t *testing.T) {
	for _, m := range modes[:2] {
		t.Run(m.name, func(t *testing.T) {
			long := records(rand.New(rand.NewPCG(5, 1)), 400_000)
			s := m.start(t, Funcs{Message: func(c *Conn, _ Message) {
				for range 6 {
					if err := errors.Join(c.SendBinary(long), c.SendText("short")); err != nil {
						t.Error(err)
					}
				}
			}}, deflating(Options{Limits: Limits{MaxBufferedAmount: 300_000}}))
			p := dialFlate(t, s, justDeflate)
			for range 3 {
				p.sends(OpText, []byte("go"))
				for range 6 {
					p.wants(OpBinary, long)
					p.wants(OpText, []byte("short"))
				}
			}
		})
	}
}

// A reader of a few bytes at a time: partial writes in the middle of everything.
func TestDeflateSlowReader(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		h, conns := noteOpen(Funcs{})
		s := m.start(t, h, deflating(Options{}))
		nc, err := connectTo(t, narrowDialer(4096), "tcp", s.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(timeoutOf(20)))
		p := flateOver(t, attackerOn(nc), "/echo", justDeflate)
		c := receive(t, conns, "OnOpen")
		r := rand.New(rand.NewPCG(6, 1))
		var want [][]byte
		for _, n := range []int{300, 500_000, 70_000, 5000, 1 << 20, 10} {
			for _, k := range []kind{kinds[0], kinds[1], kinds[4]} {
				want = append(want, k.make(r, n))
			}
		}
		for i, b := range want {
			var err error
			if i%4 == 3 {
				err = c.SendPrepared(prepared(t, OpBinary, b))
			} else {
				err = c.SendBinary(b)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		for i, b := range want {
			got, err := p.hear()
			if err != nil || !bytes.Equal(got.payload, b) {
				t.Fatalf("message %d: %d bytes of %d, %v", i, len(got.payload), len(b), err)
			}
		}
		settledAt0(t, c)
	})
}

// A turn's work waits as the peer does, and goes on with the close as well.
func TestHighWaterHoldsWhatWasRead(t *testing.T) {
	got := 0
	l, m, c := meteredDeflate(t, Funcs{Message: func(c *Conn, msg Message) {
		got++
		_ = c.Send(msg.Op, noise(rand.New(rand.NewPCG(7, uint64(got))), len(msg.Data)))
	}}, Options{Deflate: &deflate.Policy{}, Limits: Limits{HighWater: 100_000}})
	z := squeezer{flateContext: flateContext{15, true}, level: 1}
	m.watched, m.step = netio.Readable, turnBudget // every look at the clock ends the turn
	for range 200 {
		m.input = append(m.input, maskedFrame(finBit|rsv1Bit|2, z.message(letters(nil, 50_000)))...)
	}
	for range 50 {
		l.OnEvent(5, netio.Readable)
		l.OnWake()
	}
	if got > 10 || m.reading() {
		t.Errorf("%d of 200 messages were delivered above HighWater, reading: %v", got, m.reading())
	}
	for turn := 0; got < 200; turn++ {
		if m.room(l, 60_000); turn > 2000 {
			t.Fatal("it does not go on:", got)
		}
	}
	for turn := 0; c.BufferedAmount() != 0; turn++ {
		if m.room(l, 1<<20); turn > 2000 {
			t.Fatal("it does not end")
		}
	}
	if !m.reading() {
		t.Error("not read any more")
	}
}
