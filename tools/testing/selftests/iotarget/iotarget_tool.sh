#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-only
# The command-line tool: its verbs, what it prints, its exit statuses.

dir=$(dirname "$0")
helper=$dir/iotarget_tool_helper
tool=${IOTARGET_TOOL:-iotarget}
work=/tmp/iotarget-tool.$$
number=0
problem=

skip()
{
	echo "TAP version 13"
	echo "1..0 # SKIP $*"
	exit 4
}

result()
{
	number=$((number + 1))
	if [ -z "$problem" ]; then
		echo "ok $number $1"
	else
		echo "# $problem"
		echo "not ok $number $1"
		failed=1
	fi
	problem=
}

# try STATUS ARGUMENTS...: what it prints goes to $work/out and $work/err
try()
{
	expected=$1
	shift
	"$tool" "$@" >"$work/out" 2>"$work/err"
	status=$?
	[ $status -eq "$expected" ] ||
		problem="$problem 'iotarget $*' ended with $status, not $expected: $(cat "$work/err");"
}

# says FILE TEXT
says()
{
	grep -q -- "$2" "$work/$1" || problem="$problem no '$2' in: $(head -n 5 "$work/$1");"
}

# become NAME STATE: within some seconds
become()
{
	tries=0
	while ! "$tool" show "$1" | grep -q "^  state  *$2\$"; do
		tries=$((tries + 1))
		if [ $tries -gt 200 ]; then
			problem="$problem $1 is not $2: $("$tool" show "$1" | sed -n 2p);"
			return
		fi
		usleep 50000
	done
}

# appears FILE TEXT: within some seconds
appears()
{
	tries=0
	while ! grep -q -- "$2" "$work/$1" && [ $tries -lt 300 ]; do
		tries=$((tries + 1))
		usleep 50000
	done
	says "$1" "$2"
}

# hold ARGUMENTS...: a stop of tool-fast that lasts as long as the process $held
hold()
{
	: >"$work/held"
	"$tool" stop tool-fast --hold "$@" >"$work/held" &
	held=$!
	appears held "held until"
}

# monitor ARGUMENTS...: in the background, as $monitor; what happens from now on it is told
monitor()
{
	: >"$work/out"
	"$tool" monitor "$@" >"$work/out" 2>"$work/err" &
	monitor=$!
	tries=0
	while ! grep -q tool-fast "$work/out" && [ $tries -lt 100 ]; do
		tries=$((tries + 1))
		"$tool" stop tool-fast >/dev/null
		"$tool" start tool-fast >/dev/null
	done
	says out tool-fast
}

command -v "$tool" >/dev/null || skip "the tool is not here"
[ -c /dev/iotarget_test ] || skip "iotarget_test is not loaded, or this is not root"
mkdir -p "$work"
"$tool" list >/dev/null 2>&1
[ $? -ne 3 ] || skip "the kernel has no netlink family iotarget"
"$helper" targets >"$work/ready" &
targets=$!
# (and wait: who comes next may want the modules unused)
away=
trap 'kill $targets $away; wait $targets $away; rm -rf "$work"' EXIT
tries=0
while [ ! -s "$work/ready" ] && [ $tries -lt 200 ]; do
	tries=$((tries + 1))
	usleep 50000
done
grep -q ready "$work/ready" || skip "no targets: $(cat "$work/ready")"
fast=$(sed -n 's/^ready //p' "$work/ready")

echo "TAP version 13"
echo "1..24"

try 0 list
says out "tool-fast  *started"
says out "tool-slow  *started"
says out "iotarget_test"
try 0 --json list
says out '^\[{"id":.*"name":"tool-fast","state":"started".*\]$'
result "list shows the targets"

timeout 100 "$helper" shrink "$tool" list >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 0 ] || problem="status $status: $(cat "$work/err")"
says out tool-fast
! grep -q tool-late "$work/out" || problem="$problem a target is listed that was gone"
result "list is taken again when a target goes meanwhile"

try 0 stop tool-fast --action leave --expires 30 --reason 'to "see" it'
says out "tool-fast: stopped, 0 held, 0 sent"
try 0 show tool-fast
says out "stopped  *by iotarget\[[0-9]*\]: to \"see\" it; for another [0-9.]* s"
try 0 show tool-fast --json
says out '"reason":"to \\"see\\" it"'
result "stop says who and why"

# $1: a reason; $2: what JSON makes of it
reason()
{
	try 0 stop tool-fast --reason "$1"
	try 0 show tool-fast --json
	grep -qF -- "\"reason\":\"$2\"" "$work/out" ||
		problem="$problem of '$1' it makes $(sed 's/.*"reason"/"reason"/' "$work/out");"
	try 0 start tool-fast
}

