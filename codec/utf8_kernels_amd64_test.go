//go:build !purego

package codec

import (
	"os"
	"runtime"
	"strings"
	"testing"
)

var utf8KernelNames = [...]string{utf8Plain: "Go", utf8SSE41: "SSE4.1", utf8AVX2: "AVX2", utf8AVX512: "AVX-512"}

// utf8EachKernel runs f with every implementation that this machine has.
func utf8EachKernel(t *testing.T, f func(t *testing.T)) {
	for k := utf8Plain; k <= utf8Best(); k++ {
		t.Run(utf8KernelNames[k], func(t *testing.T) {
			defer utf8Force(k)()
			f(t)
		})
	}
}

// utf8AllKernels is how many there are for utf8WithKernel.
func utf8AllKernels() int { return int(utf8Best()) + 1 }

func utf8WithKernel(i int, f func()) {
	defer utf8Force(utf8Kernel(i))()
	f()
}

// utf8KernelBar is how much faster than unicode/utf8 a long text must be. SSE4.1
// is for machines without AVX2, older than 2013 or emulated: what is mostly ASCII
// gains less there.
func utf8KernelBar() float64 {
	return [...]float64{utf8Plain: 1, utf8SSE41: 3.3, utf8AVX2: 5, utf8AVX512: 5}[utf8Chosen]
}

func utf8Force(k utf8Kernel) (restore func()) {
	before := utf8Chosen
	utf8Chosen = k
	return func() { utf8Chosen = before }
}

// The kernels are of no use if they are not used: what was chosen must be the
// best that the machine's own list of features allows, and must be what runs.
func TestUTF8BestKernelIsChosen(t *testing.T) {
	if runtime.GOOS == "linux" && !strings.Contains(os.Getenv("GODEBUG"), "cpu.") {
		info, err := os.ReadFile("/proc/cpuinfo")
		if err != nil {
			t.Fatal(err)
		}
		if want := utf8BestByFlags(string(info)); utf8Chosen != want {
			t.Errorf("chosen: %s, the machine has %s", utf8KernelNames[utf8Chosen], utf8KernelNames[want])
		}
	}
	text := utf8Sample(utf8Texts[3].sample, 1000)
	ran := utf8Quick(text) == len(text) // plain Go leaves a long text to utf8Prefix
	if ran != (utf8Chosen != utf8Plain) {
		t.Errorf("chosen: %s, a kernel ran: %v", utf8KernelNames[utf8Chosen], ran)
	}
}

func utf8BestByFlags(cpuinfo string) utf8Kernel {
	_, flags, _ := strings.Cut(cpuinfo, "\nflags")
	flags, _, _ = strings.Cut(flags, "\n")
	has := func(names ...string) bool {
		for _, name := range names {
			if !strings.Contains(flags+" ", " "+name+" ") {
				return false
			}
		}
		return true
	}
	switch {
	case has("avx512f", "avx512bw", "avx512vbmi", "bmi2"):
		return utf8AVX512
	case has("avx2"):
		return utf8AVX2
	case has("ssse3", "sse4_1"):
		return utf8SSE41
	}
	return utf8Plain
}

// A kernel that wrongly suspects a block costs time and no text, so that only
// this test and a clock would tell.
func TestUTF8KernelsRaiseNoFalseAlarm(t *testing.T) {
	for k := utf8SSE41; k <= utf8Best(); k++ {
		restore := utf8Force(k)
		for _, filler := range utf8Fillers {
			for at := range 131 {
				for _, good := range utf8Good {
					p := []byte(utf8Filler(filler, at) + good + filler)
					if fine := utf8Quick(p); fine != len(p) {
						t.Fatalf("%s: %+q at %d: fine to %d of %d", utf8KernelNames[k], good, at, fine, len(p))
					}
				}
			}
		}
		restore()
	}
}
