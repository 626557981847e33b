// Command mutants asks the tests whether they notice a fault: it builds them with a changed source, which go build
// -overlay puts in the place of the real one, and demands that they fail.
//
//	go run ./bench/mutants                  # all planted bugs (testdata/planted), each by the law that is named there
//	go run ./bench/mutants -only 'pong'     # those whose name matches
//	go run ./bench/mutants -draw            # ordinary changes, drawn by a seed (testdata/drawn.json)
//	go run ./bench/mutants -draw -plan own  # all of them in the pure packages, by their own tests (testdata/own.json)
//
// docs/decisions/0019-mutants.md says what is planted, what is drawn, and why.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("mutants", flag.ContinueOnError)
	only := flags.String("only", "", "those whose name matches this regular `expression`")
	drawn := flags.Bool("draw", false, "ordinary changes instead of planted bugs")
	plan := flags.String("plan", "drawn", "with -draw: the `name` of the plan in testdata")
	workers := flags.Int("j", 2, "how many at a time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	pattern, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	root, err := findRoot()
	if err != nil {
		return err
	}
	if *drawn {
		return drawAll(ctx, root, *plan, pattern, *workers, out)
	}
	return plantAll(ctx, root, pattern, *workers, out)
}

// folder is ours, in the repository.
const folder = "bench/mutants"

// plantAll plants the bugs whose names match.
func plantAll(ctx context.Context, root string, only *regexp.Regexp, workers int, out io.Writer) error {
	all, err := readPlanted(root)
	if err != nil {
		return err
	}
	var some []bug
	for _, b := range all {
		if only.MatchString(b.name) {
			some = append(some, b)
		}
	}
	b := &builder{root: root, tags: plantedTags}
	line := newProgress(out, len(some))
	eachOf(workers, len(some), func(i int) {
		began := time.Now()
		said, err := plant(ctx, b, &some[i])
		line.add(err, "%5.1f s  %s: %s", time.Since(began).Seconds(), some[i].name, said)
	})
	return line.end("planted bugs are caught")
}

// plantedTags: with gannetdebug the simulator lets other goroutines act at the lock's scheduling points, and the pool
// watches its users.
const plantedTags = "gannetdebug"

func readPlanted(root string) ([]bug, error) {
	return readBugs(filepath.Join(root, folder, "testdata", "planted", "*.txt"))
}
