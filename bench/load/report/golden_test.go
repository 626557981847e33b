package report

import (
	"bytes"
	"flag"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gannet-ws/gannet/bench/load"
)

var update = flag.Bool("update", false, "write testdata anew")

// golden compares got with a file of testdata.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what came out; if it should be: go test ./report -update. Got:\n%s", file, got)
	}
}

func asText(width int) Format {
	return func(w io.Writer, r *load.Result) error { return Text(w, r, width) }
}

func TestGolden(t *testing.T) {
	for name, c := range map[string]struct {
		format Format
		of     *load.Result
	}{
		"plain.txt":         {asText(0), canned()},
		"narrow.ansi":       {asText(50), canned()},
		"search.txt":        {asText(0), search()},
		"nothing.txt":       {asText(0), &load.Result{}},
		"hostile.ansi":      {asText(100), hostile()},
		"search.json":       {JSON, search()},
		"nothing.json":      {JSON, &load.Result{}},
		"series.csv":        {CSV, canned()},
		"distribution.hgrm": {Percentiles, canned()},
	} {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			if err := c.format(&out, c.of); err != nil {
				t.Fatal(err)
			}
			golden(t, name, out.Bytes())
		})
	}
}
