//go:build !purego

package mask

import (
	"reflect"
	"runtime"
	"strings"
	"testing"
)

func bestHere(*testing.T) string { return "neon" }

// TestKernelIsAssembly: Implementation says "neon" because of the build, so it is asked of the program
// itself whether the door leads to assembly.
func TestKernelIsAssembly(t *testing.T) {
	for name, f := range map[string]any{"xor": xor, "xorCopy": xorCopy} {
		pc := reflect.ValueOf(f).Pointer()
		file, _ := runtime.FuncForPC(pc).FileLine(pc)
		if strings.HasSuffix(file, ".go") {
			t.Errorf("%s is Go, of %s", name, file)
		}
		t.Log(name, file)
	}
}
