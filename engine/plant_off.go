//go:build !gannetplant

package engine

func plantedBug(bug) bool { return false }

// schedulingPoint is a place where the simulator lets other goroutines act, in a build
// with the tag gannetplant. Here it is nothing.
func schedulingPoint(*Conn) {}
