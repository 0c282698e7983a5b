/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * iotarget - I/O targets: a gate in front of a block device
 *
 * The driver API.  An I/O target is an object that stands in front of a
 * device.  Its owner sends requests to it, and may at any time stop it (what
 * comes is held), start it (what was held is sent, in order), purge it (what
 * is held is failed, what comes is refused), close, reopen and delete it.
 * Every accepted request completes exactly once, every wait is bounded, and
 * the outcome of a request is told beside its errno: done, never sent, or
 * unknown.
 *
 * Context and errors of each call stand at its definition; the table of calls,
 * contexts and states is in Documentation/driver-api/iotarget/index.rst.
 */
#ifndef _LINUX_IOTARGET_H
#define _LINUX_IOTARGET_H

#include <linux/bio.h>
#include <linux/ktime.h>
#include <linux/limits.h>
#include <linux/list.h>
#include <linux/timer.h>
#include <linux/types.h>
#include <linux/uio.h>

struct block_device;
struct device;
struct file;
struct gendisk;
struct iotarget;
struct iotarget_bio;
struct iotarget_consent;
struct iotarget_inst;
struct iotarget_request;
struct module;

/* The generation of this API; the symbol namespace carries the same number. */
#define IOTARGET_API_GENERATION		1

/* The longest name of a target, without the terminating NUL. */
#define IOTARGET_NAME_MAX		31

/*
 * A timeout argument is in milliseconds, at most IOTARGET_TIMEOUT_MAX_MS, or
 * IOTARGET_WAIT_FOREVER, the only way to wait without a limit.  A timeout of 0
 * asks and reports, and does not wait.  Opening and the timed transfers always
 * have a limit: there IOTARGET_WAIT_FOREVER is an error.
 */
#define IOTARGET_TIMEOUT_MAX_MS		(24U * 60 * 60 * 1000)
#define IOTARGET_WAIT_FOREVER		UINT_MAX

/**
 * enum iotarget_state - what iotarget_get_state() answers
 * @IOTARGET_UNDEFINED: no target (a NULL pointer was given)
 * @IOTARGET_STARTED: requests are accepted and sent
 * @IOTARGET_STOPPED: requests are accepted and held
 * @IOTARGET_CLOSED_FOR_QUERY_REMOVE: closed so that the device may go; the
 *	open parameters are kept
 * @IOTARGET_CLOSED: no device; requests are refused
 * @IOTARGET_DELETED: on its way out; nothing is accepted ever again
 * @IOTARGET_PURGED: open, but requests are refused and none is held
 */
enum iotarget_state {
	IOTARGET_UNDEFINED,
	IOTARGET_STARTED,
	IOTARGET_STOPPED,
	IOTARGET_CLOSED_FOR_QUERY_REMOVE,
	IOTARGET_CLOSED,
	IOTARGET_DELETED,
	IOTARGET_PURGED,
};

/**
 * enum iotarget_outcome - what is known of a request's effect on the device
 * @IOTARGET_OUTCOME_NONE: not completed yet
 * @IOTARGET_DONE: the device answered; with a status of 0 it did what was
 *	asked, with another one it said no
 * @IOTARGET_NEVER_SENT: the request did not reach the device
 * @IOTARGET_UNKNOWN: it was sent, and no answer that can be trusted came back
 */
enum iotarget_outcome {
	IOTARGET_OUTCOME_NONE,
	IOTARGET_DONE,
	IOTARGET_NEVER_SENT,
	IOTARGET_UNKNOWN,
};

/**
 * enum iotarget_stop_action - what iotarget_stop() does about sent requests
 * @IOTARGET_CANCEL_SENT: cancel each in the order of sending, then wait; a
 *	block device cannot cancel, there it is the same as waiting
 * @IOTARGET_WAIT_FOR_SENT: wait for them
 * @IOTARGET_LEAVE_SENT_PENDING: leave them with the device, do not wait
 */
enum iotarget_stop_action {
	IOTARGET_CANCEL_SENT		= 1,
	IOTARGET_WAIT_FOR_SENT		= 2,
	IOTARGET_LEAVE_SENT_PENDING	= 3,
};

