/* A directory of its own for each test.  SPDX-License-Identifier: Apache-2.0 */
#ifndef UNIT_SCRATCH_DIRECTORY_H
#define UNIT_SCRATCH_DIRECTORY_H

#include <stddef.h>
#include <sys/types.h>

/* A user and a group that are nobody's here. */
#define STRANGER_ID 12345

struct scratch {
	char root[256]; /* a new directory, 0711 */
};

void scratch_make(struct scratch *scratch);
void scratch_remove(struct scratch *scratch);

/* "ROOT/NAME": valid until the fourth call after this one. */
const char *scratch_path(const struct scratch *scratch, const char *name);

void scratch_make_directory(const struct scratch *scratch, const char *name, mode_t mode);
void scratch_write(const struct scratch *scratch, const char *name, const void *bytes, size_t size);
/* Reads at most SIZE bytes; returns how many there are. */
size_t scratch_read(const struct scratch *scratch, const char *name, void *bytes, size_t size);
mode_t scratch_mode(const struct scratch *scratch, const char *name); /* 0: there is none */
size_t scratch_count_entries(const struct scratch *scratch, const char *name);

#endif
