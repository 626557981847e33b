package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// source is a package's files, parsed and with their types.
type source struct {
	folder string // in the repository
	name   string
	set    *token.FileSet
	files  map[string]*ast.File // by their paths in the repository
	text   map[string][]byte
	info   types.Info
	exps   map[string]string // where the compiler left what other packages export
}

// listed is what the go command knows of a package.
type listed struct {
	ImportPath, Dir, Name, Export string
	GoFiles                       []string
	DepOnly                       bool
}

// loadSource reads the package of a folder.
func loadSource(root, folder string) (*source, error) {
	all, err := list(root, "./"+folder)
	if err != nil {
		return nil, err
	}
	s := &source{folder: folder, set: token.NewFileSet(), files: map[string]*ast.File{}, text: map[string][]byte{}, exps: map[string]string{}}
	for _, p := range all {
		if s.exps[p.ImportPath] = p.Export; p.DepOnly {
			continue
		}
		s.name = p.Name
		for _, name := range p.GoFiles {
			text, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				return nil, err
			}
			path := folder + "/" + name
			s.text[path] = text
			if s.files[path], err = parser.ParseFile(s.set, path, text, parser.SkipObjectResolution); err != nil {
				return nil, err
			}
		}
	}
	s.info = types.Info{Types: map[ast.Expr]types.TypeAndValue{}}
	return s, s.check(s.set, s.files, &s.info)
}

func list(root, pattern string) (all []listed, err error) {
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Name,Export,GoFiles,DepOnly", pattern)
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, exit.Stderr)
		}
		return nil, fmt.Errorf("go list %s: %w", pattern, err)
	}
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		switch err := d.Decode(&p); {
		case err == io.EOF:
			return all, nil
		case err != nil:
			return nil, err
		}
		all = append(all, p)
	}
}

// check checks the types of files that are the package's.
func (s *source) check(set *token.FileSet, files map[string]*ast.File, info *types.Info) error {
	var some []*ast.File
	for _, name := range s.names() {
		some = append(some, files[name])
	}
	if helpers := files[s.helpers()]; helpers != nil {
		some = append(some, helpers)
	}
	open := func(path string) (io.ReadCloser, error) { return os.Open(s.exps[path]) }
	c := types.Config{Importer: importer.ForCompiler(set, "gc", open)}
	_, err := c.Check(s.folder, set, some, info)
	return err
}

func (s *source) names() []string {
	var all []string
	for name := range s.text {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// helpers is the file that is added to a package with mutants.
func (s *source) helpers() string { return s.folder + "/mutants_helpers.go" }
