# Every target that CI runs is here, so that what passes here passes there. `make` alone lists them.
SHELL := /bin/bash
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
LDFLAGS := -s -w -X main.version=$(VERSION)
GOFLAGS_BUILD := -trimpath -ldflags '$(LDFLAGS)'

.DEFAULT_GOAL := help
.PHONY: help build install install-weir install-valor-api packages run demo-rollback test race fuzz lint golden check-configs e2e acceptance screenshots bench load deps ci docker

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## bin/weir and bin/valor-api, static
	@mkdir -p bin
	CGO_ENABLED=0 go build $(GOFLAGS_BUILD) -o bin/ ./cmd/weir ./cmd/valor-api

DESTDIR ?=
PREFIX ?= /usr
install: install-weir install-valor-api ## programs, units, log rotation, man pages and completions below DESTDIR (PREFIX is /usr); configurations that are there stay

install-weir: build
	install -D -m 755 bin/weir $(DESTDIR)$(PREFIX)/bin/weir
	install -D -m 644 configs/deploy/systemd/weir.service $(DESTDIR)$(PREFIX)/lib/systemd/system/weir.service
	install -D -m 644 configs/deploy/systemd/weir.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/weir.conf
	install -D -m 644 configs/deploy/systemd/weir.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/weir.conf
	install -D -m 644 configs/weir.toml $(DESTDIR)$(PREFIX)/share/doc/weir/weir.toml
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/weir/copyright
	test -e $(DESTDIR)/etc/weir/weir.toml || install -D -m 640 configs/minimal.toml $(DESTDIR)/etc/weir/weir.toml
	test -e $(DESTDIR)/etc/logrotate.d/weir || install -D -m 644 configs/deploy/logrotate/weir $(DESTDIR)/etc/logrotate.d/weir
	for d in filter.d jail.d; do test -e $(DESTDIR)/etc/fail2ban/$$d/weir.conf || install -D -m 644 configs/deploy/fail2ban/$$d/weir.conf $(DESTDIR)/etc/fail2ban/$$d/weir.conf; done
	bin/weir man --out $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	bin/weir completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/weir
	bin/weir completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions/_weir
	bin/weir completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/weir.fish

install-valor-api: build
	install -D -m 755 bin/valor-api $(DESTDIR)$(PREFIX)/bin/valor-api
	install -D -m 644 configs/deploy/systemd/valor-api@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/valor-api@.service
	install -D -m 644 configs/deploy/systemd/valor-api.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/valor-api.conf
	install -D -m 644 configs/deploy/systemd/valor-api.tmpfiles $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/valor-api.conf
	install -D -m 644 LICENSE $(DESTDIR)$(PREFIX)/share/doc/valor-api/copyright
	for c in blue green; do test -e $(DESTDIR)/etc/valor-api/$$c.env || install -D -m 600 configs/deploy/systemd/$$c.env $(DESTDIR)/etc/valor-api/$$c.env; done

packages: ## deb and rpm of both programs, for amd64 and arm64, into packages/ (writes the pages of arm64 through qemu; GitHub Actions)
	rm -rf dist/root packages && mkdir -p packages
	set -e; for arch in amd64 arm64; do \
	  GOARCH=$$arch $(MAKE) install-weir DESTDIR=$(CURDIR)/dist/root/weir; GOARCH=$$arch $(MAKE) install-valor-api DESTDIR=$(CURDIR)/dist/root/valor-api; \
	  for p in weir valor-api; do for kind in deb rpm; do \
	    ARCH=$$arch VERSION=$(VERSION) go run github.com/goreleaser/nfpm/v2/cmd/nfpm@v2.45.2 package -f configs/deploy/package/$$p.yaml -p $$kind -t packages/; done; done; done
	rm -rf dist

run: build ## build, then the edge in front of two colours of the bundled API, in the foreground
	@exec bin/weir demo

RUNS ?= 1
demo-rollback: build ## ship a bad version under 1,000 requests a second and see it taken back, then a good one; RUNS=20 for figures
	@go run ./cmd/weir/internal/rollback -runs $(RUNS)

test: ## everything that must pass, with Go alone
	go vet ./...
	go test -timeout 15m ./...
	cd cmd/weirbench && go vet ./... && go test -timeout 10m ./...
	cd configs/deploy/validate && go vet ./... && go test -timeout 10m ./...

race: ## the same under the race detector (needs a C compiler)
	go test -race -short -timeout 20m ./...

