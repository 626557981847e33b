package engine

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// What happens in those scenes that are longer than a few lines.

func actSizes(t *testing.T, p *play) {
	for _, n := range []int{0, 1, 125, 126, 4095, 4096, 65535, 65536, 300_000, 1_500_000} {
		b := bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n]
		for _, op := range []ws.OpCode{ws.OpText, ws.OpBinary} {
			go func() { _, _ = p.g.Write(saidFrame(op, true, b)) }()
			p.g.hear(t, op, b)
		}
	}
}

func actMany(t *testing.T, p *play) {
	const n = 3000
	var all []byte
	for i := range n {
		all = append(all, saidFrame(ws.OpBinary, true, binary.BigEndian.AppendUint32(nil, uint32(i)))...)
	}
	go func() { _, _ = p.g.Write(all) }()
	for i := range n {
		p.g.hear(t, ws.OpBinary, binary.BigEndian.AppendUint32(nil, uint32(i)))
	}
}

func actFragments(t *testing.T, p *play) {
	want := []byte("in three parts, of which one has an ö cut in two")
	cut := bytes.IndexByte(want, 0xc3) + 1
	p.g.part(t, ws.OpText, false, want[:10])
	p.g.part(t, ws.OpContinuation, false, want[10:cut])
	p.g.say(t, ws.OpPing, []byte("between"))
	p.g.hear(t, ws.OpPong, []byte("between"))
	p.g.part(t, ws.OpContinuation, true, want[cut:])
	p.g.hear(t, ws.OpText, want)
}

// actEarly has a second guest send its first frames with the request.
func actEarly(t *testing.T, p *play) {
	nc := p.call(t)
	b := []byte(requestFor("/room"))
	b = append(b, saidFrame(ws.OpText, true, []byte("early"))...)
	late := saidFrame(ws.OpText, true, []byte("cut in the middle"))
	b = append(b, late[:5]...)
	if _, err := nc.Write(b); err != nil {
		t.Fatal(err)
	}
	a := &attacker{nc, bufio.NewReader(nc)}
	a.expect101(t)
	g := &guest{nc, a.r}
	g.hear(t, ws.OpText, []byte("early"))
	if _, err := nc.Write(late[5:]); err != nil {
		t.Fatal(err)
	}
	g.hear(t, ws.OpText, []byte("cut in the middle"))
}

func actResetWhilePaused(t *testing.T, p *play) {
	c := <-p.conns
	p.echoes(t, "hello")
	c.Pause()
	p.g.slam()
	c.Resume()
	if e := p.ended(t, 1006, false); !errors.Is(e.Err, ErrAbnormal) {
		t.Error(e.Err)
	}
}

