// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tables and JSON.  What the kernel passes on from other users is not trusted:
 * nothing that a terminal would take for more than a character gets there.
 */
#include <errno.h>
#include <string.h>

#include "tool.h"

static const char *name_of(const char * const *names, size_t count, uint32_t n)
{
	return n < count && names[n] ? names[n] : "unknown";
}

const char *state_name(uint32_t state)
{
	static const char * const names[] = {
		[IOTARGET_TARGET_STATE_UNDEFINED] = "undefined",
		[IOTARGET_TARGET_STATE_STARTED] = "started",
		[IOTARGET_TARGET_STATE_STOPPED] = "stopped",
		[IOTARGET_TARGET_STATE_CLOSED_FOR_QUERY_REMOVE] = "closed-for-query-remove",
		[IOTARGET_TARGET_STATE_CLOSED] = "closed",
		[IOTARGET_TARGET_STATE_DELETED] = "deleted",
		[IOTARGET_TARGET_STATE_PURGED] = "purged",
	};

	return name_of(names, sizeof(names) / sizeof(*names), state);
}

const char *why_name(uint32_t why)
{
	static const char * const names[] = {
		[IOTARGET_WHY_EXPIRED] = "expired",
		[IOTARGET_WHY_OWNER_GONE] = "owner-gone",
		[IOTARGET_WHY_STARTED] = "started",
		[IOTARGET_WHY_OVERRIDDEN] = "overridden",
		[IOTARGET_WHY_GONE] = "gone",
		[IOTARGET_WHY_CANCELED] = "canceled",
		[IOTARGET_WHY_POLICY] = "policy",
	};

	return name_of(names, sizeof(names) / sizeof(*names), why);
}

const char *refuser_name(uint32_t refuser)
{
	static const char * const names[] = {
		[IOTARGET_REFUSER_TARGET] = "target",
		[IOTARGET_REFUSER_CLAIM] = "claim",
		[IOTARGET_REFUSER_OPENER] = "opener",
		[IOTARGET_REFUSER_QUERY] = "query",
	};

	return name_of(names, sizeof(names) / sizeof(*names), refuser);
}

static const char *kind_name(uint32_t kind)
{
	static const char * const names[] = {
		[IOTARGET_EVENT_KIND_CREATED] = "created",
		[IOTARGET_EVENT_KIND_OPENED] = "opened",
		[IOTARGET_EVENT_KIND_OPEN_FAILED] = "open-failed",
		[IOTARGET_EVENT_KIND_STARTED] = "started",
		[IOTARGET_EVENT_KIND_STOPPED] = "stopped",
		[IOTARGET_EVENT_KIND_PURGED] = "purged",
		[IOTARGET_EVENT_KIND_CLOSED] = "closed",
		[IOTARGET_EVENT_KIND_DELETED] = "deleted",
		[IOTARGET_EVENT_KIND_RESULT] = "result",
		[IOTARGET_EVENT_KIND_STOP_ENDED] = "stop-ended",
		[IOTARGET_EVENT_KIND_QUERY_AGREED] = "query-agreed",
		[IOTARGET_EVENT_KIND_QUERY_REFUSED] = "query-refused",
		[IOTARGET_EVENT_KIND_QUERY_ENDED] = "query-ended",
		[IOTARGET_EVENT_KIND_REMOVE_QUERY] = "remove-query",
		[IOTARGET_EVENT_KIND_REMOVE_CANCELED] = "remove-canceled",
		[IOTARGET_EVENT_KIND_REMOVE_COMPLETE] = "remove-complete",
		[IOTARGET_EVENT_KIND_AWAY] = "away",
		[IOTARGET_EVENT_KIND_GIVEN_UP] = "given-up",
		[IOTARGET_EVENT_KIND_RETURNED] = "returned",
	};

	return name_of(names, sizeof(names) / sizeof(*names), kind);
}

/* A text that has more than so many bytes: where to cut, between characters. */
size_t cut_at(const char *text, size_t bytes)
{
	while (bytes && ((unsigned char)text[bytes] & 0xc0) == 0x80)
		bytes--;
	return bytes;
}

/* -- JSON ----------------------------------------------------------------- */

static const char *comma;	/* before the next member */

void j_open(const char *bracket)
{
	fputs(bracket, stdout);
	comma = "";
}

/* One of several in an array. */
void j_next(const char *bracket)
{
	fputs(comma, stdout);
	j_open(bracket);
}

void j_close(const char *bracket)
{
	fputs(bracket, stdout);
	comma = ",";
}

