/* Another approval plugin of sudo's, which refuses.  SPDX-License-Identifier: Apache-2.0 */
#include <stddef.h>
#include <sudo_plugin.h>

extern struct approval_plugin refusing_approval;

static int refuse(char *const command_info[], char *const run_argv[], char *const run_envp[], const char **reason)
{
	(void)command_info, (void)run_argv, (void)run_envp;
	*reason = "refused by another plugin";
	return 0;
}

static int open_plugin(unsigned version, sudo_conv_t converse, sudo_printf_t sudo_print, char *const settings[],
		       char *const user_info[], int submit_optind, char *const submit_argv[],
		       char *const submit_envp[], char *const words[], const char **reason)
{
	(void)version, (void)converse, (void)sudo_print, (void)settings, (void)user_info, (void)submit_optind;
	(void)submit_argv, (void)submit_envp, (void)words, (void)reason;
	return 1;
}

__attribute__((visibility("default"))) struct approval_plugin refusing_approval = {
	.type = SUDO_APPROVAL_PLUGIN, .version = SUDO_API_MKVERSION(1, 15), .open = open_plugin, .check = refuse
};
