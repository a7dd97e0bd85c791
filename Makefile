# Constellation. `make` lists what there is.

GO       ?= go
RELEASE  := $(shell sed -n 's/^const Version = "\(.*\)"/\1/p' internal/constellation/version.go)
# A build between two releases says of which commit it is.
VERSION  ?= $(RELEASE)$(shell git describe --exact-match --tags --match 'v$(RELEASE)' --dirty=+ 2>/dev/null | grep -qx 'v$(RELEASE)' || \
              git describe --always --exclude '*' --dirty=.dirty 2>/dev/null | sed 's/^/+/')
COMMIT   ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
# One way of compiling for every program and test: what one of them has
# compiled, no other compiles again.
export GOFLAGS := -trimpath $(filter-out -trimpath,$(GOFLAGS))
# grpcnotrace leaves golang.org/x/net/trace out, whose pages call methods by name:
# with those in a program, the linker can leave no method out.
PROGRAM   = CGO_ENABLED=0 $(GO) build -tags grpcnotrace -gcflags=all=-dwarf=false
LDFLAGS   = -s -w -X main.version=$(VERSION) -X main.commit=$(COMMIT)
CLUSTER_PACKAGES = containerd runc containernetworking-plugins iptables conntrack etcd-server iproute2 nginx
NODE_PACKAGES    = $(shell command -v npm >/dev/null || echo nodejs npm)
BROWSER_PACKAGES = postgresql ca-certificates chromium fonts-dejavu-core
TEST_PACKAGES    = $(BROWSER_PACKAGES) $(NODE_PACKAGES) pgbouncer skopeo mmdebstrap systemd gcc libc6-dev $(CLUSTER_PACKAGES)

.DEFAULT_GOAL := help
.PHONY: help demo demo-down run dev check build generate test ways e2e browser screenshots conformance crash import-large replicas rollout faults fuzz soak durability weights lint bench cluster-up cluster-down

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: ## From nothing to an algorithm answering from a real cluster; stays up until Ctrl-C
	@deploy/packages.sh postgresql ca-certificates
	@[ -n "$$KUBECONFIG" ] || deploy/packages.sh $(CLUSTER_PACKAGES)
	@$(MAKE) --no-print-directory bin/demo $(if $(KUBECONFIG),,components)
	@exec bin/demo up

demo-down: ## Remove all that a demo left behind, also one that was killed
	@$(MAKE) --no-print-directory bin/demo bin/devcluster
	@exec bin/demo down

run: build ## Run the mothership alone, on http://127.0.0.1:8080
	@deploy/packages.sh postgresql ca-certificates
	@exec bin/mothership serve --listen 127.0.0.1:8080

dev: ## Work on it: http://127.0.0.1:8080 follows what is saved; ADDRESS for another
	@deploy/packages.sh postgresql ca-certificates
	@mkdir -p bin
	@$(PROGRAM) -o bin/dev ./deploy/dev
	@exec bin/dev $(ADDRESS)

check: ## Vet, lint, import law, unit and PostgreSQL tests of what changed since SINCE (main)
	@deploy/packages.sh postgresql ca-certificates
	@deploy/check.sh $(SINCE)

build: ## Build bin/mothership and its link bin/algo-install
	@mkdir -p bin
	@echo "==> building bin/mothership $(VERSION) (a first build takes a few minutes)" >&2
	@deploy/progress.sh "building bin/mothership" env $(PROGRAM) -ldflags "$(LDFLAGS)" -o bin/mothership ./cmd/mothership
	@ln -sf mothership bin/algo-install

.PHONY: bin/devcluster bin/demo bin/helm components
bin/devcluster:
	@mkdir -p bin
	@cd deploy/devcluster && ../progress.sh "building bin/devcluster" env $(PROGRAM) -o ../../bin/devcluster .

