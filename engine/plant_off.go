//go:build !gannetplant

package engine

func plantedBug(bug) bool { return false }
