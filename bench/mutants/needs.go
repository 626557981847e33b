package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
)

// testFile is a file of a package's tests: what it declares, and the names of others that it uses.
type testFile struct {
	name           string // of its package
	declares, uses map[string]bool
	methodsOf      map[string]bool
}

// needless lists the test files of a folder's package that a test can do without, by their paths in the repository: most
// of the engine's. To compile them all takes three times as long.
func needless(root, folder, test string) ([]string, error) {
	paths, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	if err != nil {
		return nil, err
	}
	files := map[string]*testFile{}
	needed := map[string]bool{}
	for _, path := range paths {
		f, err := readTestFile(path)
		if err != nil {
			return nil, err
		}
		files[path] = f
		needed[path] = f.declares[test] || f.declares["TestMain"]
	}
	for more := true; more; {
		more = false
		for a, from := range files {
			for b, to := range files {
				if needed[a] && !needed[b] && from.needs(to) {
					needed[b], more = true, true
				}
			}
		}
	}
	var rest []string
	for _, path := range paths {
		if !needed[path] {
			rest = append(rest, folder+"/"+filepath.Base(path))
		}
	}
	if len(rest) == len(paths) {
		return nil, fmt.Errorf("there is no %s in %s", test, folder)
	}
	return rest, nil
}

// needs tells whether f uses a name of g, or has a type of which g has methods.
func (f *testFile) needs(g *testFile) bool {
	if f.name != g.name {
		return false
	}
	for name := range g.declares {
		if f.uses[name] {
			return true
		}
	}
	for name := range g.methodsOf {
		if f.declares[name] {
			return true
		}
	}
	return false
}

func readTestFile(path string) (*testFile, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return nil, err
	}
	f := &testFile{parsed.Name.Name, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	for _, d := range parsed.Decls {
		f.declare(d)
	}
	for _, name := range parsed.Unresolved {
		f.uses[name.Name] = true
	}
	return f, nil
}

func (f *testFile) declare(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv == nil {
			f.declares[d.Name.Name] = true
			return
		}
		ast.Inspect(d.Recv.List[0].Type, func(n ast.Node) bool {
			if name, ok := n.(*ast.Ident); ok {
				f.methodsOf[name.Name] = true
			}
			return true
		})
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.TypeSpec:
				f.declares[s.Name.Name] = true
			case *ast.ValueSpec:
				for _, name := range s.Names {
					f.declares[name.Name] = true
				}
			}
		}
	}
}
