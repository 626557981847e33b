package mask

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

const (
	barRounds  = 15                    // interleaved rounds of every contender
	barSample  = 20 * time.Microsecond // one timing: long for the clock, short against a time slice
	barRetries = 5                     // a loser loses every time, or it was the neighbour
	barNoise   = 1.03                  // what two runs of the same code may differ by
	barOver    = 2.0                   // ns over copy allowed below 256 bytes
	barCopy    = 0.9                   // share of copy's speed required from 1 KiB
)

// TestBars holds XOR to its bars, in place, at every length up to 256 and some
// above, aligned and not: never slower than gobwas/ws.Cipher, at most 2 ns over
// copy below 256 bytes, at least 0.9 of copy's speed from 1 KiB. It is a
// measurement, so it runs only where somebody asks for it:
//
//	GANNET_BARS=1 go test ./mask -run TestBars -v
//
// GANNET_BARS=print prints without judging. Copy is printed and not judged: no
// bar names it. Two ways of use are measured, because they differ by the store
// buffer (see xorInPlace in _asm): one buffer masked again and again,
// and up to eight in turn.
func TestBars(t *testing.T) {
	mode := os.Getenv("GANNET_BARS")
	if mode == "" {
		return
	}
	t.Logf("kernel %s; ns a call", Implementation())
	t.Log(barHeader)
	for _, slots := range []int{1, 8} {
		for _, align := range []int{0, 1, 31} {
			for _, n := range barLengths() {
				judge(t, mode, newCourse(n, n, align, slots))
			}
		}
	}
	for _, mix := range [][2]int{{0, 15}, {16, 125}, {0, 125}, {126, 1024}} {
		judge(t, mode, newCourse(mix[0], mix[1], 0, 8))
	}
}

func barLengths() []int {
	var n []int
	for i := range 257 {
		n = append(n, i)
	}
	return append(n, 300, 320, 384, 400, 511, 512, 600, 768, 1000, 1<<10, 1500,
		2<<10, 4<<10, 4<<10+1, 16<<10, 16<<10+9, 64<<10, 1<<20, 4<<20)
}

// shown are the lengths printed even when nothing is wrong.
var shown = []int{0, 2, 7, 16, 32, 64, 100, 125, 128, 200, 255, 512, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 4 << 20}

// A course is what every contender does in one timing.
type course struct {
	dst, src      []byte
	lengths       []int // of the calls, in turn; a power of two of them
	from, to      int   // the lengths' range
	align, slots  int
	stride, calls int
}

func newCourse(from, to, align, slots int) course {
	c := course{from: from, to: to, align: align, slots: slots, lengths: make([]int, 1)}
	if from != to {
		c.lengths = make([]int, 1<<14) // too many for a branch predictor to learn
	}
	for i := range c.lengths {
		c.lengths[i] = from + rand.IntN(to-from+1)
	}
	// Slots follow each other, as messages in a read buffer do, and with src
	// they fill at most a page: loads are taken for recent stores that agree
	// with them in the low 12 bits, and it is not addresses we compare.
	c.stride = (to + align + 63) &^ 63
	for c.slots > 1 && c.slots*c.stride > 3<<10 {
		c.slots /= 2
	}
	c.dst = pageAligned(c.slots*c.stride + 64)[align:]
	c.src = pageAligned(to + 4<<10)[3<<10+align:]
	c.calls = max(1, int(barSample)/(5+to/20))
	return c
}

func pageAligned(size int) []byte {
	b := alignedBytes(size + 1<<12)
	return b[-address(b)&(1<<12-1):]
}

func (c course) String() string {
	length := fmt.Sprint(c.from)
	if c.from != c.to {
		length = fmt.Sprintf("%d..%d", c.from, c.to)
	}
	use := "turns"
	if c.slots == 1 {
		use = "same"
	}
	return fmt.Sprintf("%9s %5d %5s", length, c.align, use)
}

// figures are medians, in nanoseconds a call.
type figures struct{ copy, gobwas, xor, fused float64 }

const barHeader = "   length align   use |   copy gobwas    XOR   Copy | XOR/gobwas XOR-copy copy/XOR"

func (f figures) String() string {
	return fmt.Sprintf("%6.2f %6.2f %6.2f %6.2f | %10.2f %8.2f %8.2f",
		f.copy, f.gobwas, f.xor, f.fused, f.xor/f.gobwas, f.xor-f.copy, f.copy/f.xor)
}

// missed names the bars that f is under.
func (c course) missed(f figures) (bars []string) {
	if f.xor > barNoise*f.gobwas {
		bars = append(bars, "slower than gobwas")
	}
	if c.from != c.to {
		return bars
	}
	if c.to < 256 && f.xor > f.copy+barOver {
		bars = append(bars, "more than 2 ns over copy")
	}
	if c.to >= 1<<10 && f.copy < barCopy*f.xor {
		bars = append(bars, "below 0.9 of copy's speed")
	}
	return bars
}

func judge(t *testing.T, mode string, c course) {
	f := c.measure()
	bars := c.missed(f)
	for range barRetries {
		if len(bars) == 0 {
			break
		}
		f = c.measure()
		bars = c.missed(f)
	}
	switch {
	case len(bars) > 0 && mode != "print":
		t.Errorf("%v | %v %q", c, f, bars)
	case len(bars) > 0 || c.from != c.to || slices.Contains(shown, c.to):
		t.Logf("%v | %v %v", c, f, bars)
	}
}

func (c course) measure() figures {
	contenders := []func(course){course.runCopy, course.runGobwas, course.runXOR, course.runFused}
	var took [4][]float64
	// Every timing follows a call or two untimed: the caches must be as this
	// contender leaves them, not the one before (copy may bypass L1).
	warm := c
	warm.calls = min(c.calls, c.slots)
	for range barRounds {
		for i, run := range contenders {
			run(warm)
			start := time.Now()
			run(c)
			took[i] = append(took[i], float64(time.Since(start))/float64(c.calls))
		}
	}
	for i := range took {
		slices.Sort(took[i])
	}
	const median = barRounds / 2
	return figures{took[0][median], took[1][median], took[2][median], took[3][median]}
}

func (c course) runCopy() {
	for i := range c.calls {
		n, at := c.lengths[i&(len(c.lengths)-1)], i&(c.slots-1)*c.stride
		copy(c.dst[at:at+n], c.src[:n])
	}
}

func (c course) runGobwas() {
	key := [4]byte{1, 2, 3, 4}
	for i := range c.calls {
		n, at := c.lengths[i&(len(c.lengths)-1)], i&(c.slots-1)*c.stride
		ws.Cipher(c.dst[at:at+n], key, 0)
	}
}

func (c course) runXOR() {
	key := uint32(0x04030201)
	for i := range c.calls {
		n, at := c.lengths[i&(len(c.lengths)-1)], i&(c.slots-1)*c.stride
		XOR(c.dst[at:at+n], key)
	}
}

func (c course) runFused() {
	key := uint32(0x04030201)
	for i := range c.calls {
		n, at := c.lengths[i&(len(c.lengths)-1)], i&(c.slots-1)*c.stride
		Copy(c.dst[at:at+n], c.src[:n], key)
	}
}
