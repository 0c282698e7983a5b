// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget eject, the tool: on a USB stick with two targets on it.  Whoever refuses is
 * named, whoever agreed has the device back if it stays, and if all agree it goes.
 */
#include <linux/fuse.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "control.h"
#include "removing.h"

#define BLOCK		4096
#define MOUNT		"/tmp/eject it"
#define MAX_ARGS	8

/* Exit statuses of the tool: iotarget.8. */
enum { EXIT_DONE, EXIT_REFUSED, EXIT_USAGE, EXIT_NOT_THERE, EXIT_NOT_ALLOWED };

#define TOLD_ALL (IOTARGET_TEST_QUERY_AGREES | IOTARGET_TEST_CANCELED_OPENS | \
		  IOTARGET_TEST_COMPLETE_CLOSES)

/* What the tool printed, and how it ended. */
struct run {
	pid_t	pid;
	int	out_fd, err_fd;
	int	status;			/* 128 and the signal, if that ended it */
	char	out[16384], err[2048];
};

static const char *tool(void)
{
	return getenv("IOTARGET_TOOL") ?: "iotarget";
}

static bool tool_there(void)
{
	return !system("iotarget --help >/dev/null 2>&1") || getenv("IOTARGET_TOOL");
}

static int run_start(struct run *run, uid_t uid, const char *const *args)
{
	const char *argv[MAX_ARGS + 2] = { tool() };
	unsigned int i;

	for (i = 0; i < MAX_ARGS && args[i]; i++)
		argv[i + 1] = args[i];
	run->out_fd = memfd_create("out", 0);
	run->err_fd = memfd_create("err", 0);
	run->pid = fork();
	if (!run->pid) {
		if (dup2(run->out_fd, 1) < 0 || dup2(run->err_fd, 2) < 0 ||
		    (uid && (setgid(uid) || setuid(uid))))
			_exit(126);
		execvp(argv[0], (char **)argv);
		_exit(127);
	}
	return run->pid < 0 ? -errno : 0;
}

static void take(int fd, char *text, size_t size)
{
	ssize_t n = pread(fd, text, size - 1, 0);

	text[n > 0 ? n : 0] = '\0';
	close(fd);
}

static int run_end(struct run *run)
{
	int status;

	if (waitpid(run->pid, &status, 0) != run->pid)
		return -1;
	run->status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	take(run->out_fd, run->out, sizeof(run->out));
	take(run->err_fd, run->err, sizeof(run->err));
	return run->status;
}

static int run_tool(struct run *run, uid_t uid, const char *const *args)
{
	int ret = run_start(run, uid, args);

	return ret ?: run_end(run);
}

#define ARGS(...) ((const char *const []){ __VA_ARGS__, NULL })

#define TOOL(_run, ...) run_tool(_run, 0, ARGS(__VA_ARGS__))

static void says(struct __test_metadata *_metadata, const char *output,
		 const char *text)
{
	EXPECT_NE(NULL, strstr(output, text))
		TH_LOG("no \"%s\" in: %s", text, output);
}

FIXTURE(eject) {
	struct plugged disk;
	struct nl ask, ear;
	int plain, owner;
};

FIXTURE_SETUP(eject)
{
	const char *why = host_has("usb1");

	if (!module_loaded())
		SKIP(return, NO_MODULE);
	if (!tool_there())
		SKIP(return, "the tool is not here");
	if (why)
		SKIP(return, "%s", why);
	NL_OR_SKIP(&self->ask);
	ASSERT_EQ(0, disk_plug(&self->disk, "usb1"));
	self->plain = target_with_defaults("eject-plain");
	ASSERT_LE(0, self->plain);
	ASSERT_EQ(0, target_open(self->plain, self->disk.path, ACCESS_BOTH, SHARE_BOTH));
	ASSERT_EQ(0, target_start_and_wait(self->plain, LONG_MS, NULL));
	self->owner = target_opened("eject-owner", self->disk.path);
	ASSERT_LE(0, self->owner);
	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 0));
	ASSERT_EQ(0, nl_listen(&self->ear));
}

