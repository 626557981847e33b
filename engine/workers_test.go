package engine

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Options.Workers: callbacks off the loops, in order for each connection, bounded.

// Many connections on few workers: each in its order, never two callbacks of one at a time,
// and different ones side by side.
func TestWorkersOrder(t *testing.T) {
	const conns, each = 20, 150
	type book struct {
		inside atomic.Int32
		next   int
	}
	var running, most atomic.Int32
	var ends sync.WaitGroup
	ends.Add(conns)
	h := Funcs{
		Open: func(c *Conn) { c.SetValue(new(book)) },
		Message: func(c *Conn, m Message) {
			b := c.Value().(*book)
			if b.inside.Add(1) != 1 {
				t.Error("two callbacks of one connection at a time")
			}
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			if want := fmt.Sprint(b.next); string(m.Data) != want {
				t.Errorf("got %s, want %s", m.Data, want)
			}
			b.next++
			_ = c.SendText(string(m.Data))
			running.Add(-1)
			b.inside.Add(-1)
		},
		Close: func(c *Conn, _ CloseEvent) {
			if b := c.Value().(*book); b.next != each || b.inside.Load() != 0 {
				t.Errorf("OnClose after %d messages", b.next)
			}
			ends.Done()
		},
	}
	s := startServer(t, h, Options{Workers: 4, Loops: 2})
	var clients sync.WaitGroup
	for range conns {
		f := dialForeign(t, s, 0)
		clients.Add(1)
		go func() {
			defer clients.Done()
			for i := range each {
				f.text(fmt.Sprint(i))
			}
			for i := range each {
				f.wants(ws.OpText, fmt.Sprint(i))
			}
			f.closeWith(1000, "")
			f.wantsClose(1000, "")
		}()
	}
	clients.Wait()
	ends.Wait()
	if n := most.Load(); n > 4 {
		t.Error("callbacks at a time:", n)
	}
}

// A callback that blocks holds up its own connection, not the loop and not the others.
func TestWorkersBlockAlone(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	letGo := sync.OnceFunc(func() { close(release) })
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		if string(m.Data) == "block" {
			close(held)
			<-release
		}
		_ = c.SendText(string(m.Data))
	}}, Options{Workers: 2, Loops: 1})
	t.Cleanup(letGo)
	slow, quick := dialForeign(t, s, 0), dialForeign(t, s, 0)
	slow.text("block")
	receive(t, held, "the blocked callback")
	for range 100 {
		quick.text("quick")
		quick.wants(ws.OpText, "quick")
	}
	slow.send(ws.OpPing, true, "the loop answers")
	slow.wants(ws.OpPong, "the loop answers")
	letGo()
	slow.wants(ws.OpText, "block")
}

// A callback that waits for what it sent, and one whose socket is full, need not end first.
func TestWorkersDrainInside(t *testing.T) {
	drained := make(chan error, 1)
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		_ = c.SendText("question")
		for range 100 {
			_ = c.SendBinary(make([]byte, 50_000))
		}
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(5))
		defer cancel()
		drained <- c.Drain(ctx)
	}}, Options{Workers: 1, Limits: Limits{HighWater: 64 << 20}})
	f := dialForeign(t, s, 4096)
	f.text("go")
	f.wants(ws.OpText, "question")
	for range 100 {
		f.next()
	}
	if err := receive(t, drained, "Drain inside a callback"); err != nil {
		t.Error(err)
	}
}

// Answers do not wait for the slow callbacks of those behind them.
func TestWorkersSlowCallbacks(t *testing.T) {
	step := make(chan struct{})
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		if string(m.Data) != "0" { // the first is quick
			<-step
		}
		_ = c.SendText(string(m.Data))
		time.Sleep(2 * turnBudget)
	}}, Options{Workers: 1})
	t.Cleanup(sync.OnceFunc(func() { close(step) }))
	f := dialForeign(t, s, 0)
	var all []byte
	for i := range 10 {
		all = append(all, frames(ws.NewTextFrame(fmt.Append(nil, i)))...)
	}
	f.write(all)
	f.wants(ws.OpText, "0")
	for i := 1; i < 10; i++ {
		step <- struct{}{}
		f.wants(ws.OpText, fmt.Sprint(i))
	}
}

