package dom

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/gobwas/ws"

	"github.com/gannet-ws/gannet/pool"
)

// pattern is n bytes of which no part looks like another.
func pattern(n int) []byte {
	p := make([]byte, n)
	r := rand.NewChaCha8([32]byte{})
	_, _ = r.Read(p)
	return p
}

// TestBlobReads: however it came together it reads as the bytes that it was made of.
func TestBlobReads(t *testing.T) {
	for _, n := range []int{0, 1, firstPiece - 1, firstPiece, firstPiece + 1, 100_000, 3*mostPiece + 17} {
		want := pattern(n)
		c := newContent()
		for at := 0; at < n; {
			next := min(n, at+1+int(want[at])*100)
			c.append(want[at:next])
			at = next
		}
		b := newBlob(c, 0, c.size)
		if b.Size() != int64(n) || n > 2*mostPiece && len(c.pieces) < 3 {
			t.Errorf("%d bytes in %d pieces", b.Size(), len(c.pieces))
		}
		if n > 0 {
			if err := iotest.TestReader(b.NewReader(), want); err != nil {
				t.Error(n, err)
			}
		}
		for range 2 { // it can be read again
			if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
				t.Error(n, err)
			}
		}
		var out bytes.Buffer
		if m, err := b.WriteTo(&out); err != nil || m != int64(n) || !bytes.Equal(out.Bytes(), want) {
			t.Error(n, m, err)
		}
		b.Release()
	}
}

func TestBlobReadAt(t *testing.T) {
	b := NewBlob([]byte("abc"), nil, []byte("def"))
	for _, c := range []struct {
		at   int64
		n    int
		want string
		err  error
	}{
		{0, 6, "abcdef", nil}, {2, 2, "cd", nil}, {4, 5, "ef", io.EOF}, {6, 1, "", io.EOF}, {9, 1, "", io.EOF}, {0, 0, "", nil}, {-1, 1, "", ErrSyntax},
	} {
		p := make([]byte, c.n)
		n, err := b.ReadAt(p, c.at)
		if string(p[:n]) != c.want || !errors.Is(err, c.err) {
			t.Errorf("at %d: %q, %v", c.at, p[:n], err)
		}
	}
}

// TestBlobSlice is Blob.slice of the File API.
func TestBlobSlice(t *testing.T) {
	b := NewBlob([]byte("abcdef"))
	for _, c := range []struct {
		start, end int64
		want       string
	}{
		{0, 6, "abcdef"}, {1, 3, "bc"}, {-2, 6, "ef"}, {0, -1, "abcde"}, {-100, 100, "abcdef"}, {4, 2, ""}, {6, 6, ""}, {100, 200, ""}, {-3, -1, "de"},
	} {
		s := b.Slice(c.start, c.end)
		if got, err := s.Text(); got != c.want || err != nil || s.Size() != int64(len(c.want)) {
			t.Errorf("%d to %d: %q, %v", c.start, c.end, got, err)
		}
	}
	s := b.Slice(1, 5)
	b.Release()
	if got, err := s.Slice(1, -1).Text(); got != "cd" || err != nil {
		t.Errorf("a slice of a slice, after the Blob's Release: %q, %v", got, err)
	}
}

// TestBlobReleased: nothing reads it, and nothing breaks.
func TestBlobReleased(t *testing.T) {
	b := NewBlob([]byte("abc"))
	r := b.NewReader()
	b.Release()
	b.Release()
	_, err1 := b.Bytes()
	_, err2 := b.Text()
	_, err3 := b.ReadAt(make([]byte, 1), 0)
	_, err4 := b.WriteTo(io.Discard)
	_, err5 := io.ReadAll(r)
	_, err6 := b.Slice(0, 1).Bytes()
	for i, err := range []error{err1, err2, err3, err4, err5, err6} {
		if !errors.Is(err, ErrInvalidState) {
			t.Error(i+1, err)
		}
	}
	if b.Size() != 3 || b.String() != "Blob of 3 bytes" {
		t.Error(b)
	}
}

func TestBlobText(t *testing.T) {
	for in, want := range map[string]string{"": "", "a€": "a€", "\uFEFFa": "a", "\uFEFF\uFEFF": "\uFEFF", "a\xff\xe2\x82": "a\uFFFD\uFFFD"} {
		if got, err := NewBlob([]byte(in)).Text(); got != want || err != nil {
			t.Errorf("%q: %q, %v", in, got, err)
		}
	}
}

type refuses struct{ after int }

func (r *refuses) Write(p []byte) (int, error) {
	if r.after--; r.after < 0 {
		return 0, io.ErrClosedPipe
	}
	return len(p), nil
}

func TestBlobWriteToStops(t *testing.T) {
	b := NewBlob(pattern(100_000), pattern(200_000))
	if n, err := b.WriteTo(&refuses{after: 1}); err != io.ErrClosedPipe || n == 0 || n == b.Size() {
		t.Error(n, err)
	}
}

