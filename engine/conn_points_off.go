//go:build !gannetdebug

package engine

// scheduling is empty in this build: only the one with the tag gannetdebug looks at the engine's.
type scheduling struct{}

var _ scheduling

// schedulingPoint is a place where the simulator lets other goroutines act, in a build with the tag gannetdebug.
// Here it is nothing.
func schedulingPoint(*Conn) {}