FIXTURE_TEARDOWN(eject)
{
	nl_close(&self->ear);
	nl_close(&self->ask);
	/* Whether the guest has let it go or not, for the host it is there. */
	EXPECT_EQ(0, disk_pull(&self->disk));
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	close(self->plain);
	close(self->owner);
	ON_TIME();
}

/* It is open and works, as if nothing had been. */
static void check_works(struct __test_metadata *_metadata, int fd)
{
	struct iotarget_test_transfer out;

	EXPECT_EQ(STARTED, target_state(fd));
	EXPECT_EQ(0, target_write(fd, 0, BLOCK, LONG_MS, &out));
	EXPECT_EQ(DONE, out.outcome);
	EXPECT_EQ(0, target_read(fd, 0, BLOCK, LONG_MS, &out));
	EXPECT_EQ(0, out.wrong);
}

/* When the tool has returned, not some time later. */
static void check_stays(struct __test_metadata *_metadata, struct _test_data_eject *self)
{
	EXPECT_TRUE(disk_there(&self->disk));
	check_works(_metadata, self->plain);
	check_works(_metadata, self->owner);
}

static void check_gone(struct __test_metadata *_metadata, struct _test_data_eject *self)
{
	EXPECT_EQ(0, disk_wait_gone(&self->disk, slow(GONE_MS)));
	EXPECT_TRUE(becomes_state(self->plain, CLOSED, slow(2000)));
	EXPECT_TRUE(becomes_state(self->owner, CLOSED, slow(2000)));
}

TEST_F_TIMEOUT(eject, agreed_and_gone, 60)
{
	struct iotarget_test_removal told;
	struct nl_event event, end;
	struct above above;
	struct run run;

	ASSERT_EQ(0, device_above(self->disk.path, "remove", &above));
	EXPECT_EQ(EXIT_DONE, TOOL(&run, "eject", self->disk.path)) TH_LOG("%s", run.err);
	says(_metadata, run.out, ": gone");
	EXPECT_STREQ("", run.err);
	check_gone(_metadata, self);
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_AGREED, 0, &event, EVENT_MS));
	/* What goes is the device of the bus. */
	EXPECT_STREQ(strrchr(above.dir, '/') + 1, event.name);
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_ENDED, event.cookie, &end,
			      EVENT_MS));
	EXPECT_EQ(IOTARGET_WHY_GONE, end.why);
	/* Nobody was surprised. */
	told = removal_told(self->owner);
	EXPECT_EQ(2, told.nr);
	EXPECT_EQ(TOLD_QUERY, told.told[0].kind);
	EXPECT_EQ(0, told.told[0].forced);
	EXPECT_EQ(TOLD_COMPLETE, told.told[1].kind);
}

/* By its name, and for programs. */
TEST_F_TIMEOUT(eject, agreed_and_gone_json, 60)
{
	struct run run;

	EXPECT_EQ(EXIT_DONE, TOOL(&run, "--json", "eject", self->disk.name, "--deadline", "5"))
		TH_LOG("%s", run.err);
	says(_metadata, run.out, "\"device\":\"usb:");
	says(_metadata, run.out, "\"result\":\"gone\"");
	says(_metadata, run.out, self->disk.name);
	check_gone(_metadata, self);
}

TEST_F_TIMEOUT(eject, a_partition_stands_for_its_disk, 60)
{
	char path[DEVICE_PATH];
	struct run run;

	ASSERT_TRUE(got_device(path, partition_make(self->disk.path, 1, MIB, 4 * MIB)));
	EXPECT_EQ(EXIT_DONE, TOOL(&run, "eject", path)) TH_LOG("%s", run.err);
	check_gone(_metadata, self);
}

