/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The core's private header: its structures, and what its files call in each
 * other; devices.h has what concerns the devices below.  Arrows point one way:
 * target -> request -> gate -> state; backends plug in by struct
 * iotarget_backend_ops and call back through iotarget_request_done().
 *
 * Lock order, outermost first.  Ours are marked with a star; none of them is
 * held while a callback, a backend or the driver core is called, except where
 * it says so.
 *
 *   s_umount, bd_fsfreeze_mutex	of a file system above
 *   device locks, class mutex		removal hooks come with these held
 *   bd_holder_lock, cb_lock		requests of netlink come with cb_lock
 * * iotarget_stops_lock (mutex, stops.c)	held over the transitions of control and
 *					the callbacks of what a purge fails
 * * user_queries_lock (mutex, consent.c)	held over canceling them
 * * the registry's xarray lock		held for look-ups only
 *   disk->open_mutex			taken by opening and closing a device,
 *					and by the walk up to its parents
 * * iotarget_lowers_lock (mutex, lower.c)	held over nothing that waits, and no
 *					last reference of a device is dropped
 *					under it; removal hooks take it
 *   percpu_ref_switch_lock		kill, resurrect, is_zero; the confirm and
 *					release callbacks run under it, so they
 *					take no lock of ours
 * * gate->lock (irq-safe spinlock)	innermost but for those below; never
 *					call percpu_ref_kill, _resurrect or
 *					_is_zero with it held
 * * notes_lock (irq-safe, notify.c)	transitions are noted in their order
 *   workqueue pool locks, timer base locks, wait queue locks
 * * req->part_lock (irq-safe)		leaf
 *
 * Waiting for a target is ordered by a lockdep map of each target: a callback
 * runs with the map held for reading, and a wait takes it for writing.
 */
#ifndef _IOTARGET_INTERNAL_H
#define _IOTARGET_INTERNAL_H

#include <linux/atomic.h>
#include <linux/blk_types.h>
#include <linux/jiffies.h>
#include <linux/kref.h>
#include <linux/lockdep.h>
#include <linux/mempool.h>
#include <linux/mutex.h>
#include <linux/percpu-refcount.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/wait.h>
#include <linux/workqueue.h>

#include <linux/iotarget.h>

#include "hooks.h"
#include "state.h"

/* Waits for opens that name no time of their own. */
#define IOTARGET_OPEN_TIMEOUT_MS	30000
#define IOTARGET_LIMBO_BYTES		(4U << 20)

/* After the mark, a drain takes this many later arrivals before it lets go. */
#define IOTARGET_DRAIN_EXTRA		256

/* Slots of the in-flight counters; two bits in a unit name one. */
#define IOTARGET_NR_EPOCHS		4

/* Why a direct send can't pass although the reference may be live. */
#define IOTARGET_GATE_SHUT		BIT(0)
#define IOTARGET_GATE_DRAINING		BIT(1)

enum iotarget_unit_where {
	IOTARGET_AT_NONE,	/* with its sender, or on its way out */
	IOTARGET_AT_PENDED,	/* in the FIFO */
	IOTARGET_AT_HANDOFF,	/* past the state, waits for the worker */
	IOTARGET_AT_SENT,	/* with the backend */
};

/* Flags of a unit. */
#define IOTARGET_UNIT_IGNORE	BIT(0)	/* counted in inst->ignored */
#define IOTARGET_UNIT_PINNED	BIT(1)	/* holds the target and its owner */
#define IOTARGET_UNIT_ATOMIC	BIT(2)	/* only the worker may submit it */
#define IOTARGET_UNIT_NOWAIT	BIT(3)	/* refuse rather than hold */
#define IOTARGET_UNIT_LISTED	BIT(4)	/* in inst->sent or inst->asked */
#define IOTARGET_UNIT_BIO	BIT(5)	/* of an iotarget_bio, not a request */

/* Bits of a request. */
enum {
	IOTARGET_REQ_LATCH,		/* cancelled; cleared by reuse only */
	IOTARGET_REQ_TIMED_OUT,
	IOTARGET_REQ_TIMER,		/* the timer was armed by this send */
};

enum iotarget_req_state {
	IOTARGET_RS_IDLE,
	IOTARGET_RS_FORMATTED,
	IOTARGET_RS_OUT,
	IOTARGET_RS_DONE,
};

