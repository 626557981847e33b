package dom_test

import (
	"os"
	"strings"
	"testing"
)

// TestStreamsPage: the programs that docs/streams.md shows are those that are compiled and run.
func TestStreamsPage(t *testing.T) {
	page := read(t, "../../docs/streams.md")
	sources := read(t, "example_stream_test.go") + read(t, "../../bench/peers/ported/gorilla/main.go") + read(t, "../../bench/peers/ported/coder/main.go")
	blocks := strings.Split(page, "```go\n")[1:]
	if len(blocks) != 4 {
		t.Fatalf("%d programs", len(blocks))
	}
	for _, b := range blocks {
		code, _, _ := strings.Cut(b, "```")
		if !strings.Contains(sources, code) {
			t.Errorf("no source has this program:\n%s", code)
		}
	}
}

func read(t *testing.T, name string) string {
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
