//go:build !purego

package mask

import (
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// kernels lists the levels of this machine, each set while it is called.
func kernels(t testing.TB) []kernel {
	var all []kernel
	for l := range levels {
		if !levels[l].usable {
			t.Logf("%s: not on this machine", levels[l].name)
			continue
		}
		all = append(all, forced(uint8(l)))
	}
	return all
}

func forced(level uint8) kernel {
	return kernel{
		name: levels[level].name,
		xor: func(b []byte, key uint32) uint32 {
			defer restore(active)
			active = level
			return XOR(b, key)
		},
		copy: func(dst, src []byte, key uint32) uint32 {
			defer restore(active)
			active = level
			return Copy(dst, src, key)
		},
	}
}

func restore(level uint8) { active = level }

// bestHere asks the kernel of the system, not x/sys/cpu, which made the choice.
// Where there is no /proc/cpuinfo the levels themselves must do.
func bestHere(t *testing.T) string {
	if runtime.GOOS != "linux" {
		return levels[best()].name
	}
	flags := cpuFlags(t)
	has := func(names ...string) bool {
		return !slices.ContainsFunc(names, func(f string) bool { return !slices.Contains(flags, f) })
	}
	switch {
	case has("avx2", "avx512f", "avx512bw", "avx512_vbmi2"):
		return "avx512"
	case has("avx2"):
		return "avx2"
	}
	return "sse2"
}

func cpuFlags(t *testing.T) []string {
	info, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(info)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "flags" {
			return strings.Fields(value)
		}
	}
	t.Fatal("/proc/cpuinfo has no flags")
	return nil
}
