// Package lattice holds the test that keeps the direction of imports: down only.
package lattice

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/gannet-ws/gannet/"

// allowed lists, for each package of the workspace, the packages of the workspace it may
// import, and the modules from outside. A package that is not here fails the test, so
// that whoever adds one says where in the house it stands.
var allowed = map[string]struct{ house, outside string }{
	"mask":                      {"", "golang.org/x/sys"},
	"pool":                      {"", "github.com/valyala/bytebufferpool golang.org/x/sys"},
	"deflate":                   {"pool", "github.com/klauspost/compress"},
	"codec":                     {"mask", "github.com/gobwas/ws golang.org/x/sys"},
	"engine/internal/lattice":   {"", ""},
	"engine/internal/handshake": {"", ""},
	"engine/internal/weburl":    {"", "golang.org/x/net"},
	"engine/internal/maskkey":   {"", ""},
	"engine/internal/wheel":     {"", ""},
	"engine/internal/netio":     {"", "github.com/panjf2000/gnet/v2 golang.org/x/sys"},
	"engine/internal/sim":       {"engine/internal/netio", ""},
	"engine/internal/incoming":  {"mask pool codec deflate", ""},
	"engine/internal/outgoing":  {"mask pool codec deflate", ""},
	"engine": {"mask pool codec deflate engine/internal/handshake engine/internal/incoming engine/internal/maskkey engine/internal/netio engine/internal/outgoing engine/internal/weburl engine/internal/wheel",
		"github.com/pires/go-proxyproto golang.org/x/net"},
	"engine/dom":              {"pool codec deflate engine engine/internal/weburl", ""},
	"engine/reconnect":        {"engine", "github.com/cenkalti/backoff/v5"},
	"engine/enginetest":       {"codec engine", ""},
	"docs/api":                {"", ""},
	"bench":                   {"mask pool codec engine", ""},
	"bench/autobahnclient":    {"deflate engine", ""},
	"bench/compare":           {"deflate bench/corpus bench/internal/results bench/internal/rig", ""},
	"bench/compare/elsewhere": {"engine", ""},
	"bench/compare/goload":    {"bench/internal/rig", ""},
	"bench/corpus":            {"", ""},
	"bench/deflatemem":        {"bench/corpus bench/internal/rig", "github.com/klauspost/compress"},
	"bench/handshakes":        {"codec engine bench/internal/rig", ""},
	"bench/internal/results":  {"bench/internal/rig", ""},
	"bench/internal/rig":      {"", ""},
	"bench/load":              {"engine", "github.com/HdrHistogram/hdrhistogram-go golang.org/x/net"},
	"bench/load/local":        {"deflate engine bench/load", "github.com/HdrHistogram/hdrhistogram-go golang.org/x/sys"},
	"bench/load/procs":        {"bench/load bench/load/wire", ""},
	"bench/load/report":       {"bench/load", "github.com/HdrHistogram/hdrhistogram-go github.com/dustin/go-humanize gonum.org/v1/plot"},
	"bench/load/wire":         {"bench/load", ""},
	"bench/interop/domchat":   {"engine/dom", ""},
	"bench/interop/behind":    {"engine", ""},
	"bench/mutants":           {"", ""},
	"docs/examples/auth":      {"engine", ""},
	"docs/examples/chat":      {"engine", ""},
	"docs/examples/nethttp":   {"engine", ""},
	"docs/examples/prices":    {"engine", ""},
	"cmd/gannet": {"deflate engine bench/load bench/load/local bench/load/procs bench/load/report cmd/gannet/agent cmd/gannet/connect cmd/gannet/page cmd/gannet/processes",
		"github.com/dustin/go-humanize github.com/goccy/go-yaml github.com/mattn/go-runewidth github.com/nats-io/nats.go github.com/urfave/cli/v3 " +
			"github.com/vbauerster/mpb/v8 golang.org/x/sys golang.org/x/term"},
	"cmd/gannet/agent":            {"bench/load bench/load/wire", "github.com/nats-io/nats.go"},
	"cmd/gannet/connect":          {"deflate engine", "github.com/peterh/liner golang.org/x/sys golang.org/x/term"},
	"cmd/gannet/processes":        {"engine", "golang.org/x/sys"},
	"cmd/gannet/page":             {"", ""},
	"bench/interop/conversations": {"deflate engine bench/corpus", ""},
}

type listed struct {
	ImportPath string
	Imports    []string
}

func TestImportsPointDown(t *testing.T) {
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	out, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			t.Fatalf("go list: %v: %s", err, failed.Stderr)
		}
		t.Fatal(err)
	}
	seen := 0
	for d := json.NewDecoder(strings.NewReader(string(out))); ; seen++ {
		var p listed
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		check(t, p)
	}
	if seen < 8 {
		t.Fatalf("go list named %d packages only", seen)
	}
}

func check(t *testing.T, p listed) {
	name := strings.TrimPrefix(p.ImportPath, module)
	rule, ok := allowed[name]
	if !ok {
		t.Errorf("%s is not in the lattice: say what it may import", name)
		return
	}
	house, outside := strings.Fields(rule.house), strings.Fields(rule.outside)
	for _, i := range p.Imports {
		inside, ours := strings.CutPrefix(i, module)
		switch {
		case ours && !slices.Contains(house, inside):
			t.Errorf("%s imports %s, which does not lie below it", name, inside)
		case !ours && strings.Contains(strings.SplitN(i, "/", 2)[0], ".") && !within(i, outside):
			t.Errorf("%s imports %s, a module it has no business with", name, i)
		}
	}
}

// within tells whether an import path lies in one of the modules.
func within(path string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return path == m || strings.HasPrefix(path, m+"/") })
}