/* What failures as of a device that is gone mean; see suspect.c. */
enum iotarget_doubt {
	IOTARGET_IS_FINE,	/* there was none */
	IOTARGET_IN_DOUBT,	/* the buses are being asked */
	IOTARGET_IS_GONE,	/* what they say */
};

/*
 * Who guards a field:
 *   C: set at creation, constant afterwards
 *   L: gate->lock
 *   R: written under gate->lock, read under RCU
 *   F: read without a lock on the hot path, written under gate->lock
 *   A: atomic, or a mechanism with its own rules
 *   P: per CPU
 *   W: only the one work item that owns it
 *   I: iotarget_lowers_lock
 */

/**
 * struct iotarget_gate - the two gates of a target
 * @inst: the current open instance, or NULL                               (R)
 * @flags: IOTARGET_GATE_*: shut to direct sends, whatever the ref says    (F)
 * @lock: guards the state word and the FIFO
 * @word: the state: the truth that the reconciler makes real              (L)
 * @pended: the FIFO of held units; each has the bios behind it            (L)
 * @again: held bios that were sent before, to a device that was gone; before all else (L)
 * @bios: held bios that are before the first of @pended                   (L)
 * @nr_pended: units and bios that are held                                (L)
 * @held_bytes: what they transfer                                         (L)
 * @seq: the last number given to a pended unit or bio                     (L)
 * @mark: the drain must submit up to this number before it lets go        (L)
 * @left: how many of those there are                                      (L)
 * @extra: later arrivals that the drain may still take                    (L)
 * @starts: starts so far; a waiting stop that sees it move gives up       (L)
 * @opens: opens begun or abandoned; names the one that is under way       (L)
 * @changes: transitions so far but for the end of a drain                 (L)
 * @lost: the attached instance's device is gone, and waited for; or that is in doubt (L)
 * @doubt: what its failures mean                                          (F)
 * @decided: when the device is taken to be there after all, in jiffies    (L)
 * @suspects: clones that failed and are kept, by when they were sent      (L)
 * @nr_suspects: so many                                                   (L)
 * @no_swap: and for so long that what is swapped out does not wait for it (L)
 * @agreed: it may go, and nothing is sent to it; never with @lost         (L)
 * @insts: instances that are attached or not finished                     (L)
 * @nr_insts: instances and opens that are not finished                    (L)
 * @nr_failing: units taken off the FIFO whose callback has not returned   (L)
 * @waitq: everybody who waits for this gate
 * @key: lockdep class of @map, one for each target
 * @map: held for reading in callbacks, taken for writing by waits
 */
struct iotarget_gate {
	struct iotarget_inst __rcu *inst;
	unsigned int		flags;

	spinlock_t		lock ____cacheline_aligned_in_smp;
	enum iotarget_word	word;
	struct list_head	pended;
	struct bio_list		again;
	struct bio_list		bios;
	u64			nr_pended;
	u64			held_bytes;
	u64			seq;
	u64			mark;
	u64			left;
	unsigned int		extra;
	u64			starts;
	u64			opens;
	u64			changes;
	bool			lost;
	enum iotarget_doubt	doubt;
	unsigned long		decided;
	struct bio_list		suspects;
	unsigned int		nr_suspects;
	bool			no_swap;
	bool			agreed;
	struct list_head	insts;
	unsigned int		nr_insts;
	u64			nr_failing;
	wait_queue_head_t	waitq;
	struct lock_class_key	key;
	struct lockdep_map	map;
};

/**
 * struct iotarget_identity - what the device says of itself
 * @unique_id_type: as in struct iotarget_info
 * @unique_id_len: valid bytes of @unique_id
 * @unique_id: as the device reports it
 * @serial: NUL-terminated, empty when unknown
 */
struct iotarget_identity {
	u8			unique_id_type;
	u8			unique_id_len;
	u8			unique_id[16];
	char			serial[64];
};

struct iotarget_ask;
struct iotarget_keep;
struct iotarget_use;
struct platform_device;

