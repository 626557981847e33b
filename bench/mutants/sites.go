package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/token"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// site is a place in a source file and one small change of it.
type site struct {
	kind     string
	file     string // in the repository
	line     int
	from, to int // bytes of the file
	with     string
	was      string
	key      string // where it is in the file, whatever stands above it
}

// The kinds of changes.
const (
	negated  = "negated"  // a condition: if, for, case
	compared = "compared" // < and <=, > and >=, == and !=
	joined   = "joined"   // && and ||
	shifted  = "shifted"  // a number, one more or one less
	dropped  = "dropped"  // a statement
)

// swapped is what an operator becomes.
var swapped = map[token.Token]struct {
	with token.Token
	kind string
}{
	token.LSS: {token.LEQ, compared}, token.LEQ: {token.LSS, compared}, token.GTR: {token.GEQ, compared}, token.GEQ: {token.GTR, compared},
	token.EQL: {token.NEQ, compared}, token.NEQ: {token.EQL, compared}, token.LAND: {token.LOR, joined}, token.LOR: {token.LAND, joined},
}

// findSites lists all changes of these files (patterns, in the repository), tests left out.
func findSites(root string, patterns []string) ([]site, error) {
	var all []site
	for _, pattern := range patterns {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		if err != nil {
			return nil, err
		}
		found := 0
		for _, path := range files {
			if strings.HasSuffix(path, "_test.go") {
				continue
			}
			found++
			some, err := sitesOf(root, path)
			if err != nil {
				return nil, err
			}
			all = append(all, some...)
		}
		if found == 0 {
			return nil, fmt.Errorf("no file is called %s", pattern)
		}
	}
	return all, nil
}

func sitesOf(root, path string) ([]site, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	name, err := filepath.Rel(root, path)
	if err != nil {
		return nil, err
	}
	w := walk{file: filepath.ToSlash(name), text: text, set: token.NewFileSet()}
	parsed, err := parser.ParseFile(w.set, path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	for _, d := range parsed.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			w.function, w.seen = f, map[string]int{}
			ast.Inspect(f.Body, w.visit)
		}
	}
	return w.sites, nil
}

// walk collects the sites of a file, function by function.
type walk struct {
	file     string
	text     []byte
	set      *token.FileSet
	function *ast.FuncDecl
	seen     map[string]int
	sites    []site
}

func (w *walk) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		w.negate(n.Cond)
	case *ast.ForStmt:
		w.negate(n.Cond)
	case *ast.SwitchStmt:
		if n.Tag == nil {
			w.negateCases(n.Body)
		}
	case *ast.BinaryExpr:
		w.swap(n)
	case *ast.BasicLit:
		w.shift(n)
	case *ast.BlockStmt:
		w.drop(n.List)
	case *ast.CaseClause:
		w.drop(n.Body)
	case *ast.CommClause:
		w.drop(n.Body)
	}
	return true
}

func (w *walk) negate(e ast.Expr) {
	if e != nil {
		w.add(negated, e.Pos(), e.End(), "!("+w.source(e)+")")
	}
}

func (w *walk) negateCases(body *ast.BlockStmt) {
	for _, s := range body.List {
		for _, e := range s.(*ast.CaseClause).List {
			w.negate(e)
		}
	}
}

func (w *walk) swap(b *ast.BinaryExpr) {
	if s, ok := swapped[b.Op]; ok {
		w.add(s.kind, b.OpPos, b.OpPos+token.Pos(len(b.Op.String())), s.with.String())
	}
}

func (w *walk) shift(l *ast.BasicLit) {
	if l.Kind != token.INT {
		return
	}
	v, one := constant.MakeFromLiteral(l.Value, token.INT, 0), constant.MakeInt64(1)
	w.add(shifted, l.Pos(), l.End(), constant.BinaryOp(v, token.ADD, one).ExactString())
	w.add(shifted, l.Pos(), l.End(), constant.BinaryOp(v, token.SUB, one).ExactString())
}

// drop takes away each statement that the others may do without. Those that panic are for our own mistakes.
func (w *walk) drop(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && w.source(call.Fun) == "panic" {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || w.source(s.Lhs[0]) == "_" && len(s.Lhs) == 1 {
				continue
			}
		case *ast.IncDecStmt, *ast.DeferStmt, *ast.BranchStmt, *ast.SendStmt, *ast.GoStmt:
		case *ast.ReturnStmt:
			if len(s.Results) > 0 {
				continue
			}
		default:
			continue
		}
		w.add(dropped, s.Pos(), s.End(), "")
	}
}

func (w *walk) source(n ast.Node) string {
	return string(w.text[w.offset(n.Pos()):w.offset(n.End())])
}

func (w *walk) offset(p token.Pos) int { return w.set.Position(p).Offset }

func (w *walk) add(kind string, from, to token.Pos, with string) {
	s := site{kind: kind, file: w.file, line: w.set.Position(from).Line, from: w.offset(from), to: w.offset(to), with: with}
	s.was = string(w.text[s.from:s.to])
	line := strings.TrimSpace(strings.Split(string(w.text), "\n")[s.line-1])
	s.key = strings.Join([]string{filepath.Dir(w.file), w.function.Name.Name, line, kind, s.was, with}, "\x00")
	w.seen[s.key]++
	s.key = fmt.Sprint(s.key, w.seen[s.key])
	w.sites = append(w.sites, s)
}

// shuffle puts sites into an order that depends on the seed and on each site's own line alone, so that a change
// elsewhere leaves the draw as it was.
func shuffle(sites []site, seed uint64) {
	rank := func(s site) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, s.key)
		x := h.Sum64() // FNV's high bits hardly move: stir
		x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
		x = (x ^ x>>27) * 0x94d049bb133111eb
		return x ^ x>>31
	}
	slices.SortStableFunc(sites, func(a, b site) int {
		switch ra, rb := rank(a), rank(b); {
		case ra < rb:
			return -1
		case ra > rb:
			return 1
		}
		return 0
	})
}

// apply makes the changed file.
func (s *site) apply(root string) (map[string][]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, s.file))
	if err != nil {
		return nil, err
	}
	return map[string][]byte{s.file: slices.Concat(text[:s.from], []byte(s.with), text[s.to:])}, nil
}

// name says what is changed where.
func (s *site) name() string {
	where := fmt.Sprintf("%s:%d", s.file, s.line)
	if s.kind == dropped {
		return fmt.Sprintf("%s: %s: %s", where, s.kind, firstLine(s.was))
	}
	return fmt.Sprintf("%s: %s: %s -> %s", where, s.kind, firstLine(s.was), firstLine(s.with))
}

func firstLine(s string) string {
	line, rest, more := strings.Cut(s, "\n")
	if more && rest != "" {
		line += " ..."
	}
	return line
}
