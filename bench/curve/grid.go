package main

import (
	"fmt"

	"github.com/gannet-ws/gannet/deflate"
)

// levels are those that differ: 4 lies between its neighbours, and 7 to 9 are one encoder that searches longer.
var levels = []int{1, 2, 3, 5, 6, 9}

// histories are in bytes. More than 8 KiB pays only where messages are long.
var histories = []int{512, 1 << 10, 2 << 10, 4 << 10, 8 << 10, 32 << 10}

// grid is every setting that is measured, level by level: first without history, then with more and more, then with a
// compressor for each connection.
func grid() (all []deflate.Policy) {
	for _, level := range levels {
		all = append(all, deflate.Policy{Level: level, Takeover: deflate.NoTakeover})
		for _, history := range histories {
			all = append(all, deflate.Policy{Level: level, HistoryBytes: history})
		}
		all = append(all, deflate.Policy{Level: level, Takeover: deflate.OwnCompressor})
	}
	return all
}

// isDefault reports whether p is what deflate.Policy{} means.
func isDefault(p deflate.Policy) bool {
	return p == deflate.Policy{Level: deflate.DefaultLevel, HistoryBytes: deflate.DefaultHistoryBytes}
}

// contextName is what a sender keeps between messages, in words.
func contextName(p deflate.Policy) string {
	switch {
	case p.Takeover == deflate.NoTakeover:
		return "none"
	case p.Takeover == deflate.OwnCompressor:
		return "own"
	case p.HistoryBytes < 1<<10:
		return fmt.Sprintf("%d B", p.HistoryBytes)
	}
	return fmt.Sprintf("%d KiB", p.HistoryBytes>>10)
}
