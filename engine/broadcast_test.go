package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func prepared(t testing.TB, op Opcode, p []byte) *Prepared {
	t.Helper()
	m, err := Prepare(op, p)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// hall is a server with native and bridged connections side by side.
func hall(t *testing.T, h Funcs, o Options, guests int) (*house, []*guest) {
	t.Helper()
	w := doorNamed(t, "tcp").build(t, h, o)
	ln, knock := listenPipe(t)
	done := make(chan error, 1)
	go func() { done <- w.Serve(ln) }()
	t.Cleanup(func() {
		_ = w.Close()
		if err := <-done; err != ErrServerClosed {
			t.Error(err)
		}
	})
	pipes := &house{Server: w.Server, knock: knock}
	var all []*guest
	for i := range guests {
		if i%2 == 0 {
			all = append(all, w.visit(t))
		} else {
			all = append(all, pipes.visit(t))
		}
	}
	within(t, timeoutOf(5), "everybody is in", func() bool { return w.Stats().Open == int64(guests) })
	return w, all
}

// numbered gives every connection a number, from 0 on, as its context.
func numbered(h Funcs) Funcs {
	var n atomic.Int64
	h.Upgrade = func(u *Upgrade) { u.SetValue(n.Add(1) - 1) }
	return h
}

func TestBroadcastToHundred(t *testing.T) {
	for _, workers := range []int{0, 4} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			const n = 100
			w, all := hall(t, numbered(echoHandler), Options{Loops: 3, Workers: workers}, n)
			big := bytes.Repeat([]byte("broad"), 3000)
			third := func(c *Conn) bool { return c.Value().(int64)%3 == 0 }
			for i := range 5 { // the order of one caller's is kept
				w.Broadcast(prepared(t, OpText, fmt.Append(nil, "to all ", i)), nil)
			}
			w.Broadcast(prepared(t, OpText, []byte("to every third")), third)
			w.Broadcast(prepared(t, OpBinary, big), nil)
			w.Broadcast(prepared(t, OpText, nil), func(*Conn) bool { return true })
			w.Broadcast(prepared(t, OpText, []byte("to nobody")), func(*Conn) bool { return false })
			for number, g := range all {
				for i := range 5 {
					g.hear(t, ws.OpText, fmt.Append(nil, "to all ", i))
				}
				if number%3 == 0 {
					g.hear(t, ws.OpText, []byte("to every third"))
				}
				g.hear(t, ws.OpBinary, big)
				g.hear(t, ws.OpText, []byte{})
				g.say(t, ws.OpText, []byte("nothing else?"))
				g.hear(t, ws.OpText, []byte("nothing else?"))
			}
		})
	}
}

func TestBroadcastFilterThatPanics(t *testing.T) {
	const n = 10
	w, all := hall(t, numbered(echoHandler), Options{Loops: 2, Logger: quietLogger}, n)
	w.Broadcast(prepared(t, OpText, []byte("despite it")), func(c *Conn) bool {
		if c.Value().(int64)%2 == 1 {
			panic("as planned")
		}
		return true
	})
	for number, g := range all {
		if number%2 == 0 {
			g.hear(t, ws.OpText, []byte("despite it"))
		}
		g.say(t, ws.OpText, []byte("still here"))
		g.hear(t, ws.OpText, []byte("still here"))
	}
	within(t, timeoutOf(5), "every panic is counted", func() bool { return w.Stats().Panics >= n/2 })
	if got := w.Stats().Panics; got != n/2 {
		t.Errorf("%d panics are counted, want %d", got, n/2)
	}
}

// TestBroadcastBehindSend: what a goroutine sent before it broadcast comes before it.
func TestBroadcastBehindSend(t *testing.T) {
	conns := make(chan *Conn, 8)
	h := echoHandler
	h.Open = func(c *Conn) { conns <- c }
	w, all := hall(t, h, Options{Loops: 2}, 8)
	var sent []*Conn
	for range all {
		sent = append(sent, <-conns)
	}
	const rounds = 200
	for i := range rounds {
		before := binary.BigEndian.AppendUint32(nil, uint32(i))
		for _, c := range sent {
			if err := c.SendBinary(before); err != nil {
				t.Fatal(err)
			}
		}
		w.Broadcast(prepared(t, OpText, fmt.Append(nil, i)), nil)
	}
	for _, g := range all {
		sends, broadcasts := 0, 0
		for sends+broadcasts < 2*rounds {
			f, err := readFrame(g)
			if err != nil {
				t.Fatal(err)
			}
			switch f.Header.OpCode {
			case ws.OpBinary:
				if got := int(binary.BigEndian.Uint32(f.Payload)); got != sends {
					t.Fatalf("Send number %d came, want %d", got, sends)
				}
				sends++
			case ws.OpText:
				if string(f.Payload) != fmt.Sprint(broadcasts) || sends <= broadcasts {
					t.Fatalf("broadcast %s came as number %d, behind %d sends", f.Payload, broadcasts, sends)
				}
				broadcasts++
			}
		}
	}
}