TEST_F_TIMEOUT(eject, dry_run, 60)
{
	struct nl_event event;
	struct run run;
	int fd;

	EXPECT_EQ(EXIT_DONE, TOOL(&run, "eject", "--dry-run", self->disk.path));
	says(_metadata, run.out, "all agree");
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_AGREED, 0, &event, EVENT_MS));
	EXPECT_TRUE(event.dry_run);
	EXPECT_EQ(TOLD_QUERY, removal_told(self->owner).told[0].kind);
	EXPECT_EQ(1, removal_told(self->owner).told[0].dry_run);
	EXPECT_EQ(1, removal_told(self->owner).nr);
	check_stays(_metadata, self);
	fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "--dry-run", self->disk.path));
	close(fd);
	EXPECT_EQ(EXIT_DONE, TOOL(&run, "--json", "eject", "--dry-run", self->disk.path));
	says(_metadata, run.out, "\"result\":\"agreed\"");
	check_stays(_metadata, self);
}

static void try_mounted(struct __test_metadata *_metadata, struct _test_data_eject *self,
			const char *path)
{
	struct iotarget_test_transfer out;
	char text[128];
	struct run run;

	ASSERT_EQ(0, device_ext2(path));
	mkdir(MOUNT, 0700);
	ASSERT_EQ(0, mount(path, MOUNT, "ext4", 0, NULL));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	snprintf(text, sizeof(text), "%s is mounted on " MOUNT, strrchr(path, '/') + 1);
	says(_metadata, run.err, text);
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "--json", self->disk.path));
	says(_metadata, run.out, "\"refused_by\":\"claim\"");
	snprintf(text, sizeof(text), "{\"kind\":\"mount\",\"device\":\"%s\",\"name\":\"" MOUNT
		 "\"}", strrchr(path, '/') + 1);
	says(_metadata, run.out, text);
	EXPECT_EQ(0, umount(MOUNT));
	EXPECT_EQ(0, removal_told(self->owner).nr);
	EXPECT_EQ(STARTED, target_state(self->owner));
	EXPECT_EQ(0, target_read(self->plain, 0, BLOCK, LONG_MS, &out));
}

TEST_F_TIMEOUT(eject, refused_by_a_mount, 60)
{
	/* Some kernels mount nothing that somebody could write to. */
	ASSERT_EQ(0, target_close(self->plain, LONG_MS, NULL));
	ASSERT_EQ(0, target_close(self->owner, LONG_MS, NULL));
	ASSERT_EQ(0, target_open(self->plain, self->disk.path, ACCESS_READ, SHARE_BOTH));
	ASSERT_EQ(0, target_open(self->owner, self->disk.path, ACCESS_READ, SHARE_BOTH));
	ASSERT_TRUE(device_becomes_free(self->disk.path));
	try_mounted(_metadata, self, self->disk.path);
}

TEST_F_TIMEOUT(eject, refused_by_a_mounted_partition, 60)
{
	char path[DEVICE_PATH];

	ASSERT_TRUE(got_device(path, partition_make(self->disk.path, 1, MIB, 8 * MIB)));
	try_mounted(_metadata, self, path);
	EXPECT_EQ(0, partition_remove(self->disk.path, 1));
}

/* A page whose end says that it is swap, of that many pages. */
static int make_swap(const char *path)
{
	static char page[BLOCK];
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return -errno;
	((uint32_t *)page)[256] = 1;
	((uint32_t *)page)[257] = device_size(path) / BLOCK - 1;
	memcpy(page + BLOCK - 10, "SWAPSPACE2", 10);
	n = pwrite(fd, page, BLOCK, 0);
	close(fd);
	return n == BLOCK ? 0 : -EIO;
}