# Helm itself, for tests of the chart; it is in no program of ours.
bin/helm:
	@mkdir -p bin
	@cd deploy/chart && ../progress.sh "building bin/helm" $(GO) build -o ../../bin/helm helm.sh/helm/v4/cmd/helm

bin/demo: build # after it, since both compile the same packages
	@$(PROGRAM) -o bin/demo ./deploy/demo

# Kubernetes itself, compiled once a machine. After the other programs, not
# beside them: two compilations at once would both compile what they share.
components: bin/devcluster
	@[ "$$(id -u)" != 0 ] || bin/devcluster build

generate: ## Generate code: the templ pages
	@$(GO) tool templ generate -path web

test: ## Run all tests; installs what they need
	@deploy/packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory build components bin/helm
	@[ "$$(id -u)" != 0 ] || bin/devcluster build --apiserver 1.32.2
	@deploy/test.sh

ways: build components ## Try the chart, the compose file and the systemd unit
	@deploy/packages.sh $(TEST_PACKAGES)
	@deploy/test.sh ways

e2e: ## Run the end-to-end test alone
	@deploy/packages.sh $(TEST_PACKAGES)
	@$(MAKE) --no-print-directory build components bin/helm
	@deploy/test.sh ./internal/e2e/...

browser: build ## Run the panel's tests in a real Chromium alone
	@deploy/packages.sh $(BROWSER_PACKAGES)
	@CONSTELLATION_BIN=$(CURDIR)/bin $(GO) test -count=1 ./internal/e2e/panel

screenshots: build ## Draw every page of the panel into bin/screenshots, and the README's picture
	@deploy/packages.sh $(BROWSER_PACKAGES)
	@rm -rf bin/screenshots
	@CONSTELLATION_BIN=$(CURDIR)/bin CONSTELLATION_SCREENSHOTS=$(CURDIR)/bin/screenshots CONSTELLATION_PICTURE=$(CURDIR)/web/docs/panel.png \
	  $(GO) test -count=1 -run 'TestEveryPage|TestReadmePicture' ./internal/e2e/panel
	@echo "bin/screenshots has $$(ls bin/screenshots | wc -l) pictures; web/docs/panel.png is new" >&2

conformance: ## Run the OCI distribution-spec suite against /v2
	@deploy/packages.sh postgresql ca-certificates
	@$(GO) test -count=1 -run TestConformance -v ./internal/registry

crash: build ## kill -9 of the server and of garbage collections a hundred times each, under writes and pushes
	@deploy/packages.sh postgresql ca-certificates
	@CONSTELLATION_CRASH_ROUNDS=100 $(GO) test -count=1 -timeout 60m -run 'Crash|SurvivesKills' -v ./cmd/mothership

replicas: build ## Three servers on one database and store, killed in turn under load for REPLICAS_FOR (10m)
	@deploy/packages.sh postgresql ca-certificates
	@CONSTELLATION_REPLICAS_FOR=$(or $(REPLICAS_FOR),10m) $(GO) test -count=1 -timeout 60m -run ReplicasAreKilled -v ./cmd/mothership

rollout: build components bin/helm ## Three servers on a real cluster by the chart, killed in turn under load for REPLICAS_FOR (10m), then rolled
	@deploy/packages.sh $(TEST_PACKAGES)
	@CONSTELLATION_BIN=$(CURDIR)/bin CONSTELLATION_REPLICAS_FOR=$(or $(REPLICAS_FOR),10m) $(GO) test -count=1 -timeout 60m -run TestMothershipOnCluster -v ./internal/e2e

faults: ## get, push and deploy at every fault and kill -9, and every operation without every table, for long; FAULT_ROUNDS says how long
	@CONSTELLATION_FAULT_ROUNDS=$(or $(FAULT_ROUNDS),5) $(GO) test -count=1 -timeout 60m -parallel 6 -run 'Fault|Killed|Fills|Flipped' ./internal/install
	@CONSTELLATION_FAULT_ROUNDS=1 $(GO) test -count=1 -timeout 60m -run 'FaultOfTheDatabase|LossOfTheDatabase' ./internal/api