/**
 * enum iotarget_purge_action - whether iotarget_purge() waits
 * @IOTARGET_PURGE_AND_WAIT: fail what is held, cancel what is sent, wait for it
 * @IOTARGET_PURGE: the same without the wait
 */
enum iotarget_purge_action {
	IOTARGET_PURGE_AND_WAIT		= 1,
	IOTARGET_PURGE			= 2,
};

/**
 * struct iotarget_wait_report - what was still out when a wait ended
 * @sent: requests that the device has not given back, those sent past the
 *	state of the target included
 * @pended: requests held at the gate
 * @oldest_ms: how long the oldest sent one is out, in milliseconds, at most: it
 *	is told to about a second, less exactly when requests of many ages are
 *	out; 0 when none is
 */
struct iotarget_wait_report {
	u64	sent;
	u64	pended;
	u64	oldest_ms;
};

/**
 * enum iotarget_bio_verdict - what becomes of a forwarded bio that is back
 * @IOTARGET_BIO_END: it completes
 * @IOTARGET_BIO_AGAIN: it is sent once more, behind what is held; if the target
 *	accepts nothing any more, it completes after all
 */
enum iotarget_bio_verdict {
	IOTARGET_BIO_END,
	IOTARGET_BIO_AGAIN,
};

/**
 * struct iotarget_query - what the owner of a target is asked before a removal
 * @timeout_ms: how long there is to answer
 * @forced: the device goes whatever the answer; it still answers
 * @dry_run: the device does not go now: nothing is to be done, only answered
 */
struct iotarget_query {
	unsigned int	timeout_ms;
	bool		forced;
	bool		dry_run;
	/* private: */
	u64		reserved[2];
};

/**
 * struct iotarget_ops - what the owner of a target supplies; all optional
 * @owner: the module of these functions and of the completion callbacks; it is
 *	pinned while the target is open and while a request is held or sent
 * @cleanup: called once by iotarget_delete() before any I/O is failed, so that
 *	the owner can drain its own way.  Process context.
 * @destroy: called once when the last reference is gone.  Process context; the
 *	target is not usable any more.
 * @end_bio: called for each bio that was given to iotarget_forward_bio(), but
 *	not for one that was sent and forgotten, before it completes; may
 *	change the status, and may have the bio sent again.  Any context, hard
 *	interrupt included.
 * @query_remove: may the open device go?  0 agrees, and then the target must have
 *	been closed, by iotarget_close_for_query_remove() or iotarget_close(), or
 *	hold what comes by iotarget_query_remove_hold();
 *	a negative errno refuses, and the device stays.  Without it the target is
 *	drained, flushed and closed for query-remove, and agrees if that
 *	succeeds in time.
 * @remove_canceled: the device does not go after all, as others refused, or nobody
 *	removed it in time.  The target may be open, if it was it that refused too
 *	late.  Without it a target that is closed for query-remove is opened
 *	again.
 * @remove_complete: the device is gone, asked for or by surprise.  Without it the
 *	target is closed.  Closing it, if need be, is the callback's.  With
 *	%IOTARGET_POLICY_HOLD it comes when the device is not waited for any more.
 * @returned: the device was gone, and is back, and the target has it open again, see
 *	%IOTARGET_POLICY_HOLD.
 *
 * The last four come in process context, one at a time, and never after a close (but for
 * that for query-remove) or a delete has returned; they may close, open or delete the
 * target.  They should return in time: a query that takes longer than it was given
 * has refused.
 */
struct iotarget_ops {
	struct module	*owner;
	void		(*cleanup)(struct iotarget *target);
	void		(*destroy)(void *priv);
	enum iotarget_bio_verdict
			(*end_bio)(struct iotarget *target, struct bio *bio,
				   blk_status_t *status,
				   enum iotarget_outcome outcome);
	int		(*query_remove)(struct iotarget *target,
					const struct iotarget_query *query);
	void		(*remove_canceled)(struct iotarget *target);
	void		(*remove_complete)(struct iotarget *target);
	void		(*returned)(struct iotarget *target);
	/* private: */
	unsigned long	reserved[3];
};

/*
 * What is held, and what comes, when the device is gone without having been asked: it
 * waits for the device to be back, instead of failing.
 */
