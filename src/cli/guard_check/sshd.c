/* What sshd must be told for a guard to hold.  SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "cli/guard_check/guard_check.h"
#include "cli/guard_check/programs.h"

#define SSHD "sshd"

/* `sshd -T` prints every setting in lower case, as sshd understands it; what is for some users, hosts or addresses
 * alone (Match) is not among them. */
void guard_check_ask_sshd(struct sshd_settings *settings)
{
	static char option[] = "-T";
	struct child_result result;
	char environment[64];

	*settings = (struct sshd_settings){ .service = SSHD };
	settings->is_known = program_ask("sshd", option, &result, settings->why);
	if (!settings->is_known)
		return;
	settings->uses_pam = program_says(&result, "usepam yes");
	settings->takes_environment =
		program_value(&result, "permituserenvironment", environment, sizeof(environment)) &&
		strcmp(environment, "no") != 0;
	settings->misses_clients =
		!program_says(&result, "clientaliveinterval 0") && !program_says(&result, "clientalivecountmax 0");
	if (!program_value(&result, "pamservicename", settings->service, sizeof(settings->service)))
		snprintf(settings->service, sizeof(settings->service), "%s", SSHD);
	child_result_clear(&result);
}

/* An administrator writes the line into the file of this name, and since OpenSSH 9.8 sshd may read another. */
static bool check_service(struct findings *findings, const struct sshd_settings *settings)
{
	char guard[GUARD_TEXT_SIZE], conf[GUARD_TEXT_SIZE];

	if (guard_of_service(settings->service, guard, conf))
		return true;
	if (guard_of_service(SSHD, guard, conf))
		findings_add(findings, SSHD, AWSFLOCK_CHECK_FAILED,
			     "write the guard's lines into that file too, or take PAMServiceName out of "
			     "/etc/ssh/sshd_config",
			     "'PAMServiceName %s' is set: sshd reads /etc/pam.d/%s, which has no guard, and not "
			     "/etc/pam.d/sshd",
			     settings->service, settings->service);
	return false;
}

void guard_check_sshd(struct findings *findings, const struct sshd_settings *settings)
{
	size_t bad = findings->failed + findings->warnings;

	if (!check_service(findings, settings))
		return;
	if (!settings->is_known) {
		findings_add(findings, SSHD, AWSFLOCK_CHECK_WARNING, "look it up yourself",
			     "whether sshd uses PAM could not be found out: %s", settings->why);
		return;
	}
	if (!settings->uses_pam)
		findings_add(findings, SSHD, AWSFLOCK_CHECK_FAILED,
			     "write UsePAM yes into /etc/ssh/sshd_config, and restart sshd",
			     "'UsePAM yes' is not set: nobody who logs in over ssh comes past the guard");
	if (settings->takes_environment)
		findings_add(findings, SSHD, AWSFLOCK_CHECK_WARNING,
			     "write PermitUserEnvironment no into /etc/ssh/sshd_config, and restart sshd",
			     "PermitUserEnvironment is set: users can hide their processes' mark of the session");
	if (!settings->misses_clients)
		findings_add(
			findings, SSHD, AWSFLOCK_CHECK_WARNING,
			"write 'ClientAliveInterval 15' and 'ClientAliveCountMax 3', a line each, into "
			"/etc/ssh/sshd_config, and restart sshd",
			"it notices no client that is gone without a word (ClientAliveInterval): the session keeps "
			"the lock for hours");
	if (findings->failed + findings->warnings == bad)
		findings_add(findings, SSHD, AWSFLOCK_CHECK_OK, "", "it uses PAM, by /etc/pam.d/%s",
			     settings->service);
}
