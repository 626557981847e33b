//go:build !amd64 || purego

package codec

import "testing"

// utf8EachKernel runs f with every implementation there is: plain Go.
func utf8EachKernel(t *testing.T, f func(t *testing.T)) { t.Run("Go", f) }

func utf8AllKernels() int { return 1 }

func utf8WithKernel(_ int, f func()) { f() }

// utf8KernelBar is how much faster than unicode/utf8 a long text must be.
func utf8KernelBar() float64 { return 1 }