#define IOTARGET_POLICY_HOLD		0x1
/*
 * With it: what the device had acknowledged and lost with its cache is no error.
 * Without, each flush fails after the return, until iotarget_accept_loss().
 */
#define IOTARGET_POLICY_LOSSY		0x2
/*
 * With it: a forwarded write that the device had, and did not answer before it was gone,
 * is sent again when it is back, before what is held.  Without, it fails, unknown.
 */
#define IOTARGET_POLICY_REPLAY		0x4

/**
 * struct iotarget_policy - what becomes of I/O when the device is gone
 * @flags: IOTARGET_POLICY_* flags
 * @hold_ms: how long the device is waited for; 0 means 30 seconds
 * @hold_bytes: how much may be held for it; what comes then fails, never sent; 0 means
 *	64 MiB
 */
struct iotarget_policy {
	u32	flags;
	u32	hold_ms;
	u64	hold_bytes;
	/* private: must be zero */
	u64	reserved[4];
};

/* Ask, and leave everything as it is. */
#define IOTARGET_QUERY_DRY_RUN		0x1

/**
 * struct iotarget_query_params - how to ask whether a device may go
 * @flags: IOTARGET_QUERY_* flags
 * @timeout_ms: the longest that all answers together may take; 0 means 10 seconds
 * @expires_ms: how long an agreement holds in which nobody removes the device; 0
 *	means 30 seconds
 */
struct iotarget_query_params {
	u32	flags;
	u32	timeout_ms;
	u32	expires_ms;
	/* private: must be zero */
	u32	pad;
	u64	reserved[3];
};

/**
 * enum iotarget_refused_by - who does not let a device go
 * @IOTARGET_REFUSED_BY_NOBODY: nobody does
 * @IOTARGET_REFUSED_BY_TARGET: a target, or its owner
 * @IOTARGET_REFUSED_BY_CLAIM: somebody else claims the device: a file system that
 *	is mounted, swap, another stacked driver
 * @IOTARGET_REFUSED_BY_OPENER: somebody else has the device open
 * @IOTARGET_REFUSED_BY_QUERY: another query is in force
 */
enum iotarget_refused_by {
	IOTARGET_REFUSED_BY_NOBODY,
	IOTARGET_REFUSED_BY_TARGET,
	IOTARGET_REFUSED_BY_CLAIM,
	IOTARGET_REFUSED_BY_OPENER,
	IOTARGET_REFUSED_BY_QUERY,
};

/**
 * struct iotarget_refusal - who does not let a device go, and why
 * @by: what kind of user it is
 * @error: the negative errno of a target; -ETIMEDOUT for one that did not answer
 * @devt: the disk or partition that it uses
 * @name: of the target, else of the disk or partition
 */
struct iotarget_refusal {
	enum iotarget_refused_by by;
	int			error;
	dev_t			devt;
	char			name[IOTARGET_NAME_MAX + 1];
};

/*
 * Options of iotarget_create().  Forwarded bios are counted in the statistics
 * of the disk that they were sent to, from the gate to their completion.
 */
#define IOTARGET_CREATE_ACCOUNT_BIOS	0x1

/**
 * struct iotarget_create_params - how to make a target
 * @flags: IOTARGET_CREATE_* flags
 * @limbo_bytes: how many bytes of memory the timed synchronous calls of this
 *	target may hold, those whose deadline passed while the device still
 *	sat on them ("limbo") included; 0 means 4 MiB
 * @name: 1 to %IOTARGET_NAME_MAX characters of ``[a-z0-9_-]``; copied
 * @owner: the device of the driver that makes it, or NULL; a reference is kept
 * @ops: callbacks, or NULL; must stay valid for the life of the target
 * @priv: for the owner, see iotarget_priv()
 */
struct iotarget_create_params {
	u32				flags;
	u32				limbo_bytes;
	const char			*name;
	struct device			*owner;
	const struct iotarget_ops	*ops;
	void				*priv;
	/* private: must be zero */
	u64				reserved[4];
};

/**
 * enum iotarget_open_type - how iotarget_open_params names the device
 * @IOTARGET_OPEN_PATH: by a path, looked up in the caller's name space
 * @IOTARGET_OPEN_DEVT: by device number
 * @IOTARGET_OPEN_FILE: by an open file of a block device, which is referenced
 *	until close; access is what the file was opened for.  Cannot be
 *	reopened.
 * @IOTARGET_OPEN_REOPEN: as the last successful open by path or number; the
 *	other fields are ignored, but for the timeout
 */
