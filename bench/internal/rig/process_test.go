package rig

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
)

// serverPort in the environment turns the test binary into a server.
const serverPort = "GANNET_RIG_TEST_SERVER"

func TestMain(m *testing.M) {
	if port := os.Getenv(serverPort); port != "" {
		fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+port, nil))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func TestServerIsStopped(t *testing.T) {
	port, err := NewPorts().Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(serverPort, strconv.Itoa(port))
	p, err := Start(t.Context(), []string{os.Args[0]}, port)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.WhyEnded(io.EOF); err != io.EOF {
		t.Errorf("it runs, and %v", err)
	}
	p.Stop()
	if conn, err := net.Dial("tcp", LocalAddr(port)); err == nil {
		conn.Close()
		t.Fatal("it still listens")
	}
	if err := p.WhyEnded(io.EOF); !errors.Is(err, io.EOF) || !strings.Contains(err.Error(), "the server ended") {
		t.Errorf("got %v", err)
	}
}

func TestServerThatDoesNotStart(t *testing.T) {
	port, err := NewPorts().Take()
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(serverPort, "not a port")
	if _, err := Start(t.Context(), []string{os.Args[0]}, port); err == nil || !strings.Contains(err.Error(), "ended before it listened") {
		t.Fatalf("got %v", err)
	}
}

func TestPortsAreTakenOnce(t *testing.T) {
	p := &Ports{next: 21000, first: 21000, end: 21003}
	one, err := p.Take()
	if err != nil {
		t.Fatal(err)
	}
	two, err := p.Take()
	if err != nil || one == two {
		t.Fatalf("%d and %d, %v", one, two, err)
	}
}

func TestParseResident(t *testing.T) {
	got, err := parseResident([]byte("5600-7fff ---p 00:00 0 [rollup]\nRss:                2216 kB\nPss:                 700 kB\n"))
	if got != 2216 || err != nil {
		t.Errorf("got %d, %v", got, err)
	}
	if _, err := parseResident([]byte("Pss: 700 kB\n")); err == nil {
		t.Error("a rollup without Rss was accepted")
	}
}

func TestCommandLine(t *testing.T) {
	got := commandLine("go run ./bench/compare", []string{"-cells", "idle", "-add", "old=/bin/old {port}"})
	if want := "go run ./bench/compare -cells idle -add 'old=/bin/old {port}'"; got != want {
		t.Errorf("got %s", got)
	}
}
