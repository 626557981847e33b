package main

import (
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/gannet-ws/gannet/bench/internal/results"
)

var update = flag.Bool("update", false, "write testdata/table.md anew")

// testResults are made up, by hand: two runs, of which the newer has a void cell and one of two rounds.
func testResults(t *testing.T) []results.Record {
	t.Helper()
	records, err := results.Read("testdata/peers.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	return records
}

func TestTable(t *testing.T) {
	got := table(results.Newest(testResults(t), results.Sound))
	if *update {
		if err := os.WriteFile("testdata/table.md", []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile("testdata/table.md")
	if err != nil || got != string(want) {
		t.Fatalf("%v; go test -update writes what differs:\n%s", err, got)
	}
	for _, line := range []string{
		"| | gannet | rawecho | gws |",
		"| 128 B, depth 1, 100 connections, us an echoed message | 4.10 [",
		"4.00 [3.80-4.20], 1.02 x [0.99-1.06] |", // tungstenite, which was cheaper
		"| memory of a connection, idle since the handshake, bytes | 965 [",
	} {
		if !strings.Contains(got, line) {
			t.Errorf("the table lacks %q", line)
		}
	}
	if strings.Contains(got, "2026-01-02") {
		t.Error("a void run, or one of two rounds, is in the table")
	}
}

func TestBetween(t *testing.T) {
	text, err := between("before\n"+beginMark+"\nold\n"+endMark+"\nafter\n", "new\n")
	if err != nil || text != "before\n"+beginMark+"\nnew\n"+endMark+"\nafter\n" {
		t.Fatalf("%q, %v", text, err)
	}
	for _, unmarked := range []string{"", beginMark, endMark, endMark + beginMark} {
		if _, err := between(unmarked, "new"); err == nil {
			t.Errorf("%q was accepted", unmarked)
		}
	}
}

// TestReadme holds the README to the results that are beside it.
func TestReadme(t *testing.T) {
	records, err := results.Read("../results/peers.jsonl")
	if errors.Is(err, results.ErrNone) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(readme), beginMark) {
		t.Skip("the README has no marks for the table")
	}
	want, err := between(string(readme), table(results.Newest(records, results.Sound)))
	if err != nil {
		t.Fatal(err)
	}
	if string(readme) != want {
		t.Error("the README's table is not what bench/results/peers.jsonl says: GOWORK=off go -C bench/pages run . -readme")
	}
}

func TestPage(t *testing.T) {
	page, err := render(results.Newest(testResults(t), results.Any))
	if err != nil {
		t.Fatal(err)
	}
	text := string(page)
	for _, piece := range []string{
		"<h2>128 B, depth 1, 100 connections</h2>", "<td>tungstenite</td><td>4.00 [3.80-4.20]</td><td>1.02 x [0.99-1.06]</td>",
		"Void: the floor moved by 21.0 %", "2 rounds: a look, not a result.",
		"Left out: gnet, which is read by a poller", "0123456789ab", "fill:var(--subject)",
	} {
		if !strings.Contains(text, piece) {
			t.Errorf("the page lacks %q", piece)
		}
	}
	// It opens without a network: nothing is fetched, and nothing may be.
	if loads := regexp.MustCompile(`(?i)<(script|link|img|iframe)|url\(|@import`).FindString(text); loads != "" {
		t.Errorf("the page has %q", loads)
	}
	if ink := regexp.MustCompile(`#0A00[0-9A-F]{2}`).FindString(text); ink != "" {
		t.Errorf("the ink %s was not replaced", ink)
	}
	charts := regexp.MustCompile(`(?s)<svg.*?</svg>`).FindAllString(text, -1)
	if len(charts) != 6 {
		t.Fatalf("%d charts", len(charts))
	}
	for _, chart := range charts {
		for d := xml.NewDecoder(strings.NewReader(chart)); ; {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestRun(t *testing.T) {
	dir := t.TempDir()
	page, readme := filepath.Join(dir, "peers.html"), filepath.Join(dir, "README.md")
	if err := os.WriteFile(readme, []byte(beginMark+endMark), 0o644); err != nil {
		t.Fatal(err)
	}
	args := []string{"-results", "testdata/peers.jsonl", "-html", page, "-readme-file", readme}
	for _, more := range [][]string{nil, {"-readme"}} {
		if err := run(append(args, more...), io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if made, err := os.ReadFile(page); err != nil || !strings.HasPrefix(string(made), "<!DOCTYPE html>") {
		t.Errorf("the page: %.40q, %v", made, err)
	}
	if made, err := os.ReadFile(readme); err != nil || !strings.Contains(string(made), "| gannet |") {
		t.Errorf("the README: %.40q, %v", made, err)
	}
	if err := run([]string{"-results", filepath.Join(dir, "none.jsonl"), "-html", page}, io.Discard); !errors.Is(err, results.ErrNone) {
		t.Errorf("without results: %v", err)
	}
}
