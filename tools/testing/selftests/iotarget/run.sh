#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# Runs the selftests on this machine, against a device of your choice, or those
# that make their own devices (null_blk, scsi_debug, loop, device mapper, a USB
# gadget); cases whose device is not there are skipped, with the reason.

usage()
{
	cat <<-USAGE
	usage: $0 [--device /dev/X [--destroy]] [--all] [--dir PROGRAMS] [PROGRAM...]
	  --device /dev/X  test this device, reading only; refused when it is
	                   mounted, held, swapped to or otherwise in use
	  --destroy        write to that device, too: its contents are lost
	  --all            all tests that make their own devices, which write
	                   to /dev/ram0 if it is there, and remove the hosts
	                   of scsi_debug
	  --dir PROGRAMS   where the test programs are (default: beside this file)
	The modules iotarget and iotarget_test must be loaded.
	USAGE
}

skip()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

dir=$(dirname "$0")
device=
destroy=
all=
while [ $# -gt 0 ]; do
	case $1 in
	--device)
		[ $# -ge 2 ] || { usage >&2; exit 1; }
		device=$2
		shift
		;;
	--destroy)
		destroy=1
		;;
	--dir)
		[ $# -ge 2 ] || { usage >&2; exit 1; }
		dir=$2
		shift
		;;
	--all)
		all=1
		;;
	-h | --help)
		usage
		exit 0
		;;
	-*)
		usage >&2
		exit 1
		;;
	*)
		break
		;;
	esac
	shift
done

if [ -n "$destroy" ] && [ -z "$device" ]; then
	echo "$0: --destroy needs --device" >&2
	exit 1
fi
[ "$(id -u)" -eq 0 ] || skip "must be run as root"
[ -c /dev/iotarget_test ] || skip "iotarget_test is not loaded"

# Why must the device be left alone?  The programs look again before each test.
in_use()
{
	node=$(readlink -f "$1")
	name=$(basename "$node")

	[ -b "$node" ] || { echo "it is not a block device"; return 0; }
	number=$(printf '%d:%d' "0x$(stat -c %t "$node")" "0x$(stat -c %T "$node")")
	sys=$(readlink -f "/sys/dev/block/$number")
	for part in "$sys" "$sys"/"$name"*; do
		[ -e "$part/dev" ] || continue
		if cut -d' ' -f3 /proc/self/mountinfo | grep -qx "$(cat "$part/dev")"; then
			echo "$(basename "$part") is mounted"
			return 0
		fi
		if [ -n "$(ls -A "$part/holders" 2>/dev/null)" ]; then
			echo "another device is built on $(basename "$part")"
			return 0
		fi
		if grep -q "^/dev/$(basename "$part")[[:space:]]" /proc/swaps; then
			echo "$(basename "$part") is swapped to"
			return 0
		fi
	done
	return 1
}

if [ -n "$device" ]; then
	if why=$(in_use "$device"); then
		echo "$0: $device refused: $why" >&2
		exit 1
	fi
	IOTARGET_DEVICE=$device
	export IOTARGET_DEVICE
fi
if [ -n "$destroy" ]; then
	IOTARGET_DESTROY=1
	export IOTARGET_DESTROY
fi

if [ $# -eq 0 ]; then
	[ -z "$all" ] || set -- iotarget_open iotarget_share iotarget_io \
		iotarget_state iotarget_wait iotarget_request iotarget_timeout \
		iotarget_module iotarget_load_smp4 iotarget_iogate \
		iotarget_iogate_stack iotarget_iogate_fs iotarget_iogate_faults \
		iotarget_ioflush iotarget_fio iotarget_mkfs \
		iotarget_faulty iotarget_faulty_scsi iotarget_faulty_gadget
	[ -z "$device" ] || set -- iotarget_device "$@"
fi
[ $# -gt 0 ] || skip "nothing asked for; see $0 --help"
status=0
for program in "$@"; do
	if [ ! -x "$dir/$program" ]; then
		echo "$0: $dir/$program is not built" >&2
		exit 1
	fi
	echo "# $program"
	"$dir/$program"
	result=$?
	[ $result -eq 0 ] || [ $result -eq 4 ] || status=1
done
exit $status
