//go:build !amd64 || purego

package codec

import "math"

const (
	utf8Plain     = iota
	utf8Chosen    = utf8Plain
	utf8KernelMin = math.MaxInt
)

func utf8ByKernel([]byte) int { return 0 }
