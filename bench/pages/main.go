// Command pages shows what make bench-peers measured: a page with charts, and the table of the README.
//
//	GOWORK=off go -C bench/pages run .            # bench/results/peers.html, one file that needs no network
//	GOWORK=off go -C bench/pages run . -readme    # the README's table, between its marks
//
// It reads bench/results/peers.jsonl, to which each run adds its lines. The page shows each cell's newest run, and says when it
// is void; the README's table has the newest that may be quoted. Whoever was faster than Gannet is in both.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	"github.com/gannet-ws/gannet/bench/internal/results"
)

func main() {
	switch err := run(os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "pages:", err)
		os.Exit(1)
	}
}

func run(args []string, usage io.Writer) error {
	flags := flag.NewFlagSet("pages", flag.ContinueOnError)
	flags.SetOutput(usage)
	from := flags.String("results", "../results/peers.jsonl", "`file` of results")
	page := flags.String("html", "../results/peers.html", "`file` for the page with charts")
	inReadme := flags.Bool("readme", false, "write the README's table and no page")
	readme := flags.String("readme-file", "../../README.md", "the README, a `file` that has the marks "+beginMark+" and "+endMark)
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	records, err := results.Read(*from)
	if err != nil {
		return err
	}
	if *inReadme {
		return writeTable(*readme, records)
	}
	return writePage(*page, records)
}

func writePage(path string, records []results.Record) error {
	page, err := render(results.Newest(records, results.Any))
	if err != nil {
		return err
	}
	return os.WriteFile(path, page, 0o644)
}

func writeTable(path string, records []results.Record) error {
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	text, err := between(string(old), table(results.Newest(records, results.Sound)))
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return os.WriteFile(path, []byte(text), 0o644)
}
