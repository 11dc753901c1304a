# Every target is a line or two; `make help` lists them. Tools are pinned in internal/tools/go.mod.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
COMMIT  := $(shell git rev-parse HEAD 2>/dev/null)
LDFLAGS := -s -w -X github.com/nantian-gw/nantian/internal/build.Version=$(VERSION) -X github.com/nantian-gw/nantian/internal/build.commit=$(COMMIT)
GO      ?= go
TOOLS   := $(CURDIR)/bin/tools
FUZZTIME ?= 5s
# What makes network namespaces needs root. Root's caches are its own.
ROOT    := $(shell [ "$$(id -u)" = 0 ] || echo sudo env "PATH=$$PATH" GOFLAGS=-buildvcs=false)

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# The tag leaves out gRPC's trace pages. Their templates would keep the linker from dropping any exported method: a quarter of the program.
.PHONY: build
build: ## build bin/nantian
	CGO_ENABLED=0 $(GO) build -tags grpcnotrace -trimpath -ldflags '$(LDFLAGS)' -o bin/nantian ./cmd/nantian

.PHONY: run
run: build ## start the gateway with the quickstart and a simulated model provider
	bin/nantian run -f examples/quickstart --simulate 127.0.0.1:9100

.PHONY: deps
deps: ## install what the tests need beyond Go: Python with venv, Node with npm (Debian, Ubuntu); build etcd and kube-apiserver
	@scripts/deps

.PHONY: test
test: deps vet test-go race test-redis test-tokens test-sdk test-e2e test-nginx test-features test-cluster conformance fuzz bench-quick check-generate ## all tests; installs what they need

.PHONY: test-go
test-go: ## the tests that need nothing but Go
	$(GO) test -timeout 10m ./...

.PHONY: vet
vet: ## formatting and go vet
	@bad=$$(gofmt -l $$(git ls-files '*.go')); [ -z "$$bad" ] || { echo "not formatted: $$bad"; exit 1; }
	$(GO) vet ./...

.PHONY: race
race: ## the tests of the data path with the race detector
	$(GO) test -race -timeout 15m ./gateway/... ./ai/... ./tokenizer ./ratelimit/... ./promptguard/... ./controlplane/... ./internal/xdstest ./internal/simulator/...

.PHONY: test-sdk
test-sdk: build ## the vendors' official SDKs as clients
	cd test/sdk && NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 15m ./...

.PHONY: test-e2e
test-e2e: build ## the program as a user meets it, over sockets
	cd test/e2e && NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 15m ./...

.PHONY: test-nginx
test-nginx: build ## redirects, rewrites and header fields beside nginx
	cd test/e2e && NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 5m -tags nginx -run BesideNginx .

.PHONY: test-features
test-features: build ## the Gateway API's conformance suite, without a cluster (Linux)
	cd test/features && NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 15m ./...

.PHONY: test-cluster
test-cluster: build ## both planes in a real cluster: an API server, etcd, and pods as local processes (Linux, root)
	cd test/cluster && $(GO) vet ./... && $(ROOT) NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -p 1 -timeout 30m ./...
	cd test/cluster && $(ROOT) GATEWAY_API=experimental NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 15m -run 'TestEdits|TestStaticAddress' ./e2e

.PHONY: figures
figures: build ## what an edit costs with 10,000 routes over 100 Gateways in a cluster; takes four minutes (Linux, root)
	cd test/cluster && $(ROOT) NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 20m -tags figures -run TestFigures -v ./e2e
	$(GO) test -run '^$$' -bench 'Edit|Subscribers' -benchtime 100x ./controlplane ./internal/xdstest

.PHONY: conformance
conformance: build ## the Gateway API's conformance suite in a real cluster, and its report compared with docs/conformance (Linux, root)
	cd test/conformance && $(GO) vet ./... && $(ROOT) NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 40m .

.PHONY: conformance-core
conformance-core: build ## of that the tests of what every gateway has to do
	cd test/conformance && $(ROOT) NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 20m . -core

