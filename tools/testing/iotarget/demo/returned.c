// SPDX-License-Identifier: GPL-2.0-only
/*
 * The part of the demonstration in which the stick is pulled while a file is written to
 * it, through a gate that waits for it: another stick is refused, and the right one goes on.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "demo.h"
#include "gates.h"

#define GATE		"waits"
#define DIR		"/sys/kernel/config/iogate/" GATE
#define PICTURE		MNT "/picture.raw"
#define WRITTEN		MNT "/written.raw"
#define COME_MS		15000

static bool becomes_away(bool away)
{
	return gate_is_away(GATE, away, COME_MS);
}

static pid_t write_a_file(void)
{
	static const char command[] = "cp " PICTURE " " WRITTEN " && sync -d " WRITTEN;
	pid_t pid;

	printf("     # { %s; } &\n", command);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		execl("/bin/sh", "sh", "-c", command, NULL);
		_exit(127);
	}
	return pid;
}

static bool holds_some(void)
{
	uint64_t until = now_ms() + COME_MS, held = 0, sent;

	while (gate_inflight(GATE, &held, &sent) && !held && now_ms() < until)
		sleep_ms(5);
	return held;
}

static bool is_refused(void)
{
	uint64_t until = now_ms() + COME_MS;

	while (shell("dmesg | grep -o '" GATE ": .* is not the device that is gone.*'") &&
	       now_ms() < until)
		sleep_ms(50);
	return *output;
}

static void pulled_while_writing(pid_t writer)
{
	int status = 0;
	bool holds, ended;

	ask_host("unplug usb0");
	printf("     the stick is pulled\n");
	expect("the gate waits for it, and what is written is held");
	holds = becomes_away(true) && holds_some();
	show(holds, "%s", holds ? "it does" : "it does not");
	expect("nobody has got an error");
	ended = waitpid(writer, &status, WNOHANG);
	show(!ended, "%s", ended ? "the writer has ended" : "nobody");
}

static void another_is_refused(void)
{
	bool refused;

	ask_host("plug usb0x");
	printf("     another stick is plugged in, with the same serial number\n");
	expect("it is refused, and the log says why");
	refused = is_refused();
	show(refused, "%s", output);
	ask_host("unplug usb0x");
}

static void carries_on(pid_t writer)
{
	struct gate_loss loss = { };
	int status = -1;
	bool through;

	plug_in();
	expect("the gate has it again, and the writer goes on to its end, without an error");
	through = becomes_away(false) && waitpid(writer, &status, 0) == writer && !status;
	show(through, "%s", through ? "it is through" : "it failed");
	gate_loss(GATE, &loss);
	expect("nothing came to an end that nobody knows of");
	show(!loss.unknown, "%llu unknown, %llu sent again", loss.unknown, loss.replayed);
	expect("what was written is right");
	through = !shell("echo 3 >/proc/sys/vm/drop_caches; cmp " PICTURE " " WRITTEN);
	show(through, "%s", through ? "right" : output);
}

void show_return(void)
{
	const char *disk;
	pid_t writer;

	step("Have a gate wait for its stick, and pull that while a file is written");
	disk = plug_in();
	if (!disk)
		return;
	does("mkdir " DIR);
	does("echo %s >" DIR "/device", disk);
	does("echo 60 >" DIR "/hold_seconds; echo overwrite >" DIR "/replay; "
	     "echo 1 >" DIR "/lossy");
	does("echo 1 >" DIR "/power");
	does("mount -t ext4 /dev/iogate%ld " MNT, gate_number(GATE, "index"));
	/* So slow that it is not through when it is pulled. */
	ask_host("throttle usb0 20");
	writer = write_a_file();
	if (writer < 0)
		return;
	sleep_ms(500);
	pulled_while_writing(writer);
	another_is_refused();
	carries_on(writer);
	does("umount " MNT);
	does("rmdir " DIR);
	ask_host("unplug usb0");
}
