/* The local store: a directory with one small JSON file a lock.  One machine's processes, one clock: its leases
 * count on CLOCK_BOOTTIME, so nothing has to be synced to disk and no step of the wall clock frees a lock.
 * SPDX-License-Identifier: Apache-2.0 */
#include "lock/local/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/error.h"
#include "lock/local/change.h"
#include "lock/local/clock.h"
#include "lock/local/diagnosis.h"
#include "lock/local/directory.h"
#include "lock/local/file.h"
#include "lock/local/name.h"
#include "lock/local/record.h"

struct store_local {
	struct store store; /* first */
	char *directory;    /* absolute */
	char boot_id[LOCAL_BOOT_ID_SIZE];
	int64_t offset_ns; /* the store's time - CLOCK_BOOTTIME as this process sees it */
};

static struct store_local *self_of(struct store *store)
{
	return (struct store_local *)(void *)store;
}

/* ---- Operations on one file -------------------------------------------------------------------------------- */

static awsflock_code load_record(struct store_local *self, const struct local_file *file, const char *lock,
				 struct local_record *record, bool *present, awsflock_error *error)
{
	struct buf text = BUF_INIT;
	struct buf path = BUF_INIT;
	awsflock_code code = local_file_read(file, &text, error);

	if (code == AWSFLOCK_OK)
		code = local_record_decode(local_file_path(file, &path), buf_text(&text), text.size, lock,
					   self->boot_id, record, present, error);
	buf_free(&text);
	buf_free(&path);
	return code;
}

static awsflock_code save(struct store_local *self, const struct local_file *file,
			  const struct local_record *record, bool *maybe_applied, awsflock_error *error)
{
	struct buf text = BUF_INIT;
	awsflock_code code = local_record_encode(record, self->boot_id, &text, error);

	if (code == AWSFLOCK_OK)
		code = local_file_replace(file, text.data, text.size, maybe_applied, error);
	buf_free(&text);
	return code;
}

/* RECORD becomes what WRITE leaves of it, in the file as well. */
static awsflock_code carry_out(struct store_local *self, const struct local_file *file,
			       const struct store_write *write, struct local_record *record,
			       struct store_reply *reply, awsflock_error *error)
{
	if (write->kind == STORE_DELETE)
		return local_file_remove(file, error);
	if (!local_change_apply(record, write))
		return error_out_of_memory(error);
	return save(self, file, record, &reply->maybe_applied, error);
}

/* FILE is locked. */
static awsflock_code change(struct store_local *self, const struct local_file *file,
			    const struct store_write *write, struct store_reply *reply, awsflock_error *error)
{
	struct local_record record = { 0 };
	bool present = false;
	awsflock_code code = load_record(self, file, write->lock, &record, &present, error);

	if (code != AWSFLOCK_OK)
		return code;
	reply->outcome = STORE_REFUSED;
	if (local_change_may(present ? &record.item : NULL, write)) {
		code = carry_out(self, file, write, &record, reply, error);
		reply->outcome = STORE_APPLIED;
		present = true;
	}
	if (code != AWSFLOCK_OK) {
		local_record_clear(&record);
		return code;
	}
	reply->has_item = present;
	reply->item = record.item;
	return AWSFLOCK_OK;
}

static awsflock_code cannot_hash(awsflock_error *error)
{
	return error_set(error, AWSFLOCK_INTERNAL, "OpenSSL cannot compute a SHA-256");
}

static awsflock_code change_locked(struct store_local *self, const struct local_directory *directory,
				   const struct store_write *write, struct store_reply *reply,
				   awsflock_error *error)
{
	struct local_file file = { .runtime = self->store.runtime, .directory = directory, .fd = -1 };
	char name[LOCAL_NAME_SIZE];
	awsflock_code code;

	if (!local_name_of_lock(write->lock, name))
		return cannot_hash(error);
	file.name = name;
	/* Only a grant needs a file where there was none. */
	code = local_file_lock(&file, write->kind == STORE_ACQUIRE, write->give_up_boot_ns, error);
	if (code != AWSFLOCK_OK || file.fd < 0)
		return code;
	code = change(self, &file, write, reply, error);
	if (code != AWSFLOCK_OK && !reply->maybe_applied)
		local_file_drop_empty(&file);
	local_file_close(&file);
	return code;
}