soak: build components ## A satellite under load for SOAK (20m), a pod killed every 20 s, an update in the middle, then the API server away for AWAY (10m)
	@deploy/packages.sh $(TEST_PACKAGES)
	@CONSTELLATION_BIN=$(CURDIR)/bin CONSTELLATION_SOAK=$(or $(SOAK),20m) CONSTELLATION_SOAK_AWAY=$(or $(AWAY),10m) \
	  $(GO) test -count=1 -timeout 90m -run TestSoak -v ./internal/e2e

durability: build components ## What durable calls survive on real clusters, in an hour: kills, wiped and full disks, cut links, upgrades, a million that wait; ONLY=Full for one test
	@deploy/packages.sh $(TEST_PACKAGES)
	@CONSTELLATION_BIN=$(CURDIR)/bin $(GO) test -tags durability -count=1 -timeout 120m -run '^TestDurability$(if $(ONLY),$(ONLY)$$)' -v ./internal/e2e ./internal/satellite/queue ./internal/satellite/batch

weights: build components ## Move model weights of WEIGHTS_MB (1000) through bundle, registry and pods, and print what moved
	@deploy/packages.sh $(TEST_PACKAGES)
	@CONSTELLATION_BIN=$(CURDIR)/bin CONSTELLATION_WEIGHTS_MB=$(or $(WEIGHTS_MB),1000) $(GO) test -tags durability -count=1 -timeout 60m -run '^TestWeights$$' -v ./internal/e2e

fuzz: ## Run every fuzz target for FUZZ_TIME (60s), side by side
	@deploy/fuzz.sh

lint: ## Lint every module, and check that generated code and formatting are fresh
	@$(GO) build -modfile=deploy/tools/go.mod -o bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	@bin/golangci-lint run ./...
	@cd deploy/devcluster && ../../bin/golangci-lint run --config ../../.golangci.yml ./...
	@cd deploy/bench/fasthttp && ../../../bin/golangci-lint run --config ../../../.golangci.yml ./...
	@for module in chart compose; do (cd deploy/$$module && ../../bin/golangci-lint run --config ../../.golangci.yml ./...) || exit 1; done
	@cd internal/e2e/testdata/provider && ../../../../bin/golangci-lint run --config ../../../../.golangci.yml ./...
	@deploy/versions.sh
	@$(GO) mod tidy -diff
	@$(MAKE) --no-print-directory generate
	@git diff --exit-code --stat -- web || { echo "lint: generated code is stale: run 'make generate' and commit" >&2; exit 1; }

import-large: build ## Import an image of 1 GiB while its mothership is killed half way, then get and push its bundle without the source
	@CONSTELLATION_BIN=$(CURDIR)/bin CONSTELLATION_IMPORT_BYTES=1073741824 $(GO) test -count=1 -v -run TestImportKilledInTheMiddle -timeout 30m ./internal/e2e/transfer

bench: build ## Measure: start-up, heartbeats, lists with 100,000 satellites, get and push beside crane and skopeo, the engine beside nginx, and the Go benchmarks
	@deploy/packages.sh postgresql ca-certificates skopeo nginx wrk
	@$(GO) build -modfile=deploy/tools/go.mod -o bin/crane github.com/google/go-containerregistry/cmd/crane
	@$(PROGRAM) -o bin/bench ./deploy/bench
	@cd deploy/bench/fasthttp && $(PROGRAM) -o ../../../bin/benchfasthttp .
	@bin/bench
	@$(GO) test -run "^$$" -bench . ./internal/satellite/... ./internal/postgres/...

cluster-up: bin/devcluster ## Start the dev cluster and print its KUBECONFIG
	@deploy/packages.sh $(CLUSTER_PACKAGES)
	@bin/devcluster up

cluster-down: bin/devcluster ## Stop the dev cluster and remove all it made
	@bin/devcluster down
