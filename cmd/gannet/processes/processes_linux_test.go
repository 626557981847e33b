package processes

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// role tells a process that Start starts what to be like.
const role = "GANNET_TEST_ROLE"

func TestMain(m *testing.M) {
	member, err := Inherited()
	if member == nil {
		if err != nil {
			panic(err)
		}
		os.Exit(m.Run())
	}
	switch os.Getenv(role) {
	case "fails":
		os.Exit(3)
	case "hangs":
		select {}
	case "leaves":
		member.Answer(silent{})
		<-member.Told()
		os.Exit(4)
	}
	member.Answer(silent{})
	select {
	case <-member.Told():
	case <-member.Orphaned():
	}
	os.Exit(0)
}

type silent struct{}

func (silent) Stats() engine.Stats { return engine.Stats{} }

func (silent) Deliver(Message) {}

// TestStartFails: a process that ends before it serves, and one that hangs, leave none behind.
func TestStartFails(t *testing.T) {
	t.Setenv(role, "fails")
	_, err := Start(t.Context(), "127.0.0.1:0", 3)
	var end *EndError
	var exit *exec.ExitError
	if !errors.As(err, &end) || !errors.As(err, &exit) || end.PID == 0 {
		t.Error(err)
	}
	childless(t)

	t.Setenv(role, "hangs")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Start(ctx, "127.0.0.1:0", 3); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	childless(t)
	for _, n := range []int{-1, 0, MaxCount + 1} {
		if _, err := Start(t.Context(), "127.0.0.1:0", n); err == nil {
			t.Errorf("%d processes", n)
		}
	}
}

// childless: Start waits for those that it gives up.
func childless(t *testing.T) {
	t.Helper()
	if _, err := syscall.Wait4(-1, nil, syscall.WNOHANG, nil); err != syscall.ECHILD {
		t.Error("a process is left:", err)
	}
}

// TestWaitSaysHow: what went wrong at the end is said; a group that ends well has no error.
func TestWaitSaysHow(t *testing.T) {
	for as, want := range map[string]string{"": "", "leaves": "exit status 4"} {
		t.Setenv(role, as)
		g, err := Start(t.Context(), "127.0.0.1:0", 1)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		told := false
		err = g.Wait(ctx, func(err error) { told = err == nil })
		var exit *exec.ExitError
		if failed := errors.As(err, &exit); !told || failed != (want != "") || failed && exit.String() != want {
			t.Errorf("%q: %v", as, err)
		}
	}
}

// TestListenAlone: a port on which somebody of this user listens already, even with SO_REUSEPORT, is not shared unnoticed.
func TestListenAlone(t *testing.T) {
	sockets, at, err := listen(t.Context(), "127.0.0.1:0", 2)
	if err != nil {
		t.Fatal(err)
	}
	defer closeFiles(sockets)
	if _, _, err := listen(t.Context(), at.String(), 2); !errors.Is(err, syscall.EADDRINUSE) {
		t.Error(err)
	}
	for _, file := range sockets {
		ln, err := net.FileListener(file)
		if err != nil || ln.Addr().String() != at.String() {
			t.Error(ln, err)
			continue
		}
		ln.Close()
	}
}

// TestNoMember: a process that no group has started is none of a group.
func TestNoMember(t *testing.T) {
	if m, err := Inherited(); m != nil || err != nil {
		t.Error(m, err)
	}
}
