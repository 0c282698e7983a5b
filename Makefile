# SPDX-License-Identifier: GPL-2.0-only
#
# Entry points only. What is built stands in Kbuild and drivers/iotarget/; how it is
# tested in tools/testing/iotarget/README.md.

.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
RUN := $(PYTHON) tools/testing/iotarget/run.py

# Which kernel the modules are built for: KDIR= or KVER=, else the running kernel if
# its headers are there, else the newest headers installed.
ifdef KVER
KDIR ?= $(firstword $(wildcard /lib/modules/$(KVER)/build /usr/src/linux-headers-$(KVER)))
ifeq ($(KDIR),)
$(error no headers of kernel $(KVER) are installed)
endif
endif
ifndef KDIR
KDIR := $(firstword $(wildcard /lib/modules/$(shell uname -r)/build/Makefile))
ifeq ($(KDIR),)
KDIR := $(lastword $(shell ls -d /usr/src/linux-headers-*/Makefile 2>/dev/null | \
		grep -v -- -common/ | sort -V))
endif
KDIR := $(patsubst %/Makefile,%,$(KDIR))
endif

ENV ?=
TESTS ?=
RUN_OPTIONS = $(if $(ENV),--env $(ENV)) $(if $(TESTS),--tests '$(TESTS)')
KBUILD = $(MAKE) -C $(KDIR) M=$(CURDIR)

.PHONY: help deps modules modules_install tools tools_install install clean demo test test-full kunit vm check test-mutants bench need-headers

help:
	@echo "make modules          build iotarget.ko for the running kernel (KVER= or KDIR= for another)"
	@echo "make modules_install  install it"
	@echo "make tools            build the command-line tool (needs libmnl-dev)"
	@echo "make tools_install    install it, with its manual page (PREFIX=, DESTDIR=)"
	@echo "make install          modules_install and tools_install"
	@echo "make demo             see it at work in a virtual machine, with a USB stick"
	@echo "make test             the tests; ENV=stock-6.12 or ENV=uml,... and TESTS=GLOB choose some"
	@echo "                      (TESTS=removal: the whole matrix of removals)"
	@echo "make test-full        the same, with more of what is done often (hours)"
	@echo "make kunit            unit tests in user-mode Linux with KASAN and lockdep (ENV=uml)"
	@echo "make vm               tests in a stock kernel in a virtual machine (ENV=stock-6.12)"
	@echo "make check            coding style, documentation, compiler and sparse warnings"
	@echo "make test-mutants     faults put into the code on purpose: the tests must find each"
	@echo "make bench            what it costs, in instructions; ENV=stock-6.1,stock-7 chooses kernels"
	@echo "make deps             install what all this needs (as root)"
	@echo "make clean            remove what was built (the cache stays)"
	@echo
	@echo "Headers in use: $(or $(KDIR),none found; see make deps)"

need-headers:
	@test -n "$(KDIR)" || { echo "No kernel headers found: run 'make deps' or give KDIR="; exit 1; }

modules: need-headers
	$(KBUILD) modules

modules_install: need-headers
	$(KBUILD) modules_install

tools:
	@mkdir -p build/tool
	$(MAKE) -C tools/iotarget OUTPUT=$(CURDIR)/build/tool

tools_install: tools
	$(MAKE) -C tools/iotarget OUTPUT=$(CURDIR)/build/tool install

install: modules_install tools_install

clean:
	@if [ -n "$(KDIR)" ] && [ -e "$(KDIR)/Makefile" ] && [ -e Kbuild ]; then \
		$(KBUILD) IOTARGET_TESTS=m clean; fi
	rm -rf build
	find tools -name __pycache__ -prune -exec rm -rf {} +

deps:
	@$(RUN) --provision

demo:
	@$(RUN) --provision --env stock-6.12
	@$(PYTHON) tools/testing/iotarget/vm/demo.py

test:
	@$(RUN) $(RUN_OPTIONS)

test-full:
	@$(RUN) --full $(RUN_OPTIONS)

kunit:
	@$(RUN) --env uml $(if $(TESTS),--tests '$(TESTS)')

vm:
	@$(RUN) --env stock-6.12 $(if $(TESTS),--tests '$(TESTS)')

check:
	@$(RUN) --env static

test-mutants:
	@$(PYTHON) tools/testing/iotarget/mutants/run.py

bench:
	@$(PYTHON) tools/testing/iotarget/bench/run.py $(if $(ENV),--env $(ENV))
