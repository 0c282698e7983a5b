// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the demonstration in which the stick is removed: asked for and
 * refused, asked for and agreed to, and pulled without a question.
 *
 * What an administrator would type is run as it is printed, by a shell.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "demo.h"
#include "gates.h"

#define GATE		"stick"
#define EVENTS		"/tmp/events"
#define COPY		MNT "/copy.raw"
#define PICTURE		MNT "/picture.raw"
#define THREADS		16		/* each has a request out */
#define LEN		16384
#define CHUNKS		1024		/* of the picture, at most */
#define END_MS		5000		/* from the pull to the last request's end */
#define COME_MS		15000
#define UNLOAD_MS	5000

/* -- the stick ---------------------------------------------------------------- */

bool plugged(const char *disk)
{
	return !access(disk, F_OK);
}

static bool goes(const char *disk, unsigned int ms)
{
	uint64_t until = now_ms() + ms;

	while (plugged(disk)) {
		if (now_ms() > until)
			return false;
		sleep_ms(5);
	}
	return true;
}

const char *plug_in(void)
{
	uint64_t until = now_ms() + COME_MS;
	const char *disk = NULL;

	if (!ask_host("plug usb0"))
		while (!(disk = usb_stick()) && now_ms() < until)
			sleep_ms(20);
	expect("the stick comes up");
	show(disk, "%s", disk ?: device_reason());
	return disk;
}

/* -- refused -------------------------------------------------------------------- */

static void refused_by_a_mount(const char *disk)
{
	char text[128];

	step("Eject the stick while it is mounted.  --dry-run only asks, and changes\n"
	     "   nothing whatever the answer");
	snprintf(text, sizeof(text), "iotarget: %s: %s is mounted on " MNT,
		 disk + 5, disk + 5);
	says(1, text, "iotarget eject --dry-run %s", disk);
	expect("it is still mounted, and its files are right");
	show(files_right(), "%s", files_right() ? "right" : "wrong");
}

/* The file system is on the gate now, and the gate is the one that refuses. */
static void refused_by_a_gate(const char *disk)
{
	char text[128];

	step("Put a gate in front of the stick, and use the file system through it.\n"
	     "   The gate's target is asked, and refuses as its disk is open");
	does("umount " MNT);
	snprintf(text, sizeof(text), GATE ": a gate in front of %s", disk);
	says(0, text, "iotarget attach %s " GATE, disk);
	does("mount -t ext4 /dev/iogate%ld " MNT, gate_number(GATE, "index"));
	does("cp " PICTURE " " COPY);
	snprintf(text, sizeof(text),
		 "iotarget: %s: the target " GATE " refuses: Device or resource busy",
		 disk + 5);
	says(1, text, "iotarget eject --dry-run %s", disk);
}

/* -- agreed --------------------------------------------------------------------- */

/* Does this process listen to a group of generic netlink? */
static bool listens(pid_t pid)
{
	unsigned int protocol, port, groups;
	FILE *f = fopen("/proc/net/netlink", "re");
	bool found = false;
	char line[256];

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %u %u %x", &protocol, &port, &groups) == 3 &&
			protocol == 16 && port == (unsigned int)pid && groups;
	if (f)
		fclose(f);
	return found;
}

static pid_t monitor_start(void)
{
	uint64_t until = now_ms() + COME_MS;
	pid_t pid;

	printf("     # iotarget monitor >" EVENTS " &\n");
	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!freopen(EVENTS, "w", stdout))
			_exit(126);
		execlp("iotarget", "iotarget", "monitor", NULL);
		_exit(127);
	}
	while (pid > 0 && !listens(pid) && now_ms() < until)
		sleep_ms(10);
	return pid;
}

static const char * const steps_of_a_removal[] = {
	"remove-query", "query-agreed", "remove-complete", "query-ended",
};

#define NR_STEPS (sizeof(steps_of_a_removal) / sizeof(*steps_of_a_removal))

static bool has_all_steps(void)
{
	char line[256];
	size_t next = 0;
	FILE *f = fopen(EVENTS, "re");

	while (f && next < NR_STEPS && fgets(line, sizeof(line), f))
		next += !!strstr(line, steps_of_a_removal[next]);
	if (f)
		fclose(f);
	return next == NR_STEPS;
}

static void show_events(void)
{
	char line[256];
	FILE *f = fopen(EVENTS, "re");

	printf("     # cat " EVENTS "\n");
	while (f && fgets(line, sizeof(line), f))
		printf("     %s", line);
	if (f)
		fclose(f);
}