enum iotarget_open_type {
	IOTARGET_OPEN_PATH	= 1,
	IOTARGET_OPEN_DEVT	= 2,
	IOTARGET_OPEN_FILE	= 3,
	IOTARGET_OPEN_REOPEN	= 4,
};

#define IOTARGET_ACCESS_READ	0x1	/* read and flush */
#define IOTARGET_ACCESS_WRITE	0x2	/* write and flush */

/*
 * What others may do while this target is open.  Two targets on one device (a
 * partition and its disk are one) must each allow what the other does.  A
 * target that does not share writing also takes the kernel's exclusive claim,
 * so that a mounted or otherwise claimed device refuses it, and mounting is
 * refused while it is open; not so with a file, whose opener has claimed the
 * device or has not.  The kernel
 * claims a disk or its partitions, never both, so a disk and one of its
 * partitions can be open at a time only if both share writing.  A plain open of
 * the device node by user space is beyond the kernel's claim and beyond ours.
 */
#define IOTARGET_SHARE_READ	0x1
#define IOTARGET_SHARE_WRITE	0x2

/**
 * struct iotarget_open_params - what to open, and how
 * @type: one of &enum iotarget_open_type
 * @flags: must be 0
 * @access: IOTARGET_ACCESS_* flags, at least one (not used with a file)
 * @share: IOTARGET_SHARE_* flags; 0 is exclusive
 * @timeout_ms: how long to wait for the device to open; 0 means 30 seconds
 * @path: with %IOTARGET_OPEN_PATH; copied
 * @devt: with %IOTARGET_OPEN_DEVT
 * @file: with %IOTARGET_OPEN_FILE
 */
struct iotarget_open_params {
	u32			type;
	u32			flags;
	u32			access;
	u32			share;
	u32			timeout_ms;
	union {
		const char	*path;
		dev_t		devt;
		struct file	*file;
	};
	/* private: must be zero */
	u64			reserved[4];
};

/**
 * struct iotarget_info - what iotarget_get_info() tells
 * @id: the target's number, never given twice
 * @name: the target's name
 * @state: its state
 * @access: IOTARGET_ACCESS_* of the open device; 0 when closed, and then all
 *	of the device's fields are zero too
 * @devt: the device's number
 * @disk_name: the name of the disk that it is, or is a partition of
 * @capacity: bytes
 * @logical_block_size: bytes
 * @physical_block_size: bytes
 * @max_transfer: bytes that the device takes in one piece; longer requests
 *	are split below us
 * @dma_alignment: mask that the address and length of memory must clear
 * @partition: its number, 0 for a whole disk
 * @write_cache: the device claims a volatile write cache
 * @read_only: the device is write protected
 * @rotational: it spins
 * @removable: its medium can be taken out
 * @unique_id_type: 0 none, 1 T10 vendor, 2 EUI-64, 3 NAA
 * @unique_id_len: bytes of @unique_id that are valid
 * @unique_id: the identity that the device itself reports
 * @serial: the serial number of the SCSI or USB device that it is on, empty
 *	when there is none
 * @diskseq: the disk's sequence number, new for every medium and every disk
 * @pended: requests held at the gate
 * @sent: requests sent and not given back
 * @ignored: those of @sent that were sent past the target's state
 * @oldest_ms: as in &struct iotarget_wait_report
 * @limbo: synchronous calls that ended at their deadline while the device
 *	still had their memory
 * @limbo_bytes: memory held by synchronous calls, those in limbo included
 * @closing: earlier open instances that wait for a device to let go
 * @away: the device is gone, and what is held waits for it
 * @held_bytes: what the held requests transfer
 * @at_risk: bytes that the device has acknowledged, and may lose with its power; known
 *	with %IOTARGET_POLICY_HOLD only, and 0 for a device that claims no cache
 * @lost: bytes that may have been lost when the device was gone, and make each flush
 *	fail
 * @unknown: requests and bios that ended, since the target was made, without anybody
 *	knowing what they did
 * @replayed: bios that were sent once more to a device that was back, since then
 */
