package engine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"

	"github.com/gannet-ws/gannet/engine/internal/netio"
)

// SystemdListener is a listening socket that systemd has opened for this process.
type SystemdListener struct {
	// Name is FileDescriptorName= of the socket unit: its own name, if nobody chose another; "unknown" from a systemd that names none.
	Name     string
	Listener net.Listener
}

// SystemdListeners are the listening sockets that systemd has opened for this process (socket activation, systemd.socket(5)),
// in its order: give them to Serve, each in a goroutine of its own. There are none, and no error, when the process was not
// started so. With it the service listens on a port below 1024 without being root, and nobody is turned away while it
// restarts: who connects meanwhile waits in the socket's queue, since systemd holds the socket as well. Shutdown leaves the queue as
// it is, where it refuses those who wait for another listener.
//
// It takes them over: the variables LISTEN_PID, LISTEN_FDS and LISTEN_FDNAMES are removed, so that no child takes them for
// its own, and another call answers nothing. Call it at the beginning of main. An error says which descriptor is no
// listening stream socket (ListenDatagram=, Accept=yes and the like make such), or which variable cannot be read; then the other
// listeners are closed. The file of a unix socket is systemd's, and stays. Linux only. (sd_listen_fds(3))
func SystemdListeners() ([]SystemdListener, error) {
	defer func() {
		for _, name := range []string{"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "LISTEN_PIDFDID"} {
			_ = os.Unsetenv(name)
		}
	}()
	// The descriptors of a parent that did not remove the variables are not ours.
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	count := os.Getenv("LISTEN_FDS")
	n, err := strconv.Atoi(count)
	if err != nil || n < 0 || n > mostSystemdListeners {
		return nil, fmt.Errorf("gannet: socket activation: LISTEN_FDS is %q, must be 0 to %d", count, mostSystemdListeners)
	}
	names, err := systemdNames(n)
	if err != nil {
		return nil, err
	}
	return takeDescriptors(names)
}

// systemds are the listeners that SystemdListeners gave and nobody serves yet. Systemd has their sockets as well: who waits in a queue at
// the end is not refused, but left to the next process.
var systemds sync.Map

const (
	firstSystemdDescriptor = 3    // SD_LISTEN_FDS_START
	mostSystemdListeners   = 4096 // what more would be is a mistake, or an attack
)

// systemdNames are the n descriptors' names.
func systemdNames(n int) ([]string, error) {
	all, given := os.LookupEnv("LISTEN_FDNAMES")
	if !given || n == 0 {
		names := make([]string, n)
		for i := range names {
			names[i] = "unknown"
		}
		return names, nil
	}
	names := strings.Split(all, ":")
	if len(names) != n {
		return nil, fmt.Errorf("gannet: socket activation: LISTEN_FDNAMES has %d names, and LISTEN_FDS is %d", len(names), n)
	}
	return names, nil
}

// takeDescriptors makes listeners of the descriptors from the first on, as many as there are names.
func takeDescriptors(names []string) ([]SystemdListener, error) {
	all := make([]SystemdListener, 0, len(names))
	var failed []error
	for i, name := range names {
		fd := firstSystemdDescriptor + i
		ln, err := netio.TakeListener(fd)
		if err != nil {
			failed = append(failed, fmt.Errorf("gannet: socket activation: descriptor %d (%s): %w", fd, name, err))
			continue
		}
		all = append(all, SystemdListener{name, ln})
		systemds.Store(ln, nil)
	}
	if failed == nil {
		return all, nil
	}
	for _, l := range all {
		systemds.Delete(l.Listener)
		_ = l.Listener.Close()
	}
	return nil, errors.Join(failed...)
}
