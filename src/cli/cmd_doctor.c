/* awsflock doctor: check everything that a lock needs, one thing after the other.  SPDX-License-Identifier:
 * Apache-2.0 */
#include <string.h>

#include "base/buf.h"
#include "cli/cli.h"
#include "cli/json_output.h"
#include "cli/output.h"
#include "cli/report.h"

#define NAME_COLUMN 9
#define FINDING_COLUMN 23

struct findings {
	struct json_object *list; /* NULL: lines of text are printed at once */
	size_t failed, warnings;
	bool broken; /* a result could not be put out */
};

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

static bool keep(struct json_object *list, const awsflock_check *check)
{
	struct json_object *object = json_object_new_object();

	if (object != NULL && json_add_text(object, "check", check->name) &&
	    json_add_text(object, "verdict", verdict_name(check->verdict)) &&
	    json_add_text(object, "finding", check->finding) && json_add_text(object, "mend", check->mend) &&
	    json_object_array_add(list, object) == 0)
		return true;
	json_object_put(object);
	return false;
}

static bool print(const awsflock_check *check)
{
	struct buf line = BUF_INIT;
	bool done;

	buf_printf(&line, "%-*s%-*s", NAME_COLUMN, verdict_name(check->verdict), FINDING_COLUMN - NAME_COLUMN,
		   check->name);
	output_append_clean(&line, check->finding);
	buf_puts(&line, "\n");
	if (check->mend[0] != '\0') {
		buf_printf(&line, "%*smend: ", FINDING_COLUMN, "");
		output_append_clean(&line, check->mend);
		buf_puts(&line, "\n");
	}
	done = !line.failed && output_write(buf_text(&line));
	buf_free(&line);
	return done;
}

static void take(void *arg, const awsflock_check *check)
{
	struct findings *findings = arg;

	findings->failed += check->verdict == AWSFLOCK_CHECK_FAILED ? 1 : 0;
	findings->warnings += check->verdict == AWSFLOCK_CHECK_WARNING ? 1 : 0;
	if (!(findings->list != NULL ? keep(findings->list, check) : print(check)))
		findings->broken = true;
}

static int print_list(struct findings *findings)
{
	struct json_object *object = json_object_new_object();

	if (object != NULL && (!json_add_bool(object, "ok", findings->failed == 0) ||
			       json_object_object_add(object, "checks", json_object_get(findings->list)) != 0)) {
		json_object_put(object);
		object = NULL;
	}
	return json_result(object);
}

static int conclude(struct findings *findings)
{
	int result = CLI_OK;

	if (findings->broken) {
		report_error("cannot put the findings out: out of memory, or standard output does not take them");
		return CLI_FAILED;
	}
	result = findings->list != NULL ? print_list(findings) : output_result("");
	return result == CLI_OK && findings->failed > 0 ? CLI_FAILED : result;
}

static int diagnose(struct cli_call *call, struct findings *findings)
{
	const awsflock_check bad_settings = { .name = "config",
					      .verdict = AWSFLOCK_CHECK_FAILED,
					      .finding = call->settings_error.message,
					      .mend = "correct the file; awsflock.conf(5) has every key" };
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (call->settings_error.code != AWSFLOCK_OK)
		take(findings, &bad_settings);
	else if (awsflock_diagnose(call->context, call->arguments[0], take, findings, &error) != AWSFLOCK_OK)
		return report_failure(&error);
	return conclude(findings);
}

static int doctor(struct cli_call *call)
{
	struct findings findings = { .list = NULL };
	int result;

	if (!output_ready())
		return CLI_FAILED;
	if (call->json && (findings.list = json_object_new_array()) == NULL) {
		report_error("out of memory");
		return CLI_FAILED;
	}
	result = diagnose(call, &findings);
	json_object_put(findings.list);
	return result;
}

const struct cli_command cmd_doctor = {
	.name = "doctor",
	.arguments = "[LOCK]",
	.least_arguments = 0,
	.most_arguments = 1,
	.summary = "check everything that a lock needs, and say how to mend it",
	.details = "At last takes, renews and releases LOCK, or one of a random name.  Exit code 1 where a check "
		   "failed.\n",
	.judges_settings = true,
	.run = doctor,
};
