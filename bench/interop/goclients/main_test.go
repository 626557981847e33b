package goclients

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// addr is host:port of the server under test, in echo mode: GANNET_ADDR, or one that
// TestMain builds and starts.
var addr string

func socketURL() string { return "ws://" + addr + "/ws" }

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	addr = os.Getenv("GANNET_ADDR")
	if err := readDeflateSettings(); err != nil {
		fmt.Fprintln(os.Stderr, "goclients:", err)
		return 1
	}
	if addr != "" {
		return m.Run()
	}
	stop, err := startServer()
	if err != nil {
		fmt.Fprintln(os.Stderr, "goclients:", err)
		return 1
	}
	status := m.Run()
	if err := stop(); err != nil {
		fmt.Fprintln(os.Stderr, "goclients: the server did not end cleanly:", err)
		return 1
	}
	return status
}

// startServer builds cmd/gannet (or takes GANNET_BINARY) and starts it on a free port.
// The returned stop sends SIGTERM and reports how the server ended.
func startServer() (stop func() error, err error) {
	dir, err := os.MkdirTemp("", "gannet")
	if err != nil {
		return nil, err
	}
	binary := os.Getenv("GANNET_BINARY")
	if binary == "" {
		binary = filepath.Join(dir, "gannet")
		build := exec.Command("go", "build", "-o", binary, "./cmd/gannet")
		build.Dir = "../../.."
		build.Env = append(os.Environ(), "GOWORK=") // the command is in the workspace, these tests are not
		if out, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build: %w\n%s", err, out)
		}
	}
	if addr, err = freeAddr(); err != nil {
		return nil, err
	}
	flags := []string{"serve", "--addr", addr, "--deflate", deflateMode}
	if windowBits != 15 {
		flags = append(flags, "--deflate-window", strconv.Itoa(windowBits))
	}
	server := exec.Command(binary, flags...)
	server.Stderr = os.Stderr
	if err := server.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		defer os.RemoveAll(dir)
		kill := time.AfterFunc(10*time.Second, func() { server.Process.Kill() })
		defer kill.Stop()
		if err := server.Process.Signal(syscall.SIGTERM); err != nil {
			return err
		}
		return server.Wait()
	}
	if err := waitListening(); err != nil {
		return nil, fmt.Errorf("%w (ended: %v)", err, stop())
	}
	return stop, nil
}

func freeAddr() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}

func waitListening() error {
	var err error
	for range 100 {
		var c net.Conn
		if c, err = net.Dial("tcp", addr); err == nil {
			return c.Close()
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}
