//go:build linux && !gannetdebug && !race && (amd64 || arm64)

// Where int has 32 bits the heap's reserve is too small for this, and the tag
// gannetdebug, which moves a mapping whenever it grows, needs space for both; the
// race detector cannot live under such a limit.

package pool

import (
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// With its address space limited a process gets no mapping. That must cost speed
// only. It needs a process of its own, because the Go runtime feels the limit too.
func TestRefusedMappings(t *testing.T) {
	const childMark = "POOL_TEST_REFUSED_MAPPINGS"
	if os.Getenv(childMark) != "" {
		refusedMappings(t)
		return
	}
	child := exec.Command(os.Args[0], "-test.run=^TestRefusedMappings$", "-test.v")
	child.Env = append(os.Environ(), childMark+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestRefusedMappings") {
		t.Errorf("%v\n%s", err, out)
	}
}

func refusedMappings(t *testing.T) {
	const MiB = 1 << 20
	p := New()
	mapped := p.Get(20 * MiB)
	mapped.Append([]byte("mapped"))
	// The Go heap gets room for 17 and 34 MiB beforehand; then no mapping may be larger than 16. No
	// collection runs but the one below: another beside it might leave the room divided, and then the heap has to grow.
	debug.SetGCPercent(-1)
	warm := make([]byte, 60*MiB)
	runtime.KeepAlive(&warm)
	warm = nil
	runtime.GC()
	lift := limitAddressSpace(t, 16*MiB)
	onHeap := p.Get(17 * MiB)
	onHeap.Append([]byte("heap"))
	onHeap.Grow(18 * MiB)
	mapped.Grow(29 * MiB)
	lift()
	if onHeap.large.mapped != 0 || string(onHeap.B) != "heap" || cap(onHeap.B) != 34*MiB {
		t.Errorf("taken under the limit: %d mapped, %q, cap %d", onHeap.large.mapped, onHeap.B, cap(onHeap.B))
	}
	if mapped.large.mapped != 30*MiB || string(mapped.B) != "mapped" || cap(mapped.B) != 30*MiB {
		t.Errorf("grown under the limit: %d mapped, %q, cap %d", mapped.large.mapped, mapped.B, cap(mapped.B))
	}
	onHeap.Grow(40 * MiB)
	if onHeap.large.mapped != 68*MiB || string(onHeap.B) != "heap" {
		t.Errorf("grown later: %d mapped, %q", onHeap.large.mapped, onHeap.B)
	}
	mapped.Release()
	onHeap.Release()
	mustBeHome(t, p)
}

// limitAddressSpace allows the process that many bytes more, until lift is called.
func limitAddressSpace(t *testing.T, more uint64) (lift func()) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		t.Fatal(err)
	}
	pages, err := strconv.ParseUint(strings.Fields(string(text))[0], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	var old unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_AS, &old); err != nil {
		t.Fatal(err)
	}
	limited := unix.Rlimit{Cur: pages*uint64(os.Getpagesize()) + more, Max: old.Max}
	if err := unix.Setrlimit(unix.RLIMIT_AS, &limited); err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := unix.Setrlimit(unix.RLIMIT_AS, &old); err != nil {
			t.Fatal(err)
		}
	}
}