// TestBroadcastsMadeInOne: those that are made while a connection is given one come to it all, though they are more than
// it is asked for at once.
func TestBroadcastsMadeInOne(t *testing.T) {
	const many = 3*mostAsked + 5
	var w *house
	var more sync.Once
	first := make(chan struct{})
	h := echoHandler
	h.HighWater = func(c *Conn) {
		more.Do(func() {
			<-first // every loop knows of it
			for i := range many {
				w.Broadcast(prepared(t, OpText, fmt.Append(nil, i)), nil)
			}
			if err := c.SendText("behind them"); err != nil { // so it is asked now, out of its turn
				t.Error(err)
			}
		})
	}
	h.Drain = func(*Conn) {}
	limits := Limits{HighWater: 1, LowWater: 0}
	big := bytes.Repeat([]byte("1st"), 1<<20)
	w, all := hall(t, h, Options{Loops: 1, Limits: limits}, 2)
	w.Broadcast(prepared(t, OpBinary, big), nil)
	close(first)
	for _, g := range all {
		g.hear(t, ws.OpBinary, big)
	}
	within(t, timeoutOf(10), "the broadcasts have come to everybody", func() bool { return w.Stats().BroadcastBytes == 0 })
	behind := 0
	for _, g := range all {
		_ = g.SetDeadline(time.Now().Add(timeoutOf(5))) // what waits behind a lost one never comes
		g.say(t, ws.OpText, []byte("all?"))
		for next := 0; ; {
			f, err := readFrame(g)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(f.Payload); got == fmt.Sprint(next) {
				next++
			} else if got == "behind them" && next == many {
				behind++
			} else if got == "all?" && next == many {
				break
			} else {
				t.Fatalf("%q came after %d of %d broadcasts", got, next, many)
			}
		}
	}
	if behind != 1 {
		t.Errorf("%d heard what was sent behind the broadcasts, want 1", behind)
	}
}

// TestBroadcastWhileTheyComeAndGo: who is there all the time hears everything.
func TestBroadcastWhileTheyComeAndGo(t *testing.T) {
	w, all := hall(t, echoHandler, Options{Loops: 3}, 10)
	var passing sync.WaitGroup
	for range 4 {
		passing.Go(func() {
			for i := range 30 {
				nc, err := w.knock()
				if err != nil {
					t.Error(err)
					return
				}
				g := welcome(t, nc, ws.Dialer{})
				if i%2 == 0 {
					g.slam()
				}
				_ = nc.Close()
			}
		})
	}
	gone := make(chan struct{})
	go func() { passing.Wait(); close(gone) }()
	rounds := 0
	for done := false; !done; rounds++ {
		select {
		case <-gone:
			done = true
		default:
		}
		w.Broadcast(prepared(t, OpText, fmt.Append(nil, rounds)), func(c *Conn) bool { return c.ReadyState() == Open })
		all[0].hear(t, ws.OpText, fmt.Append(nil, rounds)) // a brake
	}
	for _, g := range all[1:] {
		for r := range rounds {
			g.hear(t, ws.OpText, fmt.Append(nil, r))
		}
	}
}

// TestBroadcastPassesOver those that refuse it: one that closes, and one whose queue is full.
func TestBroadcastPassesOver(t *testing.T) {
	conns := make(chan *Conn, 3)
	h := echoHandler
	h.Open = func(c *Conn) { conns <- c }
	w := doorNamed(t, "tcp").build(t, h, Options{Loops: 1, Limits: Limits{MaxBufferedAmount: 1 << 20, Overflow: DropMessage}})
	full, closing, fine := w.visit(t), w.visit(t), w.visit(t)
	a, b := <-conns, <-conns
	for a.SendBinary(make([]byte, 256<<10)) == nil {
	}
	_ = b.Close()
	queued := a.BufferedAmount()
	w.Broadcast(prepared(t, OpBinary, make([]byte, 512<<10)), nil)
	fine.hear(t, ws.OpBinary, make([]byte, 512<<10))
	closing.hearClose(t, 1000, "")
	if got := a.BufferedAmount(); got > queued {
		t.Errorf("the full queue grew from %d to %d", queued, got)
	}
	within(t, timeoutOf(5), "both are counted as dropped", func() bool { return w.Stats().MessagesDropped >= 2 })
	_ = full.Close()
}

func TestBroadcastFromACallback(t *testing.T) {
	var s *Server
	h := Funcs{Message: func(_ *Conn, m Message) {
		p, err := Prepare(m.Op, m.Data)
		if err != nil {
			t.Error(err)
			return
		}
		s.Broadcast(p, nil)
	}}
	w, all := hall(t, h, Options{Loops: 2}, 6)
	s = w.Server
	for i, g := range all {
		say := fmt.Append(nil, "from ", i)
		g.say(t, ws.OpText, say)
		for _, other := range all {
			other.hear(t, ws.OpText, say)
		}
	}
}

func TestBroadcastToNobody(t *testing.T) {
	s := bare(t, echoHandler, Options{Loops: 1}, false)
	p := prepared(t, OpText, []byte("?"))
	s.Broadcast(p, nil) // before it serves
	if err := s.start(); err != nil {
		t.Fatal(err)
	}
	s.Broadcast(p, nil)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	s.Broadcast(p, func(*Conn) bool { t.Error("asked about a connection"); return true })
	if n := s.Stats().BroadcastBytes; n != 0 { // whoever goes on to broadcast fills no memory
		t.Errorf("%d bytes are under way when all is over", n)
	}
	if n := len(s.native[0].broadcasts.fresh); n != 0 {
		t.Errorf("a loop that has ended keeps %d broadcasts", n)
	}
}