static void eject_unused(const char *disk)
{
	uint64_t until;
	char text[64];
	pid_t monitor;
	int status;

	step("Eject it when nobody uses it any more.  All agree: what was sent is\n"
	     "    waited for and flushed, the target closes, and the stick is removed");
	does("umount " MNT);
	monitor = monitor_start();
	snprintf(text, sizeof(text), "%s: gone", disk + 5);
	says(0, text, "iotarget eject %s", disk);
	/* What the tool has heard may still be on its way to the other one. */
	until = now_ms() + COME_MS;
	while (!has_all_steps() && now_ms() < until)
		sleep_ms(20);
	if (monitor > 0) {
		kill(monitor, SIGTERM);
		waitpid(monitor, &status, 0);
	}
	show_events();
	expect("the gate was asked, all agreed, the gate was told, the end; in this order");
	show(has_all_steps(), "%s", has_all_steps() ? "all of it" : "not all of it");
	expect("there is no %s any more", disk);
	show(!plugged(disk), "%s", plugged(disk) ? "it is there" : "it is gone");
	does("iotarget detach " GATE);
}

/* -- pulled --------------------------------------------------------------------- */

struct chunk {
	uint64_t	picture, disk;	/* where it is in either */
};

/* What the threads share; each counts what it sees at once. */
struct load {
	int		fd;
	struct chunk	chunks[CHUNKS];
	unsigned int	nr;
	atomic_uint	next, sent, done, wrong, failed;
	atomic_uint	errors[256];	/* 0: less than was asked for */
};

static bool load_new(struct load *l, const struct extents *e)
{
	const struct fiemap_extent *x;
	unsigned int i;
	uint64_t pos;

	for (i = 0; i < e->map.fm_mapped_extents; i++) {
		x = &e->extent[i];
		for (pos = 0; pos + LEN <= x->fe_length && l->nr < CHUNKS; pos += LEN)
			l->chunks[l->nr++] = (struct chunk){
				x->fe_logical + pos, x->fe_physical + pos };
	}
	return l->nr;
}

/* Every fourth writes what is there already, so the files stay right. */
static bool transfer(struct load *l, uint64_t *data)
{
	const unsigned int n = atomic_fetch_add(&l->next, 1);
	const struct chunk *c = &l->chunks[n % l->nr];
	const bool write = n % 4 == 3;
	unsigned int i;
	ssize_t ret;

	for (i = 0; i < LEN / 8; i++)
		data[i] = write ? iotarget_test_word(PICTURE_SEED, c->picture + 8 * i) : 0;
	atomic_fetch_add(&l->sent, 1);
	ret = write ? pwrite(l->fd, data, LEN, c->disk) : pread(l->fd, data, LEN, c->disk);
	if (ret != LEN) {
		atomic_fetch_add(&l->errors[ret < 0 && errno < 256 ? errno : 0], 1);
		atomic_fetch_add(&l->failed, 1);
		return false;
	}
	if (!write && !picture_right(data, c->picture, LEN))
		atomic_fetch_add(&l->wrong, 1);
	atomic_fetch_add(&l->done, 1);
	return true;
}

/* One request after the other, until one fails. */
static void *run_thread(void *arg)
{
	void *data;

	if (posix_memalign(&data, 4096, LEN))
		return NULL;
	while (transfer(arg, data))
		;
	free(data);
	return NULL;
}

/* What the errors were, in words; they are counted anew then. */
static const char *errors_of(struct load *l)
{
	static char text[256];
	unsigned int i, n;
	size_t len = 0;

	*text = '\0';
	for (i = 0; i < 256 && len < sizeof(text) - 64; i++) {
		n = atomic_exchange(&l->errors[i], 0);
		if (n)
			len += sprintf(text + len, "%s%u %.40s", len ? ", " : "", n,
				       i ? strerror(i) : "end of the disk");
	}
	return text;
}

static void wait_for_sent(uint64_t want, uint64_t *held, uint64_t *sent)
{
	uint64_t until = now_ms() + COME_MS;

	*held = 0;
	*sent = 0;
	while (gate_inflight(GATE, held, sent) && *sent != want && now_ms() < until)
		sleep_ms(5);
}

/* When the pull began. */
static uint64_t pull_under_load(struct load *l)
{
	uint64_t until = now_ms() + COME_MS, held, sent, began;

	while (l->done < 4 * THREADS && !l->failed && now_ms() < until)
		sleep_ms(5);
	expect("they are answered, and what they read is right");
	show(l->done >= 4 * THREADS && !l->wrong && !l->failed,
	     "%u answered up to now, %u wrong, %u failed", l->done, l->wrong, l->failed);
	/* So that they are out for certain; under a load it can't be stalled. */
	ask_host("throttle usb0 1");
	printf("     the stick is slowed down to one answer a second\n");
	expect("all %d come to be with the device", THREADS);
	wait_for_sent(THREADS, &held, &sent);
	show(sent == THREADS && !held, "%llu with the device, %llu held",
	     (unsigned long long)sent, (unsigned long long)held);
	began = now_ms();
	ask_host("unplug usb0");
	printf("     the stick is pulled\n");
	return began;
}