struct iotarget_info {
	u64			id;
	char			name[IOTARGET_NAME_MAX + 1];
	enum iotarget_state	state;
	u32			access;
	dev_t			devt;
	char			disk_name[32];
	u64			capacity;
	u32			logical_block_size;
	u32			physical_block_size;
	u32			max_transfer;
	u32			dma_alignment;
	u32			partition;
	bool			write_cache;
	bool			read_only;
	bool			rotational;
	bool			removable;
	u8			unique_id_type;
	u8			unique_id_len;
	u8			unique_id[16];
	char			serial[64];
	u64			diskseq;
	u64			pended;
	u64			sent;
	u64			ignored;
	u64			oldest_ms;
	u64			limbo;
	u64			limbo_bytes;
	u64			closing;
	bool			away;
	u64			held_bytes;
	u64			at_risk;
	u64			lost;
	u64			unknown;
	u64			replayed;
};

/**
 * enum iotarget_req_type - what a request was formatted for
 * @IOTARGET_REQ_NONE: not formatted
 * @IOTARGET_REQ_READ: iotarget_format_read()
 * @IOTARGET_REQ_WRITE: iotarget_format_write()
 * @IOTARGET_REQ_FLUSH: iotarget_format_flush()
 */
enum iotarget_req_type {
	IOTARGET_REQ_NONE,
	IOTARGET_REQ_READ,
	IOTARGET_REQ_WRITE,
	IOTARGET_REQ_FLUSH,
};

/**
 * enum iotarget_buffer_type - the kinds of memory a request can carry
 * @IOTARGET_BUF_NONE: none, a transfer of length zero
 * @IOTARGET_BUF_KERNEL: a kernel address: kmalloc, vmalloc or stack
 * @IOTARGET_BUF_BVEC: an array of &struct bio_vec
 * @IOTARGET_BUF_ITER: an iov_iter over kernel memory or bio_vecs; it is copied,
 *	not advanced
 */
enum iotarget_buffer_type {
	IOTARGET_BUF_NONE,
	IOTARGET_BUF_KERNEL,
	IOTARGET_BUF_BVEC,
	IOTARGET_BUF_ITER,
};

/**
 * struct iotarget_buffer - memory for a request, and the part of it to use
 * @type: one of &enum iotarget_buffer_type
 * @nr_bvecs: entries of @bvecs
 * @data: with %IOTARGET_BUF_KERNEL
 * @bvecs: with %IOTARGET_BUF_BVEC; the array must stay until the completion
 * @iter: with %IOTARGET_BUF_ITER; what it points to must stay until then
 * @size: bytes of memory there are
 * @offset: where in the memory the transfer begins
 * @length: bytes to transfer; 0 means all that follow @offset
 */
struct iotarget_buffer {
	enum iotarget_buffer_type	type;
	unsigned int			nr_bvecs;
	union {
		void			*data;
		const struct bio_vec	*bvecs;
		const struct iov_iter	*iter;
	};
	size_t				size;
	size_t				offset;
	size_t				length;
};

static inline struct iotarget_buffer iotarget_buf(void *data, size_t len)
{
	return (struct iotarget_buffer){
		.type = data || len ? IOTARGET_BUF_KERNEL : IOTARGET_BUF_NONE,
		.data = data, .size = len,
	};
}

static inline struct iotarget_buffer iotarget_buf_bvec(const struct bio_vec *bv,
						       unsigned int nr,
						       size_t len)
{
	return (struct iotarget_buffer){
		.type = IOTARGET_BUF_BVEC, .bvecs = bv, .nr_bvecs = nr,
		.size = len,
	};
}

static inline struct iotarget_buffer iotarget_buf_iter(const struct iov_iter *i)
{
	return (struct iotarget_buffer){
		.type = IOTARGET_BUF_ITER, .iter = i, .size = iov_iter_count(i),
	};
}

/*
 * Options of iotarget_send().  The first four are KMDF's, with KMDF's numbers;
 * the others are extensions.
 */
