# SPDX-License-Identifier: GPL-2.0-only
# Completion of iotarget(8) for bash.

_iotarget_targets()
{
	iotarget list 2>/dev/null | awk 'NR > 1 { print $2 }'
}

_iotarget()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb= word

	for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case $word in
		list|show|stop|start|purge|policy|reopen|takes|monitor|eject|attach|detach)
			verb=$word
			break
			;;
		esac
	done
	case $prev in
	--action)
		COMPREPLY=($(compgen -W "cancel wait leave" -- "$cur"))
		return
		;;
	--expires)
		COMPREPLY=($(compgen -W "forever 10 60 600" -- "$cur"))
		return
		;;
	--hold-for)
		COMPREPLY=($(compgen -W "30 120 600 3600" -- "$cur"))
		return
		;;
	--timeout|--reason|--deadline|--hold-bytes)
		return
		;;
	esac
	if [ -z "$verb" ]; then
		COMPREPLY=($(compgen -W "list show stop start purge policy reopen takes monitor \
					  eject attach detach --json --help" -- "$cur"))
		return
	fi
	case $cur in
	-*)
		local options=--json
		case $verb in
		stop|purge) options+=" --action --timeout --expires --hold --reason" ;;
		start|reopen|takes) options+=" --timeout" ;;
		policy) options+=" --hold-for --hold-bytes --fail --lossy --no-lossy --replay --no-replay --accept-loss" ;;
		eject) options+=" --dry-run --deadline" ;;
		detach) options+=" --force" ;;
		esac
		COMPREPLY=($(compgen -W "$options" -- "$cur"))
		return
		;;
	esac
	case $verb in
	show|stop|start|purge|policy|reopen|monitor)
		COMPREPLY=($(compgen -W "$(_iotarget_targets)" -- "$cur"))
		;;
	attach|eject|takes)
		compopt -o filenames
		COMPREPLY=($(compgen -f -- "${cur:-/dev/}"))
		;;
	detach)
		COMPREPLY=($(compgen -W "$(ls /sys/kernel/config/iogate 2>/dev/null)" -- "$cur"))
		;;
	esac
}

complete -F _iotarget iotarget
