// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whom a query concerns: the disks that go with the device, the targets on them, the disks
 * that stand on those, and so on up.
 *
 * Context: process; sleeps.  Lock: none; iotarget_lowers_lock inside what is called.
 */
#include <linux/blkdev.h>
#include <linux/list.h>
#include <linux/slab.h>

#include "query.h"

/**
 * iotarget_scope_of - is a disk concerned?
 * @c: the query
 * @watch: the disk's
 *
 * Context: process; with iotarget_lowers_lock, if the query is another's.
 * Return: what is known of it, or NULL.
 */
struct scope *iotarget_scope_of(struct iotarget_consent *c,
				const struct iotarget_watch *watch)
{
	struct scope *s;

	list_for_each_entry(s, &c->scopes, node) {
		if (s->watch == watch)
			return s;
	}
	return NULL;
}

static int add_scope(struct iotarget_consent *c, struct iotarget_watch *watch,
		     unsigned int depth)
{
	struct scope *s = iotarget_scope_of(c, watch);

	if (s) {
		s->depth = max(s->depth, depth);
		return 0;
	}
	s = kzalloc(sizeof(*s), GFP_KERNEL);
	if (!s)
		return -ENOMEM;
	s->disk = iotarget_watch_hold(watch);
	if (!s->disk) {			/* it has left already */
		kfree(s);
		return 0;
	}
	s->watch = iotarget_watch_ref(watch);
	s->depth = depth;
	INIT_LIST_HEAD(&s->parks);
	list_add_tail(&s->node, &c->scopes);
	return 0;
}

static int add_ask(struct iotarget_consent *c, const struct iotarget_told *t,
		   unsigned int depth)
{
	struct iotarget_ask *ask = kzalloc(sizeof(*ask), GFP_KERNEL);

	if (!ask)
		return -ENOMEM;
	ask->consent = c;
	ask->cookie = c->cookie;
	ask->id = t->id;
	ask->inst = t->inst;
	strscpy(ask->name, t->name, sizeof(ask->name));
	ask->devt = t->devt;
	ask->depth = depth;
	ask->deadline = c->deadline;
	ask->dry_run = c->flags & IOTARGET_QUERY_DRY_RUN;
	list_add_tail(&ask->node, &c->asks);
	return 0;
}

/* The disks that go with the device. */
static int find_disks(struct iotarget_consent *c)
{
	struct iotarget_watch *watch = NULL;
	int ret = 0;

	while (!ret && (watch = iotarget_watch_next(watch, c->dev)))
		ret = add_scope(c, watch, 0);
	if (ret)
		iotarget_watch_put(watch);
	return ret ?: list_empty(&c->scopes) ? -ENODEV : 0;
}

/* Those on a disk, and the disks that stand on them. */
static int find_targets(struct iotarget_consent *c, const struct scope *s)
{
	struct iotarget_told t = { };
	struct iotarget_watch *watch;
	int ret = 0;

	while (!ret && iotarget_removal_next(&t, s->disk, iotarget_query_part(c, s))) {
		ret = add_ask(c, &t, s->depth);
		watch = t.upper && !ret ? iotarget_watch_get(t.upper) : NULL;
		if (watch)
			ret = add_scope(c, watch, s->depth + 1);
		iotarget_watch_put(watch);
	}
	return ret;
}

/**
 * iotarget_scopes_find - whom does it concern?
 * @c: the query; gets its disks and questions
 *
 * Context: process; sleeps.
 * Return: 0; -ENODEV: no disk goes with the device; -ENOMEM.
 */
int iotarget_scopes_find(struct iotarget_consent *c)
{
	struct scope *s;
	int ret;

	ret = find_disks(c);
	/* The list grows as those above are found. */
	list_for_each_entry(s, &c->scopes, node) {
		if (!ret)
			ret = find_targets(c, s);
	}
	return ret;
}

static bool was_asked(const struct iotarget_consent *c,
		      const struct iotarget_told *t)
{
	const struct iotarget_ask *ask;

	list_for_each_entry(ask, &c->asks, node) {
		if (ask->id == t->id && ask->inst == t->inst)
			return true;
	}
	return false;
}

/**
 * iotarget_scopes_check - has anybody come while others were asked, or a disk?
 * @c: the query; all who were asked agree
 *
 * Context: process; sleeps.
 * Return: 0; -EBUSY: a target, which refuses; -EAGAIN: a disk.
 */
int iotarget_scopes_check(struct iotarget_consent *c)
{
	struct iotarget_watch *watch = NULL;
	struct scope *s;

	while ((watch = iotarget_watch_next(watch, c->dev))) {
		if (!iotarget_scope_of(c, watch)) {
			iotarget_watch_put(watch);
			return -EAGAIN;
		}
	}
	list_for_each_entry(s, &c->scopes, node) {
		struct iotarget_told t = { };

		while (iotarget_removal_next(&t, s->disk, iotarget_query_part(c, s))) {
			if (!t.open && was_asked(c, &t))
				continue;
			iotarget_query_refuse(c, IOTARGET_REFUSED_BY_TARGET,
					      -EBUSY, t.devt, t.name);
			return -EBUSY;
		}
	}
	return 0;
}
