// SPDX-License-Identifier: GPL-2.0-only
/*
 * iotarget: list I/O targets, stop, start and purge them, set what becomes of I/O when
 * their devices are gone, watch them, eject devices.
 *
 * A verb is a row of the table: its name, its arguments, the options that it
 * takes and the function.
 */
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tool.h"

void complain(const char *fmt, ...)
{
	va_list args;

	fflush(stdout);
	fputs("iotarget: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
}

#define STOP_OPTIONS	"ateHr"
#define POLICY_OPTIONS	"obFlLwWA"
#define MAX_HOLD_MS	86400000
#define MAX_DEADLINE_MS	600000

static const struct verb {
	const char	*name;
	const char	*args;		/* for the usage */
	int		min, max;	/* how many */
	const char	*options;	/* besides -j */
	int		(*run)(const struct options *o);
	const char	*about;
} verbs[] = {
	{ "list", "", 0, 0, "", verb_list, "all targets" },
	{ "show", "TARGET", 1, 1, "", verb_show, "all that is known of one" },
	{ "stop", "TARGET", 1, 1, STOP_OPTIONS, verb_stop, "hold what is sent to it" },
	{ "start", "TARGET", 1, 1, "t", verb_start, "let requests through" },
	{ "purge", "TARGET", 1, 1, STOP_OPTIONS, verb_purge,
	  "fail what is held, refuse what comes" },
	{ "policy", "TARGET", 1, 1, POLICY_OPTIONS, verb_policy,
	  "what becomes of I/O when its device is gone" },
	{ "reopen", "TARGET", 1, 1, "t", verb_reopen,
	  "open it again after a removal, or look for its device now" },
	{ "takes", "DEVICE", 1, 1, "t", verb_takes,
	  "whether a device that has come is a target's that waits for it" },
	{ "monitor", "[NAME]", 0, 1, "", verb_monitor, "tell what happens, until interrupted" },
	{ "eject", "DEVICE", 1, 1, "nd", verb_eject, "remove a device, if all who use it agree" },
	{ "attach", "DEVICE NAME", 2, 2, "", verb_attach, "put an iogate in front of a device" },
	{ "detach", "NAME", 1, 1, "f", verb_detach, "take an iogate away" },
};

static const struct option long_options[] = {
	{ "action", required_argument, NULL, 'a' },
	{ "timeout", required_argument, NULL, 't' },
	{ "expires", required_argument, NULL, 'e' },
	{ "hold", no_argument, NULL, 'H' },
	{ "reason", required_argument, NULL, 'r' },
	{ "dry-run", no_argument, NULL, 'n' },
	{ "deadline", required_argument, NULL, 'd' },
	{ "force", no_argument, NULL, 'f' },
	{ "hold-for", required_argument, NULL, 'o' },
	{ "hold-bytes", required_argument, NULL, 'b' },
	{ "fail", no_argument, NULL, 'F' },
	{ "lossy", no_argument, NULL, 'l' },
	{ "no-lossy", no_argument, NULL, 'L' },
	{ "replay", no_argument, NULL, 'w' },
	{ "no-replay", no_argument, NULL, 'W' },
	{ "accept-loss", no_argument, NULL, 'A' },
	{ "json", no_argument, NULL, 'j' },
	{ "help", no_argument, NULL, 'h' },
	{ }
};

static void explain(FILE *out)
{
	unsigned int i;

	fputs("usage: iotarget [--json] VERB ...\n\n", out);
	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		fprintf(out, "  %-8s %-12s %s\n", verbs[i].name, verbs[i].args, verbs[i].about);
	fputs("\nTARGET is a name, or @ and a number as in 'list'.\n\n"
	      "  --action cancel|wait|leave   stop, purge: what to do about sent requests\n"
	      "  --timeout MS                 how long to wait (10000; takes: 3000)\n"
	      "  --expires SECONDS|forever    stop, purge: how long it lasts (60)\n"
	      "  --hold                       stop, purge: stay, and end it with this process\n"
	      "  --reason TEXT                stop, purge: for those who find the target stopped\n"
	      "  --dry-run                    eject: only ask\n"
	      "  --deadline SECONDS           eject: how long all together may take to answer (10)\n"
	      "  --force                      detach: even if it is in use\n"
	      "  --hold-for SECONDS           policy: hold I/O so long until the device is back\n"
	      "  --hold-bytes N               policy: and no more than that\n"
	      "  --fail                       policy: do not hold, let it fail\n"
	      "  --lossy, --no-lossy          policy: whether lost caches are no error\n"
	      "  --replay, --no-replay        policy: whether writes are sent again when it is back\n"
	      "  --accept-loss                policy: what was lost so far is none any more\n"
	      "  --json                       for programs\n", out);
}

static bool read_number(const char *text, double scale, double max, uint32_t *number)
{
	char *end;
	double n;

	errno = 0;
	n = strtod(text, &end) * scale;
	if (errno || end == text || *end || !(n >= 0) || n > max)
		return false;
	*number = n;
	return true;
}

static bool read_bytes(const char *text, uint64_t *bytes)
{
	char *end;

	errno = 0;
	*bytes = strtoull(text, &end, 10);
	return !errno && end != text && !*end && *text != '-' && *bytes;
}

static bool read_action(const char *text, uint32_t *action)
{
	static const char * const names[] = {
		[IOTARGET_SENT_ACTION_CANCEL] = "cancel",
		[IOTARGET_SENT_ACTION_WAIT] = "wait",
		[IOTARGET_SENT_ACTION_LEAVE] = "leave",
	};
	unsigned int i;

	for (i = IOTARGET_SENT_ACTION_CANCEL; i <= IOTARGET_SENT_ACTION_LEAVE; i++) {
		if (!strcmp(text, names[i])) {
			*action = i;
			return true;
		}
	}
	return false;
}

static bool read_policy_option(int option, const char *value, struct options *o)
{
	switch (option) {
	case 'o':
		return read_number(value, 1000, MAX_HOLD_MS, &o->hold_ms) && o->hold_ms;
	case 'b':
		return read_bytes(value, &o->hold_bytes);
	case 'F':
		o->fail = true;
		return true;
	case 'l':
		o->lossy = true;
		return true;
	case 'L':
		o->no_lossy = true;
		return true;
	case 'w':
		o->replay = true;
		return true;
	case 'W':
		o->no_replay = true;
		return true;
	case 'A':
		o->accept_loss = true;
		return true;
	}
	return false;
}

static bool read_option(int option, const char *value, struct options *o)
{
	switch (option) {
	case 'a':
		return read_action(value, &o->action);
	case 't':
		o->has_timeout = true;
		return read_number(value, 1, UINT32_MAX, &o->timeout_ms);
	case 'e':
		o->has_expires = true;
		o->forever = !strcmp(value, "forever");
		return o->forever || read_number(value, 1000, UINT32_MAX, &o->expires_ms);
	case 'H':
		o->hold = true;
		return true;
	case 'r':
		o->reason = value;
		return true;
	case 'n':
		o->dry_run = true;
		return true;
	case 'd':
		return read_number(value, 1000, MAX_DEADLINE_MS, &o->deadline_ms) &&
		       o->deadline_ms;
	case 'f':
		o->force = true;
		return true;
	case 'j':
		o->json = true;
		return true;
	}
	return read_policy_option(option, value, o);
}

static const struct verb *find_verb(const char *name)
{
	unsigned int i;

	for (i = 0; i < sizeof(verbs) / sizeof(*verbs); i++) {
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	}
	return NULL;
}

int main(int argc, char **argv)
{
	char given[16] = "";	/* the options */
	size_t n = 0;
	const struct verb *verb;
	struct options o = { };
	int option, count, i;

	while ((option = getopt_long(argc, argv, "jh", long_options, NULL)) != -1) {
		if (option == 'h') {
			explain(stdout);
			return EXIT_DONE;
		}
		if (option == '?')
			return EXIT_USAGE;
		if (!read_option(option, optarg, &o)) {
			complain("'%s' is not what that option takes", optarg);
			return EXIT_USAGE;
		}
		if (option != 'j' && n < sizeof(given) - 1)
			given[n++] = option;
	}
	if (optind == argc) {
		explain(stderr);
		return EXIT_USAGE;
	}
	verb = find_verb(argv[optind]);
	count = argc - optind - 1;
	if (!verb) {
		complain("no verb '%s'; see iotarget --help", argv[optind]);
		return EXIT_USAGE;
	}
	if (count < verb->min || count > verb->max) {
		complain("usage: iotarget %s %s", verb->name, verb->args);
		return EXIT_USAGE;
	}
	if (given[strspn(given, verb->options)]) {
		complain("%s does not take one of these options; see iotarget --help", verb->name);
		return EXIT_USAGE;
	}
	for (i = 0; i < count; i++)
		o.args[i] = argv[optind + 1 + i];
	return verb->run(&o);
}
