package engine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childEnv tells the test binary that it is the server of TestOutOfDescriptors.
const childEnv = "GANNET_TEST_OUT_OF_DESCRIPTORS"

// childReport is what the child answers to each command.
type childReport struct {
	Addr  string
	CPU   time.Duration // user and system time so far
	Stats Stats
}

// TestOutOfDescriptors: a server in a process of its own runs out of descriptors for ten
// seconds while clients keep coming. Open connections never notice, the process does not
// spin, and the clients that came meanwhile are served when there are descriptors again.
func TestOutOfDescriptors(t *testing.T) {
	if os.Getenv(childEnv) != "" {
		serveAsChild()
	}
	ask := startChild(t)
	addr := ask("hello").Addr
	var early []*attacker
	for range 20 {
		a := knock(t, "tcp", addr)
		a.upgrade(t)
		early = append(early, a)
	}
	in := innocentAt(t, addr)
	late := 0 // who came while there were no descriptors
	for try := 1; ; try++ {
		n, rise := starveChild(t, ask, in, addr)
		if late += n; rise <= riseAllowed {
			break
		}
		if try == 3 { // the machine may be busy with other things, but not each time
			t.Fatalf("the innocent's p99 rose by %v", rise)
		}
	}
	for _, a := range early {
		a.say(t, string(maskedFrame(0x82, []byte("y"))))
		if f, err := a.hear(); err != nil || string(f.payload) != "y" {
			t.Fatal("an early client:", err)
		}
	}
	if st := ask("hello").Stats; st.Open != int64(21+late) || len(st.Closes) != 0 {
		t.Errorf("%+v", st)
	}
}

// starveChild takes the child's descriptors away for some seconds in which clients come. It returns how many did, all of
// which are served then, and by how much the innocent's 99th percentile rose.
func starveChild(t *testing.T, ask func(string) childReport, in *prober, addr string) (clients int, rise time.Duration) {
	t.Helper()
	const starving = 4 * time.Second
	idle, calmly := ask("hello"), time.Now()
	calm := in.during(t, func() { time.Sleep(time.Second) })
	echoes := float64(ask("hello").CPU-idle.CPU) / float64(time.Since(calmly)) // the innocent's share of a processor
	before, began := ask("starve"), time.Now()
	var waiting []*attacker
	stress := in.during(t, func() {
		for time.Since(began) < starving {
			a := knock(t, "tcp", addr)
			a.say(t, requestFor("/waiting"))
			waiting = append(waiting, a)
			time.Sleep(50 * time.Millisecond)
		}
	})
	starved, took := ask("feed"), time.Since(began)

	if in.failure() != nil {
		t.Error("the innocent:", in.failure())
	}
	spent := starved.CPU - before.CPU - time.Duration(echoes*float64(took))
	tries := starved.Stats.AcceptErrors - before.Stats.AcceptErrors
	t.Logf("%v without descriptors: %v of processor time besides the echoes, %d tries to accept, %d clients waiting, innocent p99 %v -> %v",
		took, spent, tries, len(waiting), calm, stress)
	if starved.Stats.Opened != before.Stats.Opened || tries == 0 {
		t.Errorf("it was not starved: %+v", starved.Stats)
	}
	most := took / 10 // who spins takes all of it
	if raceEnabled {
		most *= 3
	}
	// 20 ms, doubling up to a second, are 6 tries in the first 1.3 s, and one a second then.
	if spent > most || tries > 7+uint64(took/time.Second) {
		t.Error("it spins")
	}
	for i, a := range waiting {
		a.expect101(t)
		a.say(t, string(maskedFrame(0x82, []byte("x"))))
		if f, err := a.hear(); err != nil || string(f.payload) != "x" {
			t.Fatalf("waiting client %d: %v", i, err)
		}
	}
	return len(waiting), stress - calm
}

// startChild runs this test binary as the server, and returns how to command it.
func startChild(t *testing.T) func(string) childReport {
	t.Helper()
	in, out := startSelf(t, childEnv+"=1", "-test.run=^TestOutOfDescriptors$", "-test.timeout=5m")
	answers := json.NewDecoder(out)
	return func(command string) (r childReport) {
		t.Helper()
		if _, err := io.WriteString(in, command+"\n"); err != nil {
			t.Fatal(err)
		}
		if err := answers.Decode(&r); err != nil {
			t.Fatal("child:", err)
		}
		return r
	}
}

// serveAsChild is the server: it obeys its commands and exits.
func serveAsChild() {
	s, err := NewServer(echoHandler, Options{Loops: 2, Logger: quietLogger})
	if err != nil {
		panic(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	go func() { _ = s.Serve(ln) }()
	for s.Addr() == nil {
		time.Sleep(time.Millisecond)
	}
	var plenty syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &plenty); err != nil {
		panic(err)
	}
	answers := json.NewEncoder(os.Stdout)
	for commands := bufio.NewScanner(os.Stdin); commands.Scan(); {
		now := report(s)
		switch strings.TrimSpace(commands.Text()) {
		case "starve":
			limitDescriptors(lowestFree(), plenty.Max)
		case "feed":
			limitDescriptors(plenty.Cur, plenty.Max)
		}
		if err := answers.Encode(now); err != nil {
			panic(err)
		}
	}
	if err := s.Close(); err != nil || s.Stats().Buffers.Out != 0 {
		fmt.Fprintln(os.Stderr, "child: Close:", err, s.pool.Leaks())
		os.Exit(1)
	}
	os.Exit(0)
}

func report(s *Server) childReport {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err)
	}
	return childReport{Addr: s.Addr().String(), CPU: time.Duration(u.Utime.Nano() + u.Stime.Nano()), Stats: s.Stats()}
}

// lowestFree is the number that the next descriptor would get.
func lowestFree() uint64 {
	fd, err := syscall.Open("/dev/null", syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		panic(err)
	}
	_ = syscall.Close(fd)
	return uint64(fd)
}

func limitDescriptors(n, most uint64) {
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: n, Max: most}); err != nil {
		panic(err)
	}
}
