//go:build !race && !gannetdebug

// The race detector makes sync.Pool drop what it is given now and then, and the
// tag gannetdebug never uses a Buffer twice: both allocate on purpose.

package pool

import (
	"runtime"
	"testing"
)

const (
	mallocOps = 500_000
	mallocMax = mallocOps / 1000 // 0.001 each, the whole process and its collections counted

	// opsPerGC has the garbage collector run four times a second at a million
	// buffers a second. Each run costs what sync.Pool then makes anew, and what a
	// goroutine that changed CPUs left behind: up to 10 objects for each class in use.
	opsPerGC = 250_000
)

// mallocsOf runs f mallocOps times with a collection every opsPerGC, and returns
// how many objects the process allocated meanwhile.
func mallocsOf(f func(i int)) uint64 {
	for i := range 1000 {
		f(i)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range mallocOps {
		f(i)
		if i%opsPerGC == opsPerGC/2 {
			runtime.GC()
		}
	}
	runtime.ReadMemStats(&after)
	return after.Mallocs - before.Mallocs
}

func TestSteadyStateDoesNotAllocate(t *testing.T) {
	p := New()
	piece := make([]byte, 3000)
	var held [32]*Buffer
	for i := range held {
		held[i] = p.Get(i * 100)
	}
	handed, returned := make(chan *Buffer), make(chan struct{})
	go func() {
		for b := range handed {
			b.Release()
			returned <- struct{}{}
		}
	}()
	const elsewhere = "released by another goroutine"
	cases := map[string]func(i int){
		"each class in turn": func(i int) { p.Get(classSize(uint8(i % classCount))).Release() },
		"one class":          func(int) { p.Get(4000).Release() },
		"retained":           func(int) { b := p.Get(100); b.Retain(); b.Release(); b.Release() },
		"grown from 256 B to 16 KiB": func(int) {
			b := p.Get(0)
			for range 4 {
				b.Append(piece)
			}
			b.Release()
		},
		"many held, released in another order": func(i int) {
			j := i * 7 % len(held)
			held[j].Release()
			held[j] = p.Get(i % 2000)
		},
		elsewhere: func(i int) {
			b := p.Get(i % 2000)
			b.Append(piece)
			handed <- b
			<-returned
		},
		"2 MiB, kept": func(int) { p.Get(2 << 20).Release() },
		"grown to 2 MiB": func(i int) {
			if i%100 == 0 {
				b := p.Get(SmallMax)
				b.B = b.B[:SmallMax]
				b.Grow(1)
				b.Release()
			}
		},
	}
	for name, f := range cases {
		processors := 1 // who is moved to another one finds nothing in its pools at first, and others' work moves us
		if name == elsewhere {
			processors = runtime.GOMAXPROCS(0)
		}
		was := runtime.GOMAXPROCS(processors)
		mallocs := mallocsOf(f)
		runtime.GOMAXPROCS(was)
		t.Logf("%s: %d mallocs in %d", name, mallocs, mallocOps)
		if mallocs > mallocMax {
			t.Errorf("%s: %d mallocs in %d, more than %d", name, mallocs, mallocOps, mallocMax)
		}
	}
	close(handed)
	for _, b := range held {
		b.Release()
	}
	mustBeHome(t, p)
}