#define IOTARGET_SEND_TIMEOUT		0x01	/* timeout_ms counts from the send */
#define IOTARGET_SEND_SYNCHRONOUS	0x02	/* return when it has completed */
#define IOTARGET_SEND_IGNORE_STATE	0x04	/* pass a stopped or purged target */
#define IOTARGET_SEND_AND_FORGET	0x08	/* the target frees it when done */
#define IOTARGET_SEND_ATOMIC		0x10	/* the caller may not sleep */
#define IOTARGET_SEND_DEADLINE		0x20	/* deadline is absolute, ktime_get() */
#define IOTARGET_SEND_NOWAIT		0x40	/* -EAGAIN instead of being held */
#define IOTARGET_SEND_WAIT_FOREVER	0x80	/* SYNCHRONOUS without a limit */

/**
 * struct iotarget_send_params - options of one send
 * @flags: IOTARGET_SEND_* flags
 * @timeout_ms: with %IOTARGET_SEND_TIMEOUT; 0 means none
 * @deadline: with %IOTARGET_SEND_DEADLINE; one that has passed is met at once
 */
struct iotarget_send_params {
	u32	flags;
	u32	timeout_ms;
	ktime_t	deadline;
	/* private: must be zero */
	u64	reserved[2];
};

/**
 * typedef iotarget_complete_fn - a request has completed
 * @target: where it was sent
 * @req: the request; the callback may format and send it again (with
 *	%IOTARGET_SEND_ATOMIC), or free it unless the send was synchronous
 * @context: as given to iotarget_request_set_complete()
 *
 * Called exactly once for each accepted send, maybe before iotarget_send()
 * returns, in any context, hard interrupt included.  It must not sleep and
 * must not wait for its own target.
 */
typedef void iotarget_complete_fn(struct iotarget *target,
				  struct iotarget_request *req, void *context);

/* The gate's bookkeeping of one request; private to the core. */
struct iotarget_unit {
	struct list_head	node;	/* pended FIFO, or the sent list */
	struct iotarget_inst	*inst;	/* what it was sent on; NULL: never sent */
	union {
		u64		seq;	/* held: its place in the order of pending */
		u64		covers;	/* sent: of keep.c; with a policy that holds */
	};
	struct bio_list		bios;	/* forwarded bios held behind it */
	u8			where;	/* enum iotarget_unit_where */
	u8			epoch;
	u8			flags;
	u32			bytes;	/* of a bio; with a policy that holds */
};

/**
 * struct iotarget_request - one I/O operation on its way to a target and back
 *
 * Made by iotarget_request_alloc(), or embedded in a larger structure and
 * initialised by iotarget_request_init().  The fields are private; use the
 * functions below.
 */
struct iotarget_request {
	/* private: */
	struct iotarget_unit	unit;
	struct iotarget		*target;
	iotarget_complete_fn	*complete;
	void			*context;
	atomic_t		state;		/* enum iotarget_req_state */
	atomic_t		claims;		/* device, timer, canceller */
	unsigned long		bits;		/* latch and friends */
	u32			send_flags;
	u8			type;
	u8			outcome;
	bool			heap;
	bool			fua;
	int			status;
	size_t			bytes;
	u64			pos;
	size_t			len;
	u64			checked;	/* by which open instance */
	struct iov_iter		iter;
	struct kvec		kvec;		/* what iter shows of a buffer */
	struct bio_vec		bvec;		/* what bio shows of it */
	struct timer_list	timer;
	atomic_t		bios;		/* parts that are still out */
	spinlock_t		part_lock;	/* status, outcome, bytes of parts */
	struct bio		bio;		/* the first part, or the only one */
};

/**
 * typedef iotarget_bio_complete_fn - a bio of the caller's own has completed
 * @target: where it was sent
 * @tb: the bio; bi_status is set, and the callback may free it
 *
 * Called exactly once for each accepted iotarget_send_bio(), in any context.
 */
typedef void iotarget_bio_complete_fn(struct iotarget *target,
				      struct iotarget_bio *tb);

/**
 * struct iotarget_bio - a bio of the caller's own, with its tracking
 * @bio: the bio; to be filled in after iotarget_bio_init(), but for its device,
 *	its end_io and its private pointer
 *
 * To be embedded in the caller's structure for one I/O.  Sending it allocates
 * nothing, be it held or not.
 */