TEST_F_TIMEOUT(eject, refused_by_swap, 60)
{
	struct run run;

	ASSERT_EQ(0, make_swap(self->disk.path));
	if (swapon(self->disk.path, 0))
		SKIP(return, "this kernel has no swap: %s", strerror(errno));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	says(_metadata, run.err, " is swapped to");
	EXPECT_EQ(0, swapoff(self->disk.path));
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, refused_by_a_process, 60)
{
	int fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	struct run run;
	char text[64];

	ASSERT_LE(0, fd);
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	snprintf(text, sizeof(text), "%s is open in iotarget_eject[%d]", self->disk.name, getpid());
	says(_metadata, run.err, text);
	close(fd);
	check_stays(_metadata, self);
}

/* The kernel has it open, and no process. */
/* -- a file system that does not answer -------------------------------------- */

#define SILENT_FILE	2		/* its node */

struct silent {
	char		dir[32];
	int		fuse, file;
	pthread_t	server;
	bool		silent;
};

static void fuse_answer(int fd, const struct fuse_in_header *in, int error, const void *data,
			size_t len)
{
	struct fuse_out_header out = {
		.len = sizeof(out) + len, .error = error, .unique = in->unique,
	};
	struct iovec vec[] = { { &out, sizeof(out) }, { (void *)data, len } };

	if (writev(fd, vec, 2) < 0)
		return;
}

static struct fuse_attr fuse_attr_of(uint64_t node)
{
	return (struct fuse_attr){
		.ino = node, .nlink = 1,
		.mode = node == SILENT_FILE ? S_IFREG | 0644 : S_IFDIR | 0755,
	};
}

/* One file; nothing of what is known of it may be kept, so each look is a question. */
static void serve_one(struct silent *s, const struct fuse_in_header *in)
{
	const struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION, .minor = 31 };
	const struct fuse_entry_out entry = {
		.nodeid = SILENT_FILE, .entry_valid = 3600, .attr = fuse_attr_of(SILENT_FILE),
	};
	const struct fuse_attr_out attr = { .attr = fuse_attr_of(in->nodeid) };
	/* Whoever has it open can close it without an answer. */
	const struct fuse_open_out opened = { .fh = 1, .open_flags = FOPEN_NOFLUSH };

	switch (in->opcode) {
	case FUSE_INIT:
		return fuse_answer(s->fuse, in, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		return fuse_answer(s->fuse, in, 0, &entry, sizeof(entry));
	case FUSE_OPEN:
		return fuse_answer(s->fuse, in, 0, &opened, sizeof(opened));
	case FUSE_GETATTR:
		return fuse_answer(s->fuse, in, 0, &attr, sizeof(attr));
	default:
		return fuse_answer(s->fuse, in, -EOPNOTSUPP, NULL, 0);
	}
}

static void *serve(void *arg)
{
	static char buf[FUSE_MIN_READ_BUFFER + BLOCK];
	struct silent *s = arg;

	while (!__atomic_load_n(&s->silent, __ATOMIC_ACQUIRE)) {
		if (read(s->fuse, buf, sizeof(buf)) > 0)
			serve_one(s, (struct fuse_in_header *)buf);
		else
			sleep_ms(1);
	}
	return NULL;
}

