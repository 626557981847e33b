package api

import (
	"bytes"
	"cmp"
	"fmt"
	"go/ast"
	"go/constant"
	"go/parser"
	"go/printer"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// reader reads the exported API of one package out of its sources: all of them, whatever system, processor or tag they are
// for, so that it is the same everywhere. Nothing is compiled and no other package is looked at: what a name of
// another package is stands as it is written.
type reader struct {
	fset  *token.FileSet
	info  types.Info
	decls map[types.Object]*ast.FuncDecl
	types map[string]*ast.TypeSpec
	pkg   *types.Package
	lines map[string]bool
}

// readPackage is the API in a directory: a sorted line for each constant with its value, variable, function, type, field and method.
func readPackage(dir string) ([]string, error) {
	r := &reader{
		fset:  token.NewFileSet(),
		info:  types.Info{Defs: map[*ast.Ident]types.Object{}},
		decls: map[types.Object]*ast.FuncDecl{},
		types: map[string]*ast.TypeSpec{},
		lines: map[string]bool{},
	}
	files, err := r.parse(dir)
	if err != nil {
		return nil, err
	}
	// Twins for other systems declare the same again, and imports are empty: such errors are expected, and what can be
	// known without them is known all the same.
	conf := types.Config{Importer: nothingInside{}, Error: func(error) {}, IgnoreFuncBodies: true}
	r.pkg, _ = conf.Check(dir, r.fset, files, &r.info)
	for _, f := range files {
		for _, d := range f.Decls {
			r.note(d)
		}
	}
	for _, f := range files {
		for _, d := range f.Decls {
			r.decl(d)
		}
	}
	all := make([]string, 0, len(r.lines))
	for l := range r.lines {
		all = append(all, l)
	}
	slices.SortFunc(all, func(a, b string) int { return cmp.Or(cmp.Compare(sortKey(a), sortKey(b)), cmp.Compare(a, b)) })
	return all, nil
}

// sortKey has a type's fields and methods stand behind it.
func sortKey(line string) string {
	kind, rest, _ := strings.Cut(line, " ")
	of := strings.FieldsFunc(rest, func(c rune) bool { return strings.ContainsRune(" .*()[=", c) })[0]
	switch kind {
	case "field":
		return "type " + of + " 1"
	case "method":
		return "type " + of + " 2"
	case "type":
		return "type " + of + " 0"
	}
	return kind + " " + of
}

func (r *reader) parse(dir string) (files []*ast.File, err error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		src, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(r.fset, filepath.Base(name), src, parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		if f.Name.Name != "main" {
			files = append(files, f)
		}
	}
	return files, nil
}

// nothingInside imports every package as an empty one.
type nothingInside struct{}

func (nothingInside) Import(path string) (*types.Package, error) {
	p := types.NewPackage(path, filepath.Base(path))
	p.MarkComplete()
	return p, nil
}

func (r *reader) add(format string, args ...any) { r.lines[fmt.Sprintf(format, args...)] = true }

// note notes where functions and types are declared.
func (r *reader) note(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		r.decls[r.info.Defs[d.Name]] = d
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok {
				r.types[s.Name.Name] = s
			}
		}
	}
}

func (r *reader) decl(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil && d.Name.IsExported() {
			r.add("func %s%s", d.Name.Name, r.signature(d.Type))
		}
	case *ast.GenDecl:
		var last *ast.ValueSpec // whose type and values a constant without any repeats
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				if s.Name.IsExported() {
					r.typeSpec(s)
				}
			case *ast.ValueSpec:
				if s.Type != nil || len(s.Values) > 0 || last == nil {
					last = s
				}
				r.values(d.Tok, s, last)
			}
		}
	}
}

