//go:build gannetplant

package engine

// planted is the bug under test.
var planted bug

func plantedBug(b bug) bool { return b == planted }

// atSchedulingPoint is what other goroutines do there; the simulator's.
var atSchedulingPoint func(*Conn)

// schedulingPoint is a place where another goroutine could take its turn, between two
// steps of the protocol of lock.go for c.
func schedulingPoint(c *Conn) {
	if atSchedulingPoint != nil {
		atSchedulingPoint(c)
	}
}
