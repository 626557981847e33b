package netio

import "testing"

// TestSealedGoesBack: however a connection ends that has sealed bytes the network did not take, their buffer goes back to the pool.
func TestSealedGoesBack(t *testing.T) {
	for name, end := range map[string]func(l *loop, fd int) error{
		"abort": func(l *loop, fd int) error { return l.Abort(fd) },
		"close": func(l *loop, fd int) error { return l.Close(fd) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, r := range secureRigs() {
				t.Run(r.name, func(t *testing.T) {
					l := startLoop(t, r)
					fd, peer := r.pair(t, l)
					l.add(fd, func(Event) {})
					var k *session
					l.do(func() {
						fill(t, l, fd, make([]byte, 64<<20))
						if k = l.System.(*Secure).table.at(fd); k.out == nil {
							t.Error("nothing is sealed ahead")
						}
						l.Remove(fd)
						if err := end(l, fd); err != nil {
							t.Error(err)
						}
					})
					reset(peer)
					within(t, "the buffer is given back", func() bool {
						k.mu.Lock()
						defer k.mu.Unlock()
						return k.out == nil
					})
				})
			}
		})
	}
}
