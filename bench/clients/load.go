package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/pprof"
	"sync/atomic"
	"syscall"
	"time"
)

// load is one sample: a closed loop in a process of its own. Each connection sends depth messages, and again so many when all
// of them have come back.
type load struct {
	library string
	addr    string // of an echo server
	conns   int
	size    int
	depth   int
	length  time.Duration // after a warm-up of a fifth of it
	profile string        // a file for a CPU profile, or none

	payload  []byte
	messages atomic.Uint64 // that have come back
	failed   chan error
}

// library opens the load's connections, and keeps them busy until the process ends.
type library func(*load) error

func libraryNamed(name string) library {
	switch name {
	case "gannet":
		return driveGannet
	case "gws":
		return driveGws
	case "gorilla":
		return driveGorilla
	case "coder":
		return driveCoder
	}
	return nil
}

// figures are what a sample tells.
type figures struct {
	CPUMicros  float64 `json:"cpu_us_per_msg"` // of the client's process, user and system
	UserMicros float64 `json:"user_us_per_msg"`
	MsgsPerSec float64 `json:"msgs_per_s"`
	Mallocs    float64 `json:"mallocs_per_msg"`
	Procs      int     `json:"gomaxprocs"`
}

// run drives the load, and prints its figures.
func (k *load) run(out io.Writer) error {
	drive := libraryNamed(k.library)
	if drive == nil {
		return fmt.Errorf("no library %q", k.library)
	}
	k.payload, k.failed = make([]byte, k.size), make(chan error, 1)
	if err := drive(k); err != nil {
		return err
	}
	if err := k.wait(k.length / 5); err != nil {
		return err
	}
	stop, err := k.startProfile()
	if err != nil {
		return err
	}
	defer stop()
	before := k.count()
	if err := k.wait(k.length); err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(k.count().since(before))
}

func (k *load) startProfile() (stop func(), err error) {
	if k.profile == "" {
		return func() {}, nil
	}
	f, err := os.Create(k.profile)
	if err != nil {
		return nil, err
	}
	return func() { pprof.StopCPUProfile(); _ = f.Close() }, pprof.StartCPUProfile(f)
}

// wait lets the load run for a while.
func (k *load) wait(d time.Duration) error {
	select {
	case err := <-k.failed:
		return err
	case <-time.After(d):
		return nil
	}
}

// fail ends the sample: a load that has lost a connection measures something else.
func (k *load) fail(err error) {
	select {
	case k.failed <- err:
	default: // somebody was first
	}
}

// cameBack is for the connection's goroutine: a message has come back, n of the depth that were sent have. It reports whether the
// connection sends again. The count is shared once for all of the depth, by every library alike.
func (k *load) cameBack(n *int, length int) bool {
	if length != k.size {
		k.fail(fmt.Errorf("%d bytes came back of %d", length, k.size))
	}
	if *n++; *n < k.depth {
		return false
	}
	*n = 0
	k.messages.Add(uint64(k.depth))
	return true
}

// counts are what the process has done so far.
type counts struct {
	at           time.Time
	messages     uint64
	mallocs      uint64
	user, system time.Duration
}

func (k *load) count() (c counts) {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	var r syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &r) // never fails for oneself
	return counts{time.Now(), k.messages.Load(), m.Mallocs, time.Duration(r.Utime.Nano()), time.Duration(r.Stime.Nano())}
}

func (c counts) since(before counts) figures {
	n := float64(c.messages - before.messages)
	user, system := c.user-before.user, c.system-before.system
	return figures{
		CPUMicros:  (user + system).Seconds() * 1e6 / n,
		UserMicros: user.Seconds() * 1e6 / n,
		MsgsPerSec: n / c.at.Sub(before.at).Seconds(),
		Mallocs:    float64(c.mallocs-before.mallocs) / n,
		Procs:      runtime.GOMAXPROCS(0),
	}
}
