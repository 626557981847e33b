package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// tools is where the servers were built.
type tools struct{ root, gannet, peers string }

// build compiles the servers into bin/bench of the repository, with Go's defaults.
func build(ctx context.Context, progress io.Writer) (tools, error) {
	root, err := rig.Root(ctx)
	if err != nil {
		return tools{}, err
	}
	bin := filepath.Join(root, "bin", "bench")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return tools{}, err
	}
	t := tools{root: root, gannet: filepath.Join(bin, "gannet"), peers: filepath.Join(bin, "peers")}
	for _, argv := range [][]string{
		rig.BuildGannet(root, t.gannet),
		rig.BuildPeers(root, t.peers),
	} {
		fmt.Fprintln(progress, strings.Join(argv, " "))
		if _, err := rig.Output(ctx, argv...); err != nil {
			return t, err
		}
	}
	return t, nil
}

// server is one program under test.
type server struct {
	name  string
	conns func(options) int
	argv  func(t tools, port, bits int) []string
	stats bool // it has Gannet's /stats
}

func serverNamed(name string) (server, bool) {
	s := server{name: name, conns: func(o options) int { return o.conns }}
	switch name {
	case "gannet":
		s.argv, s.stats = gannetArgv, true
	case "gws":
		s.argv = gwsArgv
	case "coder":
		s.argv, s.conns = coderArgv, func(o options) int { return min(o.conns, o.coderConns) }
	default:
		return s, false
	}
	return s, true
}

func gannetArgv(t tools, port, bits int) []string {
	return []string{t.gannet, "serve", "--addr", rig.LocalAddr(port), "--loops", "1", "--log", "error",
		"--deflate", "shared", "--deflate-window", strconv.Itoa(bits)}
}

func gwsArgv(t tools, port, bits int) []string {
	return []string{t.peers, "-peer", "gws", "-addr", rig.LocalAddr(port), "-deflate", "both", "-window", strconv.Itoa(bits)}
}

// coderArgv: coder cannot be told a window. What it makes of the client's offer is what the table says.
func coderArgv(t tools, port, _ int) []string {
	return []string{t.peers, "-peer", "coder", "-addr", rig.LocalAddr(port), "-deflate", "both"}
}