struct iotarget_bio {
	/* private: */
	struct iotarget_unit	unit;
	struct iotarget		*target;
	iotarget_bio_complete_fn *complete;
	u8			outcome;
	/* public: */
	struct bio		bio;
};

/**
 * struct iotarget_entry - a piece of work of the caller's that passed the gate
 * @bdev: the open block device, good until iotarget_leave(); NULL if the target
 *	is on something else
 * @reads_only: to be set before iotarget_leave() by who has written nothing; otherwise what
 *	was done counts as bytes at risk, see &struct iotarget_info
 */
struct iotarget_entry {
	struct block_device	*bdev;
	/* private: */
	struct iotarget_inst	*inst;
	u8			epoch;
	u8			flags;
	/* public: */
	bool			reads_only;
};

/**
 * struct iotarget_result - what a one-call transfer did
 * @outcome: what is known of what follows the first @bytes, or of the whole if
 *	it succeeded; with a status of -ETIMEDOUT and %IOTARGET_UNKNOWN the
 *	device may still carry it out
 * @bytes: transferred before the error, or all
 */
struct iotarget_result {
	enum iotarget_outcome	outcome;
	size_t			bytes;
};

/*
 * The sizes that the caller was compiled with.  A kernel without module
 * versions has nothing else to stop a module built for another header.
 */
struct iotarget_abi {
	u32	generation;
	u32	abi_size;
	u32	create_size;
	u32	ops_size;
	u32	open_size;
	u32	request_size;
	u32	send_size;
	u32	info_size;
	u32	bio_size;
	u32	policy_size;
};

#define IOTARGET_ABI_INIT { \
	.generation	= IOTARGET_API_GENERATION, \
	.abi_size	= sizeof(struct iotarget_abi), \
	.create_size	= sizeof(struct iotarget_create_params), \
	.ops_size	= sizeof(struct iotarget_ops), \
	.open_size	= sizeof(struct iotarget_open_params), \
	.request_size	= sizeof(struct iotarget_request), \
	.send_size	= sizeof(struct iotarget_send_params), \
	.info_size	= sizeof(struct iotarget_info), \
	.bio_size	= sizeof(struct iotarget_bio), \
	.policy_size	= sizeof(struct iotarget_policy), \
}

/* target.c, open.c */
struct iotarget *__iotarget_create(const struct iotarget_create_params *params,
				   const struct iotarget_abi *abi);

/**
 * iotarget_create - make a target, closed
 * @params: name, owner, callbacks
 *
 * See __iotarget_create().
 *
 * Return: the target, or an ERR_PTR.
 */
static inline struct iotarget *
iotarget_create(const struct iotarget_create_params *params)
{
	static const struct iotarget_abi abi = IOTARGET_ABI_INIT;

	return __iotarget_create(params, &abi);
}

struct iotarget *iotarget_get(struct iotarget *target);
void iotarget_put(struct iotarget *target);
void iotarget_put_atomic(struct iotarget *target);
int iotarget_delete(struct iotarget *target, unsigned int timeout_ms,
		    struct iotarget_wait_report *report);
int iotarget_open(struct iotarget *target,
		  const struct iotarget_open_params *params);
int iotarget_close(struct iotarget *target, unsigned int timeout_ms,
		   struct iotarget_wait_report *report);
int iotarget_close_for_query_remove(struct iotarget *target,
				    unsigned int timeout_ms,
				    struct iotarget_wait_report *report);
int iotarget_start(struct iotarget *target);
int iotarget_start_and_wait(struct iotarget *target, unsigned int timeout_ms,
			    struct iotarget_wait_report *report);
int iotarget_stop(struct iotarget *target, enum iotarget_stop_action action,
		  unsigned int timeout_ms, struct iotarget_wait_report *report);
int iotarget_purge(struct iotarget *target, enum iotarget_purge_action action,
		   unsigned int timeout_ms,
		   struct iotarget_wait_report *report);
enum iotarget_state iotarget_get_state(struct iotarget *target);
int iotarget_get_info(struct iotarget *target, struct iotarget_info *info);
struct block_device *iotarget_get_bdev(struct iotarget *target);
const char *iotarget_name(struct iotarget *target);
struct device *iotarget_owner(struct iotarget *target);
void *iotarget_priv(struct iotarget *target);