static void start_reply(struct store_local *self, struct store_reply *reply)
{
	*reply = (struct store_reply){ .outcome = STORE_REFUSED };
	reply->first_sent_boot_ns = runtime_boot_ns(self->store.runtime);
}

static void end_reply(struct store_local *self, struct store_reply *reply)
{
	reply->received_boot_ns = runtime_boot_ns(self->store.runtime);
	reply->store_time_ms = (reply->received_boot_ns + self->offset_ns) / NS_PER_MS;
	reply->has_store_time = true;
}

static awsflock_code local_write(struct store *store, const struct store_write *write, struct store_reply *reply,
				 awsflock_error *error)
{
	struct store_local *self = self_of(store);
	struct local_directory directory;
	awsflock_code code;

	start_reply(self, reply);
	code = local_directory_open(self->directory, write->kind == STORE_ACQUIRE, &directory, error);
	if (code == AWSFLOCK_OK && directory.fd >= 0)
		code = change_locked(self, &directory, write, reply, error);
	local_directory_close(&directory);
	end_reply(self, reply);
	/* Nothing is ever on its way: what was not carried out never will be. */
	reply->sent = code == AWSFLOCK_OK ? reply->outcome == STORE_APPLIED : reply->maybe_applied;
	return code;
}

/* LOCK NULL: whoever's record it is. */
static awsflock_code read_record_file(struct store_local *self, const struct local_directory *directory,
				      const char *name, const char *lock, struct local_record *record,
				      bool *present, awsflock_error *error)
{
	struct local_file file = { .runtime = self->store.runtime, .directory = directory, .name = name, .fd = -1 };
	awsflock_code code = local_file_open(&file, error);

	*present = false;
	if (code == AWSFLOCK_OK && file.fd >= 0)
		code = load_record(self, &file, lock, record, present, error);
	local_file_close(&file);
	return code;
}

static awsflock_code local_read(struct store *store, const char *lock, bool consistent, int64_t give_up_boot_ns,
				struct store_reply *reply, awsflock_error *error)
{
	struct store_local *self = self_of(store);
	struct local_directory directory;
	struct local_record record = { 0 };
	char name[LOCAL_NAME_SIZE];
	awsflock_code code;

	(void)consistent;      /* always */
	(void)give_up_boot_ns; /* a writer is waited for for a moment only */
	start_reply(self, reply);
	if (!local_name_of_lock(lock, name))
		return cannot_hash(error);
	code = local_directory_open(self->directory, false, &directory, error);
	if (code == AWSFLOCK_OK && directory.fd >= 0)
		code = read_record_file(self, &directory, name, lock, &record, &reply->has_item, error);
	local_directory_close(&directory);
	reply->item = record.item;
	end_reply(self, reply);
	return code;
}

/* ---- Listing ----------------------------------------------------------------------------------------------- */

struct names {
	char (*names)[LOCAL_NAME_SIZE];
	size_t count, capacity;
};

/* NAME is ours, so it fits.  False where memory ran out. */
static bool names_add(struct names *names, const char *name)
{
	if (names->count == names->capacity) {
		size_t capacity = names->capacity == 0 ? 64 : names->capacity * 2;
		void *grown = reallocarray(names->names, capacity, sizeof(names->names[0]));

		if (!grown)
			return false;
		names->names = grown;
		names->capacity = capacity;
	}
	memcpy(names->names[names->count++], name, strlen(name) + 1);
	return true;
}

/* All names are read before the first file, and sorted: a directory that is changed while it is read may show a
 * name twice. */
static awsflock_code read_names(const char *path, DIR *stream, const char *prefix, struct names *names,
				awsflock_error *error)
{
	for (;;) {
		const struct dirent *entry;

		errno = 0;
		entry = readdir(stream);
		if (!entry && errno != 0)
			return error_set_errno(error, AWSFLOCK_STORAGE, errno, "cannot read directory %s", path);
		if (!entry)
			return AWSFLOCK_OK;
		if (local_name_is_ours(entry->d_name) && local_name_may_start_with(entry->d_name, prefix) &&
		    !names_add(names, entry->d_name))
			return error_out_of_memory(error);
	}
}

