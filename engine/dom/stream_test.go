package dom

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/deflate"
	"github.com/gannet-ws/gannet/engine"
)

// onRoads runs a test over each way, both sides by turns.
func onRoads(t *testing.T, f func(t *testing.T, a, b *Stream)) {
	for _, r := range roads() {
		t.Run(r.name+", from the client", func(t *testing.T) { a, b := r.pair(t); f(t, a, b) })
		t.Run(r.name+", from the server", func(t *testing.T) { a, b := r.pair(t); f(t, b, a) })
	}
}

// soon is a context for what has to succeed.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience())
	t.Cleanup(cancel)
	return ctx
}

// shortly is a context for what has to wait for ever.
func shortly(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	t.Cleanup(cancel)
	return ctx
}

func mustWrite(t testing.TB, s *Stream, op engine.Opcode, text string) {
	t.Helper()
	if err := s.Write(soon(t), op, []byte(text)); err != nil {
		t.Fatal("Write:", err)
	}
}

func wantRead(t testing.TB, s *Stream, op engine.Opcode, text string) {
	t.Helper()
	got, p, err := s.Read(soon(t))
	if err != nil || got != op || string(p) != text {
		t.Fatalf("Read: %v %.50q (%d bytes) %v, want %v %.50q", got, p, len(p), err, op, text)
	}
}

func TestStreamMessages(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		long := strings.Repeat("€", 1<<20) // longer than HighWater: it leaves in fragments that cut characters
		for _, text := range []string{"hello", "", "", long, strings.Repeat("x", 70_000), "end"} {
			go func() { _ = a.Write(soon(t), engine.OpText, []byte(text)) }()
			wantRead(t, b, engine.OpText, text)
		}
		mustWrite(t, a, engine.OpBinary, "\xff\x00")
		wantRead(t, b, engine.OpBinary, "\xff\x00")
	})
}

func TestStreamReadTo(t *testing.T) {
	a, b := roads()[0].pair(t)
	mustWrite(t, a, engine.OpText, "two")
	buf := append(make([]byte, 0, 100), "one "...)
	_, p, err := b.ReadTo(soon(t), buf)
	if string(p) != "one two" || &p[0] != &buf[0] || err != nil {
		t.Errorf("%q %v", p, err)
	}
	if _, p, err = b.ReadTo(shortly(t), buf); string(p) != "one " || err != context.DeadlineExceeded {
		t.Errorf("with an error dst is as it was: %q %v", p, err)
	}
}

// A Read whose context ends leaves the stream as it was: between messages, and within one.
func TestStreamReadContext(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		if _, _, err := b.Read(shortly(t)); err != context.DeadlineExceeded {
			t.Fatal(err)
		}
		w, err := a.NextWriter(soon(t), engine.OpText)
		if err != nil {
			t.Fatal(err)
		}
		half := strings.Repeat("1", 3*writerBytes)
		for range 2 {
			if _, err := io.WriteString(w, half); err != nil {
				t.Fatal(err)
			}
			if _, _, err := b.Read(shortly(t)); err != context.DeadlineExceeded {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		wantRead(t, b, engine.OpText, half+half)
		over, cancel := context.WithCancel(context.Background())
		cancel()
		mustWrite(t, a, engine.OpText, "x")
		if _, _, err := b.Read(over); err != context.Canceled {
			t.Error("a context that is over already:", err)
		}
		wantRead(t, b, engine.OpText, "x")
	})
}

// NextReader answers when the message has begun, and reads as it comes.
func TestStreamNextReader(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		w, err := a.NextWriter(soon(t), engine.OpBinary)
		if err != nil {
			t.Fatal(err)
		}
		part := bytes.Repeat([]byte("p"), 2*writerBytes)
		if _, err := w.Write(part); err != nil {
			t.Fatal(err)
		}
		op, r, err := b.NextReader(soon(t))
		if err != nil || op != engine.OpBinary {
			t.Fatal(op, err)
		}
		got := make([]byte, len(part))
		if _, err := io.ReadFull(r, got); err != nil || !bytes.Equal(got, part) {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Read(got); n != 0 || err != io.EOF {
			t.Error("at the end:", n, err)
		}
		if n, err := r.Read(got); n != 0 || err != io.EOF {
			t.Error("and again:", n, err)
		}
		if err := w.Close(); !errors.Is(err, engine.ErrInvalidState) {
			t.Error("a writer closed twice:", err)
		}
	})
}