.PHONY: conformance-update
conformance-update: build ## of that all, and write docs/conformance
	cd test/conformance && $(ROOT) NANTIAN=$(CURDIR)/bin/nantian $(GO) test -count=1 -timeout 40m . -update

.PHONY: cluster
cluster: build ## run a Kubernetes cluster until Ctrl-C and print its KUBECONFIG; "nantian" is the image of bin/nantian (Linux, root)
	cd test/cluster && $(GO) run ./cmd/cluster up -image nantian=$(CURDIR)/bin/nantian -apply $(CURDIR)/crds $(CLUSTER)

.PHONY: test-redis
test-redis: ## the rate limiter against real redis-servers
	$(GO) test -count=1 -timeout 10m -tags redis ./ratelimit/...

.PHONY: test-tokens
test-tokens: ## a million texts in each encoding against npm's tiktoken
	cd test/tokens && $(GO) test -count=1 -timeout 15m .

.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	@scripts/fuzz $(FUZZTIME)

.PHONY: bench
bench: build ## the gateway against a bare fasthttp proxy, in one run
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian

.PHONY: bench-peers
bench-peers: build ## bench with nginx, HAProxy and whatever else benchmarks/peers describes and is installed
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian -peers .

.PHONY: bench-many
bench-many: build ## 9,000 open streams by HTTP/1.1, then 20,000 of gRPC, through the gateway and a bare proxy (four minutes, 20,000 descriptors)
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian -many

.PHONY: bench-config
bench-config: build ## how soon traffic shows the edit of one of 10,000 routes in a folder
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian -config

.PHONY: bench-page
bench-page: build ## bench, and write docs/benchmarks: a table and plots (a quarter of an hour; nothing else should run)
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian -peers . -page $(CURDIR)/docs/benchmarks

.PHONY: soak
SOAK ?= 10m
soak: build ## ten minutes of chats and streams with all stages on: no request fails, memory stays
	cd benchmarks && $(GO) run . -gateway $(CURDIR)/bin/nantian -soak $(SOAK)

.PHONY: bench-cmp
bench-cmp: ## the benchmarks of hot functions here and at BASE (default: where the branch left main), by benchstat
	@scripts/bench-cmp $(BASE)

.PHONY: bench-quick
bench-quick: build ## one short round of bench, to see that it works
	cd benchmarks && $(GO) test ./... && $(GO) run . -quick -gateway $(CURDIR)/bin/nantian

.PHONY: bench-go
bench-go: ## the benchmarks beside the code
	$(GO) test -run '^$$' -bench . -benchmem ./gateway/... ./ai/... ./tokenizer/... ./ratelimit/... ./promptguard/... ./controlplane/...

.PHONY: tools
tools:
	cd internal/tools && GOBIN=$(TOOLS) $(GO) install tool
	cd internal/tools/helm && GOBIN=$(TOOLS) $(GO) install tool

.PHONY: generate
generate: tools ## write what is generated: protobuf, CRDs, deepcopy, manifest, golden files of the docs
	cd api && PATH=$(TOOLS):$$PATH buf generate
	PATH=$(TOOLS):$$PATH $(GO) generate ./crds/...
	scripts/manifest
	$(GO) test ./ai/vendors ./internal/docs -update

.PHONY: check-generate
check-generate: generate ## fail if something generated is not current
	@git diff --exit-code -- api crds docs deploy || { echo 'generated files are not current: run make generate'; exit 1; }

.PHONY: guard-report
guard-report: ## precision and recall of the prompt guard's detectors, kept in docs/reference
	$(GO) test -count=1 ./promptguard -run 'TestReport|TestCleanPrompts' -v -update | grep -E 'precision|prompts blocked|^(ok|FAIL)'

.PHONY: golden
golden: ## rewrite golden files; look at the diff before you commit it
	$(GO) test ./ai/... ./controlplane/translate ./internal/simulator -update