/**
 * struct iotarget_removal - what a target is told of the removal of its device
 * @node: in the list of those that are told, from the opening on          (I)
 * @watch: the disk, referenced; NULL for one that is not watched          (I)
 * @disk: the disk; only compared, as it may be gone                       (I)
 * @part: the partition, or NULL; likewise                                 (I)
 * @devt: the number of the device                                         (I)
 * @access: IOTARGET_ACCESS_* of the opening                               (I)
 * @share: IOTARGET_SHARE_*                                                (I)
 * @by_file: it was opened by a file, and can't be opened again            (I)
 * @id: what it says of itself                                             (I)
 * @diskseq: which medium it had in all that the system has had            (I)
 * @inst: the number of the instance                                       (I)
 * @about: of the one that the callback is about that runs                 (I)
 * @level: the highest &enum iotarget_removal_level that it knows of       (I)
 * @opened: the open is through; until then nothing is told                (I)
 * @holding: the device is gone, and waited for                            (I)
 * @given_up: it was, for as long as the policy says                       (I)
 * @since: since when, in jiffies                                          (I)
 * @failed: &iotarget_gate.changes after control has failed to open it again: as
 *	long as it is that, it may try once more                           (I)
 * @seen: disks that had arrived when it went                              (I)
 * @refused: disks that were compared, and are others                      (W)
 * @nr_refused: so many so far                                             (W)
 * @looks: how often was looked whether the device is back                 (A)
 * @todo: what its owner has to be told                                    (I)
 * @ask: what it is asked                                                  (I)
 * @canceled: what it is told is canceled; NULL if it was itself too late  (I)
 * @runner: the worker, while it runs a callback                           (I)
 * @runs: callbacks so far                                                 (I)
 * @work: tells
 * @lost: fails what is held; never behind a callback
 * @back: looks whether a device that is waited for is back
 */
struct iotarget_removal {
	struct list_head	node;
	struct iotarget_watch	*watch;
	const struct gendisk	*disk;
	const struct block_device *part;
	dev_t			devt;
	u32			access;
	u32			share;
	bool			by_file;
	struct iotarget_identity id;
	u64			diskseq;
	u64			inst;
	u64			about;
	u8			level;
	bool			opened;
	bool			holding;
	bool			given_up;
	unsigned long		since;
	u64			failed;
	u64			seen;
	u64			refused[32];
	unsigned int		nr_refused;
	unsigned int		looks;
	unsigned long		todo;
	struct iotarget_ask	*ask;
	struct iotarget_ask	*canceled;
	struct task_struct	*runner;
	unsigned int		runs;
	struct work_struct	work;
	struct work_struct	lost;
	struct work_struct	back;
};

/**
 * struct iotarget - a target
 * @gate: its gates
 * @id: its number                                                         (C)
 * @name: its name                                                         (C)
 * @ops: the owner's callbacks, never NULL                                 (C)
 * @priv: the owner's                                                      (C)
 * @dev: the owner's device, or NULL                                       (C)
 * @refs: users, open instances, opens under way, pended units             (A)
 * @account: forwarded bios count in the statistics of their disk          (C)
 * @policy: what becomes of I/O when the device is gone; written under gate->lock
 *	and iotarget_lowers_lock, read under one of them, its flags also without
 * @limbo_max: bytes that timed synchronous calls may hold                 (C)
 * @bounce_bytes: bytes that they hold                                     (A)
 * @limbo: calls whose deadline passed while the device had their memory   (A)
 * @unknown: what came to an end of which nobody knows what it did         (A)
 * @replayed: what was sent once more to a device that is back             (A)
 * @saved: the parameters that a reopen uses                               (L)
 * @deleting: cleanup() was called                                         (A)
 * @release_work: the last put may come in interrupt context
 * @removal: what it is told when its device goes
 * @upper: the disk that stands on it, or NULL; only compared              (I)
 */
struct iotarget {
	struct iotarget_gate	gate;
	u64			id;
	char			name[IOTARGET_NAME_MAX + 1];
	const struct iotarget_ops *ops;
	void			*priv;
	struct device		*dev;
	struct kref		refs;
	bool			account;
	struct iotarget_policy	policy;
	u32			limbo_max;
	atomic_long_t		bounce_bytes;
	atomic_long_t		limbo;
	atomic_long_t		unknown;
	atomic_long_t		replayed;
	struct {
		u32		type;
		u32		access;
		u32		share;
		dev_t		devt;
		char		*path;
	} saved;
	bool			deleting;
	struct work_struct	release_work;
	struct iotarget_removal	removal;
	const struct gendisk	*upper;
};