func TestStreamLeftBehind(t *testing.T) {
	a, b := roads()[0].pair(t)
	go func() {
		_ = a.Write(soon(t), engine.OpText, bytes.Repeat([]byte("long"), 1<<20))
		_ = a.Write(soon(t), engine.OpText, []byte("next"))
		_ = a.Write(soon(t), engine.OpText, []byte("last"))
	}()
	_, r, err := b.NextReader(soon(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(r, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	_, r2, err := b.NextReader(soon(t)) // what was not read of the first message is passed over
	if err != nil {
		t.Fatal(err)
	}
	if p, err := io.ReadAll(r2); string(p) != "next" || err != nil {
		t.Errorf("%q %v", p, err)
	}
	if _, err := r.Read(make([]byte, 1)); err != engine.ErrInvalidState {
		t.Error("a reader whose message was left behind:", err)
	}
	wantRead(t, b, engine.OpText, "last")
}

// A message that breaks off is no message that ends.
func TestStreamBreaksOff(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		w, err := a.NextWriter(soon(t), engine.OpText)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, strings.Repeat("x", 2*writerBytes)); err != nil {
			t.Fatal(err)
		}
		_, r, err := b.NextReader(soon(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		_, err = io.ReadAll(r)
		if !errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) || !errors.Is(err, net.ErrClosed) {
			t.Errorf("%v", err)
		}
		if _, err := io.WriteString(w, strings.Repeat("x", 2*writerBytes)); !errors.Is(err, engine.ErrClosed) {
			t.Error("its writer:", err)
		}
		if err := a.Write(soon(t), engine.OpText, nil); !errors.Is(err, engine.ErrClosed) {
			t.Error("another writer:", err)
		}
	})
}

// A stream that is not read stops the peer: by bytes, and by the number of messages.
func TestStreamUnread(t *testing.T) {
	for _, size := range []int{0, 1, 1000, 300_000} {
		for i, r := range roads() {
			if i < 2 && size < 1000 {
				continue // a kernel keeps a million of them
			}
			t.Run(fmt.Sprint(size, " ", r.name), func(t *testing.T) {
				a, b := r.pair(t)
				testUnread(t, a, b, size)
				testUnread(t, b, a, size)
			})
		}
	}
}

func testUnread(t *testing.T, a, b *Stream, size int) {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	var sent atomic.Int64
	stopped := make(chan error, 1)
	go func() {
		p := make([]byte, size)
		for {
			if err := a.Write(ctx, engine.OpBinary, p); err != nil {
				stopped <- err
				return
			}
			sent.Add(1)
		}
	}()
	within(t, "the writer waits", func() bool { return a.blocked.Load() != nil && !moves(&sent) })
	if held := b.in.held.Load(); held > inboxBytes+(1<<20) {
		t.Errorf("an unread stream holds %d bytes of %d messages", held, sent.Load())
	}
	if n := a.Conn().BufferedAmount(); n > 1<<20 {
		t.Errorf("a blocked writer has %d bytes queued", n)
	}
	stop()
	if err := receive(t, stopped, "the writer's error"); err != context.Canceled {
		t.Fatal(err)
	}
	soon := soon(t)
	for i := range sent.Load() { // and all of them come
		if _, p, err := b.Read(soon); err != nil || len(p) != size {
			t.Fatal(i, len(p), err)
		}
	}
	mustWrite(t, a, engine.OpText, "the message whose context ended is not there")
	wantRead(t, b, engine.OpText, "the message whose context ended is not there")
}

// moves tells whether a counter moves within a while.
func moves(n *atomic.Int64) bool {
	before := n.Load()
	time.Sleep(300 * time.Millisecond)
	return n.Load() != before
}

// A message that has left in part cannot be taken back.
func TestStreamWriteBreaksOff(t *testing.T) {
	a, b := roads()[2].pair(t)
	ctx, stop := context.WithCancel(soon(t))
	written := make(chan error, 1)
	go func() { written <- a.Write(ctx, engine.OpBinary, make([]byte, 16<<20)) }()
	within(t, "a part has come", func() bool { return b.in.held.Load() > 0 })
	stop()
	if err := receive(t, written, "the writer's error"); err != context.Canceled {
		t.Fatal(err)
	}
	if e, err := a.Wait(soon(t)); e.Code != 1006 || err == nil {
		t.Error(e, err)
	}
	if err := a.Write(soon(t), engine.OpBinary, nil); !errors.Is(err, engine.ErrTerminated) || !errors.Is(err, engine.ErrClosed) {
		t.Error(err)
	}
	if _, _, err := b.Read(soon(t)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Error(err)
	}
}

// Two ends that write more than HighWater before they read what the other writes do not wait for each other for ever.
func TestStreamFullDuplex(t *testing.T) {
	onRoads(t, func(t *testing.T, a, b *Stream) {
		const messages, size = 400, 32 << 10
		var all sync.WaitGroup
		for _, s := range []*Stream{a, b} {
			all.Go(func() {
				for i := range messages {
					if err := s.Write(soon(t), engine.OpBinary, bytes.Repeat([]byte{byte(i)}, size)); err != nil {
						t.Error(err)
						return
					}
				}
			})
			all.Go(func() {
				for i := range messages {
					_, p, err := s.Read(soon(t))
					if err != nil || len(p) != size || p[0] != byte(i) {
						t.Error(i, len(p), err)
						return
					}
				}
			})
		}
		all.Wait()
	})
}

// Many readers and many writers: each message whole, each once.
func TestStreamManyGoroutines(t *testing.T) {
	a, b := roads()[1].pair(t)
	const writers, each = 8, 200
	var mu sync.Mutex
	seen := map[string]int{}
	var all, done sync.WaitGroup
	for i := range writers {
		all.Go(func() {
			for j := range each {
				text := fmt.Sprint(i, " ", j, strings.Repeat(".", i*j))
				if j%7 == 0 {
					w, err := a.NextWriter(soon(t), engine.OpText)
					if err != nil {
						t.Error(err)
						return
					}
					_, _ = io.WriteString(w, text[:len(text)/2])
					_, _ = io.WriteString(w, text[len(text)/2:])
					_ = w.Close()
					continue
				}
				mustWrite(t, a, engine.OpText, text)
			}
		})
	}
	for range 4 {
		done.Go(func() {
			for {
				_, p, err := b.Read(soon(t))
				if err != nil {
					return
				}
				mu.Lock()
				seen[string(p)]++
				mu.Unlock()
			}
		})
	}
	all.Wait()
	_ = a.Close()
	done.Wait()
	for i := range writers {
		for j := range each {
			if text := fmt.Sprint(i, " ", j, strings.Repeat(".", i*j)); seen[text] != 1 {
				t.Fatalf("%.20q came %d times", text, seen[text])
			}
		}
	}
}

func TestStreamDeflate(t *testing.T) {
	r := roads()[0]
	r.client.Deflate, r.server.Deflate = &deflate.Policy{}, &deflate.Policy{}
	a, b := r.pair(t)
	if !strings.HasPrefix(a.Extensions(), "permessage-deflate") || a.Extensions() != b.Extensions() {
		t.Fatal(a.Extensions())
	}
	for _, n := range []int{0, 100, 1 << 20, 9 << 20} {
		text := strings.Repeat("abc ", n/4)
		go func() { _ = a.Write(soon(t), engine.OpText, []byte(text)) }()
		wantRead(t, b, engine.OpText, text)
	}
}

// An idle stream has no goroutine, on either side.
func TestStreamGoroutines(t *testing.T) {
	server := serve(t, engine.Funcs{Open: func(c *engine.Conn) { StreamOf(c) }}, engine.Options{})
	dial := func() {
		s, err := DialStream(soon(t), server, Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
	}
	dial()
	before := runtime.NumGoroutine()
	for range 50 {
		dial()
	}
	within(t, "no goroutine is left", func() bool { return runtime.NumGoroutine() <= before+5 })
}
