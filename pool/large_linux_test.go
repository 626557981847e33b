package pool

import (
	"math/bits"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
)

// residentBytes is the process's memory, from /proc/self/statm, after what the
// garbage collector and this package can give back has gone.
func residentBytes(t *testing.T) int64 {
	t.Helper()
	Trim()
	runtime.GC() // what sync.Pool has goes with the second collection
	debug.FreeOSMemory()
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseInt(strings.Fields(string(text))[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// wantResident fails unless about want bytes more are resident than before.
func wantResident(t *testing.T, step string, before, want int64) {
	t.Helper()
	const tolerance = 6 << 20 // the runtime's own comings and goings
	if grown := residentBytes(t) - before; grown < want-tolerance || grown > want+tolerance {
		t.Errorf("%s: %d KiB more resident, want about %d", step, grown>>10, want>>10)
	}
}

func touch(mem []byte) {
	for i := 0; i < len(mem); i += 4096 {
		mem[i] = 1
	}
}

func TestTheLargestBufferCostsNothingUntilWritten(t *testing.T) {
	p := New()
	before := residentBytes(t)
	b := p.Get(MaxSize)
	if cap(b.B) != MaxSize {
		t.Fatalf("cap %d", cap(b.B))
	}
	wantResident(t, "Get", before, 0)
	full := b.B[:MaxSize]
	full[0], full[MaxSize/2], full[MaxSize-1] = 1, 2, 3
	wantResident(t, "three bytes", before, 0)
	if st := p.Stats(); st.LargeOut != 1 || st.LargeBytes != MaxSize || st.OutBytes != MaxSize {
		t.Errorf("%+v", st)
	}
	b.Release()
	mustBeHome(t, p)
}

func TestMemoryFollowsWhatIsWritten(t *testing.T) {
	p := New()
	before := residentBytes(t)
	mapped := Mapped().Out
	b := p.Get(0)
	piece := make([]byte, 1<<20)
	touch(piece)
	for len(b.B) < 96<<20 {
		b.Append(piece)
	}
	wantResident(t, "96 MiB appended", before, 96<<20)
	b.Grow(1 << 30)
	wantResident(t, "room for 1 GiB", before, 96<<20)
	b.B = b.B[:cap(b.B)]
	touch(b.B[512<<20 : 544<<20])
	wantResident(t, "32 MiB more, further on", before, 128<<20)
	if out := Mapped().Out - mapped; out < 1<<30 {
		t.Errorf("%d bytes mapped", out)
	}
	b.Release()
	wantResident(t, "released", before, 0)
	if m := Mapped(); m.Out != mapped || m.Returning != 0 || m.Kept != 0 {
		t.Errorf("after Trim: %+v", m)
	}
	mustBeHome(t, p)
}

// Growing through every doubling loses no byte, in place or moved: each step has
// a mapping of another buffer in the way. Where addresses have 32 bits there is
// no room for that up to MaxSize.
func TestGrowByDoublings(t *testing.T) {
	end, doublings := MaxSize, 10
	if bits.UintSize == 32 {
		end, doublings = 256<<20, 7
	}
	p := New()
	b := p.Get(SmallMax + 1)
	var others []*Buffer
	var marks []int
	for cap(b.B) < end {
		mark := cap(b.B) - 1
		b.B = b.B[:cap(b.B)]
		b.B[mark] = byte(len(marks) + 1)
		marks = append(marks, mark)
		others = append(others, p.Get(cap(b.B)))
		b.Grow(1)
	}
	for i, mark := range marks {
		if b.B[mark] != byte(i+1) {
			t.Errorf("byte %d is %d, want %d", mark, b.B[mark], i+1)
		}
	}
	if len(marks) != doublings {
		t.Errorf("%d steps, want one for each of %d doublings", len(marks), doublings)
	}
	for _, other := range others {
		other.Release()
	}
	b.Release()
	mustBeHome(t, p)
	Trim()
}

// A mapping that the system refuses leaves the buffer on the Go heap, and a
// later Grow may find a mapping again.
func TestRegionsOnTheHeap(t *testing.T) {
	r := newHeapRegion(3 << 20)
	if r.mapped != 0 || len(r.mem) != 3<<20 {
		t.Fatalf("%d mapped, %d bytes", r.mapped, len(r.mem))
	}
	r.mem[0], r.mem[3<<20-1] = 1, 2
	r, fresh := r.grow(3<<20 + 1)
	if !fresh || r.mapped != 6<<20 || r.mem[0] != 1 || r.mem[3<<20-1] != 2 {
		t.Errorf("fresh %v, %d mapped, %d, %d", fresh, r.mapped, r.mem[0], r.mem[3<<20-1])
	}
	if bits.UintSize == 64 {
		tooMuch := uintptr(1) << (bits.UintSize - 13) // 2 PiB; a user's addresses end at 128 TiB
		if _, ok := mapRegion(tooMuch); ok {
			t.Error("mapped half the address space")
		}
		if _, ok := r.remap(tooMuch); ok || r.mem[0] != 1 {
			t.Error("a refused remap did not leave the region as it was")
		}
	}
	r.release()
}