/* policy.c */
int iotarget_set_policy(struct iotarget *target,
			const struct iotarget_policy *policy);
void iotarget_accept_loss(struct iotarget *target);

/* stops.c */
int iotarget_stop_for(struct iotarget *target, unsigned int expires_ms,
		      const char *reason);

/* defaults.c, asked.c */
int iotarget_query_remove_default(struct iotarget *target,
				  const struct iotarget_query *query);
int iotarget_query_remove_hold(struct iotarget *target,
			       const struct iotarget_query *query);
bool iotarget_query_is_moot(struct iotarget *target);
int iotarget_remove_canceled_default(struct iotarget *target);
void iotarget_set_upper(struct iotarget *target, const struct gendisk *disk);

/* query.c */
struct iotarget_consent *
iotarget_query_remove(struct device *dev,
		      const struct iotarget_query_params *params,
		      struct iotarget_refusal *refusal);
int iotarget_query_wait(struct iotarget_consent *consent,
			unsigned int timeout_ms);
int iotarget_query_end(struct iotarget_consent *consent,
		       unsigned int timeout_ms);

/* reqmem.c, format.c, request.c */
struct iotarget_request *iotarget_request_alloc(gfp_t gfp);
void iotarget_request_init(struct iotarget_request *req);
int iotarget_request_reuse(struct iotarget_request *req);
int iotarget_request_free(struct iotarget_request *req);
int iotarget_format_read(struct iotarget *target, struct iotarget_request *req,
			 const struct iotarget_buffer *buf, u64 pos);
int iotarget_format_write(struct iotarget *target, struct iotarget_request *req,
			  const struct iotarget_buffer *buf, u64 pos);
int iotarget_format_flush(struct iotarget *target,
			  struct iotarget_request *req);
int iotarget_request_set_fua(struct iotarget_request *req);
int iotarget_request_set_complete(struct iotarget_request *req,
				  iotarget_complete_fn *complete, void *context);
int iotarget_send(struct iotarget *target, struct iotarget_request *req,
		  const struct iotarget_send_params *params);
bool iotarget_request_cancel(struct iotarget_request *req);
int iotarget_request_wait(struct iotarget_request *req,
			  unsigned int timeout_ms);
int iotarget_request_status(const struct iotarget_request *req);
size_t iotarget_request_bytes(const struct iotarget_request *req);
enum iotarget_outcome iotarget_request_outcome(const struct iotarget_request *req);
enum iotarget_req_type iotarget_request_type(const struct iotarget_request *req);
u64 iotarget_request_pos(const struct iotarget_request *req);

/* bio.c */
void iotarget_bio_init(struct iotarget_bio *tb, struct bio_vec *table,
		       unsigned short max_vecs, blk_opf_t opf,
		       iotarget_bio_complete_fn *complete);
int iotarget_send_bio(struct iotarget *target, struct iotarget_bio *tb,
		      u32 flags);
bool iotarget_cancel_bio(struct iotarget *target, struct iotarget_bio *tb);
enum iotarget_outcome iotarget_bio_outcome(const struct iotarget_bio *tb);
void iotarget_forward_bio(struct iotarget *target, struct bio *bio, u32 flags);

/* enter.c */
int iotarget_enter(struct iotarget *target, struct iotarget_entry *entry,
		   unsigned int timeout_ms);
void iotarget_leave(struct iotarget_entry *entry);

/* sync.c */
int iotarget_read(struct iotarget *target, void *data, size_t len, u64 pos,
		  unsigned int timeout_ms, struct iotarget_result *result);
int iotarget_write(struct iotarget *target, const void *data, size_t len,
		   u64 pos, unsigned int timeout_ms,
		   struct iotarget_result *result);
int iotarget_flush(struct iotarget *target, unsigned int timeout_ms,
		   struct iotarget_result *result);
int iotarget_read_wait_forever(struct iotarget *target,
			       const struct iotarget_buffer *buf, u64 pos,
			       struct iotarget_result *result);
int iotarget_write_wait_forever(struct iotarget *target,
				const struct iotarget_buffer *buf, u64 pos,
				struct iotarget_result *result);
int iotarget_flush_wait_forever(struct iotarget *target,
				struct iotarget_result *result);

#endif /* _LINUX_IOTARGET_H */
