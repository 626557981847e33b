//go:build !unix

package engine

func setReceiveBuffer(uintptr, int) error { return nil }

// untouchable is a slice of n bytes, where no page can be protected.
func untouchable(n int) ([]byte, func()) { return make([]byte, n), func() {} }
