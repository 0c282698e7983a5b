// SPDX-License-Identifier: GPL-2.0-only
/*
 * Owners of targets who are told of removals, for unit tests.
 *
 * Context: process.  Lock: owners->lock for the log.
 */
#include <kunit/test.h>
#include <linux/blkdev.h>
#include <linux/module.h>
#include <linux/slab.h>

#include "owner.h"

struct owners *owners;

static void begin(struct owner *o, enum owner_told what)
{
	if (atomic_inc_return(&o->running) != 1)
		o->overlaps++;
	spin_lock(&owners->lock);
	if (owners->nr < OWNER_LOG)
		owners->log[owners->nr] = (struct owner_log){
			.owner = o - owners->owner, .told = what,
		};
	owners->nr++;
	spin_unlock(&owners->lock);
	if (o->on)
		o->on(o, what);
	if (o->hold == what) {
		complete(&o->entered);
		wait_for_completion(&o->go);
	}
}

static void end(struct owner *o)
{
	atomic_dec(&o->running);
}

static int owner_query_remove(struct iotarget *target,
			      const struct iotarget_query *query)
{
	struct owner *o = iotarget_priv(target);
	int ret = o->answer;

	o->query = *query;
	begin(o, TOLD_QUERY);
	if (!ret && o->holds)
		ret = iotarget_query_remove_hold(target, query);
	else if (!ret && !o->stays)
		ret = iotarget_query_remove_default(target, query);
	end(o);
	return ret;
}

static void owner_remove_canceled(struct iotarget *target)
{
	struct owner *o = iotarget_priv(target);

	begin(o, TOLD_CANCELED);
	iotarget_remove_canceled_default(target);
	end(o);
}

static void owner_remove_complete(struct iotarget *target)
{
	struct owner *o = iotarget_priv(target);

	begin(o, TOLD_COMPLETE);
	end(o);
}

static const struct iotarget_ops owner_ops = {
	.owner			= THIS_MODULE,
	.query_remove		= owner_query_remove,
	.remove_canceled	= owner_remove_canceled,
	.remove_complete	= owner_remove_complete,
};

static void owner_make(struct kunit *test, struct owner *o, const char *name,
		       const struct iotarget_ops *ops)
{
	const struct iotarget_create_params params = {
		.name = name, .ops = ops, .priv = o,
	};
	struct iotarget *target = iotarget_create(&params);

	init_completion(&o->entered);
	init_completion(&o->go);
	KUNIT_ASSERT_FALSE(test, IS_ERR(target));
	o->target = iotarget_get(target);
}

int owners_init(struct kunit *test)
{
	struct owners *os = kunit_kzalloc(test, sizeof(*os), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, os);
	owners = os;
	spin_lock_init(&os->lock);
	os->page = alloc_page(GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, os->page);
	for (i = 0; i < ARRAY_SIZE(os->io); i++)
		iotarget_request_init(&os->io[i].req);
	for (i = 0; i < ARRAY_SIZE(os->fd); i++)
		KUNIT_ASSERT_EQ(test, fakedisk_make(&os->fd[i]), 0);
	owner_make(test, &os->owner[0], "owner0", &owner_ops);
	owner_make(test, &os->owner[1], "owner1", &owner_ops);
	owner_make(test, &os->plain, "plain", NULL);
	return owner_open(&os->owner[0], &os->fd[0]);
}

static void answer_all(void)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(owners->fd); i++) {
		owners->fd[i].hold = false;
		fakedisk_answer_all(&owners->fd[i], BLK_STS_OK);
	}
}

static bool all_over(struct owner *o)
{
	answer_all();
	fake_settle_all();
	return !READ_ONCE(o->target->gate.nr_insts) &&
	       kref_read(&o->target->refs) == 1;
}

static void owner_end(struct kunit *test, struct owner *o)
{
	if (!o->target)
		return;
	complete_all(&o->go);
	if (!o->deleted)
		iotarget_delete(o->target, 0, NULL);
	KUNIT_EXPECT_TRUE(test, fake_until(all_over(o)));
	KUNIT_EXPECT_EQ(test, o->overlaps, 0);
	KUNIT_EXPECT_EQ(test, atomic_read(&o->running), 0);
	KUNIT_EXPECT_EQ(test, o->target->gate.nr_pended, 0);
	iotarget_put(o->target);
	o->target = NULL;
}

