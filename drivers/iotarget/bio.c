// SPDX-License-Identifier: GPL-2.0-only
/*
 * Bios: what a stacked driver passes down through the same gate as requests.
 *
 * There are two kinds.  A bio of the caller's own is part of a struct
 * iotarget_bio, which has room for all the tracking: sending it allocates
 * nothing.  A bio that came to the caller from above belongs to somebody else,
 * down to its end_io and private fields.  While the gate is shut it is held by
 * its bi_next alone, and when it has passed, a clone of it is sent that carries
 * the tracking.  The clone is made with the device that it goes to, so that it
 * keeps the cgroup of the one who submitted the bio, whoever sends it on.
 *
 * There is one clone for each bio, made after the gate and freed before the bio
 * completes, and each open instance has a bioset of its own.  So whoever waits
 * for a clone waits for bios that are with the device, never for one that waits
 * in current->bio_list behind us, and no rescuer is needed.
 *
 * As with requests, what was sent is counted until the completion of the upper
 * bio has run: when a waiting stop returns, all of them are over.
 *
 * Context: sending as submit_bio(), which may sleep; completions in any, hard
 * irq included.  Locks: none of its own.
 */
#include <linux/bio.h>
#include <linux/blkdev.h>
#include <linux/export.h>
#include <trace/events/block.h>

#include "gate.h"
#include "keep.h"

#define FORWARD_ALL	(IOTARGET_SEND_IGNORE_STATE | \
			 IOTARGET_SEND_AND_FORGET | IOTARGET_SEND_ATOMIC)
#define OWN_ALL		(IOTARGET_SEND_IGNORE_STATE | IOTARGET_SEND_ATOMIC | \
			 IOTARGET_SEND_NOWAIT)

static unsigned int unit_flags(u32 flags)
{
	return (flags & IOTARGET_SEND_IGNORE_STATE ? IOTARGET_UNIT_IGNORE : 0) |
	       (flags & IOTARGET_SEND_ATOMIC ? IOTARGET_UNIT_ATOMIC : 0) |
	       (flags & IOTARGET_SEND_NOWAIT ? IOTARGET_UNIT_NOWAIT : 0);
}

/* Zones are not understood yet, nor is waiting for a completion by polling. */
static __always_inline bool not_supported(const struct bio *bio)
{
	return bio->bi_opf & REQ_POLLED || op_is_zone_mgmt(bio_op(bio)) ||
	       bio_op(bio) == REQ_OP_ZONE_APPEND;
}

static __always_inline enum iotarget_outcome
outcome_of(struct iotarget_inst *inst, blk_status_t status)
{
	return likely(!status) ? IOTARGET_DONE :
				 iotarget_block_outcome(inst, status);
}

/* -- bios of somebody else ------------------------------------------------- */

static __always_inline void end_upper(struct iotarget *target,
				      struct bio *upper, blk_status_t status)
{
	if (unlikely(status))
		upper->bi_status = status;
	lock_map_acquire_read(&target->gate.map);
	bio_endio(upper);
	lock_map_release(&target->gate.map);
}

/* Behind what is held, for a worker.  False if nothing is accepted any more. */
static bool send_again(struct iotarget *target, struct bio *upper)
{
	struct iotarget_pass pass = { .flags = IOTARGET_UNIT_ATOMIC };
	int error;

	return iotarget_gate_enter_bio(target, upper, &pass, &error) ==
	       IOTARGET_HELD;
}

/* It is back, or never left: the owner's word, then that of its submitter. */
static __always_inline void
finish_upper(struct iotarget *target, struct bio *upper, blk_status_t status,
	     enum iotarget_outcome outcome)
{
	if (unlikely(outcome == IOTARGET_UNKNOWN))
		atomic_long_inc(&target->unknown);
	if (target->ops->end_bio &&
	    target->ops->end_bio(target, upper, &status, outcome) ==
	    IOTARGET_BIO_AGAIN && send_again(target, upper))
		return;
	end_upper(target, upper, status);
}

/* Not to be sent, and so not to be sent again either. */
static void end_refused(struct iotarget *target, struct bio *upper)
{
	blk_status_t status = BLK_STS_NOTSUPP;

	if (target->ops->end_bio)
		target->ops->end_bio(target, upper, &status,
				     IOTARGET_NEVER_SENT);
	end_upper(target, upper, status);
}

