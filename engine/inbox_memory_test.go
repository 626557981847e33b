//go:build !race && !gannetdebug

package engine

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What floods cost the process, in the builds that are shipped: gannetdebug keeps records of each buffer.

// The smallest things, a million times, behind a callback that blocks: the process holds no more than the inbox's account says,
// but for what every connection may (issue 7, point 14).
func TestWorkersFloodsAreAccountedFor(t *testing.T) {
	text, empty, ping := frames(ws.NewTextFrame([]byte("x"))), frames(ws.NewTextFrame(nil)), frames(ws.NewPingFrame(nil))
	part := append(frames(ws.NewFrame(ws.OpText, false, nil)), frames(ws.NewFrame(ws.OpContinuation, true, []byte("y")))...)
	for name, one := range map[string][]byte{
		"empty": empty, "one byte": text, "pings": ping, "fragmented": part,
		"odd": frames(ws.NewBinaryFrame(make([]byte, 257))), "over shared": frames(ws.NewBinaryFrame(make([]byte, sharedBytes+1))),
	} {
		t.Run(name, func(t *testing.T) { floodInbox(t, one, Funcs{}) })
	}
	t.Run("chunks", func(t *testing.T) { floodInbox(t, text, Funcs{Chunk: func(*Conn, Chunk) {}}) })
}

func floodInbox(t *testing.T, one []byte, h Funcs) {
	const inbox = 8 << 20
	release, blocked := make(chan struct{}), make(chan *Conn)
	h.Open = func(c *Conn) { blocked <- c; <-release }
	h.Ping = func(*Conn, []byte) {}
	s := startServer(t, h, Options{Workers: 1, Loops: 1, InboxBytes: inbox, Limits: Limits{MaxControlRate: 1 << 30}})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	f := dialForeign(t, s, 0)
	c := receive(t, blocked, "OnOpen")
	go f.drain()
	before := settledMemory()
	go func() {
		for all := []byte(strings.Repeat(string(one), 1+64<<10/len(one))); ; {
			if _, err := f.Write(all); err != nil {
				return
			}
		}
	}()
	account := func() (bytes, charged int64) {
		done := make(chan struct{})
		c.loop.post(task{call: func() {
			b := c.lockedInbox()
			bytes, charged = b.bytes, b.budget.bytes
			b.mu.Unlock()
			close(done)
		}})
		<-done
		return bytes, charged
	}
	within(t, timeoutOf(5), "a full inbox", func() bool { n, _ := account(); return n > inbox })
	n, charged := account()
	// The slab's rest, and one read more, wait besides, accounted for elsewhere.
	if used := settledMemory() - before; used > n+2*slabBytes {
		t.Errorf("%d bytes are used, the account says %d", used, n)
	} else {
		t.Logf("%d bytes are used, the account says %d", used, n)
	}
	if n > inbox+64<<10 || charged != n-reserveBytes {
		t.Errorf("the inbox holds %d, and %d are charged to the budget", n, charged)
	}
	letGo()
	_ = f.Close()
	within(t, timeoutOf(5), "all of it is gone", func() bool { return s.Stats().InboundBytes == 0 })
}

// Many connections flood behind the one worker: together they hold what InboundBudget says, and the reserves, and
// those that hold most are closed.
func TestWorkersFloodsStayInTheBudget(t *testing.T) {
	const budget, conns = 4 << 20, 12
	release := make(chan struct{})
	h, ends := watching(Funcs{Message: func(*Conn, Message) { <-release }})
	s := startServer(t, h, Options{Workers: 1, Loops: 2, InboxBytes: 64 << 20, InboundBudget: budget})
	letGo := sync.OnceFunc(func() { close(release) })
	t.Cleanup(letGo)
	all := make([]*foreign, conns)
	for i := range all {
		all[i] = dialForeign(t, s, 0)
	}
	before := settledMemory()
	flood := []byte(strings.Repeat(string(frames(ws.NewTextFrame([]byte("x")))), 10_000))
	var writers sync.WaitGroup
	for _, f := range all {
		go f.drain()
		writers.Go(func() {
			for range 20 {
				if _, err := f.Write(flood); err != nil {
					return
				}
			}
		})
	}
	writers.Wait()
	within(t, timeoutOf(5), "somebody is closed", func() bool { return s.Stats().Causes["inbound-budget"] > 0 })
	still, read := 0, uint64(0) // until all is read
	for ; still < 5; time.Sleep(20 * time.Millisecond) {
		if n := s.Stats().MessagesIn; n != read {
			still, read = 0, n
		}
		still++
	}
	within(t, timeoutOf(5), "the charge is within the budget", func() bool { return s.Stats().InboundBytes <= budget })
	if used := settledMemory() - before; used > budget+conns*2*reserveBytes+2*slabBytes {
		t.Errorf("%d bytes are used, the budget is %d", used, budget)
	}
	letGo()
	for _, f := range all {
		_ = f.Close()
	}
	within(t, timeoutOf(5), "everybody's OnClose", func() bool { _, closed := ends.total(); return closed == conns })
	within(t, timeoutOf(5), "nothing is held", func() bool { return s.Stats().InboundBytes == 0 })
}
