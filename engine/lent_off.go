//go:build !gannetdebug

package engine

// In a build with the tag gannetdebug what was lent to a callback is written over when it returns: see lent_on.go.
func spoil([]byte) {}

func (*Message) giveBack() {}