static void forward_end_io(struct bio *clone)
{
	struct iotarget_forward *fwd = container_of(clone,
						    struct iotarget_forward,
						    clone);
	const struct iotarget_pass pass = fwd->pass;
	const blk_status_t status = clone->bi_status;
	struct bio *upper = fwd->upper;
	enum iotarget_outcome outcome;

	if (fwd->counted)
		bio_end_io_acct(upper, fwd->start);
	if (unlikely(pass.inst->keep))
		iotarget_keep_back(pass.inst->keep, upper->bi_opf,
				   upper->bi_iter.bi_size, !status, fwd->covers);
	outcome = outcome_of(pass.inst, status);
	if (unlikely(outcome == IOTARGET_UNKNOWN) && pass.inst->keep &&
	    iotarget_suspect_keep(fwd))
		goto leave;
	bio_put(clone);
	finish_upper(pass.inst->target, upper, status, outcome);
leave:
	iotarget_gate_leave_inline(pass.inst, pass.epoch, pass.flags);
}

/* It passed the gate and can't go on. */
static void forward_ended(const struct iotarget_pass pass, struct bio *bio,
			  blk_status_t status, enum iotarget_outcome outcome)
{
	finish_upper(pass.inst->target, bio, status, outcome);
	iotarget_gate_leave(pass.inst, pass.epoch, pass.flags);
}

static void forward_failed(const struct iotarget_pass pass, struct bio *bio,
			   blk_status_t status)
{
	forward_ended(pass, bio, status, IOTARGET_NEVER_SENT);
}

/*
 * Whether the clone comes from the per-CPU cache is asked for by a flag of the
 * bio that is cloned.  Here it is in our hands, so nobody else sees the flag.
 */
static struct bio *clone_of(struct iotarget_inst *inst, struct bio *bio,
			    gfp_t gfp)
{
	const blk_opf_t opf = bio->bi_opf;
	struct bio *clone;

	bio->bi_opf |= REQ_ALLOC_CACHE;
	clone = bio_alloc_clone(NULL, bio, gfp, inst->clones);
	bio->bi_opf = opf;
	if (unlikely(!clone))
		return NULL;
	/*
	 * With the device given above, the clone would first be associated
	 * with the cgroup of whoever runs this.
	 */
	clone->bi_bdev = inst->bdev;
	bio_clone_blkg_association(clone, bio);
	/* Older kernels tell by this whether it may have to be split. */
	clone->bi_vcnt = bio->bi_vcnt;
	return clone;
}

static void forward_submit(const struct iotarget_pass pass, struct bio *bio)
{
	const bool nowait = bio->bi_opf & REQ_NOWAIT;
	struct iotarget_inst *inst = pass.inst;
	struct iotarget_forward *fwd;
	struct bio *clone;

	if (WARN_ON_ONCE(!inst->bdev)) {
		forward_failed(pass, bio, BLK_STS_NOTSUPP);
		return;
	}
	if (unlikely(inst->keep) &&
	    iotarget_keep_refuses(inst->keep, bio->bi_opf)) {
		forward_ended(pass, bio, BLK_STS_IOERR, IOTARGET_UNKNOWN);
		return;
	}
	clone = clone_of(inst, bio, nowait ? GFP_NOWAIT : GFP_NOIO);
	if (unlikely(!clone)) {
		forward_failed(pass, bio, nowait ? BLK_STS_AGAIN :
						   BLK_STS_RESOURCE);
		return;
	}
	fwd = container_of(clone, struct iotarget_forward, clone);
	fwd->pass = pass;
	fwd->upper = bio;
	fwd->counted = inst->target->account &&
		       blk_queue_io_stat(bdev_get_queue(bio->bi_bdev));
	if (fwd->counted)
		fwd->start = bio_start_io_acct(bio);
	clone->bi_end_io = forward_end_io;
	if (unlikely(inst->keep)) {
		fwd->sent = ktime_get_ns();
		fwd->covers = iotarget_keep_sent(inst->keep, bio->bi_opf,
						 bio->bi_iter.bi_sector,
						 bio->bi_iter.bi_size);
	}
	trace_block_bio_remap(clone, bio->bi_bdev->bd_dev,
			      bio->bi_iter.bi_sector);
	submit_bio_noacct(clone);
}

/**
 * iotarget_forward_drained - send a forwarded bio that was held
 * @pass: of the gate
 * @bio: the bio
 * @again: it was sent before, to a device that was gone
 *
 * Context: the drain worker.
 */
