# Completion of awsflock(1) for fish.
#
# Names of locks are asked of the store in use: of a local one always, of a table only where AWSFLOCK_COMPLETE_TABLE=1,
# since there each Tab is a Scan that is paid for.
#
# SPDX-License-Identifier: Apache-2.0

# The numbers of the words that are no options, but for the program and what options take: the command, the lock, ...
function __awsflock_positions
    set -l skip 1
    set -l number 0
    for word in (commandline -opc)
        set number (math $number + 1)
        if test $skip -eq 1
            set skip 0
        else
            switch $word
                case --region --profile --endpoint-url --tablename --config --wait-time -w --conflict-exit-code -E \
                    --command -c --lease-duration --kill-after --on-lost --leftovers --stopped --owner --purpose --lease-id \
                    --lease-file --while --max-hold --billing --read-units --write-units --tag
                    set skip 1
                case '-*'
                case '*'
                    echo $number
            end
        end
    end
end

function __awsflock_arguments
    set -l words (commandline -opc)
    for number in (__awsflock_positions)
        printf '%s\n' $words[$number]
    end
end

function __awsflock_needs_command
    test (count (__awsflock_arguments)) -eq 0
end

# Whether the command is one of ARGV; for run only as long as its own options may stand.
function __awsflock_is
    set -l arguments (__awsflock_arguments)
    test (count $arguments) -ge 1; or return 1
    if test $arguments[1] = run; and test (count $arguments) -ge 3
        return 1
    end
    contains -- $arguments[1] $argv
end

function __awsflock_needs_lock
    set -l arguments (__awsflock_arguments)
    test (count $arguments) -eq 1; and contains -- $arguments[1] run hold acquire renew release status list break doctor
end

function __awsflock_not_behind_command
    set -l arguments (__awsflock_arguments)
    not begin
        test (count $arguments) -ge 3; and test $arguments[1] = run
    end
end

# What follows LOCK in "run LOCK COMMAND...".
function __awsflock_runs_command
    set -l arguments (__awsflock_arguments)
    test (count $arguments) -ge 2; and test $arguments[1] = run
end

# Completes that command as if it stood alone.
function __awsflock_complete_command
    set -l words (commandline -opc)
    set -l positions (__awsflock_positions)
    set -l line
    if test (count $positions) -ge 3
        set line (string escape -- $words[$positions[3]..-1])
    end
    complete -C (string join ' ' -- $line (commandline -ct))
end

function __awsflock_locks
    set -l words (commandline -opc)
    set -l store
    set -l takes 0
    for word in $words[2..-1]
        if test $takes -eq 1
            set takes 0
            set -a store $word
        else
            switch $word
                case --local '--local=*' '--region=*' '--profile=*' '--endpoint-url=*' '--tablename=*' '--config=*'
                    set -a store $word
                case --region --profile --endpoint-url --tablename --config
                    set -a store $word
                    set takes 1
            end
        end
    end
    command $words[1] list $store --names 2>/dev/null </dev/null
end

complete -c awsflock -f

complete -c awsflock -n __awsflock_needs_command -a run -d 'Hold a lock while a command runs'
complete -c awsflock -n __awsflock_needs_command -a hold -d 'Hold a lock across the steps of a job'
complete -c awsflock -n __awsflock_needs_command -a acquire -d 'Take a lock and print its lease id'
complete -c awsflock -n __awsflock_needs_command -a renew -d 'Extend a lease and print its new id'
complete -c awsflock -n __awsflock_needs_command -a release -d 'Give a lock back'
complete -c awsflock -n __awsflock_needs_command -a status -d 'Show who holds a lock'
complete -c awsflock -n __awsflock_needs_command -a list -d 'List the locks and who holds them'
complete -c awsflock -n __awsflock_needs_command -a break -d 'Evict who holds a lock'
complete -c awsflock -n __awsflock_needs_command -a create-table -d 'Make the table, or check it'
complete -c awsflock -n __awsflock_needs_command -a doctor -d 'Check everything that a lock needs'
complete -c awsflock -n __awsflock_needs_command -a guard-check -d 'Check that a session guard works'
complete -c awsflock -n __awsflock_needs_command -a help -d 'Show how a command is used'
complete -c awsflock -n __awsflock_needs_command -a version -d 'Print the version'

complete -c awsflock -n __awsflock_not_behind_command -l local -d 'Keep the locks in a directory of this machine'
complete -c awsflock -n __awsflock_not_behind_command -l region -x -d 'The AWS region of the table'
complete -c awsflock -n __awsflock_not_behind_command -l profile -x -d 'The profile of the AWS files'
complete -c awsflock -n __awsflock_not_behind_command -l endpoint-url -x -d 'Where DynamoDB answers'
complete -c awsflock -n __awsflock_not_behind_command -l tablename -x -d 'The name of the table'
complete -c awsflock -n __awsflock_not_behind_command -l config -r -F -d 'The configuration file'
complete -c awsflock -n __awsflock_not_behind_command -l json -d 'Print results as JSON'
complete -c awsflock -n __awsflock_not_behind_command -s v -l verbose -d 'Say more'
complete -c awsflock -n __awsflock_not_behind_command -s q -l quiet -d 'Say nothing but errors'
complete -c awsflock -n __awsflock_not_behind_command -s h -l help -d 'Show how the command is used'
complete -c awsflock -n __awsflock_not_behind_command -l version -d 'Print the version'

