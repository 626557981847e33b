package lattice

import (
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// root is the repository, seen from here.
const root = "../../.."

// requires lists what each module of the repository requires itself. A module that is not here fails the test.
var requires = map[string]string{
	".": "github.com/gobwas/httphead github.com/gobwas/ws github.com/klauspost/compress github.com/panjf2000/gnet/v2 " +
		"github.com/pires/go-proxyproto github.com/valyala/bytebufferpool golang.org/x/net golang.org/x/sys",
	"cmd/gannet": "github.com/creack/pty github.com/dustin/go-humanize github.com/gannet-ws/gannet github.com/gannet-ws/gannet/bench/load github.com/gobwas/ws github.com/goccy/go-yaml " +
		"github.com/mattn/go-runewidth github.com/nats-io/nats-server/v2 github.com/nats-io/nats.go github.com/nats-io/nkeys github.com/peterh/liner github.com/urfave/cli/v3 github.com/vbauerster/mpb/v8 golang.org/x/sys golang.org/x/term",
	"docs/examples/bot":       "github.com/gannet-ws/gannet github.com/gannet-ws/gannet/engine/reconnect",
	"engine/reconnect":        "github.com/cenkalti/backoff/v5 github.com/gannet-ws/gannet",
	"bench/clients":           "github.com/coder/websocket github.com/gannet-ws/gannet github.com/gorilla/websocket github.com/lxzan/gws",
	"bench/curve":             "github.com/gannet-ws/gannet gonum.org/v1/plot",
	"bench/interop/goclients": "github.com/coder/websocket github.com/gobwas/httphead github.com/gobwas/ws",
	"bench/load":              "github.com/HdrHistogram/hdrhistogram-go github.com/dustin/go-humanize github.com/gannet-ws/gannet golang.org/x/net golang.org/x/sys gonum.org/v1/plot",
	"bench/peers": "github.com/coder/websocket github.com/fasthttp/websocket github.com/gobwas/ws github.com/gorilla/websocket github.com/lesismal/llib github.com/lesismal/nbio " +
		"github.com/lxzan/gws github.com/panjf2000/gnet/v2 github.com/valyala/fasthttp golang.org/x/sys",
	"bench/gate":  "github.com/gannet-ws/gannet golang.org/x/perf",
	"bench/pages": "github.com/gannet-ws/gannet gonum.org/v1/plot",
	"bench/scale": "github.com/gannet-ws/gannet gonum.org/v1/plot",
	"codec/_asm":  "github.com/mmcloughlin/avo",
	"mask/_asm":   "github.com/mmcloughlin/avo",
}

// workspace is what go.work uses: what is published, and nothing that brings peers or generators.
var workspace = []string{".", "bench/load", "cmd/gannet", "engine/reconnect"}

// rooms are the packages that decide what the root requires.
var rooms = []string{"codec", "deflate", "engine", "mask", "pool"}

// modFile is what go mod edit -json and go work edit -json print, as far as it is of interest.
type modFile struct {
	Require []struct {
		Path, Version string
		Indirect      bool
	}
	Replace []struct {
		Old, New struct{ Path, Version string }
	}
	Use []struct{ DiskPath string }
}

func readMod(t *testing.T, command, file string) (m modFile) {
	t.Helper()
	out, err := exec.Command("go", command, "edit", "-json", filepath.Join(root, file)).Output()
	if err == nil {
		err = json.Unmarshal(out, &m)
	}
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return m
}

// direct are the paths that a go.mod requires itself, sorted.
func (m modFile) direct() (paths []string) {
	for _, r := range m.Require {
		if !r.Indirect {
			paths = append(paths, r.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

func TestModulesRequireWhatTheyShould(t *testing.T) {
	found := 0
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		name := d.Name()
		if d.IsDir() && (name == "node_modules" || strings.HasPrefix(name, ".") && path != root) {
			return filepath.SkipDir
		}
		if err != nil || name != "go.mod" {
			return err
		}
		folder, err := filepath.Rel(root, filepath.Dir(path))
		if err != nil {
			return err
		}
		found++
		folder = filepath.ToSlash(folder)
		want, known := requires[folder]
		if got := strings.Join(readMod(t, "mod", folder+"/go.mod").direct(), " "); !known || got != want {
			t.Errorf("the module in %s requires\n%s, want\n%s", folder, got, want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found != len(requires) {
		t.Errorf("%d modules, the list has %d", found, len(requires))
	}
}

// TestRootRequiresWhatItsRoomsImport: what only a command or a benchmark needs belongs to a module of its own.
func TestRootRequiresWhatItsRoomsImport(t *testing.T) {
	args := []string{"list", "-json=Imports,TestImports,XTestImports"}
	for _, r := range rooms {
		args = append(args, module+r+"/...")
	}
	out, err := exec.Command("go", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	var imported []string
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct{ Imports, TestImports, XTestImports []string }
		if err := d.Decode(&p); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		imported = slices.Concat(imported, p.Imports, p.TestImports, p.XTestImports)
	}
	for _, path := range readMod(t, "mod", "go.mod").direct() {
		if !slices.ContainsFunc(imported, func(i string) bool { return within(i, []string{path}) }) {
			t.Errorf("the root requires %s, which none of %v imports", path, rooms)
		}
	}
}

// TestWorkspace: a replace in a module that is published would break go install of it, so it stands in go.work, for
// the version that the modules require. .ci/installable proves the rest.
func TestWorkspace(t *testing.T) {
	work := readMod(t, "work", "go.work")
	var used []string
	for _, u := range work.Use {
		used = append(used, filepath.ToSlash(filepath.Clean(u.DiskPath)))
	}
	slices.Sort(used)
	if !slices.Equal(used, workspace) {
		t.Errorf("go.work uses %v, want %v", used, workspace)
	}
	path := strings.TrimSuffix(module, "/")
	versions := map[string]string{} // of what is replaced
	for _, r := range work.Replace {
		if folder := strings.TrimPrefix(strings.TrimPrefix(r.Old.Path, path), "/"); r.New.Path != "./"+folder || folder != "" && !slices.Contains(used, folder) {
			t.Errorf("go.work replaces %s by %s", r.Old.Path, r.New.Path)
		}
		versions[r.Old.Path] = r.Old.Version
	}
	if want := []string{path, path + "/bench/load"}; !slices.Equal(slices.Sorted(maps.Keys(versions)), want) {
		t.Errorf("go.work replaces %v, want %v", versions, want)
	}
	for _, folder := range used {
		m := readMod(t, "mod", folder+"/go.mod")
		if len(m.Replace) > 0 {
			t.Errorf("%s/go.mod has a replace, which breaks go install", folder)
		}
		for _, r := range m.Require {
			if want, replaced := versions[r.Path]; replaced && r.Version != want {
				t.Errorf("%s requires version %s of %s, go.work replaces %s", folder, r.Version, r.Path, want)
			}
		}
	}
}
