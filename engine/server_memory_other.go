//go:build !linux

package engine

// defaultInboundBudget is a quarter of what a small machine has.
func defaultInboundBudget() int64 { return fallbackMemory / 4 }