void iotarget_forward_drained(struct iotarget_pass *pass, struct bio *bio,
			      bool again)
{
	if (likely(!READ_ONCE(pass->inst->detached)))
		forward_submit(*pass, bio);
	else if (again)
		forward_ended(*pass, bio, BLK_STS_IOERR, IOTARGET_UNKNOWN);
	else
		forward_failed(*pass, bio, BLK_STS_OFFLINE);
}

/**
 * iotarget_forward_fail - complete a held bio that was taken off the FIFO
 * @target: the target
 * @bio: the bio
 *
 * Context: any.
 */
void iotarget_forward_fail(struct iotarget *target, struct bio *bio)
{
	finish_upper(target, bio, BLK_STS_OFFLINE, IOTARGET_NEVER_SENT);
	iotarget_gate_failed(target);
}

/**
 * iotarget_forward_unknown - complete a bio that failed, and was kept for a while
 * @target: the target
 * @bio: the bio, with the status that the device gave, or none
 *
 * Context: any.
 */
void iotarget_forward_unknown(struct iotarget *target, struct bio *bio)
{
	const blk_status_t status = bio->bi_status ?: BLK_STS_IOERR;

	bio->bi_status = BLK_STS_OK;	/* the owner has a word in it */
	finish_upper(target, bio, status, IOTARGET_UNKNOWN);
	iotarget_gate_failed(target);
}

/* The gate said no.  Nothing of the target was ever promised for it. */
static void forward_refused(struct iotarget *target, struct bio *bio, int error)
{
	blk_status_t status = BLK_STS_OFFLINE;

	if (error == -EAGAIN)	/* or it was only a guess, and a miss is fine */
		status = bio->bi_opf & REQ_NOWAIT ? BLK_STS_AGAIN :
						    BLK_STS_IOERR;
	if (status == BLK_STS_AGAIN)
		bio_set_flag(bio, BIO_QUIET);
	finish_upper(target, bio, status, IOTARGET_NEVER_SENT);
}

/* Remapped: the device's driver completes the bio, and we hear nothing of it. */
static void forward_and_forget(const struct iotarget_pass pass, struct bio *bio)
{
	const dev_t dev = bio->bi_bdev->bd_dev;

	bio_set_dev(bio, pass.inst->bdev);
	trace_block_bio_remap(bio, dev, bio->bi_iter.bi_sector);
	submit_bio_noacct(bio);
	iotarget_gate_leave(pass.inst, pass.epoch, pass.flags);
}

/*
 * Inside a submit_bio() what is sent waits in current->bio_list until that
 * returns, maybe behind bios for other devices: once the gate is left, a close
 * could release the device under it.
 */
static bool may_forget(u32 flags)
{
	return flags & IOTARGET_SEND_AND_FORGET && !current->bio_list;
}

static const char *bad_forward(struct iotarget *target, const struct bio *bio,
			       u32 flags)
{
	if (flags & ~FORWARD_ALL)
		return "unknown flag";
	if (flags & IOTARGET_SEND_ATOMIC &&
	    flags & IOTARGET_SEND_IGNORE_STATE)
		return "atomic and past the state";
	if (not_supported(bio))
		return "polled or zoned";
	return NULL;
}

/* Whatever is not just sent through open gates. */
static noinline void forward_slow(struct iotarget *target, struct bio *bio,
				  u32 flags)
{
	struct iotarget_pass pass = { .flags = unit_flags(flags) };
	const char *bad = bad_forward(target, bio, flags);
	int error;

	if (unlikely(bad)) {
		iotarget_warn(target, "bio refused: %s\n", bad);
		end_refused(target, bio);
		return;
	}
	if (bio->bi_opf & (REQ_NOWAIT | REQ_RAHEAD))
		pass.flags |= IOTARGET_UNIT_NOWAIT;

	switch (iotarget_gate_enter_bio(target, bio, &pass, &error)) {
	case IOTARGET_ENTERED:
		if (may_forget(flags) && !pass.inst->keep)
			forward_and_forget(pass, bio);
		else
			forward_submit(pass, bio);
		break;
	case IOTARGET_HELD:
		break;
	case IOTARGET_REFUSED:
		forward_refused(target, bio, error);
		break;
	}
}

