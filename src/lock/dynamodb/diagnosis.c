/* Checking a table and the way to it: each check needs the ones before it.  SPDX-License-Identifier: Apache-2.0 */
#include "lock/dynamodb/diagnosis.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "lock/dynamodb/table_look.h"

/* Other tools' requests are refused when they are dated five minutes away; nobody minds a few seconds. */
#define CLOCK_TOLERANCE_MS INT64_C(3000)
#define EXPIRES_SOON_S 900
#define SIGN_IN_ENDS_SOON_S 3600

struct look {
	struct store *store;
	const struct table_dynamodb *table;
	const struct diagnosis *diagnosis;
};

static void tell_endpoint(const struct look *look)
{
	const struct endpoint *endpoint = dynamodb_endpoint(look->table->client);

	diagnosis_tell(look->diagnosis, "region", AWSFLOCK_CHECK_OK, "", "%s (from %s)", endpoint->region,
		       endpoint->region_source);
	diagnosis_tell(look->diagnosis, "endpoint", AWSFLOCK_CHECK_OK, "", "%s (from %s)", endpoint->url,
		       endpoint->url_source);
}

/* ---- Credentials ------------------------------------------------------------------------------------------- */

/* "from the single sign-on, account 123456789012, role deployer, access key ...ABCD" */
static void describe_credentials(const struct credentials *credentials, char *out, size_t size)
{
	const char *id = credentials->access_key_id;

	snprintf(out, size, "from the %s%s%s, access key ...%s", credentials->source,
		 credentials->identity ? ", " : "", credentials->identity ? credentials->identity : "",
		 strlen(id) > 8 ? id + strlen(id) - 4 : "");
}

/* Keys that are renewed from a sign-in: what matters is when that ends. */
static void tell_sign_in(const struct look *look, const struct credentials *credentials, const char *what,
			 int64_t now_time)
{
	int64_t end = credentials->renewable_until_time, left_s;
	char left[32], mend[256];

	if (end == 0) {
		diagnosis_tell(look->diagnosis, "credentials", AWSFLOCK_CHECK_OK, "",
			       "%s, renewed from the sign-in", what);
		return;
	}
	if (end < credentials->expires_time)
		end = credentials->expires_time;
	left_s = end - now_time;
	text_duration(left_s > 0 ? left_s : 0, left, sizeof(left));
	snprintf(mend, sizeof(mend), "sign in before it ends: %s", credentials->sign_in_command);
	diagnosis_tell(look->diagnosis, "credentials",
		       left_s < SIGN_IN_ENDS_SOON_S ? AWSFLOCK_CHECK_WARNING : AWSFLOCK_CHECK_OK,
		       left_s < SIGN_IN_ENDS_SOON_S ? mend : "", "%s, signed in for another %s", what, left);
}

static void tell_expiry_of_keys(const struct look *look, const struct credentials *credentials, const char *what,
				int64_t now_time)
{
	static const char renew[] = "get new ones from where these came, or let a source that renews them serve";
	int64_t left_s = credentials->expires_time - now_time;
	char left[32];

	if (left_s <= 0) {
		diagnosis_tell(look->diagnosis, "credentials", AWSFLOCK_CHECK_WARNING, renew,
			       "%s, expired by this machine's clock", what);
		return;
	}
	text_duration(left_s, left, sizeof(left));
	diagnosis_tell(look->diagnosis, "credentials",
		       left_s < EXPIRES_SOON_S ? AWSFLOCK_CHECK_WARNING : AWSFLOCK_CHECK_OK,
		       left_s < EXPIRES_SOON_S ? renew : "", "%s, for another %s", what, left);
}

static void tell_credentials(const struct look *look, const struct credentials *credentials)
{
	int64_t now_time = runtime_real_ns(look->store->runtime) / NS_PER_S;
	char what[512];

	describe_credentials(credentials, what, sizeof(what));
	if (credentials->sign_in_command)
		tell_sign_in(look, credentials, what, now_time);
	else if (credentials->expires_time == INT64_MAX)
		diagnosis_tell(look->diagnosis, "credentials", AWSFLOCK_CHECK_OK, "", "%s, %s", what,
			       credentials->session_token ? "temporary, until when is not told" : "for good");
	else
		tell_expiry_of_keys(look, credentials, what, now_time);
}

static bool check_credentials(const struct look *look)
{
	const struct credentials *credentials;
	awsflock_error error = { .code = AWSFLOCK_OK };

	if (dynamodb_credentials(look->table->client, &look->store->time, &credentials, &error) != AWSFLOCK_OK) {
		diagnosis_tell_error(look->diagnosis, "credentials", AWSFLOCK_CHECK_FAILED, &error);
		return false;
	}
	tell_credentials(look, credentials);
	return true;
}

/* ---- The connection, and what the first answer tells --------------------------------------------------------- */