// values are constants or variables. A constant has its value; one that is another package's has its name.
func (r *reader) values(tok token.Token, s, from *ast.ValueSpec) {
	for i, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		line := tok.String() + " " + name.Name
		if from.Type != nil {
			line += " " + r.text(from.Type)
		}
		if tok == token.CONST {
			c, ok := r.info.Defs[name].(*types.Const)
			switch {
			case ok && c.Val().Kind() != constant.Unknown:
				if n, named := types.Unalias(c.Type()).(*types.Named); named && from.Type == nil {
					line += " " + n.Obj().Name()
				}
				line += " = " + c.Val().ExactString()
			case i < len(from.Values):
				line += " = " + r.text(from.Values[i])
			}
		}
		r.add("%s", line)
	}
}

func (r *reader) typeSpec(s *ast.TypeSpec) {
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[" + r.fields(s.TypeParams) + "]"
	}
	if s.Assign.IsValid() {
		r.add("type %s = %s", name, r.text(s.Type))
		return
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		r.add("type %s struct", name)
		r.structFields(s.Name.Name, t)
	case *ast.InterfaceType:
		r.add("type %s interface", name)
		for _, m := range t.Methods.List {
			switch t := m.Type.(type) {
			case *ast.FuncType:
				r.add("method %s.%s%s", s.Name.Name, m.Names[0].Name, r.signature(t))
			default:
				r.add("method %s embeds %s", s.Name.Name, r.text(t))
			}
		}
		return
	default:
		r.add("type %s %s", name, r.text(s.Type))
	}
	r.methods(s)
}

// structFields are the exported fields, those of embedded structs of the package's own that are not exported included.
func (r *reader) structFields(of string, t *ast.StructType) {
	for _, f := range t.Fields.List {
		tag := ""
		if f.Tag != nil {
			tag = " " + f.Tag.Value
		}
		if len(f.Names) == 0 {
			base := f.Type
			if p, ok := base.(*ast.StarExpr); ok {
				base = p.X
			}
			if id, ok := base.(*ast.Ident); ok && !id.IsExported() {
				if inner := r.structOf(id.Name); inner != nil {
					r.structFields(of, inner)
				}
				continue
			}
			r.add("field %s embeds %s%s", of, r.text(f.Type), tag)
		}
		for _, n := range f.Names {
			if n.IsExported() {
				r.add("field %s.%s %s%s", of, n.Name, r.text(f.Type), tag)
			}
		}
	}
}

// structOf is the struct type of this name, if the package has one.
func (r *reader) structOf(name string) *ast.StructType {
	if s := r.types[name]; s != nil {
		t, _ := s.Type.(*ast.StructType)
		return t
	}
	return nil
}

// methods are the exported methods of a type, or of a pointer to it; those of what it embeds included.
func (r *reader) methods(s *ast.TypeSpec) {
	named := r.pkg.Scope().Lookup(s.Name.Name)
	if named == nil {
		return
	}
	all, own := types.NewMethodSet(types.NewPointer(named.Type())), types.NewMethodSet(named.Type())
	for i := range all.Len() {
		m := all.At(i).Obj()
		d := r.decls[m]
		if !m.Exported() || d == nil {
			continue
		}
		receiver := "*" + s.Name.Name
		if own.Lookup(m.Pkg(), m.Name()) != nil {
			receiver = s.Name.Name
		}
		r.add("method (%s) %s%s", receiver, m.Name(), r.signature(d.Type))
	}
}

func (r *reader) signature(t *ast.FuncType) string { return strings.TrimPrefix(r.text(t), "func") }

func (r *reader) fields(l *ast.FieldList) string {
	var all []string
	for _, f := range l.List {
		for _, n := range f.Names {
			all = append(all, n.Name+" "+r.text(f.Type))
		}
	}
	return strings.Join(all, ", ")
}

// text is a piece of source on one line.
func (r *reader) text(n ast.Node) string {
	var b bytes.Buffer
	if err := printer.Fprint(&b, r.fset, n); err != nil {
		panic(err)
	}
	return strings.Join(strings.Fields(b.String()), " ")
}
