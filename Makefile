# make run: serve on :8080, page at /.   make test: all modules.   make race: with the race detector.
# make bench: benchmarks.   make fuzz: each fuzz target for FUZZTIME.   make lint: vet, staticcheck, gofmt.
# make turns: the engine's own time a message, an old commit against this tree.
# make curve: measure and chart compression, docs/deflate-curve.*, two minutes.
# make gen: regenerate assembly.   make autobahn: the quick set (SET=all for every case).   make ci: what CI runs.
SHELL   := bash -o pipefail
TIME    ?= 5m
FUZZTIME ?= 20s
SET     ?= quick

.PHONY: run test race bench turns curve fuzz lint gen autobahn ci
run:      ; go run ./cmd/gannet serve
test:     ; @.ci/modules | while read -r work m; do echo "go -C $$m test ./..."; GOWORK=$$work go -C $$m test -timeout $(TIME) ./... || exit 1; done
race:     ; go test -race -timeout $(TIME) ./... ./cmd/gannet/...
bench:    ; go test -run '^$$' -bench . -benchmem ./...
turns:    ; @bench/turns
curve:    ; GOWORK=off go -C bench/curve run .
fuzz:     ; @.ci/fuzz $(FUZZTIME)
lint:     ; @.ci/lint
gen:      ; go generate ./...
autobahn: ; @bench/interop/autobahn.sh $(SET)
ci:       ; @.ci/run
