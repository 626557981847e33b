package main

import (
	"fmt"
	"io"
	"sync"
	"time"
)

// progress prints a line for each mutant that is done, with how long the others will take.
type progress struct {
	mu           sync.Mutex
	out          io.Writer
	began        time.Time
	done, failed int
	all          int
}

func newProgress(out io.Writer, all int) *progress {
	return &progress{out: out, all: all, began: time.Now()}
}

func (p *progress) add(err error, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	left := time.Since(p.began) / time.Duration(p.done) * time.Duration(p.all-p.done)
	fmt.Fprintf(p.out, "%3d/%d, %v left  ", p.done, p.all, left.Round(time.Second))
	if err != nil {
		p.failed++
		fmt.Fprintf(p.out, "FAILED  %v\n", err)
		return
	}
	fmt.Fprintf(p.out, "%s\n", short(fmt.Sprintf(format, args...)))
}

func (p *progress) end(what string) error {
	fmt.Fprintf(p.out, "%d of %d %s, in %v\n", p.done-p.failed, p.all, what, time.Since(p.began).Round(time.Second))
	if p.failed > 0 {
		return fmt.Errorf("%d failed", p.failed)
	}
	return nil
}

func short(s string) string { return fmt.Sprintf("%.200s", s) }

// eachOf calls f for 0 to n-1, some of them at a time.
func eachOf(workers, n int, f func(int)) {
	work := make(chan int)
	var group sync.WaitGroup
	for range workers {
		group.Go(func() {
			for i := range work {
				f(i)
			}
		})
	}
	for i := range n {
		work <- i
	}
	close(work)
	group.Wait()
}
