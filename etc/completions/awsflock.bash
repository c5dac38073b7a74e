# Completion of awsflock(1) for bash.
#
# Names of locks are asked of the store in use: of a local one always, of a table only where AWSFLOCK_COMPLETE_TABLE=1,
# since there each Tab is a Scan that is paid for.
#
# SPDX-License-Identifier: Apache-2.0

# The options of COMMAND, or with no argument those of every command.
_awsflock_options() {
	case ${1-} in
	'') echo --local --region --profile --endpoint-url --tablename --config --json --verbose -v --quiet -q --help -h \
		--version ;;
	run) echo --no-wait -n --wait-time -w --conflict-exit-code -E --command -c --lease-duration --kill-after \
		--on-lost --leftovers --stopped --owner --purpose ;;
	hold) echo --lease-file --detach --while --max-hold --on-lost --no-wait -n --wait-time -w --lease-duration --owner \
		--purpose ;;
	acquire) echo --lease-duration --wait-time -w --no-wait -n --owner --purpose --lease-file ;;
	renew) echo --lease-duration --owner --lease-file ;;
	release) echo --delete --lease-file ;;
	status) echo --exit-code --watch --lease-file ;;
	list) echo --held ;;
	break) echo --lease-id --yes -y --now ;;
	guard-check) echo --sudo ;;
	create-table | table-create) echo --billing --read-units --write-units --deletion-protection --tag ;;
	esac
}

_awsflock_commands() {
	echo run hold acquire renew release status list break create-table doctor guard-check help version
}

# Whether OPTION takes the next word as its argument.
_awsflock_takes_argument() {
	case $1 in
	--region | --profile | --endpoint-url | --tablename | --config | --wait-time | -w | --conflict-exit-code | -E | \
		--command | -c | --lease-duration | --kill-after | --on-lost | --leftovers | --stopped | --owner | --purpose | \
		--lease-file | --while | --max-hold | --lease-id | --billing | --read-units | --write-units | --tag) return 0 ;;
	esac
	return 1
}

# Candidates for the argument of OPTION.
_awsflock_argument() {
	case $1 in
	--config | --lease-file) compgen -f -- "$2" ;;
	--local) compgen -d -- "$2" ;;
	--on-lost) [[ $command == hold ]] || compgen -W 'stop warn' -- "$2" ;;
	--stopped) compgen -W 'hold release-after=' -- "$2" ;;
	--leftovers) compgen -W 'hold end release' -- "$2" ;;
	--billing) compgen -W 'on-demand provisioned' -- "$2" ;;
	esac
}

# Reads the words before the one at the cursor into the caller's command, arguments, store and from_command.
_awsflock_read_words() {
	local index=1 word
	while ((index < ${#words[@]} - 1)); do
		word=${words[index]}
		case $word in
		--local | --local=* | --region=* | --profile=* | --endpoint-url=* | --tablename=* | --config=*)
			store+=("$word") ;;
		--region | --profile | --endpoint-url | --tablename | --config)
			store+=("$word" "${words[index + 1]-}") ;;
		esac
		case $word in
		--) ;;
		-*) _awsflock_takes_argument "$word" && index=$((index + 1)) ;;
		*)
			if [[ -z $command ]]; then
				command=$word
			else
				arguments=$((arguments + 1))
				if [[ $command == run ]] && ((arguments == 2)); then
					from_command=$index
					return
				fi
			fi ;;
		esac
		index=$((index + 1))
	done
}

# Completes the command that run is to start as if it stood alone.
_awsflock_other_command() {
	if declare -F _command_offset >/dev/null; then
		_command_offset "$from_command"
	else
		mapfile -t COMPREPLY < <(compgen -f -- "$current")
	fi
}

_awsflock_locks() {
	local name
	while IFS= read -r name; do
		[[ $name == "$current"* ]] && COMPREPLY+=("$(printf '%q' "$name")")
	done < <("${words[0]}" list "${store[@]}" --names 2>/dev/null </dev/null)
}

# Readline replaces only what stands behind the last word break, which "=" and ":" are.
_awsflock_cut_before_break() {
	local before=
	[[ $current == *[=:]* ]] || return
	before=${current%"${current##*[=:]}"}
	before=$(printf '%q' "$before")
	COMPREPLY=("${COMPREPLY[@]#"$before"}")
}

_awsflock() {
	# Split at white space alone: COMP_WORDS is split at "=" and ":" too.
	local line=${COMP_LINE:0:COMP_POINT} words current previous command='' arguments=0 from_command=0 store=()
	read -ra words <<<"$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	current=${words[-1]} previous=
	((${#words[@]} > 1)) && previous=${words[-2]}
	COMPREPLY=()
	_awsflock_read_words

	if ((from_command > 0)); then
		_awsflock_other_command
	elif _awsflock_takes_argument "$previous"; then
		mapfile -t COMPREPLY < <(_awsflock_argument "$previous" "$current")
	elif [[ $current == --*=* ]]; then
		mapfile -t COMPREPLY < <(_awsflock_argument "${current%%=*}" "${current#*=}")
	elif [[ $current == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_awsflock_options; [[ -z $command ]] || _awsflock_options "$command")" \
			-- "$current")
	elif [[ -z $command ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$(_awsflock_commands)" -- "$current")
	elif [[ $command == help ]]; then
		((arguments == 0)) && mapfile -t COMPREPLY < <(compgen -W "$(_awsflock_commands)" -- "$current")
	elif [[ $command == run ]] && ((arguments == 1)); then
		mapfile -t COMPREPLY < <(compgen -c -- "$current")
	elif ((arguments == 0)) && [[ $command != create-table && $command != table-create && $command != guard-check &&
		$command != version ]]; then
		_awsflock_locks
		_awsflock_cut_before_break
	fi
}

complete -F _awsflock awsflock
