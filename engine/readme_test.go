package engine_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/engine"
)

// readmeExamples are the README's, in its order.
var readmeExamples = []string{"testdata/embed/main.go", "testdata/connect/main.go"}

var goBlock = regexp.MustCompile("(?s)```go\n(.*?)```")

// TestReadmeExamples holds the README's examples to those that are compiled and run here (programs_test.go has the first).
func TestReadmeExamples(t *testing.T) {
	readme, err := os.ReadFile("../README.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := goBlock.FindAllSubmatch(readme, -1)
	if len(shown) != len(readmeExamples) {
		t.Fatalf("the README has %d examples in Go, want %d", len(shown), len(readmeExamples))
	}
	for i, name := range readmeExamples {
		compiled, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(shown[i][1], compiled) {
			t.Errorf("the README's example %d is not engine/%s", i+1, name)
		}
		if out, err := exec.Command("go", "vet", "./"+filepath.Dir(name)).CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, out)
		}
	}
}

// TestReadmeClient runs the client of the README against an echo, and against nobody.
func TestReadmeClient(t *testing.T) {
	program := filepath.Join(t.TempDir(), "connect")
	if runtime.GOOS == "windows" {
		program += ".exe"
	}
	if out, err := exec.Command("go", "build", "-o", program, "./testdata/connect").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	echo := engine.Funcs{Message: func(c *engine.Conn, m engine.Message) { _ = c.Send(m.Op, m.Data) }}
	server, err := engine.NewServer(echo, engine.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(ln) }()
	t.Cleanup(func() { _ = server.Close() })
	addr := ln.Addr().String()
	out, err := exec.Command(program, "ws://"+addr+"/").CombinedOutput()
	if err != nil || string(out) != "hello\n" {
		t.Errorf("%v: %s", err, out)
	}
	out, err = exec.Command(program, "ws://"+addr+"/#fragment").CombinedOutput()
	if err == nil || !strings.Contains(string(out), "fragment") {
		t.Errorf("%v: %s", err, out)
	}
}
