//go:build !gannetdebug

package engine

type scheduling struct{}

// schedulingPoint is a place where the simulator lets other goroutines act, in a build with the tag gannetdebug.
// Here it is nothing.
func schedulingPoint(*Conn) {}
