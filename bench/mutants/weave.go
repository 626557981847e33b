package main

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Drawn mutants are woven into one program, because to build the engine's tests takes longer than to run them. Each is
// asleep unless the environment names it: "if c" is "if (c) != mutant(17)", and "x < y" is "mutantLss(18, x, y)".

// splice puts text into a file, in the place of what stands there, if anything does.
type splice struct {
	from, to int
	text     string // with %d for the mutant's number
	closes   bool   // what an earlier one of the site opened
	order    int    // the site's
}

// mutantVariable names the environment's variable that wakes a mutant.
const mutantVariable = "GANNET_MUTANT"

// helpersText is the file that a package with mutants has besides.
const helpersText = `package %s

import (
	"cmp"
	"os"
	"strconv"
)

var mutantAwake, _ = strconv.Atoi(os.Getenv("` + mutantVariable + `"))

func mutant(k int) bool { return mutantAwake == k }

func mutantPick[T any](k int, a, b T) T {
	if mutantAwake == k {
		return b
	}
	return a
}

func mutantAnd(k int, a bool, b func() bool) bool {
	if mutantAwake == k {
		return a || b()
	}
	return a && b()
}

func mutantOr(k int, a bool, b func() bool) bool {
	if mutantAwake == k {
		return a && b()
	}
	return a || b()
}

func mutantLss[T cmp.Ordered](k int, a, b T) bool { return a < b || a == b && mutantAwake == k }
func mutantLeq[T cmp.Ordered](k int, a, b T) bool { return a < b || a == b && mutantAwake != k }
func mutantGtr[T cmp.Ordered](k int, a, b T) bool { return a > b || a == b && mutantAwake == k }
func mutantGeq[T cmp.Ordered](k int, a, b T) bool { return a > b || a == b && mutantAwake != k }
`

// weave makes the files of a package with these sites of its own, each asleep. A site's
// number is its place in all, plus one.
func (s *source) weave(all []site, numbers []int) map[string][]byte {
	changed := map[string][]byte{s.helpers(): fmt.Appendf(nil, helpersText, s.name)}
	for _, name := range s.names() {
		var some []splice
		for _, n := range slices.Sorted(slices.Values(numbers)) {
			if all[n].file == name {
				some = append(some, all[n].numbered(n)...)
			}
		}
		if len(some) > 0 {
			changed[name] = spliced(s.text[name], some)
		}
	}
	return changed
}

func (s *site) numbered(n int) []splice {
	some := slices.Clone(s.splices)
	for i := range some {
		some[i].text = strings.ReplaceAll(some[i].text, "%d", strconv.Itoa(n+1))
		some[i].order = s.order
	}
	return some
}

// spliced puts all of some into text. Sites nest: the outer one was found first, opens first and closes last.
func spliced(text []byte, some []splice) []byte {
	slices.SortStableFunc(some, func(a, b splice) int {
		switch {
		case a.from != b.from:
			return a.from - b.from
		case a.closes && b.closes:
			return b.order - a.order
		case a.closes:
			return -1
		case b.closes:
			return 1
		}
		return a.order - b.order
	})
	var out bytes.Buffer
	at := 0
	for _, p := range some {
		out.Write(text[at:p.from])
		out.WriteString(p.text)
		at = p.to
	}
	out.Write(text[at:])
	return out.Bytes()
}

// sound returns those of some sites that can be woven together: the others do not compile.
func (s *source) sound(all []site, numbers []int) (good []int) {
	if len(numbers) == 0 || s.compiles(s.weave(all, numbers)) {
		return numbers
	}
	if len(numbers) == 1 {
		return nil
	}
	half := len(numbers) / 2
	return append(s.sound(all, numbers[:half]), s.sound(all, numbers[half:])...)
}

func (s *source) compiles(changed map[string][]byte) bool {
	set, files := token.NewFileSet(), map[string]*ast.File{}
	texts := maps.Clone(s.text)
	maps.Copy(texts, changed)
	for name, text := range texts {
		f, err := parser.ParseFile(set, name, text, parser.SkipObjectResolution)
		if err != nil {
			return false
		}
		files[name] = f
	}
	return s.check(set, files, nil) == nil
}
