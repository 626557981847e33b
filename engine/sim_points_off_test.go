//go:build !gannetdebug

package engine

// explore does nothing: without the tag gannetdebug the simulator's other goroutines act between turns and in
// system calls only.
func (m *simulation) explore() bool { return false }
