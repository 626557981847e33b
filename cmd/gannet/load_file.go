package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/goccy/go-yaml"
)

// read reads a scenario file, YAML or JSON, which is YAML, too. Keys that are none of a scenario's are refused, with the line.
func (s *scenario) read(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("--scenario-file: %w", err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text), yaml.Strict())
	if err := d.Decode(s); err != nil {
		if errors.Is(err, io.EOF) {
			err = errors.New("it says nothing")
		}
		return fmt.Errorf("--scenario-file %s: %s", path, strings.TrimRight(yaml.FormatError(err, false, true), "\n"))
	}
	if err := d.Decode(new(scenario)); !errors.Is(err, io.EOF) {
		return fmt.Errorf("--scenario-file %s: it holds more than one document", path)
	}
	return nil
}

// write writes a scenario file.
func (s *scenario) write(w io.Writer) error {
	text, err := yaml.Marshal(s)
	if err != nil {
		return err
	}
	_, err = w.Write(text)
	return err
}