euro=$(printf '\342\202\254')
reason "5 $euro" "5 $euro"
reason "$(printf 'a\377b')" 'a\ufffdb'
# cut in two, longer than needed, half of a surrogate pair
reason "$(printf 'a\342\202b')" 'a\ufffd\ufffdb'
reason "$(printf '\300\257')" '\ufffd\ufffd'
reason "$(printf '\355\240\200')" '\ufffd\ufffd\ufffd'
reason "$(printf 'a\tb\177')" 'a\u0009b\u007f'
# 127 bytes are all that fit
long=$(printf 'x%.0s' $(seq 125))
reason "$long$euro" "$long"
reason "${long}xxyy" "${long}xx"
result "a reason in JSON is UTF-8, and is not cut inside a character"

try 0 stop tool-fast
try 0 start tool-fast
become tool-fast started
result "start ends it"

try 0 purge tool-fast --expires 1
says out "tool-fast: purged"
become tool-fast started
result "a purge ends by itself"

hold --expires forever
become tool-fast stopped
kill -KILL $held
become tool-fast started
result "a held stop ends when its process is killed"

hold
become tool-fast stopped
kill -TERM $held
wait $held
status=$?
[ $status -eq 0 ] || problem="status $status"
become tool-fast started
result "a held stop ends when its process is told to end"

trap '' HUP
hold
trap - HUP
become tool-fast stopped
kill -HUP $held
sleep 1
try 0 show tool-fast
says out "state  *stopped"
kill -TERM $held
wait $held
become tool-fast started
result "a signal that is ignored stays ignored"

"$tool" stop tool-fast --hold --expires 1 >"$work/held"
status=$?
[ $status -eq 0 ] || problem="status $status"
says held "the stop is over: expired; the target is started"
result "a held stop says why it ended"

# The device answers after a second: on a busy machine that may be too soon to be seen.
attempts=0
while [ $attempts -lt 10 ]; do
	attempts=$((attempts + 1))
	: >"$work/ready"
	kill -USR1 $targets
	tries=0
	while ! grep -q sent "$work/ready" && [ $tries -lt 200 ]; do
		tries=$((tries + 1))
		usleep 5000
	done
	"$tool" stop tool-slow --timeout 50 >"$work/out" 2>"$work/err"
	status=$?
	grep -q "0 held, 1 sent" "$work/out" && break
	try 0 start tool-slow
done
[ $status -eq 5 ] || problem="$problem status $status"
says err "still out"
says out "tool-slow: stopped, 0 held, 1 sent"
try 0 start tool-slow
result "requests that are still out have a status of their own"

try 3 show no-such-target
says err "name: no such target"
try 3 stop @999999999
says err "id: no such target"
try 1 purge tool-fast --action wait
says err "--action: a purge cancels"
try 1 stop tool-fast --expires 0
says err "--expires: "
result "refusals name the option and the reason"

try 1 policy tool-fast --hold-for 5
says err "--hold-for: nothing is kept of the open device"
try 0 policy tool-fast --hold-bytes 4096 --lossy --replay
try 0 show tool-fast --json
says out '"policy":{"hold":false,"lossy":true,"replay":true,"hold_ms":30000,"hold_bytes":4096}'
says out '"away":false,"held_bytes":0,"at_risk":0,"lost":0'
try 0 policy tool-fast --hold-bytes 67108864 --no-lossy --no-replay --fail --accept-loss
try 0 show tool-fast --json
says out '"policy":{"hold":false,"lossy":false,"replay":false,"hold_ms":30000,"hold_bytes":67108864}'
try 2 policy tool-fast
try 2 policy tool-fast --hold-for 5 --fail
try 2 policy tool-fast --lossy --no-lossy
try 2 policy tool-fast --replay --no-replay
try 2 policy tool-fast --hold-for 0
try 2 policy tool-fast --hold-for 86401
try 2 policy tool-fast --hold-bytes 0
try 2 policy tool-fast --hold-bytes -1
try 2 policy tool-fast --hold-bytes 1x
try 2 policy tool-fast --timeout 5
result "a policy is changed, or refused with the option and the reason"

try 1 reopen tool-fast
says err "the target is open"
try 3 reopen no-such-target
try 2 reopen tool-fast --fail
result "one that is open is not opened again"