/* Whether percpu_ref tryget_live can succeed; see iotarget_reconcile(). */
enum iotarget_ref_state {
	IOTARGET_REF_LIVE,
	IOTARGET_REF_KILLING,	/* killed, not confirmed on all CPUs */
	IOTARGET_REF_DEAD,
};

/* How far the removal of a device has come; it only rises. */
enum iotarget_removal_level {
	IOTARGET_REMOVAL_NONE,
	IOTARGET_REMOVAL_ORDERLY,	/* it goes, and still answers */
	IOTARGET_REMOVAL_SURPRISE,	/* it does not answer any more */
	IOTARGET_REMOVAL_COMPLETE,	/* it has left the system */
};

/**
 * struct iotarget_watch - a disk of the machine, and what it hangs on
 * @node: in the list of them, as long as the disk is in its class         (I)
 * @refs: the list's, uses, targets that are told
 * @disk: the disk; only compared once it is gone                          (C)
 * @diskseq: its sequence number                                           (C)
 * @arrival: its number among the disks that came while we were there      (C)
 * @name: its name                                                         (C)
 * @level: how far its removal has come                                    (I)
 * @armed: a consumer was made, or tried to be                             (I)
 * @agreed: its targets have agreed to its removal: nobody may open it     (I)
 * @agreed_part: or only to that of a partition; only compared             (I)
 * @consumer: the device that depends on @chain, or NULL                   (I)
 * @drop: unregisters it; it may be unbound by the removal that it tells of
 * @deadline: of who holds the removal up, in jiffies                      (I)
 * @noticing: targets that are not ready for it                            (I)
 * @nr: entries of @chain; none any more when the disk is gone             (I)
 * @chain: its ancestors, from the nearest on, referenced                  (I)
 */
struct iotarget_watch {
	struct list_head	node;
	struct kref		refs;
	struct gendisk		*disk;
	u64			diskseq;
	u64			arrival;
	char			name[32];
	enum iotarget_removal_level level;
	bool			armed;
	bool			agreed;
	const struct block_device *agreed_part;
	struct platform_device	*consumer;
	struct work_struct	drop;
	unsigned long		deadline;
	unsigned int		noticing;
	unsigned int		nr;
	struct device		*chain[];
};

struct iotarget_counts {
	long			out[IOTARGET_NR_EPOCHS];
};

/**
 * struct iotarget_inst - one opening of a device, from open to last completion
 * @ref: live exactly when both gates are open; counts what is in flight   (A)
 * @counts: what is in flight by the second in which it left               (P)
 * @epoch: the slot of @counts for what leaves now                         (F)
 * @ops: the backend                                                       (C)
 * @target: a reference                                                    (C)
 * @backend: the backend's own data                                        (C)
 * @bdev: the block device, if that's what it is                           (C)
 * @clones: for forwarded bios, with struct iotarget_forward before each   (C)
 * @use: of the block device, from its opening to its release              (C)
 * @watch: its disk, referenced, or NULL                                   (C)
 * @keep: to know the device again, with a policy that holds; or NULL      (C)
 * @ignored: sends past the target's state, and one until the close        (A)
 * @ref_state: what @ref is                           (L, and the confirmation)
 * @detached: the target has let go of it                                  (L)
 * @finished: nothing is in flight any more, @finish is queued             (W)
 * @cancel_sent: cancel whatever is sent, and what still reaches the list  (L)
 * @cancel_ignored: the same for sends past the state                      (L)
 * @draining: the drain has a unit off the FIFO and not yet submitted      (L)
 * @gone: the device is released                                           (L)
 * @node: in gate->insts from the attachment on                             (L)
 * @number: never given twice; a request remembers who checked it          (C)
 * @sent: units with a backend that can cancel, in the order of sending    (L)
 * @asked: those of them that the backend was asked to cancel              (L)
 * @handoff: sends past the state that the worker must submit              (L)
 * @began: when each slot of @counts became current, in ktime_get() ns     (A)
 * @wq: drains and submits; may block as long as the device does           (C)
 * @reconcile: makes @ref follow the state word
 * @drain: submits what is pended or handed off
 * @trusted: from then on, in jiffies, a failure may be one of a device that goes (L)
 * @suspect: has the buses asked whether the device is still there
 * @tick: moves @epoch on, about once a second
 * @finish: releases the device
 * @kref: the target's, those who wait, and each queued work
 * @free: after RCU readers and the percpu_ref's callbacks are through
 */