static bool silent_begin(struct silent *s)
{
	char options[96], path[64];

	snprintf(s->dir, sizeof(s->dir), "/tmp/silentXXXXXX");
	s->fuse = open("/dev/fuse", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=0,group_id=0", s->fuse);
	if (s->fuse < 0 || !mkdtemp(s->dir) || mount("silent", s->dir, "fuse", 0, options))
		return false;
	if (pthread_create(&s->server, NULL, serve, s))
		return false;
	snprintf(path, sizeof(path), "%s/file", s->dir);
	s->file = open(path, O_RDONLY | O_CLOEXEC);
	__atomic_store_n(&s->silent, true, __ATOMIC_RELEASE);
	pthread_join(s->server, NULL);
	return s->file >= 0;
}

static void silent_end(struct silent *s)
{
	/* Without it nothing waits for answers any more. */
	close(s->fuse);
	close(s->file);
	umount2(s->dir, MNT_DETACH);
	rmdir(s->dir);
}

/* Who is known is named, and for the rest nobody waits for ever. */
TEST_F_TIMEOUT(eject, refused_beside_a_silent_file_system, 60)
{
	struct silent s = { };
	uint64_t began;
	struct run run;
	pid_t other;
	int fd;

	if (!silent_begin(&s))
		SKIP(return, "no file system of our own: %s", strerror(errno));
	other = fork();
	if (!other) {
		close(s.fuse);
		pause();
		_exit(0);
	}
	fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, fd);
	began = now_ms();
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	EXPECT_GT(began + slow(15000), now_ms());
	says(_metadata, run.err, "is open in iotarget_eject");
	says(_metadata, run.err, "a file system does not answer");
	close(fd);
	kill(other, SIGKILL);
	waitpid(other, NULL, 0);
	silent_end(&s);
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, refused_by_a_loop_device, 60)
{
	int fd = open(self->disk.path, O_RDONLY | O_CLOEXEC);
	struct run run;
	bool made;

	ASSERT_LE(0, fd);
	made = loop_over(fd, true);
	close(fd);
	if (!made)
		SKIP(return, "%s", device_reason());
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	says(_metadata, run.err, " is used by loop");
	loop_remove();
}

TEST_F_TIMEOUT(eject, refused_by_a_target, 60)
{
	struct run run;

	ASSERT_EQ(0, removal_set(self->owner, 0, -EPERM, 0));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	says(_metadata, run.err, "the target eject-owner refuses: Operation not permitted");
	check_stays(_metadata, self);
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "--json", self->disk.path));
	says(_metadata, run.out, "\"refused_by\":\"target\",\"refused_name\":\"eject-owner\"");
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, refused_by_silence, 60)
{
	struct run run;

	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 3000));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "--deadline", "0.5", self->disk.path));
	says(_metadata, run.err, "the target eject-owner refuses: there was no answer in time");
	check_works(_metadata, self->plain);
	EXPECT_TRUE(becomes_state(self->owner, STARTED, slow(8000)));
}

static int begin(struct _test_data_eject *self, uint64_t *cookie)
{
	struct nl_msg msg;
	struct stat st;

	if (stat(self->disk.path, &st))
		return -errno;
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_REMOVE, 0);
	nl_put_u32(&msg, IOTARGET_A_VERB_MAJOR, major(st.st_rdev));
	nl_put_u32(&msg, IOTARGET_A_VERB_MINOR, minor(st.st_rdev));
	nl_put(&msg, IOTARGET_A_VERB_HOLD, NULL, 0);
	return nl_ask(&self->ask, &msg, cookie, NULL);
}

TEST_F_TIMEOUT(eject, refused_while_another_asks, 60)
{
	struct nl_event event;
	uint64_t cookie;
	struct run run;

	ASSERT_EQ(0, begin(self, &cookie));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_AGREED, cookie, &event,
			      EVENT_MS));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	says(_metadata, run.err, "somebody else is ejecting");
}

/* The tool is stopped while a target thinks about it: the agreement finds nobody who hears. */
static void run_until_agreed(struct __test_metadata *_metadata, struct _test_data_eject *self,
			     struct run *run, struct nl_event *event, const char *const *args)
{
	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 1500));
	ASSERT_EQ(0, run_start(run, 0, args));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_QUERY, 0, event, EVENT_MS));
	ASSERT_EQ(0, kill(run->pid, SIGSTOP));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_AGREED, 0, event, EVENT_MS));
}

