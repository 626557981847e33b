//go:build unix

package procs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/bench/load/wire"
)

// variable says what this test binary is to do instead of its tests.
const variable = "GANNET_TEST_PROCS"

func TestMain(m *testing.M) {
	switch os.Getenv(variable) {
	case "":
		os.Exit(m.Run())
	case "part":
		if err := Serve(func(s load.Share) (load.Generator, error) { return &fake{share: s}, nil }); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	case "parent":
		parent()
	case "dumb":
		select {}
	}
	os.Exit(0)
}

// fake sends nothing.
type fake struct{ share load.Share }

func (f *fake) Name() string { return "fake" }

func (f *fake) Connect(context.Context) error {
	if f.share.Plan.URL == "ws://die/" {
		fmt.Fprintln(os.Stderr, "out of patience")
		os.Exit(7)
	}
	fmt.Fprintf(os.Stderr, "connecting\nshare %d", f.share.Index)
	return nil
}

func (f *fake) Begin(_, _ time.Time) error { return nil }

func (f *fake) Turn(float64, int) error { return nil }

func (f *fake) Report() (*load.Tally, error) {
	t := load.NewTally()
	t.Sent, t.Loops = int64(os.Getpid()), f.share.Plan.Loops
	return t, nil
}

func (f *fake) End(context.Context) (*load.Tally, error) { return f.Report() }

func (f *fake) Close() error { return nil }

func command(what string) Command {
	return Command{Path: os.Args[0], Env: append(os.Environ(), variable+"="+what)}
}

func TestStart(t *testing.T) {
	c := command("part")
	var mu sync.Mutex
	var said []string
	c.Stderr = func(name, line string) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, name+": "+line)
	}
	all, err := Start(load.Shares(load.Plan{Connections: 3}, 2), c)
	if err != nil {
		t.Fatal(err)
	}
	pids := map[int64]bool{int64(os.Getpid()): true}
	for i, g := range all {
		if err := errors.Join(g.Connect(t.Context()), g.Begin(time.Now(), time.Now()), g.Turn(1, 1)); err != nil {
			t.Fatal(err)
		}
		tally, err := g.Report()
		if err != nil || pids[tally.Sent] || tally.Loops < 1 || !strings.HasPrefix(g.Name(), fmt.Sprintf("process %d (pid %d)", i+1, tally.Sent)) {
			t.Errorf("%s: %v, %+v", g.Name(), err, tally)
		}
		pids[tally.Sent] = true
		if _, err := g.End(t.Context()); err != nil {
			t.Error(err)
		}
		if err := g.Close(); err != nil {
			t.Error(err)
		}
		p := g.(*generator).process
		<-p.spoken
		if p.how != nil {
			t.Errorf("%s ended with %v, and %q", g.Name(), p.how, p.last)
		}
	}
	slices.Sort(said)
	if len(said) != 4 || !strings.HasSuffix(said[0], "): connecting") || !strings.HasSuffix(said[3], "): share 1") {
		t.Errorf("they said %q", said)
	}
}

func TestProcessDies(t *testing.T) {
	c := command("part")
	c.Stderr = func(string, string) {}
	all, err := Start(load.Shares(load.Plan{Connections: 1, URL: "ws://die/"}, 1), c)
	if err != nil {
		t.Fatal(err)
	}
	err = all[0].Connect(t.Context())
	if end, ok := errors.AsType[*EndError](err); !ok || !errors.Is(err, wire.ErrGone) || end.Last != "out of patience" || !strings.Contains(err.Error(), "exit status 7: out of patience") {
		t.Error(err)
	}
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
}

func TestCannotStart(t *testing.T) {
	if all, err := Start(load.Shares(load.Plan{Connections: 2}, 2), Command{Path: "/nonexistent/gannet"}); !errors.Is(err, os.ErrNotExist) || all != nil {
		t.Errorf("%v, %v", all, err)
	}
}

// parent starts children, and tells of them, until it is killed.
func parent() {
	all, err := Start(load.Shares(load.Plan{Connections: 2}, 2), Command{Path: os.Args[0], Env: append(os.Environ(), variable+"=part")})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, g := range all {
		if err := g.Connect(context.Background()); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(g.(*generator).process.cmd.Process.Pid)
	}
	select {}
}

// TestOrphans: children end when their parent was killed, and ignore what a terminal sends to all of them.
func TestOrphans(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), variable+"=parent")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pids []int
	for in := bufio.NewScanner(out); len(pids) < 2 && in.Scan(); {
		var pid int
		if _, err := fmt.Sscan(in.Text(), &pid); err != nil {
			t.Fatalf("%q", in.Text())
		}
		pids = append(pids, pid)
	}
	for _, pid := range pids {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
			t.Errorf("%d is not there: %v", pid, err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed
	for _, pid := range pids {
		for running(pid) {
			time.Sleep(10 * time.Millisecond)
		}
	}
}

// running says whether a process is neither gone nor dead: who adopts orphans may leave them so.
func running(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return syscall.Kill(pid, 0) == nil
	}
	_, state, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(state, "Z")
}

// TestHungProcess: a process that does not answer is killed at last.
func TestHungProcess(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for ten seconds")
	}
	all, err := Start(load.Shares(load.Plan{Connections: 1}, 1), command("dumb"))
	if err != nil {
		t.Fatal(err)
	}
	if err := all[0].Close(); err != nil {
		t.Error(err)
	}
	if running(all[0].(*generator).process.cmd.Process.Pid) {
		t.Error("it still runs")
	}
}
