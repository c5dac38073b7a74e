/* awsflock guard-check: would a session guard work?  To be asked before the administrator logs out.
 * SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/sudo_list.h"
#include "term/report.h"

static void tell_config(struct findings *findings, const struct guard *guard, const char *path)
{
	char lease[32];

	text_duration(guard->lease_s, lease, sizeof(lease));
	findings_add(findings, "config", AWSFLOCK_CHECK_OK, "", "[guard %s] of %s: lock '%s', lease %s",
		     guard->name, path, guard->lock, lease);
	if (guard->fail_safe)
		findings_add(findings, "config", AWSFLOCK_CHECK_WARNING,
			     "write fail = secure, unless that is meant",
			     "fail = safe: while the table cannot be reached, everybody gets in");
	if (guard->only_warns)
		findings_add(findings, "config", AWSFLOCK_CHECK_WARNING,
			     "write on_lost = terminate, unless that is meant",
			     "on_lost = warn: a session that has lost the lock goes on");
}

/* %u and %s of the lock's name stand for root, and for the first service that the guard is in. */
static void check(struct findings *findings, const char *name, const char *config)
{
	struct guard_lines lines;
	struct guard guard;
	awsflock_error error;
	struct guard_request request = { .name = name, .path = config, .person = "root" };
	struct sshd_settings sshd;
	bool in_plugin;

	guard_check_ask_sshd(&sshd);
	in_plugin = guard_check_plugin(findings, name, config, &lines);
	guard_check_pam(findings, name, in_plugin, &lines);
	guard_check_services(findings, &sshd);
	guard_check_other_guards(findings, &sshd, name, config);
	if (!request.path && lines.conf[0] != '\0')
		request.path = lines.conf;
	request.service = lines.service[0] != '\0' ? lines.service : "sshd";
	if (guard_load(&request, &guard, &error) != AWSFLOCK_OK) {
		findings_add(findings, "config", AWSFLOCK_CHECK_FAILED,
			     "write or correct the file; awsflock.conf(5) has every key", "%s", error.message);
		return;
	}
	tell_config(findings, &guard, request.path ? request.path : CONFIG_PATH_SYSTEM);
	guard_check_people(findings, &guard, &lines);
	guard_check_sharing(findings, &sshd, &guard, config);
	if (!guard_check_membership(findings, &guard))
		guard_check_login_uid(findings, &lines);
	guard_check_host(findings, &guard);
	guard_check_grant(findings, &guard);
	guard_free(&guard);
}

/* A guard's store and everything else of it come from the configuration alone. */
static int refuse_settings(const struct cli_call *call)
{
	for (size_t i = 0; i < call->given_count; i++) {
		const struct cli_option *option = call->given[i].option;
		if (option->id == OPTION_LOCAL || option->config_key)
			return options_usage(call->command,
					     "--%s does not apply to a guard: set it in its configuration",
					     option->name);
	}
	return CLI_OK;
}

static const struct cli_option options[] = {
	{ OPTION_SUDO, "sudo", 0, NULL, false, NULL, "tell which guard each command of sudo -l asks for" },
	OPTION_TABLE_END,
};

static int check_words(const struct cli_call *call)
{
	bool lists = option_given(call, OPTION_SUDO);
	int result = refuse_settings(call);

	if (result != CLI_OK)
		return result;
	if (lists && (call->argument_count > 0 || option_given(call, OPTION_CONFIG)))
		return options_usage(call->command,
				     "--sudo goes by what sudo.conf says: it takes no guard and no file");
	if (!lists && call->argument_count == 0)
		return options_usage(call->command, "which guard? Its name is missing");
	return CLI_OK;
}

static int guard_check(struct cli_call *call)
{
	struct findings findings;
	int result = check_words(call);

	if (result != CLI_OK)
		return result;
	if (option_given(call, OPTION_SUDO))
		return sudo_list_print(call->json);
	if (geteuid() != 0) {
		report_error("guard-check must run as root: it reads what the keeper reads");
		return CLI_FAILED;
	}
	result = CLI_FAILED;
	if (findings_begin(&findings, call->json)) {
		check(&findings, call->arguments[0], option_text(call, OPTION_CONFIG));
		result = findings_conclude(&findings);
	}
	findings_free(&findings);
	return result;
}

const struct cli_command cmd_guard_check = {
	.name = "guard-check",
	.arguments = "NAME | --sudo",
	.least_arguments = 0,
	.most_arguments = 1,
	.summary = "check, before you log out, that a session guard works",
	.details =
		"As root.  Looks at PAM, sshd, sudo, accounts and the configuration of [guard NAME], and takes,\n"
		"renews and releases its lock as its keeper would, unless somebody holds it.  Exit code 1 where\n"
		"a check failed.\n"
		"With --sudo, as anybody: which guard sudo's plugin would ask for, by what you may run.\n",
	.options = options,
	.without_store = true,
	.run = guard_check,
};
