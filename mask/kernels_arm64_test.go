//go:build !purego

package mask

import "testing"

func bestHere(*testing.T) string { return "neon" }
