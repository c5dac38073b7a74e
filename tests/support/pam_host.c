/* A host that opens a PAM session, told what to show of itself: the tests' pkexec, vsftpd and atd.
 *
 *   pam_host [--ruser=NAME] [--rhost=NAME] [--real-uid=NUMBER] SERVICE USER PROGRAM [ARGUMENT...]
 *
 * Like those it closes the session when PROGRAM, which runs as USER, has ended.  The exit code is PROGRAM's, or 100
 * where the session was refused.  It asks nobody for a password: set-user-id it belongs on the tests' own machine
 * alone.  SPDX-License-Identifier: Apache-2.0 */
#include <getopt.h>
#include <grp.h>
#include <pwd.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define REFUSED 100
#define BROKEN 101

static int show(int count, const struct pam_message **messages, struct pam_response **responses, void *data)
{
	(void)data;
	for (int i = 0; i < count; i++)
		fprintf(stderr, "%s\n", messages[i]->msg);
	*responses = calloc((size_t)count, sizeof(**responses));
	return *responses ? PAM_SUCCESS : PAM_BUF_ERR;
}

static void run_as(pam_handle_t *pamh, const struct passwd *user, char **words)
{
	if (setgroups(0, NULL) == 0 && setresgid(user->pw_gid, user->pw_gid, user->pw_gid) == 0 &&
	    setresuid(user->pw_uid, user->pw_uid, user->pw_uid) == 0)
		execve(words[0], words, pam_getenvlist(pamh));
	_exit(BROKEN);
}

static int serve(pam_handle_t *pamh, const char *name, char **words)
{
	const struct passwd *user = getpwnam(name);
	int status = 0;
	pid_t pid;

	if (!user || pam_acct_mgmt(pamh, 0) != PAM_SUCCESS || pam_open_session(pamh, 0) != PAM_SUCCESS)
		return REFUSED;
	pid = fork();
	if (pid == 0)
		run_as(pamh, user, words);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return BROKEN;
	pam_close_session(pamh, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
}

int main(int argc, char **argv)
{
	static const struct option options[] = { { "ruser", required_argument, NULL, 'u' },
						 { "rhost", required_argument, NULL, 'h' },
						 { "real-uid", required_argument, NULL, 'r' },
						 { NULL, 0, NULL, 0 } };
	static const struct pam_conv conversation = { .conv = show };
	const char *ruser = NULL, *rhost = NULL;
	pam_handle_t *pamh = NULL;
	int option, code;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		if (option == 'u')
			ruser = optarg;
		else if (option == 'h')
			rhost = optarg;
		else if (option != 'r' || setresuid((uid_t)strtoul(optarg, NULL, 10), 0, 0) != 0)
			return BROKEN;
	}
	if (argc - optind < 3 || pam_start(argv[optind], argv[optind + 1], &conversation, &pamh) != PAM_SUCCESS ||
	    (ruser && pam_set_item(pamh, PAM_RUSER, ruser) != PAM_SUCCESS) ||
	    (rhost && pam_set_item(pamh, PAM_RHOST, rhost) != PAM_SUCCESS))
		return BROKEN;
	code = serve(pamh, argv[optind + 1], argv + optind + 2);
	pam_end(pamh, PAM_SUCCESS);
	return code;
}