"$helper" away >"$work/away" &
away=$!
appears away "ready\|skip"
if grep -q ready "$work/away"; then
	try 0 list
	says out "tool-away  *away [0-9]*s  *1 "
	try 0 show tool-away
	says out "^  state  *away\$"
	says out "^  if gone  *hold for 600.0 s, up to 64M\$"
	says out "^  away  *its device is gone; waits for another [0-9.]* s\$"
	try 0 --json list
	says out '"name":"tool-away",[^}]*"away":true,"away_ms":[0-9]*,"held_bytes":4096'
	try 3 reopen tool-away
	says err "its device is not there"
fi
result "a target whose device is gone is away"

try 0 takes "$fast"
says out "taken by tool-fast"
try 0 takes "$fast" --json
says out '^{"device":"[0-9:]*","taken":true,"target":"tool-fast"}$'
try 3 takes /dev/null
try 3 takes /dev/no-such-device
if [ -b /dev/ram1 ]; then
	# one waits, but not for this; and the rule of udev must not wait for long
	began=$(date +%s)
	try 1 takes /dev/ram1 --timeout 1000
	says out "/dev/ram1: no target takes it"
	[ $(($(date +%s) - began)) -le 30 ] || problem="$problem it took too long;"
fi
result "whether a disk that comes is a target's"

if grep -q ready "$work/away"; then
	monitor --json
	"$tool" policy tool-away --fail >/dev/null
	appears out '"event":"given-up".*"name":"tool-away".*"why":"policy"'
	kill -TERM $monitor
	wait $monitor
	become tool-away closed
	# now none waits: no time is lost
	if [ -b /dev/ram1 ]; then
		timeout 60 "$tool" takes /dev/ram1 --timeout 600000 >"$work/out"
		status=$?
		[ $status -eq 1 ] || problem="$problem 'takes' ended with $status;"
	fi
fi
kill $away
wait $away
away=
result "who does not hold any more gives it up, and monitor tells"

try 2
try 2 dance
says err "no verb 'dance'"
try 2 stop
try 2 list tool-fast
try 2 start tool-fast --hold
try 2 stop tool-fast --action dance
try 2 stop tool-fast --timeout -5
try 2 show @12x
long=$(printf 'x%.0s' $(seq 3000))
for verb in show stop start purge reopen "policy --fail"; do
	try 2 $verb "$long"
	says err "at most 31"
done
try 3 show 1234567890123456789012345678901
try 2 show 12345678901234567890123456789012
try 0 --help
says out "usage: iotarget"
result "wrong usage"

"$helper" nobody "$tool" list >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 4 ] || problem="status $status"
says err "CAP_SYS_ADMIN"
result "who is not root is told so"

timeout 100 "$helper" overrun "$tool" stop tool-fast >"$work/out" 2>"$work/err"
status=$?
[ $status -eq 6 ] || problem="status $status"
says err "no answer: too many events"
become tool-fast started
result "an answer that is lost is not waited for"

hold
become tool-fast stopped
kill -STOP $held
"$helper" storm || problem="no storm"
try 0 start tool-fast
kill -CONT $held
appears held "the stop is over: .*; the target is started"
kill -KILL $held 2>/dev/null
result "a held stop that ends unheard is not held on to"

monitor
kill -STOP $monitor
"$helper" storm || problem="no storm"
kill -CONT $monitor
appears err "events were lost: they came faster"
kill -TERM $monitor
wait $monitor
result "monitor says when events were lost"

monitor --json
"$tool" stop tool-fast >/dev/null
"$tool" start tool-fast >/dev/null
appears out '"event":"stopped".*"name":"tool-fast"'
appears out '"event":"started".*"name":"tool-fast"'
appears out '"event":"stop-ended".*"why":"started"'
appears out '"event":"result".*"error":0'
kill -INT $monitor
kill -TERM $monitor
wait $monitor
order=$(sed 's/.*"seq":\([0-9]*\).*/\1/' "$work/out" | tr '\n' ' ')
[ "$order" = "$(echo $order | tr ' ' '\n' | sort -n | tr '\n' ' ')" ] ||
	problem="$problem events out of order: $order"
result "monitor tells what happens, in order"

if [ -d /sys/kernel/config/iogate ] && [ -b /dev/ram1 ]; then
	try 0 attach /dev/ram1 tool-gate
	try 1 attach /dev/ram1 tool-gate
	try 0 list
	says out tool-gate
	try 0 detach tool-gate
	try 3 detach tool-gate
	result "attach and detach make and remove a gate"
elif [ -d /sys/kernel/config ]; then
	try 3 attach /dev/null tool-gate
	says err "configfs is not there\|modprobe iogate"
	result "attach says what is missing"
fi
exit ${failed:-0}