FUZZTIME ?= 10s
fuzz: ## every fuzz target for FUZZTIME (10s)
	@set -e; for pkg in $$(go list ./...); do \
	  dir=$$(go list -f '{{.Dir}}' $$pkg); \
	  for f in $$(grep -hoE '^func Fuzz[A-Za-z0-9]+' $$dir/*_test.go 2>/dev/null | sed 's/func //'); do \
	    echo "== $$pkg $$f"; go test $$pkg -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x; done; done

lint: ## gofmt, vet and staticcheck
	@out=$$(gofmt -l $$(git ls-files '*.go')); test -z "$$out" || { echo "gofmt: $$out"; exit 1; }
	go vet ./...
	go tool -modfile=.ci/tools/lint.mod staticcheck ./...
	cd cmd/weirbench && go tool -modfile=../../.ci/tools/lint.mod staticcheck ./...
	cd configs/deploy/validate && go tool -modfile=../../../.ci/tools/lint.mod staticcheck ./...

golden: ## rewrite the golden files from what the code does now; read the diff
	go test ./configs ./proxy/... ./app/... -update

check-configs: build ## the shipped configurations, through the shipped binary
	bin/weir check -c configs/minimal.toml
	bin/weir check -c configs/weir.toml

e2e: build ## scenarios against the shipped binary, small counts
	go test -count=1 -timeout 10m -run 'E2E' ./cmd/weir/...

acceptance: build ## the same with the full counts; writes docs/acceptance.md
	WEIR_ACCEPTANCE=1 go test -count=1 -timeout 60m -run 'E2E' ./cmd/weir/...

screenshots: ## the dashboard and the front end as Chromium shows them (make deps), into docs/img
	WEIR_SCREENSHOTS=$(CURDIR)/docs/img go test -count=1 -timeout 10m -run 'E2E(Dashboard|Web)$$' ./cmd/weir

bench: build ## side by side with nginx and HAProxy (make deps), writes docs/benchmarks.md; some only: BENCHFLAGS='-scenarios h2-get,handshake'
	cd cmd/weirbench && CGO_ENABLED=0 go build -trimpath -o ../../bin/weirbench .
	bin/weirbench compare -weir bin/weir -o docs/benchmarks.md $(BENCHFLAGS)

load: build ## steady, spike and overload against the demo; reports in load-report/
	cd cmd/weirbench && CGO_ENABLED=0 go build -trimpath -o ../../bin/weirbench .
	set -e; for p in steady spike overload; do bin/weirbench load -weir bin/weir -profile $$p -o load-report/$$p; done

MONITORS := prometheus prometheus-alertmanager prometheus-node-exporter prometheus-redis-exporter
deps: ## Debian packages that some tests and the bench use
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq nginx-light libnginx-mod-stream haproxy wrk nghttp2-client curl redis-server postgresql libnss3-tools jq shellcheck systemd >/dev/null
	command -v cc >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends gcc libc6-dev >/dev/null
	@# The tests run these themselves; the packages would start them, now and at every boot.
	command -v promtool >/dev/null && command -v amtool >/dev/null && command -v prometheus-node-exporter >/dev/null && command -v prometheus-redis-exporter >/dev/null || { \
	  had=$$(test -e /usr/sbin/policy-rc.d && echo yes); test -n "$$had" || { printf '#!/bin/sh\nexit 101\n' > /usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d; }; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $(MONITORS) >/dev/null; code=$$?; \
	  test -n "$$had" || rm -f /usr/sbin/policy-rc.d; systemctl disable $(MONITORS) >/dev/null 2>&1; exit $$code; }
	test -x /usr/sbin/logrotate || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends logrotate >/dev/null
	@# Only its fail2ban-regex is used; where it was not there before it is neither started nor left to start.
	command -v fail2ban-regex >/dev/null || { DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 apt-get install -y -qq --no-install-recommends fail2ban >/dev/null; code=$$?; systemctl disable fail2ban >/dev/null 2>&1; exit $$code; }
	command -v chromium google-chrome >/dev/null || DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null

docker: ## the images weir:VERSION and valor-api:VERSION (needs a Docker engine; without one TestE2EImage does the same steps)
	@command -v docker >/dev/null || { echo "docker: not found" >&2; exit 1; }
	set -e; for image in weir valor-api; do \
	  docker build --target $$image -t $$image:$(VERSION) --build-arg VERSION=$(VERSION) --build-arg REVISION=$$(git rev-parse HEAD) \
	    --build-arg CREATED=$$(date -u +%Y-%m-%dT%H:%M:%SZ) .; done

ci: ## what CI runs
	CI=true .ci/run