void owners_exit(struct kunit *test)
{
	unsigned int i;

	if (!owners)
		return;
	iotarget_hook_handler = NULL;
	answer_all();
	for (i = 0; i < ARRAY_SIZE(owners->owner); i++)
		owner_end(test, &owners->owner[i]);
	owner_end(test, &owners->plain);
	if (owners->call.fn)
		KUNIT_EXPECT_NE(test, fake_call_wait(&owners->call),
				-EINPROGRESS);
	fake_settle_all();
	for (i = 0; i < ARRAY_SIZE(owners->fd); i++)
		fakedisk_remove(&owners->fd[i]);
	if (owners->page)
		__free_page(owners->page);
	owners = NULL;
}

int owner_open(struct owner *o, struct fakedisk *fd)
{
	return fakedisk_open(o->target, fd);
}

static void io_complete(struct iotarget *target, struct iotarget_request *req,
			void *context)
{
	struct owner_io *io = context;

	io->status = iotarget_request_status(req);
	io->outcome = iotarget_request_outcome(req);
	WRITE_ONCE(io->ended, true);
}

int owner_read(struct owner *o, struct owner_io *io)
{
	const struct iotarget_buffer buf =
		iotarget_buf(page_address(owners->page), SZ_4K);

	return iotarget_format_read(o->target, &io->req, &buf, 0) ?:
	       iotarget_request_set_complete(&io->req, io_complete, io) ?:
	       iotarget_send(o->target, &io->req, NULL);
}

/* For another thread. */
int owner_close(void *owner)
{
	return iotarget_close(((struct owner *)owner)->target, FAKE_LONG_MS,
			      NULL);
}

bool owner_closed(struct owner *o)
{
	return owner_is(o, IOTARGET_W_CLOSED) &&
	       !READ_ONCE(o->target->gate.nr_insts);
}

/* As a source of events does. */
void owners_tell(struct fakedisk *fd, enum iotarget_removal_level level)
{
	mutex_lock(&iotarget_lowers_lock);
	iotarget_removal_tell(fd->disk, NULL, level);
	mutex_unlock(&iotarget_lowers_lock);
}

/* For another thread: an orderly removal begins. */
int owners_notice(void *fd)
{
	iotarget_watch_dead(((struct fakedisk *)fd)->disk->part0, false);
	return 0;
}

/* May the first disk go? */
struct iotarget_consent *owners_query(u32 flags, u32 timeout_ms, u32 expires_ms)
{
	const struct iotarget_query_params params = {
		.flags = flags,
		.timeout_ms = timeout_ms,
		.expires_ms = expires_ms,
	};

	return iotarget_query_remove(disk_to_dev(owners->fd[0].disk), &params,
				     &owners->refusal);
}

struct iotarget_consent *owners_query_long(void)
{
	return owners_query(0, FAKE_LONG_MS, 0);
}

/* It is in the callback in which it is to wait. */
bool owner_entered(struct owner *o)
{
	return wait_for_completion_timeout(&o->entered,
					   msecs_to_jiffies(FAKE_LONG_MS));
}

static bool idle(struct owner *o)
{
	bool is;

	flush_work(&o->target->removal.work);
	mutex_lock(&iotarget_lowers_lock);
	is = !o->target->removal.todo;
	mutex_unlock(&iotarget_lowers_lock);
	return is;
}

/* Nobody is being told anything. */
bool owners_idle(void)
{
	return fake_until(idle(&owners->owner[0]) && idle(&owners->owner[1]) &&
			  idle(&owners->plain));
}

void owners_expect(struct kunit *test, const struct owner_log *want,
		   unsigned int nr)
{
	unsigned int i;

	KUNIT_EXPECT_TRUE(test, owners_idle());
	KUNIT_EXPECT_EQ(test, owners->nr, nr);
	for (i = 0; i < min3(nr, owners->nr, (unsigned int)OWNER_LOG); i++) {
		KUNIT_EXPECT_EQ_MSG(test, owners->log[i].owner, want[i].owner,
				    "callback %u", i);
		KUNIT_EXPECT_EQ_MSG(test, owners->log[i].told, want[i].told,
				    "callback %u", i);
	}
}
