package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// toolset is where the programs that a run starts were built.
type toolset struct {
	root    string // the repository
	rawecho string
	wsblast string
	gannet  string // empty when Gannet does not take part
	peers   string // empty when no peer takes part
	cert    string // PEM files of the certificate and its key, for all servers; empty when no cell is over TLS
	key     string
}

// build compiles what p needs into bin/bench of the repository. Go's and the C compiler's defaults are used,
// but for -O2: what is measured is what a user gets.
func build(ctx context.Context, p plan, progress io.Writer) (*toolset, error) {
	if runtime.GOOS != "linux" {
		return nil, errors.New("needs Linux: the floor and the load use epoll, CPU time is read from /proc")
	}
	root, err := rig.Root(ctx)
	if err != nil {
		return nil, err
	}
	bin := filepath.Join(root, "bin", "bench")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, err
	}
	t := &toolset{root: root, rawecho: filepath.Join(bin, "rawecho"), wsblast: filepath.Join(bin, "wsblast")}
	native := filepath.Join(root, "bench", "native")
	blast := []string{"cc", "-O2", "-o", t.wsblast, filepath.Join(native, "wsblast.c"), "-lz"}
	if p.overTLS() {
		blast = append(blast, "-DTLS", "-lssl", "-lcrypto")
		if t.cert, t.key, err = rig.WriteCertificate(bin); err != nil {
			return nil, err
		}
	}
	commands := [][]string{{"cc", "-O2", "-o", t.rawecho, filepath.Join(native, "rawecho.c")}, blast}
	if p.has(roleSubject) {
		t.gannet = filepath.Join(bin, "gannet")
		commands = append(commands, rig.BuildGannet(root, t.gannet))
	}
	if p.has(rolePeer) {
		t.peers = filepath.Join(bin, "peers")
		commands = append(commands, rig.BuildPeers(root, t.peers))
	}
	for _, argv := range commands {
		fmt.Fprintln(progress, strings.Join(argv, " "))
		if _, err := rig.Output(ctx, argv...); err != nil {
			return nil, err
		}
	}
	return t, nil
}

func (p plan) has(r role) bool {
	for _, s := range p.servers {
		if s.Role == r {
			return true
		}
	}
	return false
}
