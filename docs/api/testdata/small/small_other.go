//go:build !linux

package small

func Twin(x int) error       { return nil }
func (t *Thing) Everywhere() {}