struct iotarget_inst {
	struct percpu_ref	ref;
	struct iotarget_counts __percpu *counts;
	unsigned int		epoch;
	const struct iotarget_backend_ops *ops;
	struct iotarget		*target;
	void			*backend;
	struct block_device	*bdev;
	struct bio_set		*clones;
	const struct iotarget_use *use;
	struct iotarget_watch	*watch;
	struct iotarget_keep	*keep;

	refcount_t		ignored ____cacheline_aligned_in_smp;
	enum iotarget_ref_state	ref_state;
	bool			detached;
	bool			finished;
	bool			cancel_sent;
	bool			cancel_ignored;
	bool			draining;
	bool			gone;
	struct list_head	node;
	u64			number;
	struct list_head	sent;
	struct list_head	asked;
	struct list_head	handoff;
	u64			began[IOTARGET_NR_EPOCHS];
	struct workqueue_struct	*wq;
	struct work_struct	reconcile;
	struct work_struct	drain;
	unsigned long		trusted;
	struct delayed_work	suspect;
	struct delayed_work	tick;
	struct work_struct	finish;
	struct kref		kref;
	struct rcu_work		free;
};

/**
 * struct iotarget_open - what a backend is asked to open
 * @type: %IOTARGET_OPEN_DEVT or %IOTARGET_OPEN_FILE, or the backend's own
 * @access: IOTARGET_ACCESS_*
 * @share: IOTARGET_SHARE_*
 * @devt: which device
 * @file: which file; the backend takes a reference of its own
 * @only: it has to say @id of itself
 * @id: that
 * @diskseq: and its disk to be in that place of the sequence; 0: in any
 * @nowait: do not wait for a disk whose gate is shut: it may be ours
 * @data: the backend's own
 */
struct iotarget_open {
	u32			type;
	u32			access;
	u32			share;
	dev_t			devt;
	struct file		*file;
	bool			only;
	struct iotarget_identity id;
	u64			diskseq;
	bool			nowait;
	void			*data;
};

/**
 * struct iotarget_backend_ops - a kind of device
 * @name: for logs
 * @open: open it and set inst->backend, and inst->bdev and inst->clones for a
 *	block device.  In the open worker; may block.
 * @release: undo @open.  Nothing is in flight.  In a worker; may block.
 * @check: may this request be sent here?  Any context.  -EINVAL, -ERANGE,
 *	-EOVERFLOW, -EACCES.
 * @submit: give a request to the device; ends in iotarget_request_done(),
 *	maybe before it returns.  May sleep as submit_bio() may.
 * @cancel: ask the device to give a request back, if it has it; must not
 *	sleep.  A backend that can't leaves it NULL.
 * @info: fill in what is known of the device.  Any context.
 * @differs: how another opening is of another device than one that was lost, or
 *	NULL if it is the same.  NULL: its devices never come back.  May sleep.
 */
struct iotarget_backend_ops {
	const char		*name;
	int  (*open)(struct iotarget_inst *inst, const struct iotarget_open *how);
	void (*release)(struct iotarget_inst *inst);
	int  (*check)(struct iotarget_inst *inst, struct iotarget_request *req);
	void (*submit)(struct iotarget_inst *inst, struct iotarget_request *req);
	void (*cancel)(struct iotarget_inst *inst, struct iotarget_request *req);
	void (*info)(struct iotarget_inst *inst, struct iotarget_info *info);
	const char *(*differs)(struct iotarget_inst *lost,
			       struct iotarget_inst *fresh);
};

/**
 * struct iotarget_change - what a transition did, for those who wait for it
 * @actions: IOTARGET_ACT_*
 * @inst: the instance it concerned, referenced, or NULL
 * @starts: gate->starts just after
 * @opens: gate->opens just after
 * @changes: gate->changes just after
 * @before: the state just before
 */
struct iotarget_change {
	u16			actions;
	struct iotarget_inst	*inst;
	u64			starts;
	u64			opens;
	u64			changes;
	enum iotarget_word	before;
};