func actTerminate(t *testing.T, p *play) {
	c := <-p.conns
	for range 16 {
		if err := c.SendBinary(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	c.Terminate()
	e := p.ended(t, 1006, false)
	if e.Err != ErrTerminated {
		t.Error(e.Err)
	}
	p.noError(t)
	if left := c.BufferedAmount(); left == 0 || left > 16<<20 {
		t.Errorf("%d bytes are counted as not delivered", left)
	}
	for n := 0; ; n++ {
		f, err := readFrame(p.g)
		if isTimeout(err) || n == 16 || err == nil && f.Header.OpCode != ws.OpBinary {
			t.Fatal("after Terminate: ", n, f.Header, err)
		}
		if err != nil {
			return
		}
	}
}

func actPause(t *testing.T, p *play) {
	c := <-p.conns
	p.echoes(t, "before")
	<-p.heard
	paused := make(chan struct{})
	// In the connection's sequence, so that nothing is being delivered when it is done;
	// a second turn, so that the loop has seen it.
	_ = c.Post(func(c *Conn) {
		c.Pause()
		_ = c.Post(func(*Conn) { close(paused) })
	})
	<-paused
	const n = 500
	wrote := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < n && err == nil; i++ {
			_, err = p.g.Write(saidFrame(ws.OpText, true, []byte(strings.Repeat("x", 1000)+fmt.Sprint(i))))
		}
		wrote <- err
	}()
	turn := make(chan struct{})
	for range 3 { // some turns of the loop
		_ = c.Post(func(*Conn) { turn <- struct{}{} })
		<-turn
	}
	if k := len(p.heard); k != 0 {
		t.Errorf("%d messages came while reading was paused", k)
	}
	c.Resume()
	for i := range n {
		want := strings.Repeat("x", 1000) + fmt.Sprint(i)
		p.g.hear(t, ws.OpText, []byte(want))
		if got := <-p.heard; got != want {
			t.Fatalf("message %d is %.20q", i, got)
		}
	}
	if err := <-wrote; err != nil {
		t.Error(err)
	}
}

// actBackpressure: who does not read is told so, is not read, and gets everything later.
func actBackpressure(t *testing.T, p *play) {
	c := <-p.conns
	const size = 64 << 10
	n := unraced(320, 220) // more than kernels take
	for i := range n {
		if err := c.SendBinary(bytes.Repeat([]byte{byte(i)}, size)); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-p.high:
	case <-time.After(timeoutOf(5)):
		t.Fatal("no OnHighWater")
	}
	if got := c.BufferedAmount(); got == 0 || got > uint64(n*size) || got%size != 0 {
		t.Errorf("%d bytes buffered", got)
	}
	asked := make(chan error, 1)
	go func() {
		_, err := p.g.Write(saidFrame(ws.OpText, true, []byte("and now?")))
		asked <- err
	}()
	for i := range n {
		p.g.hear(t, ws.OpBinary, bytes.Repeat([]byte{byte(i)}, size))
	}
	p.g.hear(t, ws.OpText, []byte("and now?"))
	if err := <-asked; err != nil {
		t.Error(err)
	}
	within(t, timeoutOf(5), "OnDrain for every OnHighWater", func() bool {
		return len(p.low) == int(p.Stats().Pauses) && len(p.high)+1 == len(p.low)
	})
	ctx, cancel := context.WithTimeout(t.Context(), timeoutOf(5))
	defer cancel()
	if err := c.Drain(ctx); err != nil || c.BufferedAmount() != 0 {
		t.Error(err, c.BufferedAmount())
	}
}

func actSenders(t *testing.T, p *play) {
	c := <-p.conns
	const senders, each = 8, 200
	var all sync.WaitGroup
	for s := range senders {
		all.Go(func() {
			for i := range each {
				size := 8
				if i%10 == 0 {
					size = 9000 // past the copy
				}
				b := make([]byte, size)
				b[0], b[1] = byte(s), byte(i)
				if err := c.SendBinary(b); err != nil {
					t.Error(err)
				}
			}
		})
	}
	next := [senders]int{}
	for range senders * each {
		b := p.g.hear(t, ws.OpBinary, nil)
		if next[b[0]] != int(b[1]) {
			t.Fatalf("sender %d: message %d came, want %d", b[0], b[1], next[b[0]])
		}
		next[b[0]]++
	}
	all.Wait()
}

func actWriter(t *testing.T, p *play) {
	c := <-p.conns
	w := c.NewWriter(OpText)
	if _, err := w.Write([]byte("begun, ")); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(p.g); err != nil || f.Header.Fin || string(f.Payload) != "begun, " {
		t.Fatal(f, err)
	}
	_ = c.SendText("waits")
	_ = c.Ping([]byte("passes"))
	p.g.hear(t, ws.OpPing, []byte("passes"))
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if f, err := readFrame(p.g); err != nil || !f.Header.Fin || f.Header.OpCode != ws.OpContinuation {
		t.Fatal(f, err)
	}
	p.g.hear(t, ws.OpText, []byte("waits"))
	m, err := Prepare(OpBinary, bytes.Repeat([]byte("p"), 100_000))
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SendPrepared(m)
	p.g.hear(t, ws.OpBinary, m.made.Payload())
}

func actPost(t *testing.T, p *play) {
	c := <-p.conns
	order := make(chan int, 100)
	for i := range 100 {
		if err := c.Post(func(*Conn) { order <- i }); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 100 {
		if got := <-order; got != i {
			t.Fatalf("posted %d ran as number %d", got, i)
		}
	}
	_ = c.Close()
	if s := c.ReadyState(); s != Closing {
		t.Error("Close left the state at", s)
	}
	if err := c.SendText("12345"); err != ErrClosed || c.BufferedAmount() != 5 {
		t.Error(err, c.BufferedAmount())
	}
	p.g.hearClose(t, 1000, "")
	p.g.sayClose(t, 1000, "")
	p.ended(t, 1000, true)
	if err := c.Post(func(*Conn) { t.Error("posted after CLOSED") }); err != ErrClosed {
		t.Error(err)
	}
	if a := c.LocalAddr(); a != nil {
		t.Error("LocalAddr of a closed connection is", a)
	}
}

func actShutdown(t *testing.T, p *play) {
	guests := []*guest{p.g, p.visit(t), p.visit(t)}
	for _, g := range guests { // all are OPEN
		g.say(t, ws.OpText, []byte("here"))
		g.hear(t, ws.OpText, []byte("here"))
	}
	done := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), timeoutOf(10))
		defer cancel()
		done <- p.Shutdown(ctx)
	}()
	for _, g := range guests {
		g.hearClose(t, 1001, "server shutting down")
	}
	select {
	case err := <-done:
		t.Error("Shutdown did not wait:", err)
	default:
	}
	for _, g := range guests {
		g.sayClose(t, 1001, "")
		g.hearEnd(t)
		_ = g.Close()
	}
	if err := <-done; err != nil {
		t.Error("Shutdown:", err)
	}
	for range guests {
		p.ended(t, 1001, true)
	}
	p.noError(t)
	if nc, err := p.knock(); err == nil {
		g := &guest{nc, nc}
		_, _ = nc.Write([]byte(requestFor("/room"))) // a TLS client speaks first
		g.hearEnd(t)
		_ = nc.Close()
	}
}

func actShutdownLate(t *testing.T, p *play) {
	p.echoes(t, "hello")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Shutdown(ctx) }()
	p.g.hearClose(t, 1001, "server shutting down")
	cancel() // the guest never answers
	if err := <-done; err != context.Canceled {
		t.Error(err)
	}
	if e := p.ended(t, 1006, false); !errors.Is(e.Err, ErrTerminated) {
		t.Error(e.Err)
	}
	p.g.hearEnd(t)
}