/* Nobody is left who would remove the device. */
TEST_F_TIMEOUT(eject, killed_in_between, 60)
{
	struct nl_event event;
	struct run run;

	run_until_agreed(_metadata, self, &run, &event, ARGS("eject", self->disk.path));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->plain));
	EXPECT_EQ(CLOSED_FOR_QUERY_REMOVE, target_state(self->owner));
	ASSERT_EQ(0, kill(run.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, run_end(&run));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_ENDED, event.cookie, &event,
			      EVENT_MS));
	EXPECT_EQ(IOTARGET_WHY_OWNER_GONE, event.why);
	check_stays(_metadata, self);
	EXPECT_EQ(2, removal_told(self->owner).nr);
	EXPECT_EQ(TOLD_CANCELED, removal_told(self->owner).told[1].kind);
}

/* Held up, it removes nothing once the agreement that it has not seen is over. */
TEST_F_TIMEOUT(eject, agreed_and_canceled_while_it_is_held_up, 60)
{
	struct nl_event event;
	struct nl_msg msg;
	struct run run;

	run_until_agreed(_metadata, self, &run, &event, ARGS("eject", self->disk.path));
	nl_msg_init(&self->ask, &msg, IOTARGET_CMD_QUERY_CANCEL, 0);
	nl_put_u64(&msg, IOTARGET_A_VERB_COOKIE, event.cookie);
	ASSERT_EQ(0, nl_ask(&self->ask, &msg, NULL, NULL));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_ENDED, event.cookie, &event,
			      EVENT_MS));
	ASSERT_EQ(0, kill(run.pid, SIGCONT));
	EXPECT_EQ(EXIT_REFUSED, run_end(&run));
	says(_metadata, run.err, "it stays: ");
	check_stays(_metadata, self);
}

/* Nothing comes after the answer to a dry run. */
TEST_F_TIMEOUT(eject, dry_run_interrupted_after_its_answer, 60)
{
	struct nl_event event;
	uint64_t began;
	struct run run;

	run_until_agreed(_metadata, self, &run, &event,
			 ARGS("eject", "--dry-run", self->disk.path));
	began = now_ms();
	ASSERT_EQ(0, kill(run.pid, SIGINT));
	ASSERT_EQ(0, kill(run.pid, SIGCONT));
	EXPECT_EQ(EXIT_REFUSED, run_end(&run));
	EXPECT_GT(began + slow(8000), now_ms());
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, killed_while_it_asks, 60)
{
	struct nl_event event;
	struct run run;

	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 1000));
	ASSERT_EQ(0, run_start(&run, 0, ARGS("eject", self->disk.path)));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_QUERY, 0, &event, EVENT_MS));
	ASSERT_EQ(0, kill(run.pid, SIGKILL));
	EXPECT_EQ(128 + SIGKILL, run_end(&run));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_QUERY_ENDED, event.cookie, &event,
			      EVENT_MS));
	EXPECT_EQ(IOTARGET_WHY_OWNER_GONE, event.why);
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, interrupted, 60)
{
	struct nl_event event;
	uint64_t began;
	struct run run;

	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 1000));
	ASSERT_EQ(0, run_start(&run, 0, ARGS("eject", "--json", self->disk.path)));
	ASSERT_EQ(0, nl_await(&self->ear, IOTARGET_EVENT_KIND_REMOVE_QUERY, 0, &event, EVENT_MS));
	began = now_ms();
	ASSERT_EQ(0, kill(run.pid, SIGINT));
	EXPECT_EQ(EXIT_REFUSED, run_end(&run));
	EXPECT_GT(began + slow(8000), now_ms());
	says(_metadata, run.err, "interrupted");
	says(_metadata, run.out, "\"result\":\"canceled\"");
	check_stays(_metadata, self);
}

