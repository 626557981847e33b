//go:build purego || !amd64

package mask

import "testing"

// kernels is the one implementation of this build, called through the door.
func kernels(testing.TB) []kernel {
	return []kernel{{name: Implementation(), xor: XOR, copy: Copy}}
}
