//go:build gannetplant

package engine

// planted is the bug under test.
var planted bug

func plantedBug(b bug) bool { return b == planted }
