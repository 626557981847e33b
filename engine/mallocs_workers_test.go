//go:build !gannetdebug

package engine

import (
	"bytes"
	"testing"
)

// Callbacks on workers allocate nothing either: inboxes, letters and buffers come and go with every message.
func TestMallocsWorkers(t *testing.T) {
	once(t)
	for name, k := range map[string]struct{ size, batch, part int }{"one by one": {100, 1, 8}, "batches": {100, 10, 2}, "long": {5000, 4, 4}} {
		t.Run(name, func(t *testing.T) {
			n := mallocMessages(t) / k.part
			s := startServer(t, echoHandler, Options{Loops: 1, Workers: 2})
			head := 2
			if k.size > 125 {
				head = 4
			}
			x := newExchange(t, s, bytes.Repeat(clientFrame(OpBinary, true, make([]byte, k.size)), k.batch), k.batch*(head+k.size))
			if n == 0 {
				x.run(t, 100)
				return
			}
			demandNoMallocs(t, n, func() { x.run(t, n/k.batch) })
		})
	}
}
