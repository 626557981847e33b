//go:build race

package local

// raceEnabled: the race detector keeps notes of its own about all memory.
const raceEnabled = true