/**
 * iotarget_forward_bio - pass a bio on that came from above
 * @target: the target
 * @bio: the bio, as the driver's submit_bio() got it; sector and length are
 *	those on the target's device
 * @flags: 0 or more of:
 *	%IOTARGET_SEND_IGNORE_STATE: pass a stopped or purged target;
 *	%IOTARGET_SEND_AND_FORGET: only remap the bio, if the gate is open; its
 *	completion is neither tracked nor told to the owner.  One that has to
 *	be held is forwarded like any other in the end, and so is one that is
 *	sent from a submit_bio(), as it has not reached the device when this
 *	call returns, and any with %IOTARGET_POLICY_HOLD, which has to know;
 *	%IOTARGET_SEND_ATOMIC: the caller may not sleep, a worker submits
 *
 * The bio completes, always and once, maybe inside this call: as the device
 * says; or with %BLK_STS_OFFLINE if the target is closed, purged or deleted, or
 * becomes so while the bio is held; with %BLK_STS_AGAIN or %BLK_STS_IOERR
 * instead of being held if it is %REQ_NOWAIT or %REQ_RAHEAD; with
 * %BLK_STS_NOTSUPP if it is polled or for zones, or @flags are bad
 * (%IOTARGET_SEND_ATOMIC with %IOTARGET_SEND_IGNORE_STATE is).  While it is held nothing is
 * allocated.  What is longer than the device takes is split below.  Operation,
 * flags, priority, hints, integrity and encryption go along, and so does the
 * cgroup of the submitter.
 *
 * One submit_bio() forwards one bio to a target.  What is to become several is
 * split by bio_split(), and the rest submitted again: two clones of which the
 * first waits for the caller to return could use up what is set aside for when
 * memory is short.
 *
 * KMDF: WdfRequestFormatRequestUsingCurrentType and WdfRequestSend to the local
 * I/O target.
 *
 * Context: as submit_bio(); any with %IOTARGET_SEND_ATOMIC.
 */
void iotarget_forward_bio(struct iotarget *target, struct bio *bio, u32 flags)
{
	struct iotarget_pass pass = { };

	if (likely(!flags && !not_supported(bio) &&
		   iotarget_gate_pass_direct(target, bio, &pass)))
		forward_submit(pass, bio);
	else
		forward_slow(target, bio, flags);
}
EXPORT_SYMBOL_GPL(iotarget_forward_bio);

/* -- bios of the caller's own ---------------------------------------------- */

static struct iotarget_bio *unit_to_bio(struct iotarget_unit *unit)
{
	return container_of(unit, struct iotarget_bio, unit);
}

static __always_inline void own_finish(struct iotarget_bio *tb,
				       enum iotarget_outcome outcome)
{
	const unsigned int uflags = tb->unit.flags;
	const unsigned int epoch = tb->unit.epoch;
	struct iotarget_inst *inst = tb->unit.inst;
	struct iotarget *target = tb->target;

	if (unlikely(outcome == IOTARGET_UNKNOWN))
		atomic_long_inc(&target->unknown);
	tb->outcome = outcome;
	tb->unit.inst = NULL;
	WRITE_ONCE(tb->unit.where, IOTARGET_AT_NONE);
	lock_map_acquire_read(&target->gate.map);
	tb->complete(target, tb);
	lock_map_release(&target->gate.map);
	/* Its memory may be gone. */
	if (likely(inst))
		iotarget_gate_leave_inline(inst, epoch, uflags);
	else
		iotarget_gate_failed(target);
}

/* The block layer never had it, so what it took on at the gate is put here. */
static noinline void own_ended(struct iotarget_bio *tb, blk_status_t status,
			       enum iotarget_outcome outcome)
{
	bio_uninit(&tb->bio);
	tb->bio.bi_status = status;
	own_finish(tb, outcome);
}

static void own_fail(struct iotarget_bio *tb, blk_status_t status)
{
	own_ended(tb, status, IOTARGET_NEVER_SENT);
}

/* False: it is not to be sent. */
static noinline bool own_keep(struct iotarget_bio *tb,
			      struct iotarget_keep *keep)
{
	struct bio *bio = &tb->bio;

	if (iotarget_keep_refuses(keep, bio->bi_opf))
		return false;
	tb->unit.bytes = bio->bi_iter.bi_size;
	tb->unit.covers = iotarget_keep_sent(keep, bio->bi_opf,
					     bio->bi_iter.bi_sector,
					     tb->unit.bytes);
	return true;
}

