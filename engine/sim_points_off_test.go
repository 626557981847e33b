//go:build !gannetplant

package engine

// Without the tag gannetplant the engine has no scheduling points: the simulator's other
// goroutines act between turns and in system calls only.
func setSchedulingPoint(func(*Conn)) {}
