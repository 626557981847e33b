//go:build poll_opt

package netio

import (
	"runtime"
	"testing"
	"time"
)

const ownWaitMallocs = gnetWaitMallocs

const ownWait = false

// Attachments whose descriptors left are forgotten two wakes later, which the loop
// gives itself; those of living descriptors stay, whatever the collector does.
func TestAttachmentsAreKeptAndFreed(t *testing.T) {
	l := startLoop(t, nativeRigs()[0])
	a := &l.System.(*Native).attach
	const count = 50
	var fds []int
	for range count {
		fd, peer := nativeRigs()[0].pair(t, l)
		startEcho(l, fd)
		fds = append(fds, fd)
		defer peer.Close()
		runtime.GC()
		p := make([]byte, 1)
		if _, err := peer.Write(p); err != nil {
			t.Fatal(err)
		}
		if _, err := peer.Read(p); err != nil {
			t.Fatal(err)
		}
	}
	const ours = 2 // the eventfd and the timerfd
	l.do(func() {
		if len(a.live) != count+ours {
			t.Errorf("%d attachments for %d descriptors", len(a.live), count+ours)
		}
		for _, fd := range fds {
			l.Remove(fd)
		}
		if len(a.left) != count {
			t.Errorf("%d attachments wait for the end of the turn, want %d", len(a.left), count)
		}
	})
	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		waiting := 0
		l.do(func() { waiting = len(a.left) + len(a.gone) })
		if waiting == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d attachments are never freed", waiting)
		}
	}
	l.do(func() {
		for _, fd := range fds {
			delete(l.events, fd)
			if err := l.Close(fd); err != nil {
				t.Error(err)
			}
		}
	})
}