/* Nobody is asked for what can't be done. */
TEST_F_TIMEOUT(eject, the_file_can_not_be_written, 60)
{
	struct above above;
	struct run run;

	ASSERT_EQ(0, device_above(self->disk.path, "remove", &above));
	ASSERT_EQ(0, mount(above.dir, above.dir, NULL, MS_BIND, NULL));
	ASSERT_EQ(0, mount(NULL, above.dir, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	says(_metadata, run.err, "Read-only file system");
	EXPECT_EQ(0, umount(above.dir));
	check_stays(_metadata, self);
	EXPECT_EQ(0, removal_told(self->owner).nr);
}

TEST_F_TIMEOUT(eject, others_than_root_are_refused, 60)
{
	struct run run;

	EXPECT_EQ(EXIT_NOT_ALLOWED, run_tool(&run, 65534, ARGS("eject", "--dry-run",
							       self->disk.path)));
	says(_metadata, run.err, "Operation not permitted");
	EXPECT_EQ(0, removal_told(self->owner).nr);
	EXPECT_EQ(EXIT_NOT_ALLOWED, run_tool(&run, 65534, ARGS("eject", self->disk.path)));
	check_stays(_metadata, self);
}

TEST_F_TIMEOUT(eject, wrong_usage, 60)
{
	struct run run;

	EXPECT_EQ(EXIT_USAGE, TOOL(&run, "eject"));
	EXPECT_EQ(EXIT_USAGE, TOOL(&run, "eject", "--deadline", "0", self->disk.path));
	EXPECT_EQ(EXIT_USAGE, TOOL(&run, "eject", "--deadline", "601", self->disk.path));
	EXPECT_EQ(EXIT_USAGE, TOOL(&run, "eject", "--force", self->disk.path));
	EXPECT_EQ(EXIT_USAGE, TOOL(&run, "list", "--dry-run"));
	EXPECT_EQ(EXIT_NOT_THERE, TOOL(&run, "eject", "no-such-disk"));
	says(_metadata, run.err, "no such disk");
	EXPECT_EQ(EXIT_NOT_THERE, TOOL(&run, "eject", "/dev/no-such-disk"));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "/dev/null"));
	says(_metadata, run.err, "not a block device");
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", "ram0"));
	says(_metadata, run.err, "hangs on nothing");
	EXPECT_EQ(0, removal_told(self->owner).nr);
}

/* The steps, each as it is told. */
TEST_F_TIMEOUT(eject, monitor_shows_every_step, 60)
{
	struct run monitor, json, run;

	ASSERT_EQ(0, run_start(&monitor, 0, ARGS("monitor")));
	ASSERT_EQ(0, run_start(&json, 0, ARGS("--json", "monitor")));
	sleep_ms(slow(1000));
	/* The other one has agreed by then, or it would not have to be asked. */
	ASSERT_EQ(0, removal_set(self->owner, 0, -EPERM, slow(500)));
	EXPECT_EQ(EXIT_REFUSED, TOOL(&run, "eject", self->disk.path));
	ASSERT_EQ(0, removal_set(self->owner, TOLD_ALL, 0, 0));
	EXPECT_EQ(EXIT_DONE, TOOL(&run, "eject", self->disk.path));
	check_gone(_metadata, self);
	sleep_ms(slow(500));
	kill(monitor.pid, SIGTERM);
	kill(json.pid, SIGTERM);
	EXPECT_EQ(EXIT_DONE, run_end(&monitor));
	EXPECT_EQ(EXIT_DONE, run_end(&json));
	says(_metadata, monitor.out, "query-refused    by target eject-owner (");
	says(_metadata, monitor.out, "remove-canceled -> closed-for-query-remove");
	says(_metadata, monitor.out, "query-agreed");
	says(_metadata, monitor.out, "remove-query    -> started");
	says(_metadata, monitor.out, "remove-complete -> closed-for-query-remove");
	says(_metadata, monitor.out, "query-ended      (gone)");
	says(_metadata, json.out, "\"event\":\"query-refused\",\"id\":0,");
	says(_metadata, json.out, "\"refused_by\":\"target\",\"refused_name\":\"eject-owner\"");
	says(_metadata, json.out, "\"event\":\"query-ended\"");
}

TEST_HARNESS_MAIN
