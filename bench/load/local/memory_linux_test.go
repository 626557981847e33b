package local

import (
	"bufio"
	"context"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gannet-ws/gannet/bench/load"
	"github.com/gannet-ws/gannet/engine"
)

// serveEnv makes this binary a server that tells its address and serves until its input ends: a generator's memory shows only in a process of its own.
const serveEnv = "GANNET_LOAD_TEST_SERVE"

func TestMain(m *testing.M) {
	if os.Getenv(serveEnv) == "" {
		os.Exit(m.Run())
	}
	s, err := engine.NewServer(echo, engine.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		panic(err)
	}
	go func() { _ = s.ListenAndServe("tcp", "127.0.0.1:0") }()
	for s.Addr() == nil {
		time.Sleep(time.Millisecond)
	}
	_, _ = os.Stdout.WriteString(s.Addr().String() + "\n")
	_, _ = bufio.NewReader(os.Stdin).ReadString('\n')
	_ = s.Close()
}

// elsewhere is the URL of a server in another process.
func elsewhere(t *testing.T) string {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serveEnv+"=1")
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = in.Close(); _ = cmd.Wait() })
	at, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return "ws://" + strings.TrimSpace(at)
}

// TestMemory: a connection costs at most 1.5 KB of resident memory, garbage that is not collected yet among it. The slope counts: each connection has
// sent and had its answer.
func TestMemory(t *testing.T) {
	if testing.Short() {
		t.Skip("opens many connections")
	}
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	few, many := 2000, min(int(limit.Cur)-200, 18000)
	if many < 2*few {
		t.Skipf("%d descriptors are too few for a slope", limit.Cur)
	}
	const most = 1536
	g := made(t, load.Plan{URL: elsewhere(t), Connections: few, ConnectRate: 5000, Rate: 2000})
	if err := g.Connect(t.Context()); err != nil {
		t.Fatal(err)
	}
	begin(t, g)
	w := load.NewTally()
	settled := func(n int) int64 {
		sent := w.Sent
		until(t, "all are open, and each has sent", func() bool {
			answered(t, g, w)
			return w.Open == int64(n) && w.Sent > sent+int64(n) && len(w.Errors) == 0
		})
		return w.RSS
	}
	before := settled(few)
	if err := g.Turn(2000, many); err != nil {
		t.Fatal(err)
	}
	after := settled(many)
	each := float64(after-before) / float64(many-few)
	t.Logf("%.0f bytes a connection from %d to %d", each, few, many)
	if each > most && !raceEnabled {
		t.Errorf("%.0f bytes a connection, at most %d", each, most)
	}
	if _, err := g.End(context.Background()); err != nil {
		t.Fatal(err)
	}
}
