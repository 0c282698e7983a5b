/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The language between iotarget_test.ko, the client module that the selftests
 * drive, and the selftests in tools/testing/selftests/iotarget.  Private to
 * these two: the module is never installed, and both are built together.
 *
 * An open file of /dev/iotarget_test owns one target.  Each ioctl makes one
 * call of the API and hands back what the call returned (head.ret) and how
 * long it took (head.ns); the ioctl itself fails only when it could not make
 * the call.  No structure carries a pointer: data is a pattern that both sides
 * can compute, iotarget_test_word().
 */
#ifndef _IOTARGET_TEST_H
#define _IOTARGET_TEST_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define IOTARGET_TEST_VERSION		1
#define IOTARGET_TEST_SLOTS		64
#define IOTARGET_TEST_MAX_BYTES		(16U << 20)
#define IOTARGET_TEST_MAX_THREADS	8
#define IOTARGET_TEST_MAX_DEPTH		64
#define IOTARGET_TEST_MAX_SPIN_US	300000
#define IOTARGET_TEST_MAX_LINGER_MS	20000
#define IOTARGET_TEST_POISON		0xa5

/*
 * The 8 bytes at byte position pos (a multiple of 8) of a device that was
 * filled with the pattern of this seed.
 */
static inline __u64 iotarget_test_word(__u64 seed, __u64 pos)
{
	__u64 z = (seed ^ pos) + 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* A checksum of data, word by word. */
static inline __u64 iotarget_test_sum(__u64 sum, __u64 word)
{
	return (sum ^ word) * 0x100000001b3ULL + (sum >> 47);
}

/* Begins every structure; size and version are checked. */
struct iotarget_test_head {
	__u32	size;		/* in: of the whole structure */
	__u32	version;	/* in: IOTARGET_TEST_VERSION */
	__s32	ret;		/* out: what the tested call returned */
	__u32	pad;
	__u64	ns;		/* out: how long the tested call took */
};

struct iotarget_test_report {
	__u64	sent;
	__u64	pended;
	__u64	oldest_ms;
};

#define IOTARGET_TEST_DEFAULTS		0x1	/* no callbacks of removals */

struct iotarget_test_create {
	struct iotarget_test_head	head;
	__u32				limbo_bytes;
	__u32				bits;
	char				name[64];
};

#define IOTARGET_TEST_NULL_PATH		0x1
#define IOTARGET_TEST_BAD_RESERVED	0x2

struct iotarget_test_open {
	struct iotarget_test_head	head;
	__u32				type;
	__u32				flags;
	__u32				access;
	__u32				share;
	__u32				timeout_ms;
	__s32				fd;
	__u32				major;
	__u32				minor;
	__u32				bits;	/* NULL_PATH, BAD_RESERVED */
	__u32				pad;
	char				path[256];
};

enum iotarget_test_op {
	IOTARGET_TEST_START,
	IOTARGET_TEST_START_AND_WAIT,
	IOTARGET_TEST_STOP,
	IOTARGET_TEST_PURGE,
	IOTARGET_TEST_CLOSE,
	IOTARGET_TEST_CLOSE_FOR_QUERY_REMOVE,
	IOTARGET_TEST_DELETE,
};

#define IOTARGET_TEST_ATOMIC		0x1	/* call with interrupts off */
#define IOTARGET_TEST_NO_REPORT		0x2	/* pass NULL for the report */

struct iotarget_test_control {
	struct iotarget_test_head	head;
	__u32				op;
	__u32				action;
	__u32				timeout_ms;
	__u32				bits;	/* ATOMIC, NO_REPORT */
	struct iotarget_test_report	report;	/* out, all ones if untouched */
	__u32				state;	/* out: after the call */
	__u32				running;/* out: callbacks not yet over */
};

struct iotarget_test_info {
	struct iotarget_test_head	head;
	__u64				id;
	char				name[32];
	__u32				state;	/* by iotarget_get_state() */
	__u32				info_state;
	__u32				access;
	__u32				major;
	__u32				minor;
	__u32				bdev_major;	/* iotarget_get_bdev() */
	__u32				bdev_minor;
	__u32				have_bdev;
	char				disk_name[32];
	__u64				capacity;
	__u32				logical_block_size;
	__u32				physical_block_size;
	__u32				max_transfer;
	__u32				dma_alignment;
	__u32				partition;
	__u8				write_cache;
	__u8				read_only;
	__u8				rotational;
	__u8				removable;
	__u8				unique_id_type;
	__u8				unique_id_len;
	__u8				unique_id[16];
	__u8				pad[2];
	char				serial[64];
	__u64				diskseq;
	__u64				pended;
	__u64				sent;
	__u64				ignored;
	__u64				oldest_ms;
	__u64				limbo;
	__u64				limbo_bytes;
	__u64				closing;
	__u64				held_bytes;
	__u64				at_risk;
	__u64				lost;
	__u32				away;
	__u32				pad2;
	__u32				cleanups;	/* calls of ops->cleanup */
	__u32				getters;	/* bits: name, owner, priv */
	__u64				cleanup_pended;	/* held at the cleanup */
};

#define IOTARGET_TEST_GETTER_NAME	0x1
#define IOTARGET_TEST_GETTER_OWNER	0x2
#define IOTARGET_TEST_GETTER_PRIV	0x4

/* Of the whole module, all files together. */
struct iotarget_test_global {
	struct iotarget_test_head	head;
	__u64				created;
	__u64				destroyed;	/* calls of ops->destroy */
	__u64				accepted;	/* by the numbered slots */
	__u64				completed;
	__u64				doubles;	/* callbacks not asked for */
};

enum iotarget_test_type {
	IOTARGET_TEST_READ	= 1,
	IOTARGET_TEST_WRITE	= 2,
	IOTARGET_TEST_FLUSH	= 3,
};

/* Kinds of memory that a request is given. */
enum iotarget_test_memory {
	IOTARGET_TEST_MEM_NONE,
	IOTARGET_TEST_MEM_KMALLOC,
	IOTARGET_TEST_MEM_VMALLOC,
	IOTARGET_TEST_MEM_BVEC,
	IOTARGET_TEST_MEM_ITER_KVEC,
	IOTARGET_TEST_MEM_ITER_BVEC,
	IOTARGET_TEST_NR_MEM,
};

#define IOTARGET_TEST_FOREVER		0x1	/* the *_wait_forever form */
#define IOTARGET_TEST_NULL_DATA		0x2	/* no memory, but a length */
#define IOTARGET_TEST_SCRIBBLE		0x4	/* a write: spoil the memory after */
#define IOTARGET_TEST_NO_RESULT		0x8	/* pass NULL for the result */

/* One call of iotarget_read(), iotarget_write(), iotarget_flush(). */
struct iotarget_test_transfer {
	struct iotarget_test_head	head;
	__u32				type;
	__u32				memory;	/* with FOREVER */
	__u32				timeout_ms;
	__u32				bits;
	__u32				misalign;	/* bytes off a page's start */
	__u32				linger_ms;	/* look again after this */
	__u64				pos;
	__u64				len;
	__u64				seed;
	__u32				outcome;	/* out */
	__u32				touched;	/* out: bytes, at the return */
	__u32				touched_late;	/* out: after linger_ms */
	__u32				overrun;	/* out: bytes beside it */
	__u64				bytes;		/* out */
	__u64				wrong;		/* out: words unlike the pattern */
};

#define IOTARGET_TEST_HEAP		0x01	/* iotarget_request_alloc() */
#define IOTARGET_TEST_NO_CALLBACK	0x02
#define IOTARGET_TEST_KEEP		0x04	/* format the same request again */
#define IOTARGET_TEST_REUSE		0x08	/* iotarget_request_reuse() first */
#define IOTARGET_TEST_FUA		0x10
#define IOTARGET_TEST_NULL_BUFFER	0x20	/* pass NULL for the buffer */
#define IOTARGET_TEST_FREE_IN_CALLBACK	0x40

/* Give a slot memory and a request, and format it. */
struct iotarget_test_format {
	struct iotarget_test_head	head;
	__u32				slot;
	__u32				type;
	__u32				memory;
	__u32				bits;
	__u64				size;	/* of the memory */
	__u64				offset;	/* in the memory */
	__u64				length;	/* 0: what follows offset */
	__u64				pos;
	__u64				seed;	/* a write's pattern */
};

#define IOTARGET_TEST_NULL_PARAMS	0x10

struct iotarget_test_send {
	struct iotarget_test_head	head;
	__u32				slot;
	__u32				flags;	/* IOTARGET_SEND_*, unchecked */
	__u32				timeout_ms;
	__u32				bits;	/* ATOMIC, BAD_RESERVED, NULL_PARAMS */
	__s64				deadline_ns;	/* from now, may be past */
	__s32				other_fd;	/* another target; -1: ours */
	__u32				resends;	/* by the callback */
	__u32				spin_us;	/* that the callback takes */
	__u32				pad;
};

enum iotarget_test_request_op {
	IOTARGET_TEST_CANCEL,		/* ret: 1 for true */
	IOTARGET_TEST_WAIT,		/* iotarget_request_wait() */
	IOTARGET_TEST_WAIT_CALLBACK,	/* our own count; ret: 0, -ETIMEDOUT */
	IOTARGET_TEST_REQUEST_REUSE,
	IOTARGET_TEST_FREE,		/* the request, then its slot */
	IOTARGET_TEST_FILL,		/* its memory with poison */
};

struct iotarget_test_request {
	struct iotarget_test_head	head;
	__u32				slot;
	__u32				op;
	__u32				timeout_ms;
	__u32				bits;	/* ATOMIC */
	__u64				count;	/* WAIT_CALLBACK: so many */
};

struct iotarget_test_query {
	struct iotarget_test_head	head;
	__u32				slot;
	__u32				pad;
	__u64				seed;	/* in: compare with this */
	__s32				status;
	__u32				outcome;
	__u32				type;
	__u32				in_irq;	/* callback: in hard interrupt */
	__u64				bytes;
	__u64				pos;
	__u64				callbacks;
	__u64				accepted;	/* sends that were */
	__u64				doubles;
	__u64				submit_seq;
	__u64				complete_seq;
	__u64				callback_ns;	/* from the send */
	__u64				wrong;	/* words unlike the pattern */
	__u64				touched;/* bytes unlike the poison */
	__u64				sum;	/* of all words, in order */
};

/* Calls that need the kernel's side, each with fixed wrong arguments. */
enum iotarget_test_negative {
	IOTARGET_TEST_NEG_CREATE_NULL,
	IOTARGET_TEST_NEG_CREATE_NO_NAME,
	IOTARGET_TEST_NEG_CREATE_EMPTY_NAME,
	IOTARGET_TEST_NEG_CREATE_LONG_NAME,
	IOTARGET_TEST_NEG_CREATE_UPPER_CASE,
	IOTARGET_TEST_NEG_CREATE_SLASH,
	IOTARGET_TEST_NEG_CREATE_FLAGS,
	IOTARGET_TEST_NEG_CREATE_RESERVED,
	IOTARGET_TEST_NEG_CREATE_OPS_RESERVED,
	IOTARGET_TEST_NEG_ABI_NULL,
	IOTARGET_TEST_NEG_ABI_GENERATION,
	IOTARGET_TEST_NEG_ABI_ABI_SIZE,
	IOTARGET_TEST_NEG_ABI_CREATE_SIZE,
	IOTARGET_TEST_NEG_ABI_OPS_SIZE,
	IOTARGET_TEST_NEG_ABI_OPEN_SIZE,
	IOTARGET_TEST_NEG_ABI_REQUEST_SIZE,
	IOTARGET_TEST_NEG_ABI_SEND_SIZE,
	IOTARGET_TEST_NEG_ABI_INFO_SIZE,
	IOTARGET_TEST_NEG_NULL_OPEN,
	IOTARGET_TEST_NEG_NULL_OPEN_PARAMS,
	IOTARGET_TEST_NEG_NULL_OPEN_FILE,
	IOTARGET_TEST_NEG_NULL_CLOSE,
	IOTARGET_TEST_NEG_NULL_QUERY_REMOVE,
	IOTARGET_TEST_NEG_NULL_START,
	IOTARGET_TEST_NEG_NULL_START_AND_WAIT,
	IOTARGET_TEST_NEG_NULL_STOP,
	IOTARGET_TEST_NEG_NULL_PURGE,
	IOTARGET_TEST_NEG_NULL_DELETE,
	IOTARGET_TEST_NEG_NULL_GET_STATE,
	IOTARGET_TEST_NEG_NULL_GET_INFO,
	IOTARGET_TEST_NEG_NULL_INFO,
	IOTARGET_TEST_NEG_NULL_READ,
	IOTARGET_TEST_NEG_NULL_READ_DATA,
	IOTARGET_TEST_NEG_NULL_WRITE,
	IOTARGET_TEST_NEG_NULL_FLUSH,
	IOTARGET_TEST_NEG_NULL_FORMAT_TARGET,
	IOTARGET_TEST_NEG_NULL_FORMAT_REQUEST,
	IOTARGET_TEST_NEG_NULL_SEND_TARGET,
	IOTARGET_TEST_NEG_NULL_SEND_REQUEST,
	IOTARGET_TEST_NEG_NULL_WAIT,
	IOTARGET_TEST_NEG_NULL_REUSE,
	IOTARGET_TEST_NEG_NULL_FREE,
	IOTARGET_TEST_NEG_NULL_CANCEL,
	IOTARGET_TEST_NEG_UNFORMATTED,
	IOTARGET_TEST_NEG_BUFFER_TYPE,
	IOTARGET_TEST_NEG_BVEC_SHORT,
	IOTARGET_TEST_NEG_ITER_USER,
	IOTARGET_TEST_NEG_ATOMIC_OPEN,
	IOTARGET_TEST_NEG_ATOMIC_READ,
	IOTARGET_TEST_NEG_ATOMIC_WRITE,
	IOTARGET_TEST_NEG_ATOMIC_FLUSH,
	IOTARGET_TEST_NEG_ATOMIC_READ_FOREVER,
	IOTARGET_TEST_NEG_STACK_READ,
	IOTARGET_TEST_NR_NEG,
};

struct iotarget_test_negative_call {
	struct iotarget_test_head	head;
	__u32				number;
	__u32				pad;
};

#define IOTARGET_TEST_LOAD_ORDERED	0x1	/* check the order and the quiet */
#define IOTARGET_TEST_LOAD_VERIFY	0x2	/* reads must see the pattern */

struct iotarget_test_load_start {
	struct iotarget_test_head	head;
	__u32				bits;
	__u32				threads;
	__u32				depth;		/* requests of each thread */
	__u32				write_percent;
	__u32				min_len;	/* of a request */
	__u32				max_len;
	__u32				timeout_percent;/* of requests */
	__u32				timeout_ms;
	__u32				cancel_us;	/* between cancels, 0: none */
	__u32				pad;
	__u64				pos;		/* where on the device */
	__u64				span;
	__u64				seed;
};

struct iotarget_test_load_stop {
	struct iotarget_test_head	head;
	__u32				timeout_ms;	/* for what is out */
	__u32				peek;		/* only look */
	__u64				accepted;	/* sends that were */
	__u64				callbacks;
	__u64				doubles;	/* second callback */
	__u64				uninvited;	/* callback of a refused send */
	__u64				lost;		/* no callback */
	__u64				inconsistent;	/* status, outcome, bytes */
	__u64				wrong_data;
	__u64				done;
	__u64				failed;		/* the device said no */
	__u64				never_sent;
	__u64				unknown;
	__u64				canceled;
	__u64				timed_out;
	__u64				removed;	/* -ENODEV */
	__u64				shut;		/* refused: -ESHUTDOWN */
	__u64				latched;	/* refused: -ECANCELED */
	__u64				expired;	/* refused: -ETIMEDOUT */
	__u64				refused;	/* refused otherwise */
	__s64				last_refusal;
	__u64				cancels;
	__u64				starts;		/* watched for order */
	__u64				held;		/* and held before one */
	__u64				overtaken;	/* order I5 broken */
	__u64				quiets;		/* watched for quiet */
	__u64				unquiet;	/* submitted while quiet */
};

enum iotarget_test_told {
	IOTARGET_TEST_QUERY_REMOVE	= 1,
	IOTARGET_TEST_REMOVE_CANCELED	= 2,
	IOTARGET_TEST_REMOVE_COMPLETE	= 3,
	IOTARGET_TEST_RETURNED		= 4,
};

#define IOTARGET_TEST_SET		0x01	/* what callbacks do, from now on */
#define IOTARGET_TEST_QUERY_CLOSES	0x02	/* for query-remove */
#define IOTARGET_TEST_QUERY_AGREES	0x04	/* as if there was no callback */
#define IOTARGET_TEST_CANCELED_OPENS	0x08
#define IOTARGET_TEST_COMPLETE_CLOSES	0x10
#define IOTARGET_TEST_COMPLETE_DELETES	0x20
#define IOTARGET_TEST_ALL_READ		0x40	/* first, and tell if it worked */
#define IOTARGET_TEST_MAX_TOLD		16

/* What callbacks of removals do, and which there were. */
struct iotarget_test_removal {
	struct iotarget_test_head	head;
	__u32				bits;
	__s32				query_ret;
	__u32				query_ms;	/* before it answers */
	__u32				nr;		/* out: so far */
	__u32				at_once;	/* out: at a time, at most */
	__u32				in_atomic;	/* out */
	struct {
		__u32			kind;
		__u32			forced;
		__u32			dry_run;
		__u32			timeout_ms;
		__s32			read;		/* what a read returned */
		__u32			state;		/* before it did anything */
	} told[IOTARGET_TEST_MAX_TOLD];
};

enum iotarget_test_consent_op {
	IOTARGET_TEST_ASK,	/* whether an ancestor of the target may go */
	IOTARGET_TEST_WAIT_GONE,
	IOTARGET_TEST_END,
};

struct iotarget_test_consent {
	struct iotarget_test_head	head;
	__u32				op;
	__u32				up;		/* 0: the device itself */
	__u32				flags;
	__u32				timeout_ms;
	__u32				expires_ms;
	__u32				by;		/* out: who refused */
	__s32				error;
	__u32				major;
	__u32				minor;
	char				name[32];
	__u32				pad;
};

#define IOTARGET_TEST_ACCEPT_LOSS	0x1

/* iotarget_set_policy(), or iotarget_accept_loss(). */
struct iotarget_test_policy {
	struct iotarget_test_head	head;
	__u32				bits;
	__u32				flags;
	__u32				hold_ms;
	__u32				pad;
	__u64				hold_bytes;
};

#define IOTARGET_TEST_IOW(_nr, _type) \
	_IOWR('t', 0x40 + (_nr), struct iotarget_test_##_type)

#define IOTARGET_TEST_IOC_CREATE	IOTARGET_TEST_IOW(0, create)
#define IOTARGET_TEST_IOC_OPEN		IOTARGET_TEST_IOW(1, open)
#define IOTARGET_TEST_IOC_CONTROL	IOTARGET_TEST_IOW(2, control)
#define IOTARGET_TEST_IOC_INFO		IOTARGET_TEST_IOW(3, info)
#define IOTARGET_TEST_IOC_GLOBAL	IOTARGET_TEST_IOW(4, global)
#define IOTARGET_TEST_IOC_TRANSFER	IOTARGET_TEST_IOW(5, transfer)
#define IOTARGET_TEST_IOC_FORMAT	IOTARGET_TEST_IOW(6, format)
#define IOTARGET_TEST_IOC_SEND		IOTARGET_TEST_IOW(7, send)
#define IOTARGET_TEST_IOC_REQUEST	IOTARGET_TEST_IOW(8, request)
#define IOTARGET_TEST_IOC_QUERY		IOTARGET_TEST_IOW(9, query)
#define IOTARGET_TEST_IOC_NEGATIVE	IOTARGET_TEST_IOW(10, negative_call)
#define IOTARGET_TEST_IOC_LOAD_START	IOTARGET_TEST_IOW(11, load_start)
#define IOTARGET_TEST_IOC_LOAD_STOP	IOTARGET_TEST_IOW(12, load_stop)
#define IOTARGET_TEST_IOC_REMOVAL	IOTARGET_TEST_IOW(13, removal)
#define IOTARGET_TEST_IOC_CONSENT	IOTARGET_TEST_IOW(14, consent)
#define IOTARGET_TEST_IOC_POLICY	IOTARGET_TEST_IOW(15, policy)

#endif /* _IOTARGET_TEST_H */