static int compare_names(const void *one, const void *other)
{
	return strcmp(one, other);
}

static awsflock_code collect_names(const struct local_directory *directory, const char *prefix, struct names *names,
				   awsflock_error *error)
{
	int fd = openat(directory->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *stream = fd < 0 ? NULL : fdopendir(fd);
	awsflock_code code;

	if (!stream) {
		code = error_set_errno(error, AWSFLOCK_STORAGE, errno, "cannot list %s (ask its owner)",
				       directory->path);
		if (fd >= 0)
			close(fd);
		return code;
	}
	code = read_names(directory->path, stream, prefix, names, error);
	closedir(stream);
	if (code == AWSFLOCK_OK && names->count > 1)
		qsort(names->names, names->count, sizeof(names->names[0]), compare_names);
	return code;
}

/* The record in NAME is damaged where its own lock would be looked for elsewhere. */
static awsflock_code check_home(const struct local_directory *directory, const struct lock_item *item,
				const char *name, awsflock_error *error)
{
	char home[LOCAL_NAME_SIZE];

	if (!local_name_of_lock(item->lock_id, home))
		return cannot_hash(error);
	if (strcmp(home, name) == 0)
		return AWSFLOCK_OK;
	return error_set(
		error, AWSFLOCK_BAD_ITEM,
		"%s/%s is damaged (lock_id is of another lock); if nobody holds this lock, remove that file",
		directory->path, name);
}

/* *GO_ON false: the caller of the listing has seen enough. */
static awsflock_code list_one(struct store_local *self, const struct local_directory *directory, const char *name,
			      const char *prefix, store_list_fn *each, void *arg, bool *go_on,
			      awsflock_error *error)
{
	struct local_record record = { 0 };
	awsflock_error fault = { 0 };
	bool present;
	awsflock_code code = read_record_file(self, directory, name, NULL, &record, &present, &fault);

	if (code == AWSFLOCK_OK && present)
		code = check_home(directory, &record.item, name, &fault);
	if (code == AWSFLOCK_MEMORY || code == AWSFLOCK_INTERNAL) { /* which is no fault of that file's */
		local_record_clear(&record);
		if (error)
			*error = fault;
		return code;
	}
	if (code != AWSFLOCK_OK)
		*go_on = each(arg, NULL, fault.message);
	else if (present && strncmp(record.item.lock_id, prefix, strlen(prefix)) == 0)
		*go_on = each(arg, &record.item, NULL);
	local_record_clear(&record);
	return AWSFLOCK_OK;
}

static awsflock_code local_list(struct store *store, const char *prefix, store_list_fn *each, void *arg,
				awsflock_error *error)
{
	struct store_local *self = self_of(store);
	struct local_directory directory;
	struct names names = { 0 };
	bool go_on = true;
	awsflock_code code = local_directory_open(self->directory, false, &directory, error);

	if (!prefix)
		prefix = "";
	if (code == AWSFLOCK_OK && directory.fd >= 0)
		code = collect_names(&directory, prefix, &names, error);
	for (size_t i = 0; code == AWSFLOCK_OK && go_on && i < names.count; i++) {
		if (runtime_stop_requested(store->runtime))
			code = error_set(error, AWSFLOCK_CANCELLED, "cancelled while listing %s", directory.path);
		else if (i == 0 || strcmp(names.names[i], names.names[i - 1]) != 0)
			code = list_one(self, &directory, names.names[i], prefix, each, arg, &go_on, error);
	}
	free(names.names);
	local_directory_close(&directory);
	return code;
}

/* ---- Making ------------------------------------------------------------------------------------------------ */

static awsflock_code local_create(struct store *store, const awsflock_table_options *options, awsflock_error *error)
{
	struct store_local *self = self_of(store);
	struct local_directory directory;
	struct buf line = BUF_INIT;
	awsflock_code code = local_directory_open(self->directory, true, &directory, error);

	if (code == AWSFLOCK_OK && faccessat(directory.fd, ".", R_OK | W_OK | X_OK, AT_EACCESS) != 0)
		code = error_set_errno(error, AWSFLOCK_STORAGE, errno,
				       "cannot write to directory %s (use one that you may write to)",
				       directory.path);
	if (code == AWSFLOCK_OK && options && options->progress) {
		buf_printf(&line, directory.made ? "made directory %s" : "directory %s is there, and can be used",
			   directory.path);
		options->progress(options->progress_arg, buf_text(&line));
	}
	buf_free(&line);
	local_directory_close(&directory);
	return code;
}

static bool local_diagnose(struct store *store, const char *scratch, const struct diagnosis *diagnosis)
{
	(void)scratch;
	return diagnose_local(self_of(store)->directory, diagnosis);
}

static void local_free(struct store *store)
{
	struct store_local *self = self_of(store);

	free(self->store.name);
	free(self->directory); /* where, too */
	free(self);
}

/* ---- Opening ----------------------------------------------------------------------------------------------- */

/* PATH where it is absolute, else below the working directory.  The caller's; NULL with errno. */
static char *absolute_path(const char *path)
{
	char *working, *out;

	if (path[0] == '/')
		return strdup(path);
	working = getcwd(NULL, 0);
	if (!working)
		return NULL;
	if (asprintf(&out, "%s/%s", working, path) < 0)
		out = NULL;
	free(working);
	return out;
}

/* The path without symbolic links, as far as it exists and can be looked into: the same in every process, before
 * and after its making.  The caller's; NULL where memory ran out. */
static char *real_path(const char *path)
{
	char *parent = NULL;
	char *real = realpath(path, NULL);
	char *given = NULL;
	char *slash;

	if (real || errno == ENOMEM)
		return real;
	given = strdup(path);
	if (!given)
		return NULL;
	for (size_t length = strlen(given); length > 1 && given[length - 1] == '/'; length--)
		given[length - 1] = '\0';
	slash = strrchr(given, '/');
	if (!slash || slash[1] == '\0')
		return given;
	*slash = '\0';
	parent = real_path(slash == given ? "/" : given);
	if (parent && asprintf(&real, "%s/%s", strcmp(parent, "/") == 0 ? "" : parent, slash + 1) < 0)
		real = NULL;
	free(parent);
	free(given);
	return real;
}

static awsflock_code set_paths(struct store_local *self, const char *directory, awsflock_error *error)
{
	char *real;

	self->directory = absolute_path(directory);
	if (!self->directory && errno == ENOMEM)
		return error_out_of_memory(error);
	if (!self->directory)
		return error_set_errno(error, AWSFLOCK_STORAGE, errno,
				       "cannot find the working directory for \"%s\"", directory);
	self->store.where = self->directory;
	real = real_path(self->directory);
	if (!real || asprintf(&self->store.name, "local %s", real) < 0) {
		self->store.name = NULL;
		free(real);
		return error_out_of_memory(error);
	}
	free(real);
	return AWSFLOCK_OK;
}

awsflock_code store_local_new(struct runtime *runtime, const char *directory, struct store **out,
			      awsflock_error *error)
{
	static const struct store_ops ops = { .write = local_write,
					      .read = local_read,
					      .list = local_list,
					      .create = local_create,
					      .free = local_free,
					      .diagnose = local_diagnose };
	struct store_local *self;
	awsflock_code code;

	if (!directory)
		return error_set(error, AWSFLOCK_CONFIG,
				 "there is no home directory to keep locks in: name a directory with --local=DIR, "
				 "or with local_dir in awsflock.conf");
	if (directory[0] == '\0')
		return error_set(error, AWSFLOCK_INVALID, "the local store's directory has an empty name");
	self = calloc(1, sizeof(*self));
	if (!self)
		return error_out_of_memory(error);
	self->store = (struct store){ .ops = &ops, .runtime = runtime, .local = true };
	code = local_clock_boot_id(self->boot_id, error);
	if (code == AWSFLOCK_OK)
		code = local_clock_offset(&self->offset_ns, error);
	if (code == AWSFLOCK_OK)
		code = set_paths(self, directory, error);
	if (code != AWSFLOCK_OK) {
		local_free(&self->store);
		return code;
	}
	server_time_init_exact(&self->store.time, self->offset_ns);
	*out = &self->store;
	return AWSFLOCK_OK;
}