static void own_end_io(struct bio *bio)
{
	struct iotarget_bio *tb = container_of(bio, struct iotarget_bio, bio);
	struct iotarget_keep *keep = tb->unit.inst->keep;

	if (unlikely(keep))
		iotarget_keep_back(keep, bio->bi_opf, tb->unit.bytes,
				   !bio->bi_status, tb->unit.covers);
	own_finish(tb, outcome_of(tb->unit.inst, bio->bi_status));
}

static __always_inline void own_submit(struct iotarget_bio *tb,
				       struct iotarget_inst *inst)
{
	WRITE_ONCE(tb->unit.where, IOTARGET_AT_SENT);
	if (unlikely(READ_ONCE(inst->detached) || WARN_ON_ONCE(!inst->bdev))) {
		own_fail(tb, BLK_STS_OFFLINE);
		return;
	}
	if (unlikely(inst->keep) && !own_keep(tb, inst->keep)) {
		own_ended(tb, BLK_STS_IOERR, IOTARGET_UNKNOWN);
		return;
	}
	/* Keeps the cgroup that it has, and gives it the submitter's if none. */
	bio_set_dev(&tb->bio, inst->bdev);
	tb->bio.bi_end_io = own_end_io;
	submit_bio(&tb->bio);
}

/**
 * iotarget_bio_submit - give a bio that passed the gates to the device
 * @unit: its unit; not to be touched afterwards
 *
 * Context: process; may sleep as submit_bio() may.
 */
void iotarget_bio_submit(struct iotarget_unit *unit)
{
	own_submit(unit_to_bio(unit), unit->inst);
}

/**
 * iotarget_bio_fail - complete a held bio that was taken off the FIFO
 * @target: the target
 * @unit: its unit
 *
 * Context: any.
 */
void iotarget_bio_fail(struct iotarget *target, struct iotarget_unit *unit)
{
	own_fail(unit_to_bio(unit), BLK_STS_OFFLINE);
}

/**
 * iotarget_bio_init - prepare a bio of the caller's own
 * @tb: the bio and its tracking
 * @table: room for its bio_vecs, or NULL
 * @max_vecs: how many
 * @opf: operation and flags
 * @complete: called when it has completed
 *
 * What carries data is added with bio_add_page() and the like, and
 * ``tb->bio.bi_iter.bi_sector`` is set by the caller.  One that completed needs
 * nothing more, as after bio_endio(); before it is sent again, the caller begins
 * anew here.  One that was refused may have a reference of a cgroup: unless it
 * is sent again, bio_uninit() is due.
 *
 * Extension.
 *
 * Context: any.
 */
void iotarget_bio_init(struct iotarget_bio *tb, struct bio_vec *table,
		       unsigned short max_vecs, blk_opf_t opf,
		       iotarget_bio_complete_fn *complete)
{
	/* The rest of the unit is set when it is sent, or held. */
	tb->unit.inst = NULL;
	tb->unit.where = IOTARGET_AT_NONE;
	tb->target = NULL;
	tb->complete = complete;
	tb->outcome = IOTARGET_OUTCOME_NONE;
	bio_init(&tb->bio, NULL, table, max_vecs, opf);
}
EXPORT_SYMBOL_GPL(iotarget_bio_init);

/*
 * It will be held: it gets its submitter's cgroup now, a worker has another.  In
 * an interrupt there is no submitter, only somebody who was interrupted.
 */
static void associate(struct iotarget *target, struct bio *bio)
{
	struct iotarget_inst *inst;

	inst = in_task() ? iotarget_inst_hold(target) : NULL;
	if (!inst)
		return;
	if (inst->bdev)
		bio_set_dev(bio, inst->bdev);
	iotarget_inst_unhold(inst);
}

static enum iotarget_enter own_enter(struct iotarget *target,
				     struct iotarget_bio *tb, u32 flags,
				     int *error)
{
	const unsigned int uflags = unit_flags(flags) | IOTARGET_UNIT_BIO;
	enum iotarget_enter ret;

	tb->unit.inst = NULL;
	if (flags & IOTARGET_SEND_ATOMIC) {
		associate(target, &tb->bio);
		tb->unit.flags = uflags;
		return iotarget_gate_enter(target, &tb->unit, error);
	}
	tb->unit.flags = uflags | IOTARGET_UNIT_NOWAIT;
	ret = iotarget_gate_enter(target, &tb->unit, error);
	if (ret != IOTARGET_REFUSED || *error != -EAGAIN ||
	    flags & IOTARGET_SEND_NOWAIT)
		return ret;
	associate(target, &tb->bio);
	tb->unit.flags = uflags;
	return iotarget_gate_enter(target, &tb->unit, error);
}

