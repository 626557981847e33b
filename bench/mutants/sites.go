package main

import (
	"fmt"
	"go/ast"
	"go/constant"
	"go/token"
	"go/types"
	"hash/fnv"
	"path"
	"slices"
	"strings"
)

// site is a place in a source file and one small change of it.
type site struct {
	kind     string
	file     string // in the repository
	line     int
	from, to int // bytes of the file
	was      string
	with     string
	key      string   // where it is, whatever stands above it
	splices  []splice // how it is woven in
	order    int      // in which it was found
}

// The kinds of changes.
const (
	negated  = "negated"  // a condition: if, for, case, == and !=
	compared = "compared" // < and <=, > and >=
	joined   = "joined"   // && and ||
	shifted  = "shifted"  // a number, one more or one less
	dropped  = "dropped"  // a statement
)

// operators says what an operator becomes, and which helper does so.
var operators = map[token.Token]struct {
	with   token.Token
	helper string
}{
	token.LSS: {token.LEQ, "Lss"}, token.LEQ: {token.LSS, "Leq"}, token.GTR: {token.GEQ, "Gtr"}, token.GEQ: {token.GTR, "Geq"},
	token.LAND: {token.LOR, "And"}, token.LOR: {token.LAND, "Or"},
}

// sites lists all changes of the package's files that match one of these patterns.
func (s *source) sites(patterns []string) (all []site, err error) {
	for _, name := range s.names() {
		for _, p := range patterns {
			ok, err := path.Match(p, name)
			if err != nil {
				return nil, err
			}
			if ok {
				w := walk{source: s, file: name, text: s.text[name]}
				w.all()
				all = append(all, w.found...)
				break
			}
		}
	}
	return all, nil
}

// walk collects the sites of a file, function by function.
type walk struct {
	*source
	file     string
	text     []byte
	function string
	conds    map[ast.Expr]bool // that are negated as a whole already
	seen     map[string]int
	found    []site
}

func (w *walk) all() {
	w.conds, w.seen = map[ast.Expr]bool{}, map[string]int{}
	for _, d := range w.files[w.file].Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Body != nil {
			w.function = f.Name.Name
			ast.Inspect(f.Body, w.visit)
		}
	}
}

func (w *walk) visit(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.IfStmt:
		w.negate(n.Cond)
	case *ast.ForStmt:
		w.negate(n.Cond)
	case *ast.SwitchStmt:
		if n.Tag == nil {
			for _, s := range n.Body.List {
				for _, e := range s.(*ast.CaseClause).List {
					w.negate(e)
				}
			}
		}
	case *ast.BinaryExpr:
		w.operator(n)
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
	if e == nil || w.conds[e] {
		return
	}
	w.conds[e] = true
	w.wrap(negated, e, "!("+w.of(e)+")", "((", ") != mutant(%d))")
}

func (w *walk) operator(b *ast.BinaryExpr) {
	if b.Op == token.EQL || b.Op == token.NEQ {
		w.negate(b)
		return
	}
	o, ok := operators[b.Op]
	if !ok {
		return
	}
	at, end := w.offset(b.OpPos), w.offset(b.OpPos)+len(b.Op.String())
	kind, between, last := compared, ", ", ")"
	if b.Op == token.LAND || b.Op == token.LOR {
		kind, between, last = joined, ", func() bool { return (", ") })"
	}
	s := site{kind: kind, from: at, to: end, with: o.with.String()}
	s.splices = append(around(w, b, "mutant"+o.helper+"(%d, ", last), splice{from: at, to: end, text: between})
	w.add(s)
}

func (w *walk) shift(l *ast.BasicLit) {
	t := w.info.Types[l].Type
	if l.Kind != token.INT || t == nil {
		return
	}
	name := types.TypeString(t, func(p *types.Package) string {
		if p.Path() == w.folder {
			return ""
		}
		return p.Name()
	})
	v := constant.MakeFromLiteral(l.Value, token.INT, 0)
	for _, by := range []int64{1, -1} {
		with := constant.BinaryOp(v, token.ADD, constant.MakeInt64(by)).ExactString()
		w.wrap(shifted, l, with, "mutantPick["+name+"](%d, ", ", "+with+")")
	}
}

// drop takes away each statement that the others may do without. Those that panic are for our own mistakes.
func (w *walk) drop(list []ast.Stmt) {
	for _, s := range list {
		switch s := s.(type) {
		case *ast.ExprStmt:
			if call, ok := s.X.(*ast.CallExpr); ok && w.of(call.Fun) == "panic" {
				continue
			}
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE || len(s.Lhs) == 1 && w.of(s.Lhs[0]) == "_" {
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
		w.wrap(dropped, s, "", "if !mutant(%d) { ", " }")
	}
}

// wrap adds a change of a node that is woven in by what is put around it.
func (w *walk) wrap(kind string, n ast.Node, with, before, after string) {
	w.add(site{kind: kind, from: w.offset(n.Pos()), to: w.offset(n.End()), with: with, splices: around(w, n, before, after)})
}

func around(w *walk, n ast.Node, before, after string) []splice {
	from, to := w.offset(n.Pos()), w.offset(n.End())
	return []splice{{from: from, to: from, text: before}, {from: to, to: to, text: after, closes: true}}
}

func (w *walk) of(n ast.Node) string { return string(w.text[w.offset(n.Pos()):w.offset(n.End())]) }

func (w *walk) offset(p token.Pos) int { return w.set.Position(p).Offset }

func (w *walk) add(s site) {
	s.file, s.order = w.file, len(w.found)
	s.was = string(w.text[s.from:s.to])
	lines := strings.Split(string(w.text[:s.from]), "\n")
	s.line = len(lines)
	rest, _, _ := strings.Cut(string(w.text[s.from:]), "\n")
	line := strings.TrimSpace(lines[len(lines)-1]) + rest
	s.key = strings.Join([]string{w.folder, w.function, line, s.kind, s.was, s.with}, "\x00")
	w.seen[s.key]++
	s.key = fmt.Sprint(s.key, w.seen[s.key])
	w.found = append(w.found, s)
}

// shuffle puts sites into an order that depends on the seed and on each site's own line alone, so that a change
// elsewhere leaves the draw as it was.
func shuffle(sites []site, seed uint64) {
	rank := func(s site) uint64 {
		h := fnv.New64a()
		fmt.Fprint(h, seed, s.key)
		return stirred(h.Sum64())
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

// stirred mixes the bits of a short hash, whose high ones hardly move.
func stirred(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// apply makes the changed file as if somebody had written it so.
func (s *site) apply(text []byte) map[string][]byte {
	return map[string][]byte{s.file: slices.Concat(text[:s.from], []byte(s.with), text[s.to:])}
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
