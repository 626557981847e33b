// Command curve measures what compressing a message costs and what it saves, for every level, history and kind of
// takeover that package deflate has, and charts it:
//
//	make curve                                            # docs/deflate-curve.svg and docs/deflate-curve.md
//	GOWORK=off go run . -time 1s -out /tmp/curve                     # a look, elsewhere
//	GOWORK=off go run . -corpora 'json 1 KiB,html 4 KiB' -out /tmp/curve
//
// It is a module of its own, so that the library which draws stays out of Gannet's go.mod.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/gannet-ws/gannet/bench/corpus"
	"github.com/gannet-ws/gannet/bench/internal/rig"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("curve: ")
	switch err := run(context.Background(), os.Args[1:], os.Stderr); {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		log.Fatal(err)
	}
}

// options are the command line, parsed and checked.
type options struct {
	outDir  string
	budget  time.Duration
	corpora []corpus.Corpus
}

func run(ctx context.Context, args []string, progress io.Writer) error {
	o, err := parseOptions(args, progress)
	if err != nil {
		return err
	}
	root, err := rig.Root(ctx)
	if err != nil {
		return err
	}
	if o.outDir == "" {
		o.outDir = filepath.Join(root, "docs")
	}
	r := report{Machine: rig.Describe(ctx, root, "GOWORK=off go -C bench/curve run .", args), Budget: o.budget}
	for _, c := range o.corpora {
		fmt.Fprintf(progress, "%s: %d settings, %v\n", c.Name, len(grid()), o.budget)
		m, err := measure(c, grid(), o.budget)
		if err != nil {
			return err
		}
		r.Curves = append(r.Curves, m)
	}
	return r.write(o.outDir)
}

func parseOptions(args []string, usage io.Writer) (options, error) {
	o := options{corpora: corpus.All()}
	var names string
	flags := flag.NewFlagSet("curve", flag.ContinueOnError)
	flags.SetOutput(usage)
	flags.StringVar(&o.outDir, "out", "", "folder for deflate-curve.svg and deflate-curve.md (default: docs of the repository)")
	flags.DurationVar(&o.budget, "time", 15*time.Second, "time for each corpus; every setting is measured at least 5 times, however long that takes")
	flags.StringVar(&names, "corpora", "", "corpora to measure, comma-separated (default: all)")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	if flags.NArg() > 0 {
		return o, fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	if names == "" {
		return o, nil
	}
	wanted := strings.Split(names, ",")
	o.corpora = slices.DeleteFunc(o.corpora, func(c corpus.Corpus) bool { return !slices.Contains(wanted, c.Name) })
	if len(o.corpora) != len(wanted) {
		return o, fmt.Errorf("-corpora %q: %d of the %d are corpora", names, len(o.corpora), len(wanted))
	}
	return o, nil
}
