/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What we use of version 1 of the interface between QEMU and its plugins, as
 * Debian ships no header for it.
 */
#ifndef _BENCH_QEMU_PLUGIN_H
#define _BENCH_QEMU_PLUGIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*tb_trans_fn)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*exec_fn)(unsigned int cpu, void *data);
typedef void (*exit_fn)(qemu_plugin_id_t id, void *data);
enum flags { NO_REGS };

struct qemu_info {
	const char	*target_name;
	struct {
		int	min, cur;
	} version;
	bool		system_emulation;
	int		smp_vcpus, max_vcpus;	/* of a system */
};

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb,
						 size_t i);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_fn fn);
void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, exec_fn fn,
					  enum flags flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn,
					    exec_fn fn, enum flags flags,
					    void *data);
void qemu_plugin_register_atexit_cb(qemu_plugin_id_t id, exit_fn fn, void *data);

#endif /* _BENCH_QEMU_PLUGIN_H */
