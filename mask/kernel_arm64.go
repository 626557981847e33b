//go:build !purego

package mask

// NEON is part of arm64: there is nothing to detect and nothing to choose.
func implementation() string { return "neon" }
