/* awsflock list: every lock, and who holds it.  SPDX-License-Identifier: Apache-2.0 */
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/lease_end.h"
#include "base/text.h"
#include "cli/cli.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"
#include "term/terminal.h"

#define COLUMN_GAP 2
#define PURPOSE_COLUMNS_LEAST 8
#define OUTPUT_LIMIT ((size_t)256 * 1024 * 1024)

static const struct cli_option options[] = {
	{ OPTION_HELD, "held", 0, NULL, false, NULL, "only locks that are held" },
	/* For the completions: the names alone, one a line, and only where asking costs nothing. */
	{ OPTION_NAMES, "names", 0, NULL, false, NULL, NULL },
	OPTION_TABLE_END,
};

enum column {
	COLUMN_LOCK,
	COLUMN_HELD_BY,
	COLUMN_SINCE,
	COLUMN_ENDS_IN,
	COLUMN_FENCE,
	COLUMN_PURPOSE, /* where there is room */
	COLUMN_COUNT
};

struct row {
	char *cells[COLUMN_COUNT];
};

struct listing {
	bool held_only;
	int64_t now;
	bool failed;      /* memory ran out */
	bool has_purpose; /* of one of them at least */
	struct row *rows;
	size_t row_count, row_capacity;
	struct json_object *array; /* with --json, instead of the rows */
};

static char *cell_holder(const awsflock_status *status)
{
	struct buf text = BUF_INIT;

	if (status->held)
		output_append_holder(&text, status);
	else
		buf_puts(&text, "-");
	return buf_steal(&text);
}

static char *cell_since(const awsflock_status *status, int64_t now)
{
	struct buf text = BUF_INIT;
	char since[64] = "-";

	if (status->held && status->acquired_time != 0)
		text_local_time(status->acquired_time, now, since, sizeof(since));
	buf_puts(&text, since);
	return buf_steal(&text);
}

static char *cell_ends_in(const awsflock_status *status, int64_t now)
{
	int64_t left = lease_end_time(status, now) - now;
	struct buf text = BUF_INIT;
	char left_text[64];

	if (!status->held) {
		buf_puts(&text, "-");
	} else if (left < 0) {
		buf_puts(&text, "ended");
	} else {
		text_duration(left, left_text, sizeof(left_text));
		buf_puts(&text, left_text);
	}
	return buf_steal(&text);
}

static char *cell_fence(const awsflock_status *status)
{
	struct buf text = BUF_INIT;

	if (status->held && status->fence != 0)
		buf_printf(&text, "%llu", (unsigned long long)status->fence);
	else
		buf_puts(&text, "-");
	return buf_steal(&text);
}

static char *cell_purpose(const awsflock_status *status)
{
	struct buf text = BUF_INIT;

	if (status->held && status->purpose[0] != '\0')
		output_append_clean(&text, status->purpose);
	else
		buf_puts(&text, "-");
	return buf_steal(&text);
}

static char *cell_lock(const awsflock_status *status)
{
	struct buf text = BUF_INIT;

	output_append_clean(&text, status->lock);
	return buf_steal(&text);
}

static bool add_row(struct listing *listing, const awsflock_status *status)
{
	if (listing->row_count == listing->row_capacity) {
		size_t capacity = listing->row_capacity * 2 + 32;
		struct row *grown = reallocarray(listing->rows, capacity, sizeof(*grown));
		if (!grown)
			return false;
		listing->rows = grown;
		listing->row_capacity = capacity;
	}
	struct row *row = &listing->rows[listing->row_count++];
	row->cells[COLUMN_LOCK] = cell_lock(status);
	row->cells[COLUMN_HELD_BY] = cell_holder(status);
	row->cells[COLUMN_SINCE] = cell_since(status, listing->now);
	row->cells[COLUMN_ENDS_IN] = cell_ends_in(status, listing->now);
	row->cells[COLUMN_FENCE] = cell_fence(status);
	row->cells[COLUMN_PURPOSE] = cell_purpose(status);
	listing->has_purpose = listing->has_purpose || strcmp(row->cells[COLUMN_PURPOSE], "-") != 0;
	for (int i = 0; i < COLUMN_COUNT; i++) {
		if (!row->cells[i])
			return false;
	}
	return true;
}

static bool add_object(struct listing *listing, const awsflock_status *status)
{
	struct json_object *object = json_from_status(status);

	if (object && json_object_array_add(listing->array, object) == 0)
		return true;
	json_object_put(object);
	return false;
}

static bool each_lock(void *arg, const awsflock_status *status)
{
	struct listing *listing = arg;

	if (listing->held_only && !status->held)
		return true;
	if (!(listing->array ? add_object(listing, status) : add_row(listing, status)))
		listing->failed = true;
	return !listing->failed;
}

static int compare_rows(const void *left, const void *right)
{
	return strcmp(((const struct row *)left)->cells[COLUMN_LOCK],
		      ((const struct row *)right)->cells[COLUMN_LOCK]);
}

static const char *object_name(struct json_object *object)
{
	return json_object_get_string(json_object_object_get(object, "lock_id"));
}

static int compare_objects(const void *left, const void *right)
{
	struct json_object *const *left_object = left, *const *right_object = right;

	return strcmp(object_name(*left_object), object_name(*right_object));
}

/* The last column takes LAST_COLUMNS at the most, and where that is 0 it is left out. */
static void append_cells(struct buf *out, const char *const cells[COLUMN_COUNT], const size_t widths[COLUMN_COUNT],
			 size_t last_columns)
{
	int last = last_columns > 0 ? COLUMN_COUNT - 1 : COLUMN_COUNT - 2;

	for (int i = 0; i < last; i++) {
		buf_puts(out, cells[i]);
		for (size_t at = terminal_columns(cells[i]); at < widths[i] + COLUMN_GAP; at++)
			buf_puts(out, " ");
	}
	if (last == COLUMN_PURPOSE)
		terminal_append_fitted(out, cells[last], last_columns);
	else
		buf_puts(out, cells[last]);
	buf_puts(out, "\n");
}

