package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// plantedLimit is how long the test that must notice a planted bug may take: on a quiet machine 10,000 turns of the
// simulator take less than a second, and the slowest of its trials three.
const plantedLimit = 2 * time.Minute

// plant builds the sources with a bug in them, and runs the test that must notice it. It returns what the test says,
// or why the bug was not caught.
func plant(ctx context.Context, b *builder, k *bug) (said string, err error) {
	changed, err := k.apply(b.root)
	if err != nil {
		return "", err
	}
	rest, err := needless(b.root, k.folder, k.testFunction())
	if err != nil {
		return "", fmt.Errorf("%s: %w", k.at, err)
	}
	for _, file := range rest {
		changed[file] = nil
	}
	dir, err := os.MkdirTemp("", "mutant")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	binary, refused, err := b.build(ctx, dir, k.folder, changed)
	if err != nil {
		return "", err
	}
	if refused != "" {
		return "", fmt.Errorf("%s: %q does not compile: %s", k.at, k.name, refused)
	}
	r, err := runTests(ctx, b.root, k.folder, binary, selection{
		run: exactly(k.test), limit: plantedLimit, env: []string{simTurns(k.turns)},
	})
	if err != nil {
		return "", err
	}
	return r.complaint(), k.judge(&r)
}

// simTurns tells the simulator for how many turns to look for a broken law.
func simTurns(n int) string { return "GANNET_SIM_TURNS=" + strconv.Itoa(n) }

func (k *bug) testFunction() string {
	name, _, _ := strings.Cut(k.test, "/")
	return name
}

// judge tells why a result does not say that the bug was caught.
func (k *bug) judge(r *result) error {
	switch {
	case r.passed:
		return fmt.Errorf("%s: %q is not caught by %s in %s", k.at, k.name, k.test, k.folder)
	case r.late:
		return fmt.Errorf("%s: %q: %s takes too long", k.at, k.name, k.test)
	case k.law != nil && !k.law.MatchString(r.said):
		return fmt.Errorf("%s: %q is caught by another law than %q: %s", k.at, k.name, k.law, r.complaint())
	}
	return nil
}

// exactly is the pattern for this test and its subtests.
func exactly(test string) string {
	parts := strings.Split(test, "/")
	for i, p := range parts {
		parts[i] = "^" + p + "$"
	}
	return strings.Join(parts, "/")
}
