// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin of QEMU's translator: counts what runs between two marks, on each
 * processor by itself.
 *
 * The marks are "xchg %rbx, %rbx" and "xchg %rcx, %rcx", which do nothing else.
 * For each stretch between them a line "segment INSTRUCTIONS LOCKED" goes to the
 * file out=, followed by a line "ADDRESS INSTRUCTIONS LOCKED" for each block of
 * code that ran.  Locked is an instruction with a lock prefix, or an exchange
 * with memory, which needs none.  A block that was left in the middle, by an
 * interrupt or a fault, counts as a whole.
 *
 * Each virtual CPU has counters of its own, so that they may run in threads.
 * Where these do, instructions that wait for another CPU are counted as well.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "qemu_plugin.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int qemu_plugin_version = 1;

#define MAX_CPUS	4

struct block {
	uint64_t	address;
	unsigned int	instructions;
	unsigned int	locked;
	struct {
		struct block	*next;	/* of those that ran */
		uint64_t	runs;
	} on[MAX_CPUS];
};

static struct cpu {
	struct block	*ran;
	bool		counting;
} cpus[MAX_CPUS];

static pthread_mutex_t out_lock = PTHREAD_MUTEX_INITIALIZER;
static FILE *out;

static void begin(unsigned int cpu, void *data)
{
	cpus[cpu].counting = true;
}

static void end(unsigned int cpu, void *data)
{
	uint64_t instructions = 0, locked = 0;
	struct block *b;

	cpus[cpu].counting = false;
	for (b = cpus[cpu].ran; b; b = b->on[cpu].next) {
		instructions += b->on[cpu].runs * b->instructions;
		locked += b->on[cpu].runs * b->locked;
	}
	pthread_mutex_lock(&out_lock);
	fprintf(out, "segment %llu %llu\n", (unsigned long long)instructions,
		(unsigned long long)locked);
	for (b = cpus[cpu].ran; b; b = b->on[cpu].next) {
		fprintf(out, "%llx %llu %llu\n", (unsigned long long)b->address,
			(unsigned long long)(b->on[cpu].runs * b->instructions),
			(unsigned long long)(b->on[cpu].runs * b->locked));
		b->on[cpu].runs = 0;
	}
	pthread_mutex_unlock(&out_lock);
	cpus[cpu].ran = NULL;
}

static void run_block(unsigned int cpu, void *data)
{
	struct block *b = data;

	if (!cpus[cpu].counting)
		return;
	if (!b->on[cpu].runs++) {
		b->on[cpu].next = cpus[cpu].ran;
		cpus[cpu].ran = b;
	}
}

/* Prefixes before the opcode; 0xf0 is the lock. */
static bool is_locked(const uint8_t *code, size_t size)
{
	size_t i;

	for (i = 0; i + 1 < size; i++) {
		switch (code[i]) {
		case 0xf0:
			return true;
		case 0x26: case 0x2e: case 0x36: case 0x3e:
		case 0x64: case 0x65: case 0x66: case 0x67:
		case 0xf2: case 0xf3:
		case 0x40 ... 0x4f:
			continue;
		case 0x86: case 0x87:
			return code[i + 1] >> 6 != 3;
		default:
			return false;
		}
	}
	return false;
}

static void translate(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	static const uint8_t marks[2][3] = {
		{ 0x48, 0x87, 0xdb }, { 0x48, 0x87, 0xc9 },
	};
	struct block *b = calloc(1, sizeof(*b));
	struct qemu_plugin_insn *insn;
	const uint8_t *code;
	size_t i, size;

	b->address = qemu_plugin_tb_vaddr(tb);
	b->instructions = qemu_plugin_tb_n_insns(tb);
	for (i = 0; i < b->instructions; i++) {
		insn = qemu_plugin_tb_get_insn(tb, i);
		code = qemu_plugin_insn_data(insn);
		size = qemu_plugin_insn_size(insn);
		b->locked += is_locked(code, size);
		if (size == 3 && !memcmp(code, marks[0], 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, begin,
							       NO_REGS, NULL);
		if (size == 3 && !memcmp(code, marks[1], 3))
			qemu_plugin_register_vcpu_insn_exec_cb(insn, end,
							       NO_REGS, NULL);
	}
	qemu_plugin_register_vcpu_tb_exec_cb(tb, run_block, NO_REGS, b);
}

static void finish(qemu_plugin_id_t id, void *data)
{
	fclose(out);
}

EXPORT int qemu_plugin_install(qemu_plugin_id_t id,
			       const struct qemu_info *info, int argc,
			       char **argv)
{
	if (info->max_vcpus > MAX_CPUS)
		return -1;
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	if (!out)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translate);
	qemu_plugin_register_atexit_cb(id, finish, NULL);
	return 0;
}