static void measure_columns(const struct listing *listing, const char *const heads[COLUMN_COUNT],
			    size_t widths[COLUMN_COUNT])
{
	for (int i = 0; i < COLUMN_COUNT; i++) {
		widths[i] = strlen(heads[i]);
		for (size_t row = 0; row < listing->row_count; row++) {
			size_t columns = terminal_columns(listing->rows[row].cells[i]);
			if (columns > widths[i])
				widths[i] = columns;
		}
	}
}

/* What the other columns leave of a terminal's line; anywhere else there is room. */
static size_t purpose_columns(const struct listing *listing, const size_t widths[COLUMN_COUNT])
{
	size_t used = 0, width = terminal_width(STDOUT_FILENO);

	if (!listing->has_purpose)
		return 0;
	if (!isatty(STDOUT_FILENO))
		return widths[COLUMN_PURPOSE];
	for (int i = 0; i < COLUMN_PURPOSE; i++)
		used += widths[i] + COLUMN_GAP;
	return used + PURPOSE_COLUMNS_LEAST <= width ? width - used : 0;
}

static int print_table(struct listing *listing)
{
	static const char *const heads[COLUMN_COUNT] = {
		"LOCK", "HELD BY", "SINCE", "ENDS IN", "FENCE", "PURPOSE"
	};
	size_t widths[COLUMN_COUNT], last_columns;
	struct buf out = { .limit = OUTPUT_LIMIT };
	int result;

	measure_columns(listing, heads, widths);
	last_columns = purpose_columns(listing, widths);
	if (listing->row_count > 0) {
		qsort(listing->rows, listing->row_count, sizeof(*listing->rows), compare_rows);
		append_cells(&out, heads, widths, last_columns);
	}
	for (size_t row = 0; row < listing->row_count; row++)
		append_cells(&out, (const char *const *)listing->rows[row].cells, widths, last_columns);
	result = output_text(&out);
	buf_free(&out);
	return result;
}

static void listing_free(struct listing *listing)
{
	for (size_t row = 0; row < listing->row_count; row++) {
		for (int i = 0; i < COLUMN_COUNT; i++)
			free(listing->rows[row].cells[i]);
	}
	free(listing->rows);
	json_object_put(listing->array);
}

/* What could be read is shown, then what went wrong is said. */
static int list_locks(struct cli_call *call)
{
	struct listing listing = { .held_only = option_given(call, OPTION_HELD), .now = clock_real_seconds() };
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;
	int result;

	if (call->json && (listing.array = json_object_new_array()) == NULL) {
		report_error("out of memory");
		return CLI_FAILED;
	}
	code = awsflock_list(call->context, call->arguments[0], each_lock, &listing, &error);
	if (listing.failed) {
		report_error("out of memory");
		result = CLI_FAILED;
	} else if (code != AWSFLOCK_OK && code != AWSFLOCK_BAD_ITEM) {
		result = report_failure(&error);
	} else if (call->json) {
		json_object_array_sort(listing.array, compare_objects);
		result = json_result(listing.array);
		listing.array = NULL;
	} else {
		result = print_table(&listing);
	}
	if (code == AWSFLOCK_BAD_ITEM && result == CLI_OK)
		result = report_failure(&error);
	listing_free(&listing);
	return result;
}

static bool each_name(void *arg, const awsflock_status *status)
{
	char clean[AWSFLOCK_LOCK_MAX + 4];
	struct buf *out = arg;

	/* One that cannot be shown as it is cannot be completed either. */
	text_sanitise(status->lock, clean, sizeof(clean));
	if (strcmp(clean, status->lock) != 0)
		return true;
	buf_puts(out, status->lock);
	buf_puts(out, "\n");
	return !out->failed;
}

/* Every Tab would be a Scan of the table: only for those who asked for that, and never for long. */
static int list_names(struct cli_call *call)
{
	const char *store = awsflock_get(call->context, "store"), *asked = getenv("AWSFLOCK_COMPLETE_TABLE");
	awsflock_error error = { .code = AWSFLOCK_OK };
	struct buf out = { .limit = OUTPUT_LIMIT };
	int result;

	if ((!store || strcmp(store, "local") != 0) && (!asked || strcmp(asked, "1") != 0))
		return CLI_OK;
	if (awsflock_set(call->context, "connect_timeout", "1s", &error) != AWSFLOCK_OK ||
	    awsflock_set(call->context, "request_timeout", "2s", &error) != AWSFLOCK_OK)
		return report_failure(&error);
	awsflock_code code = awsflock_list(call->context, call->arguments[0], each_name, &out, &error);
	if (code != AWSFLOCK_OK && code != AWSFLOCK_BAD_ITEM)
		result = report_failure(&error);
	else
		result = output_text(&out);
	buf_free(&out);
	return result;
}

static int list(struct cli_call *call)
{
	if (!output_ready())
		return CLI_FAILED;
	return option_given(call, OPTION_NAMES) ? list_names(call) : list_locks(call);
}

const struct cli_command cmd_list = {
	.name = "list",
	.arguments = "[PREFIX]",
	.least_arguments = 0,
	.most_arguments = 1,
	.summary = "list the locks and who holds them",
	.details = "Lists the locks whose names start with PREFIX, or all of them.\n",
	.options = options,
	.run = list,
};