// TestBlobGivesItsMemoryBack: by Release, or by the garbage collector.
func TestBlobGivesItsMemoryBack(t *testing.T) {
	c := newContent()
	c.append(pattern(3 * mostPiece))
	bufs := make([]*pool.Buffer, 0, 8)
	for _, k := range c.pieces {
		k.buf.Retain()
		bufs = append(bufs, k.buf)
	}
	all := func(refs int32) func() bool {
		return func() bool {
			runtime.GC()
			for _, b := range bufs {
				if b.Refs() != refs {
					return false
				}
			}
			return true
		}
	}
	b := newBlob(c, 0, c.size)
	s := b.Slice(0, 10)
	b.Release()
	if !all(2)() {
		t.Error("a slice was left, and its memory was given back")
	}
	if _, err := s.Bytes(); err != nil {
		t.Error(err)
	}
	s, b = nil, nil
	within(t, "the garbage collector gives it back", all(1))
	for _, b := range bufs {
		b.Release()
	}
}

// TestBlobAllAtOnce is for the race detector.
func TestBlobAllAtOnce(t *testing.T) {
	b := NewBlob(pattern(200_000))
	want, _ := b.Bytes()
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for range 50 {
				if got, err := b.Bytes(); err == nil && !bytes.Equal(got, want) {
					t.Error("other bytes")
				}
				b.Slice(10, 20).Release()
				_, _ = b.WriteTo(io.Discard)
			}
			if i == 0 {
				b.Release()
			}
		})
	}
	all.Wait()
}

// TestLongBlobIsNeverOneBlock: a long message comes in pieces, and goes back as it came.
func TestLongBlobIsNeverOneBlock(t *testing.T) {
	const n = 20 << 20
	want := pattern(n)
	url := peers(t, func(p *peer) {
		p.accept()
		p.binary(want)
		if got := p.read(); got != "text same" {
			t.Error(got)
		}
		p.close("")
		p.untilEnd()
	})
	w := open(t, url, Options{})
	w.OnMessage(func(e *MessageEvent) {
		b := e.Data.(*Blob)
		for _, k := range b.content.pieces {
			if cap(k.b) > mostPiece {
				t.Error("a piece of", cap(k.b))
			}
		}
		if got, err := b.Bytes(); err != nil || !bytes.Equal(got, want) {
			t.Error("other bytes", err)
		}
		b.Release()
		_ = w.SendText("same")
	})
	run(t, w)
}

// TestSendBlobKeepsNothing: the Blob may be released, whole and in part, as soon as it was sent.
func TestSendBlobKeepsNothing(t *testing.T) {
	want := pattern(300_000)
	got := make(chan string, 3)
	url := peers(t, func(p *peer) {
		p.accept()
		for range 3 {
			got <- p.read()
		}
		p.close("")
		p.untilEnd()
	})
	w := open(t, url, Options{})
	var sent []string
	w.OnOpen(func(*OpenEvent) {
		for _, b := range []*Blob{NewBlob(want[:5000]), NewBlob(want), NewBlob(want).Slice(100_000, 250_000)} {
			p, _ := b.Bytes()
			sent = append(sent, hexed(p))
			if err := w.SendBlob(b); err != nil {
				t.Error(err)
			}
			b.Release()
			if err := w.SendBlob(b); !errors.Is(err, ErrInvalidState) {
				t.Error(err)
			}
		}
		if err := w.SendBlob(nil); !errors.Is(err, ErrSyntax) {
			t.Error(err)
		}
	})
	run(t, w)
	for i, want := range sent {
		if g := receive(t, got, "a message"); g != want {
			t.Errorf("message %d: %.50s, want %.50s", i, g, want)
		}
	}
}

// hexed is a binary message as a peer reads it.
func hexed(p []byte) string { return fmt.Sprintf("%v %x", ws.OpBinary, p) }

// A few bytes are not kept in a long piece, in however many fragments they came.
func TestSmallBlobInFragmentsIsSmall(t *testing.T) {
	url := peers(t, func(p *peer) {
		p.accept()
		p.write(frame(ws.NewFrame(ws.OpBinary, false, []byte("ab"))) + frame(ws.NewFrame(ws.OpContinuation, true, []byte("c"))) + frame(ws.NewCloseFrame(nil)))
		p.untilEnd()
	})
	w := open(t, url, Options{})
	var blob *Blob
	w.OnMessage(func(e *MessageEvent) { blob, _ = e.Data.(*Blob) })
	run(t, w)
	if blob == nil || blob.content.memory > 64 {
		t.Fatalf("%v", blob)
	}
	if text, err := blob.Text(); text != "abc" || err != nil {
		t.Error(text, err)
	}
}
