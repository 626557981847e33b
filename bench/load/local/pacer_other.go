//go:build !linux

package local

import "time"

func precise() {}

// sleep blocks the goroutine for ns nanoseconds.
func sleep(ns int64) { time.Sleep(time.Duration(ns)) }
