// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration: a gate in front of a USB stick that holds a file system.
 *
 * Runs in the virtual machine that demo.py boots, as its main program.  Each
 * step prints what is expected and what was seen; the program's exit status is
 * 0 only if they agree everywhere.  It makes the API's calls through the client
 * module of the selftests, with their library.  What is done with the command-line
 * tool is in removal.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "demo.h"

#define NOTE		MNT "/note.txt"
#define PICTURE		MNT "/picture.raw"
#define HELD		6

static const char note[] = "This stick is served through an I/O target.\n";

static unsigned int steps, wrong;
static char expected[256];

void step(const char *fmt, ...)
{
	va_list args;

	printf("\n%u. ", ++steps);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("\n");
}

void expect(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(expected, sizeof(expected), fmt, args);
	va_end(args);
	printf("     expected  %s\n", expected);
}

void show(bool good, const char *fmt, ...)
{
	va_list args;

	printf("     seen      ");
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf("%s\n", good ? "" : "   <== DIFFERS");
	wrong += !good;
}

static void show_ret(int ret, int want)
{
	show(ret == want, "%s", ret ? strerror(-ret) : "success");
}

int ask_host(const char *verb)
{
	char command[128];

	snprintf(command, sizeof(command), "host %s >/dev/null", verb);
	return system(command);
}

/* The picture holds the pattern of its own positions. */
bool picture_right(const void *data, uint64_t pos, size_t len)
{
	const uint64_t *word = data;
	size_t i;

	for (i = 0; i < len / 8; i++)
		if (word[i] != iotarget_test_word(PICTURE_SEED, pos + 8 * i))
			return false;
	return true;
}

static int mount_stick(const char *disk)
{
	mkdir(MNT, 0755);
	return mount(disk, MNT, "ext4", MS_RDONLY, NULL) ? -errno : 0;
}

bool files_right(void)
{
	char text[sizeof(note)] = "", *data;
	bool right = true;
	ssize_t n;
	off_t pos = 0;
	int fd;

	fd = open(NOTE, O_RDONLY);
	if (fd < 0 || read(fd, text, sizeof(text) - 1) < 0 ||
	    strcmp(text, note))
		return false;
	close(fd);
	fd = open(PICTURE, O_RDONLY);
	data = malloc(1 << 20);
	while (right && (n = read(fd, data, 1 << 20)) > 0) {
		right = picture_right(data, pos, n);
		pos += n;
	}
	close(fd);
	free(data);
	return right && pos > 0;
}

static int picture_extents(struct extents *e)
{
	int fd = open(PICTURE, O_RDONLY), ret;

	memset(e, 0, sizeof(*e));
	e->map.fm_length = FIEMAP_MAX_OFFSET;
	e->map.fm_extent_count = 32;
	ret = fd < 0 ? -errno : ioctl(fd, FS_IOC_FIEMAP, &e->map) ? -errno : 0;
	close(fd);
	return ret;
}

/* Read the picture's blocks through the target; returns good bytes. */
static uint64_t picture_through_target(int target, const struct extents *e)
{
	uint64_t good = 0;
	unsigned int i;

	for (i = 0; i < e->map.fm_mapped_extents; i++) {
		const struct fiemap_extent *x = &e->extent[i];
		char *data = malloc(x->fe_length);
		ssize_t n = pread(target, data, x->fe_length, x->fe_physical);

		if (n == (ssize_t)x->fe_length &&
		    picture_right(data, x->fe_logical, n))
			good += n;
		free(data);
	}
	return good;
}

