package engine

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// builds are what only some builds have, and stands beside a file of the list.
var builds = regexp.MustCompile(`_(on|off|errno|linux|other|windows)\.go$`)

// TestReadingOrder: doc.go leads to every file, and to none that is not there.
func TestReadingOrder(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]bool)
	for _, word := range strings.Fields(string(doc)) {
		if strings.HasSuffix(word, ".go") {
			listed[word] = true
			if _, err := os.Stat(word); err != nil {
				t.Error(err)
			}
		}
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range files {
		if !listed[name] && name != "doc.go" && !strings.HasSuffix(name, "_test.go") && !builds.MatchString(name) {
			t.Errorf("doc.go does not say where %s stands", name)
		}
	}
}
