package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
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
	// elsewhere is Gannet's server for the cells with that task, and goload what wsblast has no mode for; empty when no
	// cell wants them.
	elsewhere, goload string
	foreign           map[string][]string // what starts the servers that are not written in Go, by foreign.sh's names
	cert              string              // PEM files of the certificate and its key, for all servers; empty when no cell is over TLS
	key               string
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
	commands := append([][]string{{"cc", "-O2", "-o", t.rawecho, filepath.Join(native, "rawecho.c")}, blast}, t.goPrograms(p, bin)...)
	for _, argv := range commands {
		fmt.Fprintln(progress, strings.Join(argv, " "))
		if _, err := rig.Output(ctx, argv...); err != nil {
			return nil, err
		}
	}
	return t, t.buildForeign(ctx, p, progress)
}

// goPrograms notes which programs in Go p needs, and answers what builds them.
func (t *toolset) goPrograms(p plan, bin string) (commands [][]string) {
	built := func(name string) string { return filepath.Join(bin, name) }
	ours := func(out, program string) []string {
		return []string{"go", "build", "-C", t.root, "-o", out, "./bench/compare/" + program}
	}
	if p.has(roleSubject) {
		t.gannet = built("gannet")
		commands = append(commands, rig.BuildGannet(t.root, t.gannet))
	}
	if p.has(rolePeer) {
		t.peers = built("peers")
		commands = append(commands, rig.BuildPeers(t.root, t.peers))
	}
	if slices.ContainsFunc(p.echo, func(c echoCell) bool { return c.Does == elsewhere }) {
		t.elsewhere = built("elsewhere")
		commands = append(commands, ours(t.elsewhere, "elsewhere"))
	}
	if slices.ContainsFunc(p.echo, func(c echoCell) bool { return c.Load != byWsblast }) {
		t.goload = built("goload")
		commands = append(commands, ours(t.goload, "goload"))
	}
	return commands
}

// toolMissing is foreign.sh's status when what it builds with is not there.
const toolMissing = 3

// buildForeign builds p's servers that are not written in Go. One whose tools are missing takes part in nothing.
func (t *toolset) buildForeign(ctx context.Context, p plan, progress io.Writer) error {
	folder := filepath.Join(t.root, "bench", "peers")
	t.foreign = map[string][]string{
		"node":        {"node", filepath.Join(folder, "node", "server.mjs")},
		"tungstenite": {filepath.Join(folder, "tungstenite", "target", "release", "tungstenite-peer")},
	}
	for i, s := range p.servers {
		if s.foreign == "" {
			continue
		}
		argv := []string{filepath.Join(folder, "foreign.sh"), s.foreign}
		fmt.Fprintln(progress, strings.Join(argv, " "))
		_, err := rig.Output(ctx, argv...)
		if ended := new(exec.ExitError); errors.As(err, &ended) && ended.ExitCode() == toolMissing {
			p.servers[i].missing = "can not be built here: what builds it is missing"
			fmt.Fprintln(progress, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (p plan) has(r role) bool {
	for _, s := range p.servers {
		if s.Role == r {
			return true
		}
	}
	return false
}