/**
 * struct iotarget_by - a transition that is not made by the target's driver
 * @cookie: of the verb that it is for, if any
 * @unchanged: only if gate->changes is this number; 0 for whatever it is
 * @inst: only if the instance of this number is attached; 0 for any or none
 * @live: only if both gates are, or are about to be, open
 */
struct iotarget_by {
	u64			cookie;
	u64			unchanged;
	u64			inst;
	bool			live;
};

/**
 * struct iotarget_pass - what a bio that passed the gate has to give back
 * @inst: the instance
 * @epoch: the slot in which it was counted
 * @flags: IOTARGET_UNIT_*
 */
struct iotarget_pass {
	struct iotarget_inst	*inst;
	u8			epoch;
	u8			flags;
};

/* What was taken off the FIFO, or is suspect, to be failed, in order. */
struct iotarget_failing {
	struct bio_list		suspects;
	struct bio_list		bios;	/* before the first unit */
	struct list_head	units;
};

/* What became of a unit at the gate. */
enum iotarget_enter {
	IOTARGET_ENTERED,	/* unit->inst is set: submit it */
	IOTARGET_HELD,		/* pended or handed off: don't touch it again */
	IOTARGET_REFUSED,	/* an errno tells why */
};

/* gate.c */
void iotarget_gate_init(struct iotarget_gate *gate);
void iotarget_gate_exit(struct iotarget_gate *gate);
enum iotarget_enter iotarget_gate_enter(struct iotarget *target,
					struct iotarget_unit *unit, int *error);
enum iotarget_enter iotarget_gate_enter_bio(struct iotarget *target,
					    struct bio *bio,
					    struct iotarget_pass *pass,
					    int *error);
void iotarget_gate_leave(struct iotarget_inst *inst, unsigned int epoch,
			 unsigned int flags);
void iotarget_gate_put(struct iotarget_inst *inst);
void iotarget_gate_put_ignored(struct iotarget_inst *inst);
u64 iotarget_gate_bio_bytes(const struct bio *bio);
void iotarget_gate_pin(struct iotarget *target);
void iotarget_gate_unpin(struct iotarget *target);
bool iotarget_gate_unpend(struct iotarget *target, struct iotarget_unit *unit);
void iotarget_gate_failing(struct iotarget *target, struct iotarget_unit *unit);
void iotarget_gate_failed(struct iotarget *target);
void iotarget_gate_drained(struct iotarget_gate *gate);
bool iotarget_gate_sent(struct iotarget_inst *inst, struct iotarget_unit *unit);
void iotarget_gate_unsent(struct iotarget_inst *inst,
			  struct iotarget_unit *unit);
int iotarget_gate_event(struct iotarget *target, enum iotarget_event event,
			struct iotarget_inst *fresh, u64 opens,
			struct iotarget_change *change);
int iotarget_control_event(struct iotarget *target, enum iotarget_event event,
			   const struct iotarget_by *by,
			   struct iotarget_change *change);
void iotarget_gate_given_up(struct iotarget_gate *gate);
bool iotarget_gate_lost(struct iotarget *target, u64 inst);
void iotarget_gate_no_swap(struct iotarget *target);
int iotarget_gate_returned(struct iotarget *target, struct iotarget_inst *fresh,
			   u64 lost);
int iotarget_gate_agreed(struct iotarget *target, u64 inst, bool agreed);
u64 iotarget_gate_changes(struct iotarget_gate *gate);
int iotarget_gate_wait(struct iotarget *target, struct iotarget_change *change,
		       unsigned int timeout_ms,
		       struct iotarget_wait_report *report);
int iotarget_gate_wait_drained(struct iotarget *target, unsigned int timeout_ms,
			       struct iotarget_wait_report *report);
void iotarget_change_put(struct iotarget_change *change);
void iotarget_gate_report(struct iotarget *target, struct iotarget_inst *inst,
			  struct iotarget_wait_report *report);
void iotarget_reconcile(struct work_struct *work);
void iotarget_drain(struct work_struct *work);
void iotarget_ref_released(struct percpu_ref *ref);
bool iotarget_inst_quiet(struct iotarget_inst *inst);

/* inst.c */
struct iotarget_inst *iotarget_inst_alloc(struct iotarget *target,
					  const struct iotarget_backend_ops *ops);
void iotarget_inst_discard(struct iotarget_inst *inst);
void iotarget_inst_put(struct iotarget_inst *inst);
bool iotarget_inst_kick(struct iotarget_inst *inst,
			struct workqueue_struct *wq, struct work_struct *work);
