# Every target installs what it needs (Debian packages only when something is missing) and works in a fresh clone.
.DEFAULT_GOAL := help
.PHONY: help build test demo demo-stop bench bench-micro format publish clean

help: ## Print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build everything in Release (warnings are errors)
	@scripts/install sdk
	@dotnet build Tunnel.sln -c Release -v q --tl:off

test: ## Build, check the formatting and run every test; the last line is the count
	@scripts/test

demo: ## Reach a PostgreSQL without any TCP port through the tunnel (KEEP=1 leaves it running)
	@KEEP='$(KEEP)' scripts/demo

demo-stop: ## Stop what `make demo KEEP=1` left running and delete its data
	@scripts/demo stop

bench: ## Compare tunnel and pooler with their peers side by side (QUICK=1: under 5 minutes; JSON=FILE)
	@QUICK='$(QUICK)' JSON='$(JSON)' scripts/bench

bench-micro: ## Time and allocations of the inner pieces, each on its own (3 minutes)
	@scripts/bench --micro

format: ## Format the code and apply the code style
	@scripts/install sdk
	@dotnet format Tunnel.sln

publish: ## Make self-contained programs for this machine in artifacts/publish
	@scripts/publish

clean: ## Delete everything that was built, and the demo's data
	@scripts/demo stop --quiet
	@rm -rf artifacts TestResults .demo
	@find src tests bench -type d \( -name bin -o -name obj \) -prune -exec rm -rf {} +