complete -c awsflock -n '__awsflock_is run' -s n -l no-wait -d 'Fail at once if the lock is held'
complete -c awsflock -n '__awsflock_is run' -s w -l wait-time -x -d 'How long to wait for the lock'
complete -c awsflock -n '__awsflock_is run' -s E -l conflict-exit-code -x -d 'Exit code if the lock cannot be had'
complete -c awsflock -n '__awsflock_is run' -s c -l command -x -d 'Run a text by sh'
complete -c awsflock -n '__awsflock_is run' -l lease-duration -x -d 'The lease, renewed every third of it'
complete -c awsflock -n '__awsflock_is run' -l kill-after -x -d 'From the first signal to the kill'
complete -c awsflock -n '__awsflock_is run' -l on-lost -x -a 'stop warn' -d 'What to do when the lease is lost'
complete -c awsflock -n '__awsflock_is run' -l stopped -x -a 'hold release-after=' -d 'What to do about a command that is stopped'
complete -c awsflock -n '__awsflock_is run' -l leftovers -x -a 'hold end release' -d 'What to do about processes left behind'
complete -c awsflock -n '__awsflock_is run' -l owner -x -d 'Who holds the lock'
complete -c awsflock -n '__awsflock_is run' -l purpose -x -d 'What the lock is held for'

complete -c awsflock -n '__awsflock_is hold acquire renew release status' -l lease-file -r -F -d 'The file of the lease'
complete -c awsflock -n '__awsflock_is hold' -l detach -d 'Return once the lock is held'
complete -c awsflock -n '__awsflock_is hold' -l while -x -a '(__fish_complete_pids)' -d 'Release the lock when this process ends'
complete -c awsflock -n '__awsflock_is hold' -l max-hold -x -d 'Release the lock after this time'
complete -c awsflock -n '__awsflock_is hold' -l on-lost -x -d 'What to run when the lease is lost'
complete -c awsflock -n '__awsflock_is hold' -s n -l no-wait -d 'Fail at once if the lock is held'
complete -c awsflock -n '__awsflock_is hold' -s w -l wait-time -x -d 'How long to wait for the lock'
complete -c awsflock -n '__awsflock_is hold' -l lease-duration -x -d 'The lease, renewed every third of it'
complete -c awsflock -n '__awsflock_is hold' -l owner -x -d 'Who holds the lock'
complete -c awsflock -n '__awsflock_is hold' -l purpose -x -d 'What the lock is held for'

complete -c awsflock -n '__awsflock_is acquire' -l lease-duration -x -d 'How long the lock is held unless renewed'
complete -c awsflock -n '__awsflock_is acquire' -s w -l wait-time -x -d 'How long to wait for the lock'
complete -c awsflock -n '__awsflock_is acquire' -s n -l no-wait -d 'Fail at once if the lock is held'
complete -c awsflock -n '__awsflock_is acquire' -l owner -x -d 'Who holds the lock'
complete -c awsflock -n '__awsflock_is acquire' -l purpose -x -d 'What the lock is held for'

complete -c awsflock -n '__awsflock_is renew' -l lease-duration -x -d 'How long from now the lock is held'
complete -c awsflock -n '__awsflock_is renew' -l owner -x -d 'Who holds the lock'

complete -c awsflock -n '__awsflock_is release' -l delete -d 'Remove all trace of the lock'
complete -c awsflock -n '__awsflock_is status' -l exit-code -d '3 if the lock is held'
complete -c awsflock -n '__awsflock_is status' -l watch -d 'Go on looking until interrupted'
complete -c awsflock -n '__awsflock_is list' -l held -d 'Only locks that are held'

complete -c awsflock -n '__awsflock_is break' -l lease-id -x -d 'The lease to evict'
complete -c awsflock -n '__awsflock_is break' -s y -l yes -d 'Do not ask'
complete -c awsflock -n '__awsflock_is break' -l now -d 'Free the lock at once'

complete -c awsflock -n '__awsflock_is create-table table-create' -l billing -x -a 'on-demand provisioned' -d 'How the table is paid for'
complete -c awsflock -n '__awsflock_is create-table table-create' -l read-units -x -d 'Provisioned reads a second'
complete -c awsflock -n '__awsflock_is create-table table-create' -l write-units -x -d 'Provisioned writes a second'
complete -c awsflock -n '__awsflock_is create-table table-create' -l deletion-protection -d 'Let nobody delete the table'
complete -c awsflock -n '__awsflock_is create-table table-create' -l tag -x -d 'Tag the table'

complete -c awsflock -n '__awsflock_is guard-check' -l sudo -d 'Which guard each command of sudo -l asks for'

complete -c awsflock -n '__awsflock_is help' -a 'run hold acquire renew release status list break create-table doctor guard-check help version'
complete -c awsflock -n __awsflock_needs_lock -a '(__awsflock_locks)'
complete -c awsflock -n __awsflock_runs_command -x -a '(__awsflock_complete_command)'