struct iotarget_inst *iotarget_inst_current(struct iotarget *target);
struct iotarget_inst *iotarget_inst_hold(struct iotarget *target);
void iotarget_inst_unhold(struct iotarget_inst *inst);
void iotarget_inst_suspect(struct iotarget_inst *inst);
u64 iotarget_inst_sent(struct iotarget_inst *inst, u64 *oldest_ms);
u64 iotarget_inst_ignored(struct iotarget_inst *inst);
void iotarget_inst_began(struct iotarget *target);
void iotarget_inst_finished(struct iotarget *target,
			    struct iotarget_inst *inst);
u64 iotarget_insts_closing(struct iotarget *target);
u64 iotarget_insts_sent(struct iotarget *target, u64 *oldest_ms);

/* request.c */
void iotarget_request_done(struct iotarget_request *req, int status,
			   enum iotarget_outcome outcome, size_t bytes);
void iotarget_request_submit(struct iotarget_unit *unit);
void iotarget_request_fail(struct iotarget *target, struct iotarget_unit *unit);
bool iotarget_unit_cancelled(const struct iotarget_unit *unit);
void iotarget_request_expire(struct iotarget_request *req);
bool iotarget_request_expire_timer(struct iotarget_request *req);
bool iotarget_unit_claim(struct iotarget_unit *unit);
void iotarget_unit_cancel_sent(struct iotarget_inst *inst,
			       struct iotarget_unit *unit);
void iotarget_request_settle(struct iotarget_request *req);
void iotarget_request_timeout(struct timer_list *timer);

/* bio.c */

/**
 * struct iotarget_forward - a clone of a forwarded bio, on its way
 * @pass: of the gate
 * @counted: in the statistics of the upper disk
 * @start: when, for them
 * @sent: when it was sent, in ktime_get() ns; with a policy that holds
 * @covers: likewise, see iotarget_keep_sent()
 * @upper: the bio that was forwarded
 * @clone: the one that is sent
 */
struct iotarget_forward {
	struct iotarget_pass	pass;
	bool			counted;
	unsigned long		start;
	u64			sent;
	u64			covers;
	struct bio		*upper;
	struct bio		clone;
};

void iotarget_bio_submit(struct iotarget_unit *unit);
void iotarget_bio_fail(struct iotarget *target, struct iotarget_unit *unit);
void iotarget_forward_drained(struct iotarget_pass *pass, struct bio *bio,
			      bool again);
void iotarget_forward_fail(struct iotarget *target, struct bio *bio);
void iotarget_forward_unknown(struct iotarget *target, struct bio *bio);

/* suspect.c */
bool iotarget_suspect_keep(struct iotarget_forward *fwd);
void iotarget_suspect_take(struct iotarget_gate *gate, struct bio_list *failing);
void iotarget_suspect_requeue(struct iotarget_gate *gate,
			      struct bio_list *failing);
void iotarget_suspect_take_swap(struct iotarget_gate *gate,
				struct bio_list *failing);
void iotarget_suspect_take_again(struct iotarget_gate *gate,
				 struct bio_list *failing);
void iotarget_suspect_fail(struct iotarget *target, struct bio_list *failing);
void iotarget_suspect_begin(struct iotarget_inst *inst);
unsigned long iotarget_suspect_decide(struct iotarget_inst *inst);
void iotarget_suspect_settle(struct iotarget *target);

/* reqmem.c */
void iotarget_request_release(struct iotarget_request *req);
int iotarget_requests_init(void);
void iotarget_requests_exit(void);
struct iotarget_request *iotarget_request_reserve(bool wait);

/* open.c */
int iotarget_open_attach(struct iotarget *target, struct iotarget_inst *inst,
			 u64 opens, u64 lost);
int iotarget_open_backend(struct iotarget *target,
			  const struct iotarget_backend_ops *ops,
			  const struct iotarget_open *how,
			  const struct iotarget_by *by,
			  unsigned int timeout_ms);
int iotarget_may_wait(struct iotarget *target, unsigned int timeout_ms);

/* sync.c */
int iotarget_flush_past(struct iotarget *target, unsigned int timeout_ms);
int iotarget_read_past(struct iotarget *target, void *data, size_t len, u64 pos,
		       unsigned int timeout_ms);

