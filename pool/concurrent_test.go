package pool

import (
	"encoding/binary"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
)

// Each buffer carries a number only it has; several goroutines read it, and the
// last release comes from any of them. If memory were handed out twice, or taken
// back while referenced, a number would change (and the race detector would say so).
func TestSharedBuffersKeepTheirContent(t *testing.T) {
	const senders, readers, messages = 4, 3, 3000
	p := New()
	var inboxes [readers]chan *Buffer
	var reading, sending sync.WaitGroup
	for i := range inboxes {
		inboxes[i] = make(chan *Buffer, 64)
		reading.Go(func() { readNumbers(t, inboxes[i]) })
	}
	for s := range senders {
		sending.Go(func() {
			r := rand.New(rand.NewPCG(uint64(s), 4))
			for i := range messages {
				b := numbered(p, uint64(s*messages+i), r.IntN(3000))
				for _, inbox := range inboxes {
					b.Retain()
					inbox <- b
				}
				b.Release()
			}
		})
	}
	sending.Wait()
	for _, inbox := range inboxes {
		close(inbox)
	}
	reading.Wait()
	if st := p.Stats(); st.Gets != senders*messages {
		t.Errorf("%d gets, want %d", st.Gets, senders*messages)
	}
	mustBeHome(t, p)
}

// numbered is a buffer that repeats a number, about size bytes long and grown on the way.
func numbered(p *Pool, number uint64, size int) *Buffer {
	b := p.Get(0)
	b.Append(binary.LittleEndian.AppendUint64(nil, number))
	for len(b.B) < size {
		b.Append(binary.LittleEndian.AppendUint64(nil, number))
	}
	return b
}

func readNumbers(t *testing.T, inbox chan *Buffer) {
	for b := range inbox {
		number := binary.LittleEndian.Uint64(b.B)
		for i := 0; i < len(b.B); i += 8 {
			if got := binary.LittleEndian.Uint64(b.B[i:]); got != number {
				t.Errorf("byte %d of message %d belongs to %d", i, number, got)
				break
			}
		}
		b.Release()
	}
}

// Everything at once, the garbage collector, Trim and Stats included.
func TestConcurrentUse(t *testing.T) {
	p := New()
	var working sync.WaitGroup
	for w := range 4 {
		working.Go(func() {
			r := rand.New(rand.NewPCG(uint64(w), 5))
			for range 400 {
				b := p.Get(sizeFrom(byte(r.IntN(22)), byte(r.Uint32())))
				b.Append([]byte{byte(w)})
				if r.IntN(4) == 0 {
					b.Grow(sizeFrom(byte(r.IntN(23)), byte(r.Uint32())))
				}
				if len(b.B) != 1 || b.B[0] != byte(w) {
					t.Errorf("worker %d: content %v", w, b.B)
				}
				b.Release()
			}
		})
	}
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			if st := p.Stats(); st.Out < 0 || st.OutBytes < 0 || st.LargeOut < 0 || st.Gets > 1600 {
				t.Errorf("impossible figures: %+v", st)
			}
			runtime.GC()
			Trim()
		}
	})
	working.Wait()
	close(stop)
	watching.Wait()
	mustBeHome(t, p)
}