static void check_ends(struct load *l, pthread_t *threads, uint64_t began)
{
	unsigned int i, lost = 0;
	struct timespec until;
	uint64_t took;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += COME_MS / 1000;
	for (i = 0; i < THREADS; i++)
		lost += !!pthread_timedjoin_np(threads[i], NULL, &until);
	took = now_ms() - began;
	expect("each of the %d ends with an error, within %d ms", THREADS, END_MS);
	show(l->failed == THREADS && took < END_MS, "%u: %s; after %llu ms",
	     l->failed, errors_of(l), (unsigned long long)took);
	expect("all requests have ended: answered, or with an error");
	show(l->sent == l->done + l->failed && !lost && !l->wrong,
	     "%u sent, %u answered, %u with an error, %u not ended",
	     l->sent, l->done, l->failed, l->sent - l->done - l->failed);
}

static void after_the_pull(struct load *l)
{
	const unsigned int before = l->failed;
	uint64_t began = now_ms();
	unsigned int i;
	void *data;

	if (posix_memalign(&data, 4096, LEN))
		return;
	for (i = 0; i < THREADS; i++)
		transfer(l, data);
	free(data);
	expect("%d more: each fails at once", THREADS);
	show(l->failed - before == THREADS && now_ms() - began < 1000,
	     "%u: %s; after %llu ms", l->failed - before, errors_of(l),
	     (unsigned long long)(now_ms() - began));
}

static void load_through_gate(const struct extents *e)
{
	pthread_t threads[THREADS];
	static struct load l;
	unsigned int i;
	uint64_t began;
	char path[64];

	snprintf(path, sizeof(path), "/dev/iogate%ld", gate_number(GATE, "index"));
	l.fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (l.fd < 0 || !load_new(&l, e)) {
		show(false, "%s: %s", path, strerror(errno));
		return;
	}
	printf("     %d threads read and write %s\n", THREADS, path);
	for (i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, run_thread, &l))
			abort();
	began = pull_under_load(&l);
	check_ends(&l, threads, began);
	after_the_pull(&l);
	close(l.fd);
}

#define SHOW	"iotarget show " GATE " | grep -E 'state|held|waits'"
#define CLOSED_QUIET	"  state      closed /   held       0, sent 0 (0 past the state), oldest 0 ms"

static void pulled(const struct extents *e)
{
	const char *disk;
	char text[128], old[64];
	uint64_t until;

	step("Plug the stick in again, and pull it without asking, under load through\n"
	     "    the gate");
	/* Only the guest has let it go; it is still in its port. */
	ask_host("unplug usb0");
	disk = plug_in();
	if (!disk)
		return;
	snprintf(old, sizeof(old), "%s", disk);
	snprintf(text, sizeof(text), GATE ": a gate in front of %s", disk);
	says(0, text, "iotarget attach %s " GATE, disk);
	load_through_gate(e);
	expect("there is no %s any more", old);
	show(goes(old, END_MS), "%s", plugged(old) ? "it is there" : "it is gone");
	/* The gate hears of it last. */
	until = now_ms() + END_MS;
	do {
		sleep_ms(5);
		shell(SHOW);
	} while (strcmp(output, CLOSED_QUIET) && now_ms() < until);
	printf("     then the gate is to be closed, and to wait for nothing\n");
	says(0, CLOSED_QUIET, SHOW);
	does("iotarget detach " GATE);
}

/* -- the end -------------------------------------------------------------------- */

static const char * const modules[] = {
	"iogate", "iotarget_test", "iotarget_disk", "iotarget",
};

#define NR_MODULES (sizeof(modules) / sizeof(*modules))

/* What is closed lets go of its module when RCU is through with it. */
static void unload(void)
{
	uint64_t until = now_ms() + UNLOAD_MS;
	char path[64];
	unsigned int i;

	while (now_ms() < until &&
	       (sysfs_number("/sys/module/iogate/refcnt") ||
		sysfs_number("/sys/module/iotarget_test/refcnt")))
		sleep_ms(20);
	does("rmmod iogate iotarget_test iotarget_disk iotarget");
	expect("all modules are gone");
	for (i = 0; i < NR_MODULES; i++) {
		snprintf(path, sizeof(path), "/sys/module/%s", modules[i]);
		if (!access(path, F_OK))
			break;
	}
	show(i == NR_MODULES, "%s%s", i < NR_MODULES ? modules[i] : "gone",
	     i < NR_MODULES ? " is there" : "");
}

static void the_end(void)
{
	const char *disk;

	step("In the end");
	disk = plug_in();
	if (disk) {
		does("mount -t ext4 -o ro %s " MNT, disk);
		expect("the files are right, and the copy was written before the stick went");
		show(files_right() && !shell("cmp " PICTURE " " COPY), "%s",
		     files_right() ? *output ? output : "right" : "wrong");
		does("umount " MNT);
	}
	unload();
}

void show_removal(const char *disk, const struct extents *e)
{
	char first[64];

	snprintf(first, sizeof(first), "%s", disk);
	refused_by_a_mount(first);
	refused_by_a_gate(first);
	eject_unused(first);
	pulled(e);
	show_return();
	the_end();
}
