/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of iotarget_test.ko share: a client (an open file and its
 * target), its numbered slots, and memory of every kind that a request takes.
 *
 * Lock order: slot->mutex, then client->lock.  The load engine has a spinlock
 * of its own, see test_client_load.c.
 */
#ifndef _IOTARGET_TEST_CLIENT_H
#define _IOTARGET_TEST_CLIENT_H

#include <linux/atomic.h>
#include <linux/bvec.h>
#include <linux/mutex.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/wait.h>

#include <linux/iotarget.h>

#include "iotarget_test.h"

struct file;
struct iotarget_test_load;

/*
 * struct iotarget_test_mem - memory of one kind, seen as segments as well
 * @base: what was allocated, for the kinds of one piece
 * @segs: the kernel addresses of all pieces, in order
 * @bvecs: the same pieces for the kinds that want it so
 */
struct iotarget_test_mem {
	u32		kind;
	u32		nr;
	size_t		size;
	void		*base;
	struct kvec	*segs;
	struct bio_vec	*bvecs;
	struct iov_iter	iter;
};

/*
 * struct iotarget_test_slot - one request, its memory and what became of it
 * @mutex: format, reuse, free and cancel; never held over a send
 * @sending: bit 0 is set while a send runs, so that nobody formats
 * @users: ioctls that look at it; it is replaced or freed only at 0
 * @req: @embedded, or from the heap, or NULL
 * @forgotten: sent and forgotten; its memory stays while the target does
 * @armed: accepted sends (and the one under way) without a callback yet
 *
 * Freed only when the request is not outstanding: by the file's user, at the
 * file's release, or, when something was still out then, when the target goes.
 */
struct iotarget_test_slot {
	struct iotarget_test_client	*client;
	struct mutex			mutex;	/* see above */
	unsigned long			sending;
	atomic_t			users;
	bool				forgotten;
	struct iotarget_request		embedded;
	struct iotarget_request		*req;
	struct iotarget_test_mem	mem;
	u32				type;
	u32				bits;
	u64				offset;
	u64				length;
	u64				pos;
	atomic_t			armed;
	u32				resends;
	u32				spin_us;
	/* written by the callback, read when it has run */
	int				status;
	u32				outcome;
	u32				in_irq;
	u64				bytes;
	u64				complete_seq;
	u64				callback_ns;
	ktime_t				sent_at;
	u64				submit_seq;
	atomic64_t			accepted;
	atomic64_t			callbacks;
	atomic64_t			doubles;
	wait_queue_head_t		wait;
};

/*
 * struct iotarget_test_client - an open file and its target
 * @lock: @target, @slots and @load as pointers
 * @target: with a reference of ours, until release
 * @refs: the file, and the target until ops->destroy
 */
struct iotarget_test_client {
	struct mutex			lock;	/* see above */
	refcount_t			refs;
	struct iotarget			*target;
	struct iotarget_ops		ops;
	struct iotarget_test_slot	*slots[IOTARGET_TEST_SLOTS];
	struct iotarget_test_load	*load;
	spinlock_t			atomic;	/* for calls with interrupts off */
	atomic64_t			seq;
	atomic_t			cleanups;
	u64				cleanup_pended;
	atomic_t			running;	/* callbacks not yet over */
	spinlock_t			told_lock;	/* of @told */
	struct iotarget_test_removal	told;
	atomic_t			telling;
	struct iotarget_consent		*consent;	/* one caller at a time */
};

/* test_client.c */
extern atomic64_t iotarget_test_accepted;
extern atomic64_t iotarget_test_completed;
extern atomic64_t iotarget_test_doubles;

struct iotarget *iotarget_test_peer(struct file *file);

/* test_client_data.c */
ssize_t iotarget_test_read(struct file *file, char __user *data, size_t len,
			   loff_t *pos);

/* test_client_io.c */
int iotarget_test_mem_init(struct iotarget_test_mem *mem, u32 kind,
			   size_t size, bool write);
void iotarget_test_mem_free(struct iotarget_test_mem *mem);
struct iotarget_buffer iotarget_test_mem_buffer(struct iotarget_test_mem *mem);
void iotarget_test_mem_fill(struct iotarget_test_mem *mem, size_t offset,
			    size_t len, u64 seed, u64 pos);
u64 iotarget_test_mem_wrong(struct iotarget_test_mem *mem, size_t offset,
			    size_t len, u64 seed, u64 pos);
u64 iotarget_test_mem_sum(struct iotarget_test_mem *mem, size_t offset,
			  size_t len);
u64 iotarget_test_mem_touched(struct iotarget_test_mem *mem);
void iotarget_test_mem_poison(struct iotarget_test_mem *mem);
int iotarget_test_transfer_call(struct iotarget_test_client *client,
				struct iotarget_test_transfer *arg);

/* test_client_slots.c */
int iotarget_test_format_call(struct iotarget_test_client *client,
			      struct iotarget_test_format *arg);
int iotarget_test_send_call(struct iotarget_test_client *client,
			    struct iotarget_test_send *arg);
int iotarget_test_request_call(struct iotarget_test_client *client,
			       struct iotarget_test_request *arg);
int iotarget_test_query_call(struct iotarget_test_client *client,
			     struct iotarget_test_query *arg);
void iotarget_test_slots_free(struct iotarget_test_client *client, bool all);

/* test_client_negative.c */
int iotarget_test_negative_call(struct iotarget_test_client *client,
				struct iotarget_test_negative_call *arg);

/* test_client_removal.c */
void iotarget_test_removal_init(struct iotarget_test_client *client,
				bool defaults);
int iotarget_test_policy_call(struct iotarget_test_client *client,
			      struct iotarget_test_policy *arg);
int iotarget_test_removal_call(struct iotarget_test_client *client,
			       struct iotarget_test_removal *arg);
int iotarget_test_consent_call(struct iotarget_test_client *client,
			       struct iotarget_test_consent *arg);
void iotarget_test_removal_free(struct iotarget_test_client *client);

/* test_client_load.c */
int iotarget_test_load_start(struct iotarget_test_client *client,
			     struct iotarget_test_load_start *arg);
int iotarget_test_load_stop(struct iotarget_test_client *client,
			    struct iotarget_test_load_stop *arg);
void iotarget_test_load_free(struct iotarget_test_client *client, bool all);
void iotarget_test_load_before(struct iotarget_test_client *client, u32 op);
void iotarget_test_load_after(struct iotarget_test_client *client, u32 op,
			      bool quiet);

#endif /* _IOTARGET_TEST_CLIENT_H */
