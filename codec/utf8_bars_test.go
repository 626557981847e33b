package codec

import (
	"os"
	"slices"
	"testing"
	"time"
	"unicode/utf8"
)

const (
	utf8BarPairs  = 41                    // timed pairs per line, ours and the standard library's in turn
	utf8BarSample = 20 * time.Microsecond // long for the clock, short against a time slice
	utf8BarNoise  = 1.03                  // what two runs of the same code may differ by
)

// TestUTF8Bars holds the validator to its bars: never slower than unicode/utf8,
// and five times as fast from 1 KiB of text that is not ASCII. It is a
// measurement, so it runs only where somebody asks for it:
//
//	GANNET_BARS=1 go test ./codec -run TestUTF8Bars -v
//
// GANNET_BARS=print prints without judging.
func TestUTF8Bars(t *testing.T) {
	mode := os.Getenv("GANNET_BARS")
	if mode == "" {
		return
	}
	t.Logf("%-9s %8s %10s %10s %7s", "text", "bytes", "std ns", "ours ns", "ratio")
	for _, text := range utf8Texts {
		for _, n := range utf8BarLengths() {
			p := utf8Sample(text.sample, n)
			if len(p) == 0 {
				continue
			}
			std, ours, ratio := utf8Race(p)
			bar := 1 / utf8BarNoise
			if n >= 1<<10 && !text.ascii {
				bar = 5
			}
			t.Logf("%-9s %8d %10.1f %10.1f %7.2f", text.kind, len(p), std, ours, ratio)
			if ratio < bar && mode != "print" {
				t.Errorf("%s of %d bytes: %.2f x unicode/utf8, the bar is %.2f", text.kind, len(p), ratio, bar)
			}
		}
	}
}

// utf8BarLengths is every length up to 130, where one byte more or less changes
// the path, and some beyond.
func utf8BarLengths() []int {
	n := []int{192, 256, 512, 1 << 10, 4 << 10, 16 << 10, 1 << 20}
	for i := 130; i > 0; i-- {
		n = slices.Insert(n, 0, i)
	}
	return n
}

// utf8Race times both validators in turn, A B A B, and returns the medians in
// nanoseconds per call and the median of the pairs' ratios.
func utf8Race(p []byte) (std, ours, ratio float64) {
	calls := 1
	for calls < 1<<14 && utf8TimeStd(p, calls) < utf8BarSample {
		calls *= 2
	}
	var a, b, r [utf8BarPairs]float64
	for i := range a {
		a[i] = float64(utf8TimeStd(p, calls)) / float64(calls)
		b[i] = float64(utf8TimeOurs(p, calls)) / float64(calls)
		r[i] = a[i] / b[i]
	}
	slices.Sort(a[:])
	slices.Sort(b[:])
	slices.Sort(r[:])
	return a[utf8BarPairs/2], b[utf8BarPairs/2], r[utf8BarPairs/2]
}

// Two loops and not one with a parameter: a call through a function value would
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
