// SPDX-License-Identifier: GPL-2.0-only
/*
 * fio on a gate: random writes of 512 bytes to 64 KiB by each of four ways into the
 * kernel, while the gate is stopped and started; read back through the gate, and
 * then from the device below it.
 */
#include <linux/fs.h>
#include <sys/wait.h>

#include "fixture.h"
#include "gates.h"
#include "host.h"

#define GATE		GATE_PREFIX "a"
#define NO_GATES	"iogate is not loaded, or this is not root"
#define REPORT		"/tmp/iotarget-fio.txt"
#define NR_ENGINES	4
#define SHARE_MIB	4		/* of the disk, for each engine */
#define MAX_ARGS	64
#define HELD_MS		20		/* and sent again for as long */

/*
 * In fio 3.33 what is mapped has to begin at 0.  And whenever it maps a block device,
 * for verification, too, it has the device zero what is there (MADV_REMOVE), if that
 * can: so what was written by mmap is verified from below only.
 */
static const char * const engines[NR_ENGINES] = {
	"mmap", "psync", "libaio", "io_uring",
};

FIXTURE(fio) {
	char lower[DEVICE_PATH];
};

static bool have_fio(void)
{
	return !system("fio --version >/dev/null 2>&1");
}

FIXTURE_SETUP(fio)
{
	if (!gates_loaded())
		SKIP(return, NO_GATES);
	if (!have_fio())
		SKIP(return, "there is no fio");
	gates_cleanup();
	ASSERT_EQ(0, gate_new(GATE));
}

FIXTURE_TEARDOWN(fio)
{
	gates_cleanup();
	unlink(REPORT);
	ON_TIME();
}

struct command {
	const char	*args[MAX_ARGS];
	char		text[MAX_ARGS][64];
	unsigned int	nr;
};

static void add(struct command *c, const char *arg)
{
	if (c->nr == MAX_ARGS - 1)
		abort();
	snprintf(c->text[c->nr], sizeof(c->text[0]), "%s", arg);
	c->args[c->nr] = c->text[c->nr];
	c->nr++;
}

static void add_text(struct command *c, const char *option, const char *value)
{
	char text[160];

	snprintf(text, sizeof(text), "%s=%s", option, value);
	add(c, text);
}

static void add_number(struct command *c, const char *option, unsigned int value,
		       const char *unit)
{
	char text[64];

	snprintf(text, sizeof(text), "%s=%u%s", option, value, unit);
	add(c, text);
}

/* All engines at once, each in its part of the disk. */
static void command(struct command *c, const char *path, bool verify)
{
	static const char * const common[] = {
		"fio", "--thread", "--eta=never", "--output=" REPORT, "--rw=randwrite",
		"--bssplit=512/10:4k/40:16k/30:64k/20", "--verify=crc32c",
		"--verify_fatal=1", "--verify_state_save=0", "--invalidate=0",
		"--end_fsync=1",
	};
	unsigned int i;

	memset(c, 0, sizeof(*c));
	for (i = 0; i < ARRAY_SIZE(common); i++)
		add(c, common[i]);
	add_text(c, "--filename", path);
	add_number(c, "--size", SHARE_MIB, "m");
	if (verify)
		add(c, "--verify_only=1");
	for (i = 0; i < NR_ENGINES; i++) {
		add_text(c, "--name", engines[i]);
		add_text(c, "--ioengine", verify ? "psync" : engines[i]);
		add_number(c, "--offset", i * SHARE_MIB, "m");
		add_number(c, "--direct", verify || i, "");
		add_number(c, "--do_verify", verify || i, "");
		add_number(c, "--iodepth", verify || i < 2 ? 1 : 16, "");
	}
}

static pid_t begin(const char *path, bool verify)
{
	struct command c;
	pid_t pid;

	command(&c, path, verify);
	pid = fork();
	if (pid)
		return pid;
	execvp("fio", (char **)c.args);
	_exit(127);
}

/* Its exit status; what it said of a failure is told. */
static int end(int status)
{
	int ret = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

	if (ret)
		system("sed 's/^/# /' " REPORT);
	return ret;
}

static int stop_and_start(pid_t pid, int *status, unsigned int *stops)
{
	pid_t done;
	int ret;

	do {
		ret = gate_set(GATE, "state", "stop");
		sleep_ms(HELD_MS);
		ret = ret ? ret : gate_set(GATE, "state", "start");
		sleep_ms(HELD_MS);
		(*stops)++;
		done = waitpid(pid, status, WNOHANG);
	} while (!done && !ret);
	if (!done)
		waitpid(pid, status, 0);
	return ret;
}

static void try_device(struct __test_metadata *_metadata, const char *lower)
{
	char path[DEVICE_PATH];
	uint64_t held, sent, began = now_ms();
	unsigned int stops = 0;
	int status = 0;
	pid_t pid;

	ASSERT_EQ(0, gate_on(GATE, lower, path));
	ASSERT_LE(NR_ENGINES * SHARE_MIB * MIB, device_size(path));
	pid = begin(path, false);
	ASSERT_LT(0, pid);
	EXPECT_EQ(0, stop_and_start(pid, &status, &stops));
	EXPECT_EQ(0, end(status));
	EXPECT_LT(2, stops);
	ASSERT_TRUE(gate_inflight(GATE, &held, &sent));
	EXPECT_EQ(0, held);
	EXPECT_EQ(0, sent);
	EXPECT_EQ(0, gate_off(GATE));
	pid = begin(lower, true);
	ASSERT_LT(0, pid);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, end(status));
	TH_LOG("%s: %u stops, %llu ms", lower, stops,
	       (unsigned long long)(now_ms() - began));
}

TEST_F_TIMEOUT(fio, over_null_blk, 120)
{
	if (!got_device(self->lower, nullb_make(&fast_disk)))
		SKIP(return, "%s", device_reason());
	try_device(_metadata, self->lower);
}

TEST_F_TIMEOUT(fio, over_a_usb_stick, 120)
{
	try_plugged(_metadata, try_device, "usb1");
}

TEST_F_TIMEOUT(fio, over_nvme, 120)
{
	try_plugged(_metadata, try_device, "nvme0");
}

TEST_HARNESS_MAIN
