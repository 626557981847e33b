package bench

import (
	"bufio"
	"crypto/tls"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/engine"
)

// serverMode in the environment turns the test binary into the echo server that the benchmarks load. A process of its
// own is what makes its CPU time its own. It says what the server speaks: ws, wss, or nothing at all (floorMode).
const serverMode = "GANNET_BENCH_SERVER"

// floorMode is the server that knows no WebSocket.
const floorMode = "floor"

// serverCore binds the servers to a core, by taskset. bench/gate gives it, and binds the load to another one.
var serverCore = flag.Int("servercore", -1, "the core that the echo servers run on; negative: any")

func TestMain(m *testing.M) {
	if mode := os.Getenv(serverMode); mode != "" {
		if err := serveEchoes(mode); err != nil {
			log.Fatal(err)
		}
		return
	}
	flag.Parse()
	printUnits()
	os.Exit(m.Run())
}

// serveEchoes prints its address and serves on one loop until standard input ends, which it does when the process that
// started it ends, however that happens. For each line that it reads it prints how many mallocs it has had.
func serveEchoes(mode string) error {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	if mode == floorMode {
		go answerStdin(func() uint64 { return 0 }, func() { os.Exit(0) }) // its loop has none
		return serveFloor(listener.(*net.TCPListener))
	}
	return serveGannet(mode, listener)
}

func serveGannet(mode string, listener net.Listener) error {
	echo := engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}
	certificate, err := rig.SelfSigned()
	if err != nil {
		return err
	}
	server, err := engine.NewServer(echo, engine.Options{
		Loops: 1, TLSConfig: &tls.Config{Certificates: []tls.Certificate{certificate}}, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	serve := server.Serve
	if mode == "wss" {
		serve = server.ServeTLS
	}
	go answerStdin(countMallocs, func() {
		time.AfterFunc(10*time.Second, func() { log.Fatal("the echo server does not close") })
		server.Close()
	})
	if err := serve(listener); err != nil && !errors.Is(err, engine.ErrServerClosed) {
		return err
	}
	return nil
}

func answerStdin(mallocs func() uint64, ended func()) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		fmt.Println(mallocs())
	}
	ended()
}

func countMallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// echoServer is the child process.
type echoServer struct {
	mode, addr string
	pid        int
	ask        io.Writer
	answers    *bufio.Reader
}

// name is what the server is called in a benchmark's name.
func (s *echoServer) name() string {
	if s.mode == floorMode {
		return floorMode
	}
	return "gannet"
}

// mallocs asks the server. What the answer costs is in the next one: some ten.
func (s *echoServer) mallocs(tb testing.TB) uint64 {
	tb.Helper()
	fmt.Fprintln(s.ask)
	line, err := s.answers.ReadString('\n')
	if err != nil {
		tb.Fatalf("the echo server was asked for its mallocs: %v", err)
	}
	n, err := strconv.ParseUint(strings.TrimSpace(line), 10, 64)
	if err != nil {
		tb.Fatal(err)
	}
	return n
}

func startEchoServer(tb testing.TB, mode string) *echoServer {
	tb.Helper()
	argv := []string{os.Args[0]}
	if *serverCore >= 0 {
		argv = rig.Pinned(*serverCore, argv)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), serverMode+"="+mode, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		tb.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		tb.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		stdin.Close()
		if err := cmd.Wait(); err != nil {
			tb.Errorf("the echo server: %v", err)
		}
	})
	s := &echoServer{mode: mode, pid: cmd.Process.Pid, ask: stdin, answers: bufio.NewReader(stdout)}
	addr, err := s.answers.ReadString('\n')
	if err != nil {
		tb.Fatalf("the echo server did not start: %v", err)
	}
	s.addr = strings.TrimSpace(addr)
	return s
}