static void stop_under_load(int target)
{
	struct iotarget_test_load_start load = {
		.threads = 4, .depth = 8, .min_len = 4096, .max_len = 65536,
		.span = 16 << 20, .seed = SEED,
	};
	struct iotarget_test_query q, last = { };
	struct iotarget_test_report report;
	bool in_order = true;
	struct iotarget_test_load_stop books;
	struct iotarget_test_info info;
	unsigned int i;
	int ret;

	step("Stop under load: 4 threads read at full rate");
	load_start(target, &load);
	sleep_ms(1000);
	expect("the stop returns with nothing with the device");
	ret = target_stop(target, WAIT_FOR_SENT, 5000, &report);
	show(!ret && !report.sent, "%s, %llu with the device, %llu held",
	     ret ? strerror(-ret) : "success",
	     (unsigned long long)report.sent,
	     (unsigned long long)report.pended);

	expect("what the threads and %d more requests send is held: %d", HELD,
	       4 * 8 + HELD);
	for (i = 0; i < HELD; i++) {
		request_read(target, i, i * 4096, 4096);
		request_send(target, i, 0, 0);
		target_info(target, &info);
		printf("               held after one more: %llu\n",
		       (unsigned long long)info.pended);
	}
	for (i = 0; i < 50 && info.pended < 4 * 8 + HELD; i++) {
		sleep_ms(100);
		target_info(target, &info);
	}
	show(info.pended == 4 * 8 + HELD && !info.sent,
	     "%llu held, %llu with the device",
	     (unsigned long long)info.pended, (unsigned long long)info.sent);

	expect("the start sends what was held, in order");
	ret = target_start_and_wait(target, 10000, &report);
	for (i = 0; i < HELD; i++) {
		request_called_back(target, i, 1, 10000);
		q = request_query(target, i);
		if (q.status || q.complete_seq <= last.complete_seq)
			in_order = false;
		last = q;
	}
	show(!ret && in_order, "%s, the %d requests came back %s",
	     ret ? strerror(-ret) : "success", HELD,
	     in_order ? "in the order of sending" : "out of order");

	expect("every request of the load completed exactly once");
	load_stop(target, 20000, &books);
	show(books.accepted && books.accepted == books.callbacks &&
	     !books.doubles && !books.lost && !books.overtaken,
	     "%llu accepted, %llu called back, %llu twice, %llu lost",
	     (unsigned long long)books.accepted,
	     (unsigned long long)books.callbacks,
	     (unsigned long long)books.doubles,
	     (unsigned long long)books.lost);
}

static void hold_some(int target)
{
	unsigned int i;

	target_stop(target, WAIT_FOR_SENT, 5000, NULL);
	for (i = 0; i < HELD; i++) {
		request_do(target, i, IOTARGET_TEST_FREE, 0);
		request_read(target, i, i * 4096, 4096);
		request_send(target, i, 0, 0);
	}
}

static void purge(int target)
{
	unsigned int i, never = 0;
	struct iotarget_test_query q;
	int ret;

	step("Purge: what is held is failed, and known never to have been sent");
	hold_some(target);
	expect("%d requests: No such device, never sent", HELD);
	target_purge(target, PURGE_AND_WAIT, 5000, NULL);
	for (i = 0; i < HELD; i++) {
		q = request_query(target, i);
		never += q.callbacks == 1 && q.status == -ENODEV &&
			 q.outcome == NEVER_SENT && !q.bytes;
	}
	show(never == HELD, "%u requests: No such device, never sent", never);
	expect("a new request is refused: %s", strerror(ESHUTDOWN));
	request_do(target, 0, IOTARGET_TEST_FREE, 0);
	request_read(target, 0, 0, 4096);
	ret = request_send(target, 0, 0, 0);
	show_ret(ret, -ESHUTDOWN);
	target_start(target);
}

static void cancel(int target)
{
	uint64_t before;
	struct iotarget_test_query q;

	step("Cancel one of the requests that are held");
	hold_some(target);
	expect("it comes back at once: %s, never sent", strerror(ECANCELED));
	before = now_ms();
	request_cancel(target, 2);
	q = request_query(target, 2);
	show(q.callbacks == 1 && q.status == -ECANCELED &&
	     q.outcome == NEVER_SENT,
	     "%s, %s, after %llu ms", strerror(-q.status),
	     q.outcome == NEVER_SENT ? "never sent" : "maybe sent",
	     (unsigned long long)(now_ms() - before));
	expect("the others are sent by the start");
	target_start_and_wait(target, 10000, NULL);
	request_called_back(target, HELD - 1, 1, 10000);
	q = request_query(target, HELD - 1);
	show(q.callbacks == 1 && !q.status && q.outcome == DONE, "%s",
	     q.status ? strerror(-q.status) : "done");
}

static void meet_deadline(int target)
{
	struct iotarget_test_transfer t = {
		.type = IOTARGET_TEST_READ, .len = 65536, .timeout_ms = 500,
		.linger_ms = 1500,
	};
	struct iotarget_test_info info;
	int ret, i;

	step("A deadline, while the device does not answer");
	ask_host("stall usb0");
	printf("     the stick is stalled; it goes on in 4 seconds\n");
	ask_host("after 4000 resume usb0");
	expect("the read returns in 500 to 600 ms: %s, outcome unknown",
	       strerror(ETIMEDOUT));
	ret = target_transfer(target, &t);
	show(ret == -ETIMEDOUT && t.outcome == UNKNOWN && t.head.ns < 600000000,
	     "%s, outcome %s, after %llu ms", strerror(-ret),
	     t.outcome == UNKNOWN ? "unknown" : "known",
	     (unsigned long long)t.head.ns / 1000000);
	expect("the caller's memory is its own: nothing wrote to it later");
	show(!t.touched && !t.touched_late, "%u bytes changed in the %u ms after",
	     t.touched_late, t.linger_ms);

	expect("the target keeps its own pages for the device until it answers");
	target_info(target, &info);
	show(info.limbo == 1, "%llu call in limbo, with %llu bytes",
	     (unsigned long long)info.limbo,
	     (unsigned long long)info.limbo_bytes);
	for (i = 0; i < 100 && info.limbo_bytes; i++) {
		sleep_ms(100);
		target_info(target, &info);
	}
	expect("nothing left when it has");
	show(!info.limbo && !info.limbo_bytes, "%llu in limbo, %llu bytes",
	     (unsigned long long)info.limbo,
	     (unsigned long long)info.limbo_bytes);
}

