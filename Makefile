# make run: serve on :8080, page at /.   make test: all modules.   make race: with the race detector.
# make bench: benchmarks.   make fuzz: each fuzz target for FUZZTIME.   make lint: vet, staticcheck, gofmt.
# make curve: measure and chart compression, docs/deflate-curve.*, two minutes.
# make gen: regenerate assembly.   make autobahn: the quick set (SET=all for every case).   make ci: what CI runs.
MODULES  = $(patsubst %/go.mod,%,$(wildcard go.mod */go.mod */*/go.mod */*/*/go.mod))
TIME    ?= 5m
FUZZTIME ?= 20s
SET     ?= quick

.PHONY: run test race bench curve fuzz lint gen autobahn ci
run:      ; go run ./cmd/gannet serve
test:     ; @set -e; for m in $(patsubst go.mod,.,$(MODULES)); do echo "go -C $$m test ./..."; go -C $$m test -timeout $(TIME) ./...; done
race:     ; go test -race -timeout $(TIME) ./...
bench:    ; go test -run '^$$' -bench . -benchmem ./...
curve:    ; go -C bench/curve run .
fuzz:     ; @.ci/fuzz $(FUZZTIME)
lint:     ; @.ci/lint
gen:      ; go generate ./...
autobahn: ; @bench/interop/autobahn.sh $(SET)
ci:       ; @.ci/run
