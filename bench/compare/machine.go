package main

import (
	"context"
	"os"
	"strings"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

// machine is what a figure must be quoted with.
type machine struct {
	rig.Machine
	Compiler string   `json:"c_compiler"`
	Peers    []string `json:"peers"`
}

func describeMachine(ctx context.Context, p plan, t *toolset) machine {
	m := machine{
		Machine:  rig.Describe(ctx, t.root, "go run ./bench/compare", os.Args[1:]),
		Compiler: firstLine(rig.OutputOr(ctx, "cc", "--version")),
	}
	if t.peers != "" {
		modules := rig.OutputOr(ctx, "env", "GOWORK=off", "go", "-C", t.root+"/bench/peers", "list", "-m", "-f", "{{.Path}} {{.Version}}",
			"github.com/lxzan/gws", "github.com/gorilla/websocket", "github.com/coder/websocket", "github.com/lesismal/nbio", "github.com/gobwas/ws",
			"github.com/fasthttp/websocket", "github.com/panjf2000/gnet/v2")
		m.Peers = strings.Split(modules, "\n")
	}
	m.Peers = append(m.Peers, foreign(ctx, p)...)
	return m
}

// runtimes are the versions of what the foreign servers run on or were compiled with; their libraries' stand in bench/peers.
var runtimes = map[string][]string{"node": {"node", "--version"}, "tungstenite": {"rustc", "--version"}}

// foreign names those of p that were built.
func foreign(ctx context.Context, p plan) (versions []string) {
	for _, s := range p.servers {
		if s.foreign != "" && s.missing == "" {
			versions = append(versions, s.Name+" on "+firstLine(rig.OutputOr(ctx, runtimes[s.foreign]...)))
		}
	}
	return versions
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}