// The inbox is bounded: past it reading pauses, so that the peer waits; then all arrives, in order.
func TestWorkersInboxPausesReading(t *testing.T) {
	const messages, size, inbox = 300, 64 << 10, 256 << 10
	held, release := make(chan struct{}), make(chan struct{})
	var next atomic.Int32
	done := make(chan struct{})
	s := startServer(t, Funcs{Message: func(c *Conn, m Message) {
		i := next.Add(1) - 1
		if i == 0 {
			close(held)
			<-release
		}
		if len(m.Data) != size || m.Data[0] != byte(i) || m.Data[size-1] != byte(i) {
			t.Errorf("message %d: %d bytes of %d", i, len(m.Data), m.Data[0])
		}
		if i == messages-1 {
			close(done)
		}
	}}, Options{Workers: 1, InboxBytes: inbox})
	f := dialForeign(t, s, 0)
	wrote := make(chan error, 1)
	go func() {
		for i := range messages {
			p := make([]byte, size)
			for k := range p {
				p[k] = byte(i)
			}
			if _, err := f.Write(frames(ws.NewBinaryFrame(p))); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	receive(t, held, "the blocked callback")
	select {
	case err := <-wrote:
		t.Fatal("20 MiB went into an inbox of 256 KiB:", err)
	case <-time.After(100 * time.Millisecond):
	}
	// The inbox, one more message, what one read had taken, and the halves of size classes.
	if n := s.Stats().Buffers.OutBytes; n > 2*(inbox+size+slabBytes)+64<<10 {
		t.Error("held:", n)
	}
	close(release)
	receive(t, done, "the last message")
	if err := receive(t, wrote, "the client's end"); err != nil {
		t.Error(err)
	}
}

// Small messages count too: a flood of empty ones does not fill the memory.
func TestWorkersInboxCountsEmptyMessages(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	var got atomic.Int32
	s := startServer(t, Funcs{Message: func(*Conn, Message) {
		if got.Add(1) == 1 {
			close(held)
			<-release
		}
	}}, Options{Workers: 1, InboxBytes: 64 << 10})
	f := dialForeign(t, s, 0)
	const messages = 100_000
	one := frames(ws.NewTextFrame(nil))
	go func() { _, _ = f.Write([]byte(strings.Repeat(string(one), messages))) }()
	receive(t, held, "the blocked callback")
	within(t, timeoutOf(5), "messages read", func() bool { return s.Stats().MessagesIn > 500 })
	time.Sleep(20 * time.Millisecond)
	if n := s.Stats().MessagesIn; n > 3000 {
		t.Errorf("%d messages wait in an inbox of 64 KiB", n)
	}
	close(release)
	within(t, timeoutOf(10), "all messages", func() bool { return got.Load() == messages })
}

// Closing with a full inbox: what waits is not delivered, and the peer's answer is seen
// behind all that it had sent.
func TestWorkersCloseWithAFullInbox(t *testing.T) {
	d := newDiary(t)
	held, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	h := d.handler(Funcs{})
	h.Message = func(c *Conn, _ Message) {
		if calls.Add(1) == 1 {
			close(held)
			<-release
			_ = c.Close()
		}
	}
	s := startServer(t, h, Options{Workers: 1, InboxBytes: 4096})
	f := dialForeign(t, s, 0)
	const messages = 2000
	var all []byte
	for range messages {
		all = append(all, frames(ws.NewTextFrame(make([]byte, 100)))...)
	}
	go func() {
		_, _ = f.Write(append(all, frames(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))...))
	}()
	receive(t, held, "the first callback")
	within(t, timeoutOf(5), "a full inbox", func() bool { return s.Stats().MessagesIn > 10 })
	close(release)
	f.wantsClose(1000, "")
	f.wantsEnd()
	if e := d.end(); !e.WasClean || e.Code != 1000 {
		t.Errorf("%+v", e)
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("%d messages were delivered, the first one closed", n)
	}
}

// Shutdown and Close wait for the workers, so a worker can not call them.
func TestShutdownFromAWorker(t *testing.T) {
	inEveryMode(t, func(t *testing.T, m mode) {
		var s *Server
		got := make(chan error, 4)
		s = m.start(t, Funcs{Message: func(*Conn, Message) {
			got <- s.Shutdown(context.Background())
			got <- s.Close()
		}}, Options{})
		f := dialForeign(t, s, 0)
		f.text("go")
		for range 2 {
			if err := receive(t, got, "the answer"); err != ErrOnLoop {
				t.Error(err)
			}
		}
		f.text("still open")
		receive(t, got, "the next message")
	})
}
