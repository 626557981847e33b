//go:build !linux

package netio

func nativeRigs() []rig { return nil }
