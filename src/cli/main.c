/* The awsflock program: a table of commands.
 *
 * Copyright 2026 The awsflock authors
 * SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/forked_exit.h"
#include "cli/cli.h"
#include "cli/interrupt.h"
#include "cli/settings.h"
#include "term/output.h"
#include "term/report.h"

static const struct cli_command *const all_commands[] = {
	&cmd_run,   &cmd_hold,         &cmd_acquire, &cmd_renew,       &cmd_release, &cmd_status,  &cmd_list,
	&cmd_break, &cmd_create_table, &cmd_doctor,  &cmd_guard_check, &cmd_help,    &cmd_version, NULL,
};

static void set_level(const struct cli_call *call)
{
	if (option_given(call, OPTION_QUIET))
		report_set_level(-1);
	else if (option_given(call, OPTION_VERBOSE))
		report_set_level(1);
}

static int run_with_store(struct cli_call *call)
{
	int result;

	if (!call->command->own_signals && !interrupt_catch())
		return CLI_FAILED;
	result = settings_open(call);
	if (result == CLI_FAILED && call->command->failed_exit != 0)
		result = call->command->failed_exit;
	if (result == CLI_OK)
		result = call->command->run(call);
	awsflock_free(&call->context);
	if (result == CLI_INTERRUPTED && interrupt_signal() != 0)
		return 128 + interrupt_signal();
	return result;
}

static int run_call(struct cli_call *call)
{
	set_level(call);
	if (option_given(call, OPTION_HELP))
		return help_show(call->commands, call->command);
	if (option_given(call, OPTION_VERSION))
		return version_show(call->json);
	if (call->command->without_store)
		return call->command->run(call);
	return run_with_store(call);
}

/* The leak sanitizer's, which would look at exit() by itself; in other builds there is none. */
void __lsan_do_leak_check(void) __attribute__((weak));

/* Past what libraries do at exit(): OpenSSL frees its tables one by one, and each of the thirty that libcurl brings has
 * its last words read in from the disk's cache, where the kernel takes all at once. */
static _Noreturn void leave(int result)
{
	fflush(NULL);
	if (__lsan_do_leak_check)
		__lsan_do_leak_check();
	forked_exit(result);
}

int main(int argc, char **argv)
{
	struct cli_call call = { .commands = all_commands };
	int result;

	/* As ssh-agent does: no core dump, and no process of the same user's, shows the keys in this one's memory,
	 * wherever libraries keep copies of them.  RLIMIT_CORE would not do: pipes in core_pattern ignore it, and
	 * the commands that are run inherit it.  An exec() ends this. */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (!output_init())
		return CLI_FAILED;
	result = options_parse(&call, argc, argv);
	if (result == CLI_OK)
		result = run_call(&call);
	free(call.given);
	leave(result);
}
