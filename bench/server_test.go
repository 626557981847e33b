package bench

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gannet-ws/gannet/bench/internal/rig"
	"github.com/gannet-ws/gannet/engine"
)

// serverMode in the environment turns the test binary into the echo server that the benchmarks load. A process of its
// own is what makes its CPU time its own. It says what the server speaks: ws or wss.
const serverMode = "GANNET_BENCH_SERVER"

func TestMain(m *testing.M) {
	if os.Getenv(serverMode) != "" {
		if err := serveEchoes(); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// serveEchoes prints its address and serves on one loop until standard input ends, which it does when the process that
// started it ends, however that happens.
func serveEchoes() error {
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
	if os.Getenv(serverMode) == "wss" {
		serve = server.ServeTLS
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	go func() {
		io.Copy(io.Discard, os.Stdin)
		time.AfterFunc(10*time.Second, func() { log.Fatal("the echo server does not close") })
		server.Close()
	}()
	if err := serve(listener); err != nil && !errors.Is(err, engine.ErrServerClosed) {
		return err
	}
	return nil
}

// echoServer is the child process.
type echoServer struct {
	scheme, addr string
	pid          int
}

func startEchoServer(tb testing.TB, scheme string) *echoServer {
	tb.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), serverMode+"="+scheme, "GOMAXPROCS=1")
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
	addr, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		tb.Fatalf("the echo server did not start: %v", err)
	}
	return &echoServer{scheme: scheme, addr: strings.TrimSpace(addr), pid: cmd.Process.Pid}
}