static void tell_connection(const struct look *look, const struct store_reply *reply)
{
	const struct endpoint *endpoint = dynamodb_endpoint(look->table->client);
	bool encrypted = strncmp(endpoint->url, "https:", 6) == 0;
	int64_t took_ms = (reply->received_boot_ns - reply->first_sent_boot_ns) / NS_PER_MS;

	diagnosis_tell(look->diagnosis, "connection", AWSFLOCK_CHECK_OK, "", "%s answers in %" PRId64 " ms, %s",
		       endpoint->host, took_ms,
		       encrypted ? "over TLS, with a certificate that is trusted" : "over plain HTTP");
}

static bool tell_clock(const struct look *look, bool dated)
{
	struct runtime *runtime = look->store->runtime;
	int64_t boot_ns = runtime_boot_ns(runtime), real_ms = runtime_real_ns(runtime) / NS_PER_MS;
	int64_t behind_ms, ahead_ms;
	char away[32];

	if (!dated) {
		diagnosis_tell(look->diagnosis, "clock", AWSFLOCK_CHECK_FAILED,
			       "let the proxy or server in between pass the Date header on",
			       "the answers carry no Date, so that leases cannot be measured");
		return false;
	}
	behind_ms = server_time_earliest_ms(&look->store->time, boot_ns) - real_ms;
	ahead_ms = real_ms - server_time_latest_ms(&look->store->time, boot_ns);
	if (behind_ms <= CLOCK_TOLERANCE_MS && ahead_ms <= CLOCK_TOLERANCE_MS) {
		diagnosis_tell(look->diagnosis, "clock", AWSFLOCK_CHECK_OK, "",
			       "this machine's agrees with the server's");
		return true;
	}
	text_duration((behind_ms > ahead_ms ? behind_ms : ahead_ms) / MS_PER_S, away, sizeof(away));
	diagnosis_tell(look->diagnosis, "clock", AWSFLOCK_CHECK_WARNING,
		       "set this machine's clock: timedatectl set-ntp true",
		       "this machine's is %s %s the server's: awsflock reckons with that, other tools may not",
		       away, behind_ms > ahead_ms ? "behind" : "ahead of");
	return true;
}

/* The check that a failure of the first request belongs to. */
static const char *check_of(awsflock_code code)
{
	switch (code) {
	case AWSFLOCK_TLS:
		return "tls";
	case AWSFLOCK_CREDENTIALS:
	case AWSFLOCK_ACCESS:
		return "access";
	case AWSFLOCK_NO_TABLE:
	case AWSFLOCK_BAD_TABLE:
	case AWSFLOCK_THROTTLED:
		return "table";
	case AWSFLOCK_CLOCK_SKEW:
		return "clock";
	case AWSFLOCK_BAD_ITEM:
		return "lock";
	default:
		return "connection";
	}
}

/* The first request: a read of SCRATCH, which every policy for a user of locks allows. */
static bool check_first_request(const struct look *look, const char *scratch)
{
	struct store_reply reply = { 0 };
	awsflock_error error = { .code = AWSFLOCK_OK };
	int64_t give_up_ns = runtime_boot_ns(look->store->runtime) + STORE_ONE_TRY_MS * NS_PER_MS;
	awsflock_code code = look->store->ops->read(look->store, scratch, true, give_up_ns, &reply, &error);
	const char *check = check_of(code);
	/* Refusals that DynamoDB itself gives tell as much of the way to it as a good answer. */
	bool arrived = code == AWSFLOCK_OK || (error.http_status != 0 && strcmp(check, "connection") != 0);
	bool usable = code == AWSFLOCK_OK;

	store_reply_clear(&reply);
	if (code == AWSFLOCK_CANCELLED)
		return false;
	if (arrived)
		tell_connection(look, &reply);
	if (arrived && strcmp(check, "clock") != 0)
		usable = tell_clock(look, reply.has_store_time) && usable;
	if (code != AWSFLOCK_OK)
		diagnosis_tell_error(look->diagnosis, check, AWSFLOCK_CHECK_FAILED, &error);
	return usable;
}

/* ---- The table ---------------------------------------------------------------------------------------------- */

static const char *billing(struct json_object *description)
{
	struct json_object *summary = json_member(description, "BillingModeSummary", json_type_object);
	const char *mode = json_text(summary, "BillingMode");

	return mode && strcmp(mode, "PAY_PER_REQUEST") == 0 ? "on-demand" : "provisioned";
}