/* Whatever is not just sent through open gates. */
static noinline int send_slow(struct iotarget *target, struct iotarget_bio *tb,
			      u32 flags)
{
	int error;

	if (flags & ~OWN_ALL ||
	    (flags & IOTARGET_SEND_NOWAIT && flags & ~IOTARGET_SEND_NOWAIT)) {
		iotarget_warn(target, "bio refused: bad flags\n");
		return -EINVAL;
	}
	if (not_supported(&tb->bio)) {
		iotarget_warn(target, "bio refused: polled or zoned\n");
		return -EOPNOTSUPP;
	}
	if (tb->bio.bi_opf & REQ_NOWAIT)
		flags |= IOTARGET_SEND_NOWAIT;
	tb->target = target;
	switch (own_enter(target, tb, flags, &error)) {
	case IOTARGET_ENTERED:
		iotarget_bio_submit(&tb->unit);
		return 0;
	case IOTARGET_HELD:
		return 0;
	default:
		return error;
	}
}

/**
 * iotarget_send_bio - send a bio of the caller's own
 * @target: the target
 * @tb: the bio, prepared by iotarget_bio_init() and filled in
 * @flags: %IOTARGET_SEND_IGNORE_STATE, %IOTARGET_SEND_ATOMIC,
 *	%IOTARGET_SEND_NOWAIT, as in iotarget_send()
 *
 * After success the bio completes once, maybe before this call returns: by the
 * callback, with ``tb->bio.bi_status`` set and iotarget_bio_outcome() telling
 * what is known.  One that is held when the target is purged or closed completes
 * with %BLK_STS_OFFLINE, never sent.  After an error there is no callback.
 *
 * Extension.
 *
 * Context: as submit_bio(); any with %IOTARGET_SEND_ATOMIC.
 * Return: 0; -ESHUTDOWN: closed, purged or deleted; -EAGAIN: it would be held,
 * and the bio is %REQ_NOWAIT or the flag says not to; -ENOBUFS: its device is away, and
 * more than the policy's hold_bytes would be held; -EOPNOTSUPP: polled or
 * for zones; -EINVAL.
 */
int iotarget_send_bio(struct iotarget *target, struct iotarget_bio *tb,
		      u32 flags)
{
	struct iotarget_inst *inst;

	if (unlikely(!target || !tb || !tb->complete))
		return -EINVAL;
	if (unlikely(flags || not_supported(&tb->bio)))
		return send_slow(target, tb, flags);
	inst = iotarget_gate_enter_direct(&target->gate, &tb->unit);
	if (unlikely(!inst))
		return send_slow(target, tb, flags);
	tb->target = target;
	tb->unit.inst = inst;
	tb->unit.epoch = iotarget_gate_count(inst);
	tb->unit.flags = IOTARGET_UNIT_BIO;
	own_submit(tb, inst);
	return 0;
}
EXPORT_SYMBOL_GPL(iotarget_send_bio);

/**
 * iotarget_cancel_bio - take back a bio that is held
 * @target: where it was sent; the caller has a reference of it
 * @tb: the bio; the caller sees to it that its memory stays
 *
 * One that is held completes inside this call, with %BLK_STS_IOERR and never
 * sent.  One that is with the device stays there: it can't be cancelled.
 *
 * Extension.
 *
 * Context: any.
 * Return: true if it was held.
 */
bool iotarget_cancel_bio(struct iotarget *target, struct iotarget_bio *tb)
{
	if (!target || !tb || tb->target != target ||
	    !iotarget_gate_unpend(target, &tb->unit))
		return false;
	own_fail(tb, BLK_STS_IOERR);
	return true;
}
EXPORT_SYMBOL_GPL(iotarget_cancel_bio);

/**
 * iotarget_bio_outcome - what is known of a bio's effect on the device
 * @tb: the bio, completed
 *
 * Context: any.
 * Return: the outcome.
 */
enum iotarget_outcome iotarget_bio_outcome(const struct iotarget_bio *tb)
{
	return tb->outcome;
}
EXPORT_SYMBOL_GPL(iotarget_bio_outcome);
