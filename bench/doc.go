// Package bench holds Gannet's Go benchmarks:
//
//	go test -bench . ./bench
//
// They are for working on the code: quick, and telling what changed. What Gannet costs next to other servers is
// measured by bench/compare, which runs every server as a process of its own, pinned, and in turns. README.md beside
// this file says how both are read.
package bench