static bool judge_table(const struct look *look, struct json_object *description)
{
	const char *status = table_status(description);
	struct json_object *protection = json_member(description, "DeletionProtectionEnabled", json_type_boolean);

	if (!table_has_our_key(description)) {
		diagnosis_tell(look->diagnosis, "table", AWSFLOCK_CHECK_FAILED,
			       "name another table (--tablename), or make one: awsflock create-table",
			       "%s has another key than lock_id (a string) alone", look->table->where);
		return false;
	}
	if (strcmp(status, "ACTIVE") != 0 && strcmp(status, "UPDATING") != 0) {
		diagnosis_tell(look->diagnosis, "table", AWSFLOCK_CHECK_FAILED,
			       "wait until it is ready: awsflock create-table waits, and makes it where it is gone",
			       "%s cannot serve: its status is %s", look->table->where, status);
		return false;
	}
	diagnosis_tell(look->diagnosis, "table", AWSFLOCK_CHECK_OK, "", "%s is %s, %s%s", look->table->where,
		       status, billing(description),
		       protection && json_object_get_boolean(protection) ? ", protected from deletion" : "");
	return true;
}

static void tell_expiry(const struct look *look, struct json_object *reply)
{
	static const char mend[] = "awsflock create-table enables it on expiration_time";
	const char *attribute;

	switch (table_judge_expiry(reply, &attribute)) {
	case TABLE_EXPIRY_ON:
		diagnosis_tell(look->diagnosis, "ttl", AWSFLOCK_CHECK_OK, "", "on expiration_time");
		break;
	case TABLE_EXPIRY_OFF:
		diagnosis_tell(look->diagnosis, "ttl", AWSFLOCK_CHECK_WARNING, mend,
			       "off: the records of released locks stay in the table");
		break;
	case TABLE_EXPIRY_ENDING:
		diagnosis_tell(look->diagnosis, "ttl", AWSFLOCK_CHECK_WARNING, mend,
			       "being disabled; it can be enabled again in an hour");
		break;
	case TABLE_EXPIRY_ELSEWHERE:
		diagnosis_tell(look->diagnosis, "ttl", AWSFLOCK_CHECK_WARNING,
			       "disable it, wait an hour, then: awsflock create-table",
			       "on %s, not on expiration_time: the records of released locks stay in the table",
			       attribute);
		break;
	}
}

static void check_expiry(const struct look *look, enum table_replicas replicas)
{
	struct dynamodb_result result;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code;

	if (replicas == TABLE_REPLICAS_STRONG) {
		diagnosis_tell(look->diagnosis, "ttl", AWSFLOCK_CHECK_OK, "",
			       "none: strongly consistent global tables have no TTL; delete old records by hand");
		return;
	}
	code = table_call(look->table, "DescribeTimeToLive", table_request(look->table), &result, &error);
	if (code == AWSFLOCK_OK)
		tell_expiry(look, result.reply);
	else if (code != AWSFLOCK_CANCELLED)
		diagnosis_tell_error(look->diagnosis, "ttl", AWSFLOCK_CHECK_WARNING, &error);
	dynamodb_result_clear(&result);
}

static enum table_replicas check_replicas(const struct look *look, struct json_object *description)
{
	enum table_replicas replicas = table_judge_replicas(description);

	switch (replicas) {
	case TABLE_REPLICAS_NONE:
		diagnosis_tell(look->diagnosis, "global-table", AWSFLOCK_CHECK_OK, "", "no: one region");
		break;
	case TABLE_REPLICAS_STRONG:
		diagnosis_tell(look->diagnosis, "global-table", AWSFLOCK_CHECK_OK, "",
			       "strongly consistent between its regions");
		break;
	case TABLE_REPLICAS_EVENTUAL:
		diagnosis_tell(look->diagnosis, "global-table", AWSFLOCK_CHECK_WARNING,
			       "use it from one region only, or use a table that is not replicated",
			       "replicated with eventual consistency: a lock taken in one region does not keep "
			       "others out in another");
		break;
	}
	return replicas;
}

/* False where no lock can be had in it.  Who may not look at it may still be allowed to lock. */
static bool check_table(const struct look *look)
{
	struct json_object *description = NULL;
	awsflock_error error = { .code = AWSFLOCK_OK };
	awsflock_code code = table_describe(look->table, &description, &error);
	bool usable = true;

	if (code == AWSFLOCK_CANCELLED)
		return false;
	if (code != AWSFLOCK_OK) {
		diagnosis_tell(look->diagnosis, "table", AWSFLOCK_CHECK_WARNING,
			       "allow dynamodb:DescribeTable and dynamodb:DescribeTimeToLive, or leave it at that",
			       "it answers, but key, TTL and replicas cannot be checked: %s", error.message);
		return true;
	}
	if (!description) {
		diagnosis_tell(look->diagnosis, "table", AWSFLOCK_CHECK_FAILED,
			       "awsflock create-table, or name the right table and region", "%s does not exist",
			       look->table->where);
		return false;
	}
	usable = judge_table(look, description);
	if (usable)
		check_expiry(look, check_replicas(look, description));
	json_object_put(description);
	return usable;
}

bool diagnose_dynamodb(struct store *store, const struct table_dynamodb *table, const char *scratch,
		       const struct diagnosis *diagnosis)
{
	const struct look look = { store, table, diagnosis };

	tell_endpoint(&look);
	return check_credentials(&look) && check_first_request(&look, scratch) && check_table(&look);
}
