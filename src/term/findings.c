/* See findings.h.  SPDX-License-Identifier: Apache-2.0 */
#include "term/findings.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "term/json_output.h"
#include "term/output.h"
#include "term/report.h"

#define NAME_COLUMN 9
#define FINDING_COLUMN 23

static const char *verdict_name(awsflock_verdict verdict)
{
	switch (verdict) {
	case AWSFLOCK_CHECK_OK:
		return "ok";
	case AWSFLOCK_CHECK_WARNING:
		return "warning";
	case AWSFLOCK_CHECK_FAILED:
		break;
	}
	return "failed";
}

/* 0, or an errno. */
static int keep_finding(struct json_object *list, const awsflock_check *check)
{
	struct json_object *object = json_object_new_object();

	if (object && json_add_text(object, "check", check->name) &&
	    json_add_text(object, "verdict", verdict_name(check->verdict)) &&
	    json_add_text(object, "finding", check->finding) && json_add_text(object, "mend", check->mend) &&
	    json_object_array_add(list, object) == 0)
		return 0;
	json_object_put(object);
	return ENOMEM;
}

static int print(const awsflock_check *check)
{
	struct buf line = BUF_INIT;
	int fault = ENOMEM;

	buf_printf(&line, "%-*s%-*s", NAME_COLUMN, verdict_name(check->verdict), FINDING_COLUMN - NAME_COLUMN,
		   check->name);
	output_append_clean(&line, check->finding);
	buf_puts(&line, "\n");
	if (check->mend[0] != '\0') {
		buf_printf(&line, "%*smend: ", FINDING_COLUMN, "");
		output_append_clean(&line, check->mend);
		buf_puts(&line, "\n");
	}
	if (!line.failed)
		fault = output_write(buf_text(&line)) ? 0 : errno;
	buf_free(&line);
	return fault;
}

void findings_take(void *arg, const awsflock_check *check)
{
	struct findings *findings = arg;

	findings->failed += check->verdict == AWSFLOCK_CHECK_FAILED ? 1 : 0;
	findings->warnings += check->verdict == AWSFLOCK_CHECK_WARNING ? 1 : 0;
	if (findings->fault == 0)
		findings->fault = findings->list ? keep_finding(findings->list, check) : print(check);
}

void findings_add(struct findings *findings, const char *name, awsflock_verdict verdict, const char *mend,
		  const char *format, ...)
{
	char finding[AWSFLOCK_ERROR_MESSAGE_SIZE];
	const awsflock_check check = { .name = name, .verdict = verdict, .finding = finding, .mend = mend };
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(finding, sizeof(finding), format, arguments);
	va_end(arguments);
	findings_take(findings, &check);
}

bool findings_begin(struct findings *findings, bool json)
{
	*findings = (struct findings){ .list = NULL };
	if (!output_ready())
		return false;
	if (json && (findings->list = json_object_new_array()) == NULL) {
		report_error("out of memory");
		return false;
	}
	return true;
}

void findings_free(struct findings *findings)
{
	json_object_put(findings->list);
	findings->list = NULL;
}

static int print_list(struct findings *findings)
{
	struct json_object *object = json_object_new_object();

	if (object && (!json_add_bool(object, "ok", findings->failed == 0) ||
		       json_object_object_add(object, "checks", json_object_get(findings->list)) != 0)) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

int findings_conclude(struct findings *findings)
{
	int result = CLI_OK;

	if (findings->fault != 0) {
		report_error("cannot print all findings: %s", strerror(findings->fault));
		return CLI_FAILED;
	}
	result = findings->list ? print_list(findings) : output_result("");
	return result == CLI_OK && findings->failed > 0 ? CLI_FAILED : result;
}