static void close_and_reopen(int target, const char *disk,
			     const struct extents *e)
{
	struct iotarget_test_report report;
	struct iotarget_test_info info;
	uint64_t size = 0, good;
	unsigned int i;
	int ret;

	step("Close while the device sits on a request, and open it again");
	ask_host("stall usb0");
	ask_host("after 3000 resume usb0");
	request_do(target, 0, IOTARGET_TEST_FREE, 0);
	request_read(target, 0, 8 << 20, 4096);
	request_send(target, 0, 0, 0);
	expect("the close gives up after 300 ms and says that 1 request is out");
	ret = target_close(target, 300, &report);
	show(ret == -ETIMEDOUT && report.sent == 1, "%s, %llu out",
	     strerror(-ret), (unsigned long long)report.sent);
	expect("the target is closed all the same, and opens at once");
	ret = target_reopen(target);
	target_info(target, &info);
	show(!ret && info.closing == 1,
	     "%s; %llu earlier opening still waits for the device",
	     ret ? strerror(-ret) : "open", (unsigned long long)info.closing);
	expect("the request comes back when the device goes on, exactly once");
	request_called_back(target, 0, 1, 15000);
	show(request_query(target, 0).callbacks == 1, "%llu callback",
	     (unsigned long long)request_query(target, 0).callbacks);
	for (i = 0; i < 100 && info.closing; i++) {
		sleep_ms(100);
		target_info(target, &info);
	}
	expect("the picture is right, read through the new opening");
	for (i = 0; i < e->map.fm_mapped_extents; i++)
		size += e->extent[i].fe_length;
	good = picture_through_target(target, e);
	show(good == size && !info.closing, "%llu of %llu bytes right",
	     (unsigned long long)good, (unsigned long long)size);
	expect("the target deleted, the stick can be mounted again");
	ret = target_delete(target, 5000, NULL);
	close(target);
	ret = ret ?: mount_stick(disk);
	show_ret(ret, 0);
}

int main(void)
{
	const char *disk = usb_stick();
	struct extents e;
	uint64_t size = 0, good;
	unsigned int i;
	struct iotarget_test_info info;
	int target, ret;

	setvbuf(stdout, NULL, _IOLBF, 0);
	if (!disk) {
		printf("no USB stick: %s\n", device_reason());
		return 1;
	}
	step("A USB stick with an ext4 file system: %s", disk);
	expect("mounted, the files on it are right");
	ret = mount_stick(disk);
	show(!ret && files_right() && !picture_extents(&e), "%s",
	     ret ? strerror(-ret) : "mounted, files compared");
	for (i = 0; i < e.map.fm_mapped_extents; i++)
		size += e.extent[i].fe_length;

	step("Open an I/O target on it");
	target = target_new("stick", 0);
	expect("refused while mounted: %s", strerror(EBUSY));
	show_ret(target_open(target, disk, ACCESS_READ, SHARE_READ), -EBUSY);
	umount(MNT);
	expect("accepted once unmounted");
	ret = target_open(target, disk, ACCESS_READ, SHARE_READ);
	target_info(target, &info);
	show(!ret && info.state == STARTED,
	     "%s, %llu MiB, block %u, serial number %s", state_name(info.state),
	     (unsigned long long)info.capacity >> 20, info.logical_block_size,
	     info.serial);
	expect("%llu bytes of the picture, read through the target, are right",
	       (unsigned long long)size);
	good = picture_through_target(target, &e);
	show(size && good == size, "%llu bytes", (unsigned long long)good);

	stop_under_load(target);
	purge(target);
	cancel(target);
	meet_deadline(target);
	close_and_reopen(target, disk, &e);

	show_removal(disk, &e);
	printf("\n%u steps, %u differences\n", steps, wrong);
	return wrong ? 1 : 0;
}
