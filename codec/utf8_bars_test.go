package codec

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	utf8BarPairs  = 41                    // timed pairs per line, the standard library's and ours in turn
	utf8BarSample = 20 * time.Microsecond // long for the clock, short against a time slice
	utf8BarTries  = 4                     // a line fails only if it fails as often as that

	utf8BarNoise = 1.03 // what two runs of the same code may differ by
	// A text of at most 32 bytes takes 2 to 20 ns, and where the linker happens to
	// put the loops moves that by up to 2 ns, in our code and in the library's.
	utf8BarShort, utf8BarNoiseShort = 32, 2.0
)

// TestUTF8Bars holds ValidUTF8 to its bars: never slower than unicode/utf8, and
// from 1 KiB of text that is not ASCII as much faster as utf8KernelBar says, five
// times for what nearly all machines run. It is a measurement, so it runs only
// where somebody asks for it:
//
//	GANNET_BARS=1 go test ./codec -run TestUTF8Bars -v
//
// Every length up to 130 is judged; some are printed, and what misses a bar.
func TestUTF8Bars(t *testing.T) {
	if os.Getenv("GANNET_BARS") == "" {
		return
	}
	utf8EachKernel(t, func(t *testing.T) {
		t.Logf("%-9s %8s %10s %10s %10s %6s", "text", "bytes", "std ns", "ours ns", "Write ns", "ratio")
		for _, text := range utf8Texts {
			for _, n := range utf8BarLengths() {
				p := utf8Sample(text.sample, n)
				if len(p) == 0 {
					continue
				}
				bar := 1 / utf8BarNoise
				if n >= 1<<10 && !text.ascii {
					bar = utf8KernelBar()
				}
				r := utf8RaceTo(p, bar)
				line := fmt.Sprintf("%-9s %8d %10.1f %10.1f %10.1f %6.2f", text.kind, len(p), r.std, r.ours, r.write, r.ratio)
				if !r.reaches(len(p), bar) {
					t.Errorf("%s: the bar is %.2f", line, bar)
				} else if n&(n-1) == 0 && n != 32 && n != 256 && n != 512 && n != 4096 {
					t.Log(line)
				}
			}
		}
	})
}

// utf8BarLengths is every length up to 130, where one byte more or less changes
// the path, and some beyond.
func utf8BarLengths() (n []int) {
	for i := 1; i <= 130; i++ {
		n = append(n, i)
	}
	return append(n, 192, 256, 512, 1<<10, 4<<10, 16<<10, 1<<20)
}

// utf8Result is medians, in nanoseconds per call, and the median of the pairs'
// ratios of the standard library's time to ours.
type utf8Result struct{ std, ours, write, ratio float64 }

func (r utf8Result) reaches(n int, bar float64) bool {
	return r.ratio >= bar || n <= utf8BarShort && r.ours <= r.std+utf8BarNoiseShort
}

func utf8RaceTo(p []byte, bar float64) (r utf8Result) {
	for range utf8BarTries {
		if r = utf8Race(p); r.reaches(len(p), bar) {
			break
		}
	}
	return r
}

// utf8Race times unicode/utf8, ValidUTF8 and Write in turn, over and over.
func utf8Race(p []byte) utf8Result {
	calls := 1
	for calls < 1<<14 && utf8TimeStd(p, calls) < utf8BarSample {
		calls *= 2
	}
	var std, ours, write, ratio [utf8BarPairs]float64
	for i := range std {
		std[i] = float64(utf8TimeStd(p, calls)) / float64(calls)
		ours[i] = float64(utf8TimeOurs(p, calls)) / float64(calls)
		write[i] = float64(utf8TimeWrite(p, calls)) / float64(calls)
		ratio[i] = std[i] / ours[i]
	}
	return utf8Result{utf8Median(std[:]), utf8Median(ours[:]), utf8Median(write[:]), utf8Median(ratio[:])}
}

func utf8Median(x []float64) float64 {
	slices.Sort(x)
	return x[len(x)/2]
}

// Three loops and not one with a parameter: a call through a function value would
// cost as much as a short text.

func utf8TimeStd(p []byte, calls int) time.Duration {
	start := time.Now()
	for range calls {
		if !utf8.Valid(p) {
			panic("codec: sample text is not valid")
		}
	}
	return time.Since(start)
}

func utf8TimeOurs(p []byte, calls int) time.Duration {
	start := time.Now()
	for range calls {
		if !ValidUTF8(p) {
			panic("codec: sample text is not valid")
		}
	}
	return time.Since(start)
}

func utf8TimeWrite(p []byte, calls int) time.Duration {
	var v UTF8
	start := time.Now()
	for range calls {
		if _, ok := v.Write(p); !ok || !v.Complete() {
			panic("codec: sample text is not valid")
		}
	}
	return time.Since(start)
}