/* block.c */
enum iotarget_outcome iotarget_block_outcome(struct iotarget_inst *inst,
					     blk_status_t status);
extern const struct iotarget_backend_ops iotarget_block_ops;

/* registry.c */
int iotarget_registry_add(struct iotarget *target);
void iotarget_registry_remove(struct iotarget *target);
bool iotarget_pin_loaded(struct iotarget *target);

/* stops.c, control.c, notify.c: what the core calls in them */
#if IS_ENABLED(CONFIG_NET)
void iotarget_note_created(struct iotarget *target);
void iotarget_note_transition(struct iotarget *target,
			      enum iotarget_event event,
			      enum iotarget_word before,
			      const struct iotarget_by *by);
void iotarget_note_removal(struct iotarget *target, u8 kind,
			   const struct iotarget_query *query, u64 cookie);
void iotarget_note_away(struct iotarget *target, u8 kind, const char *disk,
			u8 why);
void iotarget_control_overridden(void);
int iotarget_control_init(void);
void iotarget_control_exit(void);
#else
static inline void iotarget_note_created(struct iotarget *target) { }

static inline void iotarget_note_transition(struct iotarget *target,
					    enum iotarget_event event,
					    enum iotarget_word before,
					    const struct iotarget_by *by)
{
}

static inline void iotarget_note_removal(struct iotarget *target, u8 kind,
					 const struct iotarget_query *query,
					 u64 cookie)
{
}

static inline void iotarget_note_away(struct iotarget *target, u8 kind,
				      const char *disk, u8 why)
{
}

static inline int iotarget_control_init(void)
{
	return 0;
}

static inline void iotarget_control_exit(void) { }
#endif

/* main.c */
extern struct workqueue_struct *iotarget_fast_wq;	/* never blocks long */
extern struct workqueue_struct *iotarget_slow_wq;	/* opens and releases */

/* At least so many milliseconds: the current jiffy has begun already. */
static inline unsigned long iotarget_jiffies(unsigned int ms)
{
	return ms ? msecs_to_jiffies(ms) + 1 : 0;
}

/* What wait_event_killable_timeout() and the like are given, and what came of it. */
static inline long iotarget_wait_jiffies(unsigned int timeout_ms)
{
	return timeout_ms == IOTARGET_WAIT_FOREVER ?
		MAX_SCHEDULE_TIMEOUT : iotarget_jiffies(timeout_ms);
}

static inline unsigned int iotarget_ms_until(unsigned long deadline)
{
	const long left = deadline - jiffies;

	return left > 0 ? jiffies_to_msecs(left) : 0;
}

static inline int iotarget_wait_result(long left)
{
	return left > 0 ? 0 : left ? -EINTR : -ETIMEDOUT;
}

#define iotarget_warn(target, fmt, ...) \
	pr_warn_ratelimited("iotarget: %s: " fmt, (target)->name, ##__VA_ARGS__)

/* What is held, with what is suspect and waits with it. */
static inline u64 iotarget_gate_held(const struct iotarget_gate *gate)
{
	return READ_ONCE(gate->nr_pended) + READ_ONCE(gate->nr_suspects);
}

static inline struct iotarget *gate_to_target(struct iotarget_gate *gate)
{
	return container_of(gate, struct iotarget, gate);
}

/* Whoever sees that may free the request. */
static inline bool iotarget_request_is_done(const struct iotarget_request *req)
{
	return atomic_read_acquire(&req->state) != IOTARGET_RS_OUT;
}

static inline struct iotarget_request *
unit_to_request(const struct iotarget_unit *unit)
{
	return container_of(unit, struct iotarget_request, unit);
}

/* A unit is a request's or a bio's; two kinds need no table of functions. */
static inline void iotarget_unit_submit(struct iotarget_unit *unit)
{
	if (unit->flags & IOTARGET_UNIT_BIO)
		iotarget_bio_submit(unit);
	else
		iotarget_request_submit(unit);
}

static inline void iotarget_unit_fail(struct iotarget *target,
				      struct iotarget_unit *unit)
{
	if (unit->flags & IOTARGET_UNIT_BIO)
		iotarget_bio_fail(target, unit);
	else
		iotarget_request_fail(target, unit);
}

#endif /* _IOTARGET_INTERNAL_H */
