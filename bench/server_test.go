package bench

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	server, err := engine.NewServer(echo, engine.Options{Loops: 1, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Println(listener.Addr())
	if os.Getenv(serverMode) == "wss" {
		if listener, err = overTLS(listener); err != nil {
			return err
		}
	}
	go func() {
		io.Copy(io.Discard, os.Stdin)
		time.AfterFunc(10*time.Second, func() { log.Fatal("the echo server does not close") })
		server.Close()
	}()
	if err := server.Serve(listener); err != nil && !errors.Is(err, engine.ErrServerClosed) {
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

// overTLS gives a listener a certificate that it has signed itself.
func overTLS(ln net.Listener) (net.Listener, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	what := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour)}
	signed, err := x509.CreateCertificate(rand.Reader, what, what, key.Public(), key)
	if err != nil {
		return nil, err
	}
	return tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{signed}, PrivateKey: key}}}), nil
}

// cpu is the CPU time of all threads of the server that are alive, in nanoseconds: /proc/PID/stat counts in ticks of
// 10 ms, too coarse for a short benchmark. Systems without /proc report 0.
func (s *echoServer) cpu(tb testing.TB) time.Duration {
	tb.Helper()
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/schedstat", s.pid))
	if err != nil {
		tb.Fatal(err)
	}
	var total time.Duration
	for _, task := range tasks {
		line, err := os.ReadFile(task)
		if err != nil {
			continue // a thread that has ended
		}
		var running int64
		if _, err := fmt.Sscan(string(line), &running); err != nil {
			tb.Fatalf("%s: %v", task, err)
		}
		total += time.Duration(running)
	}
	return total
}
