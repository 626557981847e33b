//go:build gannetdebug

package mask

import "testing"

func TestOverlapIsCaught(t *testing.T) {
	b := make([]byte, 32)
	Copy(b[:16], b[16:], 1) // neighbours are disjoint
	Copy(b[16:], b[:16], 1)
	Copy(b, b, 1)
	for _, pair := range [][2][]byte{{b[1:], b[:31]}, {b[:31], b[1:]}, {b[15:], b[:16]}} {
		func() {
			defer func() {
				if p := recover(); p != "mask: Copy: dst and src overlap but do not start together" {
					t.Errorf("recovered %v", p)
				}
			}()
			Copy(pair[0], pair[1], 1)
		}()
	}
}
