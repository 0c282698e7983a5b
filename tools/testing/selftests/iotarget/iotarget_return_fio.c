// SPDX-License-Identifier: GPL-2.0-only
/*
 * fio on a gate whose stick is pulled, again and again at a moment that chance chooses, and
 * comes back: it is told truthfully what became of each write, and finds all the others.
 */
#include <sys/wait.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"

#define GATE		GATE_PREFIX "fio"
#define REPORT		"/tmp/iotarget-return-fio.json"
#define RUNS_MS		300	/* at most, before the pull */
#define AWAY_MS		800	/* at most, before the stick is back */

FIXTURE(writer) {
	struct plugged disk;
	char path[DEVICE_PATH];		/* of the gate */
};

FIXTURE_VARIANT(writer) {
	const char *replay;
};

FIXTURE_VARIANT_ADD(writer, told) { "none" };
FIXTURE_VARIANT_ADD(writer, replayed) { "overwrite" };

FIXTURE_SETUP(writer)
{
	const char *why = host_pulls("usb1");

	if (!gates_loaded())
		SKIP(return, "iogate is not loaded, or this is not root");
	if (system("fio --version >/dev/null 2>&1"))
		SKIP(return, "there is no fio");
	if (why)
		SKIP(return, "usb1: %s", why);
	gates_cleanup();
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	ASSERT_EQ(0, gate_new(GATE));
	ASSERT_EQ(0, gate_set(GATE, "hold_seconds", "60"));
	/* QEMU's sticks lose nothing that they have acknowledged. */
	ASSERT_EQ(0, gate_set(GATE, "lossy", "1"));
	EXPECT_EQ(-EINVAL, gate_set(GATE, "replay", "sometimes"));
	ASSERT_EQ(0, gate_set(GATE, "replay", variant->replay));
	ASSERT_EQ(0, gate_on(GATE, self->disk.path, self->path));
	EXPECT_EQ(-EBUSY, gate_set(GATE, "replay", "none"));
}

FIXTURE_TEARDOWN(writer)
{
	EXPECT_EQ(0, gate_remove(GATE));
	if (disk_there(&self->disk))
		EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	gates_cleanup();
	unlink(REPORT);
	ON_TIME();
}

/* Each block once, in a random order, which is that of the seed. */
static pid_t fio_begin(const char *path, unsigned int seed, char *first,
		       char *second)
{
	char file[DEVICE_PATH + 16], random[32];
	char * const args[] = {
		"fio", "--thread", "--eta=never", "--output-format=json",
		"--output=" REPORT, "--name=w", file, "--rw=randwrite", "--bs=4k",
		"--size=8m", "--ioengine=libaio", "--direct=1", "--iodepth=8",
		"--verify=crc32c", "--verify_fatal=0", "--verify_state_save=0",
		"--randrepeat=0", random,
		/* As those of a device that is gone may be; 67 is ENOLINK. */
		"--ignore_error=,EIO:67:ENODEV:ENOSPC", first, second, NULL,
	};
	pid_t pid = fork();

	if (pid)
		return pid;
	snprintf(file, sizeof(file), "--filename=%s", path);
	snprintf(random, sizeof(random), "--randseed=%u", seed);
	execvp("fio", args);
	_exit(127);
}

/* How many of its I/Os failed, or -1 if it says nothing of the kind. */
static long fio_end(pid_t pid)
{
	static char text[64 << 10];
	size_t len = 0;
	int status;
	char *at;
	FILE *f;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	f = fopen(REPORT, "r");
	if (!f)
		return -1;
	len = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[len] = 0;
	at = strstr(text, "\"total_err\"");
	at = at ? strchr(at, ':') : NULL;
	return at ? strtol(at + 1, NULL, 10) : -1;
}

static long look_again(const char *path, unsigned int seed)
{
	return fio_end(fio_begin(path, seed, "--verify_only=1",
				 "--continue_on_error=verify"));
}

static bool is_sending(void)
{
	const uint64_t until = now_ms() + slow(LONG_MS);
	uint64_t held, sent;

	while (now_ms() < until) {
		if (gate_inflight(GATE, &held, &sent) && sent)
			return true;
		sleep_ms(2);
	}
	return false;
}

/* How many failed; in flight when the stick was pulled was whatever fails or is replayed. */
static long one_round(struct __test_metadata *_metadata, struct plugged *disk,
		      const char *path, unsigned int seed)
{
	long failed;
	pid_t pid;

	pid = fio_begin(path, seed, "--do_verify=0", "--continue_on_error=write");
	EXPECT_TRUE(is_sending());
	sleep_ms(rand() % RUNS_MS);
	EXPECT_EQ(0, disk_pull(disk));
	EXPECT_TRUE(gate_is_away(GATE, true, slow(GONE_MS)));
	EXPECT_EQ(0, disk_wait_gone(disk, slow(GONE_MS)));
	sleep_ms(rand() % AWAY_MS);
	EXPECT_EQ(0, disk_plug(disk, disk->id));
	EXPECT_TRUE(gate_is_away(GATE, false, slow(PLUGGED_MS)));
	failed = fio_end(pid);
	system("grep -E '\"(error|total_err|first_error|total_ios)\"' " REPORT " | sed 's/^/# /'");
	/* What failed may have been done, or not. */
	EXPECT_GE(failed, look_again(path, seed));
	return failed;
}

TEST_F_TIMEOUT(writer, pulled_at_any_moment, 1800)
{
	const char *text = getenv("IOTARGET_PLUG_ROUNDS");
	const unsigned int rounds = text ? atoi(text) : 3;
	unsigned int i, in_flight = 0;
	struct gate_loss before, after;
	long failed;

	srand(1);
	for (i = 0; i < rounds; i++) {
		ASSERT_TRUE(gate_loss(GATE, &before));
		failed = one_round(_metadata, &self->disk, self->path, i + 1);
		ASSERT_TRUE(gate_loss(GATE, &after));
		after.unknown -= before.unknown;
		after.replayed -= before.replayed;
		EXPECT_EQ(failed, (long)after.unknown);
		if (*variant->replay == 'o')
			EXPECT_EQ(0, failed);
		in_flight += after.unknown || after.replayed;
		TH_LOG("round %u: %ld failed, %llu unknown, %llu replayed", i + 1,
		       failed, after.unknown, after.replayed);
	}
	TH_LOG("something was in flight at %u of %u pulls", in_flight, rounds);
	EXPECT_GE(in_flight * 20, rounds * 18);
}

TEST_HARNESS_MAIN