void j_key(const char *key)
{
	printf("%s\"%s\":", comma, key);
	comma = ",";
}

/* How many bytes the UTF-8 character has that begins there; 0: none does. */
static size_t char_bytes(const char *text)
{
	const unsigned char *c = (const void *)text;
	const size_t n = *c < 0x80 ? 1 : *c < 0xe0 ? 2 : *c < 0xf0 ? 3 : 4;
	uint32_t code = n > 1 ? *c & (0x7f >> n) : *c;
	size_t i;

	if ((*c >= 0x80 && *c < 0xc2) || *c > 0xf4)
		return 0;
	for (i = 1; i < n; i++) {
		if ((c[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (c[i] & 0x3f);
	}
	/* Longer than needed, half of a pair, or more than there are. */
	if ((n == 3 && code < 0x800) || (n == 4 && code < 0x10000) ||
	    (code >= 0xd800 && code < 0xe000) || code > 0x10ffff)
		return 0;
	return n;
}

/* JSON is UTF-8; names of processes and reasons are whatever they are. */
void j_text(const char *key, const char *text)
{
	size_t n;

	j_key(key);
	putchar('"');
	for (; *text; text += n ?: 1) {
		n = char_bytes(text);
		if (!n)
			fputs("\\ufffd", stdout);
		else if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else if (n == 1 && (*text < 0x20 || *text == 0x7f))
			printf("\\u%04x", (unsigned int)*text);
		else
			fwrite(text, n, 1, stdout);
	}
	putchar('"');
}

void j_number(const char *key, uint64_t n)
{
	j_key(key);
	printf("%llu", (unsigned long long)n);
}

void j_bool(const char *key, bool value)
{
	j_key(key);
	fputs(value ? "true" : "false", stdout);
}

static void j_stop(const struct stop *s)
{
	j_next("{");
	j_number("cookie", s->cookie);
	j_text("kind", s->purge ? "purge" : "stop");
	j_number("pid", s->pid);
	j_text("comm", s->comm);
	j_text("reason", s->reason);
	j_bool("hold", s->hold);
	if (s->expires)
		j_number("expires_ms", s->expires_ms);
	j_close("}");
}

static void j_device(const struct target *t)
{
	char number[24];

	if (!t->access)
		return;
	snprintf(number, sizeof(number), "%u:%u", t->major, t->minor);
	j_text("device", number);
	j_text("disk", t->disk);
	j_number("partition", t->partition);
	j_number("capacity", t->capacity);
	j_number("logical_block_size", t->block_size);
	j_text("access", t->access == 3 ? "rw" : t->access == 2 ? "w" : "r");
	j_bool("read_only", t->read_only);
	j_bool("removable", t->removable);
	j_bool("write_cache", t->write_cache);
}

static void j_policy(const struct target *t)
{
	j_bool("away", t->away);
	if (t->away)
		j_number("away_ms", t->away_ms);
	j_number("held_bytes", t->held_bytes);
	j_number("at_risk", t->at_risk);
	j_number("lost", t->lost);
	j_number("unknown", t->unknown);
	j_number("replayed", t->replayed);
	j_key("policy");
	j_open("{");
	j_bool("hold", t->policy & IOTARGET_GONE_POLICY_HOLD);
	j_bool("lossy", t->policy & IOTARGET_GONE_POLICY_LOSSY);
	j_bool("replay", t->policy & IOTARGET_GONE_POLICY_REPLAY);
	j_number("hold_ms", t->hold_ms);
	j_number("hold_bytes", t->hold_bytes);
	j_close("}");
}

static void j_target(const struct target *t)
{
	unsigned int i;

	j_open("{");
	j_number("id", t->id);
	j_text("name", t->name);
	j_text("state", state_name(t->state));
	j_text("phase", t->phase);
	j_number("pended", t->pended);
	j_number("sent", t->sent);
	j_number("ignored", t->ignored);
	j_number("oldest_ms", t->oldest_ms);
	j_number("limbo", t->limbo);
	j_number("limbo_bytes", t->limbo_bytes);
	j_number("closing", t->closing);
	j_policy(t);
	j_device(t);
	if (*t->module)
		j_text("module", t->module);
	if (*t->creator)
		j_text("creator", t->creator);
	j_key("stops");
	j_open("[");
	for (i = 0; i < t->nr_stops; i++)
		j_stop(&t->stops[i]);
	j_close("]");
	j_close("}");
}

static void j_refusal(const struct event *e)
{
	char number[24];

	j_number("error", e->error);
	if (*e->message)
		j_text("message", e->message);
	if (!e->refused_by)
		return;
	j_text("refused_by", refuser_name(e->refused_by));
	j_text("refused_name", e->refused_name);
	snprintf(number, sizeof(number), "%u:%u", e->refused_major, e->refused_minor);
	j_text("refused_device", number);
}

static void j_event(const struct event *e)
{
	j_open("{");
	j_number("seq", e->seq);
	j_number("time_ns", e->time);
	j_number("dropped", e->dropped);
	j_text("event", kind_name(e->kind));
	j_number("id", e->id);
	j_text("name", e->name);
	if (e->id)
		j_text("state", state_name(e->state));
	if (e->cookie)
		j_number("cookie", e->cookie);
	if (e->why)
		j_text("why", why_name(e->why));
	if (e->forced)
		j_bool("forced", true);
	if (e->dry_run)
		j_bool("dry_run", true);
	if (*e->disk)
		j_text("disk", e->disk);
	if (e->kind == IOTARGET_EVENT_KIND_QUERY_REFUSED)
		j_refusal(e);
	if (e->kind == IOTARGET_EVENT_KIND_RESULT) {
		j_number("error", e->error);
		if (*e->message)
			j_text("message", e->message);
		j_number("sent", e->sent);
		j_number("pended", e->pended);
		j_number("oldest_ms", e->oldest_ms);
	}
	j_close("}");
	putchar('\n');
}

/* -- tables --------------------------------------------------------------- */

/* For a terminal; a static buffer, used up at once. */
const char *plain(const char *text)
{
	static char safe[2 * TEXT_BYTES + 64];
	size_t i;

	for (i = 0; text[i] && i < sizeof(safe) - 1; i++)
		safe[i] = (unsigned char)text[i] < 0x20 || (unsigned char)text[i] >= 0x7f ?
			'?' : text[i];
	safe[i] = 0;
	return safe;
}

static const char *size_text(uint64_t bytes)
{
	static const char units[] = "BKMGTPE";
	unsigned int unit = 0;
	static char text[32];
	double n = bytes;

	while (n >= 1024 && units[unit + 1]) {
		n /= 1024;
		unit++;
	}
	snprintf(text, sizeof(text), unit && n < 10 ? "%.1f%c" : "%.0f%c", n, units[unit]);
	return text;
}

static const char *device_text(const struct target *t)
{
	static char text[TEXT_BYTES + 16];
	const size_t len = strlen(t->disk);

	if (!t->access)
		return "-";
	/* A partition of a disk whose name ends in a digit is p and its number. */
	if (t->partition)
		snprintf(text, sizeof(text), "%s%s%u", t->disk,
			 len && t->disk[len - 1] >= '0' && t->disk[len - 1] <= '9' ? "p" : "",
			 t->partition);
	else
		snprintf(text, sizeof(text), "%s", t->disk);
	return text;
}

#define ROW	"%-5s %-20s %-10s %8s %8s %9s  %-10s %7s  %s\n"

void print_targets_begin(bool json)
{
	if (json)
		j_open("[");
	else
		printf(ROW, "ID", "NAME", "STATE", "HELD", "SENT", "OLDEST", "DEVICE", "SIZE",
		       "OWNER");
}

void print_target_row(bool json, const struct target *t)
{
	char id[24], held[24], sent[24], oldest[32], away[32];

	if (json) {
		fputs(comma, stdout);
		j_target(t);
		return;
	}
	snprintf(id, sizeof(id), "%llu", (unsigned long long)t->id);
	snprintf(held, sizeof(held), "%llu", (unsigned long long)t->pended);
	snprintf(sent, sizeof(sent), "%llu", (unsigned long long)t->sent);
	snprintf(oldest, sizeof(oldest), "%llu ms", (unsigned long long)t->oldest_ms);
	snprintf(away, sizeof(away), "away %llus", (unsigned long long)t->away_ms / 1000);
	printf(ROW, id, t->name, t->away ? away : t->phase, held, sent, t->sent ? oldest : "-",
	       device_text(t), t->access && !t->away ? size_text(t->capacity) : "-",
	       *t->module ? t->module : "-");
}

void print_targets_end(bool json)
{
	if (json) {
		j_close("]");
		putchar('\n');
	}
}

static void line(const char *what, const char *text)
{
	printf("  %-10s %s\n", what, plain(text));
}

static void show_stop(const struct stop *s)
{
	printf("  %-10s by %s[%u]", s->purge ? "purged" : "stopped", plain(s->comm), s->pid);
	if (*s->reason)
		printf(": %s", plain(s->reason));
	if (s->expires)
		printf("; for another %.1f s", s->expires_ms / 1000.0);
	else
		printf("; does not expire");
	printf("%s\n", s->hold ? ", or until that process ends" : "");
}

static void show_policy(const struct target *t)
{
	char text[2 * TEXT_BYTES];

	if (t->policy & IOTARGET_GONE_POLICY_HOLD) {
		snprintf(text, sizeof(text), "hold for %.1f s, up to %s%s%s", t->hold_ms / 1000.0,
			 size_text(t->hold_bytes),
			 t->policy & IOTARGET_GONE_POLICY_LOSSY ? ", lost caches are no error" :
			 "",
			 t->policy & IOTARGET_GONE_POLICY_REPLAY ? ", writes are sent again" : "");
		line("if gone", text);
	}
	if (t->away) {
		snprintf(text, sizeof(text), "its device is gone; waits for another %.1f s",
			 t->away_ms / 1000.0);
		line("away", text);
	}
	if (t->unknown || t->replayed) {
		snprintf(text, sizeof(text), "%llu, sent again %llu",
			 (unsigned long long)t->unknown, (unsigned long long)t->replayed);
		line("unknown", text);
	}
	if (t->at_risk || t->lost) {
		snprintf(text, sizeof(text), "%llu bytes%s; lost %llu bytes%s",
			 (unsigned long long)t->at_risk, t->away ? ", if it is back" : "",
			 (unsigned long long)t->lost, t->lost ? ": flushes fail" : "");
		line("at risk", text);
	}
}

void print_target(bool json, const struct target *t)
{
	char text[2 * TEXT_BYTES];
	unsigned int i;

	if (json) {
		j_target(t);
		putchar('\n');
		return;
	}
	printf("%s (@%llu)\n", t->name, (unsigned long long)t->id);
	line("state", t->phase);
	snprintf(text, sizeof(text), "%llu, sent %llu (%llu past the state), oldest %llu ms",
		 (unsigned long long)t->pended, (unsigned long long)t->sent,
		 (unsigned long long)t->ignored, (unsigned long long)t->oldest_ms);
	line("held", text);
	if (t->closing || t->limbo) {
		snprintf(text, sizeof(text), "%llu earlier openings, %llu calls with %llu bytes",
			 (unsigned long long)t->closing, (unsigned long long)t->limbo,
			 (unsigned long long)t->limbo_bytes);
		line("waits for", text);
	}
	if (t->access) {
		snprintf(text, sizeof(text), "%s (%u:%u), %s, blocks of %u%s%s%s%s",
			 device_text(t), t->major, t->minor, size_text(t->capacity),
			 t->block_size, t->access == 1 ? ", opened for reading" : "",
			 t->read_only ? ", read-only" : "", t->removable ? ", removable" : "",
			 t->write_cache ? ", with a write cache" : "");
		line("device", text);
	}
	show_policy(t);
	if (*t->module)
		line("module", t->module);
	if (*t->creator)
		line("made by", t->creator);
	for (i = 0; i < t->nr_stops; i++)
		show_stop(&t->stops[i]);
}

void print_event(bool json, const struct event *e)
{
	if (json) {
		j_event(e);
		return;
	}
	printf("%8llu %12.6f  %-20s %-15s", (unsigned long long)e->seq, e->time / 1e9,
	       plain(e->name), kind_name(e->kind));
	/* What concerns a query is about no target. */
	if (e->id)
		printf(" -> %s", state_name(e->state));
	if (e->why)
		printf("  (%s)", why_name(e->why));
	if (*e->disk)
		printf("  %s", plain(e->disk));
	if (e->forced || e->dry_run)
		printf("  (%s)", e->forced ? "forced" : "dry run");
	if (e->refused_by)
		printf("  by %s %s (%u:%u)", refuser_name(e->refused_by), plain(e->refused_name),
		       e->refused_major, e->refused_minor);
	if (e->error)
		printf("  %s", *e->message ? plain(e->message) : strerror(e->error));
	if (e->cookie)
		printf("  #%llu", (unsigned long long)e->cookie);
	putchar('\n');
}

void print_result(bool json, const struct event *e)
{
	if (json) {
		j_event(e);
		return;
	}
	printf("%s: %s, %llu held, %llu sent", e->name, state_name(e->state),
	       (unsigned long long)e->pended, (unsigned long long)e->sent);
	if (e->sent)
		printf(", the oldest for %llu ms", (unsigned long long)e->oldest_ms);
	putchar('\n');
}
