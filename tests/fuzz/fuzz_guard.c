/* SPDX-License-Identifier: Apache-2.0
 *
 * Any bytes as awsflock.conf with the section [guard ops], which root reads for a session. */
#include "guard/guard.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char path[] = "/tmp/fuzz-guard-XXXXXX";
static int file = -1;

static void remove_file(void)
{
	(void)unlink(path);
}

static void write_file(const uint8_t *data, size_t size)
{
	if (file < 0) {
		file = mkstemp(path);
		if (file < 0 || atexit(remove_file) != 0)
			abort();
	}
	if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != (ssize_t)size)
		abort();
}

static void must_be_whole(const struct guard *guard)
{
	if (guard->lock[0] == '\0' || guard->lease_s <= 0 || guard->wait_ms < 0 || guard->grace_ms < 0 ||
	    guard->end_ms < 0)
		abort();
	if (guard_stop_ms(guard) >= guard->lease_s * 1000)
		abort(); /* the session could not be gone before its lease */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct guard_request request = { .name = "ops", .path = path, .person = "ann", .service = "sshd" };
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct guard guard;
	awsflock_code code;

	write_file(data, size);
	code = guard_load(&request, &guard, &error);
	if (code == AWSFLOCK_OK) {
		must_be_whole(&guard);
		guard_free(&guard);
	} else if (code != AWSFLOCK_CONFIG || error.message[0] == '\0') {
		abort();
	}
	return 0;
}
