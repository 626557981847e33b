package results

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/bench/internal/rig"
)

func TestWithoutPaths(t *testing.T) {
	for line, want := range map[string]string{
		"go run ./bench/compare -servers all -append bench/results/peers.jsonl": "go run ./bench/compare -servers all -append bench/results/peers.jsonl",
		"go run ./bench/compare -add 'uws=/home/me/uws/echo {port} /etc/c.pem'": "go run ./bench/compare -add 'uws=echo {port} c.pem'",
		"/usr/local/bin/compare -out /tmp/x":                                    "compare -out x",
	} {
		if got := WithoutPaths(line); got != want {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func record(time, cell, server string, rounds int, void bool) Record {
	return Record{Machine: rig.Machine{Time: time}, Cell: cell, Server: server, Rounds: rounds, Void: void, CPU: &rig.Spread{Median: 4, Min: 3, Max: 5}}
}

func TestAppendAndRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "folder", "peers.jsonl")
	if _, err := Read(path); !errors.Is(err, ErrNone) {
		t.Fatalf("got %v", err)
	}
	first, second := record("1", "echo", "gannet", 9, false), record("2", "echo", "gws", 9, true)
	for _, r := range []Record{first, second} {
		if err := Append(path, []Record{r}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := Read(path)
	if err != nil || !reflect.DeepEqual(got, []Record{first, second}) {
		t.Fatalf("%+v, %v", got, err)
	}
	if err := os.WriteFile(path, []byte("{}\nno JSON\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(path); err == nil || !strings.Contains(err.Error(), "line 2") {
		t.Fatalf("got %v", err)
	}
}

func TestNewest(t *testing.T) {
	out := record("3", "echo", "node", 0, false)
	out.LeftOut = "is missing"
	records := []Record{
		record("1", "echo", "gannet", 9, false), record("1", "echo", "gws", 9, false),
		record("1", "tls", "gannet", 9, false),
		record("2", "tls", "gannet", 9, true),
		record("3", "echo", "gannet", 9, false), out,
		record("4", "echo", "gannet", 3, false),
	}
	times := func(cells []Cell) (said string) {
		for _, c := range cells {
			said += c[0].Cell + c[0].Machine.Time + " "
		}
		return said
	}
	if got := times(Newest(records, Sound)); got != "echo3 tls1 " {
		t.Errorf("sound: %s", got)
	}
	if got := times(Newest(records, Any)); got != "echo4 tls2 " {
		t.Errorf("any: %s", got)
	}
	if cell := Newest(records, Sound)[0]; cell.Find("node") != nil || cell.Find("gannet") == nil {
		t.Errorf("%+v", cell)
	}
}
