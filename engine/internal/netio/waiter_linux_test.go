//go:build !poll_opt

package netio

import (
	"testing"

	"golang.org/x/sys/unix"
)

const ownWaitMallocs = 0.001

// ownWait: this build waits by itself.
const ownWait = true

// If a new gnet hides its descriptor elsewhere, loops fall back to its Polling and
// allocate; this is where it shows.
func TestPollersDescriptorIsFound(t *testing.T) {
	n, err := NewNative()
	if err != nil {
		t.Fatal(err)
	}
	defer n.Release()
	if epollOf(n.poller, n.wakeFD) < 0 {
		t.Error("not found: loops use gnet's Polling")
	}
	stranger, err := unix.Eventfd(0, unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(stranger)
	if fd := epollOf(n.poller, stranger); fd >= 0 {
		t.Errorf("descriptor %d passed for the poller's without proof", fd)
	}
}

// More ready descriptors than a turn takes are served over several.
func TestMoreReadyThanATurnTakes(t *testing.T) {
	r := nativeRigs()[0]
	l := startLoop(t, r)
	const count = waitEvents + 100
	seen := map[int]bool{} // loop
	var fds []int
	for range count {
		fd, err := unix.Eventfd(1, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
		if err != nil {
			t.Fatal(err)
		}
		fds = append(fds, fd)
	}
	all := make(chan struct{}, 1)
	l.do(func() {
		for _, fd := range fds {
			l.events[fd] = func(Event) {
				if seen[fd] = true; len(seen) == count {
					tell(all, struct{}{})
				}
			}
			if err := l.Add(fd); err != nil {
				t.Error(err)
			}
		}
	})
	await(t, all, "every descriptor's event")
	l.do(func() {
		for _, fd := range fds {
			l.drop(fd)
		}
	})
}
