/* Lets one program at a time, on however many machines, do something that is quickly done.  What may take longer than
 * its lease renews it: see libawsflock(3).
 *
 *     one_at_a_time LOCK
 *
 * SPDX-License-Identifier: Apache-2.0 */
#include <awsflock.h>
#include <inttypes.h>
#include <stdio.h>

static awsflock_code do_it(awsflock_lease *lease, awsflock_error *error)
{
	printf("alone, with fence %" PRIu64 " and %" PRId64 " s to go\n", awsflock_lease_fence(lease),
	       awsflock_lease_remaining_ms(lease) / 1000);
	return awsflock_release(lease, 0, error);
}

int main(int argc, char **argv)
{
	awsflock_acquire_options options = AWSFLOCK_ACQUIRE_OPTIONS_INIT;
	awsflock_lease *lease = NULL;
	awsflock *context = NULL;
	awsflock_error error;
	awsflock_code code;

	if (argc != 2) {
		fprintf(stderr, "usage: one_at_a_time LOCK\n");
		return 2;
	}
	options.lease_seconds = 60;
	options.wait_ms = 10000;
	code = awsflock_new(&context, &error);
	if (code == AWSFLOCK_OK)
		code = awsflock_load_config(context, NULL, &error);
	if (code == AWSFLOCK_OK)
		code = awsflock_acquire(context, argv[1], &options, &lease, &error);
	if (code == AWSFLOCK_OK)
		code = do_it(lease, &error);
	if (code != AWSFLOCK_OK)
		fprintf(stderr, "one_at_a_time: %s\n", error.message);
	awsflock_lease_free(&lease);
	awsflock_free(&context);
	return code == AWSFLOCK_OK ? 0 : 1;
}
